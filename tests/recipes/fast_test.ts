/** The recipes of frameworks that need no build, as docs/frameworks.md has them. */
import { openWorkshop, run, RUNNERS, type RunningApp, startApp } from "./_apps.ts";
import { recipe, withRoutes } from "./_page.ts";
import { assertEquals } from "../assert.ts";
import { type Expectations, visitAll, visitorOf } from "./_visits.ts";

interface Recipe extends Expectations {
  section: string;
  runner: "node" | "bun";
  /** What the test adds to its routes: one that never asks for a session, and one that fails. */
  routes: string;
  /** What the recipe does, if it is not what all of them do. */
  visit?(app: RunningApp): Promise<void>;
}

const RECIPES: Recipe[] = [
  {
    section: "Hono",
    runner: "node",
    routes: `app.get("/plain", (c) => c.text("plain"));
      app.get("/fail", async (c) => {
        (await c.var.session()).put("user", "eve");
        throw new Error("on purpose");
      });`,
  },
  {
    section: "Express",
    runner: "node",
    routes: `app.get("/plain", (_req, res) => void res.send("plain"));
      app.get("/fail", async (req) => {
        (await session.of(req)).put("user", "eve");
        throw new Error("on purpose");
      });`,
  },
  {
    section: "node:http",
    runner: "node",
    routes: `if (path === "GET /plain") return res.end("plain");
      if (path === "GET /fail") {
        (await session.of(req)).put("user", "eve");
        throw new Error("on purpose");
      }`,
  },
  { section: "WebSockets", runner: "node", routes: "", visit: visitSockets },
  {
    section: "Fastify",
    runner: "node",
    // Without a parser Fastify refuses forms.
    routes:
      `app.addContentTypeParser("application/x-www-form-urlencoded", (_request, _body, done) => done(null));
      app.get("/plain", async () => "plain");
      app.get("/fail", async (request) => {
        (await session.of(request.raw)).put("user", "eve");
        throw new Error("on purpose");
      });`,
  },
  {
    section: "Koa",
    runner: "node",
    routes: `app.silent = true;
      app.use(async (ctx, next) => {
        if (ctx.path === "/plain") ctx.body = "plain";
        else if (ctx.path === "/fail") {
          (await session.of(ctx.req)).put("user", "eve");
          throw new Error("on purpose");
        } else await next();
      });`,
  },
  {
    section: "h3",
    runner: "node",
    routes: `app.get("/plain", () => "plain");
      app.get("/fail", async (event) => {
        (await sessionOf(event)).put("user", "eve");
        throw new Error("on purpose");
      });`,
  },
  {
    section: "Elysia",
    runner: "bun",
    routes: `app.get("/plain", () => "plain");
      app.get("/fail", async ({ session }) => {
        (await session()).put("user", "eve");
        throw new Error("on purpose");
      });`,
  },
];

const TSCONFIG = JSON.stringify({
  compilerOptions: {
    target: "es2024",
    lib: ["esnext", "dom", "dom.iterable"],
    strict: true,
    noEmit: true,
    module: "nodenext",
    allowImportingTsExtensions: true,
    skipLibCheck: true,
    types: ["node", "bun"],
  },
  include: ["../*/*.ts"],
});

Deno.test("The recipes of docs/frameworks.md that need no build", async (t) => {
  await using workshop = await openWorkshop("fast");
  const dirs = new Map<string, string>();
  for (const { section, routes } of RECIPES) {
    const files = recipe(section);
    files["server.ts"] = withRoutes(files["server.ts"]!, routes);
    dirs.set(section, await workshop.make(section.replaceAll(/\W+/g, "-").toLowerCase(), files));
  }
  await t.step("all of them, for TypeScript", async () => {
    const dir = await workshop.make("types", { "tsconfig.json": TSCONFIG });
    await run("tsc", dir, RUNNERS.node(), ["../../node_modules/typescript/bin/tsc", "-p", "."]);
  });
  for (const { section, runner, routes: _, visit, ...expected } of RECIPES) {
    await t.step(section, async () => {
      await using app = await startApp(runner, dirs.get(section)!, ["server.ts"]);
      await (visit ?? visitAll)(app, expected);
    });
  }
});

/** Only a visitor with a live session gets a socket. */
async function visitSockets(app: RunningApp): Promise<void> {
  const open = async (headers: HeadersInit) => {
    const socket = new WebSocket(`ws://127.0.0.1:${app.port}/`, { headers });
    const first = await new Promise((resolve) => {
      socket.onmessage = ({ data }) => resolve(data);
      socket.onerror = () => resolve("refused");
    });
    if (socket.readyState === WebSocket.OPEN) {
      const closed = new Promise((resolve) => socket.onclose = resolve);
      socket.close();
      await closed;
    }
    return first;
  };
  assertEquals(await open({}), "refused");
  assertEquals(await open({ Cookie: `session=${"A".repeat(43)}` }), "refused");
  const visitor = visitorOf(app);
  await (await visitor.post("/login")).body?.cancel();
  assertEquals(await open({ Cookie: `session=${visitor.token}` }), "Hello zoe");
}

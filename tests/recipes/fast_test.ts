/** The recipes of frameworks that need no build, as docs/frameworks.md has them. */
import { openWorkshop, run, RUNNERS, startApp } from "./_apps.ts";
import { recipe, withRoutes } from "./_page.ts";
import { type Expectations, visitAll } from "./_visits.ts";

interface Recipe extends Expectations {
  section: string;
  runner: "node" | "bun";
  /** What the test adds to its routes: one that never asks for a session, and one that fails. */
  routes: string;
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
  for (const { section, runner, routes: _, ...expected } of RECIPES) {
    await t.step(section, async () => {
      await using app = await startApp(runner, dirs.get(section)!, ["server.ts"]);
      await visitAll(app, expected);
    });
  }
});

/**
 * The recipes of frameworks that need a build, as docs/frameworks.md has them, each built and started by the commands
 * that stand there: `deno task recipes`.
 * @module
 */

import { openWorkshop, type PackageSet, run, RUNNERS, type RunningApp, startApp } from "./_apps.ts";
import { commandsOf, recipe, withRoutes } from "./_page.ts";
import { assert, assertEquals, assertMatch, assertNotEquals } from "../assert.ts";
import { type Expectations, visitAll, visitorOf } from "./_visits.ts";

interface Recipe extends Expectations {
  section: string;
  /** The section below it that changes some of the files. */
  variant?: string;
  packages: PackageSet;
  /** The test's own routes. */
  files: Record<string, string>;
  /** Changes to the files of the page. */
  routes?: { file: string; text: string };
  /** What this framework does besides. */
  more?(app: RunningApp): Promise<void>;
}

const ASTRO_PAGES = {
  "src/pages/plain.ts": `export const GET = () => new Response("plain");`,
  "src/pages/fail.astro": `---
(await Astro.locals.session()).put("user", "eve");
throw new Error("on purpose");
---
<p>never</p>`,
};

const RECIPES: Recipe[] = [
  {
    section: "Nitro",
    packages: "nitro",
    files: {
      "routes/plain.get.ts": `export default () => "plain";`,
      "routes/fail.get.ts": `
        import { defineHandler } from "nitro/h3";
        import { sessionOf } from "../middleware/sessions.ts";
        export default defineHandler(async (event) => {
          (await sessionOf(event)).put("user", "eve");
          throw new Error("on purpose");
        });`,
    },
  },
  {
    section: "Nuxt",
    packages: "nuxt",
    files: {
      "server/routes/plain.get.ts": `export default defineEventHandler(() => "plain");`,
      "server/routes/fail.get.ts": `
        export default defineEventHandler(async (event) => {
          (await event.context.session()).put("user", "eve");
          throw new Error("on purpose");
        });`,
      "server/routes/web.get.ts": `
        import { withSessions } from "@x/sessions/middleware/fetch";
        import { manager } from "../../manager";
        export default fromWebHandler(withSessions(manager, async (_request, getSession) => {
          const session = await getSession();
          session.update("visits", (visits = 0) => visits + 1);
          return new Response("Web " + session.get("visits"));
        }));`,
      "server/routes/bare.get.ts": `
        export default defineEventHandler(() => $fetch("/api/visit").catch((error) => "Bare " + error.status));`,
      // Runs before the page is rendered.
      "app/plugins/fail.server.ts": `
        export default defineNuxtPlugin(() => {
          if (useRequestURL().search !== "?fail") return;
          return useRequestEvent()!.context.session().then((session) => {
            session.put("user", "eve");
            throw createError({ statusCode: 418, message: "on purpose" });
          });
        });`,
    },
    more: visitNuxt,
  },
  {
    section: "React Router",
    packages: "builds",
    files: {
      "app/plain.ts": `export const loader = () => new Response("plain");`,
      "app/fail.tsx": `
        import type { LoaderFunctionArgs } from "react-router";
        import { session } from "./sessions.ts";
        export async function loader({ context }: LoaderFunctionArgs) {
          (await context.get(session)()).put("user", "eve");
          throw new Error("on purpose");
        }
        export default () => null;
        export const ErrorBoundary = () => <p>Sorry</p>;`,
    },
    routes: { file: "app/routes.ts", text: `route("plain", "plain.ts"), route("fail", "fail.tsx"),` },
  },
  {
    section: "SvelteKit",
    packages: "builds",
    files: {
      "src/routes/plain/+server.ts": `export const GET = () => new Response("plain");`,
      "src/routes/fail/+page.svelte": "<p>never</p>",
      "src/routes/fail/+page.server.ts": `
        export async function load({ locals }) {
          (await locals.session()).put("user", "eve");
          throw new Error("on purpose");
        }`,
    },
    // As the recipe's configuration has it.
    origin: () => "http://localhost:3000",
    login: "/?/login",
    logout: "/?/logout",
    body: "a=b",
  },
  { section: "Astro", packages: "builds", files: ASTRO_PAGES },
  {
    section: "Astro",
    variant: "Astro's own sessions",
    packages: "builds",
    files: {
      ...ASTRO_PAGES,
      "src/pages/own.ts": `
        export const GET = async ({ session }) => {
          const n = (await session.get("n") ?? 0) + 1;
          session.set("n", n);
          return new Response("Own " + n);
        };
        export const DELETE = async ({ session }) => {
          session.destroy();
          return new Response("gone");
        };`,
    },
    more: visitAstroSession,
  },
  {
    section: "Next",
    packages: "builds",
    files: {
      "next.config.mjs":
        `export default { turbopack: { root: new URL("../..", import.meta.url).pathname } };`,
      "tsconfig.json": JSON.stringify({
        compilerOptions: {
          target: "ES2022",
          lib: ["dom", "esnext"],
          strict: true,
          noEmit: true,
          module: "esnext",
          moduleResolution: "bundler",
          jsx: "react-jsx",
          isolatedModules: true,
          skipLibCheck: true,
          plugins: [{ name: "next" }],
        },
        include: ["**/*.ts", "**/*.tsx"],
        exclude: ["node_modules"],
      }),
      "lib/sessions.ts": recipe("Next")["lib/sessions.ts"]!.replace(
        `cookie: { name: "session" }`,
        `$&, idleTimeout: "20m"`,
      ),
      "app/plain/route.ts": `export const GET = () => new Response("plain");`,
      "app/fail/route.ts": `
        import { withSessions } from "@x/sessions/middleware/fetch";
        import { manager } from "../../lib/sessions";
        export const GET = withSessions(manager, async (_request, getSession) => {
          (await getSession()).put("user", "eve");
          throw new Error("on purpose");
        });`,
    },
    page: "/visits",
    more: visitServerComponents,
  },
];

/** A page that fails saves nothing, and a handler of one route needs no plugin. */
async function visitNuxt(app: RunningApp): Promise<void> {
  const visitor = visitorOf(app);
  const page = async () => /Visit \d+ of \w+/.exec(await visitor.text("/"))?.[0];
  await (await visitor.post("/login")).body?.cancel();
  const failed = await visitor.visit("/?fail", { headers: { Accept: "text/html" } });
  assertMatch(await failed.text(), /on purpose/);
  assertEquals([failed.status, failed.headers.getSetCookie()], [418, []], app.process.output());
  assertEquals(await page(), "Visit 1 of zoe");
  assertEquals(await visitor.text("/web"), "Web 2");
  assertEquals(await visitor.text("/bare"), "Bare 500");
  assertEquals(await page(), "Visit 3 of zoe");
  const another = visitorOf(app);
  assertEquals(await another.text("/web"), "Web 1");
  assertEquals(await another.text("/web"), "Web 2");
}

/** Astro's own session lies in a store of this package. */
async function visitAstroSession(app: RunningApp): Promise<void> {
  const visitor = visitorOf(app);
  assertEquals(await visitor.text("/own"), "Own 1");
  assertEquals(await visitor.text("/own"), "Own 2");
  const headers = { Origin: `http://127.0.0.1:${app.port}` };
  assertEquals(await (await visitor.visit("/own", { method: "DELETE", headers })).text(), "gone");
  assertEquals(await visitor.text("/own"), "Own 1");
}

/** A server component reads what a route handler has written, and an action signs somebody else in. */
async function visitServerComponents(app: RunningApp): Promise<void> {
  const visitor = visitorOf(app);
  await (await visitor.post("/login")).body?.cancel();
  const page = await visitor.visit("/");
  const html = await page.text();
  assertMatch(html, /Hello zoe/);
  assertEquals(page.headers.getSetCookie(), []);
  assertMatch(page.headers.get("Cache-Control") ?? "", /private|no-store/);

  const action = /name="(\$ACTION_ID_\w+|\$ACTION_REF_\d+)"/.exec(html);
  assert(action !== null, html);
  const form = new FormData();
  for (const [, name, value] of html.matchAll(/<input type="hidden" name="([^"]+)"(?: value="([^"]*)")?/g)) {
    form.append(name!, (value ?? "").replaceAll("&quot;", '"'));
  }
  const before = visitor.token;
  const renamed = await visitor.visit("/", { method: "POST", body: form });
  await renamed.body?.cancel();
  const cookies = renamed.headers.getSetCookie();
  assertEquals([renamed.status, cookies.length], [303, 1], app.process.output());
  // The idle timeout is not the cookie's end.
  const expires = Date.parse(/Expires=([^;]+)/.exec(cookies[0]!)![1]!);
  assert(expires > Date.now() + 23 * 3_600_000, cookies[0]);
  assertNotEquals(visitor.token, before);
  assertMatch(await visitor.text("/"), /Hello ann/);
}

/** They ask at their first start, and would send what they find. */
const NO_TELEMETRY = {
  ASTRO_TELEMETRY_DISABLED: "1",
  NEXT_TELEMETRY_DISABLED: "1",
  NUXT_TELEMETRY_DISABLED: "1",
};

/** A command of the page: variables, then Node or the program of a package, with its arguments. */
function parseCommand(line: string): { args: string[]; env: Record<string, string> } {
  const words = line.split(" ");
  const env: Record<string, string> = { ...NO_TELEMETRY };
  while (words[0]!.includes("=")) {
    const [name, value] = words.shift()!.split("=");
    env[name!] = value!;
  }
  const [program, ...args] = words;
  if (program === "node") return { args, env };
  if (program !== "npx") throw new Error(`A recipe starts by node or npx: ${line}`);
  return { args: [`../../node_modules/.bin/${args[0]}`, ...args.slice(1)], env };
}

// RECIPE=Astro runs one of them.
const chosen = RECIPES.filter(({ section }) => section.includes(Deno.env.get("RECIPE") ?? ""));

for (const packages of new Set(chosen.map((recipe) => recipe.packages))) {
  Deno.test(`The recipes of docs/frameworks.md that need a build: ${packages}`, async (t) => {
    await using workshop = await openWorkshop(packages);
    for (const one of chosen.filter((recipe) => recipe.packages === packages)) {
      const { section, variant, packages: _, files, routes, more, ...expected } = one;
      const name = variant ?? section;
      await t.step(name, async () => {
        const own = { ...recipe(section), ...(variant && recipe(variant)) };
        if (routes !== undefined) own[routes.file] = withRoutes(own[routes.file]!, routes.text);
        const dir = await workshop.make(name.replaceAll(/\W+/g, "-").toLowerCase(), { ...own, ...files });
        const { build, start } = commandsOf(section);
        for (const line of build) {
          const { args, env } = parseCommand(line);
          await run(`The build of ${name}`, dir, RUNNERS.node(), args, env);
        }
        const { args, env } = parseCommand(start);
        await using app = await startApp("node", dir, args, env);
        await visitAll(app, expected);
        await more?.(app);
      });
    }
  });
}

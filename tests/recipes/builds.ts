/**
 * The recipes of frameworks that need a build, as docs/frameworks.md has them: `deno task recipes`.
 * @module
 */

import { openWorkshop, run, RUNNERS, type RunningApp, startApp } from "./_apps.ts";
import { recipe, withRoutes } from "./_page.ts";
import { assert, assertEquals, assertMatch, assertNotEquals } from "../assert.ts";
import { type Expectations, visitAll, visitorOf } from "./_visits.ts";

interface Recipe extends Expectations {
  section: string;
  /** What the framework's starter brings, and the test's own routes. */
  files: Record<string, string>;
  /** Changes to the files of the page. */
  routes?: { file: string; text: string };
  build: string[];
  start: string[];
  env?: Record<string, string>;
  /** What this framework does besides. */
  more?(app: RunningApp): Promise<void>;
}

const bin = (path: string) => `../../node_modules/${path}`;

const RECIPES: Recipe[] = [
  {
    section: "React Router",
    files: {
      "vite.config.ts": `
        import { reactRouter } from "@react-router/dev/vite";
        import { defineConfig } from "vite";
        export default defineConfig({ plugins: [reactRouter()] });`,
      "react-router.config.ts": `export default { ssr: true };`,
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
    build: [bin("@react-router/dev/bin.cjs"), "build"],
    start: [bin("@react-router/serve/bin.cjs"), "build/server/index.js"],
  },
  {
    section: "SvelteKit",
    files: {
      "vite.config.ts": `
        import adapter from "@sveltejs/adapter-node";
        import { sveltekit } from "@sveltejs/kit/vite";
        import { defineConfig } from "vite";
        export default defineConfig({ plugins: [sveltekit({ adapter: adapter() })] });`,
      "src/app.html":
        `<!doctype html><html><head>%sveltekit.head%</head><body>%sveltekit.body%</body></html>`,
      "src/routes/plain/+server.ts": `export const GET = () => new Response("plain");`,
      "src/routes/fail/+page.svelte": "<p>never</p>",
      "src/routes/fail/+page.server.ts": `
        export async function load({ locals }) {
          (await locals.session()).put("user", "eve");
          throw new Error("on purpose");
        }`,
    },
    build: [bin("vite/bin/vite.js"), "build"],
    start: ["build/index.js"],
    // As its adapter for Node has it where no proxy says otherwise.
    origin: (port) => `https://127.0.0.1:${port}`,
    login: "/?/login",
    logout: "/?/logout",
    body: "a=b",
  },
  {
    section: "Astro",
    files: {
      "src/pages/plain.ts": `export const GET = () => new Response("plain");`,
      "src/pages/fail.astro": `---
(await Astro.locals.session()).put("user", "eve");
throw new Error("on purpose");
---
<p>never</p>`,
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
    build: [bin("astro/bin/astro.mjs"), "build"],
    start: ["dist/server/entry.mjs"],
    env: { ASTRO_TELEMETRY_DISABLED: "1" },
    more: visitAstroSession,
  },
  {
    section: "Next",
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
      "app/plain/route.ts": `export const GET = () => new Response("plain");`,
      "app/fail/route.ts": `
        import { withSessions } from "@x/sessions/middleware/fetch";
        import { manager } from "../../lib/sessions";
        export const GET = withSessions(manager, async (_request, getSession) => {
          (await getSession()).put("user", "eve");
          throw new Error("on purpose");
        });`,
    },
    build: [bin("next/dist/bin/next"), "build"],
    start: [bin("next/dist/bin/next"), "start"],
    // Over plain http, which a browser takes for safe on this machine alone.
    env: { NEXT_TELEMETRY_DISABLED: "1", COOKIE_SECURE: "false" },
    page: "/visits",
    more: visitServerComponents,
  },
];

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
  assertEquals([renamed.status, renamed.headers.getSetCookie().length], [303, 1], app.process.output());
  assertNotEquals(visitor.token, before);
  assertMatch(await visitor.text("/"), /Hello ann/);
}

Deno.test("The recipes of docs/frameworks.md that need a build", async (t) => {
  await using workshop = await openWorkshop("builds");
  // RECIPE=Astro runs one of them.
  const chosen = RECIPES.filter(({ section }) => section.includes(Deno.env.get("RECIPE") ?? ""));
  for (const { section, files, routes, build, start, env = {}, more, ...expected } of chosen) {
    await t.step(section, async () => {
      const own = recipe(section);
      if (routes !== undefined) own[routes.file] = withRoutes(own[routes.file]!, routes.text);
      const dir = await workshop.make(section.replaceAll(/\W+/g, "-").toLowerCase(), { ...own, ...files });
      await run(`The build of ${section}`, dir, RUNNERS.node(), build, env);
      await using app = await startApp("node", dir, start, env);
      await visitAll(app, expected);
      await more?.(app);
    });
  }
});

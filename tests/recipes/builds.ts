/**
 * The recipes of frameworks that need a build, as docs/frameworks.md has them: `deno task recipes`.
 * @module
 */

import { openWorkshop, run, RUNNERS, type RunningApp, startApp } from "./_apps.ts";
import { recipe, withRoutes } from "./_page.ts";
import { type Expectations, visitAll } from "./_visits.ts";

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
      "astro.config.mjs": `
        import node from "@astrojs/node";
        import { defineConfig } from "astro/config";
        export default defineConfig({ output: "server", adapter: node({ mode: "standalone" }) });`,
      "src/pages/plain.ts": `export const GET = () => new Response("plain");`,
      "src/pages/fail.astro": `---
(await Astro.locals.session()).put("user", "eve");
throw new Error("on purpose");
---
<p>never</p>`,
    },
    build: [bin("astro/bin/astro.mjs"), "build"],
    start: ["dist/server/entry.mjs"],
    env: { ASTRO_TELEMETRY_DISABLED: "1" },
  },
];

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

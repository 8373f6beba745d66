/**
 * What a session library adds to a cold start. An empty Worker is compared with one that uses this library and one that
 * uses hono-sessions, each with one route. Two things are measured: the start in the real `workerd`, until it listens and until
 * its first response; and in Deno the import of the bundled module and its first request.
 *
 *     deno run --allow-all --no-lock bench/cold_start.ts
 *
 * Medians of `STARTS` (15) alternating starts.
 *
 * @module
 */

import { startWorker } from "../tests/services/workerd.ts";
import { quantile } from "./_measure.ts";
import { circumstances, figure, markdownTable, numberSetting } from "./_report.ts";

const STARTS = numberSetting("STARTS", 15);
const ROOT = new URL("../", import.meta.url);
const own = (path: string) => JSON.stringify(new URL(path, ROOT).href);

const WORKERS: Record<string, string> = {
  "Hono alone": `
    import { Hono } from "hono";
    export default new Hono().get("/", (c) => c.text("read"));`,
  "@x/sessions": `
    import { Hono } from "hono";
    import { sessions } from ${own("mod.ts")};
    import { honoSessions } from ${own("middleware/hono.ts")};
    export default new Hono().use(honoSessions(sessions())).get("/", async (c) => {
      const session = await c.var.session();
      session.put("name", "Zoë");
      return c.text("read");
    });`,
  "hono-sessions": `
    import { Hono } from "hono";
    import { MemoryStore, sessionMiddleware } from "npm:hono-sessions@0.8.1";
    export default new Hono()
      .use("*", sessionMiddleware({ store: new MemoryStore(), expireAfterSeconds: 86_400 }))
      .get("/", (c) => {
        c.get("session").set("name", "Zoë");
        return c.text("read");
      });`,
};

/** Prints the time of the import and of the first request, in milliseconds. */
const PROBE = `
  const started = performance.now();
  const { default: app } = await import(Deno.args[0]);
  const imported = performance.now();
  const response = await app.fetch(new Request("https://example.com/"));
  await response.text();
  const answered = performance.now();
  if (response.status !== 200) throw new Error("status " + response.status);
  console.log(JSON.stringify([imported - started, answered - imported]));`;

async function run(args: string[]): Promise<string> {
  const { success, stdout, stderr } = await new Deno.Command(Deno.execPath(), {
    args,
    env: { NO_COLOR: "1" },
  })
    .output();
  const decoder = new TextDecoder();
  if (!success) throw new Error(`Cannot deno ${args[0]}:\n${decoder.decode(stderr)}`);
  return decoder.decode(stdout);
}

const directory = await Deno.makeTempDir({ prefix: "sessions_bench_" });
try {
  const probe = `${directory}/probe.js`;
  await Deno.writeTextFile(probe, PROBE);
  const bundles = new Map<string, string>();
  for (const [index, [name, source]] of Object.entries(WORKERS).entries()) {
    const [entry, bundle] = [`${directory}/worker_${index}.ts`, `${directory}/bundle_${index}.js`];
    await Deno.writeTextFile(entry, source);
    const config = decodeURIComponent(new URL("deno.json", ROOT).pathname);
    await run([
      "bundle",
      "--quiet",
      "--no-lock",
      "--minify",
      "--platform=browser",
      "--config",
      config,
      "--output",
      bundle,
      entry,
    ]);
    bundles.set(name, bundle);
  }

  const columns = ["listens", "first answer", "import", "first request"] as const;
  const times = new Map([...bundles.keys()].map((name) => [name, columns.map((): number[] => [])]));
  // The first turn fills caches, also in this process, which bundles each Worker once.
  for (let turn = -1; turn < STARTS; turn++) {
    for (const [name, bundle] of bundles) {
      const started = performance.now();
      const worker = await startWorker({ entry: bundle });
      const listening = performance.now();
      const response = await worker.fetch("/");
      await response.text();
      const answered = performance.now();
      await worker.stop();
      if (response.status !== 200) throw new Error(`${name} answered ${response.status}`);
      const inDeno = JSON.parse(
        await run(["run", "--quiet", "--no-config", "--allow-read", probe, `file://${bundle}`]),
      );
      if (turn < 0) continue;
      for (const [column, time] of [listening - started, answered - listening, ...inDeno].entries()) {
        times.get(name)![column]!.push(time);
      }
    }
  }
  const sizes = new Map<string, number>();
  for (const [name, bundle] of bundles) sizes.set(name, (await Deno.stat(bundle)).size);
  console.log(`${circumstances()}; milliseconds at the median of ${STARTS} starts\n`);
  console.log(markdownTable(
    ["Worker", "kB, minified", "workerd listens", "first answer", "Deno imports", "first request"],
    [...times].map(([name, taken]) => [
      name,
      figure(sizes.get(name)! / 1_000, 1),
      ...taken.map((column) => figure(quantile(column, 0.5), 2)),
    ]),
  ));
} finally {
  await Deno.remove(directory, { recursive: true });
}

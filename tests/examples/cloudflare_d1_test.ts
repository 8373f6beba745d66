/**
 * `examples/cloudflare-d1` copied into an empty directory, in Cloudflare's own runtime with its own D1.
 */

import { D1Store } from "../../stores/d1.ts";
import { fencesIn, readRepoFile, sectionIn } from "../_markdown.ts";
import { assertEquals } from "../assert.ts";
import { startD1Worker } from "../services/d1.ts";
import { installExample } from "../services/packed.ts";
import { typeReadme, visitExample } from "./_visit.ts";

const EXAMPLE = new URL("../../examples/cloudflare-d1/", import.meta.url);
const MIGRATION = "migrations/0001_sessions.sql";

Deno.test("The migration of examples/cloudflare-d1 makes the table of the store", async () => {
  const sql = await Deno.readTextFile(new URL(MIGRATION, EXAMPLE));
  const store = new D1Store({
    prepare: () => {
      throw new Error("nothing is sent");
    },
    batch: () => Promise.reject(new Error("nothing is sent")),
  });
  assertEquals(sql.trim().split("\n").map((line) => line.replace(/;$/, "")), store.schema());
});

Deno.test("examples/cloudflare-d1 serves sessions in D1, and takes the event of its cron trigger", async () => {
  await using app = await installExample(EXAMPLE);
  const { main } = parseWithComments(await Deno.readTextFile(`${app.dir}/wrangler.jsonc`));
  await using worker = await startD1Worker(app.dir, { entry: main, migration: MIGRATION });
  await visitExample(worker.url);
  await typeReadme(EXAMPLE, worker.url);
  assertEquals(await worker.scheduled(), "ok");
});

Deno.test("The Worker of docs/stores.md with a manager at module scope serves many requests at once", async () => {
  await using app = await installExample(EXAMPLE);
  const section = sectionIn(readRepoFile("docs/stores.md"), "On Cloudflare Workers");
  const code = fencesIn(section).find(({ text }) => text.includes("cloudflare:workers"))!.text;
  await Deno.writeTextFile(`${app.dir}/module_scope.ts`, code);
  await using worker = await startD1Worker(app.dir, { entry: "module_scope.ts", migration: MIGRATION });
  const first = await fetch(worker.url);
  assertEquals(await first.json(), { visits: 1 });
  const headers = { Cookie: first.headers.get("Set-Cookie")!.split(";")[0]! };
  const visit = async () => (await (await fetch(worker.url, { headers })).json()).visits as number;
  await Promise.all(Array.from({ length: 20 }, visit));
  assertEquals(await visit(), 22);
  assertEquals(await worker.scheduled(), "ok");
});

function parseWithComments(text: string): { main: string } {
  return JSON.parse(text.replaceAll(/^\s*\/\/.*$/gm, ""));
}

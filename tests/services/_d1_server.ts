/**
 * A process with Miniflare, which runs a Worker, such as that of `_d1_worker.ts`. Its database is made by the migration
 * that comes second. It says its address and ends with its parent.
 */
import { Miniflare } from "miniflare";

const [code, migration] = Deno.args as [string, string?];
const parent = Deno.ppid;
const miniflare = new Miniflare({
  modules: true,
  script: await Deno.readTextFile(code),
  compatibilityDate: "2026-06-01",
  d1Databases: ["DB"],
  // A cron event comes as a request to /cdn-cgi/handler/scheduled.
  unsafeTriggerHandlers: true,
});
if (migration !== undefined) {
  const database = await miniflare.getD1Database("DB");
  const statements = (await Deno.readTextFile(migration)).split(";").filter((text) => text.trim() !== "");
  await database.batch(statements.map((statement) => database.prepare(statement)));
}
console.log(`listening on ${(await miniflare.ready).origin}`);
// Nobody can end workerd after this process was killed. So the parent is killed, and this one notices.
setInterval(async () => {
  if (Deno.ppid === parent) return;
  await miniflare.dispose();
  Deno.exit();
}, 300);

/**
 * A process with Miniflare, which runs a Worker such as that of `_d1_worker.ts`. Its second argument is the migration
 * that creates the database's tables. It prints its address and ends with its parent.
 */
import { Miniflare } from "miniflare";

const [code, migration] = Deno.args as [string, string?];
const parent = Deno.ppid;
const miniflare = new Miniflare({
  modules: true,
  script: await Deno.readTextFile(code),
  compatibilityDate: "2026-06-01",
  d1Databases: ["DB"],
  // A request to /cdn-cgi/handler/scheduled triggers a cron event.
  unsafeTriggerHandlers: true,
});
if (migration !== undefined) {
  const database = await miniflare.getD1Database("DB");
  const statements = (await Deno.readTextFile(migration)).split(";").filter((text) => text.trim() !== "");
  await database.batch(statements.map((statement) => database.prepare(statement)));
}
console.log(`listening on ${(await miniflare.ready).origin}`);
// If this process were killed, nothing could end workerd. So the parent is killed, and this process notices and ends.
setInterval(async () => {
  if (Deno.ppid === parent) return;
  await miniflare.dispose();
  Deno.exit();
}, 300);

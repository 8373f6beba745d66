/** A process with Miniflare, which runs the Worker of `_d1_worker.ts`. It says its address and ends with its parent. */
import { Miniflare } from "miniflare";

const [code] = Deno.args as [string];
const parent = Deno.ppid;
const miniflare = new Miniflare({
  modules: true,
  script: await Deno.readTextFile(code),
  compatibilityDate: "2026-06-01",
  d1Databases: ["DB"],
});
console.log(`listening on ${(await miniflare.ready).origin}`);
// Nobody can end workerd after this process was killed. So the parent is killed, and this one notices.
setInterval(async () => {
  if (Deno.ppid === parent) return;
  await miniflare.dispose();
  Deno.exit();
}, 300);

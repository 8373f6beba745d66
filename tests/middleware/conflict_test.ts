/**
 * Many requests that change one session at once.
 */

import { withSessions } from "../../middleware/fetch.ts";
import { MemoryStore, sessions } from "../../mod.ts";
import { assert, assertEquals } from "../assert.ts";
import { aroundCalls } from "../counting_store.ts";
import { before, interleave } from "../scenarios/_interleaving.ts";

interface Data {
  count: number;
}

Deno.test("A request that met a conflict pauses before it reads again, not between reading and writing", async () => {
  const inner = new MemoryStore({ cleanup: "off" });
  const rivals = sessions<Data>({ store: inner });
  const session = await rivals.load();
  session.put("count", 0);
  const { token } = await session.commit();

  const rival = before(async () => {
    const another = await rivals.load(token);
    another.update("count", (count = 0) => count + 1);
    await another.commit();
  });
  const steps: string[] = [];
  const store = aroundCalls(interleave(inner, { update: Array(6).fill(rival) }), (method, call) => {
    steps.push(method);
    return call();
  });
  const handler = withSessions(sessions<Data>({ store }), async (_request, getSession) => {
    (await getSession()).update("count", (count = 0) => count + 1);
    return new Response();
  });

  // The pauses that are asked for, not those that are taken: a busy machine stands still anywhere. For the request no
  // time passes.
  const { setTimeout: start } = globalThis;
  const { now } = performance;
  const time = now.call(performance);
  performance.now = () => time;
  let asked = 0;
  globalThis.setTimeout = ((run: () => void, ms: number) => {
    steps.push("pause");
    asked += ms;
    return start(run);
  }) as typeof setTimeout;
  try {
    const headers = { Cookie: `__Host-session=${token}` };
    assertEquals((await handler(new Request("https://example.com/", { headers }))).status, 200);
  } finally {
    globalThis.setTimeout = start;
    performance.now = now;
  }
  assertEquals((await rivals.load(token)).get("count"), 7);
  // What others write meanwhile would be the next conflict: measured with 100 writers, five times as many attempts.
  assertEquals(steps, ["find", ...Array(6).fill(["update", "pause", "find"]).flat(), "update"]);
  assert(asked > 0, "the pauses are none");
});

/**
 * Many requests that change one session at once.
 */

import { withSessions } from "../../middleware/fetch.ts";
import { MemoryStore, sessions } from "../../mod.ts";
import { assert, assertEquals } from "../assert.ts";
import { aroundCalls } from "../counting_store.ts";
import { before, interleave } from "../manager/_interleaving.ts";

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
  const pauses: Record<string, number> = {};
  let last: { method: string; time: number } | undefined;
  const store = aroundCalls(interleave(inner, { update: Array(6).fill(rival) }), async (method, call) => {
    if (last !== undefined) {
      const between = `${last.method} ${method}`;
      pauses[between] = (pauses[between] ?? 0) + performance.now() - last.time;
    }
    const result = await call();
    last = { method, time: performance.now() };
    return result;
  });
  const handler = withSessions(sessions<Data>({ store }), async (_request, getSession) => {
    (await getSession()).update("count", (count = 0) => count + 1);
    return new Response();
  });

  const headers = { Cookie: `__Host-session=${token}` };
  assertEquals((await handler(new Request("https://example.com/", { headers }))).status, 200);
  assertEquals((await rivals.load(token)).get("count"), 7);
  // What others write meanwhile would be the next conflict: measured with 100 writers, five times as many attempts.
  assert(pauses["update find"]! > 3 * pauses["find update"]!, JSON.stringify(pauses));
});

/** Many concurrent requests that change one session. */

import { withSessions } from "../../middleware/fetch.ts";
import { MemoryStore, sessions } from "../../mod.ts";
import { assert, assertEquals } from "../assert.ts";
import { aroundCalls } from "../counting_store.ts";
import { before, interleave } from "../scenarios/_interleaving.ts";

interface Data {
  count: number;
}

/** A store whose calls may hang, like one behind a network. */
class FarStore extends MemoryStore {
  override readonly timeout: number = 5_000;
}

Deno.test("After a conflict a request pauses before it reads again, not between reading and writing", async () => {
  const inner = new FarStore({ cleanup: "off" });
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

  // Pauses that were requested, not those that were taken, because a busy machine may pause anywhere. For the request
  // no time passes.
  const { setTimeout: start } = globalThis;
  const { now } = performance;
  const time = now.call(performance);
  performance.now = () => time;
  let asked = 0;
  globalThis.setTimeout = ((run: () => void, ms: number) => {
    if (ms > 4_900) return start(run, ms); // the time limit of a call
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
  // A write of another request during the pause would be the next conflict. With 100 writers that cost five times as
  // many attempts.
  assertEquals(steps, ["find", ...Array(6).fill(["update", "pause", "find"]).flat(), "update"]);
  assert(asked > 0, "the pauses are none");
});

Deno.test("Conflicting requests in one process need no timer", async () => {
  const manager = sessions<Data>({ store: new MemoryStore({ cleanup: "off" }) });
  const session = await manager.load();
  session.put("count", 0);
  const { token } = await session.commit();
  const handler = withSessions(manager, async (_request, getSession) => {
    (await getSession()).update("count", (count = 0) => count + 1);
    return new Response();
  });
  const ask = () =>
    handler(new Request("https://example.com/", { headers: { Cookie: `__Host-session=${token}` } }));

  // As under a test framework's fake timers: clocks stand still, and no timer fires.
  const { setTimeout, setInterval } = globalThis;
  const { now } = performance;
  const time = now.call(performance);
  const started: unknown[] = [];
  globalThis.setTimeout = globalThis.setInterval = ((run: unknown) => started.push(run)) as never;
  performance.now = () => time;
  let statuses: number[] | undefined;
  try {
    const answered = Promise.all(Array.from({ length: 50 }, ask));
    const late = new Promise<never>((_, reject) => {
      const timer = setTimeout(() => reject(new Error("a request waits for a timer")), 20_000);
      answered.finally(() => clearTimeout(timer)).catch(() => {});
    });
    statuses = (await Promise.race([answered, late])).map(({ status }) => status);
  } finally {
    Object.assign(globalThis, { setTimeout, setInterval });
    performance.now = now;
  }
  assertEquals(statuses, Array(50).fill(200));
  assertEquals((await manager.load(token)).get("count"), 50);
  assertEquals(started, []);
});

/** Many concurrent requests that change one session. */

import { createClient } from "@libsql/client";
import { DatabaseSync } from "node:sqlite";
import { withSessions } from "../../middleware/fetch.ts";
import { MemoryStore, sessions, type SessionStore } from "../../mod.ts";
import { LibSQLStore } from "../../stores/libsql.ts";
import { SQLiteStore } from "../../stores/sqlite.ts";
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

const IN_PROCESS: Record<string, { open: () => Promise<SessionStore>; count: number }> = {
  MemoryStore: { open: () => Promise.resolve(new MemoryStore({ cleanup: "off" })), count: 50 },
  SQLiteStore: {
    open: async () => {
      const store = new SQLiteStore(new DatabaseSync(":memory:"), { cleanup: "off" });
      await store.createTable();
      return store;
    },
    count: 4,
  },
  "LibSQLStore in memory": {
    open: async () => {
      const store = new LibSQLStore(createClient({ url: ":memory:" }), { cleanup: "off" });
      await store.createTable();
      return store;
    },
    count: 4,
  },
};

for (const [name, { open, count }] of Object.entries(IN_PROCESS)) {
  Deno.test(`${count} conflicting requests in one process need no timer to fire [${name}]`, async () => {
    const manager = sessions<Data>({ store: await open() });
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
    const { setTimeout, setInterval, clearTimeout } = globalThis;
    const { now } = performance;
    const time = now.call(performance);
    const pauses: number[] = [];
    globalThis.setTimeout = globalThis.setInterval = ((_run: unknown, ms: number) => {
      // The time limit of a call is no pause.
      if (ms < 4_000) pauses.push(ms);
      return -1;
    }) as never;
    globalThis.clearTimeout = (id) => id === -1 || clearTimeout(id);
    performance.now = () => time;
    let statuses: number[] | undefined;
    try {
      const answered = Promise.all(Array.from({ length: count }, ask));
      const late = new Promise<never>((_, reject) => {
        const timer = setTimeout(() => reject(new Error("a request waits for a timer")), 20_000);
        answered.finally(() => clearTimeout(timer)).catch(() => {});
      });
      statuses = (await Promise.race([answered, late])).map(({ status }) => status);
    } finally {
      Object.assign(globalThis, { setTimeout, setInterval, clearTimeout });
      performance.now = now;
    }
    assertEquals(statuses, Array(count).fill(200));
    assertEquals((await manager.load(token)).get("count"), count);
    assertEquals(pauses, []);
  });
}

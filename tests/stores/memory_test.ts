import { Buffer } from "node:buffer";
import fc from "../fast_check.ts";
import TinyQueue from "tinyqueue";
import { publicId } from "../../core/bytes/token.ts";
import type { SessionEvent } from "../../mod.ts";
import { MemoryStore, type MemoryStoreOptions } from "../../stores/memory.ts";
import { assert, assertEquals } from "../assert.ts";
import { documentedDefaults, sourceOf } from "../core/options/_documented_defaults.ts";

const AT_0 = { now: 0 };
const data = (byte: number) => Uint8Array.of(byte);

/** A store without clean-up, and the events of its evictions. */
function newStore(options: MemoryStoreOptions = {}) {
  const events: SessionEvent[] = [];
  const store = new MemoryStore({ cleanup: "off", ...options });
  const add = async (token: string, expiry: number, now = 0) => {
    await store.commit(token, data(1), expiry, { now, onEvent: (event) => void events.push(event) });
  };
  const tokens = async (now = 0) => (await Array.fromAsync(store.all({ now }), ({ token }) => token)).sort();
  return { store, events, add, tokens };
}

const evicted = (token: string): SessionEvent => ({ kind: "evicted", id: publicId(token) });

Deno.test("MemoryStore keeps a copy of the bytes, so a later change of them has no effect", async () => {
  const { store } = newStore();
  const given = data(1);
  await store.commit("committed", given, 10, AT_0);
  await store.create("created", given, 10, AT_0);
  const next = data(2);
  await store.commit("updated", given, 10, AT_0);
  await store.update("updated", data(1), { token: "updated", data: next, expiry: 10 }, AT_0);
  given[0] = next[0] = 9;
  assertEquals((await store.find("committed", AT_0))?.data, data(1));
  assertEquals((await store.find("created", AT_0))?.data, data(1));
  assertEquals((await store.find("updated", AT_0))?.data, data(2));
});

Deno.test("MemoryStore returns copies, so a change of them has no effect", async () => {
  const { store } = newStore();
  await store.commit("a", data(1), 10, { now: 0, subject: "zoe" });
  const found = await store.find("a", AT_0);
  const [listed] = await Array.fromAsync(store.all(AT_0));
  const [owned] = await Array.fromAsync(store.findBySubject("zoe", AT_0));
  for (const row of [found, listed, owned]) {
    row!.data[0] = 9;
    row!.expiry = 99;
  }
  assertEquals(await store.find("a", AT_0), { data: data(1), expiry: 10 });
});

Deno.test("MemoryStore copies a Buffer too, whose slice() does not copy", async () => {
  const { store } = newStore();
  const given = Buffer.from("abc");
  await store.commit("a", given, 10, AT_0);
  given.fill(0);
  (await store.find("a", AT_0))!.data.fill(1);
  assertEquals((await store.find("a", AT_0))?.data, new TextEncoder().encode("abc"));
});

Deno.test("MemoryStore keeps only the given part of a larger buffer", async () => {
  const { store } = newStore();
  await store.commit("a", Uint8Array.of(0, 1, 2, 3).subarray(1, 3), 10, AT_0);
  const found = await store.find("a", AT_0);
  assertEquals([...found!.data], [1, 2]);
  assertEquals(found!.data.buffer.byteLength, 2);
});

Deno.test("MemoryStore.find() gives undefined from the moment now equals expiry", async () => {
  const { store, add } = newStore();
  await add("a", 1_000);
  assertEquals((await store.find("a", { now: 999 }))?.expiry, 1_000);
  assertEquals(await store.find("a", { now: 1_000 }), undefined);
  assertEquals(await store.find("a", { now: 1_001 }), undefined);
  assertEquals(store.size, 1);
});

Deno.test("MemoryStore lists, updates and touches nothing from the moment now equals expiry", async () => {
  const { store, tokens } = newStore();
  await store.commit("a", data(1), 1_000, { now: 0, subject: "zoe" });
  const bySubject = (now: number) => Array.fromAsync(store.findBySubject("zoe", { now }));
  assertEquals([(await tokens(999)).length, (await bySubject(999)).length], [1, 1]);
  assertEquals([(await tokens(1_000)).length, (await bySubject(1_000)).length], [0, 0]);
  await store.touch("a", 5_000, { now: 1_000 });
  const next = { token: "a", data: data(2), expiry: 5_000 };
  assertEquals(await store.update("a", data(1), next, { now: 1_000 }), false);
  assertEquals(await store.find("a", { now: 999 }), { data: data(1), expiry: 1_000 });
  assertEquals(await store.update("a", data(1), next, { now: 999 }), true);
  await store.touch("a", 6_000, { now: 4_999 });
  assertEquals((await store.find("a", { now: 5_000 }))?.expiry, 6_000);
});

Deno.test("MemoryStore.deleteExpired() deletes from the moment now equals expiry plus grace", async () => {
  const { store, add, tokens } = newStore();
  await add("a", 1_000);
  assertEquals(await store.deleteExpired({ now: 999 }), 0);
  assertEquals(await store.deleteExpired({ now: 1_499, grace: 500 }), 0);
  assertEquals(await tokens(), ["a"]);
  assertEquals(await store.deleteExpired({ now: 1_500, grace: 500 }), 1);
  assertEquals(store.size, 0);
});

Deno.test("MemoryStore.deleteExpired() deletes the longest expired first, up to its limit", async () => {
  const { store, add, tokens } = newStore();
  for (const expiry of [30, 10, 50, 20, 40]) await add(`t${expiry}`, expiry);
  assertEquals(await store.deleteExpired({ now: 45, limit: 2 }), 2);
  assertEquals(await tokens(), ["t30", "t40", "t50"]);
  assertEquals(await store.deleteExpired({ now: 45 }), 2);
  assertEquals(await tokens(), ["t50"]);
});

Deno.test("MemoryStore.deleteExpired() deletes nothing by a time that is not a number", async () => {
  const store = new MemoryStore();
  await store.commit("a", new Uint8Array([1]), 2_000, { now: 1_000 });
  assertEquals(await store.deleteExpired({ now: NaN }), 0);
  assertEquals(await store.deleteExpired({ now: 3_000, grace: NaN }), 0);
  assertEquals(store.size, 1);
});

Deno.test("MemoryStore.deleteExpired() deletes at most 1,000 without a limit", async () => {
  const { store, add } = newStore();
  for (let i = 0; i < 1_001; i++) await add(`t${i}`, 1);
  assertEquals([await store.deleteExpired({ now: 1 }), await store.deleteExpired({ now: 1 })], [1_000, 1]);
});

Deno.test("A full MemoryStore drops an expired session first, without an event", async () => {
  const { events, add, tokens } = newStore({ maxSessions: 3 });
  await add("live", 500);
  await add("expired", 100);
  await add("other", 600);
  await add("new", 50_000, 100);
  assertEquals(await tokens(), ["live", "new", "other"]);
  assertEquals(events, []);
});

Deno.test("A full MemoryStore evicts the session that expires soonest, with an event", async () => {
  const { store, events, add, tokens } = newStore({ maxSessions: 3 });
  for (const expiry of [300, 100, 200]) await add(`t${expiry}`, expiry);
  await add("new", 400, 99);
  assertEquals(await tokens(), ["new", "t200", "t300"]);
  // A new session that expires sooner than all others is kept all the same, since it is in use.
  assertEquals(
    await store.create("brief", data(1), 150, { now: 99, onEvent: (event) => events.push(event) }),
    true,
  );
  assertEquals(await tokens(), ["brief", "new", "t300"]);
  await add("last", 500, 99);
  assertEquals(await tokens(), ["last", "new", "t300"]);
  assertEquals(events, [evicted("t100"), evicted("t200"), evicted("brief")]);
});

Deno.test("A full MemoryStore evicts nothing when it changes a session that it holds", async () => {
  const { store, events, add, tokens } = newStore({ maxSessions: 2 });
  await add("a", 100);
  await add("b", 200);
  await add("a", 300);
  assertEquals(await store.create("b", data(2), 400, AT_0), false);
  await store.update("b", data(1), { token: "b", data: data(2), expiry: 400 }, AT_0);
  await store.update("a", data(1), { token: "renewed", data: data(2), expiry: 500 }, AT_0);
  await store.touch("b", 600, AT_0);
  assertEquals([await tokens(), events, store.size], [["b", "renewed"], [], 2]);
});

Deno.test("A touch keeps a session from eviction and from deletion", async () => {
  const { store, events, add, tokens } = newStore({ maxSessions: 3 });
  for (const expiry of [100, 200, 300]) await add(`t${expiry}`, expiry);
  await store.touch("t100", 1_000, AT_0);
  await add("new", 400);
  assertEquals(await tokens(), ["new", "t100", "t300"]);
  await store.touch("t300", 2_000, AT_0);
  assertEquals(await store.deleteExpired({ now: 500 }), 1);
  assertEquals(await tokens(), ["t100", "t300"]);
  await add("more", 3_000, 500);
  await add("most", 4_000, 500);
  assertEquals(await tokens(), ["more", "most", "t300"]);
  assertEquals(events, [evicted("t200"), evicted("t100")]);
});

Deno.test("A touch that would move an expiry back changes nothing", async () => {
  const { store, add } = newStore();
  await add("a", 1_000);
  await store.touch("a", 500, AT_0);
  await store.touch("missing", 500, AT_0);
  assertEquals([(await store.find("a", AT_0))?.expiry, store.size], [1_000, 1]);
});

Deno.test("A session whose expiry moved back is evicted and deleted by the new expiry", async () => {
  const { store, add, tokens } = newStore({ maxSessions: 2 });
  await add("a", 1_000);
  await add("b", 500);
  await add("a", 100);
  await add("c", 2_000);
  assertEquals(await tokens(), ["b", "c"]);
  await store.update("c", data(1), { token: "c", data: data(1), expiry: 50 }, AT_0);
  assertEquals(await store.deleteExpired({ now: 60 }), 1);
  assertEquals(await tokens(), ["b"]);
});

Deno.test("MemoryStore holds maxSessions, 100,000 by default, and no more", async () => {
  const documented = documentedDefaults(sourceOf("stores/memory.ts"), "MemoryStoreOptions");
  assertEquals(documented.get("maxSessions"), "100000");
  const { store, add, events } = newStore();
  for (let i = 0; i < 100_010; i++) await add(`t${i}`, 1_000 + i);
  assertEquals(store.size, 100_000);
  assertEquals(events.length, 10);
  assertEquals([await store.find("t9", AT_0), (await store.find("t10", AT_0))?.expiry], [undefined, 1_010]);
});

/** Runs work, and gives the greatest length that any store's queue had during it. */
async function longestQueue(work: () => Promise<void>): Promise<number> {
  const { push } = TinyQueue.prototype;
  let longest = 0;
  TinyQueue.prototype.push = function (item: unknown): void {
    push.call(this, item);
    longest = Math.max(longest, this.length);
  };
  try {
    await work();
  } finally {
    TinyQueue.prototype.push = push;
  }
  return longest;
}

const CHURN: [what: string, churn: (store: MemoryStore, i: number) => Promise<unknown>][] = [
  ["commits of the same session", (store, i) => store.commit("a", data(1), 1_000 + i, AT_0)],
  ["sessions that come and go", async (store, i) => {
    await store.create(`t${i}`, data(1), 1_000 + i, AT_0);
    await store.delete(`t${i}`);
  }],
  ["renewals", async (store, i) => {
    if (i === 0) await store.create("t0", data(1), 1_000, AT_0);
    await store.update(`t${i}`, data(1), { token: `t${i + 1}`, data: data(1), expiry: 1_000 }, AT_0);
  }],
  ["renewals that leave marks", async (store, i) => {
    if (i === 0) await store.create("t0", data(1), 1_000, AT_0);
    const next = { token: `t${i + 1}`, data: data(1), mark: { data: data(2), expiry: 500 + i } };
    assertEquals(await store.update(`t${i}`, data(1), next, AT_0), true);
  }],
  ["renewals of subjects that end", async (store, i) => {
    await store.create(`t${i}`, data(1), 1_000, { now: 0, subject: `s${i}` });
    await store.update(`t${i}`, data(1), { token: `u${i}`, data: data(1), subject: `r${i}` }, AT_0);
    assertEquals([await store.deleteBySubject(`s${i}`), await store.deleteBySubject(`r${i}`)], [0, 1]);
  }],
  ["touches between evictions", async (store, i) => {
    await store.touch(`t${i - 1}`, 5_000 + i, AT_0);
    await store.create(`t${i}`, data(1), 1_000 + i, AT_0);
  }],
  ["sessions of subjects that end", async (store, i) => {
    await store.create(`t${i}`, data(1), 1_000, { now: 0, subject: `s${i}` });
    await store.deleteBySubject(`s${i}`);
  }],
];

for (const [what, churn] of CHURN) {
  Deno.test(`MemoryStore does not grow with 20,000 ${what}`, async () => {
    const { store } = newStore({ maxSessions: 50 });
    const longest = await longestQueue(async () => {
      for (let i = 0; i < 20_000; i++) await churn(store, i);
    });
    assert(store.size <= 50);
    assert(longest > 0 && longest <= 2 * 50 + 102, `${longest} places`);
  });
}

Deno.test("MemoryStore deletes by an expiry that moved back, before and after it rebuilds its queue", async () => {
  for (let moves = 95; moves < 110; moves++) {
    const { store, add } = newStore();
    await add("a", 1_000);
    for (let i = 1; i <= moves; i++) {
      await store.update("a", data(1), { data: data(1), expiry: 1_000 - i }, AT_0);
    }
    assertEquals(await store.deleteExpired({ now: 1_000 - moves }), 1, `after ${moves} moves`);
  }
});

const MARK = { data: data(9), expiry: 60 };

Deno.test("A renewal of MemoryStore leaves a mark that counts in size, has no subject, and expires", async () => {
  const { store } = newStore();
  await store.create("old", data(1), 100, { now: 0, subject: "zoe" });
  assertEquals(await store.update("old", data(1), { token: "new", data: data(2), mark: MARK }, AT_0), true);
  assertEquals(await store.find("old", AT_0), MARK);
  assertEquals(await store.find("new", AT_0), { data: data(2), expiry: 100 });
  assertEquals(store.size, 2);
  const owned = await Array.fromAsync(store.findBySubject("zoe", AT_0), ({ token }) => token);
  assertEquals(owned, ["new"]);
  assertEquals(await store.deleteExpired({ now: 60 }), 1);
  assertEquals([await store.find("old", AT_0), store.size], [undefined, 1]);
});

Deno.test("A full MemoryStore never evicts a renewed session to make room for its mark", async () => {
  for (const expiry of [50, 70, 5_000]) {
    const { store, add } = newStore({ maxSessions: 3 });
    await add("old", expiry);
    for (const token of ["a", "b"]) await add(token, 1_000);
    assertEquals(await store.update("old", data(1), { token: "new", data: data(2), mark: MARK }, AT_0), true);
    assertEquals((await store.find("new", AT_0))?.data, data(2));
    assertEquals(store.size, 3);
  }
});

Deno.test("A full MemoryStore keeps the mark of a renewal, and drops it later without an event", async () => {
  const { store, events, add, tokens } = newStore({ maxSessions: 3 });
  const options = { now: 0, onEvent: (event: SessionEvent) => void events.push(event) };
  await add("old", 1_000);
  await add("a", 1_001);
  await add("b", 1_002);
  await store.update("old", data(1), { token: "new", data: data(2), mark: MARK }, options);
  assertEquals(await tokens(), ["b", "new", "old"]);
  assertEquals(events, [evicted("a")]);
  await add("c", 1_003);
  assertEquals(await tokens(), ["b", "c", "new"]);
  assertEquals(events, [evicted("a")]);
});

Deno.test("A MemoryStore for one session keeps a renewed one without its mark", async () => {
  const { store, add, tokens } = newStore({ maxSessions: 1 });
  await add("old", 1_000);
  await store.update("old", data(1), { token: "new", data: data(2), mark: MARK }, AT_0);
  assertEquals(await tokens(), ["new"]);
});

/** The shortest time of many calls, in milliseconds. */
async function shortest(call: () => Promise<unknown>): Promise<number> {
  let least = Infinity;
  for (let run = 0; run < 300; run++) {
    const started = performance.now();
    await call();
    least = Math.min(least, performance.now() - started);
  }
  return least;
}

Deno.test("MemoryStore finds and deletes one user's sessions as fast among 50,000 as among 500", async () => {
  const times: number[] = [];
  for (const others of [500, 50_000]) {
    const { store, add } = newStore();
    for (let i = 0; i < others; i++) await add(`t${i}`, 1_000);
    times.push(
      await shortest(async () => {
        for (const token of ["a", "b", "c"]) {
          await store.create(token, data(1), 1_000, { now: 0, subject: "zoe" });
        }
        assertEquals((await Array.fromAsync(store.findBySubject("zoe", AT_0))).length, 3);
        assertEquals(await store.deleteBySubject("zoe"), 3);
      }),
    );
  }
  // A walk over all sessions would take a hundred times as long.
  assert(times[1]! < 10 * times[0]!, `${times} ms`);
});

type Call =
  | { call: "commit" | "create" | "touch"; token: string; expiry: number }
  | { call: "update"; token: string; next: string; expiry: number }
  | { call: "delete"; token: string }
  | { call: "deleteExpired"; limit: number }
  | { call: "wait"; ms: number };

const token = fc.constantFrom("a", "b", "c", "d", "e", "f", "g", "h");
const expiry = fc.integer({ min: 1, max: 200 });
const write = fc.constantFrom("commit" as const, "create" as const, "touch" as const);
// Writes are so frequent that the store is full most of the time.
const call: fc.Arbitrary<Call> = fc.oneof(
  { weight: 9, arbitrary: fc.record({ call: write, token, expiry }) },
  { weight: 3, arbitrary: fc.record({ call: fc.constant("update" as const), token, next: token, expiry }) },
  fc.record({ call: fc.constant("delete" as const), token }),
  fc.record({ call: fc.constant("deleteExpired" as const), limit: fc.integer({ min: 0, max: 3 }) }),
  fc.record({ call: fc.constant("wait" as const), ms: fc.integer({ min: 0, max: 30 }) }),
);

/** A model of the store that has no queue and looks at every session. */
class Model {
  readonly rows = new Map<string, number>();
  readonly evicted: number[] = [];

  touch(token: string, expiry: number, now: number): void {
    if (this.#isLive(token, now) && expiry > this.rows.get(token)!) this.rows.set(token, expiry);
  }

  update(token: string, next: string, expiry: number, now: number): boolean {
    if (!this.#isLive(token, now) || (token !== next && this.rows.has(next))) return false;
    this.rows.delete(token);
    this.rows.set(next, expiry);
    return true;
  }

  insert(token: string, expiry: number, now: number): void {
    const soonest = this.#soonest();
    if (!this.rows.has(token) && this.rows.size >= 4 && soonest !== undefined) {
      this.rows.delete(soonest[0]);
      if (now < soonest[1]) this.evicted.push(soonest[1]);
    }
    this.rows.set(token, expiry);
  }

  deleteExpired(now: number, limit: number): number {
    let deleted = 0;
    for (
      let soonest = this.#soonest();
      deleted < limit && soonest && soonest[1] <= now;
      soonest = this.#soonest()
    ) {
      this.rows.delete(soonest[0]);
      deleted++;
    }
    return deleted;
  }

  #isLive(token: string, now: number): boolean {
    return now < (this.rows.get(token) ?? 0);
  }

  #soonest(): [string, number] | undefined {
    return [...this.rows].sort((a, b) => a[1] - b[1])[0];
  }
}

Deno.test("MemoryStore evicts and deletes the same sessions as a model that looks at all of them", async () => {
  let seen = 0;
  await fc.assert(
    fc.asyncProperty(fc.array(call, { minLength: 20, maxLength: 60 }), async (calls) => {
      let evictions = 0;
      const store = new MemoryStore({ cleanup: "off", maxSessions: 4 });
      const model = new Model();
      let now = 0;
      // All expiries differ, since either of two equal ones may go first.
      let fraction = 0;
      for (const each of calls) {
        const options = { now, onEvent: () => void evictions++ };
        const end = "expiry" in each ? now + each.expiry + ++fraction / 1_000 : 0;
        switch (each.call) {
          case "commit":
            await store.commit(each.token, data(1), end, options);
            model.insert(each.token, end, now);
            break;
          case "create": {
            const created = await store.create(each.token, data(1), end, options);
            assertEquals(created, !model.rows.has(each.token));
            if (created) model.insert(each.token, end, now);
            break;
          }
          case "touch":
            await store.touch(each.token, end, options);
            model.touch(each.token, end, now);
            break;
          case "update": {
            const { token, next } = each;
            const row = { token: next, data: data(1), expiry: end };
            assertEquals(
              await store.update(token, data(1), row, options),
              model.update(token, next, end, now),
            );
            break;
          }
          case "delete":
            assertEquals(await store.delete(each.token), model.rows.delete(each.token));
            break;
          case "deleteExpired": {
            const { limit } = each;
            assertEquals(await store.deleteExpired({ now, limit }), model.deleteExpired(now, limit));
            break;
          }
          case "wait":
            now += each.ms;
        }
        const rows = await Array.fromAsync(store.all({ now: -1 }), ({ token, expiry }) => [token, expiry]);
        assertEquals(new Map(rows as [string, number][]), model.rows);
        assertEquals([store.size, evictions], [model.rows.size, model.evicted.length]);
      }
      seen += evictions;
    }),
    { numRuns: 300 },
  );
  assert(seen > 300, `only ${seen} sessions were evicted`);
});

Deno.test("MemoryStore keeps the subject of a session that is written without one", async () => {
  const { store } = newStore();
  const count = async (subject: string) => (await Array.fromAsync(store.findBySubject(subject, AT_0))).length;
  await store.commit("a", data(1), 10, { now: 0, subject: "zoe" });
  await store.commit("a", data(2), 10, AT_0);
  assertEquals(await count("zoe"), 1);
  await store.update("a", data(2), { token: "b", data: data(3), expiry: 10 }, AT_0);
  assertEquals(await count("zoe"), 1);
  await store.update("b", data(3), { token: "b", data: data(4), expiry: 10, subject: "ann" }, AT_0);
  assertEquals([await count("zoe"), await count("ann")], [0, 1]);
  await store.update("b", data(4), { token: "b", data: data(5), expiry: 10, subject: null }, AT_0);
  assertEquals(await count("ann"), 0);
  assertEquals([await count("null"), await count("undefined"), await count("")], [0, 0, 0]);
});

// The leak sanitizer fails each of these if a timer is left.
for (
  const [what, use] of [
    ["before the first use", (store: MemoryStore) => (store.stopCleanup(), store.find("a", AT_0))],
    ["twice before the first use", (store: MemoryStore) => (store.stopCleanup(), store.stopCleanup())],
    ["after the first use", async (store: MemoryStore) => (await store.find("a", AT_0), store.stopCleanup())],
    ["twice", async (store: MemoryStore) => {
      await store.find("a", AT_0);
      store.stopCleanup();
      store.stopCleanup();
    }],
    ["between two uses", async (store: MemoryStore) => {
      await store.commit("a", data(1), 10, AT_0);
      store.stopCleanup();
      await store.commit("b", data(1), 10, AT_0);
      await store.find("b", AT_0);
    }],
  ] as const
) {
  Deno.test(`MemoryStore leaves no timer behind when stopCleanup() is called ${what}`, async () => {
    const store = new MemoryStore({ cleanup: "timer", cleanupInterval: "1h" });
    await use(store);
    await store.commit("later", data(1), 10, AT_0);
    assertEquals((await store.find("later", AT_0))?.expiry, 10);
  });
}

Deno.test("MemoryStore leaves no timer behind at the end of a using block", async () => {
  using store = new MemoryStore({ cleanup: "timer", cleanupInterval: "1h" });
  await store.commit("a", data(1), 10, AT_0);
  assertEquals((await store.find("a", AT_0))?.expiry, 10);
});

Deno.test("MemoryStore starts no timer in its constructor, and none in any mode but timer", async () => {
  new MemoryStore({ cleanup: "timer", cleanupInterval: "1h" });
  for (
    const options of [{}, { cleanup: "lazy" }, { cleanup: "off" }, {
      cleanup: "timer",
      cleanupInterval: 0,
    }] as const
  ) {
    const store = new MemoryStore(options);
    await store.commit("a", data(1), 10, AT_0);
    await store.find("a", AT_0);
  }
});

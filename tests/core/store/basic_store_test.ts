/** The whole manager works on a store with only SCS's three methods, and the last write wins. */
import {
  MemoryStore,
  SessionGoneError,
  type SessionManager,
  sessions,
  type SessionStore,
  SessionStoreError,
} from "../../../mod.ts";
import { BasicStoreAdapter } from "../../../core/store/basic_store.ts";
import { assertEquals, assertNotEquals, assertRejects } from "../../assert.ts";
import { aroundCalls } from "../../counting_store.ts";
import { type Bed, HOUR, MINUTE, onEachStore } from "../../scenarios/_bed.ts";
import { before, failUnsent, interleave, type Steps } from "../../scenarios/_interleaving.ts";
import { assertShowsNone } from "../../scenarios/_secrets.ts";
import { Browser } from "../../scenarios/_visits.ts";

/** The store of a user who follows the guide for custom stores. */
class BasicStore implements SessionStore {
  readonly find: SessionStore["find"];
  readonly commit: SessionStore["commit"];
  readonly delete: SessionStore["delete"];

  constructor(store: SessionStore) {
    this.find = (...args) => store.find(...args);
    this.commit = (...args) => store.commit(...args);
    this.delete = (...args) => store.delete(...args);
  }
}

function basicManager(bed: Bed, steps: Steps = {}, options = {}): SessionManager {
  const store = new BasicStore(aroundCalls(bed.store, (_method, call) => call()));
  return bed.manager({ store: interleave(store, steps), ...options });
}

Deno.test("A basic store deletes only a row that still holds the expected bytes, where they are given", async () => {
  const [now, data, other] = [0, Uint8Array.of(1), Uint8Array.of(2)];
  const basic = new BasicStore(new MemoryStore({ cleanup: "off" }));
  // Such a store does not know of expected bytes.
  const store = new BasicStoreAdapter({ ...basic, delete: (token) => basic.delete(token) });
  await store.create("a", data, 1, { now });
  assertEquals(await store.delete("a", { expected: other }), false);
  assertEquals((await store.find("a", { now }))?.data, data);
  assertEquals(await store.delete("a", { expected: data }), true);
  assertEquals(await store.delete("a", { expected: data }), false);
  await store.create("a", data, 1, { now });
  assertEquals(await store.delete("a"), true);
});

onEachStore("A basic store keeps a session from its first write to its logout", async (bed) => {
  const manager = basicManager(bed, {}, { idleTimeout: "20m" });
  const browser = new Browser(manager);
  await browser.visit((session) => session.put("a", 1));
  await browser.visit((session) => {
    session.put("b", 2);
    session.remove("a");
  });
  bed.clock.advance(10 * MINUTE);
  await browser.visit((session) => assertEquals(session.keys(), ["b"]));
  assertEquals((await bed.row()).expiry, bed.clock.time + 20 * MINUTE);

  const before = browser.token!;
  await browser.visit((session) => session.renewToken());
  assertNotEquals(browser.token, before);
  await bed.row();
  assertEquals((await manager.load(before)).token, undefined);
  await browser.visit((session) => assertEquals(session.keys(), ["b"]));

  await browser.visit((session) => session.destroy());
  assertEquals(await bed.rows(), []);
});

onEachStore("A basic store: a write that was saved before is merged", async (bed) => {
  const manager = basicManager(bed);
  const { token } = await (await manager.load()).commit();
  const [one, two] = [await manager.load(token), await manager.load(token)];
  one.put("a", 1);
  two.put("b", 2);
  await one.commit();
  await two.commit();
  assertEquals((await manager.load(token)).keys(), ["a", "b"]);
});

onEachStore("A basic store: a session that ended before stays ended", async (bed) => {
  const manager = basicManager(bed);
  const { token } = await (await manager.load()).commit();
  const [one, two] = [await manager.load(token), await manager.load(token)];
  await one.destroy();
  two.put("b", 2);
  await assertRejects(() => two.commit(), SessionGoneError);
  assertEquals(await bed.rows(), []);
});

onEachStore("A basic store: of two concurrent writes the last one wins", async (bed) => {
  const { token } = await (await basicManager(bed).load()).commit();
  const other = await basicManager(bed).load(token);
  other.put("b", 2);
  // Between the read and the write, which are one step in an atomic store.
  const session = await basicManager(bed, { commit: [before(() => other.commit())] }).load(token);
  session.put("a", 1);
  await session.commit();
  assertEquals((await basicManager(bed).load(token)).keys(), ["a"]);
});

onEachStore(
  "A basic store: a renewal that was interrupted between its two writes is completed",
  async (bed) => {
    const { token } = await (await basicManager(bed).load()).commit();
    const session = await basicManager(bed, { delete: [failUnsent(new Error("lost"))] }).load(token);
    session.renewToken();
    const renewed = await session.commit();
    await bed.row();
    assertEquals((await basicManager(bed).load(token)).token, undefined);
    assertEquals((await basicManager(bed).load(renewed.token)).token, renewed.token);
  },
);

onEachStore("A basic store gets no subject with the mark of a renewal", async (bed) => {
  const marked: unknown[] = [];
  const store = aroundCalls(bed.store, (method, call, args) => {
    if (method === "commit") marked.push((args[3] as { subject?: string }).subject);
    return call();
  });
  const manager = bed.manager({ store: new BasicStore(store) });
  const session = await manager.load();
  await session.commit();
  session.renewToken();
  session.subject = "zoe";
  await session.commit();
  assertEquals(marked, [undefined, "zoe", undefined]);
  assertEquals(await bed.manager().destroyAll("zoe"), 1);
});

onEachStore("A basic store may give null where there is no session", async (bed) => {
  const { store } = bed;
  const basic = new BasicStore(aroundCalls(store, (_method, call) => call()));
  const find = async (...args: Parameters<SessionStore["find"]>) => await store.find(...args) ?? null;
  const errors: unknown[] = [];
  const manager = bed.manager({
    store: { ...basic, find: find as SessionStore["find"] },
    idleTimeout: "20m",
    onError: (error) => void errors.push(error),
  });
  const { token } = await (await manager.load()).commit();
  const [idle, writing] = [await manager.load(token), await manager.load(token)];
  await (await manager.load(token)).destroy();
  bed.clock.advance(10 * MINUTE);
  await idle.commit();
  assertEquals(errors, []);
  writing.put("a", 1);
  await assertRejects(() => writing.commit(), SessionGoneError);
});

onEachStore(
  "A write beside an expired session, which a basic store still gives, starts a new one",
  async (bed) => {
    const basic = new BasicStore(aroundCalls(bed.store, (_method, call) => call()));
    const manager = bed.manager({
      store: { ...basic, find: (token, options) => basic.find(token, { ...options, now: 0 }) },
      idleTimeout: "20m",
    });
    const first = await manager.load();
    first.put("a", 1);
    const { token } = await first.commit();
    bed.clock.advance(HOUR);
    const session = await manager.load(token);
    session.put("b", 2);
    assertNotEquals((await session.commit()).token, token);
    assertEquals(session.keys(), ["b"]);
  },
);

Deno.test("A store in JavaScript may list its rows in any way", async () => {
  const store = new MemoryStore({ cleanup: "off" });
  const manager = sessions<{ n: number }>({ store });
  const session = await manager.load();
  session.put("n", 1);
  session.subject = "zoe";
  await session.commit();
  const rows = await Array.fromAsync(store.all({ now: Date.now() }));
  const ways = [
    () => rows,
    function* () {
      yield* rows;
    },
    () => Promise.resolve(rows),
  ];
  for (const list of ways) {
    Object.assign(store, { all: list, findBySubject: list });
    assertEquals((await Array.fromAsync(manager.iterate())).map((session) => session.get("n")), [1]);
    assertEquals((await manager.sessionsOf("zoe")).map((entry) => entry.get("n")), [1]);
  }
});

Deno.test("A store whose listing throws at once leaks nothing", async () => {
  const secret = "mysql://root:hunter2@db";
  const fail = () => {
    throw new Error(secret);
  };
  const store = Object.assign(new MemoryStore({ cleanup: "off" }), { all: fail, findBySubject: fail });
  const manager = sessions({ store });
  for (const list of [() => manager.iterate().next(), () => manager.sessionsOf("zoe")]) {
    const error = await assertRejects(list, SessionStoreError);
    assertShowsNone(error, [secret]);
  }
});

onEachStore(
  "A basic store cannot list, purge or revoke: a SessionStoreError names the missing method",
  async (bed) => {
    const manager = basicManager(bed);
    const attempts = {
      all: () => manager.iterate().next(),
      deleteExpired: () => manager.purge(),
      findBySubject: () => manager.sessionsOf("zoe"),
      deleteBySubject: () => manager.destroyAll("zoe"),
    };
    for (const [method, attempt] of Object.entries(attempts)) {
      const error = await assertRejects(attempt, SessionStoreError);
      assertEquals([error.reason, error.retryable, error.operation], ["unsupported", false, method]);
      assertEquals(error.message.endsWith(`: the store has no method ${method}()`), true);
    }
    const session = await manager.load();
    session.subject = "zoe";
    const { token } = await session.commit();
    bed.clock.advance(HOUR);
    assertEquals((await manager.load(token)).subject, "zoe");
  },
);

Deno.test("A basic store and deleteBySubject() get waitUntil with each call", async () => {
  const store = new MemoryStore();
  const without: string[] = [];
  const watch = (method: string, options: object | undefined) => {
    if ((options as { waitUntil?: unknown } | undefined)?.waitUntil === undefined) without.push(method);
  };
  const basic: SessionStore = {
    find: (token, options) => (watch("find", options), store.find(token, options)),
    commit: (
      token,
      data,
      expiry,
      options,
    ) => (watch("commit", options), store.commit(token, data, expiry, options)),
    delete: (token, options) => (watch("delete", options), store.delete(token, options)),
  };
  const context = { waitUntil: () => {} };
  const manager = sessions({ store: basic });
  const session = await manager.load(undefined, context);
  const { token } = await session.commit();
  const again = await manager.load(token, context);
  again.renewToken();
  await again.commit();
  await again.destroy();

  const listing = Object.assign(new MemoryStore(), {
    deleteBySubject: (_subject: string, options: object) => {
      watch("deleteBySubject", options);
      return Promise.resolve(0);
    },
  });
  await sessions({ store: listing }).destroyAll("ada", context);
  assertEquals(without, []);
});

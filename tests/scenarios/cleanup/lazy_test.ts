import { Cleanup, LAZY_BATCH } from "../../../core/store/cleanup.ts";
import {
  MemoryStore,
  type SessionError,
  type SessionEvent,
  sessions,
  SessionStoreError,
} from "../../../mod.ts";
import { assert, assertEquals, assertInstanceOf } from "../../assert.ts";
import type { FullStore } from "../../backends.ts";
import type { TimedOptions } from "../../../mod.ts";
import { ExecutionContext } from "../_visits.ts";
import { chance } from "./_chance.ts";
import { isPurge, NOW, onEachKind, onEachServer } from "./_tables.ts";

const TOKEN = "U".repeat(43);
const DATA = new Uint8Array([1]);
const EXPIRY = NOW + 60_000;
const INTERVAL = 5 * 60_000;

/** The options of each store call, and what the store reported. */
class Call implements TimedOptions {
  readonly works: Promise<unknown>[] = [];
  readonly events: SessionEvent[] = [];
  readonly errors: SessionError[] = [];
  now: number;

  constructor(now = NOW) {
    this.now = now;
  }

  readonly waitUntil = (work: Promise<unknown>): void => void this.works.push(work);
  readonly onEvent = (event: SessionEvent): void => void this.events.push(event);
  readonly onError = (error: SessionError): void => void this.errors.push(error);
}

onEachKind("An insert starts a lazy purge, passes it to waitUntil, and reports it", async (kind) => {
  await using table = await kind.open({ cleanup: "lazy" });
  await table.fill({ expired: 3, live: 2 });
  const call = new Call();
  using _ = chance(0);
  assertEquals(await table.store.create(TOKEN, DATA, EXPIRY, call), true);
  assertEquals(call.works.length, 1);
  await Promise.all(call.works);
  assertEquals(call.events, [{ kind: "purged", deleted: 3 }]);
  assertEquals(await table.count(), { expired: 0, live: 3 });
});

onEachKind("commit() starts a lazy purge like create()", async (kind) => {
  await using table = await kind.open({ cleanup: "lazy" });
  await table.fill({ expired: 3 });
  const call = new Call();
  using _ = chance(0);
  await table.store.commit(TOKEN, DATA, EXPIRY, call);
  await Promise.all(call.works);
  assertEquals(await table.count(), { expired: 0, live: 1 });
});

onEachKind("A read starts a lazy purge", async (kind) => {
  await using table = await kind.open({ cleanup: "lazy" });
  await table.fill({ expired: 3, live: 2 });
  const call = new Call();
  using _ = chance(0);
  assertEquals(await table.store.find(TOKEN, call), undefined);
  await Promise.all(call.works);
  assertEquals(await table.count(), { expired: 0, live: 2 });
});

onEachKind("A lazy purge is one batch of 200 rows, the longest expired first", async (kind) => {
  await using table = await kind.open({ cleanup: "lazy" });
  await table.fill({ expired: LAZY_BATCH + 5 });
  const call = new Call();
  using _ = chance(0);
  await table.store.find(TOKEN, call);
  await Promise.all(call.works);
  assertEquals(LAZY_BATCH, 200);
  assertEquals(await table.count(), { expired: 5, live: 0 });
  // They differ by a second each. The five that are left expired last.
  const left = await Array.fromAsync(table.store.all({ now: 0 }), ({ expiry }) => NOW - expiry);
  assertEquals(left.sort((a, b) => a - b), [0, 1_000, 2_000, 3_000, 4_000]);
});

onEachKind("No lazy purge starts if the random number is too large", async (kind) => {
  await using table = await kind.open({ cleanup: "lazy" });
  await table.fill({ expired: 3 });
  const call = new Call();
  using _ = chance(0.01);
  await table.store.create(TOKEN, DATA, EXPIRY, call);
  await table.store.find(TOKEN, call);
  assertEquals(call.works, []);
  assertEquals(await table.count(), { expired: 3, live: 1 });
});

for (const options of [{ cleanup: "off" }, { cleanup: "lazy", cleanupInterval: 0 }] as const) {
  onEachKind(`Nothing is purged with ${JSON.stringify(options)}`, async (kind) => {
    await using table = await kind.open(options);
    await table.fill({ expired: 3 });
    const call = new Call();
    using _ = chance(0);
    await table.store.create(TOKEN, DATA, EXPIRY, call);
    assertEquals(call.works, []);
    assertEquals(await table.count(), { expired: 3, live: 1 });
  });
}

for (const stop of ["stopCleanup", Symbol.dispose] as const) {
  onEachKind(`Nothing is purged lazily after ${String(stop)}()`, async (kind) => {
    await using table = await kind.open({ cleanup: "lazy" });
    await table.fill({ expired: 3 });
    const call = new Call();
    using _ = chance(0);
    (table.store as FullStore & Disposable)[stop]();
    await table.store.find(TOKEN, call);
    assertEquals(call.works, []);
  });
}

onEachServer("Neither a read nor an insert waits for the lazy purge that it starts", async (kind) => {
  await using table = await kind.open({ cleanup: "lazy" });
  await table.fill({ expired: 3 });
  const held = Promise.withResolvers<void>();
  const sent: string[] = [];
  table.intercept = async (sql, send) => {
    sent.push(sql);
    if (isPurge(sql)) await held.promise;
    return await send();
  };
  const call = new Call();
  using _ = chance(0);
  assertEquals(await table.store.find(TOKEN, call), undefined);
  // While it runs no other purge starts, whatever the random number.
  assertEquals(await table.store.create(TOKEN, DATA, EXPIRY, call), true);
  assertEquals(call.works.length, 1);
  held.resolve();
  await Promise.all(call.works);
  assertEquals(sent.filter(isPurge).length, 1);
  assert(!isPurge(sent[0]!), "the purge went ahead of the read");
  assertEquals(await table.count(), { expired: 0, live: 1 });
});

onEachServer("A lazy purge that fails affects no request, and only onError gets its error", async (kind) => {
  await using table = await kind.open({ cleanup: "lazy" });
  await table.fill({ expired: 3 });
  table.intercept = async (sql, send) => {
    if (isPurge(sql)) throw new TypeError("the connection broke");
    return await send();
  };
  const events: SessionEvent[] = [];
  const errors: [SessionError, unknown][] = [];
  const works: Promise<unknown>[] = [];
  const manager = sessions({
    store: table.store,
    now: () => NOW,
    onEvent: (event) => void events.push(event),
    onError: (...given) => void errors.push(given),
  });
  using _ = chance(0);
  const session = await manager.load(TOKEN, { waitUntil: (work) => void works.push(work) });
  assertEquals(session.keys(), []);
  await Promise.all(works);
  assertEquals(errors.length, 1);
  const [[error, info]] = errors as [[SessionError, unknown]];
  assertInstanceOf(error, SessionStoreError);
  assertEquals([error.code, error.operation, info], ["ERR_SESSION_STORE", "deleteExpired", {
    phase: "cleanup",
  }]);
  assertEquals(events.map(({ kind }) => kind), ["unknown"]);
});

Deno.test("A lazy purge calls waitUntil on its object", async () => {
  using _ = chance(0);
  const context = new ExecutionContext();
  await sessions({ store: new MemoryStore() }).load(TOKEN, context);
  assertEquals(context.work.length, 1);
  await Promise.all(context.work);
});

Deno.test("A lazy purge outlives the request without a waitUntil", async () => {
  const { promise, resolve } = Promise.withResolvers<SessionEvent>();
  const cleanup = new Cleanup({ mode: "lazy", interval: INTERVAL }, () => Promise.resolve(3));
  using _ = chance(0);
  cleanup.notice("insert", { now: NOW, onEvent: resolve });
  assertEquals(await promise, { kind: "purged", deleted: 3 });
});

Deno.test("Cleanup.notice() never throws, whatever waitUntil, the store and the hooks do", async () => {
  const failing = () => Promise.reject(new Error("on purpose"));
  const cleanup = new Cleanup({ mode: "lazy", interval: INTERVAL }, failing);
  let reported = 0;
  using _ = chance(0);
  cleanup.notice("insert", {
    now: NOW,
    waitUntil() {
      throw new Error("the request is over");
    },
    onError() {
      reported++;
      throw new Error("a hook that fails");
    },
  });
  await settle();
  assertEquals(reported, 1);
});

Deno.test("A busy database is not reported as a failure of a lazy purge", async () => {
  const call = new Call();
  const busy = new SessionStoreError("deleteExpired", { reason: "busy", retryable: true });
  const cleanup = new Cleanup({ mode: "lazy", interval: INTERVAL }, () => Promise.reject(busy));
  using _ = chance(0);
  cleanup.notice("insert", call);
  await Promise.all(call.works);
  assertEquals(call.errors, []);
});

Deno.test("An instance that found few rows pauses for the interval, and one that found a full batch does not", async () => {
  let found = 0;
  const purges: number[] = [];
  const cleanup = new Cleanup({ mode: "lazy", interval: INTERVAL }, ({ now }) => {
    purges.push(now - NOW);
    return Promise.resolve(found);
  });
  using _ = chance(0);
  const notice = async (after: number) => {
    cleanup.notice("read", { now: NOW + after });
    await settle();
  };
  // A new instance may purge with its first operation, because it may not live to see a second one.
  await notice(0);
  await notice(INTERVAL - 1);
  found = LAZY_BATCH;
  await notice(INTERVAL);
  found = LAZY_BATCH - 1;
  await notice(INTERVAL + 1);
  await notice(INTERVAL + 2);
  assertEquals(purges, [0, INTERVAL, INTERVAL + 1]);
  // A clock that was set back does not stop the clean-up.
  await notice(-1);
  assertEquals(purges, [0, INTERVAL, INTERVAL + 1, -1]);
});

Deno.test("A lazy purge that died with its request does not stop the clean-up", async () => {
  const purges: number[] = [];
  const cleanup = new Cleanup({ mode: "lazy", interval: 1 }, ({ now }) => {
    purges.push(now - NOW);
    return new Promise(() => {});
  });
  using _ = chance(0);
  for (const after of [0, 59_999, 60_000]) cleanup.notice("insert", { now: NOW + after });
  await settle();
  assertEquals(purges, [0, 60_000]);
});

Deno.test("Cleanup: an abandoned lazy purge that ends late does not allow a second one beside the current one", async () => {
  const purges: PromiseWithResolvers<number>[] = [];
  const cleanup = new Cleanup({ mode: "lazy", interval: 1 }, () => {
    const purge = Promise.withResolvers<number>();
    purges.push(purge);
    return purge.promise;
  });
  using _ = chance(0);
  const noticeAfter = async (ms: number) => {
    cleanup.notice("insert", { now: NOW + ms });
    await settle();
    return purges.length;
  };
  assertEquals([await noticeAfter(0), await noticeAfter(60_000)], [1, 2]);
  purges[0]!.resolve(0);
  await settle();
  assertEquals(await noticeAfter(60_010), 2, "the second one is still under way");
  purges[1]!.resolve(0);
  await settle();
  assertEquals(await noticeAfter(60_020), 3);
});

/** Lets all microtasks and immediate tasks run. */
async function settle(): Promise<void> {
  for (let turn = 0; turn < 20; turn++) await Promise.resolve();
}

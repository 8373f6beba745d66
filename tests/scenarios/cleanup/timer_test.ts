import { mock } from "node:test";
import { Cleanup } from "../../../core/store/cleanup.ts";
import { type SessionError, type SessionEvent, SessionStoreError } from "../../../mod.ts";
import { LibSQLStore } from "../../../stores/libsql.ts";
import { MemoryStore } from "../../../stores/memory.ts";
import { PlanetScaleStore } from "../../../stores/planetscale.ts";
import { assert, assertEquals } from "../../assert.ts";
import { NOW, onEachServer } from "./_tables.ts";

const MINUTE = 60_000;
const DATA = new Uint8Array([1]);
const TOKEN = "U".repeat(43);

/** Fake timers, with a clock that the test moves. */
class Timers {
  /** The pauses of the timers that were started, in milliseconds, and whether each lets the process end. */
  readonly started: { ms: number; unrefed: boolean }[] = [];

  constructor() {
    mock.timers.enable({ apis: ["setTimeout", "Date"], now: NOW });
    const start = globalThis.setTimeout;
    globalThis.setTimeout = ((run: () => void, ms: number) => {
      const entry = { ms, unrefed: false };
      this.started.push(entry);
      const timer: unknown = start(run, ms);
      (timer as { unref(): void }).unref = () => void (entry.unrefed = true);
      return timer;
    }) as typeof setTimeout;
  }

  /** Moves the clock, and runs the timers that are due. */
  async advance(ms: number): Promise<void> {
    mock.timers.tick(ms);
    await settle();
  }

  [Symbol.dispose](): void {
    mock.timers.reset();
  }
}

/** Lets all microtasks and immediate tasks run. */
async function settle(): Promise<void> {
  for (let turn = 0; turn < 50; turn++) await Promise.resolve();
}

Deno.test("MemoryStore with cleanup timer purges a minute after its first use, and then every minute", async () => {
  using timers = new Timers();
  using store = new MemoryStore({ cleanup: "timer" });
  assertEquals(timers.started, []);
  const events: SessionEvent[] = [];
  const options = () => ({ now: Date.now(), onEvent: (event: SessionEvent) => void events.push(event) });
  await store.commit("a", DATA, NOW + MINUTE, options());
  await store.commit("b", DATA, NOW + MINUTE + 1, options());
  assertEquals(timers.started, [{ ms: MINUTE, unrefed: true }]);

  await timers.advance(MINUTE - 1);
  assertEquals(store.size, 2);
  await timers.advance(1);
  assertEquals(store.size, 1);
  await timers.advance(MINUTE);
  assertEquals(store.size, 0);
  // A purge that finds nothing emits no event.
  await timers.advance(MINUTE);
  assertEquals(events, [{ kind: "purged", deleted: 1 }, { kind: "purged", deleted: 1 }]);
});

Deno.test("A read also starts the timer, and only a use does", async () => {
  using timers = new Timers();
  using store = new MemoryStore({ cleanup: "timer", cleanupInterval: "30s" });
  await store.delete("a");
  assertEquals(timers.started, []);
  await store.find("a", { now: NOW });
  assertEquals(timers.started.map(({ ms }) => ms), [30_000]);
});

Deno.test("SQL stores with cleanup timer purge every five minutes by default, as SCS's do", async () => {
  using timers = new Timers();
  const result = { rows: [], fields: [{ type: "VARCHAR" }], rowsAffected: 0 };
  const client = { execute: () => Promise.resolve(result), batch: () => Promise.resolve([result, result]) };
  for (const Store of [LibSQLStore, PlanetScaleStore]) {
    timers.started.length = 0;
    using store = new Store(client, { cleanup: "timer", timeout: 1 });
    await store.find("a", { now: NOW });
    assertEquals(timers.started.map(({ ms }) => ms).filter((ms) => ms > 1), [5 * MINUTE]);
  }
});

onEachServer("A timer run deletes in batches until nothing is left", async (kind) => {
  await using table = await kind.open({ cleanup: "timer", cleanupInterval: 20 });
  await table.fill({ expired: 450, live: 3 });
  const { promise, resolve, reject } = Promise.withResolvers<SessionEvent>();
  // The store's own timer would not keep the test alive.
  const deadline = setTimeout(() => reject(new Error("nothing was purged for 20 s")), 20_000);
  const onEvent = (event: SessionEvent) => {
    // Checked here, because the next run would outlast the test.
    table.store.stopCleanup();
    resolve(event);
  };
  await table.store.find(TOKEN, { now: NOW, onEvent });
  assertEquals(await promise.finally(() => clearTimeout(deadline)), { kind: "purged", deleted: 450 });
  assertEquals(await table.count(), { expired: 0, live: 3 });
});

Deno.test("The timer uses the manager's clock if that differs", async () => {
  using timers = new Timers();
  using store = new MemoryStore({ cleanup: "timer" });
  const year = 365 * 24 * 60 * MINUTE;
  await store.commit("a", DATA, NOW + year + MINUTE, { now: NOW + year });
  await timers.advance(MINUTE);
  assertEquals(store.size, 0);
});

Deno.test("Timer runs never overlap", async () => {
  using timers = new Timers();
  let running = 0;
  let most = 0;
  let finish = () => {};
  const cleanup = new Cleanup({ mode: "timer", interval: MINUTE }, async () => {
    most = Math.max(most, ++running);
    await new Promise<void>((resolve) => finish = resolve);
    running--;
    return 0;
  });
  // A timer for each use would also make runs overlap.
  for (let use = 0; use < 3; use++) cleanup.notice("read", { now: NOW });
  await timers.advance(MINUTE);
  assertEquals(running, 1);
  for (let minute = 0; minute < 5; minute++) {
    cleanup.notice("insert", { now: Date.now() });
    await timers.advance(MINUTE);
  }
  assertEquals([running, most], [1, 1]);
  // A whole pause follows the end of a long run.
  finish();
  await settle();
  assertEquals(running, 0);
  await timers.advance(MINUTE - 1);
  assertEquals(running, 0);
  await timers.advance(1);
  assertEquals([running, most], [1, 1]);
  cleanup.stop();
  finish();
});

Deno.test("The timer backs off after errors, up to 32 intervals, and resets after a success", async () => {
  using timers = new Timers();
  const errors: [SessionError, unknown][] = [];
  let fails = true;
  const cleanup = new Cleanup({ mode: "timer", interval: MINUTE }, () => {
    return fails ? Promise.reject(new Error("the disk is full")) : Promise.resolve(0);
  });
  cleanup.notice("read", { now: NOW, onError: (...given) => void errors.push(given) });
  const pauses = () => timers.started.splice(0).map(({ ms }) => ms / MINUTE);
  assertEquals(pauses(), [1]);
  for (const [elapses, next] of [[1, 2], [2, 4], [4, 8], [8, 16], [16, 32], [32, 32]] as const) {
    await timers.advance(elapses * MINUTE);
    assertEquals(pauses(), [next]);
  }
  assertEquals(errors.length, 6);
  const [error, info] = errors[0]!;
  assertEquals([error.code, info], ["ERR_SESSION_STORE", { phase: "cleanup" }]);
  assert(!error.message.includes("disk"), error.message);
  fails = false;
  await timers.advance(32 * MINUTE);
  assertEquals(pauses(), [1]);
  cleanup.stop();
});

Deno.test("A busy database ends the timer's run without an error and without backoff", async () => {
  using timers = new Timers();
  const errors: SessionError[] = [];
  let runs = 0;
  const cleanup = new Cleanup({ mode: "timer", interval: MINUTE }, () => {
    runs++;
    return Promise.reject(new SessionStoreError("deleteExpired", { reason: "busy", retryable: true }));
  });
  cleanup.notice("read", { now: NOW, onError: (error) => void errors.push(error) });
  await timers.advance(MINUTE);
  await timers.advance(MINUTE);
  assertEquals([runs, errors], [2, []]);
  cleanup.stop();
});

Deno.test("stopCleanup() ends the timer for good: before its start, while it waits, and twice", async () => {
  using timers = new Timers();
  const early = new MemoryStore({ cleanup: "timer" });
  early.stopCleanup();
  early.stopCleanup();
  await early.commit("a", DATA, NOW + 1, { now: NOW });
  assertEquals(timers.started, []);

  const store = new MemoryStore({ cleanup: "timer" });
  await store.commit("a", DATA, NOW + 1, { now: NOW });
  store.stopCleanup();
  store.stopCleanup();
  await store.find("a", { now: NOW });
  await timers.advance(10 * MINUTE);
  assertEquals([store.size, timers.started.length], [1, 1]);
});

Deno.test("stopCleanup() ends a run after its current statement, and leaves no timer behind", async () => {
  using timers = new Timers();
  let statements = 0;
  const cleanup = new Cleanup({ mode: "timer", interval: MINUTE }, ({ limit }) => {
    if (++statements === 2) cleanup.stop();
    return Promise.resolve(limit!);
  });
  cleanup.notice("read", { now: NOW });
  for (let turn = 0; turn < 10; turn++) await timers.advance(MINUTE);
  assertEquals(statements, 2);
});

// The leak sanitizers check this: a timer that continues fails the test.
Deno.test("using ends the timer of a store", async () => {
  using store = new MemoryStore({ cleanup: "timer", cleanupInterval: 50 });
  await store.find("a", { now: NOW });
});

Deno.test("The longest interval does not overflow the runtime's timers", async () => {
  using timers = new Timers();
  using store = new MemoryStore({ cleanup: "timer", cleanupInterval: "30d" });
  await store.find("a", { now: NOW });
  assert(timers.started[0]!.ms < 2 ** 31, `a timer of ${timers.started[0]!.ms} ms fires at once`);
});

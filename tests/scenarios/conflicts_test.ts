/**
 * The cost of many concurrent writes to one session. Time is simulated: a call takes 10 ms and a pause takes its
 * length, so nothing depends on the machine. `bench/conflicts.ts` measures real time.
 * @module
 */

import { MemoryStore, SessionConflictError, sessions, SessionStoreError } from "../../mod.ts";
import { assert, assertEquals, assertRejects } from "../assert.ts";

/** The latency of a call in each direction. */
const ONE_WAY_MS = 5;

/** Enough turns for a reply to pass through the store and the manager, and for the next timer to be set. */
async function reactions(): Promise<void> {
  for (let i = 0; i < 60; i++) await undefined;
}

interface Timer {
  at: number;
  callback: () => void;
}

/**
 * Runs work with simulated time: timers fire in order without waiting, and `performance.now()` returns the simulated
 * time.
 */
async function inSimulatedTime(work: () => Promise<void>): Promise<void> {
  const timers = new Map<number, Timer>();
  const { setTimeout: start, clearTimeout: stop } = globalThis;
  const { now } = performance;
  let [time, last, isDone] = [0, 0, false];
  globalThis.setTimeout = ((callback: () => void, ms = 0) => {
    timers.set(++last, { at: time + ms, callback });
    return last;
  }) as unknown as typeof setTimeout;
  globalThis.clearTimeout = (id) => void timers.delete(Number(id));
  performance.now = () => time;
  try {
    const end = work().finally(() => isDone = true);
    await reactions();
    while (!isDone) {
      let next: [number, Timer] | undefined;
      for (const timer of timers) if (next === undefined || timer[1].at < next[1].at) next = timer;
      const [id, timer] = next!;
      timers.delete(id);
      time = timer.at;
      timer.callback();
      await reactions();
    }
    await end;
  } finally {
    globalThis.setTimeout = start;
    globalThis.clearTimeout = stop;
    performance.now = now;
  }
}

/** A store with a latency of 5 ms. */
class FarStore extends MemoryStore {
  override readonly timeout: number = 5_000;
  calls = 0;

  override find(...given: Parameters<MemoryStore["find"]>): ReturnType<MemoryStore["find"]> {
    return this.#away(() => super.find(...given));
  }

  override update(...given: Parameters<MemoryStore["update"]>): ReturnType<MemoryStore["update"]> {
    return this.#away(() => super.update(...given));
  }

  async #away<T>(call: () => Promise<T>): Promise<T> {
    this.calls++;
    await new Promise<void>((resolve) => setTimeout(resolve, ONE_WAY_MS));
    const result = await call();
    await new Promise<void>((resolve) => setTimeout(resolve, ONE_WAY_MS));
    return result;
  }
}

Deno.test("A store in this process that is busy is asked again after a pause by the clock", async () => {
  class BusyStore extends MemoryStore {
    left = 2;

    override async update(...given: Parameters<MemoryStore["update"]>): Promise<boolean> {
      if (this.left-- > 0) throw new SessionStoreError("update", { reason: "busy", retryable: true });
      return await super.update(...given);
    }
  }
  const store = new BusyStore({ cleanup: "off" });
  const session = await sessions<{ n: number }>({ store }).load();
  await session.commit();
  session.put("n", 1);
  await inSimulatedTime(async () => {
    await session.commit();
    assert(performance.now() > 0);
  });
  assertEquals(store.left, -1);
});

Deno.test("A commit meets conflicts for some five seconds at most, also on a store without a time limit", async () => {
  class RefusingStore extends FarStore {
    override readonly timeout: number = Infinity;
    readonly inProcess = false;

    override async update(...given: Parameters<MemoryStore["update"]>): Promise<boolean> {
      await super.find(given[0], given[3]);
      return false;
    }
  }
  await inSimulatedTime(async () => {
    const session = await sessions<{ n: number }>({ store: new RefusingStore({ cleanup: "off" }) }).load();
    await session.commit();
    session.put("n", 1);
    await assertRejects(() => session.commit(), SessionConflictError);
    assert(performance.now() < 5_500, `${performance.now()} ms`);
  });
});

for (
  const { writers, most, saves } of [
    { writers: 2, most: 4, saves: 2 },
    { writers: 50, most: 10, saves: 50 },
    { writers: 500, most: 10, saves: 200 },
  ]
) {
  Deno.test(`${writers} writes of one session at once end, saved or with a clear error, in ${most} calls each`, async () => {
    const store = new FarStore({ cleanup: "off" });
    const manager = sessions<{ n: number }>({ store, onError() {} });
    let [saved, refused, inDoubt, count] = [0, 0, 0, 0];
    await inSimulatedTime(async () => {
      const first = await manager.load();
      first.put("n", 0);
      const { token } = await first.commit();
      store.calls = 0;
      await Promise.all(Array.from({ length: writers }, async () => {
        const session = await manager.load(token);
        session.update("n", (n = 0) => n + 1);
        try {
          await session.commit();
          saved++;
        } catch (error) {
          if (error instanceof SessionConflictError) refused++;
          else if (error instanceof SessionStoreError && error.ambiguous) inDoubt++;
          else throw error;
        }
      }));
      ({ calls: count } = store);
      const n = (await manager.load(token)).get("n")!;
      assert(n >= saved && n <= saved + inDoubt, `${n} were counted, and ${saved} said to be saved`);
    });
    assertEquals(saved + refused + inDoubt, writers);
    assert(saved >= saves, `${saved} of ${writers} were saved`);
    assert(count / writers <= most, `${count / writers} calls each`);
  });
}

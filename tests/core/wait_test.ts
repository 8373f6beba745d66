import { backoff, GaveUp, LONGEST_TIMER, pause, pauseInBackground, waitFor } from "../../core/wait.ts";
import { MemoryStore, sessions } from "../../mod.ts";
import { fetchWithTimeout } from "../../stores/libsql.ts";
import { assert, assertEquals, assertRejects, assertStrictEquals, assertThrows } from "../assert.ts";

const never = new Promise<never>(() => {});

/** The delays of the timers that are set while `run` runs. They are too long to fire in that time. */
async function delaysOf(run: () => Promise<unknown>): Promise<unknown[]> {
  const { setTimeout: original } = globalThis;
  const delays: unknown[] = [];
  globalThis.setTimeout = ((callback: () => void, ms?: number) => {
    delays.push(ms);
    return original(callback, ms);
  }) as typeof setTimeout;
  try {
    await run();
  } finally {
    globalThis.setTimeout = original;
  }
  return delays;
}

Deno.test("waitFor() gives the result of the work, and leaves no timer and no listener behind", async () => {
  const { signal } = new AbortController();
  const listeners: string[] = [];
  for (const name of ["addEventListener", "removeEventListener"] as const) {
    const original = signal[name].bind(signal) as (...args: unknown[]) => void;
    Object.defineProperty(signal, name, {
      value: (...args: unknown[]) => (listeners.push(`${name} ${args[0]}`), original(...args)),
    });
  }
  assertEquals(await waitFor(Promise.resolve(1), 60_000, signal), 1);
  assertEquals(listeners, ["addEventListener abort", "removeEventListener abort"]);
});

Deno.test("waitFor() rejects if the work rejects", async () => {
  const error = new Error("no");
  for (const ms of [60_000, Infinity]) {
    assertStrictEquals(await assertRejects(() => waitFor(Promise.reject(error), ms)), error);
  }
});

Deno.test("waitFor() gives up when the time is over", async () => {
  for (const ms of [1, 0, -5]) {
    const error = await assertRejects(() => waitFor(never, ms), GaveUp);
    assertEquals(error.reason, "timeout");
  }
});

Deno.test("waitFor() gives up when the signal aborts, or has aborted", async () => {
  const controller = new AbortController();
  const waiting = assertRejects(() => waitFor(never, Infinity, controller.signal), GaveUp);
  controller.abort();
  assertEquals((await waiting).reason, "aborted");
  const error = await assertRejects(() => waitFor(never, 60_000, controller.signal), GaveUp);
  assertEquals(error.reason, "aborted");
});

Deno.test("waitFor() handles the rejection of work that it gave up on", async () => {
  const { promise, reject } = Promise.withResolvers<never>();
  await assertRejects(() => waitFor(promise, 0), GaveUp);
  reject(new Error("late"));
  // An unhandled rejection would fail the test here.
  await new Promise((resolve) => setTimeout(resolve));
});

Deno.test("waitFor() sets no timer for Infinity, and none that is too long for the platform", async () => {
  const done = Promise.resolve();
  assertEquals(await delaysOf(() => waitFor(done, Infinity)), []);
  assertEquals(await delaysOf(() => waitFor(done, Infinity, new AbortController().signal)), []);
  for (const ms of [2 ** 31, 365 * 86_400_000, Number.MAX_SAFE_INTEGER]) {
    assertEquals(await delaysOf(() => waitFor(done, ms)), [LONGEST_TIMER]);
  }
  assertEquals(await delaysOf(() => waitFor(done, 5_000)), [5_000]);
});

// The longest timer of every platform. A longer one would fire at once.
Deno.test("LONGEST_TIMER does not fire at once", async () => {
  let early = false;
  const timer = setTimeout(() => early = true, LONGEST_TIMER);
  await new Promise((resolve) => setTimeout(resolve, 20));
  clearTimeout(timer);
  assertEquals([early, LONGEST_TIMER], [false, 2_147_483_647]);
});

Deno.test("fetchWithTimeout() accepts a time that is too long for a timer, and Infinity", async () => {
  const delays = await delaysOf(async () => {
    for (const ms of [Infinity, 2 ** 31, 2_000]) {
      await (await fetchWithTimeout(ms)("data:text/plain,a")).text();
    }
  });
  assertEquals(delays.filter((ms) => Number(ms) > 1_000), [LONGEST_TIMER, LONGEST_TIMER, 2_000]);
});

Deno.test("fetchWithTimeout() refuses a time that is not above 0, or is text", () => {
  for (const ms of [0, -1, NaN, undefined as unknown as number, "2s" as unknown as number]) {
    const message = `The time must be a number of milliseconds above 0: got ${ms}`;
    assertThrows(() => fetchWithTimeout(ms), RangeError, message);
  }
});

for (const [name, rest] of [["pause()", pause], ["pauseInBackground()", pauseInBackground]] as const) {
  Deno.test(`${name} waits, and a signal ends it early without an error`, async () => {
    // With a pause in the background this process would end.
    const keepAlive = setInterval(() => {}, 60_000);
    assertEquals(await delaysOf(() => rest(3)), [3]);
    clearInterval(keepAlive);
    const controller = new AbortController();
    const resting = rest(60_000, controller.signal);
    controller.abort();
    await resting;
    await rest(60_000, controller.signal);
  });
}

Deno.test("Only pauseInBackground() lets an idle process end", async () => {
  const module = new URL("../../core/wait.ts", import.meta.url);
  const script = `import { pauseInBackground } from "${module}";
    pauseInBackground(600_000).then(() => console.log("waited"));`;
  const { code, stdout } = await new Deno.Command(Deno.execPath(), {
    args: ["eval", "--no-config", script],
    // Less than the pause, but long enough for a process to start on a busy machine.
    signal: AbortSignal.timeout(60_000),
  }).output();
  assertEquals([code, new TextDecoder().decode(stdout)], [0, ""]);
});

const GROWTH = { base: 10, growth: 2, cap: 250 };

/** Fixes the random part of `backoff()`. */
function withRandom<T>(value: number, run: () => T): T {
  const original = Math.random;
  Math.random = () => value;
  try {
    return run();
  } finally {
    Math.random = original;
  }
}

Deno.test("backoff() doubles from the base in milliseconds up to the cap", () => {
  const spans = withRandom(1, () => [1, 2, 3, 4, 5, 6, 7, 1_100].map((attempt) => backoff(attempt, GROWTH)));
  assertEquals(spans, [10, 20, 40, 80, 160, 250, 250, 250]);
});

Deno.test("backoff() gives a random share, from nothing to almost all of it", () => {
  assertEquals(withRandom(0, () => backoff(3, GROWTH)), 0);
  assertEquals(withRandom(0.5, () => backoff(3, GROWTH)), 20);
  const spans = Array.from({ length: 100 }, () => backoff(3, GROWTH));
  assert(spans.every((ms) => ms >= 0 && ms < 40));
  assert(new Set(spans).size > 50);
});

class WatchedStore extends MemoryStore {
  override readonly timeout = 60_000;
}

Deno.test("A manager sets no timer for a store whose timeout is Infinity, not even for listings", async () => {
  const watches = async (store: MemoryStore) =>
    (await delaysOf(async () => {
      const manager = sessions({ store });
      const session = await manager.load();
      session.subject = "zoe";
      await session.commit();
      for await (const listed of manager.iterate()) assertEquals(listed.subject, "zoe");
      assertEquals((await manager.sessionsOf("zoe")).length, 1);
      assertEquals(await manager.destroyAll("zoe"), 1);
    })).length;
  assertEquals(await watches(new MemoryStore({ cleanup: "off" })), 0);
  // The insert, two pages of each listing, and the deletion.
  assertEquals(await watches(new WatchedStore({ cleanup: "off" })), 6);
});

Deno.test("waitFor() also limits a thenable that is no Promise, such as a query builder", async () => {
  const gaveUp = await assertRejects(() => waitFor({ then() {} } as PromiseLike<never>, 5), GaveUp);
  assertEquals(gaveUp.reason, "timeout");
  const query: PromiseLike<number> = Promise.resolve(7);
  assertEquals(await waitFor<number>({ then: query.then.bind(query) }, 1_000), 7);
});

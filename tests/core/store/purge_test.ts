import { purge, type PurgeOptions, type PurgeResult, readPurgeOptions } from "../../../core/store/purge.ts";
import { MemoryStore, sessions, SessionStoreError } from "../../../mod.ts";
import { assert, assertEquals, assertRejects, assertStrictEquals } from "../../assert.ts";
import { documentedDefaults, sourceOf } from "../options/_documented_defaults.ts";
import { problemsOf } from "../options/_problems.ts";

/** A purge in a simulated world, where only the test takes time. */
interface World {
  /** Rows to delete. */
  rows: number;
  /** How long a statement takes, by its limit and its number, which starts at 1. */
  cost?: (limit: number, number: number) => number;
  /** What the statement of this number, from 1, does before it deletes. */
  onStatement?: (number: number) => void;
}

interface Seen {
  result: PurgeResult;
  /** The limit of each statement. */
  limits: number[];
  /** How long each rest should be. */
  rests: number[];
}

async function purgeIn(world: World, options: PurgeOptions = {}): Promise<Seen> {
  const { now: originalNow } = performance;
  const limits: number[] = [];
  const rests: number[] = [];
  let [time, left] = [1_000, world.rows];
  performance.now = () => time;
  try {
    const result = await purge(
      {
        deleteExpired({ limit = NaN, grace, now }) {
          assertEquals([now, grace], [5_000, options.grace ?? 0]);
          limits.push(limit);
          // Infinity, because the timeout of a statement is not tested here.
          time += world.cost?.(limit, limits.length) ?? 0;
          world.onStatement?.(limits.length);
          const deleted = Math.min(limit, left);
          left -= deleted;
          return Promise.resolve(deleted);
        },
        timeout: Infinity,
      },
      options,
      { now: () => 5_000, rest: (ms) => (rests.push(ms), time += ms, Promise.resolve()) },
    );
    return { result, limits, rests };
  } finally {
    performance.now = originalNow;
  }
}

Deno.test("purge() sends one statement and does not rest if there is nothing to delete", async () => {
  assertEquals(await purgeIn({ rows: 0 }), {
    result: { deleted: 0, batches: 1, done: true, elapsedMs: 0 },
    limits: [100],
    rests: [],
  });
});

Deno.test("purge() sends another statement if the first deleted as many rows as its limit", async () => {
  const { result, limits } = await purgeIn({ rows: 100 });
  assertEquals(limits.length, 2);
  assertEquals([result.deleted, result.batches, result.done], [100, 2, true]);
});

Deno.test("purge() doubles the limit of quick statements, up to 1,000 rows", async () => {
  const { result, limits } = await purgeIn({ rows: 5_000, cost: () => 1 });
  assertEquals(limits, [100, 200, 400, 800, 1_000, 1_000, 1_000, 1_000]);
  assertEquals([result.deleted, result.batches, result.done], [5_000, 8, true]);
});

Deno.test("purge() shrinks slow statements towards 25 ms, down to 10 rows", async () => {
  const { limits } = await purgeIn({ rows: 250, cost: (limit) => limit });
  // The reason for the slow first statement is unknown until a small one has run.
  assertEquals(limits.slice(0, 5), [100, 10, 20, 25, 25]);
  const slow = await purgeIn({ rows: 140, cost: (limit) => limit * 100 });
  assertEquals(slow.limits.slice(0, 3), [100, 10, 10]);
});

Deno.test("purge() separates latency from work: a distant database gets statements as large as a near one", async () => {
  for (const way of [15, 30, 60, 120]) {
    const { limits, rests } = await purgeIn({ rows: 5_000, cost: (limit) => way + limit * 0.01 });
    const growing = way < 25 ? [100, 156, 312, 624] : [100, 10, 20, 40, 80, 160, 320, 640];
    assertEquals(limits.slice(0, growing.length + 2), [...growing, 1_000, 1_000], `${way} ms`);
    // The latency is longer than the work.
    assertEquals(rests.slice(1).every((ms) => ms === 0), true, `${way} ms: ${rests}`);
  }
});

Deno.test("purge() lets a distant database work for as long as the latency, and at most 100 ms", async () => {
  const lastOf = async (way: number) =>
    (await purgeIn({ rows: 10_000, cost: (limit) => way + limit * 0.25 })).limits.at(-2);
  assertEquals(await lastOf(0), 100);
  assertEquals(await lastOf(20), 100);
  assertEquals(await lastOf(60), 240);
  assertEquals(await lastOf(500), 400);
});

Deno.test("purge() recovers its size after a stall, and after the latency has grown", async () => {
  const stalled = await purgeIn({
    rows: 100_000,
    cost: (limit, number) => 30 + limit * 0.01 + (number === 10 ? 5_000 : 0),
  });
  // A single slow statement may have waited for something else.
  assertEquals(stalled.limits.slice(8).every((limit) => limit === 1_000), true, `${stalled.limits}`);
  const busy = await purgeIn({
    rows: 20_000,
    cost: (limit, number) => 30 + limit * (number === 10 || number === 11 ? 5 : 0.01),
  });
  assertEquals(busy.limits.slice(8, 12), [1_000, 1_000, 1_000, 10]);
  assertEquals(busy.limits.slice(22).every((limit) => limit === 1_000), true, `${busy.limits}`);
  const detour = await purgeIn({
    rows: 100_000,
    cost: (limit, number) => (number < 10 ? 30 : 300) + limit * 0.01,
  });
  assertEquals(detour.limits.slice(50).every((limit) => limit === 1_000), true, `${detour.limits}`);
});

Deno.test("purge() rests after each statement for as long as it took, but not after the last", async () => {
  const { rests, result } = await purgeIn({ rows: 150, cost: (limit) => limit });
  assertEquals(rests, [100, 10, 20]);
  assertEquals(result.elapsedMs, 2 * (100 + 10 + 20) + 25);
});

Deno.test("purge() starts no statement after its budget, and no rest outlasts it", async () => {
  const { result, limits, rests } = await purgeIn({ rows: 10_000, cost: () => 40 }, { budget: 100 });
  // 40 ms of work, 40 of rest, 40 of work: then the budget is over.
  assertEquals(rests, [40, 0]);
  assertEquals(limits.length, 2);
  assertEquals([result.done, result.batches, result.elapsedMs], [false, 2, 120]);
});

Deno.test("purge() sends at most maxStatements statements, and does not rest after the last one", async () => {
  const source = sourceOf("core/store/purge.ts");
  assertEquals(documentedDefaults(source, "PurgeOptions").get("maxStatements"), "Infinity");
  const { result, limits, rests } = await purgeIn({ rows: 10_000, cost: () => 1 }, { maxStatements: 3 });
  assertEquals([limits.length, rests.length], [3, 2]);
  assertEquals([result.batches, result.deleted, result.done], [3, 700, false]);
  const enough = await purgeIn({ rows: 150, cost: () => 1 }, { maxStatements: 2 });
  assertEquals([enough.result.batches, enough.result.done], [2, true]);
  assertEquals((await purgeIn({ rows: 5_000 }, { maxStatements: Infinity })).result.done, true);
});

Deno.test("purge() ends without an error if the platform allows no further request", async () => {
  for (
    const message of [
      "Too many subrequests by single Worker invocation.",
      "D1_ERROR: Too many API requests by single worker invocation.",
    ]
  ) {
    for (const error of [new Error(message), new Error("fetch failed", { cause: new Error(message) })]) {
      const onStatement = (number: number) => {
        if (number === 3) throw error;
      };
      const { result } = await purgeIn({ rows: 10_000, onStatement });
      assertEquals([result.batches, result.deleted, result.done], [2, 300, false]);
    }
  }
});

Deno.test("purge() sends one statement with a budget of 0", async () => {
  const { result } = await purgeIn({ rows: 500, cost: () => 1 }, { budget: 0 });
  assertEquals([result.batches, result.deleted, result.done], [1, 100, false]);
});

Deno.test("purge() runs for 25 s by default, as documented", async () => {
  assertEquals(documentedDefaults(sourceOf("core/store/purge.ts"), "PurgeOptions").get("budget"), '"25s"');
  const { result, limits } = await purgeIn({ rows: 1e9, cost: () => 1_000 });
  // It rests after the first statement, when it does not know yet that this was latency.
  assertEquals([limits.length, result.elapsedMs, result.done], [24, 25_000, false]);
});

Deno.test("purge() runs without a limit with a budget of Infinity", async () => {
  const { result } = await purgeIn({ rows: 100_000, cost: () => 10_000 }, { budget: Infinity });
  assertEquals([result.done, result.deleted], [true, 100_000]);
});

Deno.test("purge() passes on the grace, which is 0 by default", async () => {
  assertEquals(documentedDefaults(sourceOf("core/store/purge.ts"), "PurgeOptions").get("grace"), "0");
  await purgeIn({ rows: 1 });
  await purgeIn({ rows: 1 }, { grace: 60_000 });
});

const failure = (reason: "busy" | "unreachable") =>
  new SessionStoreError("deleteExpired", { reason, retryable: true });

Deno.test("purge() ends without an error if the store is busy, at first or later", async () => {
  for (const number of [1, 3]) {
    const busy = (statement: number) => {
      if (statement === number) throw failure("busy");
    };
    const { result, limits } = await purgeIn({ rows: 10_000, onStatement: busy });
    assertEquals(limits.length, number);
    assertEquals([result.done, result.batches], [false, number - 1]);
    assertEquals(result.deleted, number === 1 ? 0 : 300);
  }
});

Deno.test("purge() throws if the store fails, and does not change an error of this package", async () => {
  const error = failure("unreachable");
  const fail = (thrown: unknown) => () =>
    purgeIn({
      rows: 10,
      onStatement: () => {
        throw thrown;
      },
    });
  assertStrictEquals(await assertRejects(fail(error)), error);
  const foreign = await assertRejects(fail(new Error("DELETE 'hunter2'")), SessionStoreError);
  assertEquals([foreign.operation, foreign.reason], ["deleteExpired", "unknown"]);
  assertEquals(Deno.inspect(foreign).includes("hunter2"), false);
});

Deno.test("purge() throws if deleteExpired() gives no number", async () => {
  for (const given of [undefined, null, NaN, "3", 3n]) {
    let calls = 0;
    const deleteExpired = () => Promise.resolve((calls++, given as number));
    const store = Object.assign(new MemoryStore(), { deleteExpired });
    const error = await assertRejects(() => sessions({ store }).purge({ budget: 100 }), SessionStoreError);
    assertEquals([error.operation, error.reason, calls], ["deleteExpired", "malformed", 1]);
    assert(error.message.endsWith("deleteExpired() must give the number of rows that it deleted"));
  }
});

Deno.test("purge() ends after the current statement if its signal aborts, and sends none if it already has", async () => {
  const controller = new AbortController();
  const { result } = await purgeIn(
    { rows: 1_000, onStatement: (number) => number === 2 && controller.abort() },
    { signal: controller.signal },
  );
  assertEquals([result.batches, result.deleted, result.done], [2, 300, false]);
  const { limits } = await purgeIn({ rows: 1_000 }, { signal: controller.signal });
  assertEquals(limits, []);
});

Deno.test("purge() gives up on a statement after the store's timeout", async () => {
  const hangs = { deleteExpired: () => new Promise<number>(() => {}), timeout: 5 };
  const error = await assertRejects(() => purge(hangs, {}, { now: Date.now }), SessionStoreError);
  assertEquals(error.reason, "timeout");
});

Deno.test("purge() refuses wrong options, all in one error", () => {
  for (const wrong of [-1, NaN, "soon", null, true]) {
    const options = { budget: wrong, grace: wrong, maxStatements: wrong } as PurgeOptions;
    const problems = problemsOf(() => readPurgeOptions(options));
    assertEquals(problems.map((problem) => /^"(\w+)"/.exec(problem)?.[1]), Object.keys(options));
  }
  for (const wrong of [0, 1.5, -Infinity]) {
    assertEquals(problemsOf(() => readPurgeOptions({ maxStatements: wrong })).length, 1);
  }
  const odd = { max: 1, grace: Infinity, signal: {} } as unknown as PurgeOptions;
  assertEquals(problemsOf(() => readPurgeOptions(odd)).length, 3);
});

Deno.test("SessionManager.purge() deletes expired sessions, and emits one event", async () => {
  const events: unknown[] = [];
  const store = new MemoryStore({ cleanup: "off" });
  for (let i = 0; i < 250; i++) await store.commit(`t${i}`, new Uint8Array(), i, { now: 0 });
  const manager = sessions({ store, now: () => 200, onEvent: (event) => events.push(event) });
  const result = await manager.purge({ grace: 50 });
  assertEquals([result.deleted, result.done], [151, true]);
  assertEquals((await manager.purge()).deleted, 50);
  assertEquals((await manager.purge()).deleted, 0);
  assertEquals(events, [{ kind: "purged", deleted: 151 }, { kind: "purged", deleted: 50 }]);
  assert(store.size === 49);
});

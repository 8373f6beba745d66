import { purge } from "../../../core/store/purge.ts";
import { pause } from "../../../core/wait.ts";
import { scheduledPurge } from "../../../middleware/scheduled.ts";
import {
  type PurgeOptions,
  SessionConfigError,
  type SessionEvent,
  sessions,
  SessionStoreError,
} from "../../../mod.ts";
import { assert, assertEquals, assertRejects, assertThrows } from "../../assert.ts";
import { isPurge, NOW, onEachKind, onEachServer, type Table } from "./_tables.ts";

/** A manager on the table, and its events and errors. */
function managerOn({ store }: Pick<Table, "store">) {
  const events: SessionEvent[] = [];
  const manager = sessions({ store, now: () => NOW, onEvent: (event) => void events.push(event) });
  return { manager, events };
}

onEachKind("manager.purge() deletes in batches until nothing is left, and reports it", async (kind) => {
  await using table = await kind.open();
  await table.fill({ expired: 350, live: 20 });
  const { manager, events } = managerOn(table);
  const { deleted, batches, done, elapsedMs } = await manager.purge();
  assertEquals([deleted, done], [350, true]);
  // 100 rows in the first batch, and at most twice as many in the next one.
  assert(batches >= 3, `${batches} batches`);
  assert(Number.isInteger(elapsedMs) && elapsedMs >= 0, `${elapsedMs} ms`);
  assertEquals(await table.count(), { expired: 0, live: 20 });
  assertEquals(events, [{ kind: "purged", deleted: 350 }]);
});

onEachKind("manager.purge() emits no event if nothing has expired", async (kind) => {
  await using table = await kind.open();
  await table.fill({ live: 2 });
  const { manager, events } = managerOn(table);
  const { deleted, batches, done } = await manager.purge();
  assertEquals({ deleted, batches, done, events }, { deleted: 0, batches: 1, done: true, events: [] });
});

onEachKind("manager.purge() keeps rows that expired within the grace", async (kind) => {
  await using table = await kind.open();
  // They expired 0, 1, 2, ... 9 seconds ago.
  await table.fill({ expired: 10 });
  const { manager } = managerOn(table);
  assertEquals((await manager.purge({ grace: "9001ms" })).deleted, 0);
  // As everywhere, a row is dead from its expiry on, that moment included.
  assertEquals((await manager.purge({ grace: 9_000 })).deleted, 1);
  assertEquals((await manager.purge({ grace: "5s" })).deleted, 4);
  assertEquals(await table.count(), { expired: 5, live: 0 });
});

onEachKind(
  "manager.purge() sends one statement with a budget of 0, and says that more is left",
  async (kind) => {
    await using table = await kind.open();
    await table.fill({ expired: 150 });
    const { manager } = managerOn(table);
    const { deleted, batches, done } = await manager.purge({ budget: 0 });
    assertEquals({ deleted, batches, done }, { deleted: 100, batches: 1, done: false });
    assertEquals(await table.count(), { expired: 50, live: 0 });
  },
);

onEachKind("manager.purge() does nothing if its signal was aborted before", async (kind) => {
  await using table = await kind.open();
  await table.fill({ expired: 3 });
  const { manager } = managerOn(table);
  const { deleted, batches, done } = await manager.purge({ signal: AbortSignal.abort() });
  assertEquals({ deleted, batches, done }, { deleted: 0, batches: 0, done: false });
  assertEquals(await table.count(), { expired: 3, live: 0 });
});

onEachServer("A signal ends manager.purge() after the current statement, which counts", async (kind) => {
  await using table = await kind.open();
  await table.fill({ expired: 150 });
  const { manager } = managerOn(table);
  const controller = new AbortController();
  table.intercept = async (sql, send) => {
    if (isPurge(sql)) controller.abort();
    return await send();
  };
  const { deleted, batches, done } = await manager.purge({ signal: controller.signal });
  assertEquals({ deleted, batches, done }, { deleted: 100, batches: 1, done: false });
});

onEachServer("A purge that fails halfway keeps its deletions, and the next one continues", async (kind) => {
  await using table = await kind.open();
  await table.fill({ expired: 400, live: 5 });
  const { manager, events } = managerOn(table);
  let statements = 0;
  table.intercept = async (sql, send) => {
    if (isPurge(sql) && ++statements === 2) throw new TypeError("the connection broke");
    return await send();
  };
  const handler = scheduledPurge(manager);
  const error = await assertRejects(() => handler(), SessionStoreError);
  assertEquals(error.operation, "deleteExpired");
  assertEquals(await table.count(), { expired: 300, live: 5 });
  const { deleted, done } = await handler();
  assertEquals([deleted, done], [300, true]);
  assertEquals(await table.count(), { expired: 0, live: 5 });
  assertEquals(events, [{ kind: "purged", deleted: 100 }, { kind: "purged", deleted: 300 }]);
});

onEachServer("A purge whose reply is lost fails, and the next one finds the rows gone", async (kind) => {
  await using table = await kind.open();
  await table.fill({ expired: 50 });
  const { manager } = managerOn(table);
  let lost = false;
  table.intercept = async (sql, send) => {
    const response = await send();
    if (!isPurge(sql) || lost) return response;
    lost = true;
    await response.body?.cancel();
    throw new TypeError("the connection broke");
  };
  await assertRejects(() => manager.purge(), SessionStoreError);
  const { deleted, done } = await manager.purge();
  assertEquals([deleted, done], [0, true]);
  assertEquals(await table.count(), { expired: 0, live: 0 });
});

onEachKind("Four concurrent purges share the work, and delete no live row", async (kind) => {
  await using table = await kind.open();
  await table.fill({ expired: 1_000, live: 50 });
  const results = await Promise.all(
    Array.from({ length: 4 }, () => managerOn({ store: table.another() }).manager.purge()),
  );
  assertEquals(results.reduce((sum, { deleted }) => sum + deleted, 0), 1_000);
  assert(results.some(({ done }) => done), "none of them saw the end");
  assertEquals(await table.count(), { expired: 0, live: 50 });
});

/** A purge of a store that takes `costs` milliseconds per row. Only the store and the pauses move the clock. */
async function purgeTimed(
  costs: (statement: number) => number,
  options: PurgeOptions & { rows?: number } = {},
) {
  const { rows = Infinity, ...given } = options;
  const { now } = performance;
  let time = 0;
  let left = rows;
  const limits: number[] = [];
  const rests: number[] = [];
  performance.now = () => time;
  try {
    const store = {
      timeout: Infinity,
      deleteExpired({ limit = 0 }) {
        const deleted = Math.min(limit, left);
        left -= deleted;
        time += costs(limits.length) * deleted;
        limits.push(limit);
        return Promise.resolve(deleted);
      },
    };
    const rest = (ms: number) => {
      rests.push(ms);
      time += ms;
      return Promise.resolve();
    };
    const result = await purge(store, given, { now: () => NOW, rest });
    return { result, limits, rests };
  } finally {
    performance.now = now;
  }
}

Deno.test("A purge sizes its batches towards 25 ms a statement", async () => {
  const quick = await purgeTimed(() => 0.001, { rows: 5_000 });
  assertEquals(quick.limits, [100, 200, 400, 800, 1_000, 1_000, 1_000, 1_000]);
  const usual = await purgeTimed(() => 0.125, { rows: 1_000 });
  assertEquals(usual.limits, [100, 200, 200, 200, 200, 200]);
  const slow = await purgeTimed(() => 2.5, { rows: 125 });
  assertEquals(slow.limits, [100, 10, 10, 20]);
  // Two statements that waited for others make the next one small, and then they grow again.
  const stalls = (statement: number) => statement === 1 || statement === 2 ? 5 : 0.125;
  const stalled = await purgeTimed(stalls, { rows: 600 });
  assertEquals(stalled.limits, [100, 200, 200, 10, 20, 40, 80]);
});

Deno.test("A purge pauses for as long as it worked", async () => {
  const { result, limits, rests } = await purgeTimed(() => 0.1, { rows: 1_000 });
  assertEquals(limits, [100, 200, 250, 250, 250]);
  // There is no pause after the last statement.
  assertEquals(rests, [10, 20, 25, 25]);
  assertEquals(result, { deleted: 1_000, batches: 5, done: true, elapsedMs: 180 });
});

Deno.test("A purge starts no statement after its budget, 25 s by default, and does not pause longer", async () => {
  const usual = await purgeTimed(() => 0.125);
  assertEquals([usual.result.done, usual.result.elapsedMs], [false, 25_000]);
  const short = await purgeTimed(() => 0.125, { budget: "40ms" });
  assertEquals(short.limits, [100, 200]);
  assertEquals(short.rests, [12.5, 0]);
  assertEquals(short.result, { deleted: 300, batches: 2, done: false, elapsedMs: 50 });
});

Deno.test("A purge with an infinite budget continues until nothing is left", async () => {
  const { result } = await purgeTimed(() => 0.125, { rows: 1_000_000, budget: Infinity });
  assertEquals([result.deleted, result.done], [1_000_000, true]);
  assert(result.elapsedMs > 200_000, `${result.elapsedMs} ms`);
});

onEachServer("A distant database gets statements as large as a near one", async (kind) => {
  for (const way of [15, 60, 120]) {
    await using table = await kind.open();
    for (let part = 0; part < 4; part++) await table.fill({ expired: 2_500 });
    let statements = 0;
    table.intercept = async (sql, send) => {
      if (isPurge(sql)) statements++;
      await pause(way);
      return await send();
    };
    const { manager } = managerOn(table);
    const { deleted, batches, done } = await manager.purge();
    assertEquals([deleted, done, batches], [10_000, true, statements]);
    // By the latency alone each would have ten rows. A few more than 1,000 rows per statement are allowed, because
    // the machine also does other work.
    assert(statements <= 60, `${way} ms: ${statements} statements`);
  }
});

onEachServer("maxStatements bounds the requests of a purge", async (kind) => {
  await using table = await kind.open();
  await table.fill({ expired: 1_000 });
  let statements = 0;
  table.intercept = async (sql, send) => {
    if (isPurge(sql)) statements++;
    return await send();
  };
  const { deleted, batches, done } = await scheduledPurge(managerOn(table).manager, { maxStatements: 2 })();
  assertEquals([batches, statements, done], [2, 2, false]);
  assertEquals(await table.count(), { expired: 1_000 - deleted, live: 0 });
});

onEachServer("Workers' limit of requests ends a purge without an error", async (kind) => {
  await using table = await kind.open();
  await table.fill({ expired: 1_000, live: 3 });
  let allowed = 3;
  const store = table.through(async (...request) => {
    if (allowed-- <= 0) throw new Error("Too many subrequests by single Worker invocation.");
    return await fetch(...request);
  });
  const errors: unknown[] = [];
  const manager = sessions({ store, now: () => NOW, onError: (error) => void errors.push(error) });
  const { deleted, done } = await scheduledPurge(manager)();
  assertEquals([done, errors], [false, []]);
  assert(deleted >= 100, `${deleted} rows`);
  assertEquals(await table.count(), { expired: 1_000 - deleted, live: 3 });
  // If nothing was sent, nothing is in doubt.
  const error = await assertRejects(() => manager.destroyAll("zoë"), SessionStoreError);
  assertEquals([error.reason, error.ambiguous], ["busy", false]);
  assert(error.message.includes("no further request"), error.message);
});

onEachServer("A busy database ends the purge without an error", async (kind) => {
  await using table = await kind.open();
  await table.fill({ expired: 150 });
  const { manager } = managerOn(table);
  let statements = 0;
  table.intercept = async (sql, send) => {
    // The replies of both servers to too many requests.
    if (isPurge(sql) && ++statements === 2) return new Response("too many requests", { status: 429 });
    return await send();
  };
  const { deleted, batches, done } = await manager.purge();
  assertEquals({ deleted, batches, done }, { deleted: 100, batches: 1, done: false });
});

Deno.test("manager.purge() gives up on a store that never answers, after the store's timeout", async () => {
  const store = {
    timeout: 20,
    find: () => Promise.resolve(undefined),
    commit: () => Promise.resolve(),
    delete: () => Promise.resolve(false),
    deleteExpired: () => new Promise<number>(() => {}),
  };
  const error = await assertRejects(() => sessions({ store }).purge(), SessionStoreError);
  assertEquals([error.reason, error.operation, error.retryable], ["timeout", "deleteExpired", true]);
});

Deno.test("manager.purge() refuses a store that cannot purge", async () => {
  const store = {
    find: () => Promise.resolve(undefined),
    commit: () => Promise.resolve(),
    delete: () => Promise.resolve(false),
  };
  const error = await assertRejects(() => sessions({ store }).purge(), SessionStoreError);
  assertEquals([error.reason, error.retryable], ["unsupported", false]);
});

const WRONG = {
  budget: -1,
  grace: "a week",
  maxStatements: "50",
  signal: true,
  batch: 5,
} as unknown as PurgeOptions;
const PROBLEMS = [
  `"budget" must be milliseconds from 0, or text such as "90s", "20m", "24h", "30d": got -1`,
  `"grace" must be milliseconds from 0, or text such as "90s", "20m", "24h", "30d": got "a week"`,
  `"maxStatements" must be a whole number above 0: got "50"`,
  `"signal" must be an AbortSignal: got true`,
  `"batch" is no option; the options are budget, grace, maxStatements, signal`,
];

Deno.test("manager.purge() lists every wrong option before it deletes anything", async () => {
  const error = await assertRejects(() => sessions().purge(WRONG), SessionConfigError);
  assertEquals(error.problems, PROBLEMS);
  assertEquals(error.code, "ERR_SESSION_CONFIG");
  const none = await assertRejects(
    () => sessions().purge(null as unknown as PurgeOptions),
    SessionConfigError,
  );
  assertEquals(none.problems, ["the options must be an object: got null"]);
});

Deno.test("scheduledPurge() lists every wrong option when it is called, not in its first run", () => {
  assertEquals(assertThrows(() => scheduledPurge(sessions(), WRONG), SessionConfigError).problems, PROBLEMS);
});

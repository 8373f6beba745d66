/** `D1Store` in the real workerd: the contract inside a Worker, and the rows that D1 bills. */
import { sessions, SessionStoreError } from "../../mod.ts";
import { type D1Database, D1Store } from "../../stores/d1.ts";
import { assertEquals, assertRejects } from "../assert.ts";
import { freshTable, sharedD1 } from "../backends.ts";

const NOW = Date.UTC(2026, 2, 4);
const HOUR = 3_600_000;
const now = { now: NOW };
const DATA = Uint8Array.of(0, 1, 2, 253, 254, 255);
const OTHER = Uint8Array.of(7);
const [A, B] = ["a", "b"].map((name) => name.repeat(43)) as [string, string];

for (const { name, skipped, run } of await (await sharedD1()).contract()) {
  Deno.test({ name, ignore: skipped !== undefined, fn: run });
}

async function open(options = {}) {
  const database = (await sharedD1()).database();
  const table = freshTable();
  const store = new D1Store(database, { cleanup: "off", table, ...options });
  await store.createTable();
  database.calls = database.rowsWritten = 0;
  const cost = async (work: () => Promise<unknown>) => {
    database.calls = database.rowsWritten = 0;
    await work();
    return [database.calls, database.rowsWritten];
  };
  return { database, table, store, cost };
}

Deno.test("D1Store asks D1 once for each call, and writes 3 rows to create, 1 to save and 2 to touch", async () => {
  const { store, cost } = await open();
  const row = { data: DATA, expiry: NOW + HOUR };
  assertEquals(await cost(() => store.create(A, DATA, NOW + HOUR, now)), [1, 3]);
  assertEquals(await cost(() => store.find(A, now)), [1, 0]);
  assertEquals(await cost(() => store.find(A, { ...now, primary: true })), [1, 0]);
  assertEquals(await cost(() => store.find(B, now)), [1, 0]);
  assertEquals(await cost(() => store.update(A, DATA, { data: OTHER }, now)), [1, 1]);
  assertEquals(await cost(() => store.update(A, OTHER, { data: DATA, expiry: NOW + HOUR + 1 }, now)), [1, 2]);
  assertEquals(await cost(() => store.update(A, OTHER, { data: DATA }, now)), [1, 0]);
  assertEquals(await cost(() => store.touch(A, NOW + 2 * HOUR, now)), [1, 2]);
  assertEquals(await cost(() => store.touch(A, NOW + HOUR, now)), [1, 0]);
  // The row and its entry in the index of tokens. The mark is one more row.
  const renewal = () => store.update(A, DATA, { data: OTHER, token: B }, now);
  assertEquals(await cost(renewal), [1, 2]);
  const marked = () => store.update(B, OTHER, { data: DATA, token: A, mark: row }, now);
  assertEquals(await cost(marked), [1, 5]);
  assertEquals(await cost(() => store.delete(A)), [1, 1]);
});

Deno.test("D1Store reads in the D1 session of its last write", async () => {
  const { database, store } = await open();
  const starts: string[] = [];
  const watched: D1Database = {
    ...database,
    withSession(start) {
      starts.push(start);
      return database.withSession!(start);
    },
  };
  const own = new D1Store(watched, { cleanup: "off", table: (store.schema()[0]!.match(/"(\w+)"/))![1]! });
  await own.create(A, DATA, NOW + HOUR, now);
  await own.find(A, now);
  await own.find(A, { ...now, primary: true });
  await own.find(A, now);
  assertEquals(starts, ["first-unconstrained", "first-primary"]);
});

Deno.test("D1Store uses the database itself where it has no D1 sessions", async () => {
  const { database, table } = await open();
  const { prepare, batch } = database;
  const store = new D1Store({ prepare, batch }, { cleanup: "off", table });
  await store.create(A, DATA, NOW + HOUR, now);
  assertEquals(await store.find(A, { ...now, primary: true }), { data: DATA, expiry: NOW + HOUR });
});

async function failure(call: () => Promise<unknown>): Promise<string> {
  const error = await assertRejects(call, SessionStoreError);
  return [error.reason, error.retryable, error.ambiguous, error.message].join(" | ");
}

Deno.test("D1Store without its table says how to make it", async () => {
  const store = new D1Store((await sharedD1()).database(), { cleanup: "off", table: "nowhere" });
  assertEquals(
    await failure(() => store.find(A, now)),
    "schema | false | false | Session store failed in find() (schema): " +
      "there is no table nowhere; run createTable()",
  );
});

/** The errors in D1's documentation, and what a read and a write make of each. */
const REPLIES: [message: string, found: string, updated: string][] = [
  ["D1_ERROR: Network connection lost.", "unreachable true false", "unreachable true true"],
  ["D1_ERROR: D1 DB is overloaded. Requests queued for too long.", "busy true false", "busy true false"],
  ["D1_ERROR: D1 DB is overloaded. Too many requests queued.", "busy true false", "busy true false"],
  ["D1_ERROR: D1 DB reset because its code was updated.", "unreachable true false", "unreachable true true"],
  [
    "D1_ERROR: D1 DB storage operation exceeded timeout which caused object to be reset.",
    "unreachable true false",
    "unreachable true true",
  ],
  [
    "D1_ERROR: Internal error while starting up D1 DB storage caused object to be reset.",
    "unreachable true false",
    "unreachable true true",
  ],
  [
    "D1_ERROR: Cannot resolve D1 DB due to transient issue on remote node.",
    "unreachable true false",
    "unreachable true true",
  ],
  ["D1_ERROR: Exceeded maximum DB size: SQLITE_FULL", "unreachable true false", "unreachable true true"],
  ["D1_ERROR: string or blob too big: SQLITE_TOOBIG", "rejected false false", "rejected false false"],
];

for (const [message, found, updated] of REPLIES) {
  Deno.test(`D1Store reports the reason of "${message}"`, async () => {
    const refuse = () => Promise.reject(new Error(message));
    const statement = { bind: () => statement, all: refuse };
    const store = new D1Store({ prepare: () => statement, batch: refuse }, { cleanup: "off", timeout: 50 });
    const find = await assertRejects(() => store.find(A, now), SessionStoreError);
    assertEquals([find.reason, find.retryable, find.ambiguous].join(" "), found);
    const update = await assertRejects(() => store.update(A, DATA, { data: OTHER }, now), SessionStoreError);
    assertEquals([update.reason, update.retryable, update.ambiguous].join(" "), updated);
  });
}

Deno.test("A manager on D1Store reads with 1 call, writes, signs in and out with 2", async () => {
  const { store, cost } = await open();
  const manager = sessions<{ n: number }>({ store });
  let token = "";
  const change = (work: (session: Awaited<ReturnType<typeof manager.load>>) => unknown) => async () => {
    const session = await manager.load(token);
    await work(session);
    if (session.status !== "destroyed") ({ token } = await session.commit());
  };
  assertEquals((await cost(change((session) => session.put("n", 1))))[0], 1);
  assertEquals((await cost(() => manager.load(token)))[0], 1);
  assertEquals((await cost(change((session) => session.put("n", 2))))[0], 2);
  assertEquals((await cost(change((session) => session.renewToken())))[0], 2);
  assertEquals((await cost(change((session) => session.destroy())))[0], 2);
});

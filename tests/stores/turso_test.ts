/** Mistakes that `LibSQLStore` can make only with Turso's newer clients: in requests, rows, errors and transactions. */
import { connect as openTurso } from "@tursodatabase/database";
import { connect } from "@tursodatabase/serverless";
import { createClient as compat } from "@tursodatabase/serverless/compat";
import { sessions, SessionStoreError } from "../../mod.ts";
import { LibSQLStore } from "../../stores/libsql.ts";
import { storeContract } from "../../testing/mod.ts";
import { assertEquals, assertRejects } from "../assert.ts";
import { freshTable, sharedLibSQL } from "../backends.ts";
import { startLibSQL } from "../services/libsql.ts";
import { assertFails, calls, type Failure, reads } from "./_failing_calls.ts";
import { onSilentServer } from "./_silent_server.ts";

const NOW = Date.UTC(2026, 2, 4);
const HOUR = 3_600_000;
const now = { now: NOW };
const DATA = Uint8Array.of(0, 1, 254, 255);
const OTHER = Uint8Array.of(7);
const [A, B] = ["a", "b"].map((name) => name.repeat(43)) as [string, string];
const OPTIONS = { cleanup: "off" } as const;

// This entry has the names of @libsql/client, but its rows have columns only by name. The contract on the other clients is
// in contract_test.ts.
const cases = storeContract({
  name: "LibSQLStore on @tursodatabase/serverless/compat",
  async open() {
    const client = compat({ url: (await sharedLibSQL()).url });
    const store = new LibSQLStore(client, { ...OPTIONS, timeout: "30s", table: freshTable() });
    await store.createTable();
    return store;
  },
});
for (const { name, skipped, run } of cases) Deno.test({ name, ignore: skipped !== undefined, fn: run });

/** Counts the requests of the global `fetch`. The client has no option for another one. */
async function countRequests(work: () => Promise<unknown>): Promise<number> {
  const original = globalThis.fetch;
  let count = 0;
  globalThis.fetch = (...request: Parameters<typeof fetch>) => {
    count++;
    return original(...request);
  };
  try {
    await work();
    return count;
  } finally {
    globalThis.fetch = original;
  }
}

Deno.test("LibSQLStore on @tursodatabase/serverless sends one request for each operation", async () => {
  const client = connect({ url: (await sharedLibSQL()).url });
  const store = new LibSQLStore(client, { ...OPTIONS, table: freshTable() });
  const mark = { data: OTHER, expiry: NOW + HOUR };
  const operations: (() => Promise<unknown>)[] = [
    () => store.createTable(),
    () => store.create(A, DATA, NOW + HOUR, { ...now, subject: "zoe" }),
    () => store.find(A, now),
    () => store.find(B, now),
    () => store.find(A, { ...now, primary: true }),
    () => store.update(A, DATA, { data: OTHER }, now),
    () => store.update(A, OTHER, { data: DATA, token: B, mark }, now),
    () => store.touch(B, NOW + 2 * HOUR, now),
    () => Array.fromAsync(store.all(now)),
    () => Array.fromAsync(store.findBySubject("zoe", now)),
    () => store.deleteBySubject("zoe"),
    () => store.deleteExpired({ ...now, onEvent() {} }),
    () => store.deleteExpired(now),
    () => store.delete(A),
  ];
  const counts: number[] = [];
  for (const operation of operations) counts.push(await countRequests(operation));
  assertEquals(counts, operations.map(() => 1));
});

Deno.test("LibSQLStore on @tursodatabase/serverless without its table reports how to make it", async () => {
  const client = connect({ url: (await sharedLibSQL()).url });
  const store = new LibSQLStore(client, { ...OPTIONS, table: "sessions_nowhere" });
  const advice = /there is no table sessions_nowhere; run createTable\(\)$/;
  for (const call of calls) await assertFails(store, call, { reason: "schema", retryable: false, advice });
});

Deno.test("LibSQLStore on @tursodatabase/serverless with a wrong access token fails for good, and no error shows the token", async () => {
  await using server = await startLibSQL({ auth: true });
  const authToken = await server.token({}, { wrongKey: true });
  const failure: Failure = { reason: "unauthorized", retryable: false, advice: /the server answered 401$/ };
  for (const call of calls) {
    const store = new LibSQLStore(connect({ url: server.url, authToken }), OPTIONS);
    await assertFails(store, call, failure, authToken.split(".").filter((part) => part.length > 10));
  }
});

Deno.test("LibSQLStore on @tursodatabase/serverless fails with unreachable while the server is down, and works again", async () => {
  await using server = await startLibSQL();
  const store = new LibSQLStore(connect({ url: server.url }), OPTIONS);
  await store.createTable();
  await server.kill();
  for (const call of calls) {
    await assertFails(store, call, { reason: "unreachable", retryable: true, ambiguous: true });
  }
  await server.start();
  for (const call of calls) await call.run(store);
});

onSilentServer(
  "LibSQLStore on @tursodatabase/serverless fails with timeout at the client's own time limit",
  async (server) => {
    const client = connect({ url: `http://${server.host}`, defaultQueryTimeout: 50 });
    const store = new LibSQLStore(client, OPTIONS);
    await assertFails(store, reads[0]!, { reason: "timeout", retryable: true, ambiguous: true });
    await server.closed();
  },
);

async function inMemory() {
  const database = await openTurso(":memory:");
  const store = new LibSQLStore(database, OPTIONS);
  await store.createTable();
  return { database, store, [Symbol.asyncDispose]: () => database.close() };
}

Deno.test("LibSQLStore on @tursodatabase/database writes after the application's transaction, not within it", async () => {
  await using bench = await inMemory();
  const { database, store } = bench;
  await database.exec("BEGIN");
  const hurried = new LibSQLStore(database, { ...OPTIONS, timeout: 20 });
  const error = await assertRejects(() => hurried.create(B, DATA, NOW + HOUR, now), SessionStoreError);
  assertEquals([error.reason, error.retryable, error.ambiguous], ["busy", true, false]);
  const created = store.create(A, DATA, NOW + HOUR, now);
  await new Promise((resolve) => setTimeout(resolve, 30));
  await database.exec("ROLLBACK");
  assertEquals(await created, true);
  assertEquals((await Array.fromAsync(store.all(now))).length, 1);
});

for (const end of ["ROLLBACK", "COMMIT"]) {
  Deno.test(`LibSQLStore on @tursodatabase/database loses no write by a transaction that begins before it and ends with ${end}`, async () => {
    await using bench = await inMemory();
    const { database, store } = bench;
    const duringTransaction = async (save: () => Promise<unknown>) => {
      const begun = database.exec("BEGIN");
      const saved = save();
      await begun;
      await new Promise((resolve) => setTimeout(resolve, 30));
      await database.exec(end);
      await saved;
    };
    const manager = sessions<{ n: number }>({ store });
    const first = await manager.load();
    first.put("n", 1);
    const { token } = await first.commit();
    const session = await manager.load(token);
    session.update("n", (n = 0) => n + 1);
    await duringTransaction(() => session.commit());
    assertEquals((await manager.load(token)).get("n"), 2);
    await duringTransaction(() => session.destroy());
    assertEquals((await manager.load(token)).token, undefined);
  });
}

Deno.test("LibSQLStore on @tursodatabase/database reports a missing table, a foreign table and a closed database", async () => {
  await using bench = await inMemory();
  const { database, store } = bench;
  const absent = new LibSQLStore(database, { ...OPTIONS, table: "nowhere" });
  const advice = /there is no table nowhere; run createTable\(\)$/;
  for (const call of calls) await assertFails(absent, call, { reason: "schema", retryable: false, advice });
  await database.exec("CREATE TABLE foreign_table (id TEXT PRIMARY KEY, payload TEXT)");
  const foreign = new LibSQLStore(database, { ...OPTIONS, table: "foreign_table" });
  await assertFails(foreign, reads[0]!, {
    reason: "schema",
    retryable: false,
    advice: /the table foreign_table has no column \w+; set another/,
  });
  await database.close();
  await assertFails(store, reads[0]!, {
    reason: "rejected",
    retryable: false,
    advice: /: the client is closed$/,
  });
});

Deno.test("LibSQLStore on two connections of @tursodatabase/database waits for the other's lock", async () => {
  const directory = await Deno.makeTempDir({ prefix: "sessions_test_" });
  const database = await openTurso(`${directory}/sessions.db`);
  const other = await openTurso(`${directory}/sessions.db`);
  const store = new LibSQLStore(database, OPTIONS);
  await store.createTable();
  await other.exec("BEGIN IMMEDIATE");
  const created = store.create(A, DATA, NOW + HOUR, now);
  await new Promise((resolve) => setTimeout(resolve, 30));
  await other.exec("ROLLBACK");
  assertEquals(await created, true);
  await database.close();
  await other.close();
  await Deno.remove(directory, { recursive: true });
});

/**
 * `LibSQLStore` on a file that several processes share. After a lock has refused a statement, nothing that is acknowledged
 * later is lost. With the driver alone it would be: see `stores/_file_database.ts`.
 */
import { type Client, createClient } from "@libsql/client";
import { sessions, SessionStoreError } from "../../mod.ts";
import { LibSQLStore, type LibSQLStoreOptions } from "../../stores/libsql.ts";
import { assert, assertEquals, assertRejects } from "../assert.ts";
import type { WriterReport } from "./_fixture_writer.ts";

const NOW = Date.UTC(2026, 2, 4);
const now = { now: NOW };
const HOUR = 3_600_000;
const DATA = Uint8Array.of(1, 2, 3);
const OTHER = Uint8Array.of(4, 5, 6);
const [A, B, C] = ["a", "b", "c"].map((name) => name.repeat(43)) as [string, string, string];

const JOURNALS = ["WAL", "DELETE"] as const;

interface Bench extends AsyncDisposable {
  url: string;
  client: Client;
  store: LibSQLStore;
  /** Another connection, as another process has it. */
  other: Client;
}

async function open(journal: typeof JOURNALS[number], options: LibSQLStoreOptions = {}): Promise<Bench> {
  const directory = await Deno.makeTempDir({ prefix: "sessions_test_" });
  const url = `file:${directory}/sessions.db`;
  const [client, other] = [createClient({ url }), createClient({ url })];
  await other.execute(`PRAGMA journal_mode = ${journal}`);
  const store = new LibSQLStore(client, { cleanup: "off", ...options });
  await store.createTable();
  return {
    url,
    client,
    store,
    other,
    async [Symbol.asyncDispose]() {
      client.close();
      other.close();
      await Deno.remove(directory, { recursive: true });
    },
  };
}

/** The tokens that another process sees. */
async function tokensIn({ other }: Bench): Promise<string[]> {
  const { rows } = await other.execute("SELECT token FROM sessions ORDER BY token");
  return rows.map(({ token }) => String(token));
}

async function assertBusy(call: () => Promise<unknown>): Promise<void> {
  const error = await assertRejects(call, SessionStoreError);
  assertEquals([error.reason, error.retryable, error.ambiguous], ["busy", true, false]);
}

/** Lets the store meet a lock. From then on it asks for the lock before each write. */
async function meetLock({ client, other }: Bench): Promise<void> {
  const lock = await other.transaction("write");
  await assertBusy(() => new LibSQLStore(client, { cleanup: "off", timeout: 1 }).delete(C));
  await lock.rollback();
}

for (const journal of JOURNALS) {
  Deno.test(`LibSQLStore on a file waits for a lock, and other processes then see its write [${journal}]`, async () => {
    await using bench = await open(journal);
    const lock = await bench.other.transaction("write");
    const created = bench.store.create(A, DATA, NOW + HOUR, now);
    await new Promise((resolve) => setTimeout(resolve, 100));
    await lock.rollback();
    assertEquals(await created, true);
    assertEquals(await tokensIn(bench), [A]);
  });

  Deno.test(`LibSQLStore on a file commits what it acknowledges after a lock has refused it [${journal}]`, async () => {
    await using bench = await open(journal, { timeout: 100 });
    const { store, other } = bench;
    await store.create(A, DATA, NOW + HOUR, now);
    const row = { token: A, data: OTHER, expiry: NOW + HOUR };
    const lock = await other.transaction("write");
    await assertBusy(() => store.create(B, DATA, NOW + HOUR, now));
    await assertBusy(() => store.update(A, DATA, row, now));
    await assertBusy(() => store.delete(A));
    await assertBusy(() => store.deleteExpired(now));
    await lock.rollback();
    assertEquals(await store.create(C, DATA, NOW + HOUR, now), true);
    assertEquals(await store.update(A, DATA, row, now), true);
    assertEquals(await tokensIn(bench), [A, C]);
    // The other process can write, so the store has left no lock.
    await other.execute({ sql: "DELETE FROM sessions WHERE token = ?", args: [C] });
    assertEquals(await store.find(C, now), undefined);
    bench.client.close();
    assertEquals(await tokensIn(bench), [A]);
  });

  Deno.test(`LibSQLStore on a file recovers when another process takes the lock just before its write [${journal}]`, async () => {
    await using bench = await open(journal, { timeout: 100 });
    const { store, other, client } = bench;
    await meetLock(bench);
    // Another process takes the lock right after the store has seen that it is free.
    const ask = client.executeMultiple.bind(client);
    let lock: Awaited<ReturnType<Client["transaction"]>> | undefined;
    client.executeMultiple = async (sql) => {
      await ask(sql);
      lock ??= await other.transaction("write");
    };
    await assertBusy(() => store.create(A, DATA, NOW + HOUR, now));
    await lock?.rollback();
    assertEquals(await store.create(B, DATA, NOW + HOUR, now), true);
    assertEquals(await tokensIn(bench), [B]);
    await other.execute({ sql: "DELETE FROM sessions WHERE token = ?", args: [B] });
    assertEquals(await store.find(B, now), undefined);
  });

  Deno.test(`LibSQLStore on a file sends no statement to a connection that a lock has refused [${journal}]`, async () => {
    // Long enough for a machine that stands still between two attempts.
    await using bench = await open(journal, { timeout: "20s" });
    const { store, other, client } = bench;
    await meetLock(bench);
    const [ask, execute] = [client.executeMultiple.bind(client), client.execute.bind(client)];
    let lock: Awaited<ReturnType<Client["transaction"]>> | undefined;
    client.executeMultiple = async (sql) => {
      await ask(sql);
      lock ??= await other.transaction("write");
    };
    let found: Promise<unknown> | undefined;
    client.execute = ((statement: never) =>
      execute(statement).catch(async (error) => {
        await lock?.rollback();
        found ??= store.find(B, now);
        for (let turn = 0; turn < 50; turn++) await undefined;
        throw error;
      })) as typeof client.execute;
    assertEquals(await store.create(A, DATA, NOW + HOUR, now), true);
    assertEquals(await found, undefined);
    // A read on that connection would have taken a lock that is never released.
    await other.execute({ sql: "DELETE FROM sessions WHERE token = ?", args: [A] });
    assertEquals(await tokensIn(bench), []);
  });

  Deno.test(`LibSQLStore on a file loses no acknowledged session beside three other writers [${journal}]`, async () => {
    await using bench = await open(journal, { timeout: "60s" });
    const count = 60;
    const reports = await Promise.all(Array.from({ length: 3 }, () => runWriter(bench.url, count)));
    const { store } = bench;
    const manager = sessions({ store });
    for (const { tokens, failures } of reports) {
      assertEquals(failures, []);
      assertEquals(tokens.length, count);
      for (const [number, token] of tokens.entries()) {
        assertEquals((await manager.load(token)).get("again"), number);
      }
    }
    assertEquals((await tokensIn(bench)).length, 3 * count);
  });
}

Deno.test("LibSQLStore on a file reads no old rows after a lock has refused a read", async () => {
  await using bench = await open("DELETE", { timeout: 100 });
  const { store, other } = bench;
  await store.create(A, DATA, NOW + HOUR, now);
  const lock = await other.transaction("write");
  await lock.execute("PRAGMA locking_mode = EXCLUSIVE");
  await lock.executeMultiple("COMMIT; BEGIN EXCLUSIVE");
  await assertBusy(() => store.find(A, now));
  await lock.executeMultiple("COMMIT; PRAGMA locking_mode = NORMAL; DELETE FROM sessions; BEGIN");
  lock.close();
  assertEquals(await store.find(A, now), undefined);
  await other.execute("PRAGMA user_version = 2");
});

Deno.test("LibSQLStore on a file gives up a connection that somebody else was refused on", async () => {
  await using bench = await open("WAL", { timeout: "20s" });
  const { store, client, other } = bench;
  const lock = await other.transaction("write");
  await assertRejects(() => client.execute("CREATE TABLE notes (text TEXT)"));
  await lock.rollback();
  const ask = client.executeMultiple.bind(client);
  let asked = 0;
  client.executeMultiple = async (sql) => {
    asked++;
    await ask(sql);
  };
  assertEquals(await store.create(A, DATA, NOW + HOUR, now), true);
  // It does not wait until the unfinished statement is garbage collected.
  assertEquals(asked, 2);
  assertEquals(await tokensIn(bench), [A]);
});

Deno.test("LibSQLStore on a file keeps its connection after an error that is no lock", async () => {
  await using bench = await open("WAL");
  const given: string[] = [];
  const { transaction, reconnect } = bench.client;
  Object.assign(bench.client, {
    transaction(...args: []) {
      given.push("transaction");
      return transaction.apply(bench.client, args);
    },
    reconnect() {
      given.push("reconnect");
      return reconnect.apply(bench.client);
    },
  });
  const missing = new LibSQLStore(bench.client, { cleanup: "off", table: "missing" });
  for (const call of [() => missing.find(A, now), () => missing.create(A, DATA, NOW + HOUR, now)]) {
    assertEquals((await assertRejects(call, SessionStoreError)).reason, "schema");
  }
  assertEquals(given, []);
});

Deno.test("A manager on a file that stays locked reports that nothing was written", async () => {
  await using bench = await open("WAL", { timeout: 400 });
  const manager = sessions({ store: bench.store });
  const session = await manager.load();
  session.put("a", 1);
  const { token } = await session.commit();
  const lock = await bench.other.transaction("write");
  const changed = await manager.load(token);
  changed.put("a", 2);
  await assertBusy(() => changed.commit());
  const created = await manager.load();
  created.put("a", 3);
  await assertBusy(() => created.commit());
  await lock.rollback();
  assertEquals((await manager.load(token)).get("a"), 1);
  assertEquals((await changed.commit()).token, token);
  assertEquals((await manager.load(token)).get("a"), 2);
});

Deno.test("LibSQLStore on a file does not disturb an open transaction of its client", async () => {
  await using bench = await open("WAL", { timeout: 100 });
  const { store, client } = bench;
  await client.execute("CREATE TABLE notes (text TEXT)");
  const transaction = await client.transaction("write");
  await transaction.execute("INSERT INTO notes VALUES ('first')");
  await assertBusy(() => store.create(A, DATA, NOW + HOUR, now));
  await transaction.execute("INSERT INTO notes VALUES ('second')");
  await transaction.commit();
  assertEquals(await store.create(A, DATA, NOW + HOUR, now), true);
  assertEquals((await client.execute("SELECT count(*) AS n FROM notes")).rows[0]?.n, 2);
});

Deno.test("LibSQLStore in memory keeps its rows after a lock has refused a statement", async () => {
  const client = createClient({ url: ":memory:" });
  const store = new LibSQLStore(client, { cleanup: "off", timeout: "20s" });
  await store.createTable();
  await store.create(A, DATA, NOW + HOUR, now);
  const execute = client.execute.bind(client);
  const { now: realNow } = performance;
  let refusals = 0;
  client.execute = ((statement: { sql: string }) => {
    if (!statement.sql.startsWith("DELETE")) return execute(statement as never);
    refusals++;
    // The clock says after two attempts that the time is up. The real one would depend on how busy the machine is.
    if (refusals === 2) performance.now = () => realNow.call(performance) + 20_000;
    return Promise.reject(Object.assign(new Error("database is locked"), { code: "SQLITE_BUSY" }));
  }) as typeof client.execute;
  try {
    await assertBusy(() => store.delete(A));
  } finally {
    performance.now = realNow;
  }
  assert(refusals > 1, "it did not try again");
  assertEquals((await store.find(A, now))?.data, DATA);
  client.close();
});

Deno.test("LibSQLStore in memory waits for a transaction of its client, and fails with busy if it does not end", async () => {
  const client = createClient({ url: ":memory:" });
  const store = new LibSQLStore(client, { cleanup: "off", timeout: "20s" });
  await store.createTable();
  await store.create(A, DATA, NOW + HOUR, now);
  const transaction = await client.transaction("write");
  const hurried = new LibSQLStore(client, { cleanup: "off", timeout: 50 });
  await assertBusy(() => hurried.delete(A));
  const created = store.create(B, DATA, NOW + HOUR, now);
  const found = store.find(A, now);
  await transaction.execute({ sql: "UPDATE sessions SET data = ?", args: [OTHER] });
  await transaction.commit();
  assertEquals([await created, (await found)?.data], [true, OTHER]);
  client.close();
});

Deno.test("LibSQLStore on a closed client fails for good, and reports that nothing was written", async () => {
  const client = createClient({ url: ":memory:" });
  const store = new LibSQLStore(client, { cleanup: "off" });
  await store.createTable();
  client.close();
  const error = await assertRejects(() => store.create(A, DATA, NOW + HOUR, now), SessionStoreError);
  assertEquals([error.reason, error.retryable, error.ambiguous], ["rejected", false, false]);
  assertEquals(error.message.endsWith(": the client is closed"), true);
});

Deno.test("LibSQLStore sends no further statement after a signal has ended its wait for a lock", async () => {
  await using bench = await open("WAL", { timeout: "20s" });
  const { store, client, other } = bench;
  const lock = await other.transaction("write");
  const controller = new AbortController();
  let [before, after] = [0, 0];
  const execute = client.execute.bind(client);
  client.execute = ((statement: never) => {
    if (controller.signal.aborted) after++;
    // This comes during a pause between two attempts.
    else if (++before === 1) setTimeout(() => controller.abort());
    return Promise.reject(Object.assign(new Error("database is locked"), { code: "SQLITE_BUSY", statement }));
  }) as typeof client.execute;
  await assertRejects(() => store.find(A, { ...now, signal: controller.signal }), SessionStoreError);
  await new Promise((resolve) => setTimeout(resolve, 50));
  client.execute = execute;
  await lock.rollback();
  assert(before > 0);
  assertEquals(after, 0);
});

async function runWriter(url: string, count: number): Promise<WriterReport> {
  const worker = new Worker(new URL("./_fixture_writer.ts", import.meta.url), { type: "module" });
  const { promise, resolve, reject } = Promise.withResolvers<WriterReport>();
  worker.onmessage = ({ data }: MessageEvent<WriterReport>) => resolve(data);
  worker.onerror = ({ message }) => reject(new Error(message));
  worker.postMessage({ url, count });
  try {
    return await promise;
  } finally {
    worker.terminate();
  }
}

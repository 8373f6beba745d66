/** Mistakes that only `LibSQLStore` can make: in what it sends, in times, and in the meaning of the driver's errors. */
import { createClient as createNativeClient } from "@libsql/client";
import { createClient as createWebClient } from "@libsql/client/web";
import { type SessionManager, sessions, SessionStoreError } from "../../mod.ts";
import { fetchWithTimeout, type LibSQLClient, LibSQLStore } from "../../stores/libsql.ts";
import { assert, assertEquals, assertRejects, assertStringIncludes } from "../assert.ts";
import { freshTable, sharedLibSQL } from "../backends.ts";
import scsRows from "../fixtures/scs-sqlite3store.json" with { type: "json" };
import { countingFetch, startLibSQL } from "../services/libsql.ts";
import { assertKeepsAttacks } from "./_attacks.ts";
import {
  assertAsksForSubjects,
  assertFails,
  calls,
  callsWithSubject,
  CANARY,
  type Failure,
  NOW,
  reads,
  writes,
} from "./_failing_calls.ts";
import { SCS_SQLITE_TABLE } from "./_scs_tables.ts";
import { onSilentServer } from "./_silent_server.ts";

const HOUR = 3_600_000;
const now = { now: NOW };
const DATA = new TextEncoder().encode('{"deadline":1,"values":{}}');
const OTHER = new TextEncoder().encode("other");
const tokenOf = (start: string) => start.padEnd(43, "-");
const [A, B] = [tokenOf("a"), tokenOf("b")];
const rowOf = (token: string) => ({ token, data: DATA, expiry: NOW + HOUR });

/** A store over HTTP. The test counts its requests, and may answer them. */
async function overHTTP(table = freshTable()) {
  const { url } = await sharedLibSQL();
  let answer: ((request: Request) => Response | Promise<Response>) | undefined;
  const send = fetchWithTimeout(10_000);
  const counting = countingFetch(async (request) =>
    answer === undefined ? await send(request) : await answer(request)
  );
  const client = createWebClient({ url, concurrency: Infinity, fetch: counting.fetch });
  return {
    table,
    client,
    counting,
    store: new LibSQLStore(client, { cleanup: "off", table }),
    /** Answers requests in place of the server from now on. */
    answerBy(answers: typeof answer) {
      answer = answers;
    },
  };
}

/** A store inside the process. */
function inMemory(table: readonly string[] = []) {
  const client = createNativeClient({ url: ":memory:" });
  const store = new LibSQLStore(client, { cleanup: "off" });
  return {
    client,
    store,
    async make() {
      if (table.length === 0) await store.createTable();
      for (const statement of table) await client.execute(statement);
    },
    [Symbol.dispose]: () => client.close(),
  };
}

/** Each operation, on a table with one row under {@linkcode A}. */
const OPERATIONS: [name: string, call: (store: LibSQLStore) => Promise<unknown>][] = [
  ["createTable()", (store) => store.createTable()],
  ["find()", (store) => store.find(A, now)],
  ["find() of none", (store) => store.find(B, now)],
  ["find() of the primary", (store) => store.find(A, { ...now, primary: true })],
  ["commit()", (store) => store.commit(B, DATA, NOW + HOUR, now)],
  ["commit() in place", (store) => store.commit(A, OTHER, NOW + HOUR, now)],
  ["create()", (store) => store.create(B, DATA, NOW + HOUR, { ...now, subject: "zoe" })],
  ["create() refused", (store) => store.create(A, DATA, NOW + HOUR, now)],
  ["update()", (store) => store.update(A, DATA, rowOf(A), now)],
  ["update() refused", (store) => store.update(A, OTHER, rowOf(A), now)],
  ["renewal", (store) => store.update(A, DATA, rowOf(B), now)],
  ["touch()", (store) => store.touch(A, NOW + 2 * HOUR, now)],
  ["delete()", (store) => store.delete(A)],
  ["delete() of none", (store) => store.delete(B)],
  ["all()", (store) => Array.fromAsync(store.all(now))],
  ["deleteExpired()", (store) => store.deleteExpired({ now: NOW + HOUR })],
  ["deleteExpired() of none", (store) => store.deleteExpired(now)],
  ["deleteExpired() that looks for the index", (store) => store.deleteExpired({ ...now, onEvent() {} })],
  ["findBySubject()", (store) => Array.fromAsync(store.findBySubject("max", now))],
  ["deleteBySubject()", (store) => store.deleteBySubject("max")],
  ["deleteBySubject() of none", (store) => store.deleteBySubject("zoe", { except: A })],
];

Deno.test("LibSQLStore sends one request for each operation", async (t) => {
  const { store, counting, client, table } = await overHTTP();
  await store.createTable();
  for (const [name, call] of OPERATIONS) {
    await t.step(name, async () => {
      await client.execute(`DELETE FROM ${table}`);
      await store.commit(A, DATA, NOW + HOUR, { ...now, subject: "max" });
      counting.reset();
      await call(store);
      assertEquals(counting.count(), 1);
    });
  }
});

Deno.test("LibSQLStore sends one more request before the first write of a session whose token it has read as a BLOB", async () => {
  const { store, client, counting, answerBy, table } = await overHTTP();
  await store.createTable();
  for (const token of [A, B]) await store.create(token, DATA, NOW + HOUR, now);
  const send = fetchWithTimeout(10_000);
  const writes: [expiry: number, write: (token: string) => Promise<unknown>][] = [
    [NOW + HOUR, async (token) => assert(await store.update(token, DATA, { data: DATA }, now))],
    [NOW + 2 * HOUR, (token) => store.touch(token, NOW + 2 * HOUR, now)],
    [NOW + HOUR, (token) => store.commit(token, DATA, NOW + HOUR, now)],
  ];
  for (const [expiry, write] of writes) {
    answerBy(send);
    await client.execute({
      sql: `UPDATE ${table} SET token = CAST(token AS BLOB) WHERE token = ?`,
      args: [A],
    });
    await store.find(A, now);
    // The first request takes its time.
    answerBy(async (request) => {
      if (counting.count() === 1) await new Promise((resolve) => setTimeout(resolve, 20));
      return await send(request);
    });
    for (const [token, expected] of [[B, 1], [A, 2], [A, 1]] as const) {
      counting.reset();
      await write(token);
      assertEquals(counting.count(), expected);
      assertEquals((await store.find(token, now))?.expiry, expiry);
    }
    assertEquals((await Array.fromAsync(store.all(now))).length, 2);
  }
});

Deno.test("LibSQLStore sends as many requests for a listing as it has pages", async () => {
  const { store, counting, client, table } = await overHTTP();
  await store.createTable();
  const series = "WITH RECURSIVE s(value) AS (SELECT 1 UNION ALL SELECT value + 1 FROM s WHERE value < 450)";
  await client.execute(`INSERT INTO ${table} ${series} SELECT 't' || value, x'00', 3e6, 'zoe' FROM s`);
  counting.reset();
  assertEquals((await Array.fromAsync(store.all(now))).length, 450);
  assertEquals(counting.count(), 3);
  assertEquals((await Array.fromAsync(store.findBySubject("zoe", now))).length, 450);
  assertEquals(counting.count(), 6);
});

Deno.test("LibSQLStore lists sessions that are too large for one answer of a libsql-server, which has 10 MB", async () => {
  const { store, client, table } = await overHTTP();
  await store.createTable();
  const series = "WITH RECURSIVE s(value) AS (SELECT 1 UNION ALL SELECT value + 1 FROM s WHERE value < 210)";
  await client.execute(
    `INSERT INTO ${table} ${series} SELECT printf('t%03d', value), zeroblob(65536), 3e6, 'zoe' FROM s`,
  );
  for (const listing of [store.all(now), store.findBySubject("zoe", now)]) {
    const found = await Array.fromAsync(listing);
    assertEquals(new Set(found.map(({ token }) => token)).size, 210);
    assertEquals(found.length, 210);
  }
});

Deno.test("LibSQLStore fails where a single session is too large for an answer", async () => {
  let requests = 0;
  const tooLarge = () => {
    if (++requests === 10) throw new Error("it is asked again and again");
    return Promise.reject(Object.assign(new Error(), { cause: { code: "RESPONSE_TOO_LARGE" } }));
  };
  const store = new LibSQLStore({ execute: tooLarge, batch: tooLarge }, { cleanup: "off" });
  await assertRejects(() => Array.fromAsync(store.all(now)), SessionStoreError);
  assert(requests < 10);
});

Deno.test("A manager on LibSQLStore sends 1 request to read, 2 to write, to sign in and to sign out", async () => {
  const { store, counting } = await overHTTP();
  await store.createTable();
  const manager = sessions({ store });
  const counted = async <T>(work: () => Promise<T>): Promise<[number, T]> => {
    counting.reset();
    const result = await work();
    return [counting.count(), result];
  };
  type Session = Awaited<ReturnType<SessionManager["load"]>>;
  const change = async (token: string | undefined, change: (session: Session) => void) => {
    const session = await manager.load(token);
    change(session);
    return (await session.commit()).token;
  };
  const [created, first] = await counted(() => change(undefined, (session) => session.put("a", 1)));
  const [read] = await counted(() => manager.load(first));
  const [written] = await counted(() => change(first, (session) => session.put("a", 2)));
  const [renewed, second] = await counted(() => change(first, (session) => session.renewToken()));
  const [ended] = await counted(async () => await (await manager.load(second)).destroy());
  assertEquals({ created, read, written, renewed, ended }, {
    created: 1,
    read: 1,
    written: 2,
    renewed: 2,
    ended: 2,
  });
});

Deno.test("LibSQLStore.find() with primary: true sends a transaction that may write, so the primary answers", async () => {
  const { store, answerBy, counting } = await overHTTP();
  await store.createTable();
  const bodies: string[] = [];
  const send = fetchWithTimeout(10_000);
  answerBy(async (request) => {
    bodies.push(await request.clone().text());
    return await send(request);
  });
  await store.find(A, now);
  await store.find(A, { ...now, primary: true });
  // It is part of a renewal.
  await store.subjectOf(A);
  assertEquals(bodies.map((body) => body.includes("BEGIN IMMEDIATE")), [false, true, true]);
  assertEquals(counting.count(), 4);
});

Deno.test("LibSQLStore.find() with primary: true that is not answered is not in doubt: it writes nothing", async () => {
  const { store, answerBy } = await overHTTP();
  answerBy(() => Promise.reject(new TypeError("the network is down")));
  const error = await assertRejects(() => store.find(A, { ...now, primary: true }), SessionStoreError);
  assertEquals([error.reason, error.ambiguous], ["unreachable", false]);
});

Deno.test("LibSQLStore passes only text, numbers and bytes to the driver, and its statements depend on no value", async () => {
  using bench = inMemory();
  await bench.make();
  const seen: Set<string>[] = [];
  for (
    const [first, second, subject] of [[A, B, "zoe"], [tokenOf("' OR 1=1 -- "), tokenOf("\\'\""), "';\\"]]
  ) {
    const statements = new Set<string>();
    const listen = (sql: string, args: unknown[]) => {
      statements.add(sql);
      for (const arg of args) {
        assert(["string", "number"].includes(typeof arg) || arg instanceof Uint8Array || arg === null, sql);
      }
    };
    const client: LibSQLClient = {
      execute(statement) {
        listen(statement.sql, statement.args);
        return bench.client.execute(statement);
      },
      batch(batch, mode) {
        for (const { sql, args } of batch) listen(sql, args);
        return bench.client.batch(batch, mode);
      },
    };
    const store = new LibSQLStore(client, { cleanup: "off" });
    await store.create(first!, DATA, NOW + HOUR, { ...now, subject });
    await store.commit(first!, DATA, NOW + HOUR, { ...now, subject });
    await store.commit(first!, DATA, NOW + HOUR, now);
    await store.find(first!, now);
    await store.find(first!, { ...now, primary: true });
    await store.touch(first!, NOW + 2 * HOUR, now);
    for (const change of [{}, { subject }, { subject: null }]) {
      await store.update(first!, DATA, { ...rowOf(second!), ...change }, now);
      await store.update(second!, DATA, { ...rowOf(first!), ...change }, now);
    }
    await Array.fromAsync(store.all(now));
    await Array.fromAsync(store.findBySubject(subject!, now));
    await store.deleteBySubject(subject!, { except: second });
    await store.delete(first!);
    await store.deleteExpired({ ...now, limit: 10, grace: 5, onEvent() {} });
    seen.push(statements);
  }
  assertEquals(seen[1], seen[0]);
});

Deno.test("LibSQLStore keeps hostile keys, values and subjects as they are", async (t) => {
  const http = await overHTTP();
  await http.store.createTable();
  using memory = inMemory();
  await memory.make();
  for (const { client, store, table } of [http, { ...memory, table: "sessions" }]) {
    await t.step(table === "sessions" ? "inside the process" : "over HTTP", async () => {
      await assertKeepsAttacks(sessions({ store }));
      assertEquals((await client.execute(`SELECT COUNT(*) FROM ${table}`)).rows[0]![0], 0);
    });
  }
});

Deno.test("LibSQLStore writes an expiry as SQLite's own julianday() does, to the bit", async () => {
  using bench = inMemory();
  await bench.make();
  const expiries = Array.from({ length: 300 }, (_, index) =>
    // 130 years, in steps that are no multiple of a second or a day.
    1 + index * 13_675_973_971);
  const late = [0, 1, 999, Date.UTC(2038, 0, 19, 3, 14, 8), Date.UTC(2100, 1, 28, 23, 59, 59, 999)];
  for (const [index, expiry] of [...expiries, ...late].entries()) {
    await bench.store.commit(tokenOf(String(index)), DATA, expiry, { now: -1 });
    const { rows } = await bench.client.execute({
      // As SCS does it. Its text has up to three digits after the second.
      sql: "SELECT expiry = julianday(?), expiry, julianday(?) FROM sessions WHERE token = ?",
      args: [new Date(expiry).toISOString(), new Date(expiry).toISOString(), tokenOf(String(index))],
    });
    assertEquals(rows[0]![0], 1, `${expiry}: ${rows[0]![1]} is not ${rows[0]![2]}`);
    assertEquals((await bench.store.find(tokenOf(String(index)), { now: expiry - 1 }))?.expiry, expiry);
  }
});

Deno.test("LibSQLStore reads what SQLite's own julianday() has written, at the millisecond", async () => {
  using bench = inMemory(SCS_SQLITE_TABLE);
  await bench.make();
  for (let index = 0; index < 100; index++) {
    const expiry = NOW + index * 7_654_321;
    await bench.client.execute({
      sql: "REPLACE INTO sessions (token, data, expiry) VALUES (?, ?, julianday(?))",
      args: [A, DATA, new Date(expiry).toISOString()],
    });
    assertEquals(await bench.store.find(A, { now: expiry - 1 }), { data: DATA, expiry });
    assertEquals(await bench.store.find(A, { now: expiry }), undefined);
  }
});

Deno.test("SCS's statement finds a session of LibSQLStore until its expiry, and not from then on", async () => {
  using bench = inMemory(SCS_SQLITE_TABLE);
  await bench.make();
  await bench.store.create(A, DATA, NOW + HOUR, now);
  const find = async (at: number) => {
    const { rows } = await bench.client.execute({
      // SCS's own statement, with its 'now' as a parameter.
      sql: "SELECT data FROM sessions WHERE token = ? AND julianday(?) < expiry",
      args: [A, new Date(at).toISOString()],
    });
    return rows.length;
  };
  assertEquals([await find(NOW), await find(NOW + HOUR - 1), await find(NOW + HOUR)], [1, 1, 0]);
});

/** A copy of the file in which SCS has made its table. */
async function scsFile() {
  const directory = await Deno.makeTempDir({ prefix: "sessions_test_" });
  const path = `${directory}/sessions.db`;
  await Deno.copyFile(new URL("../fixtures/scs-sqlite3store.db", import.meta.url), path);
  const client = createNativeClient({ url: `file:${path}` });
  return {
    client,
    store: new LibSQLStore(client, { cleanup: "off" }),
    async [Symbol.asyncDispose]() {
      client.close();
      await Deno.remove(directory, { recursive: true });
    },
  };
}

Deno.test("LibSQLStore reads, writes, renews and ends the sessions of a table that SCS made", async () => {
  await using scs = await scsFile();
  const { store } = scs;
  const expected = scsRows.map(({ storedToken, dataHex, deadline }) => ({
    token: storedToken,
    data: Uint8Array.fromHex(dataHex),
    expiry: Date.parse(deadline),
  })).sort((a, b) => a.token < b.token ? -1 : 1);
  assertEquals(await Array.fromAsync(store.all(now)), expected);
  const [first, second, third] = expected;
  for (const { token, data, expiry } of expected) {
    assertEquals(await store.find(token, { now: expiry - 1 }), { data, expiry });
    assertEquals(await store.find(token, { now: expiry }), undefined);
  }
  assertEquals(await store.update(first!.token, first!.data, { ...first!, data: OTHER }, now), true);
  assertEquals((await store.find(first!.token, now))?.data, OTHER);
  assertEquals(await store.update(second!.token, second!.data, { ...second!, token: B }, now), true);
  assertEquals(await store.find(B, now), { data: second!.data, expiry: second!.expiry });
  await store.touch(third!.token, third!.expiry + 1, now);
  assertEquals(await store.deleteExpired({ now: third!.expiry }), 2);
  assertEquals(await store.delete(third!.token), true);
  assertEquals(await Array.fromAsync(store.all(now)), []);
});

Deno.test("LibSQLStore on a table that SCS made names the statement for a column of subjects, and uses the column after it", async () => {
  await using scs = await scsFile();
  await assertAsksForSubjects(scs.store, (statement) => scs.client.execute(statement));
});

Deno.test("LibSQLStore without its table reports how to make it, over HTTP and inside the process", async () => {
  using memory = inMemory();
  const http = await overHTTP("sessions_missing");
  for (const { store } of [memory, http]) {
    const advice = /there is no table sessions(_missing)?; run createTable\(\)$/;
    for (const call of calls) await assertFails(store, call, { reason: "schema", retryable: false, advice });
    await store.createTable();
    for (const call of calls) await call.run(store);
  }
  await http.client.execute("DROP TABLE sessions_missing");
});

Deno.test("LibSQLStore over HTTP on a table of SCS's names the statement for a column of subjects", async () => {
  const { store, client, table } = await overHTTP();
  await client.execute(
    `CREATE TABLE ${table} (token TEXT PRIMARY KEY, data BLOB NOT NULL, expiry REAL NOT NULL)`,
  );
  await assertAsksForSubjects(store, (statement) => client.execute(statement));
  const { rows } = await client.execute(`SELECT name FROM pragma_index_list('${table}') WHERE origin = 'c'`);
  assertEquals(rows.map((row) => row[0]), [`${table}_subject_idx`]);
});

Deno.test("LibSQLStore over HTTP names the column that another program's table lacks, and how to use another table", async () => {
  const { store, client, table } = await overHTTP();
  await client.execute(`CREATE TABLE ${table} (token TEXT PRIMARY KEY, data BLOB NOT NULL, subject TEXT)`);
  const advice = new RegExp(
    `: the table ${table} has no column expiry; set another "table" and run createTable\\(\\)$`,
  );
  const failure: Failure = { reason: "schema", retryable: false, advice };
  for (const call of calls.filter(({ operation }) => !["delete", "deleteBySubject"].includes(operation))) {
    await assertFails(store, call, failure);
  }
});

Deno.test("LibSQLStore fails with unreachable while the server is down, and works again when it is back", async () => {
  await using server = await startLibSQL();
  const client = createWebClient({ url: server.url, fetch: fetchWithTimeout(10_000) });
  const store = new LibSQLStore(client, { cleanup: "off" });
  await store.createTable();
  await server.kill();
  for (const call of calls) {
    await assertFails(store, call, { reason: "unreachable", retryable: true, ambiguous: true });
  }
  await server.start();
  for (const call of calls) await call.run(store);
});

Deno.test("LibSQLStore with a wrong access token fails for good, and no error shows the token", async () => {
  await using server = await startLibSQL({ auth: true });
  const storeWith = (authToken?: string) => {
    const client = createWebClient({ url: server.url, authToken, fetch: fetchWithTimeout(10_000) });
    return new LibSQLStore(client, { cleanup: "off" });
  };
  await storeWith(await server.token()).createTable();
  const tokens = [undefined, await server.token({}, { wrongKey: true }), await server.token({ exp: 1 })];
  // Not the short parts: a path in the error's stack may contain them by chance.
  const secretsIn = (token: string) => token.split(".").filter((part) => part.length > 10);
  for (const token of tokens) {
    const secrets = token === undefined ? [] : secretsIn(token);
    const failure: Failure = { reason: "unauthorized", retryable: false, advice: /the server answered 401/ };
    for (const call of calls) await assertFails(storeWith(token), call, failure, secrets);
  }
  const readOnly = await server.token({ a: "ro" });
  for (const call of reads) await call.run(storeWith(readOnly));
  const failure: Failure = { reason: "unauthorized", retryable: false, advice: /the server answered 403/ };
  for (const call of writes) await assertFails(storeWith(readOnly), call, failure, secretsIn(readOnly));
});

/** Answers of a server that is in trouble. */
const REPLIES: [name: string, reply: () => Response, failure: Failure][] = [
  ["HTML with 200", () => html(200), { reason: "malformed", retryable: true, ambiguous: true }],
  ["nothing with 200", () => new Response(""), { reason: "malformed", retryable: true, ambiguous: true }],
  ["half of a reply", () => new Response('{"baton": '), {
    reason: "malformed",
    retryable: true,
    ambiguous: true,
  }],
  ["an empty object", () => Response.json({}), { reason: "malformed", retryable: true, ambiguous: true }],
  ["no results", () => Response.json({ baton: null, base_url: null, results: [] }), {
    reason: "malformed",
    retryable: true,
    ambiguous: true,
  }],
  ["400", () => html(400), { reason: "rejected", retryable: false, advice: /400/ }],
  ["401", () => html(401), { reason: "unauthorized", retryable: false, advice: /401/ }],
  ["403", () => html(403), { reason: "unauthorized", retryable: false, advice: /403/ }],
  ["404", () => html(404), { reason: "rejected", retryable: false, advice: /404/ }],
  ["429", () => html(429), { reason: "busy", retryable: true, advice: /429/ }],
  ["500", () => html(500), { reason: "unreachable", retryable: true, ambiguous: true, advice: /500/ }],
  ["503", () => html(503), { reason: "unreachable", retryable: true, ambiguous: true, advice: /503/ }],
  ["a broken connection", broken, { reason: "unreachable", retryable: true, ambiguous: true }],
  ["what workerd says of one", workerd, { reason: "unreachable", retryable: true, ambiguous: true }],
  ["a lock", () => sqlError("SQLITE_BUSY"), { reason: "busy", retryable: true }],
  ["a transaction in the way", () => sqlError("TRANSACTION_BUSY"), { reason: "busy", retryable: true }],
  ["a transaction that took too long", () => sqlError("TRANSACTION_TIMEOUT"), {
    reason: "unreachable",
    retryable: true,
    ambiguous: true,
  }],
  ["a database that the host has blocked", () => sqlError("BLOCKED"), {
    reason: "unauthorized",
    retryable: false,
    advice: /the host has blocked the database$/,
  }],
  ["a full disk", () => sqlError("SQLITE_FULL"), { reason: "unreachable", retryable: true, ambiguous: true }],
  ["a broken rule of the table", () => sqlError("SQLITE_CONSTRAINT"), {
    reason: "rejected",
    retryable: false,
  }],
  ["a syntax error", () => sqlError("SQL_PARSE_ERROR"), { reason: "rejected", retryable: false }],
];

function html(status: number): Response {
  return new Response(`<html>Sorry. You sent: SELECT '${CANARY.token}' ${CANARY.data}</html>`, { status });
}

function sqlError(code: string): Response {
  const error = { code, message: `SQLite error: near '${CANARY.data}', SELECT '${CANARY.token}'` };
  const result = { type: "error", error };
  return Response.json({ baton: null, base_url: null, results: [result, result] });
}

function broken(): Response {
  throw new TypeError(`error sending request for ${CANARY.data}`);
}

function workerd(): Response {
  throw new Error("Network connection lost.");
}

for (const [name, reply, failure] of REPLIES) {
  Deno.test(`LibSQLStore that is answered ${name} fails with ${failure.reason} in every call`, async () => {
    const { client, answerBy } = await overHTTP();
    // A statement that is busy is sent again until the time is up.
    const store = new LibSQLStore(client, {
      cleanup: "off",
      timeout: failure.reason === "busy" ? 100 : 10_000,
    });
    answerBy(() => reply());
    for (const call of calls) await assertFails(store, call, failure);
  });
}

Deno.test("LibSQLStore fails with busy while another connection holds the lock, and works again when it is free", async () => {
  await using scs = await scsFile();
  await scs.store.createTable().catch(() => {});
  const path = (await scs.client.execute("PRAGMA database_list")).rows[0]![2];
  const other = createNativeClient({ url: `file:${path}` });
  const transaction = await other.transaction("write");
  const withoutSubject = writes.filter((call) => !callsWithSubject.includes(call));
  const impatient = new LibSQLStore(scs.client, { cleanup: "off", timeout: 100 });
  for (const call of withoutSubject) await assertFails(impatient, call, { reason: "busy", retryable: true });
  // A read needs no lock.
  assertEquals((await Array.fromAsync(scs.store.all(now))).length, scsRows.length);
  await transaction.rollback();
  other.close();
  for (const call of withoutSubject) await call.run(scs.store);
});

Deno.test("LibSQLStore sends a statement again after a lock has refused it, and a purge only for a moment", async () => {
  const { client, counting, answerBy, table } = await overHTTP();
  // Enough for ten attempts on a machine that stands still between them.
  const store = new LibSQLStore(client, { cleanup: "off", table, timeout: "30s" });
  await store.createTable();
  const send = fetchWithTimeout(10_000);
  const refuse = (times: number) => {
    counting.reset();
    answerBy((request) => counting.count() <= times ? sqlError("SQLITE_BUSY") : send(request));
  };
  refuse(10);
  assertEquals(await store.create(A, DATA, NOW + HOUR, now), true);
  assertEquals(counting.count(), 11);
  refuse(10);
  assertEquals((await store.find(A, now))?.data, DATA);
  assertEquals(counting.count(), 11);
  refuse(Infinity);
  const error = await assertRejects(() => store.deleteExpired(now), SessionStoreError);
  assertEquals(error.reason, "busy");
  assert(counting.count() < 60, `it asked ${counting.count()} times`);
});

Deno.test("LibSQLStore waits no longer than its timeout for all attempts together", async () => {
  const { client, answerBy, table } = await overHTTP();
  const store = new LibSQLStore(client, { cleanup: "off", table, timeout: 1_000 });
  const started = performance.now();
  const elapsed = () => performance.now() - started;
  answerBy(() => elapsed() < 700 ? sqlError("SQLITE_BUSY") : new Promise<never>(() => {}));
  const error = await assertRejects(() => store.create(A, DATA, NOW + HOUR, now), SessionStoreError);
  assertEquals(error.reason, "timeout");
  assert(elapsed() < 1_500, `it took ${elapsed()} ms`);
});

Deno.test("LibSQLStore on a read-only database reads, and fails for good where it writes", async () => {
  using bench = inMemory();
  await bench.make();
  await bench.client.execute("PRAGMA query_only = ON");
  for (const call of reads) await call.run(bench.store);
  for (const call of writes) {
    await assertFails(bench.store, call, { reason: "unauthorized", retryable: false });
  }
});

onSilentServer(
  "fetchWithTimeout() aborts a request of @libsql/client, and the server sees its connection closed",
  async (server) => {
    const client = createWebClient({ url: `http://${server.host}`, fetch: fetchWithTimeout(50) });
    const store = new LibSQLStore(client, { cleanup: "off" });
    for (const call of [reads[0]!, writes[0]!]) {
      await assertFails(store, call, { reason: "timeout", retryable: true, ambiguous: true });
      await server.closed();
    }
  },
);

onSilentServer("LibSQLStore stops waiting at its timeout, and the request goes on", async (server) => {
  const client = createWebClient({ url: `http://${server.host}` });
  const store = new LibSQLStore(client, { cleanup: "off", timeout: 30 });
  for (const call of [reads[0]!, writes[0]!]) {
    await assertFails(store, call, { reason: "timeout", retryable: true, ambiguous: true });
    await server.asked();
  }
  assertEquals(server.open(), 2);
});

onSilentServer("LibSQLStore stops waiting for a read when its signal aborts", async (server) => {
  const store = new LibSQLStore(createWebClient({ url: `http://${server.host}` }), { cleanup: "off" });
  const controller = new AbortController();
  const found = store.find(A, { ...now, signal: controller.signal });
  await server.asked();
  controller.abort();
  const error = await assertRejects(() => found, SessionStoreError);
  assertEquals([error.reason, error.retryable, error.ambiguous], ["aborted", true, false]);
});

Deno.test("LibSQLStore reads the same with every intMode of the client", async () => {
  for (const intMode of ["number", "bigint", "string"] as const) {
    const client = createNativeClient({ url: ":memory:", intMode });
    const store = new LibSQLStore(client, { cleanup: "off" });
    await store.createTable();
    assertEquals(await store.create(A, DATA, NOW + HOUR, { ...now, subject: "zoe" }), true);
    assertEquals(await store.find(A, now), { data: DATA, expiry: NOW + HOUR });
    assertEquals(await Array.fromAsync(store.all(now)), [rowOf(A)]);
    assertEquals(await store.update(A, DATA, rowOf(B), now), true);
    assertEquals(await store.deleteExpired({ now: NOW + HOUR, onEvent() {} }), 1);
    client.close();
  }
});

Deno.test("LibSQLStore judges a write by its rows, where a host reports a count of 0", async () => {
  using bench = inMemory();
  await bench.make();
  const uncounted = <Result extends { rows: unknown }>(result: Result) => ({ ...result, rowsAffected: 0 });
  const client: LibSQLClient = {
    execute: async (statement) => uncounted(await bench.client.execute(statement)),
    batch: async (statements, mode) => (await bench.client.batch(statements, mode)).map(uncounted),
  };
  const store = new LibSQLStore(client, { cleanup: "off" });
  assertEquals(await store.create(A, DATA, NOW + HOUR, { ...now, subject: "zoe" }), true);
  assertEquals(await store.update(A, DATA, rowOf(A), now), true);
  assertEquals(await store.deleteBySubject("zoe"), 1);
  await store.commit(A, DATA, NOW, now);
  assertEquals(await store.deleteExpired(now), 1);
  await store.commit(A, DATA, NOW, now);
  assertEquals(await store.delete(A), true);
});

Deno.test("LibSQLStore reads data that another program has stored as text", async () => {
  using bench = inMemory(SCS_SQLITE_TABLE);
  await bench.make();
  await bench.client.execute({ sql: "INSERT INTO sessions VALUES (?, ?, 3e6)", args: [A, "Zoë"] });
  assertEquals((await bench.store.find(A, now))?.data, new TextEncoder().encode("Zoë"));
});

Deno.test("LibSQLStore lists every session even if one of them expires in a million years", async () => {
  using bench = inMemory(SCS_SQLITE_TABLE);
  await bench.make();
  await bench.store.create(A, DATA, NOW + HOUR, now);
  await bench.client.execute({ sql: "INSERT INTO sessions VALUES (?, ?, 1e9)", args: [B, DATA] });
  assertEquals((await Array.fromAsync(bench.store.all(now))).map(({ token }) => token), [A, B]);
  assertEquals((await bench.store.find(A, now))?.expiry, NOW + HOUR);
});

Deno.test("LibSQLStore on a table of SCS saves a session whose absent subject is set to undefined", async () => {
  using bench = inMemory(SCS_SQLITE_TABLE);
  await bench.make();
  const manager = sessions<{ n: number }>({ store: bench.store });
  const session = await manager.load();
  session.put("n", 1);
  const { token } = await session.commit();
  session.subject = undefined;
  session.put("n", 2);
  await session.commit();
  assertEquals((await manager.load(token)).get("n"), 2);
});

Deno.test("LibSQLStore.createTable() changes neither its own table nor one of SCS's", async () => {
  using bench = inMemory(SCS_SQLITE_TABLE);
  await bench.make();
  await bench.store.create(A, DATA, NOW + HOUR, now);
  const error = await assertRejects(() => bench.store.createTable(), SessionStoreError);
  assertStringIncludes(error.message, "the table sessions has no column subject");
  assertEquals(await bench.store.find(A, now), { data: DATA, expiry: NOW + HOUR });
  using own = inMemory();
  await own.store.createTable();
  await own.store.create(A, DATA, NOW + HOUR, now);
  await own.store.createTable();
  assertEquals(await own.store.find(A, now), { data: DATA, expiry: NOW + HOUR });
});

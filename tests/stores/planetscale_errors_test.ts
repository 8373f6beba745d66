/** How a call of `PlanetScaleStore` fails when the database does, and what the error says. */
import { Client } from "@planetscale/database";
import { SessionStoreError, SessionTooLargeError } from "../../mod.ts";
import { fetchWithTimeout, PlanetScaleStore } from "../../stores/planetscale.ts";
import { assert, assertEquals, assertRejects, assertStringIncludes } from "../assert.ts";
import { CLOSED_PORT } from "../services/_port.ts";
import { startMySQL } from "../services/mysql.ts";
import { startGateway } from "../services/planetscale_gateway.ts";
import {
  assertAsksForSubjects,
  assertFails,
  type Call,
  calls,
  CANARY,
  type Failure,
  NOW,
  reads,
  writes,
} from "./_failing_calls.ts";
import { openPlanetScale, type PlanetScaleBench } from "./_planetscale.ts";
import { SCS_MYSQL_TABLE } from "./_scs_tables.ts";
import { onSilentServer } from "./_silent_server.ts";

const isUpdate = ({ operation }: Call) => operation === "update" || operation === "touch";

Deno.test("PlanetScaleStore without its table reports how to make it, and works once it is there", async () => {
  await using bench = await openPlanetScale({ table: [] });
  const advice = /there is no table sessions; run createTable\(\)$/;
  for (const call of calls) {
    await assertFails(bench.store, call, { reason: "schema", retryable: false, advice });
  }
  // More than a BLOB holds, which is not why it fails.
  const create = () => bench.store.create("a", new Uint8Array(70_000), NOW + 60_000, { now: NOW });
  assertEquals((await assertRejects(create, SessionStoreError)).reason, "schema");
  await bench.store.createTable();
  for (const call of calls) await call.run(bench.store);
});

Deno.test("PlanetScaleStore without a column for subjects names the statement to run, and works after it", async () => {
  await using bench = await openPlanetScale({ table: SCS_MYSQL_TABLE });
  await bench.store.create("a", new Uint8Array(3), NOW + 60_000, { now: NOW });
  assertEquals(await bench.store.subjectOf("a"), undefined);
  await assertAsksForSubjects(bench.store, (statement) => bench.query(statement));
  const indexes = await bench.query("SHOW INDEX FROM sessions WHERE Column_name = 'subject'");
  assertEquals(indexes.length, 1);
});

Deno.test("PlanetScaleStore on a table with a constraint that it knows nothing of names the table", async () => {
  const columns = "token CHAR(43) PRIMARY KEY, data BLOB NOT NULL, expiry DATETIME(6) NOT NULL";
  for (const more of ["agent TEXT NOT NULL", "CHECK (LENGTH(data) > 9)"]) {
    await using bench = await openPlanetScale({ table: [`CREATE TABLE sessions (${columns}, ${more})`] });
    await bench.store.createTable();
    const create = () => bench.store.create("a", Uint8Array.of(1), NOW, { now: NOW });
    const { message } = await assertRejects(create, SessionStoreError);
    assertEquals(
      message,
      "Session store failed in create() (schema): a constraint of the table sessions refuses the row; compare it with schema()",
    );
  }
});

/** What to do about another program's table. */
const USE_OTHER = 'set another "table" and run createTable()';

Deno.test("PlanetScaleStore refuses another program's table, in createTable() too, and names the missing column", async () => {
  const tables: [columns: string, missing: string][] = [
    ["id VARCHAR(255) PRIMARY KEY, payload TEXT NOT NULL, last_activity INTEGER NOT NULL", "token"],
    ["session_id VARCHAR(128) PRIMARY KEY, expires INTEGER NOT NULL, data TEXT", "token"],
    ["token CHAR(43) PRIMARY KEY, expiry DATETIME NOT NULL", "data"],
    ["token CHAR(43) PRIMARY KEY, data BLOB NOT NULL", "expiry"],
  ];
  for (const [columns, missing] of tables) {
    await using bench = await openPlanetScale({ table: [`CREATE TABLE sessions (${columns})`] });
    const advice = `the table sessions has no column ${missing}; ${USE_OTHER}`;
    const found = await assertRejects(() => bench.store.find("a", { now: 1 }), SessionStoreError);
    assertEquals(found.message, `Session store failed in find() (schema): ${advice}`);
    const made = await assertRejects(() => bench.store.createTable(), SessionStoreError);
    assertEquals(made.message, `Session store failed in createTable() (schema): ${advice}`);
  }
});

Deno.test("createTable() refuses a table whose columns have another type, and names the statement to run", async () => {
  const to43 = "MODIFY token CHAR(43) CHARACTER SET ascii COLLATE ascii_bin NOT NULL";
  const tables: [columns: string, advice: string, change: string][] = [
    ["token BINARY(64) PRIMARY KEY, data BLOB, expiry DATETIME", "token", to43],
    ["token CHAR(42) PRIMARY KEY, data BLOB, expiry DATETIME", "token", to43],
    ["token VARCHAR(43), data BLOB, expiry DATETIME", "token", "ADD PRIMARY KEY (token)"],
    ["token CHAR(43) PRIMARY KEY, data BLOB, expiry DOUBLE", "expiry", "MODIFY expiry DATETIME(6) NOT NULL"],
  ];
  for (const [columns, column, change] of tables) {
    await using bench = await openPlanetScale({ table: [`CREATE TABLE sessions (${columns})`] });
    const { store } = bench;
    const error = await assertRejects(() => store.createTable(), SessionStoreError);
    assertEquals([error.reason, error.retryable], ["schema", false]);
    assertStringIncludes(error.message, `sessions.${column} is `);
    assertStringIncludes(error.message, `; run ALTER TABLE \`sessions\` ${change}, or ${USE_OTHER}`);
    await bench.query(`ALTER TABLE sessions ${change}`);
    await store.createTable();
    const token = "t".repeat(43);
    assertEquals(await store.create(token, new Uint8Array(3), NOW + 60_000, { now: NOW }), true);
    assert(await store.find(token, { now: NOW }) !== undefined, columns);
  }
});

Deno.test("A read refuses a table that pads tokens, and a write one whose expiry is no time", async () => {
  await using padded = await openPlanetScale({
    table: ["CREATE TABLE sessions (token BINARY(64) PRIMARY KEY, data BLOB, expiry DATETIME)"],
  });
  const found = await assertRejects(() => padded.store.find("a", { now: NOW }), SessionStoreError);
  assertStringIncludes(found.message, "(schema): sessions.token is BINARY(64)");
  await using timeless = await openPlanetScale({
    table: ["CREATE TABLE sessions (token CHAR(43) PRIMARY KEY, data BLOB, expiry DOUBLE)"],
  });
  const create = () => timeless.store.create("a", new Uint8Array(3), NOW + 60_000, { now: NOW });
  const created = await assertRejects(create, SessionStoreError);
  assertStringIncludes(created.message, "(schema): a column of the table sessions has another type than");
});

Deno.test("createTable() accepts a table of SCS's, and other types that hold a token and tell one from another", async () => {
  const types = [
    "BINARY(43) PRIMARY KEY",
    "VARBINARY(64) UNIQUE",
    "VARCHAR(100) PRIMARY KEY",
    "CHAR(50) UNIQUE",
  ];
  const tables = types.map((
    type,
  ) => [`CREATE TABLE sessions (token ${type}, data BLOB, expiry DATETIME(6))`]);
  // MySQL takes a column's name in any case.
  tables.push(["CREATE TABLE sessions (TOKEN CHAR(43) PRIMARY KEY, Data BLOB, EXPIRY DATETIME(6))"]);
  for (const table of [SCS_MYSQL_TABLE, ...tables]) {
    await using bench = await openPlanetScale({ table });
    await bench.store.createTable();
    const token = "t".repeat(43);
    assertEquals(await bench.store.create(token, new Uint8Array(3), NOW + 60_000, { now: NOW }), true);
    assertEquals((await bench.store.find(token, { now: NOW }))?.data.length, 3);
  }
});

Deno.test("PlanetScaleStore sends nothing on a Connection while a transaction is open", async () => {
  await using bench = await openPlanetScale();
  const connection = new Client({ ...bench.gateway.config(), fetch: fetchWithTimeout(10_000) }).connection();
  const store = new PlanetScaleStore(connection, { cleanup: "off" });
  await connection.execute("BEGIN");
  bench.gateway.reset();
  for (const call of calls) {
    await assertFails(store, call, { reason: "busy", retryable: true, advice: /give the store a Client$/ });
  }
  assertEquals(bench.gateway.requests(), 0);
  await connection.execute("COMMIT");
  for (const call of calls) await call.run(store);
});

Deno.test("PlanetScaleStore with a wrong password fails for good, and no error shows the password", async () => {
  await using bench = await openPlanetScale();
  const password = "pscale_pw_canary";
  const { host } = bench.gateway;
  const client = new Client({ url: `http://someone:${password}@${host}`, fetch: fetchWithTimeout(10_000) });
  const store = new PlanetScaleStore(client, { cleanup: "off" });
  const secrets = [password, btoa(`someone:${password}`), host];
  const failure: Failure = { reason: "unauthorized", retryable: false, advice: /the server answered 401/ };
  for (const call of calls) await assertFails(store, call, failure, secrets);
});

Deno.test("PlanetScaleStore whose user may only read reads, and fails for good where it writes", async () => {
  await using bench = await openPlanetScale({ gateway: { grants: ["SELECT"] } });
  for (const call of reads) await call.run(bench.store);
  for (const call of writes) {
    await assertFails(bench.store, call, { reason: "unauthorized", retryable: false });
  }
});

for (const sqlMode of [undefined, "", "NO_BACKSLASH_ESCAPES,ANSI_QUOTES"]) {
  Deno.test(`PlanetScaleStore refuses data that is too large for a BLOB, in every write, with sql_mode ${sqlMode}`, async () => {
    await using bench = await openPlanetScale({ table: SCS_MYSQL_TABLE, gateway: { sqlMode } });
    await refusesTooLarge(bench);
  });

  Deno.test(`PlanetScaleStore refuses a subject or data that is too long for a small column, with sql_mode ${sqlMode}`, async () => {
    const table = "CREATE TABLE sessions (token CHAR(43) PRIMARY KEY, data VARBINARY(100) NOT NULL, " +
      "expiry TIMESTAMP(6) NOT NULL, subject VARCHAR(4) CHARACTER SET latin1)";
    await using bench = await openPlanetScale({ table: [table], gateway: { sqlMode } });
    const { store } = bench;
    const [data, now, expiry] = [new Uint8Array(100).fill(120), { now: NOW }, NOW + 1_000];
    await store.create("a", data, expiry, { ...now, subject: "abcd" });
    const long = new Uint8Array(101).fill(120);
    const writes = [
      () => store.create("b", data, expiry, { ...now, subject: "abcde" }),
      () => store.create("b", long, expiry, now),
      () => store.commit("a", data, expiry, { ...now, subject: "abcde" }),
      () => store.commit("a", long, expiry, now),
      () => store.update("a", data, { data, subject: "abcde" }, now),
      () => store.update("a", data, { data: long }, now),
      () => store.update("a", data, { data: long, expiry: expiry + 1 }, now),
      () => store.update("a", data, { data, token: "b", subject: "abcde" }, now),
    ];
    for (const write of writes) {
      const error = await assertRejects(write, SessionStoreError, "a value is too long for its column");
      assertEquals([error.reason, error.retryable, error.ambiguous], ["rejected", false, false]);
      const owned = await Array.fromAsync(store.findBySubject("abcd", now));
      assertEquals(owned, [{ token: "a", data, expiry }]);
    }
    const large = { data, expiry, token: "b", mark: { data: long, expiry } };
    assertEquals(await store.update("a", data, large, now), true);
    assertEquals((await Array.fromAsync(store.all(now))).map(({ token }) => token), ["b"]);
  });
}

async function refusesTooLarge(bench: PlanetScaleBench): Promise<void> {
  const { store } = bench;
  const [data, small] = [new Uint8Array(65_536).fill(120), new Uint8Array(65_535).fill(120)];
  const [token, now, expiry] = [CANARY.token, { now: NOW }, NOW + 1_000];
  await store.create(token, small, expiry, now);
  const write = [
    () => store.create(CANARY.next, data, expiry, now),
    () => store.commit(token, data, expiry, now),
    () => store.update(token, small, { token, data, expiry }, now),
    () => store.update(token, small, { token: CANARY.next, data, expiry }, now),
  ];
  for (const call of write) {
    const error = await assertRejects(call, SessionTooLargeError);
    assertStringIncludes(error.message, "it has 65536 bytes, and the limit is 65535");
  }
  assertEquals(await Array.fromAsync(store.all(now)), [{ token, data: small, expiry }]);
}

/** Answers of a server that is in trouble. */
const REPLIES: [name: string, reply: () => Response, failure: Failure][] = [
  ["HTML with 200", () => html(200), { reason: "malformed", retryable: true, ambiguous: true }],
  ["nothing with 200", () => new Response(""), { reason: "malformed", retryable: true, ambiguous: true }],
  ["half of a reply", () => new Response('{"result": {"fie'), {
    reason: "malformed",
    retryable: true,
    ambiguous: true,
  }],
  ["null", () => Response.json(null), { reason: "unreachable", retryable: true, ambiguous: true }],
  ["400", () => html(400), { reason: "rejected", retryable: false, advice: /400/ }],
  ["401 of Vitess", () => error(401, "unauthenticated"), {
    reason: "unauthorized",
    retryable: false,
    advice: /401/,
  }],
  ["401 of a proxy", () => html(401), { reason: "unauthorized", retryable: false, advice: /401/ }],
  ["403", () => error(403, "permission_denied"), { reason: "unauthorized", retryable: false, advice: /403/ }],
  ["404", () => html(404), { reason: "rejected", retryable: false, advice: /404/ }],
  ["429", () => error(429, "resource_exhausted"), { reason: "busy", retryable: true, advice: /429/ }],
  ["429 of a proxy", () => html(429), { reason: "busy", retryable: true, advice: /429/ }],
  ["500", () => html(500), { reason: "unreachable", retryable: true, ambiguous: true, advice: /500/ }],
  ["503 of Vitess", () => error(503, "unavailable"), {
    reason: "unreachable",
    retryable: true,
    ambiguous: true,
  }],
  ["504", () => html(504), { reason: "unreachable", retryable: true, ambiguous: true, advice: /504/ }],
  ["a broken connection", broken, { reason: "unreachable", retryable: true, ambiguous: true }],
  ["a deadlock", () => mysql(1213, "Aborted"), { reason: "busy", retryable: true }],
  ["a lock that is held", () => mysql(1205, "DeadlineExceeded"), { reason: "busy", retryable: true }],
  ["too many connections", () => mysql(1040, "ResourceExhausted"), { reason: "busy", retryable: true }],
  ["a lost connection", () => mysql(2013, "Unavailable"), {
    reason: "unreachable",
    retryable: true,
    ambiguous: true,
  }],
  ["a MySQL that cannot be reached", () => mysql(2003, "Unknown"), {
    reason: "unreachable",
    retryable: true,
    ambiguous: true,
  }],
  ["a reply that was lost", () => mysql(2014, "Unknown"), {
    reason: "unreachable",
    retryable: true,
    ambiguous: true,
  }],
  ["a tablet that is down", () => mysql(1105, "Unavailable"), {
    reason: "unreachable",
    retryable: true,
    ambiguous: true,
  }],
  ["an error without a number of its own", () => mysql(1105, "Unknown"), {
    reason: "rejected",
    retryable: false,
    advice: /MySQL error 1105$/,
  }],
  ["a statement that was interrupted", () => mysql(1317, "Canceled"), {
    reason: "unreachable",
    retryable: true,
    ambiguous: true,
  }],
  ["a shutdown", () => mysql(1053, "Unavailable"), {
    reason: "unreachable",
    retryable: true,
    ambiguous: true,
  }],
  ["a read-only replica", () => mysql(1290, "FailedPrecondition"), {
    reason: "unauthorized",
    retryable: false,
  }],
  ["a wrong value", () => mysql(1366, "InvalidArgument"), {
    reason: "rejected",
    retryable: false,
    advice: /MySQL error 1366$/,
  }],
  ["Vitess without a shard", () => vitess("Unavailable"), {
    reason: "unreachable",
    retryable: true,
    ambiguous: true,
  }],
  ["Vitess that gave up", () => vitess("DeadlineExceeded"), {
    reason: "unreachable",
    retryable: true,
    ambiguous: true,
  }],
  ["Vitess that has too much to do", () => vitess("ResourceExhausted"), { reason: "busy", retryable: true }],
  ["Vitess that does not know the statement", () => vitess("Unimplemented"), {
    reason: "rejected",
    retryable: false,
  }],
  ["a branch with safe migrations", () => vitess("Unknown", "direct DDL is disabled"), {
    reason: "rejected",
    retryable: false,
    advice: /run schema\(\) on a development branch and deploy it$/,
  }],
  ["Vitess that forbids it", () => vitess("PermissionDenied"), { reason: "unauthorized", retryable: false }],
];

/** A proxy's answer, which quotes the request. */
function html(status: number): Response {
  return new Response(`<html>Sorry. You sent: SELECT '${CANARY.token}' ${CANARY.data}</html>`, { status });
}

function error(status: number, code: string): Response {
  return Response.json({ error: { code, message: `no: ${CANARY.token} ${CANARY.data}` } }, { status });
}

/** An error of MySQL as Vitess passes it on, with the statement and its values. */
function mysql(number: number, kind: string): Response {
  return vitess(kind, `Something about '${CANARY.data}' (errno ${number}) (sqlstate HY000)`);
}

function vitess(kind: string, text = `no healthy tablet for '${CANARY.data}'`): Response {
  const message =
    `target: main.-.primary: vttablet: rpc error: code = ${kind} desc = ${text} (CallerID: canary): ` +
    `Sql: "SELECT '${CANARY.token}' WHERE subject = '${CANARY.subject}'", BindVars: {${CANARY.data}}`;
  return Response.json({ error: { code: "UNKNOWN", message } });
}

function broken(): Response {
  throw new Error("broken");
}

for (const [name, reply, failure] of REPLIES) {
  Deno.test(`PlanetScaleStore that is answered ${name} fails with ${failure.reason} in every call`, async () => {
    await using bench = await openPlanetScale();
    bench.gateway.intercept = () => reply();
    for (const call of calls) {
      // A new store each time, since a store looks only once at the type of its columns.
      await assertFails(
        bench.another(),
        call,
        failure,
      );
    }
  });
}

Deno.test("PlanetScaleStore does not take an empty answer for a result", async () => {
  await using bench = await openPlanetScale();
  const store = bench.another();
  await store.find(CANARY.token, { now: NOW });
  bench.gateway.intercept = () => Response.json({});
  for (const call of calls.filter((call) => !isUpdate(call))) {
    await assertFails(store, call, { reason: "malformed", retryable: true, ambiguous: true });
  }
  // Here it reports that nothing was written. The manager reads the row before it believes that.
  for (const call of writes.filter(isUpdate)) assert(!(await call.run(store)));
});

Deno.test("PlanetScaleStore reports an empty answer to commit() as in doubt, unless the row is there", async () => {
  await using bench = await openPlanetScale();
  const { store, gateway } = bench;
  const commit = () => store.commit(CANARY.token, Uint8Array.of(1), NOW + 1_000, { now: NOW });
  gateway.intercept = (sql, execute) => sql.startsWith("INSERT") ? Response.json({}) : execute();
  const error = await assertRejects(commit, SessionStoreError);
  assertEquals([error.reason, error.retryable, error.ambiguous], ["malformed", true, true]);
  gateway.intercept = undefined;
  await commit();
  gateway.intercept = (sql, execute) => sql.startsWith("INSERT") ? Response.json({}) : execute();
  await commit();
});

Deno.test("PlanetScaleStore knows no subject of a token that no row can have", async () => {
  await using bench = await openPlanetScale();
  assertEquals(await bench.store.subjectOf("zoë"), undefined);
});

Deno.test("PlanetScaleStore reports an empty answer to a deletion as in doubt, and deletes at the next attempt", async () => {
  await using bench = await openPlanetScale();
  const { store, gateway } = bench;
  const [token, now] = [CANARY.token, { now: NOW }];
  await store.create(token, new Uint8Array(), NOW + 1_000, { ...now, subject: "zoe" });
  const endings = [
    () => store.delete(token),
    () => store.deleteBySubject("zoe"),
    () => store.deleteExpired({ now: NOW + 1_000 }),
  ];
  for (const end of endings) {
    gateway.intercept = (sql, execute) => sql.startsWith("DELETE") ? Response.json({}) : execute();
    const error = await assertRejects(end, SessionStoreError);
    assertEquals([error.reason, error.retryable, error.ambiguous], ["malformed", true, true]);
  }
  gateway.intercept = undefined;
  assertEquals(await store.delete(token), true);
});

Deno.test("PlanetScaleStore does not take an empty answer about the time zone for a wrong zone", async () => {
  await using bench = await openPlanetScale({ table: SCS_MYSQL_TABLE });
  bench.gateway.intercept = (sql, execute) => sql.startsWith("SELECT token") ? execute() : Response.json({});
  const error = await assertRejects(() => bench.store.find(CANARY.token, { now: NOW }), SessionStoreError);
  assertEquals([error.reason, error.retryable, error.ambiguous], ["malformed", true, false]);
  bench.gateway.intercept = undefined;
  assertEquals(await bench.store.find(CANARY.token, { now: NOW }), undefined);
});

Deno.test("PlanetScaleStore fails with unreachable while MySQL is down, and works again when it is back", async () => {
  await using server = await startMySQL({ own: true });
  await using gateway = await startGateway(server);
  const store = new PlanetScaleStore(new Client(gateway.config()), { cleanup: "off" });
  await store.createTable();
  await server.kill();
  for (const call of calls) {
    const failure: Failure = { reason: "unreachable", retryable: true, ambiguous: true };
    await assertFails(store, call, failure);
  }
  await server.start();
  for (const call of calls) await call.run(store);
});

Deno.test("PlanetScaleStore leaves a write in doubt when its connection is refused", async () => {
  const client = new Client({ url: `http://u:p@127.0.0.1:${CLOSED_PORT}`, fetch: fetchWithTimeout(10_000) });
  const store = new PlanetScaleStore(client, { cleanup: "off" });
  // `fetch` may have sent the request before, on a connection that broke.
  for (const call of calls) {
    const failure: Failure = { reason: "unreachable", retryable: true, ambiguous: true };
    await assertFails(store, call, failure);
  }
});

onSilentServer(
  "fetchWithTimeout() aborts a request of @planetscale/database, and the server sees its connection closed",
  async (server) => {
    const client = new Client({ url: `http://u:p@${server.host}`, fetch: fetchWithTimeout(50) });
    const store = new PlanetScaleStore(client, { cleanup: "off" });
    for (const call of [reads[0]!, writes[0]!]) {
      await assertFails(store, call, { reason: "timeout", retryable: true, ambiguous: true });
      await server.closed();
    }
  },
);

onSilentServer("fetchWithTimeout() aborts while it reads an answer that does not end", async (server) => {
  const error = await assertRejects(() => fetchWithTimeout(50)(`http://${server.host}/`), DOMException);
  assertEquals(error.name, "TimeoutError");
  await server.closed();
}, "HTTP/1.1 200 OK\r\nContent-Length: 100\r\n\r\n{");

onSilentServer("fetchWithTimeout() aborts when the given signal does", async (server) => {
  const controller = new AbortController();
  const given = [
    fetchWithTimeout(60_000)(`http://${server.host}/`, { signal: controller.signal }),
    fetchWithTimeout(60_000)(new Request(`http://${server.host}/`, { signal: controller.signal })),
  ];
  for (const _ of given) await server.asked();
  controller.abort(new Error("enough"));
  for (const promise of given) await assertRejects(() => promise, Error, "enough");
  for (const _ of given) await server.closed();
});

onSilentServer(
  "PlanetScaleStore stops waiting at its timeout, and the request goes on",
  async (server) => {
    const client = new Client({ url: `http://u:p@${server.host}`, fetch: (url, init) => fetch(url, init) });
    const store = new PlanetScaleStore(client, { cleanup: "off", timeout: 30 });
    for (const call of [reads[0]!, writes[0]!]) {
      await assertFails(store, call, { reason: "timeout", retryable: true, ambiguous: true });
      await server.asked();
    }
    assertEquals(server.open(), 2);
  },
);

onSilentServer("PlanetScaleStore stops waiting for a read when its signal aborts", async (server) => {
  const store = new PlanetScaleStore(
    new Client({ url: `http://u:p@${server.host}`, fetch: (url, init) => fetch(url, init) }),
    { cleanup: "off" },
  );
  const controller = new AbortController();
  const options = { now: NOW, signal: controller.signal };
  const found = store.find(CANARY.token, options);
  const listed = Array.fromAsync(store.all(options));
  await server.asked();
  await server.asked();
  controller.abort();
  for (const promise of [found, listed]) {
    const error = await assertRejects(() => promise, SessionStoreError);
    assertEquals([error.reason, error.retryable, error.ambiguous], ["aborted", true, false]);
  }
});

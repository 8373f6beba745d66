/**
 * The gateway speaks PlanetScale's protocol. These tests use the unmodified driver, so that tests of stores may rely
 * on the gateway.
 */
import { Client, type Config, DatabaseError, UnknownError } from "@planetscale/database";
import {
  assert,
  assertEquals,
  assertInstanceOf,
  assertMatch,
  assertRejects,
  assertStringIncludes,
} from "../assert.ts";
import { type MySQLServer, startMySQL } from "./mysql.ts";
import { type Gateway, startGateway } from "./planetscale_gateway.ts";
import { SHARDS } from "./_vitess_plan.ts";

let server: MySQLServer;
Deno.test.beforeAll(async () => {
  server = await startMySQL();
});
Deno.test.afterAll(() => server?.stop());

const ALL_BYTES = Uint8Array.from({ length: 256 }, (_, index) => index);
const TABLE = "CREATE TABLE sessions (token CHAR(43) CHARACTER SET ascii COLLATE ascii_bin PRIMARY KEY, " +
  "data MEDIUMBLOB NOT NULL, expiry DATETIME(6) NOT NULL, INDEX (expiry))";

function clientOf(gateway: Gateway): Client {
  return new Client(gateway.config());
}

/** The error of a statement for which the database must reply with an error. */
async function databaseError(promise: Promise<unknown>): Promise<DatabaseError> {
  const error = await assertRejects(() => promise, DatabaseError);
  assert(!(error instanceof UnknownError));
  return error;
}

Deno.test("gateway names types as PlanetScale does, with values that the driver can read", async () => {
  await using gateway = await startGateway(server);
  const client = clientOf(gateway);
  const columns: [sql: string, value: string, type: string, read: unknown][] = [
    ["TINYINT", "1", "INT8", 1],
    ["SMALLINT UNSIGNED", "2", "UINT16", 2],
    ["MEDIUMINT", "-3", "INT24", -3],
    ["INT UNSIGNED", "4294967295", "UINT32", 4294967295],
    ["BIGINT", "-9007199254740993", "INT64", "-9007199254740993"],
    ["BIGINT UNSIGNED", "18446744073709551615", "UINT64", "18446744073709551615"],
    ["DECIMAL(10,2)", "12.50", "DECIMAL", "12.50"],
    ["FLOAT", "0.5", "FLOAT32", 0.5],
    ["DOUBLE", "0.25", "FLOAT64", 0.25],
    ["YEAR", "2026", "YEAR", 2026],
    ["DATE", "'2026-11-21'", "DATE", "2026-11-21"],
    ["TIME(3)", "'11:12:13.5'", "TIME", "11:12:13.500"],
    ["DATETIME(6)", "'2026-11-21 10:11:12.123456'", "DATETIME", "2026-11-21 10:11:12.123456"],
    ["TIMESTAMP(6) NULL", "'2026-11-21 10:11:12.5'", "TIMESTAMP", "2026-11-21 10:11:12.500000"],
    ["CHAR(4)", "'zoë'", "CHAR", "zoë"],
    ["VARCHAR(10)", "'日本語'", "VARCHAR", "日本語"],
    ["TEXT", "'🍪'", "TEXT", "🍪"],
    // The type name says binary, but the character set says text, and the driver uses the character set.
    ["CHAR(5) CHARACTER SET ascii COLLATE ascii_bin", "'token'", "BINARY", "token"],
    ["BINARY(3)", "x'00ff'", "BINARY", Uint8Array.of(0, 255, 0)],
    ["VARBINARY(10)", "'a'", "VARBINARY", Uint8Array.of(97)],
    ["BLOB", "x'c3'", "BLOB", Uint8Array.of(0xc3)],
    ["MEDIUMBLOB", "''", "BLOB", Uint8Array.of()],
    ["ENUM('a','b')", "'b'", "ENUM", "b"],
    ["SET('a','b')", "'a,b'", "SET", "a,b"],
    ["JSON", `'{"a": [1]}'`, "JSON", { a: [1] }],
  ];
  await client.execute(`CREATE TABLE t (${columns.map(([type], index) => `c${index} ${type}`).join(", ")})`);
  await client.execute(`INSERT INTO t VALUES (${columns.map(([, value]) => value).join(", ")})`);
  const result = await client.execute("SELECT * FROM t");
  assertEquals(result.rows, [Object.fromEntries(columns.map(([, , , read], index) => [`c${index}`, read]))]);
  assertEquals(result.types, Object.fromEntries(columns.map(([, , type], index) => [`c${index}`, type])));
  assertEquals(result.rowsAffected, 0);
  assertEquals(result.insertId, "0");
});

Deno.test("gateway describes a column like the replies recorded from PlanetScale", async () => {
  await using gateway = await startGateway(server);
  const client = clientOf(gateway);
  await client.execute(
    "CREATE TABLE t (id BIGINT NOT NULL AUTO_INCREMENT PRIMARY KEY, s VARBINARY(4), x TINYTEXT)",
  );
  const { fields } = await client.execute("SELECT id, s, x, NULL FROM t");
  const origin = { table: "t", orgTable: "t", database: gateway.database };
  assertEquals(fields, [
    { name: "id", type: "INT64", ...origin, orgName: "id", columnLength: 20, charset: 63, flags: 49667 },
    { name: "s", type: "VARBINARY", ...origin, orgName: "s", columnLength: 4, charset: 63, flags: 128 },
    { name: "x", type: "TEXT", ...origin, orgName: "x", columnLength: 1020, charset: 255, flags: 16 },
    { name: "NULL", type: "NULL", charset: 63, flags: 32896 },
  ]);
});

Deno.test("gateway distinguishes NULL from an empty value", async () => {
  await using gateway = await startGateway(server);
  const client = clientOf(gateway);
  const { rows } = await client.execute("SELECT NULL AS a, '' AS b, x'' AS c, '0' AS d");
  assertEquals(rows, [{ a: null, b: "", c: Uint8Array.of(), d: "0" }]);
  assertEquals((await client.execute("SELECT NULL AS a")).rows, [{ a: null }]);
  assertEquals((await client.execute("SELECT 1 AS a FROM dual WHERE 1 = 0")).rows, []);
});

Deno.test("gateway carries all 256 byte values in both directions", async (t) => {
  for (const sqlMode of [undefined, "NO_BACKSLASH_ESCAPES", null]) {
    await t.step(`with sql_mode ${sqlMode}`, async () => {
      await using gateway = await startGateway(server, { sqlMode });
      const client = clientOf(gateway);
      await client.execute(TABLE);
      await client.execute("INSERT INTO sessions VALUES (?, ?, ?)", ["a", ALL_BYTES, "2026-01-01 00:00:00"]);
      const { rows } = await client.execute("SELECT data FROM sessions WHERE data = ?", [ALL_BYTES]);
      assertEquals(rows, [{ data: ALL_BYTES }]);
      const [row] = await server.query("SELECT data FROM sessions", gateway.database);
      assertEquals(row, { data: ALL_BYTES });
    });
  }
});

Deno.test("gateway under NO_BACKSLASH_ESCAPES keeps the driver's backslashes and allows no injection", async () => {
  await using gateway = await startGateway(server, { sqlMode: "NO_BACKSLASH_ESCAPES" });
  const client = clientOf(gateway);
  const { rows } = await client.execute("SELECT ? AS a, ? AS b", ["\\", "\\' OR 1=1 -- "]);
  assertEquals(rows, [{ a: "\\\\", b: "\\\\' OR 1=1 -- " }]);
});

Deno.test("gateway reports changed rows and the id of an insert", async () => {
  await using gateway = await startGateway(server);
  const client = clientOf(gateway);
  await client.execute("CREATE TABLE t (id INT AUTO_INCREMENT PRIMARY KEY, a INT)");
  const inserted = await client.execute("INSERT INTO t (a) VALUES (1), (1), (2)");
  assertEquals([inserted.rowsAffected, inserted.insertId], [3, "1"]);
  assertEquals((await client.execute("UPDATE t SET a = 5 WHERE a = 1")).rowsAffected, 2);
  assertEquals((await client.execute("DELETE FROM t WHERE a = 9")).rowsAffected, 0);
});

Deno.test("gateway counts rows that an UPDATE matches, not those that it changes (FOUND_ROWS)", async () => {
  await using gateway = await startGateway(server);
  const client = clientOf(gateway);
  await client.execute("CREATE TABLE t (id INT PRIMARY KEY, a INT)");
  await client.execute("INSERT INTO t VALUES (1, 1), (2, 2)");
  assertEquals((await client.execute("UPDATE t SET a = a")).rowsAffected, 2);
  const upsert = "INSERT INTO t VALUES (1, ?) ON DUPLICATE KEY UPDATE a = VALUES(a)";
  assertEquals((await client.execute(upsert, [1])).rowsAffected, 1);
  assertEquals((await client.execute(upsert, [7])).rowsAffected, 2);
});

Deno.test("gateway words a duplicate key like Vitess, values included", async () => {
  await using gateway = await startGateway(server);
  const client = clientOf(gateway);
  await client.execute(TABLE);
  const insert = "INSERT INTO sessions (token, data, expiry) VALUES (?, ?, ?)";
  const args = ["secret-token", new TextEncoder().encode("secret"), "2026-01-01 00:00:00"];
  await client.execute(insert, args);
  const error = await databaseError(client.execute(insert, args));
  assertEquals(error.status, 400);
  assertEquals(error.body.code, "UNKNOWN");
  assertEquals(
    // MySQL names the table as well, MariaDB does not.
    error.message.replace("key 'sessions.PRIMARY'", "key 'PRIMARY'"),
    `target: ${gateway.database}.-.primary: vttablet: rpc error: code = AlreadyExists desc = ` +
      `Duplicate entry 'secret-token' for key 'PRIMARY' (errno 1062) (sqlstate 23000) (CallerID: ${gateway.user}): ` +
      'Sql: "INSERT INTO sessions (token, data, expiry) VALUES ' +
      '(:vtg1 /* VARCHAR */, :vtg2 /* HEXVAL */, :vtg3 /* VARCHAR */)", ' +
      String
        .raw`BindVars: {vtg1: "type:VARCHAR value:\"secret-token\""vtg2: "type:HEXVAL value:\"x'736563726574'\""` +
      String.raw`vtg3: "type:VARCHAR value:\"2026-01-01 00:00:00\""}`,
  );
});

Deno.test("gateway can put the kind of an error into its code", async () => {
  await using gateway = await startGateway(server, { errorCode: "kind" });
  const client = clientOf(gateway);
  assertEquals((await databaseError(client.execute("SELECT * FROM missing"))).body.code, "NOT_FOUND");
  const syntax = await databaseError(client.execute("SELEC 1"));
  assertEquals(syntax.body.code, "INVALID_ARGUMENT");
  assertMatch(syntax.message, /\(errno 1064\) \(sqlstate 42000\)/);
});

Deno.test("gateway cuts no value that is too long", async () => {
  await using gateway = await startGateway(server);
  const client = clientOf(gateway);
  await client.execute("CREATE TABLE t (a BLOB)");
  const error = await databaseError(client.execute("INSERT INTO t VALUES (?)", [new Uint8Array(65_536)]));
  assertMatch(error.message, /code = InvalidArgument desc = Data too long for column 'a'.*\(errno 1406\)/);
});

Deno.test("gateway refuses RETURNING, which Vitess does not know", async () => {
  await using gateway = await startGateway(server);
  const client = clientOf(gateway);
  await client.execute("CREATE TABLE t (a VARCHAR(10))");
  const error = await databaseError(client.execute("INSERT INTO t VALUES ('x') RETURNING a"));
  assertMatch(error.message, /^syntax error at position \d+ near 'RETURNING'$/);
  assertEquals((await client.execute("INSERT INTO t VALUES ('returning')")).rowsAffected, 1);
});

Deno.test("gateway commits and rolls back", async () => {
  await using gateway = await startGateway(server);
  const client = clientOf(gateway);
  await client.execute("CREATE TABLE t (a INT PRIMARY KEY)");
  await client.transaction(async (tx) => {
    await tx.execute("INSERT INTO t VALUES (1)");
    assertEquals((await tx.execute("SELECT COUNT(*) AS n FROM t")).rows, [{ n: "1" }]);
    assertEquals((await client.execute("SELECT COUNT(*) AS n FROM t")).rows, [{ n: "0" }]);
  });
  await assertRejects(
    () =>
      client.transaction(async (tx) => {
        await tx.execute("INSERT INTO t VALUES (2)");
        throw new Error("changed my mind");
      }),
    Error,
    "changed my mind",
  );
  const duplicate = await databaseError(client.transaction(async (tx) => {
    await tx.execute("INSERT INTO t VALUES (3)");
    await tx.execute("INSERT INTO t VALUES (1)");
  }));
  assertMatch(duplicate.message, /errno 1062/);
  assertEquals((await client.execute("SELECT a FROM t")).rows, [{ a: 1 }]);
  assertEquals(gateway.statements().filter((sql) => /^(BEGIN|COMMIT|ROLLBACK)$/.test(sql)), [
    "BEGIN",
    "COMMIT",
    "BEGIN",
    "ROLLBACK",
    "BEGIN",
    "ROLLBACK",
  ]);
});

Deno.test("gateway keeps transactions of several clients separate", async () => {
  await using gateway = await startGateway(server);
  const client = clientOf(gateway);
  await client.execute("CREATE TABLE t (a INT PRIMARY KEY)");
  await Promise.all(Array.from({ length: 20 }, (_, index) =>
    client.transaction(async (tx) => {
      await tx.execute("INSERT INTO t VALUES (?)", [index]);
      if (index % 2 === 1) await tx.execute("DELETE FROM t WHERE a = ?", [index]);
    })));
  assertEquals((await client.execute("SELECT COUNT(*) AS n FROM t")).rows, [{ n: "10" }]);
});

Deno.test("gateway ends a transaction that takes too long, frees its locks, and allows a rollback", async () => {
  // A machine that pauses may miss the time limit of the first statement. Then the next attempt gets more time.
  for (const transactionTimeout of [50, 1_000, 10_000]) {
    await using gateway = await startGateway(server, { transactionTimeout });
    const client = clientOf(gateway);
    await client.execute("CREATE TABLE t (a INT PRIMARY KEY, b INT)");
    await client.execute("INSERT INTO t VALUES (1, 0)");
    let inTime = false;
    const error = await databaseError(client.transaction(async (tx) => {
      await tx.execute("UPDATE t SET b = 1");
      inTime = true;
      // Waits for the lock, and so for the end of the transaction.
      await client.execute("UPDATE t SET b = b + 10");
      await tx.execute("UPDATE t SET b = 2");
    }));
    assertMatch(
      error.message,
      /code = Aborted desc = transaction \d+: ended at [-\d]+ [:.\d]+ UTC \(exceeded timeout: [.\d]+s\)/,
    );
    assertStringIncludes(error.message, `(exceeded timeout: ${transactionTimeout / 1_000}s)`);
    assertEquals(gateway.statements().at(-1), "ROLLBACK");
    if (!inTime) continue;
    assertEquals((await client.execute("SELECT b FROM t")).rows, [{ b: 10 }]);
    return;
  }
  throw new Error("The first statement was always too late");
});

Deno.test("gateway answers a statement whose transaction is ended while it runs", async () => {
  await using gateway = await startGateway(server, { transactionTimeout: 30 });
  const error = await databaseError(clientOf(gateway).transaction((tx) => tx.execute("SELECT SLEEP(5)")));
  assertMatch(error.message, /code = Aborted desc = transaction \d+: ended at/);
});

Deno.test("gateway does not commit a transaction that was lost", async () => {
  await using gateway = await startGateway(server, { transactionTimeout: 10 });
  const client = clientOf(gateway);
  await client.execute("CREATE TABLE t (a INT)");
  const error = await databaseError(client.transaction(async (tx) => {
    await tx.execute("INSERT INTO t VALUES (1)");
    await new Promise((resolve) => setTimeout(resolve, 30));
  }));
  assertMatch(error.message, /code = Aborted desc = transaction/);
  assertEquals((await client.execute("SELECT a FROM t")).rows, []);
});

Deno.test("gateway accepts each form of the driver's configuration, and no other credentials", async (t) => {
  await using gateway = await startGateway(server);
  const { host, username, password, fetch } = gateway.hostConfig();
  const right: Record<string, Config> = {
    "url": gateway.config(),
    "host": { host, username, password, fetch },
  };
  for (const [name, config] of Object.entries(right)) {
    await t.step(name, async () => {
      const connection = new Client(config).connection();
      await connection.refresh();
      assertEquals((await connection.execute("SELECT 'x' AS a")).rows, [{ a: "x" }]);
    });
  }
  const wrong: Record<string, Config> = {
    "password": { host, username, password: `${password}x`, fetch },
    "user": { url: `http://nobody:${password}@${host}` },
    "nothing": { url: gateway.url },
  };
  for (const [name, config] of Object.entries(wrong)) {
    await t.step(`wrong ${name}`, async () => {
      gateway.reset();
      const error = await databaseError(new Client(config).execute("SELECT 1"));
      assertEquals([error.status, error.body.code], [401, "unauthenticated"]);
      assertEquals([gateway.requests(), gateway.statements()], [1, []]);
    });
  }
});

/** A table with rows on both shards, and their tokens by shard. */
async function openShards(): Promise<
  { gateway: Gateway; client: Client; tokens: string[][] } & AsyncDisposable
> {
  const gateway = await startGateway(server, { sharded: true });
  const client = clientOf(gateway);
  await client.execute(TABLE);
  for (let i = 0; i < 10; i++) {
    const sql = "INSERT INTO sessions (token, data, expiry) VALUES (?, ?, ?)";
    await client.execute(sql, [`t${i}`, Uint8Array.of(i), `2026-01-01 00:00:0${9 - i}`]);
  }
  const on = async (shard: string) => {
    const rows = await server.query(`SELECT token FROM sessions PARTITION (${shard})`, gateway.database);
    return rows.map(({ token }) => String(token)).sort();
  };
  const tokens = await Promise.all(SHARDS.map(on));
  assert(tokens[0]!.length > 1 && tokens[1]!.length > 1);
  return { gateway, client, tokens, [Symbol.asyncDispose]: () => gateway.stop() };
}

Deno.test("gateway on shards merges rows by an order and up to a limit", async () => {
  await using shards = await openShards();
  const { gateway, client } = shards;
  const visited: string[] = [];
  gateway.betweenShards = (sql) => Promise.resolve(void visited.push(sql));
  const select = async (end: string) => {
    const sql = `SELECT token, expiry FROM sessions ${end}`;
    return (await client.execute<{ token: string }>(sql)).rows.map(({ token }) => token).join(" ");
  };
  assertEquals(await select("ORDER BY token"), "t0 t1 t2 t3 t4 t5 t6 t7 t8 t9");
  assertEquals(await select("WHERE expiry < '2026-01-01 00:00:08' ORDER BY expiry LIMIT 3"), "t9 t8 t7");
  assertEquals(await select("ORDER BY token DESC LIMIT 2"), "t9 t8");
  assertEquals(visited.length, 3);
  assertStringIncludes(visited[1]!, "FROM sessions PARTITION (p0) WHERE expiry <");
  // A row's token gives its shard.
  assertEquals(await select("WHERE token = 't3' AND data <> 'token = 1'"), "t3");
  assertEquals(await select("WHERE token = 't3' OR token = 't4' ORDER BY token"), "t3 t4");
  assertEquals(visited.length, 4);
});

Deno.test("gateway on shards writes to each in a transaction, and commits them in turn", async () => {
  await using shards = await openShards();
  const { gateway, client, tokens } = shards;
  const states: string[] = [];
  gateway.betweenShards = async () => {
    const sql = "SELECT token FROM sessions WHERE data = 'x' ORDER BY token";
    states.push((await server.query(sql, gateway.database)).map(({ token }) => token).join());
  };
  const { rowsAffected } = await client.execute("UPDATE sessions SET data = 'x' WHERE expiry > '2025-01-01'");
  assertEquals([rowsAffected, states], [10, ["", tokens[0]!.join()]]);
  states.length = 0;
  // A failure on the second shard undoes the first.
  const broken = `UPDATE sessions SET data = IF(token = '${
    tokens[1]![0]
  }', NULL, 'y') WHERE expiry > '2025-01-01'`;
  await databaseError(client.execute(broken));
  const left = await server.query("SELECT COUNT(*) AS n FROM sessions WHERE data = 'x'", gateway.database);
  assertEquals([left, states.length], [[{ n: 10 }], 1]);
});

Deno.test("gateway on shards deletes with a limit by the keys that it found, even if the rows have changed", async () => {
  await using shards = await openShards();
  const { gateway, client } = shards;
  const sql = "DELETE FROM sessions WHERE expiry <= '2026-01-01 00:00:04' ORDER BY expiry LIMIT 3";
  let looks = 0;
  gateway.betweenShards = async (sent) => {
    // The first time between the shards, the second time after both were read.
    if (!sent.startsWith("SELECT") || ++looks !== 2) return;
    await server.query("UPDATE sessions SET expiry = '2027-01-01' WHERE token = 't9'", gateway.database);
  };
  // MySQL alone would check the row again under its lock, and keep it.
  assertEquals((await client.execute(sql)).rowsAffected, 3);
  const left = await server.query("SELECT token FROM sessions ORDER BY token", gateway.database);
  assertEquals(left.map(({ token }) => token), ["t0", "t1", "t2", "t3", "t4", "t5", "t6"]);
});

Deno.test("gateway on shards refuses statements that Vitess does not plan", async () => {
  await using shards = await openShards();
  for (
    const [sql, message] of [
      [
        "REPLACE INTO sessions (token, data, expiry) VALUES ('t1', '', NOW())",
        "REPLACE INTO with sharded keyspace",
      ],
      ["UPDATE sessions SET data = '' WHERE expiry < NOW() LIMIT 1", "multi shard update with limit"],
    ] as const
  ) {
    const error = await databaseError(shards.client.execute(sql));
    assertStringIncludes(error.message, `VT12001: unsupported: ${message}`);
  }
});

Deno.test("gateway on shards refuses only statements that set the token", async () => {
  await using gateway = await startGateway(server, { sharded: true, errorCode: "kind" });
  const client = clientOf(gateway);
  await client.execute(TABLE);
  const args = ["a", Uint8Array.of(1), "2026-01-01 00:00:00"];
  await client.execute("INSERT INTO sessions (token, data, expiry) VALUES (?, ?, ?)", args);
  for (
    const [sql, message] of [
      ["UPDATE sessions SET token = 'b' WHERE token = 'a'", "you cannot UPDATE primary vindex columns; "],
      ["update `sessions` set data = x'00', `token`='b'", "you cannot UPDATE primary vindex columns; "],
      [
        "INSERT INTO sessions (token, data, expiry) VALUES ('a', '', NOW()) ON DUPLICATE KEY UPDATE token = 'b'",
        "DML cannot update vindex column",
      ],
    ] as const
  ) {
    const error = await databaseError(client.execute(sql));
    assertEquals(error.body.code, "UNIMPLEMENTED");
    assertStringIncludes(error.message, `VT12001: unsupported: ${message}`);
  }
  for (
    const sql of [
      "UPDATE sessions SET data = 'SET token = 1, token = 2' WHERE token = 'a' AND token = 'a'",
      "UPDATE sessions /* SET token = 1 */ SET data = '' WHERE token = 'a'",
      "INSERT INTO sessions (token, data, expiry) VALUES ('a', '', NOW()) ON DUPLICATE KEY UPDATE data = VALUES(data)",
      "DELETE FROM sessions WHERE token = 'a'",
    ]
  ) await client.execute(sql);
});

Deno.test("gateway with grants allows nothing else", async () => {
  const database = await server.database();
  await server.query(TABLE, database);
  await server.query("CREATE TABLE other (a INT)", database);
  await using gateway = await startGateway(server, {
    database,
    grants: ["SELECT, DELETE ON sessions", "INSERT (token, data, expiry) ON sessions"],
    errorCode: "kind",
  });
  const client = clientOf(gateway);
  await client.execute("INSERT INTO sessions (token, data, expiry) VALUES ('a', '', '2026-01-01')");
  assertEquals((await client.execute("SELECT token FROM sessions")).rows, [{ token: "a" }]);
  for (
    const [sql, command, table] of [
      ["UPDATE sessions SET data = 'b'", "Update", "sessions"],
      ["SELECT * FROM other", "Select", "other"],
      ["DROP TABLE sessions", "Drop", "sessions"],
    ] as const
  ) {
    const error = await databaseError(client.execute(sql));
    assertEquals(error.body.code, "PERMISSION_DENIED");
    assertEquals(
      error.message,
      `target: ${database}.-.primary: vttablet: rpc error: code = PermissionDenied desc = ${command} command denied ` +
        `to user '${gateway.user}' for table '${table}' (ACL check error) (CallerID: ${gateway.user})`,
    );
  }

  await using reader = await startGateway(server, { database, grants: ["SELECT"] });
  await clientOf(reader).execute("SELECT * FROM other");
  const error = await databaseError(clientOf(reader).execute("INSERT INTO other VALUES (1)"));
  assertMatch(error.message, /Insert command denied/);
  await gateway.stop();
  const users = await server.query("SELECT user FROM mysql.user WHERE user LIKE 'restricted%'");
  assertEquals(users.length, 1, "the account ends with its gateway");
});

Deno.test("gateway's sessions are in the requested time zone, UTC by default", async (t) => {
  // A time in winter, one in summer, and the hour that occurs twice in Berlin.
  const instants = [
    "2030-01-15 12:00:00",
    "2030-07-15 12:00:00",
    "2030-10-27 00:30:00",
    "2030-10-27 01:30:00",
  ];
  const database = await server.database();
  await server.query("CREATE TABLE t (id INT PRIMARY KEY, d DATETIME, s TIMESTAMP NULL)", database);
  for (const [id, instant] of instants.entries()) {
    await server.query(`INSERT INTO t VALUES (${id}, '${instant}', '${instant}')`, database);
  }
  const expected: [zone: string | null | undefined, stamps: string[]][] = [
    [undefined, instants],
    [null, instants],
    ["-12:00", ["2030-01-15 00:00:00", "2030-07-15 00:00:00", "2030-10-26 12:30:00", "2030-10-26 13:30:00"]],
    ["+13:00", ["2030-01-16 01:00:00", "2030-07-16 01:00:00", "2030-10-27 13:30:00", "2030-10-27 14:30:00"]],
    ["Europe/Berlin", [
      "2030-01-15 13:00:00",
      "2030-07-15 14:00:00",
      "2030-10-27 02:30:00",
      "2030-10-27 02:30:00",
    ]],
    ["Australia/Lord_Howe", [
      "2030-01-15 23:00:00",
      "2030-07-15 22:30:00",
      "2030-10-27 11:30:00",
      "2030-10-27 12:30:00",
    ]],
  ];
  for (const [timeZone, stamps] of expected) {
    await t.step(String(timeZone), async () => {
      await using gateway = await startGateway(server, { database, timeZone });
      const { rows } = await clientOf(gateway).execute<{ d: string; s: string }>(
        "SELECT d, s FROM t ORDER BY id",
      );
      assertEquals(rows.map(({ d }) => d), instants, "DATETIME knows no zone");
      assertEquals(rows.map(({ s }) => s), stamps);
    });
  }
  await t.step("an unknown one", async () => {
    await assertRejects(
      () => startGateway(server, { database, timeZone: "Europe/Atlantis" }),
      Error,
      "Atlantis",
    );
  });
});

Deno.test("gateway can leave a server in another time zone unchanged", async () => {
  await using berlin = await startMySQL({ timeZone: "Europe/Berlin", sqlMode: "NO_BACKSLASH_ESCAPES" });
  await using asIs = await startGateway(berlin, { timeZone: null, sqlMode: null });
  const settings = "SELECT @@time_zone AS zone, @@sql_mode AS mode";
  assertEquals((await clientOf(asIs).execute(settings)).rows, [
    { zone: "Europe/Berlin", mode: "NO_BACKSLASH_ESCAPES" },
  ]);
  await using usual = await startGateway(berlin);
  const [row] = (await clientOf(usual).execute<{ zone: string; mode: string }>(settings)).rows;
  assertEquals(row?.zone, "+00:00");
  assertMatch(row?.mode ?? "", /STRICT_TRANS_TABLES/);
});

Deno.test("gateway can set the server's clock", async () => {
  await using gateway = await startGateway(server, { clock: Date.UTC(2037, 5, 1, 12, 0, 0, 250) });
  const { rows } = await clientOf(gateway).execute("SELECT UTC_TIMESTAMP(3) AS now");
  assertEquals(rows, [{ now: "2037-06-01 12:00:00.250" }]);

  // MariaDB from 11.5 on supports that year. Older ones must not pretend to.
  const error = await clockError(Date.UTC(2040, 0, 1));
  if (error !== undefined) {
    assertMatch(error.message, /^(Cannot set the server's clock to|Variable 'timestamp' can't be set to)/);
  }
});

async function clockError(clock: number): Promise<Error | undefined> {
  try {
    await using gateway = await startGateway(server, { clock });
    const { rows } = await clientOf(gateway).execute("SELECT UTC_TIMESTAMP() AS now");
    assertEquals(rows, [{ now: "2040-01-01 00:00:00" }]);
  } catch (error) {
    assertInstanceOf(error, Error);
    return error;
  }
}

Deno.test("gateway serves more concurrent requests than it has connections, and may be stopped meanwhile", async () => {
  await using gateway = await startGateway(server);
  const client = clientOf(gateway);
  await client.execute("CREATE TABLE t (a INT PRIMARY KEY)");
  await Promise.all(Array.from({ length: 200 }, (_, a) => client.execute("INSERT INTO t VALUES (?)", [a])));
  assertEquals((await client.execute("SELECT COUNT(*) AS n FROM t")).rows, [{ n: "200" }]);

  const cut = Array.from({ length: 200 }, () => client.transaction((tx) => tx.execute("SELECT SLEEP(0.05)")));
  const settled = Promise.allSettled(cut);
  await new Promise((resolve) => setTimeout(resolve, 10));
  await gateway.stop();
  await settled;
});

Deno.test("gateway's intercept() can lose the request, the reply or the connection, or answer itself", async () => {
  await using gateway = await startGateway(server);
  const client = clientOf(gateway);
  await client.execute("CREATE TABLE t (a INT)");
  const count = async () => (await server.query("SELECT COUNT(*) AS n FROM t", gateway.database))[0]?.n;

  gateway.intercept = () => {
    throw new Error("request lost");
  };
  await assertRejects(() => client.execute("INSERT INTO t VALUES (1)"), TypeError);
  assertEquals(await count(), 0);

  gateway.intercept = async (_sql, execute) => {
    await execute();
    throw new Error("reply lost");
  };
  await assertRejects(() => client.execute("INSERT INTO t VALUES (2)"), TypeError);
  assertEquals(await count(), 1);

  gateway.intercept = () => new Response("<h1>Bad gateway</h1>", { status: 502 });
  const error = await assertRejects(() => client.execute("SELECT 1"), UnknownError);
  assertEquals(error.status, 502);

  gateway.intercept = (sql, execute) => sql === "SELECT 2" ? Response.json({}) : execute();
  assertEquals((await client.execute("SELECT 'x' AS a")).rows, [{ a: "x" }]);
  assertEquals((await client.execute("SELECT 'y' AS a")).rows, [{ a: "y" }]);
  assertEquals((await client.execute("SELECT 2")).rows, []);
  assertEquals([gateway.requests(), gateway.statements().at(-1)], [7, "SELECT 2"]);
  gateway.reset();
  assertEquals([gateway.requests(), gateway.statements()], [0, []]);
  assertEquals((await client.execute("SELECT 'y' AS a")).rows, [{ a: "y" }]);
});

Deno.test("gateway may be stopped while a request hangs", async () => {
  const gateway = await startGateway(server);
  const arrived = Promise.withResolvers<void>();
  gateway.intercept = () => {
    arrived.resolve();
    return new Promise<Response>(() => {});
  };
  const pending = assertRejects(() => clientOf(gateway).execute("SELECT 1"));
  await arrived.promise;
  await gateway.stop();
  await pending;
});

Deno.test("gateway discards the settings of SET", async () => {
  await using gateway = await startGateway(server);
  const client = clientOf(gateway);
  await client.execute("SET time_zone = '+05:00'");
  for (let round = 0; round < 3; round++) {
    assertEquals((await client.execute("SELECT @@time_zone AS zone")).rows, [{ zone: "+00:00" }]);
  }
});

Deno.test("gateway answers while MySQL is down, and continues with the committed data when it is back", async () => {
  await using own = await startMySQL({ own: true });
  await using gateway = await startGateway(own, { errorCode: "kind" });
  const client = clientOf(gateway);
  await client.execute("CREATE TABLE t (a INT PRIMARY KEY)");
  await client.execute("INSERT INTO t VALUES (1)");
  const lost = await databaseError(client.transaction(async (tx) => {
    await tx.execute("INSERT INTO t VALUES (2)");
    await own.kill();
    const error = await databaseError(client.execute("SELECT 1"));
    assertEquals(error.body.code, "UNAVAILABLE");
    await tx.execute("INSERT INTO t VALUES (3)");
  }));
  assertMatch(lost.message, /code = Aborted desc = transaction \d+: not found/);
  await own.start();
  assertEquals((await client.execute("SELECT a FROM t")).rows, [{ a: 1 }]);
});

Deno.test("gateway also follows the protocol where the driver does not check", async () => {
  await using gateway = await startGateway(server);
  const authorization = `Basic ${btoa(`${gateway.user}:${gateway.password}`)}`;
  const post = async (path: string, body: string) => {
    const response = await fetch(gateway.url + path, { method: "POST", headers: { authorization }, body });
    return { status: response.status, text: await response.text() };
  };
  const execute = "/psdb.v1alpha1.Database/Execute";
  const reply = JSON.parse((await post(execute, '{"query":"SELECT 12 AS a, NULL AS b"}')).text);
  assertEquals(reply.result.rows, [{ lengths: ["2", "-1"], values: "MTI=" }]);
  assertEquals(typeof reply.timing, "number");
  assertEquals(JSON.parse((await post(execute, '{"query":"CREATE TABLE t (a INT)"}')).text).result, {});
  assertEquals((await post(execute, "not json")).status, 400);
  assertEquals((await post("/elsewhere", "{}")).status, 404);
});

Deno.test("startMySQL() gives servers that share nothing", async () => {
  await using other = await startMySQL({ own: true });
  const name = await other.database();
  assert(other.port !== server.port);
  await other.query("CREATE TABLE t (a INT)", name);
  await assertRejects(() => server.query("SELECT * FROM t", name), Error, "Unknown database");
  await other.kill();
  await assertRejects(() => other.query("SELECT 1"), Error, "ECONNREFUSED");
  await other.stop();
  const error = await assertRejects(() => other.start());
  assertInstanceOf(error, Error);
});

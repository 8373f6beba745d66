/** Rows as other programs leave them in SQLite: text in place of bytes, bytes in place of text, and foreign tables. */
import { createClient } from "@libsql/client";
import { DatabaseSync } from "node:sqlite";
import { sessions, SessionStoreError } from "../../mod.ts";
import { D1Store } from "../../stores/d1.ts";
import { LibSQLStore } from "../../stores/libsql.ts";
import { SQLiteStore } from "../../stores/sqlite.ts";
import { assert, assertEquals, assertRejects } from "../assert.ts";
import { freshTable, sharedD1, sharedLibSQL } from "../backends.ts";

interface Table {
  store: LibSQLStore | D1Store | SQLiteStore;
  table: string;
  execute(sql: string): Promise<Record<string, unknown>[]>;
  close?(): void;
}

const OPTIONS = { cleanup: "off" } as const;

/** The drivers: local and remote ones. They differ in how they give rows and bytes. */
const DRIVERS: [name: string, open: () => Promise<Table>][] = [
  ["@libsql/client in memory", () => {
    const client = createClient({ url: ":memory:" });
    return Promise.resolve({
      store: new LibSQLStore(client, OPTIONS),
      table: "sessions",
      execute: async (sql) => (await client.execute(sql)).rows as unknown as Record<string, unknown>[],
      close: () => client.close(),
    });
  }],
  ["@libsql/client over HTTP", async () => {
    const client = createClient({ url: (await sharedLibSQL()).url });
    const table = freshTable();
    return {
      store: new LibSQLStore(client, { ...OPTIONS, table }),
      table,
      execute: async (sql) => (await client.execute(sql)).rows as unknown as Record<string, unknown>[],
      close: () => client.close(),
    };
  }],
  ["node:sqlite", () => {
    const database = new DatabaseSync(":memory:");
    return Promise.resolve({
      store: new SQLiteStore(database, OPTIONS),
      table: "sessions",
      execute: (sql) => Promise.resolve(database.prepare(sql).all() as Record<string, unknown>[]),
      close: () => database.close(),
    });
  }],
  ["D1", async () => {
    const database = (await sharedD1()).database();
    const table = freshTable();
    return {
      store: new D1Store(database, { ...OPTIONS, table }),
      table,
      execute: async (sql) => (await database.prepare(sql).all()).results as Record<string, unknown>[],
    };
  }],
];

/** What a conversion of the database has made of the columns. */
const CONVERSIONS = {
  "data as TEXT": "data = CAST(data AS TEXT)",
  "tokens as BLOB": "token = CAST(token AS BLOB)",
  "everything the other way round":
    "token = CAST(token AS BLOB), data = CAST(data AS TEXT), subject = CAST(subject AS BLOB)",
};

for (const [driver, open] of DRIVERS) {
  for (const [conversion, assignments] of Object.entries(CONVERSIONS)) {
    const convert = ({ execute, table }: Table) => execute(`UPDATE ${table} SET ${assignments}`);

    Deno.test(`Sessions with ${conversion} are read, saved, renewed and ended, and a save restores the types [${driver}]`, async () => {
      const bench = await open();
      await bench.store.createTable();
      const manager = sessions<{ user: string; n: number }>({ store: bench.store });
      const session = await manager.load();
      session.put("user", "Zoë");
      session.subject = "zoe";
      const { token } = await session.commit();
      await convert(bench);

      const read = await manager.load(token);
      assertEquals(read.get("user"), "Zoë");
      read.put("n", 1);
      await read.commit();
      const [types] = await bench.execute(
        `SELECT typeof(token) AS token, typeof(data) AS data, count(*) AS n FROM ${bench.table}`,
      );
      assertEquals({ ...types }, { token: "text", data: "blob", n: 1 });

      await convert(bench);
      const renewed = await manager.load(token);
      renewed.renewToken();
      const { token: second } = await renewed.commit();
      assertEquals((await manager.load(second)).get("n"), 1);
      await convert(bench);
      await (await manager.load(second)).destroy();
      assertEquals((await manager.load(second)).get("n"), undefined);
      bench.close?.();
    });

    Deno.test(`Sessions with ${conversion} are each listed once, found by subject and purged [${driver}]`, async () => {
      const bench = await open();
      const { store, execute, table } = bench;
      await store.createTable();
      const [now, later] = [Date.UTC(2026, 2, 4), Date.UTC(2026, 2, 5)];
      const days = later / 86_400_000 + 2_440_587.5;
      await execute(
        `WITH RECURSIVE s(n) AS (SELECT 1 UNION ALL SELECT n + 1 FROM s WHERE n < 450) INSERT INTO ${table}` +
          ` SELECT printf('t%042d', n), x'7b7d', ${days}, 'zoe' FROM s`,
      );
      await convert(bench);
      // And one row with the right types.
      await store.create("u".repeat(43), Uint8Array.of(123, 125), later, { now, subject: "zoe" });
      for (const listed of [store.all({ now }), store.findBySubject("zoe", { now })]) {
        const tokens: string[] = [];
        for await (const { token, data, expiry } of listed) {
          tokens.push(token);
          assert(tokens.length <= 451, "the listing does not end");
          assertEquals([new TextDecoder().decode(data), expiry], ["{}", later]);
        }
        assertEquals(new Set(tokens).size, 451);
      }
      const some = `t${"7".padStart(42, "0")}`;
      assertEquals(await store.deleteBySubject("zoe", { except: some }), 450);
      assertEquals(await store.delete(some), true);
      await execute(`INSERT INTO ${table} VALUES ('${some}', x'7b7d', ${days}, 'zoe')`);
      await convert(bench);
      assertEquals(await store.deleteExpired({ now: later }), 1);
      bench.close?.();
    });
  }

  Deno.test(`A row that was listed with a BLOB as its token is changed at once, and its subject is known [${driver}]`, async () => {
    const { store, table, execute, close } = await open();
    await store.createTable();
    const [now, data] = [Date.now(), Uint8Array.of(1)];
    await store.create("a", data, now + 1_000, { now, subject: "zoe" });
    await execute(`UPDATE ${table} SET ${CONVERSIONS["everything the other way round"]}`);
    assertEquals(await store.subjectOf("a"), "zoe");
    assertEquals((await Array.fromAsync(store.all({ now }))).map(({ token }) => token), ["a"]);
    assertEquals(await store.update("a", data, { data: Uint8Array.of(2) }, { now }), true);
    // A read tells as well.
    for (const write of ["touch", "commit"]) {
      await execute(`UPDATE ${table} SET token = CAST(token AS BLOB)`);
      await store.find("a", { now });
      if (write === "touch") await store.touch("a", now + 2_000, { now });
      else await store.commit("a", data, now + 2_000, { now });
      const rows = await Array.fromAsync(store.all({ now }), ({ expiry }) => expiry);
      assertEquals(rows, [now + 2_000], write);
    }
    close?.();
  });

  Deno.test(`Two rows of one token, a text and a BLOB, are no error: the text is changed [${driver}]`, async () => {
    const { store, table, execute, close } = await open();
    await store.createTable();
    const [now, data] = [Date.now(), Uint8Array.of(1)];
    await store.create("a", data, now + 1_000, { now });
    await execute(`UPDATE ${table} SET token = CAST(token AS BLOB)`);
    await store.create("a", data, now + 1_000, { now });
    assertEquals((await Array.fromAsync(store.all({ now }))).length, 2);
    assertEquals(await store.update("a", data, { data: Uint8Array.of(2) }, { now }), true);
    assertEquals((await store.find("a", { now }))?.data, Uint8Array.of(2));
    close?.();
  });

  Deno.test(`A renewal that arrives twice is refused the second time, and its mark stays [${driver}]`, async () => {
    const { store, close } = await open();
    await store.createTable();
    const [now, expiry] = [Date.UTC(2026, 2, 4), Date.UTC(2026, 2, 5)];
    const [data, next, mark] = [1, 2, 3].map((byte) => Uint8Array.of(byte)) as [
      Uint8Array,
      Uint8Array,
      Uint8Array,
    ];
    await store.create("a", data, expiry, { now });
    const renewal = { data: next, token: "b", mark: { data: mark, expiry } };
    assertEquals(await store.update("a", data, renewal, { now }), true);
    assertEquals(await store.update("a", data, renewal, { now }), false);
    assertEquals((await store.find("a", { now }))?.data, mark);
    assertEquals((await store.find("b", { now }))?.data, next);
    close?.();
  });

  Deno.test(`A row of a table without subjects has none [${driver}]`, async () => {
    const { store, table, execute, close } = await open();
    await execute(`CREATE TABLE ${table} (token TEXT PRIMARY KEY, data BLOB NOT NULL, expiry REAL NOT NULL)`);
    const now = Date.now();
    await store.create("a", Uint8Array.of(1), now + 1_000, { now });
    assertEquals(await store.subjectOf("a"), undefined);
    close?.();
  });

  Deno.test(`A session that expires in a billion years is listed [${driver}]`, async () => {
    const { store, table, execute, close } = await open();
    await store.createTable();
    await execute(`INSERT INTO ${table} VALUES ('a', x'01', 3.65e11, NULL)`);
    assertEquals((await Array.fromAsync(store.all({ now: 0 }))).map(({ token }) => token), ["a"]);
    close?.();
  });

  Deno.test(`Without the index on the expiry too a purge deletes the longest expired first [${driver}]`, async () => {
    const { store, table, execute, close } = await open();
    await store.createTable();
    await execute(`DROP INDEX ${table}_expiry_idx`);
    const now = Date.now();
    for (const age of [1, 3, 2]) await store.create(`${age}`, Uint8Array.of(1), now - age, { now: 0 });
    assertEquals(await store.deleteExpired({ now, limit: 2 }), 2);
    assertEquals((await Array.fromAsync(store.all({ now: 0 }))).map(({ token }) => token), ["1"]);
    close?.();
  });

  for (const expiry of ["'2020-01-01 10:00:00+00:00'", "x'3230'"]) {
    Deno.test(`A session whose expiry is ${expiry} is dead, and no write revives it [${driver}]`, async () => {
      const { store, table, execute, close } = await open();
      await store.createTable();
      const manager = sessions<{ n: number }>({ store });
      const first = await manager.load();
      first.put("n", 1);
      first.subject = "zoe";
      const { token } = await first.commit();
      await execute(`UPDATE ${table} SET expiry = ${expiry}`);
      const session = await manager.load(token);
      assertEquals([session.token, session.get("n")], [undefined, undefined]);
      session.put("n", 2);
      assert((await session.commit()).token !== token);
      assertEquals((await manager.load(token)).token, undefined);
      assertEquals(await manager.sessionsOf("zoe"), []);
      close?.();
    });
  }

  Deno.test(`A subject matches only itself in a column that ignores case and trailing blanks [${driver}]`, async () => {
    for (const collation of ["NOCASE", "RTRIM"]) {
      const { store, table, execute, close } = await open();
      const columns = `token TEXT PRIMARY KEY, data BLOB, expiry REAL, subject TEXT COLLATE ${collation}`;
      await execute(`CREATE TABLE ${table} (${columns})`);
      await store.createTable();
      const subjects = ["zoe", "Zoe", "zoe "];
      for (const subject of subjects) await store.create(subject, Uint8Array.of(1), 2, { now: 1, subject });
      for (const subject of subjects) {
        const found = await Array.fromAsync(store.findBySubject(subject, { now: 1 }));
        assertEquals(found.map(({ token }) => token), [subject]);
        assertEquals(await store.deleteBySubject(subject), 1);
      }
      await execute(`DROP TABLE ${table}`);
      close?.();
    }
  });

  Deno.test(`A table whose expiry was declared as TEXT is read, touched and purged [${driver}]`, async () => {
    const { store, table, execute, close } = await open();
    await execute(
      `CREATE TABLE ${table} (token TEXT PRIMARY KEY, data BLOB NOT NULL, expiry TEXT NOT NULL, subject TEXT)`,
    );
    await store.createTable();
    const now = Date.now();
    const data = Uint8Array.of(1);
    for (const token of ["a", "b"]) await store.create(token, data, now + 1_000, { now, subject: "zoe" });
    await store.touch("a", now + 5_000, { now });
    assertEquals(await store.find("b", { now: now + 2_000 }), undefined);
    assertEquals(await store.update("b", data, { data }, { now: now + 2_000 }), false);
    assertEquals((await Array.fromAsync(store.all({ now: now + 2_000 }))).map(({ token }) => token), ["a"]);
    assertEquals(await store.deleteExpired({ now: now + 2_000 }), 1);
    assertEquals((await store.find("a", { now: now + 2_000 }))?.data, data);
    close?.();
  });

  for (
    const columns of [
      "data BLOB NOT NULL, expiry REAL NOT NULL, subject TEXT, agent TEXT NOT NULL",
      "data BLOB NOT NULL, expiry REAL NOT NULL CHECK (expiry < 1), subject TEXT",
      "data TEXT NOT NULL CHECK (typeof(data) = 'text'), expiry REAL NOT NULL, subject TEXT",
    ]
  ) {
    Deno.test(`A table with a constraint that the store knows nothing of is named in the error: ${columns} [${driver}]`, async () => {
      const { store, table, execute, close } = await open();
      await execute(`CREATE TABLE ${table} (token TEXT PRIMARY KEY, ${columns})`);
      await store.createTable();
      const create = () => store.create("a", Uint8Array.of(1), 2, { now: 1 });
      const { message, retryable, ambiguous } = await assertRejects(create, SessionStoreError);
      assertEquals([retryable, ambiguous], [false, false]);
      assertEquals(
        message,
        `Session store failed in create() (schema): a constraint of the table ${table} refuses the row; ` +
          "compare it with schema()",
      );
      close?.();
    });
  }

  Deno.test(`Another program's table is refused, in createTable() too, and the error names the missing column [${driver}]`, async () => {
    const tables: [columns: string, missing: string, created: string][] = [
      ["id VARCHAR(255) PRIMARY KEY, payload TEXT NOT NULL, last_activity INTEGER NOT NULL", "data", "token"],
      ["session_id VARCHAR(128) PRIMARY KEY, expires INTEGER NOT NULL, data TEXT", "expiry", "token"],
      ["sid VARCHAR(255) PRIMARY KEY, expired INTEGER, sess TEXT", "data", "token"],
    ];
    for (const [columns, missing, created] of tables) {
      const { store, table, execute, close } = await open();
      await execute(`CREATE TABLE ${table} (${columns})`);
      const advice = (column: string) =>
        `the table ${table} has no column ${column}; set another "table" and run createTable()`;
      const read = await assertRejects(() => store.find("a", { now: 1 }), SessionStoreError);
      assertEquals(read.message, `Session store failed in find() (schema): ${advice(missing)}`);
      const made = await assertRejects(() => store.createTable(), SessionStoreError);
      assertEquals(made.message, `Session store failed in createTable() (schema): ${advice(created)}`);
      close?.();
    }
  });

  Deno.test(`A table whose tokens are not unique is refused, in createTable() too, with the statement to run [${driver}]`, async () => {
    const { store, table, execute, close } = await open();
    await execute(`CREATE TABLE ${table} (token TEXT, data BLOB, expiry REAL, subject TEXT)`);
    const index = `CREATE UNIQUE INDEX "${table}_token_idx" ON "${table}"(token)`;
    const advice = `${table}.token is not unique; run ${index}, ` +
      'or set another "table" and run createTable()';
    const made = await assertRejects(() => store.createTable(), SessionStoreError);
    assertEquals(made.message, `Session store failed in createTable() (schema): ${advice}`);
    const create = () => store.create("a", Uint8Array.of(1), 2, { now: 1 });
    const created = await assertRejects(create, SessionStoreError);
    assertEquals(created.message, `Session store failed in create() (schema): ${advice}`);
    await execute(index);
    assertEquals(await create(), true);
    await store.createTable();
    close?.();
  });
}

Deno.test("LibSQLStore on a file that was replaced opens the new file, and loses no acknowledged write", async () => {
  const directory = await Deno.makeTempDir({ prefix: "sessions_test_" });
  const path = `${directory}/sessions.db`;
  const client = createClient({ url: `file:${path}` });
  const store = new LibSQLStore(client, OPTIONS);
  await store.createTable();
  await Deno.copyFile(path, `${path}.backup`);
  await Deno.rename(`${path}.backup`, path);
  assertEquals(await store.create("a", Uint8Array.of(1), 2, { now: 1 }), true);
  const other = createClient({ url: `file:${path}` });
  assertEquals((await other.execute("SELECT token FROM sessions")).rows.length, 1);
  other.close();
  client.close();
  await Deno.remove(directory, { recursive: true });
});

Deno.test("A session whose token is a BLOB is saved after more than 1,000 others were read", async () => {
  const database = new DatabaseSync(":memory:");
  const store = new SQLiteStore(database, OPTIONS);
  await store.createTable();
  const now = Date.now();
  const later = now + 3_600_000;
  const data = new Uint8Array([1]);
  const tokens = Array.from({ length: 1_002 }, (_, index) => `token${index}`);
  for (const token of tokens) await store.create(token, data, later, { now });
  database.exec("UPDATE sessions SET token = CAST(token AS BLOB)");
  for (const token of tokens) await store.find(token, { now });
  const last = tokens.at(-1)!;
  assert(await store.update(last, data, { data: new Uint8Array([2]), token: last }, { now }));
  // One that was read long ago, and now again.
  const again = tokens[2]!;
  for (const token of [again, "token0", "token1"]) await store.find(token, { now });
  assert(await store.update(again, data, { data: new Uint8Array([2]), token: again }, { now }));
  database.close();
});

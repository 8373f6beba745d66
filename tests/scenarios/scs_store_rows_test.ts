/** SCS's stores, row by row. */
import { createClient as createNativeClient } from "@libsql/client";
import { createClient as createWebClient } from "@libsql/client/web";
import { gobCodec } from "../../codecs/gob.ts";
import {
  type CleanupOptions,
  MemoryStore,
  sessions,
  SessionStoreError,
  type TimedOptions,
} from "../../mod.ts";
import { type LibSQLClient, LibSQLStore } from "../../stores/libsql.ts";
import { assert, assertEquals, assertRejects, assertStringIncludes } from "../assert.ts";
import { freshTable, sharedLibSQL } from "../backends.ts";
import scsRows from "../fixtures/scs-sqlite3store.json" with { type: "json" };
import { type Bed, Clock, HOUR, onEachStore } from "./_bed.ts";

const DATA = Uint8Array.of(1, 2, 3);
const LONG_DATA = new Uint8Array(70_000).map((_, index) => index % 251);

/** A well-formed token for each letter. */
const tokenOf = (letter: string) => letter.repeat(43);

/** Commits a row that expires in `ms`. */
async function commit(bed: Bed, token: string, ms: number, data = DATA): Promise<void> {
  await bed.store.commit(token, data, bed.clock.time + ms, { now: bed.clock.time });
}

onEachStore("Find: gives the bytes and the expiry of a live row", async (bed) => {
  await commit(bed, tokenOf("a"), HOUR);
  const { time: now } = bed.clock;
  assertEquals(await bed.store.find(tokenOf("a"), { now }), { data: DATA, expiry: now + HOUR });
  assertEquals(await bed.another().find(tokenOf("a"), { now, primary: true }), {
    data: DATA,
    expiry: now + HOUR,
  });
});

onEachStore(
  "Find: gives undefined for a missing, expired or malformed token, and deletes nothing",
  async (bed) => {
    await commit(bed, tokenOf("a"), HOUR);
    await commit(bed, tokenOf("b"), 0);
    const { time: now } = bed.clock;
    const hostile = [
      "",
      "a",
      tokenOf("a") + "a",
      "%",
      "' OR '1'='1",
      "a\0b",
      "ä".repeat(43),
      "x".repeat(8_192),
    ];
    for (const token of [tokenOf("c"), tokenOf("b"), ...hostile]) {
      assertEquals(await bed.store.find(token, { now }), undefined, token);
    }
    assertEquals((await bed.rows()).map(({ token }) => token), [tokenOf("a"), tokenOf("b")]);
  },
);

onEachStore("Commit: inserts, and overwrites bytes and expiry", async (bed) => {
  await commit(bed, tokenOf("a"), HOUR);
  await commit(bed, tokenOf("b"), HOUR);
  await commit(bed, tokenOf("a"), 2 * HOUR, LONG_DATA);
  // The same write again. Some databases report that it changed nothing.
  await commit(bed, tokenOf("a"), 2 * HOUR, LONG_DATA);
  const { time } = bed.clock;
  assertEquals(await bed.rows(), [
    { token: tokenOf("a"), data: LONG_DATA, expiry: time + 2 * HOUR },
    { token: tokenOf("b"), data: DATA, expiry: time + HOUR },
  ]);
});

onEachStore("Delete: deletes one row, and does nothing if there is none", async (bed) => {
  await commit(bed, tokenOf("a"), HOUR);
  await commit(bed, tokenOf("b"), HOUR);
  assertEquals(await bed.store.delete(tokenOf("a")), true);
  assertEquals(await bed.store.delete(tokenOf("a")), false);
  assertEquals(await bed.store.delete(tokenOf("c")), false);
  assertEquals((await bed.row()).token, tokenOf("b"));
});

onEachStore("All: gives every live row, page by page", async (bed) => {
  const { time: now } = bed.clock;
  // More rows than a page of the SQL stores.
  const tokens = Array.from({ length: 201 }, (_, index) => String(index).padStart(43, "0"));
  // A few at a time, because libsql-server has been seen to spin for minutes with 30 writers on a busy machine.
  for (let start = 0; start < tokens.length; start += 5) {
    await Promise.all(tokens.slice(start, start + 5).map((token) => commit(bed, token, HOUR)));
  }
  await commit(bed, tokenOf("a"), 0);
  const requests = bed.requests();
  const rows = await Array.fromAsync(bed.store.all({ now }));
  assertEquals(rows.map(({ token }) => token).sort(), tokens);
  assertEquals(rows[0], { token: rows[0]!.token, data: DATA, expiry: now + HOUR });
  if (requests !== undefined) assertEquals(bed.requests(), requests + 2);
});

/** The options of SCS's `New(db)` and `NewWithCleanupInterval(db, d)`. */
const constructors: Record<string, (options: CleanupOptions) => OwnStore> = {
  MemoryStore: (options) => {
    const store = new MemoryStore(options);
    return { store, createTable: () => Promise.resolve(), close() {} };
  },
  LibSQLStore: (options) => {
    const client = createNativeClient({ url: ":memory:" });
    const store = new LibSQLStore(client, options);
    return { store, createTable: () => store.createTable(), close: () => client.close() };
  },
};

interface OwnStore {
  store: MemoryStore | LibSQLStore;
  createTable(): Promise<void>;
  close(): void;
}

for (const [name, open] of Object.entries(constructors)) {
  Deno.test(`NewWithCleanupInterval: the timer deletes expired rows [${name}]`, async () => {
    const own = open({ cleanup: "timer", cleanupInterval: 1 });
    await own.createTable();
    const now = Date.now();
    const purged = Promise.withResolvers<number>();
    // With both calls, because the timer starts with the first one and may fire before the second.
    const options: TimedOptions = {
      now,
      onEvent: (event) => event.kind === "purged" && purged.resolve(event.deleted),
    };
    await own.store.commit(tokenOf("a"), DATA, now, options);
    await own.store.commit(tokenOf("b"), DATA, now + HOUR, options);
    // Neither the store's timer nor a promise keeps the process alive, so this test needs a timer of its own.
    const alive = setInterval(() => {}, 1_000);
    assertEquals(await purged.promise.finally(() => clearInterval(alive)), 1);
    own.store.stopCleanup();
    const rows = await Array.fromAsync(own.store.all({ now: 0 }));
    assertEquals(rows.map(({ token }) => token), [tokenOf("b")]);
    own.close();
  });

  Deno.test(`StopCleanup: may be called early, late and again, and the store still works [${name}]`, async () => {
    const own = open({ cleanup: "timer", cleanupInterval: 1 });
    own.store.stopCleanup();
    await own.createTable();
    const now = Date.now();
    // A timer that started nevertheless would leak from this test.
    await own.store.commit(tokenOf("a"), DATA, now + HOUR, { now });
    own.store.stopCleanup();
    own.store.stopCleanup();
    own.store[Symbol.dispose]();
    assert(await own.store.find(tokenOf("a"), { now }) !== undefined);
    own.close();
  });
}

onEachStore("StopCleanup: may be called at any time, and the store still works", async (bed) => {
  bed.store.stopCleanup();
  await commit(bed, tokenOf("a"), HOUR);
  bed.store.stopCleanup();
  assertEquals((await bed.row()).token, tokenOf("a"));
});

onEachStore("memstore: a row is dead from the moment now equals its expiry", async (bed) => {
  await commit(bed, tokenOf("a"), HOUR);
  const { time } = bed.clock;
  assert(await bed.store.find(tokenOf("a"), { now: time + HOUR - 1 }) !== undefined);
  assertEquals(await bed.store.find(tokenOf("a"), { now: time + HOUR }), undefined);
  assertEquals(await Array.fromAsync(bed.store.all({ now: time + HOUR })), []);
});

onEachStore("memstore: stores and returns copies of the bytes", async (bed) => {
  const { time: now } = bed.clock;
  const given = DATA.slice();
  await bed.store.commit(tokenOf("a"), given, now + HOUR, { now });
  given.fill(0);
  const found = await bed.store.find(tokenOf("a"), { now });
  assertEquals(found?.data, DATA);
  found!.data.fill(0);
  assertEquals((await bed.store.find(tokenOf("a"), { now }))?.data, DATA);
});

/** SCS's own schema, from its README, on both kinds of libSQL database. */
const scsTables: Record<string, () => Promise<ScsTable>> = {
  "a file that SCS wrote": async () => {
    const directory = await Deno.makeTempDir({ prefix: "sessions_test_" });
    await Deno.copyFile(new URL("../fixtures/scs-sqlite3store.db", import.meta.url), `${directory}/scs.db`);
    const client = createNativeClient({ url: `file:${directory}/scs.db` });
    return {
      client,
      table: "sessions",
      async [Symbol.asyncDispose]() {
        client.close();
        await Deno.remove(directory, { recursive: true });
      },
    };
  },
  "the same rows over HTTP": async () => {
    const client = createWebClient({ url: (await sharedLibSQL()).url });
    const table = freshTable();
    const insert = `INSERT INTO ${table} VALUES (?1, ?2, julianday(?3))`;
    await client.batch([
      `CREATE TABLE ${table} (token TEXT PRIMARY KEY, data BLOB NOT NULL, expiry REAL NOT NULL)`,
      `CREATE INDEX ${table}_expiry_idx ON ${table}(expiry)`,
      ...scsRows.map(({ storedToken, dataHex, deadline }) => ({
        sql: insert,
        args: [storedToken, Uint8Array.fromHex(dataHex), deadline],
      })),
    ], "write");
    return { client, table, [Symbol.asyncDispose]: () => Promise.resolve(client.close()) };
  },
};

interface ScsTable extends AsyncDisposable {
  client: LibSQLClient;
  table: string;
}

for (const [where, open] of Object.entries(scsTables)) {
  const managerOf = ({ client, table }: ScsTable, hashTokenInStore: boolean) =>
    sessions({
      store: new LibSQLStore(client, { table, cleanup: "off" }),
      codec: gobCodec,
      hashTokenInStore,
      now: new Clock().now,
    });
  const schemaOf = async ({ client, table }: ScsTable) => {
    const sql = "SELECT type, name, sql FROM sqlite_schema WHERE tbl_name = ?1 ORDER BY name";
    return (await client.execute({ sql, args: [table] })).rows.map((row) => [row[0], row[1], row[2]]);
  };

  Deno.test(`sqlite3store: LibSQLStore reads a row written by SCS [${where}]`, async () => {
    await using table = await open();
    for (const { token, hashed, deadline, values } of scsRows) {
      const session = await managerOf(table, hashed).load(token);
      const expected: Record<string, unknown> = { ...values };
      if (typeof expected.at === "string") expected.at = new Date(expected.at);
      if ("raw" in expected) expected.raw = Uint8Array.of(0, 1, 2, 0xfe, 0xff);
      assertEquals(session.deadline, Date.parse(deadline));
      assertEquals(session.keys(), Object.keys(expected).sort());
      for (const key of session.keys()) assertEquals(session.get(key), expected[key]);
      // With the wrong setting for hashed tokens nothing is found and nothing is adopted.
      assertEquals((await managerOf(table, !hashed).load(token)).token, undefined);
    }
  });

  Deno.test(`sqlite3store: SCS reads a row written by LibSQLStore [${where}]`, async () => {
    await using table = await open();
    const schema = await schemaOf(table);
    for (const { token, storedToken, hashed, deadline } of scsRows) {
      const session = await managerOf(table, hashed).load(token);
      session.put("seen", true);
      await session.commit();
      // SCS's own query, at the time of the test.
      const { rows: [row] } = await table.client.execute({
        sql:
          `SELECT data, typeof(token), typeof(data), typeof(expiry), expiry = julianday(?3) FROM ${table.table}` +
          " WHERE token = ?1 AND julianday(?2) < expiry",
        args: [storedToken, "2026-03-04T05:06:07.890Z", deadline],
      });
      assertEquals([row?.[1], row?.[2], row?.[3], row?.[4]], ["text", "blob", "real", 1]);
      const decoded = gobCodec.decode(new Uint8Array(row![0] as ArrayBuffer));
      assertEquals([decoded.deadline, decoded.values.seen], [Date.parse(deadline), true]);
    }
    assertEquals(await schemaOf(table), schema);
  });

  Deno.test(`sqlite3store: sessions work in SCS's own table [${where}]`, async () => {
    await using table = await open();
    const manager = managerOf(table, true);
    const session = await manager.load();
    session.put("userID", 7);
    const { token } = await session.commit();
    session.renewToken();
    const renewed = await session.commit();
    assertEquals((await manager.load(token)).token, undefined);
    const again = await manager.load(renewed.token);
    assertEquals(again.getInt("userID"), 7);
    await again.destroy();
    assertEquals((await manager.load(renewed.token)).token, undefined);
    assertEquals((await Array.fromAsync(manager.iterate())).length, scsRows.length);
  });

  Deno.test(`sqlite3store: setting a subject in SCS's own table names the column to add [${where}]`, async () => {
    await using table = await open();
    const session = await managerOf(table, true).load();
    session.subject = "user-1";
    const error = await assertRejects(() => session.commit(), SessionStoreError);
    assertEquals([error.reason, error.retryable, error.ambiguous], ["schema", false, false]);
    assertStringIncludes(error.message, `ALTER TABLE "${table.table}" ADD COLUMN subject TEXT`);
  });
}

onEachStore("mysqlstore: a token is matched exactly, in case and trailing blanks", async (bed) => {
  const { time: now } = bed.clock;
  const token = `aZ_-${"m".repeat(39)}`;
  await commit(bed, token, HOUR);
  const others = [token.toUpperCase(), token.toLowerCase(), `${token} `, ` ${token}`, token.slice(0, -1)];
  for (const other of others) {
    assertEquals(await bed.store.find(other, { now }), undefined);
    const next = { token: other, data: LONG_DATA, expiry: now + 2 * HOUR };
    assertEquals(await bed.store.update(other, DATA, next, { now }), false);
    await bed.store.touch(other, now + 2 * HOUR, { now });
    assertEquals(await bed.store.delete(other), false);
  }
  assertEquals(await bed.row(), { token, data: DATA, expiry: now + HOUR });
  // Two tokens that are equal for a collation that ignores case.
  assertEquals(await bed.store.create(token.toUpperCase(), DATA, now + HOUR, { now }), true);
  assertEquals((await bed.rows()).length, 2);
});

onEachStore(
  "mysqlstore: a session may last beyond January 2038, and hold more than 65,535 bytes",
  async (bed) => {
    const { time: now } = bed.clock;
    const expiry = Date.UTC(2045, 6, 1, 12, 30, 15, 250);
    await bed.store.commit(tokenOf("a"), LONG_DATA, expiry, { now });
    assertEquals(await bed.store.find(tokenOf("a"), { now: expiry - 1 }), { data: LONG_DATA, expiry });
    assertEquals(await bed.store.find(tokenOf("a"), { now: expiry }), undefined);
  },
);

onEachStore("chaistore: listing and clean-up use expiry, with its index", async (bed) => {
  const { time: now } = bed.clock;
  await commit(bed, tokenOf("a"), HOUR);
  await commit(bed, tokenOf("b"), 0);
  await commit(bed, tokenOf("c"), -HOUR);
  const live = await Array.fromAsync(bed.store.all({ now }));
  assertEquals(live.map(({ token }) => token), [tokenOf("a")]);
  assertEquals(await bed.store.deleteExpired({ now, grace: 1 }), 1);
  assertEquals((await bed.rows()).map(({ token }) => token), [tokenOf("a"), tokenOf("b")]);
  assertEquals(await bed.store.deleteExpired({ now }), 1);
  assertEquals(await bed.store.deleteExpired({ now }), 0);
  assertEquals((await bed.row()).token, tokenOf("a"));
});

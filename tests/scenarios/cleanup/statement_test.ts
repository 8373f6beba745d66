// The statements of a purge in an SQL database: limited by the index on the expiry, at most 1,000 rows, and no row
// that was touched.
import { createClient } from "@libsql/client";
import { type SessionEvent, sessions } from "../../../mod.ts";
import { LibSQLStore } from "../../../stores/libsql.ts";
import { assert, assertEquals, assertMatch } from "../../assert.ts";
import { isPurge, NOW, onEachServer, serverKinds, type ServerTable } from "./_tables.ts";

/** SQLite's plan: which rows, and the steps for each. */
const BY_EXPIRY = /SEARCH \S+ USING INDEX \S+_expiry_idx \(expiry</;
const BY_TOKEN = /SEARCH \S+ USING INDEX sqlite_autoindex_\S+ \(token=\?\)/;

/** The store's statement with its values, for the server to explain. */
async function purgeStatement(table: ServerTable): Promise<string> {
  let found = "";
  table.intercept = async (sql, send) => {
    if (isPurge(sql)) found = withValues(sql);
    return await send();
  };
  await table.store.deleteExpired({ now: NOW, limit: 100 });
  table.intercept = undefined;
  return found;
}

/** The MySQL driver puts values into the statement. libSQL's request has them beside it. */
function withValues(sql: string): string {
  if (!sql.startsWith("{")) return sql;
  const { requests } = JSON.parse(sql) as {
    requests: { stmt?: { sql: string; args: { value: number | string }[] } }[];
  };
  const { stmt } = requests.find((request) => request.stmt !== undefined)!;
  return stmt!.sql.replaceAll(/\?(\d)/g, (_, index) => String(stmt!.args[Number(index) - 1]!.value));
}

async function explain(table: ServerTable, kind: string): Promise<string> {
  const mysql = kind === "PlanetScaleStore";
  const sql = `EXPLAIN ${mysql ? "FORMAT=TRADITIONAL" : "QUERY PLAN"} ${await purgeStatement(table)}`;
  return JSON.stringify(await table.query(sql));
}

onEachServer("The purge finds its rows by the index on the expiry", async (kind) => {
  await using table = await kind.open();
  await table.fill({ expired: 500, live: 500 });
  const plan = await explain(table, kind.name);
  if (kind.name === "PlanetScaleStore") {
    assertMatch(plan, /"type":"range"/);
    assertMatch(plan, /"key":"sessions_expiry_idx"/);
    // A sort of all expired rows would come before the first deletion.
    assert(!/filesort|temporary/i.test(plan), plan);
  } else {
    assertMatch(plan, BY_TOKEN);
    assertMatch(plan, BY_EXPIRY);
    assert(!/SCAN|TEMP B-TREE/.test(plan), plan);
  }
});

// With these numbers the cheapest plan seems to be a scan of all expired rows that checks each against the batch.
Deno.test("The purge keeps its plan if SQLite counted the rows when they were few", async () => {
  const client = createClient({ url: ":memory:" });
  await new LibSQLStore(client).createTable();
  await client.execute(
    "WITH RECURSIVE n(i) AS (SELECT 1 UNION ALL SELECT i + 1 FROM n WHERE i < 10) " +
      "INSERT INTO sessions SELECT hex(randomblob(20)), x'00', 2470000.0, NULL FROM n",
  );
  await client.execute("ANALYZE");
  let plan = "";
  const explaining = new LibSQLStore({
    async execute({ sql, args }) {
      plan = JSON.stringify((await client.execute({ sql: `EXPLAIN QUERY PLAN ${sql}`, args })).rows);
      return { rows: [] };
    },
    batch: () => Promise.reject(new Error("this is not called")),
  });
  await explaining.deleteExpired({ now: NOW, limit: 100 });
  assertMatch(plan, BY_TOKEN);
  assertMatch(plan, BY_EXPIRY);
  client.close();
});

onEachServer("deleteExpired() deletes at most 1,000 rows, whatever the limit", async (kind) => {
  await using table = await kind.open();
  await table.fill({ expired: 1_100 });
  assertEquals(await table.store.deleteExpired({ now: NOW, limit: 5_000 }), 1_000);
  assertEquals(await table.count(), { expired: 100, live: 0 });
  assertEquals(await table.store.deleteExpired({ now: NOW, limit: 0 }), 0);
  assertEquals(await table.store.deleteExpired({ now: NOW, limit: 2.9 }), 2);
  assertEquals(await table.store.deleteExpired({ now: NOW }), 98);
});

onEachServer("The statements of a purge are independent: none keeps a transaction open", async (kind) => {
  await using table = await kind.open();
  await table.fill({ expired: 250 });
  const sent: string[] = [];
  table.intercept = async (sql, send) => {
    sent.push(sql);
    return await send();
  };
  await sessions({ store: table.store, now: () => NOW }).purge();
  // A transaction over several requests needs a baton in libSQL, and a BEGIN in MySQL.
  assert(sent.every((sql) => !/"baton":"|^(begin|start)/i.test(sql)), sent.join("\n"));
  const purges = sent.filter(isPurge);
  assert(purges.length >= 2, `${purges.length} statements`);
});

onEachServer("A session that is touched while its purge waits for a lock stays", async (kind) => {
  await using table = await kind.open();
  const [touched, idle] = ["A".repeat(43), "E".repeat(43)];
  for (const token of [touched, idle]) {
    await table.store.commit(token, new Uint8Array([1]), NOW, { now: NOW - 1_000 });
  }
  const sent = Promise.withResolvers<void>();
  table.intercept = async (sql, send) => {
    const answer = send();
    if (isPurge(sql)) sent.resolve();
    return await answer;
  };
  let purge: Promise<number> | undefined;
  await table.transaction(async (store) => {
    await store.touch(touched, NOW + 60_000, { now: NOW - 1 });
    // For this connection both have expired, because the touch is not committed.
    assertEquals(await table.count(), { expired: 2, live: 0 });
    purge = table.store.deleteExpired({ now: NOW });
    await sent.promise;
    // Time for the statement to reach the lock. Reads continue beside it.
    for (let look = 0; look < 20; look++) await table.count();
  });
  assertEquals(await purge, 1);
  const left = await Array.fromAsync(table.store.all({ now: 0 }), ({ token, expiry }) => [token, expiry]);
  assertEquals(left, [[touched, NOW + 60_000]]);
});

onEachServer("A touch after the purge of its session does not revive it", async (kind) => {
  await using table = await kind.open();
  const token = "A".repeat(43);
  await table.store.commit(token, new Uint8Array([1]), NOW, { now: NOW - 1_000 });
  assertEquals(await table.store.deleteExpired({ now: NOW }), 1);
  await table.store.touch(token, NOW + 60_000, { now: NOW - 1 });
  assertEquals(await table.count(), { expired: 0, live: 0 });
});

/** How to drop the index, and the statement of the event that creates it again. */
const INDEXES: Record<string, { other: (table: string) => string[]; expected: RegExp }> = {
  "LibSQLStore over HTTP": {
    other: (table) => [
      `DROP INDEX "${table}_expiry_idx"`,
      `CREATE INDEX "${table}_a" ON "${table}"(token, expiry)`,
      `CREATE INDEX "${table}_b" ON "${table}"(expiry) WHERE subject IS NOT NULL`,
      `CREATE INDEX "${table}_c" ON "${table}"(expiry + 1)`,
    ],
    expected: /^CREATE INDEX IF NOT EXISTS "(\w+)_expiry_idx" ON "\1"\(expiry\)$/,
  },
  PlanetScaleStore: {
    other: (table) => [
      `DROP INDEX ${table}_expiry_idx ON ${table}`,
      `CREATE INDEX other ON ${table} (token, expiry)`,
    ],
    expected: /^CREATE INDEX `sessions_expiry_idx` ON `sessions` \(expiry\)$/,
  },
};

onEachServer(
  "A table without the index is purged, with one warning that has the statement to create it",
  async (kind) => {
    await using table = await kind.open();
    await table.fill({ expired: 150 });
    const { other, expected } = INDEXES[kind.name]!;
    for (const statement of other(table.name)) await table.query(statement);
    const events: SessionEvent[] = [];
    const manager = (store = table.store) =>
      sessions({ store, now: () => NOW, onEvent: (event) => void events.push(event) });
    assertEquals((await manager().purge()).deleted, 150);
    await manager().purge();
    assertEquals(events.map(({ kind }) => kind), ["missing-index", "purged"]);
    const [warning] = events;
    assert(warning?.kind === "missing-index");
    assertMatch(warning.statement, expected);

    await table.query(warning.statement);
    events.length = 0;
    await manager(table.another()).purge();
    assertEquals(events, []);
  },
);

onEachServer("A table with the index gives no warning", async (kind) => {
  await using table = await kind.open();
  const events: SessionEvent[] = [];
  await sessions({ store: table.store, onEvent: (event) => void events.push(event) }).purge();
  assertEquals(events, []);
});

Deno.test("The index of a table of SCS is recognised in any spelling", async () => {
  for (
    const index of [
      "CREATE INDEX sessions_expiry_idx ON sessions(expiry)",
      'create index i on sessions ( "expiry" desc , token)',
      "CREATE INDEX i ON `sessions` (`expiry`)",
      "CREATE INDEX i ON sessions ([Expiry] ASC)",
    ]
  ) {
    const client = createClient({ url: ":memory:" });
    await client.execute(
      "CREATE TABLE Sessions (token TEXT PRIMARY KEY, data BLOB NOT NULL, expiry REAL NOT NULL)",
    );
    await client.execute(index);
    const events: SessionEvent[] = [];
    const store = new LibSQLStore(client, { cleanup: "off" });
    await sessions({ store, onEvent: (event) => void events.push(event) }).purge();
    assertEquals(events, [], index);
    client.close();
  }
});

Deno.test("A host that does not show its indexes does not make a purge fail", async () => {
  const table = await serverKinds[1]!.open();
  await using _ = table;
  await table.fill({ expired: 3 });
  table.intercept = async (sql, send) => {
    if (sql.startsWith("SHOW COLUMNS")) throw new TypeError("not here");
    return await send();
  };
  const events: SessionEvent[] = [];
  const manager = sessions({
    store: table.store,
    now: () => NOW,
    onEvent: (event) => void events.push(event),
  });
  assertEquals((await manager.purge()).deleted, 3);
  assertEquals(events, [{ kind: "purged", deleted: 3 }]);
});

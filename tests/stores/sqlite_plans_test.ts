/** How SQLite finds the rows of the stores' statements, also by counts of rows that are no longer true. */
import { createClient } from "@libsql/client";
import { connect as openTurso } from "@tursodatabase/database";
import { DatabaseSync } from "node:sqlite";
import type { NextRow } from "../../mod.ts";
import { type LibSQLClient, LibSQLStore, type LibSQLValue } from "../../stores/libsql.ts";
import { SQLiteStore } from "../../stores/sqlite.ts";
import { assert, assertEquals, assertMatch } from "../assert.ts";

type Query = (sql: string, args: LibSQLValue[]) => Promise<Record<string, unknown>[]>;

/** Databases with a table, and how to ask them. That of Node keeps samples of values when it counts. */
const DATABASES: [name: string, open: () => Promise<{ store: LibSQLStore | SQLiteStore; query: Query }>][] = [
  ["@libsql/client", async () => {
    const client = createClient({ url: ":memory:" });
    const store = new LibSQLStore(client);
    await store.createTable();
    const query: Query = async (sql, args) =>
      (await client.execute({ sql, args })).rows as unknown as Record<string, unknown>[];
    return { store, query };
  }],
  ["node:sqlite", async () => {
    const database = new DatabaseSync(":memory:");
    const store = new SQLiteStore(database);
    await store.createTable();
    const query: Query = (sql, args) => Promise.resolve(database.prepare(sql).all(...args));
    return { store, query };
  }],
];

/** A client that has every statement explained. Nothing is executed. */
function explaining(query: Query, plans: string[], protocol: "file" | "http"): LibSQLClient {
  const execute: LibSQLClient["execute"] = async ({ sql, args }) => {
    const steps = await query(`EXPLAIN QUERY PLAN ${sql}`, args);
    plans.push(steps.map(({ detail }) => detail).join("; "));
    return { rows: [], rowsAffected: 0 };
  };
  return { protocol, execute, batch: (statements) => Promise.all(statements.map(execute)) };
}

const NOW = Date.UTC(2026, 2, 4);
const HOUR = 3_600_000;
const DATA = Uint8Array.of(1);

for (const [name, open] of DATABASES) {
  for (const protocol of ["file", "http"] as const) {
    for (
      const [count, expiry] of [[1, NOW + HOUR], [5, NOW + HOUR], [5, NOW - HOUR], [200, NOW - HOUR]] as const
    ) {
      const what = `${count} ${expiry > NOW ? "live" : "expired"} rows [${name}, ${protocol}]`;
      Deno.test(`A session is read and saved by the index on tokens if SQLite has counted ${what}`, async () => {
        const { store, query } = await open();
        for (let number = 0; number < count; number++) {
          await store.create(`token ${number}`, DATA, expiry, { now: NOW - 2 * HOUR, subject: "zoe" });
        }
        await query("ANALYZE", []);
        const plans: string[] = [];
        const explained = new LibSQLStore(explaining(query, plans, protocol), { cleanup: "off" });
        await explained.find("token", { now: NOW });
        await explained.update("token", DATA, { data: DATA }, { now: NOW });
        await explained.touch("token", NOW + HOUR, { now: NOW });
        const steps = plans.join("; ").split("; ").filter((step) => /\bsessions\b/.test(step));
        assertEquals(steps.length, 4);
        for (const step of steps) assertMatch(step, /^SEARCH .*autoindex_sessions_1 \(token=\?\)$/);
      });
    }
  }
}

Deno.test("The sessions of a subject are found by the index in @tursodatabase/database too", async () => {
  const database = await openTurso(":memory:");
  await new LibSQLStore(database).createTable();
  const query: Query = async (sql, args) => await (await database.prepare(sql)).all(...args);
  const plans: string[] = [];
  const explained = new LibSQLStore(explaining(query, plans, "http"), { cleanup: "off" });
  await Array.fromAsync(explained.findBySubject("zoe", { now: NOW }));
  await explained.deleteBySubject("zoe");
  assertEquals(plans.length, 2);
  for (const plan of plans) assertMatch(plan, /USING INDEX sessions_subject_idx \(subject=\?\)/);
  await database.close();
});

Deno.test("A save names no column that keeps its value, since SQLite writes an index entry for each named one", async () => {
  const client = createClient({ url: ":memory:" });
  const named: (string | undefined)[] = [];
  const execute: LibSQLClient["execute"] = (statement) => {
    if (statement.sql.startsWith("UPDATE")) named.push(/ SET (.*?) WHERE token/.exec(statement.sql)?.[1]);
    return client.execute(statement);
  };
  const batch: LibSQLClient["batch"] = (statements, mode) => client.batch(statements, mode);
  const store = new LibSQLStore({ protocol: "file", execute, batch });
  await store.createTable();
  await store.create("a", DATA, NOW + HOUR, { now: NOW, subject: "zoe" });
  const saves: [next: Partial<NextRow>, columns: string[]][] = [
    [{}, ["data = ?"]],
    [{ token: "a" }, ["data = ?"]],
    [{ subject: "zoe" }, ["data = ?"]],
    [{ expiry: NOW + HOUR + 1, subject: "zoe" }, ["data = ?, expiry = ?"]],
    [{ subject: "max" }, ["data = ?", "data = ?, subject = ?"]],
    [{ subject: null }, ["data = ?", "data = ?, subject = ?"]],
    [{ subject: null }, ["data = ?"]],
    [{ token: "b" }, ["data = ?, token = ?"]],
  ];
  for (const [next, columns] of saves) {
    named.length = 0;
    assert(await store.update("a", DATA, { data: DATA, ...next }, { now: NOW }));
    assertEquals(named, columns);
  }
  client.close();
});

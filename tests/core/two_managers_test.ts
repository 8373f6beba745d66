/** Two managers with different cookie names must not share a table: each would accept the tokens of the other. */
import { DatabaseSync } from "node:sqlite";
import { createClient } from "@libsql/client";
import { SessionConfigError, sessions, type SessionStore } from "../../mod.ts";
import { type D1Database, D1Store } from "../../stores/d1.ts";
import { LibSQLStore } from "../../stores/libsql.ts";
import { ShardedStore } from "../../stores/sharded.ts";
import { SQLiteStore } from "../../stores/sqlite.ts";
import { assertThrows } from "../assert.ts";

type Open = (table?: string) => LibSQLStore | SQLiteStore | D1Store;

function refuses(one: SessionStore, other: SessionStore): void {
  sessions({ store: one });
  assertThrows(
    () => sessions({ store: other, cookie: { name: "__Host-admin" } }),
    SessionConfigError,
    "serves a manager with the cookie",
  );
}

const OPENERS: Record<string, () => Open> = {
  LibSQLStore: () => {
    const client = createClient({ url: ":memory:" });
    return (table) => new LibSQLStore(client, { table });
  },
  SQLiteStore: () => {
    const database = new DatabaseSync(":memory:");
    return (table) => new SQLiteStore(database, { table });
  },
  D1Store: () => {
    // Nothing is sent.
    const database = { prepare() {}, batch() {} } as unknown as D1Database;
    return (table) => new D1Store(database, { table });
  },
};

for (const [name, makeOpen] of Object.entries(OPENERS)) {
  Deno.test(`${name}: two stores on one table do not serve two cookies`, () => {
    const open = makeOpen();
    refuses(open(), open());
  });

  Deno.test(`${name}: a table name in capitals is the same table`, () => {
    const open = makeOpen();
    refuses(open("visits"), open("VISITS"));
  });

  Deno.test(`${name}: a sharded store on another store's table is refused too`, () => {
    const open = makeOpen();
    refuses(open(), new ShardedStore([open(), makeOpen()()]));
  });

  Deno.test(`${name}: two tables, and two databases, serve two cookies`, () => {
    const open = makeOpen();
    sessions({ store: open() });
    sessions({ store: open("admins"), cookie: { name: "__Host-admin" } });
    sessions({ store: makeOpen()(), cookie: { name: "__Host-admin" } });
  });
}

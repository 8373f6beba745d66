/**
 * Sessions in libSQL or SQLite: over HTTP (Turso, libsql-server) or in a file beside the application. The table
 * is that of SCS's `sqlite3store`, which a Go service may share. The client is one of `@libsql/client`,
 * `@tursodatabase/serverless` or `@tursodatabase/database`.
 *
 * ```ts
 * import { assertEquals } from "@std/assert";
 * import { createClient } from "@libsql/client";
 * import { sessions } from "@x/sessions";
 * import { LibSQLStore } from "@x/sessions/stores/libsql";
 *
 * const client = createClient({ url: ":memory:" });
 * const store = new LibSQLStore(client);
 * await store.createTable();
 *
 * const manager = sessions<{ name: string }>({ store });
 * const session = await manager.load();
 * session.put("name", "Zoë");
 * const { token } = await session.commit();
 * assertEquals((await manager.load(token)).get("name"), "Zoë");
 * client.close();
 * ```
 *
 * Over HTTP give the client a time limit, and on Workers keep it from queueing:
 * `createClient({ url, authToken, concurrency: Infinity, fetch: fetchWithTimeout(2_000) })` of
 * `@libsql/client/web`, or `connect({ url, authToken, defaultQueryTimeout: 2_000 })` of `@tursodatabase/serverless`.
 *
 * @module
 */

import { hasMethods } from "../core/foreign.ts";
import { OptionsReader } from "../core/options/reader.ts";
import { fileSender } from "./_file_database.ts";
import type { SqlStoreOptions } from "./_sql.ts";
import { unsure } from "./_sql_errors.ts";
import { refuseTransaction } from "./_sqlite_errors.ts";
import {
  type SQLiteDriver,
  type SQLiteKind,
  type SQLiteResult,
  type SQLiteStatement,
  SQLiteTableStore,
  type SQLiteValue,
} from "./_sqlite_store.ts";

export { fetchWithTimeout } from "./_fetch_with_timeout.ts";
export type { SqlStoreOptions } from "./_sql.ts";

/** A parameter of a statement. */
export type LibSQLValue = SQLiteValue;

/** A statement with its parameters. */
export interface LibSQLStatement {
  /** The text, with a `?` for each of the parameters. */
  sql: string;
  /** The parameters. */
  args: LibSQLValue[];
}

/** The answer to a statement. */
export interface LibSQLResult {
  /** Its rows, each with its columns by position. */
  readonly rows: readonly { readonly [column: number]: unknown }[];
  /** How many rows it changed. It is read only where the database is in this process. */
  readonly rowsAffected?: number;
}

/** The calls that the store makes on a client of `@libsql/client`. */
export interface LibSQLClient {
  /** Runs one statement. */
  execute(statement: LibSQLStatement): Promise<LibSQLResult>;
  /** Runs statements in one transaction. */
  batch(statements: LibSQLStatement[], mode: "write"): Promise<LibSQLResult[]>;
  /** `"file"` for a database in this process. */
  readonly protocol?: string;
  /** Runs statements without parameters. A database in a file needs it. */
  executeMultiple?(sql: string): Promise<void>;
  /** Opens new connections. A database in a file needs it. */
  reconnect?(): void | Promise<void>;
}

/** The calls that the store makes on a client of `@tursodatabase/serverless`, its `/compat`, or `@tursodatabase/database`. */
export interface TursoClient {
  /** Runs statements, with `"write"` in one transaction. The columns of a row are in the order of the statement. */
  batch(
    statements: LibSQLStatement[],
    mode?: "write",
  ): Promise<readonly { readonly rows: readonly object[] }[]>;
  /** Whether the application has a transaction open on the client's only connection. */
  readonly inTransaction?: boolean;
}

/** Options of {@linkcode LibSQLStore}. */
export type LibSQLStoreOptions = SqlStoreOptions;

/**
 * Keeps sessions in a libSQL or SQLite table. Over HTTP each call is one request. A save of a session with a subject is two if
 * the column for subjects has to change, or if another request was first.
 *
 * Over HTTP the store judges a write by the rows that `RETURNING` gives, never by a count: some hosts have reported 0 for
 * a write that happened.
 */
export class LibSQLStore extends SQLiteTableStore {
  /**
   * Makes a store, and sends nothing yet.
   *
   * @param client A client of `@libsql/client`, `@tursodatabase/serverless` or `@tursodatabase/database`. The store
   * never closes it. For a file, give the store a client of its own: after a lock the store may reconnect the client,
   * and this ends any transaction that is open on it.
   * @throws {SessionConfigError} An option is wrong.
   */
  constructor(client: LibSQLClient | TursoClient, options: LibSQLStoreOptions = {}) {
    const reader = new OptionsReader(options);
    // Drizzle's database has a batch() too, and a query beside it. That of D1 has a withSession().
    if (!hasMethods<TursoClient>(client, "batch") || "query" in client || "withSession" in client) {
      reader.problems.push('"client" must be a client of @libsql/client or of Turso');
    }
    super(client, isFile(client) ? fileDriver(client) : clientDriver(client), reader);
  }
}

function isFile(client: LibSQLClient | TursoClient | undefined): client is LibSQLClient {
  return (client as LibSQLClient | undefined)?.protocol === "file";
}

/** Reaches a database over HTTP, or by a client that works in the background. */
function clientDriver(client: AnyClient): SQLiteDriver {
  return {
    inProcess: false,
    send: (statements, kind) => send(client, statements, kind),
    // Whether the write stands is known when the transaction has ended.
    classify: (error) => error === WITHIN_TRANSACTION ? unsure("busy") : undefined,
  };
}

/** Thrown after a write that may be a part of a transaction of the application's. */
const WITHIN_TRANSACTION = {};

/** Reaches a database in this process. `_file_database.ts` says why it needs more care. */
function fileDriver(client: LibSQLClient): SQLiteDriver {
  const inTurn = fileSender(client);
  return {
    inProcess: true,
    send: (statements, kind) => inTurn(kind !== "read", () => send(client, statements, kind)),
  };
}

type AnyClient = TursoClient & Partial<Pick<LibSQLClient, "execute">>;

async function send(
  client: AnyClient,
  statements: SQLiteStatement[],
  kind: SQLiteKind,
): Promise<readonly SQLiteResult[]> {
  // A client that shows its transactions has one connection, so the store's statements would be part of them.
  refuseTransaction(client.inTransaction);
  const isAlone = kind !== "transaction";
  const results = isAlone && client.execute
    ? [await client.execute(statements[0]!)]
    : await client.batch(statements, isAlone ? undefined : "write");
  // The transaction may have begun while the statements waited for their turn.
  if (kind !== "read" && client.inTransaction) throw WITHIN_TRANSACTION;
  return results;
}

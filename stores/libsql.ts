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

import { OptionsReader } from "../core/options/reader.ts";
import { fileSender } from "./_file_database.ts";
import type { SqlStoreOptions } from "./_sql.ts";
import { refuseTransaction } from "./_sqlite_errors.ts";
import { type SQLiteDriver, SQLiteTableStore, type SQLiteValue } from "./_sqlite_store.ts";

export { fetchWithTimeout } from "./_fetch_with_timeout.ts";
export type { SqlStoreOptions } from "./_sql.ts";

/** What goes into a statement. */
export type LibSQLValue = SQLiteValue;

/** A statement with its parameters. */
export interface LibSQLStatement {
  /** The text, with a `?` for each of the parameters. */
  sql: string;
  /** The parameters. */
  args: LibSQLValue[];
}

/** What a statement gave. */
export interface LibSQLResult {
  /** Its rows, each with its columns by position. */
  readonly rows: readonly { readonly [column: number]: unknown }[];
  /** How many rows it changed. */
  readonly rowsAffected?: number;
}

/** What the store calls of an `@libsql/client`: any client of it fits. */
export interface LibSQLClient {
  /** Runs one statement. */
  execute(statement: LibSQLStatement): Promise<LibSQLResult>;
  /** Runs statements in one transaction. */
  batch(statements: LibSQLStatement[], mode: "write"): Promise<LibSQLResult[]>;
  /** `"file"` for a database in this process. */
  readonly protocol?: string;
  /** Runs statements without parameters. Needed for a database in a file. */
  executeMultiple?(sql: string): Promise<void>;
  /** Opens new connections. Needed for a database in a file. */
  reconnect?(): void | Promise<void>;
}

/** What the store calls of a client of `@tursodatabase/serverless`, also of its `/compat`, or `@tursodatabase/database`. */
export interface TursoClient {
  /** Runs statements: with `"write"` in one transaction. A row has its columns in the order of the statement. */
  batch(
    statements: LibSQLStatement[],
    mode?: "write",
  ): Promise<readonly { readonly rows: readonly object[]; readonly rowsAffected?: number }[]>;
  /** Whether a transaction of the application's is open on the client's only connection. */
  readonly inTransaction?: boolean;
}

/** Options of {@linkcode LibSQLStore}. */
export type LibSQLStoreOptions = SqlStoreOptions;

/**
 * Keeps sessions in a libSQL or SQLite table. Each call is one statement, and over HTTP one request.
 *
 * Over HTTP writes are judged by the rows that `RETURNING` gives, never by a count: hosts have been seen to report 0
 * for a write that happened.
 */
export class LibSQLStore extends SQLiteTableStore {
  /**
   * Makes a store, and sends nothing yet.
   *
   * @param client A client of `@libsql/client`, `@tursodatabase/serverless` or `@tursodatabase/database`. The store
   * never closes it. One for a file is best the store's own: after a lock it may have to reconnect, which ends
   * transactions that others have open on it.
   * @throws {SessionConfigError} An option is wrong.
   */
  constructor(client: LibSQLClient | TursoClient, options: LibSQLStoreOptions = {}) {
    const reader = new OptionsReader(options);
    if (typeof client?.batch !== "function") {
      reader.problems.push('"client" must be a client of @libsql/client or of Turso');
    }
    super(client, isFile(client) ? fileDriver(client) : clientDriver(client), reader);
  }
}

function isFile(client: LibSQLClient | TursoClient | undefined): client is LibSQLClient {
  return (client as LibSQLClient | undefined)?.protocol === "file";
}

/** A database that is asked over HTTP, or by a client that works in the background. */
function clientDriver(client: TursoClient & Partial<Pick<LibSQLClient, "execute">>): SQLiteDriver {
  return {
    isLocal: false,
    async send(statements, kind) {
      // Of a client that has one connection, where statements of the store would be part of the transaction.
      refuseTransaction(client.inTransaction);
      if (kind === "transaction") return await client.batch(statements, "write");
      return client.execute ? [await client.execute(statements[0]!)] : await client.batch(statements);
    },
  };
}

/** A database in this process, where a lock leaves a connection that is of no use any more. */
function fileDriver(client: LibSQLClient): SQLiteDriver {
  const { send } = clientDriver(client);
  const inTurn = fileSender(client);
  return {
    isLocal: true,
    send: (statements, kind) => inTurn(kind !== "read", async () => await send(statements, kind)),
  };
}

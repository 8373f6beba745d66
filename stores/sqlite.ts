/**
 * Sessions in a SQLite database that the process opens itself: `node:sqlite`, `bun:sqlite` or better-sqlite3. The
 * table is that of SCS's `sqlite3store`, which a Go service may share.
 *
 * ```ts
 * import { assertEquals } from "@std/assert";
 * import { DatabaseSync } from "node:sqlite";
 * import { sessions } from "@x/sessions";
 * import { SQLiteStore } from "@x/sessions/stores/sqlite";
 *
 * const database = new DatabaseSync(":memory:");
 * const store = new SQLiteStore(database);
 * await store.createTable();
 *
 * const manager = sessions<{ name: string }>({ store });
 * const session = await manager.load();
 * session.put("name", "Zoë");
 * const { token } = await session.commit();
 * assertEquals((await manager.load(token)).get("name"), "Zoë");
 * database.close();
 * ```
 *
 * For a file run `PRAGMA journal_mode = WAL` once, and `PRAGMA synchronous = NORMAL` on each connection: a save then does
 * not wait for the disk. After a power failure the last writes may be missing, a logout among them. Turn off the driver's
 * own waiting for locks (`timeout: 0` in better-sqlite3 and `node:sqlite`): it stops the whole process. The store waits
 * without stopping it.
 *
 * @module
 */

import type { StoreErrorDetails } from "../core/errors.ts";
import { OptionsReader } from "../core/options/reader.ts";
import { hasMethods, ignoreRejection } from "../core/foreign.ts";
import type { SqlStoreOptions } from "./_sql.ts";
import { meaningOf, refused, unsure } from "./_sql_errors.ts";
import { isMoved, refuseTransaction } from "./_sqlite_errors.ts";
import {
  type SQLiteDriver,
  type SQLiteResult,
  type SQLiteStatement,
  SQLiteTableStore,
} from "./_sqlite_store.ts";

export type { SqlStoreOptions } from "./_sql.ts";

/** The calls that the store makes on a prepared statement. */
export interface SQLitePrepared {
  /** Runs it, and gives its rows. */
  all(...args: unknown[]): unknown[];
  /** Runs it, and tells how many rows it changed. */
  run(...args: unknown[]): { changes: number | bigint };
}

/** The calls that the store makes on a database of `node:sqlite`, `bun:sqlite` or better-sqlite3. */
export interface SQLiteDatabase {
  /** Prepares a statement. */
  prepare(sql: string): SQLitePrepared;
  /** Runs statements without parameters. */
  exec(sql: string): unknown;
  /** Whether a transaction is open (`bun:sqlite`, better-sqlite3). */
  readonly inTransaction?: boolean;
  /** Whether a transaction is open (`node:sqlite`). */
  readonly isTransaction?: boolean;
}

/** Options of {@linkcode SQLiteStore}. */
export type SQLiteStoreOptions = SqlStoreOptions;

/**
 * Keeps sessions in a table of a synchronous SQLite database. Each call is one statement.
 *
 * While the application has a transaction open on the same database, a write waits. Otherwise a rollback would undo
 * the write. On better-sqlite3 a write also waits while the application is within `iterate()`.
 */
export class SQLiteStore extends SQLiteTableStore {
  /**
   * Makes a store, and sends nothing yet.
   *
   * @param database An open database. The store never closes it.
   * @throws {SessionConfigError} An option is wrong.
   */
  constructor(database: SQLiteDatabase, options: SQLiteStoreOptions = {}) {
    const reader = new OptionsReader(options);
    if (!hasMethods<SQLiteDatabase>(database, "prepare", "exec")) {
      reader.problems.push('"database" must be a database of node:sqlite, bun:sqlite or better-sqlite3');
    }
    super(database, syncDriver(database), reader);
  }
}

function syncDriver(database: SQLiteDatabase): SQLiteDriver {
  const prepared = new Map<string, SQLitePrepared>();
  return {
    inProcess: true,
    send,
    classify,
  };

  function send(statements: SQLiteStatement[], kind: string): SQLiteResult[] {
    if (kind === "read") return [run(statements[0]!)];
    refuseTransaction(database.inTransaction ?? database.isTransaction ?? beginFails(database));
    if (kind === "write") return [run(statements[0]!)];
    database.exec("BEGIN IMMEDIATE");
    try {
      const results = statements.map(run);
      database.exec("COMMIT");
      return results;
    } catch (error) {
      try {
        database.exec("ROLLBACK");
      } catch {
        // If the disk is full SQLite has already rolled back.
      }
      throw error;
    }
  }

  function run({ sql, args }: SQLiteStatement): SQLiteResult {
    try {
      let statement = prepared.get(sql);
      if (statement === undefined) prepared.set(sql, statement = database.prepare(sql));
      if (sql.startsWith("SELECT")) {
        const rows = statement.all(...args);
        if (!Array.isArray(rows)) throw unusable(rows);
        return { rows: rows as object[] };
      }
      const result = statement.run(...args);
      if (result?.changes === undefined) throw unusable(result);
      return { rows: [], rowsAffected: Number(result.changes) };
    } catch (error) {
      // A database of `node:sqlite` that was closed can be opened again, but its statements are gone.
      if ((error as { code?: unknown }).code !== "ERR_INVALID_STATE" || !prepared.delete(sql)) throw error;
      return run({ sql, args });
    }
  }
}

/** Whether a transaction is open. Before Node 22.16 `node:sqlite` does not say so. */
function beginFails(database: SQLiteDatabase): boolean {
  try {
    // It takes no lock.
    ignoreRejection(database.exec("BEGIN; COMMIT"));
    return false;
  } catch (error) {
    return /within a transaction/.test(String(error));
  }
}

/** The error of a driver whose results are promises, or without a count. Every session would seem to be unknown. */
function unusable(result: unknown): StoreErrorDetails {
  ignoreRejection(result);
  return OTHER_DRIVER;
}

const OTHER_DRIVER = refused(
  "unsupported",
  "pass a synchronous database of node:sqlite, bun:sqlite or better-sqlite3",
);
const FILE_MOVED = refused("unreachable", "the file was moved or replaced; open it again");

/** What errors of `node:sqlite` mean by their numbers, which other drivers give names. A lock is known by its message. */
function classify(error: unknown): StoreErrorDetails | undefined {
  if (error === OTHER_DRIVER) return OTHER_DRIVER;
  const { errcode } = Object(error) as { errcode: number };
  if (errcode === 1032 || isMoved(error)) return FILE_MOVED;
  // The lowest byte is the primary code. The others extend it.
  return meaningOf(`${errcode & 255}`, [
    // PERM, READONLY, AUTH
    [/^(3|8|23)$/, refused("unauthorized")],
    // NOMEM, INTERRUPT, IOERR, FULL, CANTOPEN
    [/^(7|9|1[034])$/, unsure("unreachable")],
  ]);
}

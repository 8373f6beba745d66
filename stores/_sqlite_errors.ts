import type { StoreErrorDetails } from "../core/errors.ts";
import {
  BUSY,
  classifyStatus,
  FETCH_ERRORS,
  meaningOf,
  noColumn,
  noTable,
  refused,
  refusesRow,
  unsure,
  wrongColumn,
} from "./_sql_errors.ts";

/** An error's name, codes and message, as one line. */
function describe(error: unknown): string {
  const { name, code, extendedCode, message } = (error ?? {}) as Record<string, unknown>;
  return `${name} ${code} ${extendedCode} ${message}`;
}

/** Whether another connection holds the lock. Nothing was done then. */
export function isLocked(error: unknown): boolean {
  return /SQLITE_(BUSY|LOCKED)|TRANSACTION_BUSY|database (table )?is locked/.test(describe(error));
}

/** Whether the database's file was replaced while a connection was open. Nothing was done then. */
export function isMoved(error: unknown): boolean {
  return /DBMOVED/.test(describe(error));
}

/**
 * Whether the same statement may succeed a moment later. Another connection holds the lock, the application's
 * transactions hold every connection, it iterates over rows (better-sqlite3), or the server is overloaded.
 */
export function isBusy(error: unknown): boolean {
  return isLocked(error) || /TRANSACTION_ACTIVE|connection is busy|overloaded/.test(describe(error));
}

/**
 * Throws while a transaction of the application's is open on a connection that the store shares. A rollback would undo
 * what the store writes. The error counts as busy.
 */
export function refuseTransaction(isOpen: boolean | undefined): void {
  if (isOpen) throw { code: "TRANSACTION_ACTIVE" };
}

/** What an error of a SQLite driver means; `undefined` where it is not about SQLite. */
export function classifySQLiteError(
  error: unknown,
  table: string,
  subjectIndex: string,
): StoreErrorDetails | undefined {
  if (isBusy(error)) return BUSY;
  const text = describe(error);
  // An error shows only the names of columns that the store's own statements have.
  const column = /no (?:such column|column named):? "?(token|data|expiry|subject)/i.exec(text)?.[1];
  if (column) {
    return noColumn(table, column, `ALTER TABLE "${table}" ADD COLUMN subject TEXT; ${subjectIndex}`);
  }
  const uniqueIndex = `CREATE UNIQUE INDEX "${table}_token_idx" ON "${table}"(token)`;
  const status = (error as { cause?: { status?: unknown } } | null)?.cause?.status ??
    /HTTP error! status: (\d+)/.exec(text)?.[1];
  return meaningOf(text, [
    [/no such table/i, noTable(table)],
    [/ON CONFLICT clause/, wrongColumn(table, "token", "is not unique", uniqueIndex)],
    [/constraint failed|cannot store/i, refusesRow(table)],
    [/CLIENT_CLOSED|not open|closed database|must be connected/, refused("rejected", "the client is closed")],
    [/BLOCKED/, refused("unauthorized", "the host has blocked the database")],
    [/SQLITE_(AUTH|PERM|READONLY)/, refused("unauthorized")],
  ]) ?? (status ? classifyStatus(Number(status)) : meaningOf(text, [
    [/HRANA_PROTO_ERROR/, unsure("malformed")],
    [
      /SQLITE_(IOERR|FULL|NOMEM|CANTOPEN|INTERRUPT)|TRANSACTION_TIMEOUT|reset|transient/,
      unsure("unreachable"),
    ],
    [/SQLITE_|\bSQL_/, refused("rejected")],
    ...FETCH_ERRORS,
  ]));
}

import type { StoreErrorDetails } from "../core/errors.ts";
import {
  BUSY,
  classifyFetchError,
  classifyStatus,
  noColumn,
  noTable,
  refused,
  refusesRow,
  unsure,
  wrongColumn,
} from "./_sql_errors.ts";

/** A driver's code and message, as one line. */
function describe(error: unknown): string {
  const { code, extendedCode, message } = (error ?? {}) as Record<string, unknown>;
  return `${code} ${extendedCode} ${message}`;
}

/** Whether another connection holds the lock. Nothing was done then. */
export function isLocked(error: unknown): boolean {
  return /SQLITE_BUSY|SQLITE_LOCKED|TRANSACTION_BUSY|database (table )?is locked/.test(describe(error));
}

/** Whether the database's file was replaced while a connection was open. Nothing was done then. */
export function isMoved(error: unknown): boolean {
  return /DBMOVED/.test(describe(error));
}

/**
 * Whether the same statement may succeed a moment later. Another connection holds the lock, the application's
 * transactions hold every connection, the server is overloaded, or the file was replaced and has been opened again.
 */
export function isBusy(error: unknown): boolean {
  return isLocked(error) || isMoved(error) || /TRANSACTION_ACTIVE|overloaded/.test(describe(error));
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
  if (/no such table/i.test(text)) return noTable(table);
  // An error shows only the names of columns that the store's own statements have.
  const column = /no (?:such column|column named):? "?(token|data|expiry|subject)/i.exec(text)?.[1];
  if (column) {
    return noColumn(table, column, `ALTER TABLE "${table}" ADD COLUMN subject TEXT; ${subjectIndex}`);
  }
  if (/ON CONFLICT clause/.test(text)) {
    const statement = `CREATE UNIQUE INDEX "${table}_token_idx" ON "${table}"(token)`;
    return wrongColumn(table, "token", "is not unique", statement);
  }
  if (/constraint failed|cannot store/i.test(text)) return refusesRow(table);
  if (/CLIENT_CLOSED|not open|closed database|must be connected/.test(text)) {
    return refused("rejected", "the client is closed");
  }
  if (/BLOCKED/.test(text)) return refused("unauthorized", "the host has blocked the database");
  if (/SQLITE_(AUTH|PERM|READONLY)/.test(text)) return refused("unauthorized");
  const status = (error as { cause?: { status?: unknown } } | null)?.cause?.status ??
    /HTTP error! status: (\d+)/.exec(text)?.[1];
  if (status) return classifyStatus(Number(status));
  if (/HRANA_PROTO_ERROR/.test(text)) return unsure("malformed");
  if (/SQLITE_(IOERR|FULL|NOMEM|CANTOPEN|INTERRUPT)|TRANSACTION_TIMEOUT/.test(text)) {
    return unsure("unreachable");
  }
  if (/SQLITE_|\bSQL_[A-Z]+_/.test(text)) return refused("rejected");
  return classifyFetchError(error);
}

import type { StoreErrorDetails } from "../core/errors.ts";
import { classifyStatus } from "./_sql.ts";

/** A driver's code and message, as one line. */
function describe(error: unknown): string {
  const { code, extendedCode, message } = (error ?? {}) as Record<string, unknown>;
  return `${code} ${extendedCode} ${message}`;
}

/** Whether another connection holds the lock. Nothing was done then. */
export function isLocked(error: unknown): boolean {
  return /SQLITE_BUSY|SQLITE_LOCKED|TRANSACTION_BUSY|database (table )?is locked/.test(describe(error));
}

/** Whether the file under an open connection was replaced. Nothing was done then. */
export function isMoved(error: unknown): boolean {
  return /DBMOVED/.test(describe(error));
}

/**
 * Whether a statement may be sent later: another has the lock, the application's transactions all connections, or the
 * connection was one to a file that is no more.
 */
export function isSQLiteBusy(error: unknown): boolean {
  return isLocked(error) || /TRANSACTION_ACTIVE|DBMOVED|overloaded/.test(describe(error));
}

/**
 * Throws where a transaction of the application's is open on a connection that the store shares: what the store wrote
 * would be undone with it. Counts as busy.
 */
export function refuseTransaction(isOpen: boolean | undefined): void {
  if (isOpen) throw { code: "TRANSACTION_ACTIVE" };
}

/** Makes of a driver's error what a user may see of it; `undefined` where it says nothing of SQLite's. */
export function classifySQLiteError(
  error: unknown,
  table: string,
  subjectIndex: string,
): StoreErrorDetails | undefined {
  const text = describe(error);
  const final = (reason: StoreErrorDetails["reason"], advice?: string) => ({
    reason,
    retryable: false,
    ...(advice && { advice }),
  });
  const useOther = 'name another table in the option "table" and run createTable()';
  if (isSQLiteBusy(error)) return { reason: "busy", retryable: true };
  if (/no such table/i.test(text)) {
    return final(
      "schema",
      `there is no table ${table}; run createTable() of the store once`,
    );
  }
  // Only names that are in the store's own statements are shown.
  const column = /no (?:such column|column named):? "?(token|data|expiry|subject)/i.exec(text)?.[1];
  if (column === "subject") {
    const statement = `ALTER TABLE "${table}" ADD COLUMN subject TEXT; ${subjectIndex}`;
    return final("schema", `the table ${table} has no column for subjects; run ${statement}`);
  }
  if (column) {
    return final(
      "schema",
      `the table ${table} has no column ${column}, so it is another program's; ${useOther}`,
    );
  }
  if (/ON CONFLICT clause/.test(text)) {
    const statement = `CREATE UNIQUE INDEX "${table}_token_idx" ON "${table}"(token)`;
    return final(
      "schema",
      `the column token of the table ${table} is not unique; run ${statement}, or ${useOther}`,
    );
  }
  if (/CLIENT_CLOSED|not open|closed database|must be connected/.test(text)) {
    return final("rejected", "the client is closed");
  }
  if (/SQLITE_(AUTH|PERM|READONLY)/.test(text)) return final("unauthorized");
  if (/BLOCKED/.test(text)) return final("unauthorized", "the host has blocked the database");
  const status = (error as { cause?: { status?: unknown } } | null)?.cause?.status ??
    /HTTP error! status: (\d+)/.exec(text)?.[1];
  if (status) return classifyStatus(Number(status));
  if (/HRANA_PROTO_ERROR/.test(text)) return { reason: "malformed", retryable: true, ambiguous: true };
  if (/SQLITE_(IOERR|FULL|NOMEM|CANTOPEN|INTERRUPT)|TRANSACTION_TIMEOUT/.test(text)) {
    return { reason: "unreachable", retryable: true, ambiguous: true };
  }
  if (/SQLITE_|\bSQL_[A-Z]+_/.test(text)) return final("rejected");
}

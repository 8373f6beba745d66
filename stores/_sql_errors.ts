import { SessionStoreError, type StoreErrorDetails, type StoreFailure } from "../core/errors.ts";

/** A lock is held, or the database has too much to do. Nothing was done, and the same call may succeed later. */
export const BUSY: StoreErrorDetails = { reason: "busy", retryable: true };

/** The database has refused the call. Nothing was done, and the same call fails again. */
export function refused(reason: StoreFailure, advice?: string): StoreErrorDetails {
  return { reason, retryable: false, advice };
}

/** The call failed on its way: it may have been carried out all the same. */
export function unsure(reason: StoreFailure, advice?: string): StoreErrorDetails {
  return { reason, retryable: true, ambiguous: true, advice };
}

/** How to leave another program's table alone. */
export const USE_OTHER = 'name another table in the option "table" and run createTable()';

/** The table is missing. */
export function noTable(table: string): StoreErrorDetails {
  return refused("schema", `there is no table ${table}; run createTable() of the store once`);
}

/** The table lacks a column. `addSubject` is the statement that adds the one for subjects. */
export function noColumn(table: string, column: string, addSubject: string): StoreErrorDetails {
  return refused(
    "schema",
    `the table ${table} has no column ` +
      (column === "subject"
        ? `for subjects; run ${addSubject}`
        : `${column}, so it is another program's; ${USE_OTHER}`),
  );
}

/** A column is not what the store needs. `statement` changes it. */
export function wrongColumn(
  table: string,
  column: string,
  problem: string,
  statement: string,
): StoreErrorDetails {
  return refused(
    "schema",
    `the column ${column} of the table ${table} ${problem}; run ${statement}, or ${USE_OTHER}`,
  );
}

/** A rule of the table that the store knows nothing of, such as a column that must be given. */
export function refusesRow(table: string): StoreErrorDetails {
  return refused(
    "schema",
    `a constraint of the table ${table} refuses what the store writes; compare the table with schema()`,
  );
}

/** For `catch`, after asking for a subject. A table made by SCS has no subjects. */
export function ifNoSubjects(error: unknown): undefined {
  if (!(error instanceof SessionStoreError && error.reason === "schema")) throw error;
}

/** What the status of an HTTP answer means. */
export function classifyStatus(status: number): StoreErrorDetails {
  const advice = `the server answered ${status}`;
  if (status === 401 || status === 403) return refused("unauthorized", advice);
  if (status === 429) return { ...BUSY, advice };
  return status >= 500 ? unsure("unreachable", advice) : refused("rejected", advice);
}

/** What an error of the platform's `fetch` means, or one about a body that is cut off or no JSON. */
export function classifyFetchError(error: unknown): StoreErrorDetails | undefined {
  if (!(error instanceof Error)) return undefined;
  if (error.name === "TimeoutError") return unsure("timeout");
  if (error.name === "AbortError") return unsure("aborted");
  if (error instanceof SyntaxError) return unsure("malformed");
  // A refused connection is no proof that nothing was done. When a connection breaks Deno's `fetch` sends a POST a
  // second time, and reports only the failure of that.
  if (error instanceof TypeError || /network|connection/i.test(error.message)) return unsure("unreachable");
}

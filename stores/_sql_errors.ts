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
export const USE_OTHER = 'set another "table" and run createTable()';

/** The table is missing. */
export function noTable(table: string): StoreErrorDetails {
  return refused("schema", `there is no table ${table}; run createTable()`);
}

/** The table lacks a column. `addSubject` is the statement that adds the one for subjects. */
export function noColumn(table: string, column: string, addSubject: string): StoreErrorDetails {
  const advice = column === "subject" ? `run ${addSubject}` : USE_OTHER;
  return refused("schema", `the table ${table} has no column ${column}; ${advice}`);
}

/** A column is not what the store needs. `statement` changes it. */
export function wrongColumn(
  table: string,
  column: string,
  problem: string,
  statement: string,
): StoreErrorDetails {
  return refused("schema", `${table}.${column} ${problem}; run ${statement}, or ${USE_OTHER}`);
}

/** A rule of the table that the store knows nothing of, such as a column that must be given. */
export function refusesRow(table: string): StoreErrorDetails {
  return refused("schema", `a constraint of the table ${table} refuses the row; compare it with schema()`);
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

/** Patterns of errors, and what they mean. The first row that fits counts. */
export type Meanings = readonly (readonly [pattern: RegExp, details: StoreErrorDetails])[];

/** What a text of an error means. */
export function meaningOf(text: string, meanings: Meanings): StoreErrorDetails | undefined {
  return meanings.find(([pattern]) => pattern.test(text))?.[1];
}

/** Errors of the platform's `fetch`, and one about a body that is cut off or no JSON: by their names and messages. */
export const FETCH_ERRORS: Meanings = [
  [/^TimeoutError/, unsure("timeout")],
  [/^AbortError/, unsure("aborted")],
  [/^SyntaxError/, unsure("malformed")],
  // A refused connection is no proof that nothing was done. When a connection breaks Deno's `fetch` sends a POST a
  // second time, and reports only the failure of that.
  [/^TypeError|network|connection/i, unsure("unreachable")],
];

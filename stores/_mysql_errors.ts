import { SessionStoreError, type StoreErrorDetails } from "../core/errors.ts";
import { classifyStatus } from "./_sql.ts";

/** Marks the errors that the store itself acts on. Both are certain: the server has refused the statement. */
const DUPLICATE = "the token exists";
const TOO_LONG = "a value is too long for its column";

/** What makes a column of SCS's hold any time, in any zone. */
export const TO_DATETIME = "MODIFY expiry DATETIME(6) NOT NULL";

/** The name of an index, which has at most 64 characters, and no other index of the table to be confused with. */
export function indexName(table: string, column: string): string {
  return `${table.slice(0, 50)}_${column}_idx`;
}

/** Whether the statement would have given two rows one token. */
export function isDuplicate(error: unknown): boolean {
  return error instanceof SessionStoreError && error.message.endsWith(DUPLICATE);
}

/** Whether a value did not fit its column. */
export function isTooLong(error: unknown): boolean {
  return error instanceof SessionStoreError && error.message.endsWith(TOO_LONG);
}

const BUSY: StoreErrorDetails = { reason: "busy", retryable: true };
const UNREACHABLE: StoreErrorDetails = { reason: "unreachable", retryable: true, ambiguous: true };

function refused(reason: StoreErrorDetails["reason"], advice?: string): StoreErrorDetails {
  return { reason, retryable: false, advice };
}

/**
 * What an error of the PlanetScale driver means, by MySQL's error number or else by Vitess's code. Its text holds
 * the statement with all values, so nothing of it is kept.
 */
export function classifyMySQLError(error: unknown, table: string): StoreErrorDetails | undefined {
  if (!(error instanceof Error) || !("body" in error || "status" in error)) return undefined;
  const { name, status = 500, body, message } = error as Error & {
    status?: number;
    body?: { code?: unknown };
  };
  if (/primary vindex/i.test(message)) {
    return refused(
      "rejected",
      "the keyspace is sharded by token; use @x/sessions/stores/planetscale-sharded",
    );
  }
  if (/direct DDL is disabled/i.test(message)) {
    return refused(
      "rejected",
      "the branch takes no DDL; run schema() on a development branch and deploy it",
    );
  }
  const kind = /code = (\w+)/.exec(message)?.[1] ?? String(body?.code ?? "");
  const number = Number(/\(errno (\d{4})\)/.exec(message)?.[1]);
  // 1105 is any error that MySQL has no number for, such as that of a tablet which is down.
  const isNumbered = number > 0 && !(number === 1105 && /unavailable|deadline_?exceeded/i.test(kind));
  // The driver gives an error inside a 200 the status 400; its kind is in the code or in the text.
  if (!isNumbered && (name === "UnknownError" || status !== 400)) return classifyStatus(status);
  return isNumbered ? classifyNumber(number, message, table) : classifyKind(kind) ?? UNREACHABLE;
}

function classifyNumber(number: number, message: string, table: string): StoreErrorDetails {
  const run = (change: string) => `run ALTER TABLE \`${table}\` ${change}`;
  switch (number) {
    case 1062:
      return refused("rejected", DUPLICATE);
    case 1146:
      return refused("schema", `there is no table ${table}; run createTable() of the store once`);
    case 1054:
      if (!/column '[^']{0,64}subject'/i.test(message)) return refused("schema", "the table lacks a column");
      return refused(
        "schema",
        "the table has no column for subjects; " +
          run(`ADD COLUMN subject VARBINARY(255), ADD INDEX \`${indexName(table, "subject")}\` (subject)`),
      );
    case 1406:
    // Asked for by `assignments`, where the server is not in strict mode.
    case 1690:
      return refused("rejected", TOO_LONG);
    case 1292:
      return refused(
        "schema",
        "a TIMESTAMP ends in January 2038; " + run(TO_DATETIME),
      );
  }
  return classifyKind(`${number}`) ?? refused("rejected", `MySQL error ${number}`);
}

/** By the number of MySQL's error, or by the name that Vitess has for the kind. */
function classifyKind(kind: string): StoreErrorDetails | undefined {
  if (/104[45]|114[23]|1290|1792|unauthenticated|permission/i.test(kind)) {
    return refused("unauthorized", "the user may not do this");
  }
  if (/1040|1203|1205|1213|3572|resource/i.test(kind)) return BUSY;
  // From 2000 on: what a client, here Vitess, says of its connection to MySQL.
  if (/1053|1927|3024|20\d\d/.test(kind)) return UNREACHABLE;
  if (/invalid|unimplemented|precondition|found|exists/i.test(kind)) return refused("rejected");
}

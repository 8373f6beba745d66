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
      return refused(
        "schema",
        `there is no table ${table}; run createTable() of the store once`,
      );
    case 1054: {
      // Only names that are in the store's own statements are shown.
      const column = /column '(?:[^']{0,64}\.)?`?(token|data|expiry|subject)/i.exec(message)?.[1];
      return column === undefined
        ? refused("schema", `the table ${table} lacks a column; ${useOther()}`)
        : lacks(table, column);
    }
    // Of a column of another type: a value was cut, is out of range or is none.
    case 1264:
    case 1265:
      return refused(
        "schema",
        `a column of the table ${table} has another type than createTable() gives it; ${useOther()}`,
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

/** What to do about a table that lacks a column. */
export function lacks(table: string, column: string): StoreErrorDetails {
  if (column !== "subject") {
    return refused(
      "schema",
      `the table ${table} has no column ${column}, so it is another program's; ${useOther()}`,
    );
  }
  const change = `ADD COLUMN subject VARBINARY(255), ADD INDEX \`${indexName(table, "subject")}\` (subject)`;
  return refused(
    "schema",
    `the table ${table} has no column for subjects; run ALTER TABLE \`${table}\` ${change}`,
  );
}

/** What to do about a table in which no token, or no time, can be found again. */
export function misfits(
  table: string,
  type: string,
  column: "token" | "expiry" = "token",
): StoreErrorDetails {
  const change = column === "expiry"
    ? TO_DATETIME
    : "MODIFY token CHAR(43) CHARACTER SET ascii COLLATE ascii_bin NOT NULL";
  return refused(
    "schema",
    `the column ${column} of the table ${table} is ${type}, which holds none as it is; ` +
      `run ALTER TABLE \`${table}\` ${change}, or ${useOther()}`,
  );
}

/** What to do about a table whose tokens may repeat. */
export function repeats(table: string): StoreErrorDetails {
  return refused(
    "schema",
    `the column token of the table ${table} is not unique; ` +
      `run ALTER TABLE \`${table}\` ADD PRIMARY KEY (token), or ${useOther()}`,
  );
}

function useOther(): string {
  return 'name another table in the option "table" and run createTable()';
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

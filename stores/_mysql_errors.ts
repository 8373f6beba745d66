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
  USE_OTHER,
  wrongColumn,
} from "./_sql_errors.ts";

/** The number of an error of MySQL's; empty where it is of another kind. */
function numberOf(error: unknown): string {
  const match = isDatabaseError(error) ? /\(errno (\d{4})\)/.exec(error.message) : undefined;
  return match?.[1] ?? "";
}

/** An error of the driver. Any other one comes from `fetch`. */
function isDatabaseError(error: unknown): error is Error & { status?: number; body?: { code?: unknown } } {
  return error instanceof Error && ("body" in error || "status" in error);
}

/** Whether the server has refused a statement because two rows would have the same token. */
export function isDuplicate(error: unknown): boolean {
  return numberOf(error) === "1062";
}

/** Whether the server has refused a statement because a value does not fit its column. */
export function isTooLong(error: unknown): boolean {
  return TOO_LONG.test(numberOf(error));
}

/** 1690 is what `assignments` makes of a value that was cut, where the server is not in strict mode. */
const TOO_LONG = /^(1406|1690)/;

/** Makes the column hold any time, in any time zone. */
export const TO_DATETIME = "MODIFY expiry DATETIME(6) NOT NULL";

/** Makes the column hold any token as it is. */
export const TO_TOKENS = "MODIFY token CHAR(43) CHARACTER SET ascii COLLATE ascii_bin NOT NULL";

/** The name of an index. MySQL allows 64 characters, and a table's name has up to 63. */
export function indexName(table: string, column: string): string {
  return `\`${table.slice(0, 50)}_${column}_idx\``;
}

/**
 * What an error of the PlanetScale driver means. Its text holds the statement with all values, so nothing of it is kept.
 */
export function classifyMySQLError(error: unknown, table: string): StoreErrorDetails | undefined {
  if (!isDatabaseError(error)) {
    const { name, message } = (error ?? {}) as Record<string, unknown>;
    return meaningOf(`${name} ${message}`, FETCH_ERRORS);
  }
  const { name, status = 500, body, message } = error;
  const number = numberOf(error);
  const byMessage = meaningOf(message, [
    [
      /primary vindex/i,
      refused("rejected", "the keyspace is sharded by token; use @x/sessions/stores/planetscale-sharded"),
    ],
    [
      /direct DDL is disabled/i,
      refused("rejected", "the branch takes no DDL; run schema() on a development branch and deploy it"),
    ],
  ]);
  // The driver gives the status 400 to an error that came with a 200. Only then the kind is worth a look.
  if (!byMessage && number === "" && (name === "UnknownError" || status !== 400)) {
    return classifyStatus(status);
  }
  const kind = /code = (\w+)/.exec(message)?.[1] ?? body?.code;
  // MySQL's number, or the name that Vitess has for the kind.
  return byMessage ?? meaningOf(`${number} ${kind}`, [
    [/^1146/, noTable(table)],
    [/^1054/, lacks(table, nameOfColumn(message))],
    [
      // A value was cut, or is out of range.
      /^126[45]/,
      refused(
        "schema",
        `a column of the table ${table} has another type than createTable() gives it; ${USE_OTHER}`,
      ),
    ],
    [
      /^1292/,
      refused("schema", `a TIMESTAMP ends in January 2038; run ALTER TABLE \`${table}\` ${TO_DATETIME}`),
    ],
    // NOT NULL, a foreign key, a CHECK in MySQL and in MariaDB.
    [/^(1048|1364|145[12]|3819|4025)/, refusesRow(table)],
    [TOO_LONG, refused("rejected", "a value is too long for its column")],
    [/^(104[45]|114[23]|1290|1792)|unauthenticated|permission/i, refused("unauthorized")],
    [/^(1040|1203|1205|1213|3572)|resource/i, BUSY],
    // From 2000 on: errors of a client. Here that is Vitess, and they are about its connection to MySQL.
    // 1317 and 3024: Vitess has given up a statement, which may have been done by then.
    [/^(1053|1317|1927|3024|20\d\d)|unavailable|deadline_?exceeded/i, unsure("unreachable")],
    [/^ .*(invalid|unimplemented|precondition|found|exists)/i, refused("rejected")],
    [/^\d/, refused("rejected", `MySQL error ${number}`)],
    [/^/, unsure("unreachable")],
  ]);
}

/** The column that an error is about. Only names that the store's own statements have are shown. */
function nameOfColumn(message: string): string {
  return /'(?:[^']{0,64}\.)?`?(token|data|expiry|subject)/i.exec(message)?.[1] ?? "of that name";
}

/** The table lacks a column. */
export function lacks(table: string, column: string): StoreErrorDetails {
  const change = `ADD COLUMN subject VARBINARY(255), ADD INDEX ${indexName(table, "subject")} (subject)`;
  return noColumn(table, column, `ALTER TABLE \`${table}\` ${change}`);
}

/** A column of the table is not what the store needs. `change` is how to alter the table. */
export function misfits(table: string, column: string, problem: string, change: string): StoreErrorDetails {
  return wrongColumn(table, column, problem, `ALTER TABLE \`${table}\` ${change}`);
}

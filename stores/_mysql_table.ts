import { SessionStoreError, SessionTooLargeError, type StoreOperation } from "../core/errors.ts";
import { hasMethods } from "../core/foreign.ts";
import { OptionsReader } from "../core/options/reader.ts";
import { asAmbiguous, toSessionError } from "../core/store/failure.ts";
import type { NextRow, StoredRow, StoreOptions } from "../core/store.ts";
import { waitFor } from "../core/wait.ts";
import {
  classifyMySQLError,
  indexName,
  isDuplicate,
  isTooLong,
  lacks,
  misfits,
  TO_DATETIME,
  TO_TOKENS,
} from "./_mysql_errors.ts";
import { readSqlOptions, type SqlSettings, type SqlStoreOptions } from "./_sql.ts";
import { BUSY, ifNoSubjects, refused, unsure } from "./_sql_errors.ts";

/** What goes into a statement. The driver changes values of other types on their way. */
export type PlanetScaleValue = string | Uint8Array;

/** How the store wants rows: as the server sent them, whatever `cast` the client was given. */
export interface PlanetScaleExecuteOptions {
  /** Columns by position. */
  as: "array";
  /** Each value as a text with one character for each byte. */
  cast: (field: { type: string }, value: string | null) => string | null;
}

/** What a statement gave. */
export interface PlanetScaleResult {
  /** Its rows. */
  readonly rows: readonly (readonly (string | null)[])[];
  /** The columns. A `SELECT` that gives none was not answered. */
  readonly fields: readonly {
    readonly type: string;
    readonly columnLength?: number | null;
    readonly charset?: number | null;
  }[];
  /** Rows written. */
  readonly rowsAffected: number;
  /** How long the server took, in milliseconds. Absent or 0: the answer does not say, and may have been empty. */
  readonly time?: number;
}

/**
 * What the store calls of `@planetscale/database`. Pass a `Client`, which gives each statement a connection of its own.
 * A `Connection` fits as well, as long as no transaction is open on it.
 */
export interface PlanetScaleClient {
  /** Runs one statement, with `?` for the parameters. */
  execute(
    query: string,
    args: PlanetScaleValue[],
    options: PlanetScaleExecuteOptions,
  ): Promise<PlanetScaleResult>;
}

/** A part of a statement and the values of its `?`. */
export interface Statement {
  sql: string;
  args: PlanetScaleValue[];
}

/**
 * Finds a row by its token, which is given twice. The collation of SCS's table ignores case and trailing blanks. The
 * first comparison finds the row by the index, and the second one makes sure that it is the right one.
 */
export const TOKEN_IS = "token = ? AND CAST(token AS BINARY) = CAST(? AS BINARY)";

/**
 * Finds the rows of a subject, whose bytes are given twice. In a column of text, which an application may have made, the
 * collation takes "Zoë" for "zoe".
 */
export const SUBJECT_IS = "subject = ? AND CAST(subject AS BINARY) = ?";

/** What MySQL has for a character set where a column holds bytes. */
const BINARY_CHARSET = 63;
/** How many characters a token has. */
const TOKEN_LENGTH = 43;

/** What comes of a statement that the server has refused because another row has the token. */
const DUPLICATE: PlanetScaleResult = { rows: [], fields: [], rowsAffected: -1 };

const RAW: PlanetScaleExecuteOptions = { as: "array", cast: (_field, value) => value };

/** A table of sessions in MySQL: what is sent to it, and what its answers mean. */
export class MySQLTable {
  /** The options of the store, checked. */
  readonly settings: SqlSettings;
  /** The table's name as a statement has it. */
  readonly name: string;
  readonly #client: PlanetScaleClient;
  #indexChecked = false;
  /** Whether times are known to be UTC: the session's time zone is UTC, or the column does not follow it. */
  #isUtc = false;

  /** @throws {SessionConfigError} The client or an option is wrong. */
  constructor(client: PlanetScaleClient, options: SqlStoreOptions) {
    const reader = new OptionsReader(options);
    // Clients of mysql2, Drizzle and libSQL have an execute() too, and one of these beside it.
    if (
      !hasMethods<PlanetScaleClient>(client, "execute") || "query" in client || "executeMultiple" in client
    ) {
      reader.problems.push(`"client" must be a Client or a Connection of @planetscale/database`);
    }
    this.settings = readSqlOptions(reader);
    reader.finish();
    this.name = `\`${this.settings.table}\``;
    this.#client = client;
  }

  /** The name of the index on a column, as a statement has it. */
  index(column: string): string {
    return indexName(this.settings.table, column);
  }

  /** A condition that holds only in UTC, until the time zone is known. {@linkcode select} finds it out. */
  get zoneGuard(): string {
    return this.#isUtc ? "" : ` AND ${IS_UTC}`;
  }

  /** Inserts a row; `false` where the token exists. */
  async insert(operation: StoreOperation, row: NextRow): Promise<boolean> {
    const { sql, args } = assignments(row);
    // Not INSERT IGNORE, which cuts a value that is too long for its column.
    const written = await this.write(operation, `INSERT INTO ${this.name} SET ${sql}`, args);
    if (written === 0) throw noAnswer(operation, true);
    return written > 0;
  }

  /**
   * Finds rows by a condition.
   *
   * @param data The expression whose value the rows get as their data.
   */
  async select(
    operation: StoreOperation,
    condition: string,
    args: PlanetScaleValue[],
    signal?: AbortSignal,
    data = "data",
  ): Promise<StoredRow[]> {
    const isUtc = this.#isUtc ? "1" : IS_UTC;
    const sql = `SELECT token, ${data}, expiry, ${isUtc} FROM ${this.name} WHERE ${condition}`;
    const { rows, fields } = await this.read(operation, sql, args, signal);
    const { type, columnLength, charset } = fields[0]!;
    // MySQL fills such a column up with zeros, so a shorter token is not found again. A CHAR that compares bytes comes
    // as BINARY too, but with another character set.
    if (type === "BINARY" && charset === BINARY_CHARSET && columnLength !== TOKEN_LENGTH) {
      const problem = `is BINARY(${columnLength})`;
      throw new SessionStoreError(operation, misfits(this.settings.table, "token", problem, TO_TOKENS));
    }
    if (fields[2]?.type === "TIMESTAMP" && !this.#isUtc) {
      // Without a row the answer does not show the zone. In a wrong one a live session looks expired.
      const [row] = rows.length > 0 ? rows : (await this.read(operation, `SELECT 0, 0, 0, ${IS_UTC}`)).rows;
      if (row?.[3] !== "1") {
        const advice = "the session's time_zone is not UTC; " +
          `set it to '+00:00', or run ALTER TABLE ${this.name} ${TO_DATETIME} in UTC`;
        throw new SessionStoreError(operation, refused("schema", advice));
      }
    }
    this.#isUtc = true;
    return rows.map(([token, data, expiry]) => (
      { token: token!, data: fromBinary(data!), expiry: fromDateTime(expiry!) }
    ));
  }

  /** Gives the expiry of a row, and its subject where the table has a column for that. */
  async ownerOf(
    operation: StoreOperation,
    token: string,
  ): Promise<{ expiry: number; subject: string | undefined } | undefined> {
    const read = (subject: string) => this.select(operation, TOKEN_IS, [token, token], undefined, subject);
    const [row] = await read("COALESCE(subject, '')").catch(ifNoSubjects) ?? await read("''");
    return row && { expiry: row.expiry, subject: new TextDecoder().decode(row.data) || undefined };
  }

  /** Sends a statement whose answer has columns. */
  async read(
    operation: StoreOperation,
    sql: string,
    args: PlanetScaleValue[] = [],
    signal?: AbortSignal,
  ): Promise<PlanetScaleResult> {
    const result = await this.#send(operation, false, sql, args, signal);
    // The driver makes an empty result of an empty answer, and that has no columns.
    if (result.fields.length === 0) throw noAnswer(operation, false);
    return result;
  }

  /**
   * Sends a statement that writes. Gives the number of rows, or -1 where another row has the token. If it writes data, they
   * are the first value.
   */
  async write(operation: StoreOperation, sql: string, args: PlanetScaleValue[]): Promise<number> {
    return (await this.#send(operation, true, sql, args)).rowsAffected;
  }

  /** Sends a statement. Its errors hold neither SQL nor values. */
  async #send(
    operation: StoreOperation,
    writes: boolean,
    sql: string,
    args: PlanetScaleValue[],
    signal?: AbortSignal,
  ): Promise<PlanetScaleResult> {
    // Not among the driver's types. A `Client` has none, and neither has what `transaction()` gives.
    const { session } = this.#client as { session?: { vitessSession?: { inTransaction?: boolean } } | null };
    if (session?.vitessSession?.inTransaction) {
      const advice = "a transaction is open on the Connection; give the store a Client";
      throw new SessionStoreError(operation, { ...BUSY, advice });
    }
    // The client may have a `format` of its own. That of sqlstring takes no bytes but a Buffer, and every one takes text.
    const texts = args.map((arg) => typeof arg === "string" ? arg : toBase64(arg));
    let place = 0;
    const query = sql.replaceAll("?", () => typeof args[place++] === "string" ? "?" : "FROM_BASE64(?)");
    try {
      return await waitFor(this.#client.execute(query, texts, RAW), this.settings.timeout, signal);
    } catch (error) {
      if (isDuplicate(error)) return DUPLICATE;
      const size = args[0]?.length ?? 0;
      if (size > BLOB_BYTES && isTooLong(error)) throw new SessionTooLargeError(size, BLOB_BYTES);
      throw toSessionError(
        operation,
        error,
        writes,
        (thrown) => classifyMySQLError(thrown, this.settings.table),
      );
    }
  }

  /** Deletes the rows of a condition, and tells how many. `order` is an `ORDER BY` with a `LIMIT`. */
  async delete(
    operation: StoreOperation,
    condition: string,
    args: PlanetScaleValue[],
    order = "",
  ): Promise<number> {
    const sql = `DELETE FROM ${this.name} WHERE ${condition}${order}`;
    const { rowsAffected, time } = await this.#send(operation, true, sql, args);
    // The driver makes a result without rows of an empty answer, but without the time that it took. A logout is not
    // done until the table has been looked at.
    if (rowsAffected < 1 && !time && await this.hasAny(operation, condition, args)) {
      throw noAnswer(operation, true);
    }
    return rowsAffected;
  }

  /** Looks, after a write, whether there are such rows. If this fails the write stays in doubt. */
  async hasAny(operation: StoreOperation, condition: string, args: PlanetScaleValue[]): Promise<boolean> {
    try {
      return (await this.select(operation, `${condition} LIMIT 1`, args, undefined, "''")).length > 0;
    } catch (error) {
      throw error instanceof SessionStoreError && error.reason === "schema" ? error : asAmbiguous(error);
    }
  }

  /** Throws where the table is another program's, or does not keep tokens and times as they are. */
  async check(): Promise<void> {
    const { table } = this.settings;
    const { rows } = await this.read("createTable", `SHOW COLUMNS FROM ${this.name}`);
    for (const [column, fits, change] of COLUMNS) {
      // Name, type, whether it may be NULL, and the kind of index that it begins.
      const [, type, , key] = rows.find(([name]) => name!.toLowerCase() === column) ?? [];
      const problem = type === undefined
        ? lacks(table, column)
        : !fits.test(type!)
        ? misfits(table, column, `is ${type}`, change)
        : column === "token" && !/PRI|UNI/.test(key!)
        ? misfits(table, column, "is not unique", "ADD PRIMARY KEY (token)")
        : undefined;
      if (problem) throw new SessionStoreError("createTable", problem);
    }
  }

  /** Reports once that the table lacks the index that a purge needs. */
  async reportMissingIndex({ onEvent }: StoreOptions): Promise<void> {
    if (onEvent === undefined || this.#indexChecked) return;
    this.#indexChecked = true;
    const sql = `SHOW COLUMNS FROM ${this.name} LIKE 'expiry'`;
    // A host that does not show its columns is no reason to warn.
    const found = await this.read("deleteExpired", sql).catch(() => undefined);
    // The kind of index that the column begins.
    if (found?.rows[0]?.[3] !== "") return;
    onEvent({
      kind: "missing-index",
      statement: `CREATE INDEX ${this.index("expiry")} ON ${this.name} (expiry)`,
    });
  }
}

/** The columns, the types that fit, and how to change another one. */
const COLUMNS: [column: string, fits: RegExp, change: string][] = [
  // What holds 43 characters and no padding: VARCHAR and CHAR of 43 or more, VARBINARY, BINARY of exactly 43.
  ["token", /^(char|var(char|binary))\((4[3-9]|[5-9]\d|\d{3,})\)|^binary\(43\)/i, TO_TOKENS],
  ["data", /^/, ""],
  ["expiry", /^(datetime|timestamp)/i, TO_DATETIME],
];

/**
 * What follows `SET` where a row is written.
 *
 * The column `expiry` is always named, and comes last. Where it keeps its value MySQL does not write it, but a TIMESTAMP
 * that is not named may become the present time.
 *
 * Outside strict mode MySQL cuts a value that is too long for its column. The expression for `expiry` sees what was
 * stored in the others: if a length is wrong it gives a number that is out of range in every mode, and the statement
 * fails.
 */
export function assignments({ token, data, subject, expiry }: NextRow): Statement {
  let sql = "data = ?";
  const args: PlanetScaleValue[] = [data];
  let [stored, length] = ["LENGTH(data)", data.length];
  if (token !== undefined) {
    sql += ", token = ?";
    args.push(token);
  }
  if (subject === null) sql += ", subject = NULL";
  else if (subject !== undefined) {
    const bytes = toBytes(subject);
    sql += ", subject = ?";
    args.push(bytes);
    stored += " + LENGTH(subject)";
    length += bytes.length;
  }
  const value = expiry === undefined ? "expiry" : "?";
  sql += `, expiry = IF(${stored} = ?, ${value}, EXP(999 + LENGTH(data)))`;
  args.push(`${length}`);
  if (expiry !== undefined) args.push(toDateTime(expiry));
  return { sql, args };
}

/** The condition for a row by its token, and by its data where these are given. */
export function rowWith(token: string, data: Uint8Array | undefined): Statement {
  const args: PlanetScaleValue[] = [token, token];
  if (data === undefined) return { sql: TOKEN_IS, args };
  return { sql: `${TOKEN_IS} AND data = ?`, args: [...args, data] };
}

/** Whether the session's time zone is UTC, in winter and in summer: some zones equal UTC for half of the year. */
const IS_UTC = "UNIX_TIMESTAMP('2026-01-01') + UNIX_TIMESTAMP('2026-07-01') = 3550089600";

/** What SCS's `BLOB` column holds. */
const BLOB_BYTES = 65_535;

/** The last moment of a `DATETIME`, and the first of a `TIMESTAMP`. A time outside becomes the nearest of the two. */
const LAST = 253_402_300_799_999;
const FIRST = 1_000;

/** A moment as MySQL reads it. */
export function toDateTime(ms: number): string {
  const time = new Date(Math.min(LAST, Math.max(FIRST, ms)));
  return time.toISOString().slice(0, 23).replace("T", " ");
}

function fromDateTime(text: string): number {
  return Date.parse(`${text.slice(0, 23).replace(" ", "T")}Z`);
}

/** Whether a row may have the token. MySQL refuses to compare a column of ASCII with any other text (error 1267). */
export function isAscii(token: string): boolean {
  return /^\p{ASCII}*$/u.test(token);
}

/** A subject as the bytes that a binary column compares. A lone surrogate becomes a byte that no text has. */
export function toBytes(subject: string): Uint8Array {
  return subject.isWellFormed() ? new TextEncoder().encode(subject) : Uint8Array.of(255);
}

/** Bytes as `FROM_BASE64()` takes them. */
function toBase64(bytes: Uint8Array): string {
  return btoa(Array.from(bytes, (byte) => String.fromCharCode(byte)).join(""));
}

/** The bytes of a value that has one character for each byte. */
function fromBinary(text: string): Uint8Array {
  return Uint8Array.from(text, (char) => char.charCodeAt(0));
}

/** The error of an answer that is empty. */
export function noAnswer(operation: StoreOperation, ambiguous: boolean): SessionStoreError {
  return new SessionStoreError(operation, { ...unsure("malformed"), ambiguous });
}

import {
  SessionStoreError,
  SessionTooLargeError,
  type StoreErrorDetails,
  type StoreOperation,
} from "../core/errors.ts";
import { OptionsReader } from "../core/options/reader.ts";
import { inDoubt } from "../core/store/failure.ts";
import type { NextRow, StoredRow, StoreOptions } from "../core/store.ts";
import {
  classifyMySQLError,
  indexName,
  isDuplicate,
  isTooLong,
  lacks,
  misfits,
  repeats,
  TO_DATETIME,
} from "./_mysql_errors.ts";
import { readSqlOptions, type SqlSettings, type SqlStoreOptions, StatementRunner } from "./_sql.ts";

/** What goes into a statement. Of all types only these two are sure to arrive as they are. */
export type PlanetScaleValue = string | Uint8Array;

/** How the store wants rows: as the server sent them, whatever `cast` the client was given. */
export interface PlanetScaleExecuteOptions {
  /** Columns by position. */
  as: "array";
  /** Each value as text of one character a byte. */
  cast: (field: { type: string }, value: string | null) => string | null;
}

/** What a statement gave. */
export interface PlanetScaleResult {
  /** Its rows. */
  readonly rows: readonly (readonly (string | null)[])[];
  /** The columns. None at all means that the answer was none. */
  readonly fields: readonly {
    readonly type: string;
    readonly columnLength?: number | null;
    readonly charset?: number | null;
  }[];
  /** Rows written. */
  readonly rowsAffected: number;
  /** How long the server took, in milliseconds. Absent or 0: the answer did not say, and may have been none. */
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
 * Collations compare tokens without regard to case or trailing blanks, as that of SCS's table does. The first
 * comparison finds the row by the index, the second one makes sure that it is the right one.
 */
export const TOKEN_IS = "token = ? AND CAST(token AS BINARY) = CAST(? AS BINARY)";
/** Deletions that a user's renewals may outrun, each missing one, before `deleteBySubject` says so. */
export const MOST_PASSES = 20;

/** What MySQL calls no character set. */
const BINARY_CHARSET = 63;
/** How many characters a token has. */
const TOKEN_LENGTH = 43;

const RAW: PlanetScaleExecuteOptions = { as: "array", cast: (_field, value) => value };

/** A table of sessions in MySQL: what is sent to it, and what its answers mean. */
export class MySQLTable {
  /** The options of the store, checked. */
  readonly settings: SqlSettings;
  /** The table's name as a statement has it. */
  readonly name: string;
  readonly #client: PlanetScaleClient;
  readonly #runner: StatementRunner;
  #indexChecked = false;
  /** Whether the zone of the session was seen to be UTC, or the column not to follow it. */
  #zoneChecked = false;

  /** @throws {SessionConfigError} The client or an option is wrong. */
  constructor(client: PlanetScaleClient, options: SqlStoreOptions) {
    const reader = new OptionsReader(options);
    if (typeof client?.execute !== "function") {
      reader.problems.push(`"client" must be a Client or a Connection of @planetscale/database`);
    }
    this.settings = readSqlOptions(reader);
    reader.finish();
    const { table, timeout } = this.settings;
    this.name = `\`${table}\``;
    this.#client = client;
    this.#runner = new StatementRunner(timeout, (error) => classifyMySQLError(error, table));
  }

  /** The name of the index on a column, as a statement has it. */
  index(column: string): string {
    return `\`${indexName(this.settings.table, column)}\``;
  }

  /** As long as the zone is not known, a condition that holds in no other than UTC; {@linkcode select} looks at it. */
  get zoneGuard(): string {
    return this.#zoneChecked ? "" : ` AND ${IS_UTC}`;
  }

  /** Inserts a row; `false` where the token exists. */
  async insert(operation: StoreOperation, row: NextRow): Promise<boolean> {
    const { sql, args } = assignments(row);
    // Not INSERT IGNORE, which cuts what is too long for its column.
    const insert = `INSERT INTO ${this.name} SET ${sql}`;
    const written = await this.writeUnlessTaken(operation, insert, args, row.data);
    if (written === 0) throw noAnswer(operation, true);
    return written > 0;
  }

  /** Rows by a condition. `data` is what to select as their data. */
  async select(
    operation: StoreOperation,
    condition: string,
    args: PlanetScaleValue[],
    signal?: AbortSignal,
    data = "data",
  ): Promise<StoredRow[]> {
    const isUtc = this.#zoneChecked ? "1" : IS_UTC;
    const sql = `SELECT token, ${data}, expiry, ${isUtc} FROM ${this.name} WHERE ${condition}`;
    const { rows, fields } = await this.read(operation, sql, args, signal);
    const { type, columnLength, charset } = fields[0]!;
    // It fills up with zeros, so that what was written is not found again. A CHAR that compares bytes has another charset.
    if (type === "BINARY" && charset === BINARY_CHARSET && columnLength !== TOKEN_LENGTH) {
      throw new SessionStoreError(operation, misfits(this.settings.table, `BINARY(${columnLength})`));
    }
    if (fields[2]?.type === "TIMESTAMP" && !this.#zoneChecked) {
      // No row, and so nothing to see the zone by: a live session may have been taken for an expired one.
      const [row] = rows.length > 0 ? rows : (await this.read(operation, `SELECT 0, 0, 0, ${isUtc}`)).rows;
      if (row?.[3] !== "1") {
        throw new SessionStoreError(operation, {
          reason: "schema",
          retryable: false,
          advice: "the session's time_zone is not UTC; " +
            `set it to '+00:00', or run ALTER TABLE ${this.name} ${TO_DATETIME} in UTC`,
        });
      }
    }
    this.#zoneChecked = true;
    return rows.map(([token, data, expiry]) => (
      { token: token!, data: fromBinary(data!), expiry: fromDateTime(expiry!) }
    ));
  }

  /** Sends a statement that has rows for its answer. */
  async read(
    operation: StoreOperation,
    sql: string,
    args: PlanetScaleValue[] = [],
    signal?: AbortSignal,
  ): Promise<PlanetScaleResult> {
    const result = await this.#runner.read(operation, signal, () => this.#execute(operation, sql, args));
    // An answer without columns is no answer, though the driver gives it as an empty one.
    if (result.fields.length === 0) throw noAnswer(operation, false);
    return result;
  }

  /** Sends a statement that writes, of data perhaps that may be too large. */
  async write(
    operation: StoreOperation,
    sql: string,
    args: PlanetScaleValue[],
    data: Uint8Array = new Uint8Array(),
  ): Promise<PlanetScaleResult> {
    try {
      return await this.#runner.write(operation, () => this.#execute(operation, sql, args));
    } catch (error) {
      if (data.length > BLOB_BYTES && isTooLong(error)) {
        throw new SessionTooLargeError(data.length, BLOB_BYTES);
      }
      throw error;
    }
  }

  /** Sends a statement, unless the application has a transaction open on the same `Connection`: it would be part of it. */
  async #execute(
    operation: StoreOperation,
    sql: string,
    args: PlanetScaleValue[],
  ): Promise<PlanetScaleResult> {
    // Not among the driver's types. Of a `Client` and of what `transaction()` gives there is none.
    const { session } = this.#client as { session?: { vitessSession?: { inTransaction?: boolean } } | null };
    if (!session?.vitessSession?.inTransaction) return await this.#client.execute(sql, args, RAW);
    throw new SessionStoreError(operation, {
      reason: "busy",
      retryable: true,
      advice: "a transaction is open on the Connection; give the store a Client",
    });
  }

  /** As {@linkcode write}; gives the number of rows, or -1 where another row has the token. */
  async writeUnlessTaken(...args: Parameters<MySQLTable["write"]>): Promise<number> {
    try {
      return (await this.write(...args)).rowsAffected;
    } catch (error) {
      if (isDuplicate(error)) return -1;
      throw error;
    }
  }

  /** Deletes rows by a condition, some of them by an `ORDER BY` and a `LIMIT`, and tells how many. */
  async delete(
    operation: StoreOperation,
    condition: string,
    args: PlanetScaleValue[],
    order = "",
  ): Promise<number> {
    const sql = `DELETE FROM ${this.name} WHERE ${condition}${order}`;
    const { rowsAffected, time = 0 } = await this.write(operation, sql, args);
    // A logout is never taken for done on the word of an answer that may have been none: the driver gives an empty
    // body as one of no rows, but it does not say how long that took.
    if (rowsAffected === 0 && time === 0 && await this.hasAny(operation, condition, args)) {
      throw noAnswer(operation, true);
    }
    return rowsAffected;
  }

  /** Looks, after a write, whether there are such rows. What fails here leaves the write in doubt. */
  async hasAny(operation: StoreOperation, condition: string, args: PlanetScaleValue[]): Promise<boolean> {
    try {
      return (await this.select(operation, `${condition} LIMIT 1`, args, undefined, "''")).length > 0;
    } catch (error) {
      throw error instanceof SessionStoreError && error.reason === "schema" ? error : inDoubt(error);
    }
  }

  /** Throws where the table is another program's, or holds no token as it is. A table of SCS's is right. */
  async check(): Promise<void> {
    const { table } = this.settings;
    const fail = (details: StoreErrorDetails) => {
      throw new SessionStoreError("createTable", details);
    };
    const { rows } = await this.read("createTable", `SHOW COLUMNS FROM ${this.name}`);
    // Name, type, whether it may be NULL, and which kind of index it begins.
    const columns = new Map(rows.map(([name, type, , key]) => [name!.toLowerCase(), { type, key }]));
    for (const name of ["token", "data", "expiry"]) if (!columns.has(name)) fail(lacks(table, name));
    const { type, key } = columns.get("token")!;
    const [, isVariable, kind, length] = /^(var)?(char|binary)\((\d+)\)/i.exec(String(type)) ?? [];
    const size = Number(length);
    const fits = kind === "binary" && !isVariable ? size === TOKEN_LENGTH : size >= TOKEN_LENGTH;
    if (!fits) fail(misfits(table, String(type).toUpperCase()));
    const time = String(columns.get("expiry")!.type).toUpperCase();
    if (!/^(DATETIME|TIMESTAMP)/.test(time)) fail(misfits(table, time, "expiry"));
    if (key !== "PRI" && key !== "UNI") fail(repeats(table));
  }

  /** Tells once of an index that a purge needs and the table lacks. */
  async reportMissingIndex({ onEvent }: StoreOptions): Promise<void> {
    if (onEvent === undefined || this.#indexChecked) return;
    this.#indexChecked = true;
    const sql = `SHOW INDEX FROM ${this.name} WHERE Column_name = 'expiry' AND Seq_in_index = 1`;
    // Where that cannot be told, as on a host that does not show indexes, there is no ground for a warning.
    const isMissing = await this.read("deleteExpired", sql).then(
      ({ rows }) => rows.length === 0,
      () => false,
    );
    if (!isMissing) return;
    onEvent({
      kind: "missing-index",
      statement: `CREATE INDEX ${this.index("expiry")} ON ${this.name} (expiry)`,
    });
  }
}

/**
 * What follows `SET` where a row is written. The column `expiry` comes last and in every statement, if only with the
 * value that it has: MySQL does not write such a one, but a TIMESTAMP that is not named may become the present time.
 *
 * Outside strict mode MySQL cuts what is too long for its column. There the value of `expiry`, which can see what
 * became of the others, fails the statement by a number that is out of range in every mode.
 */
export function assignments({ token, data, subject, expiry }: NextRow): Statement {
  const owner = typeof subject === "string" ? toBytes(subject) : subject;
  const columns: string[] = [];
  const args: PlanetScaleValue[] = [];
  let [length, size] = ["0", 0];
  for (const [column, value] of Object.entries({ token, data, subject: owner })) {
    if (value === undefined) continue;
    columns.push(`${column} = ${value === null ? value : "?"}`);
    if (value !== null) args.push(value);
    if (!(value instanceof Uint8Array)) continue;
    length += ` + LENGTH(${column})`;
    size += value.length;
  }
  const value = expiry === undefined ? "expiry" : "?";
  columns.push(`expiry = IF(${length} = ?, ${value}, EXP(999 + LENGTH(data)))`);
  args.push(`${size}`);
  if (expiry !== undefined) args.push(toDateTime(expiry));
  return { sql: columns.join(), args };
}

/** The condition for a row by its token, and by its data where these are given. */
export function rowWith(token: string, data: Uint8Array | undefined): Statement {
  const args: PlanetScaleValue[] = [token, token];
  if (data === undefined) return { sql: TOKEN_IS, args };
  return { sql: `${TOKEN_IS} AND data = ?`, args: [...args, data] };
}

/** Whether the session's zone is UTC, in winter and in summer: some zones are for half of the year. */
const IS_UTC = "UNIX_TIMESTAMP('2026-01-01') + UNIX_TIMESTAMP('2026-07-01') = 3550089600";

/** What SCS's `BLOB` column holds. */
const BLOB_BYTES = 65_535;

/** The last moment of a `DATETIME`, and the first of a `TIMESTAMP`: what lies beyond is never or long ago. */
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

/** Whether a row may have the token: MySQL refuses to compare its column with any other (error 1267). */
export function isAscii(token: string): boolean {
  return /^\p{ASCII}*$/u.test(token);
}

/** A subject as the bytes that a binary column compares. Half a surrogate pair becomes a byte that no text has. */
export function toBytes(subject: string): Uint8Array {
  return subject.isWellFormed() ? new TextEncoder().encode(subject) : Uint8Array.of(255);
}

/** The bytes of a value, which has one character for each. */
export function fromBinary(text: string): Uint8Array {
  return Uint8Array.from(text, (char) => char.charCodeAt(0));
}

/** The error of a reply that says nothing. */
export function noAnswer(operation: StoreOperation, ambiguous: boolean): SessionStoreError {
  return new SessionStoreError(operation, { reason: "malformed", retryable: true, ambiguous });
}

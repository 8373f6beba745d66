/**
 * Sessions in MySQL over PlanetScale's HTTP driver, where there is no TCP. The table is that of SCS's
 * `mysqlstore`, or the stricter one that {@linkcode PlanetScaleStore.schema} gives.
 *
 * ```ts
 * import { assertEquals } from "@std/assert";
 * import { Client } from "@planetscale/database";
 * import { sessions } from "@x/sessions";
 * import { fetchWithTimeout, PlanetScaleStore } from "@x/sessions/stores/planetscale";
 *
 * const client = new Client({ url: "mysql://user:password@host/", fetch: fetchWithTimeout(2_000) });
 * const manager = sessions({ store: new PlanetScaleStore(client) });
 * assertEquals((await manager.load()).status, "unmodified"); // nothing was asked of the database
 * ```
 *
 * @module
 */

import { Cleanup } from "../core/store/cleanup.ts";
import { SessionStoreError, SessionTooLargeError, type StoreOperation } from "../core/errors.ts";
import { inDoubt } from "../core/store/failure.ts";
import type {
  AtomicStore,
  DeleteExpiredOptions,
  FindOptions,
  IterableStore,
  NextRow,
  PurgingStore,
  StoredRow,
  StoredSession,
  StoreOptions,
  SubjectStore,
  TimedOptions,
  WriteOptions,
} from "../core/store.ts";
import { OptionsReader } from "../core/options/reader.ts";
import { classifyMySQLError, indexName, isDuplicate, isTooLong } from "./_mysql_errors.ts";
import { MOVED_MARK, type RenewalStatements, ShardedRenewal } from "./_sharded_renewal.ts";
import { batchSize, PAGE_SIZE, readSqlOptions, type SqlStoreOptions, StatementRunner } from "./_sql.ts";

export { fetchWithTimeout } from "./_fetch_with_timeout.ts";
export type { SqlStoreOptions } from "./_sql.ts";

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
  readonly fields: readonly { readonly type: string }[];
  /** Rows written. */
  readonly rowsAffected: number;
  /** How long the server took, in milliseconds. Absent or 0: the answer did not say, and may have been none. */
  readonly time?: number;
}

/** What the store calls of `@planetscale/database`: a `Client` or a `Connection` of it fits. */
export interface PlanetScaleClient {
  /** Runs one statement, with `?` for the parameters. */
  execute(
    query: string,
    args: PlanetScaleValue[],
    options: PlanetScaleExecuteOptions,
  ): Promise<PlanetScaleResult>;
}

/** Options of {@linkcode PlanetScaleStore}. */
export interface PlanetScaleStoreOptions extends SqlStoreOptions {
  /**
   * Whether the table is in a keyspace that is sharded by `token`. Vitess then forbids changing a token in
   * place, and a renewal takes four statements (five for a session without a subject), of which a single one is
   * the moment of the switch: whatever fails in between, exactly one of the two tokens works.
   *
   * @default {false}
   */
  sharded?: boolean | undefined;
}

/**
 * Collations compare tokens without regard to case or trailing blanks, as that of SCS's table does. The first
 * comparison finds the row by the index, the second one makes sure that it is the right one.
 */
const TOKEN_IS = "token = ? AND CAST(token AS BINARY) = CAST(? AS BINARY)";
/** The expiry as its digits stand there, and the moment that the server takes them for. */
const COLUMNS = "token, data, expiry, UNIX_TIMESTAMP(expiry)";
const RAW: PlanetScaleExecuteOptions = { as: "array", cast: (_field, value) => value };

/**
 * Keeps sessions in a MySQL table. Each call is one statement, and one HTTP request; a renewal in a sharded
 * keyspace is four, or five for a session without a subject.
 *
 * Times are UTC. On the `DATETIME(6)` column of {@linkcode PlanetScaleStore.schema} the server's time zone does not
 * matter. SCS's `TIMESTAMP(6)` follows it and ends in January 2038: there the session's `time_zone` must be UTC,
 * as it is on PlanetScale, and anything else is refused.
 */
export class PlanetScaleStore implements AtomicStore, IterableStore, PurgingStore, SubjectStore {
  /** How long a call waits for the database, in milliseconds. */
  readonly timeout: number;
  readonly #client: PlanetScaleClient;
  readonly #table: string;
  readonly #name: string;
  readonly #runner: StatementRunner;
  readonly #cleanup: Cleanup;
  readonly #renewal: ShardedRenewal | undefined;
  #indexChecked = false;
  /** Whether the zone of the session was seen to be UTC, or the column not to follow it. */
  #zoneChecked = false;

  /**
   * @param client A `Client` or a `Connection` of `@planetscale/database`, 1.20.2 or later: earlier ones can be
   * injected into under `NO_BACKSLASH_ESCAPES`.
   * @throws {SessionConfigError} An option is wrong.
   */
  constructor(client: PlanetScaleClient, options: PlanetScaleStoreOptions = {}) {
    const reader = new OptionsReader(options);
    if (typeof client?.execute !== "function") {
      reader.problems.push(`"client" must be a Client or a Connection of @planetscale/database`);
    }
    const settings = readSqlOptions(reader);
    const sharded = reader.flag("sharded", false);
    reader.finish();
    this.#client = client;
    this.#name = settings.table;
    this.#table = `\`${settings.table}\``;
    this.timeout = settings.timeout;
    this.#runner = new StatementRunner(settings.timeout, (error) => classifyMySQLError(error, this.#name));
    this.#cleanup = new Cleanup(settings.mode, settings.interval, (given) => this.deleteExpired(given));
    if (sharded) this.#renewal = new ShardedRenewal(this.#renewalStatements());
  }

  /** The statements that make the table and its indexes, for a migration. */
  schema(): string[] {
    return [
      `CREATE TABLE IF NOT EXISTS ${this.#table} (` +
      "token CHAR(43) CHARACTER SET ascii COLLATE ascii_bin PRIMARY KEY, data MEDIUMBLOB NOT NULL, " +
      "expiry DATETIME(6) NOT NULL, subject VARBINARY(255), " +
      `INDEX ${this.#index("expiry")} (expiry), INDEX ${this.#index("subject")} (subject))`,
    ];
  }

  /** Makes the table and its indexes where there is none. A table made by SCS serves as it is. */
  async createTable(): Promise<void> {
    for (const statement of this.schema()) await this.#write("createTable", statement, []);
  }

  /** Gives a live row. */
  async find(token: string, options: FindOptions): Promise<StoredSession | undefined> {
    if (!isAscii(token)) return undefined;
    const condition = `${TOKEN_IS} AND expiry > ?`;
    const args = [token, token, toDateTime(options.now)];
    const [row] = await this.#select("find", condition, args, options.signal);
    this.#cleanup.notice("read", options);
    return row && await this.#resolve(row, options.now);
  }

  /** Inserts or overwrites. */
  async commit(token: string, data: Uint8Array, expiry: number, options: WriteOptions): Promise<void> {
    const { sql, args } = this.#insert(token, data, expiry, options.subject);
    // Where a collation takes another token for this one, that one's row is left alone. Not VALUES(token), which
    // has lost its trailing blanks.
    const assignments = ["data", "expiry", ...(options.subject === undefined ? [] : ["subject"])]
      .map((column) =>
        `${column} = IF(CAST(token AS BINARY) = CAST(? AS BINARY), VALUES(${column}), ${column})`
      );
    args.push(...assignments.map(() => token));
    const upsert = `${sql} ON DUPLICATE KEY UPDATE ${assignments.join(", ")}`;
    const { rowsAffected } = await this.#write("commit", upsert, args, data);
    // MySQL reports 0 for an upsert that changes nothing, and a lost answer looks the same.
    if (rowsAffected === 0) {
      const found = await this.#lookFor("commit", `${TOKEN_IS} AND data = ?`, [token, token, data]);
      if (found === 0) throw noAnswer("commit", true);
    }
    this.#cleanup.notice("insert", options);
  }

  /** Inserts; `false` where the token exists. */
  async create(token: string, data: Uint8Array, expiry: number, options: WriteOptions): Promise<boolean> {
    const { sql, args } = this.#insert(token, data, expiry, options.subject);
    try {
      // Not INSERT IGNORE, which cuts what is too long for its column.
      const { rowsAffected } = await this.#write("create", sql, args, data);
      if (rowsAffected === 0) throw noAnswer("create", true);
    } catch (error) {
      if (isDuplicate(error)) return false;
      throw error;
    }
    this.#cleanup.notice("insert", options);
    return true;
  }

  /** Changes a live row that still holds the expected bytes. */
  async update(token: string, expected: Uint8Array, next: NextRow, options: TimedOptions): Promise<boolean> {
    if (!isAscii(token)) return false;
    const newToken = next.token === token ? undefined : next.token;
    if (this.#renewal !== undefined && newToken !== undefined) {
      const { expiry = 0 } = next;
      return await this.#renewal.renew(token, expected, { ...next, token: newToken, expiry }, options.now);
    }
    const assignments = ["data = ?"];
    const args: PlanetScaleValue[] = [next.data];
    if (newToken !== undefined) {
      assignments.push("token = ?");
      args.push(newToken);
    }
    if (next.expiry !== undefined) {
      assignments.push("expiry = ?");
      args.push(toDateTime(next.expiry));
    }
    if (next.subject === null) assignments.push("subject = NULL");
    if (typeof next.subject === "string") {
      assignments.push("subject = ?");
      args.push(toBytes(next.subject));
    }
    const sql = `UPDATE ${this.#table} SET ${assignments.join(", ")}` +
      ` WHERE ${TOKEN_IS} AND data = ? AND expiry > ?`;
    args.push(token, token, expected, toDateTime(options.now));
    let updated: boolean;
    try {
      updated = (await this.#write("update", sql, args, next.data)).rowsAffected > 0;
    } catch (error) {
      if (isDuplicate(error)) return false;
      throw error;
    }
    if (updated && newToken !== undefined && next.mark !== undefined) {
      const { sql, args } = this.#insert(token, next.mark.data, next.mark.expiry, undefined);
      // The renewal stands, whatever becomes of its mark.
      await this.#write("update", sql, args).catch(() => {});
    }
    return updated;
  }

  /** Moves the expiry of a live row forward. */
  async touch(token: string, expiry: number, options: TimedOptions): Promise<void> {
    if (!isAscii(token)) return;
    const sql = `UPDATE ${this.#table} SET expiry = ? WHERE ${TOKEN_IS} AND expiry > ? AND expiry < ?`;
    const until = toDateTime(expiry);
    await this.#write("touch", sql, [until, token, token, toDateTime(options.now), until]);
  }

  /** Deletes, and tells whether a row went. */
  async delete(token: string, _options?: StoreOptions): Promise<boolean> {
    if (!isAscii(token)) return false;
    if (this.#renewal === undefined) return await this.#delete("delete", TOKEN_IS, [token, token]) > 0;
    // What a renewal has left under its old token is no session, and the new token may still stand on it.
    const condition = `${TOKEN_IS} AND LEFT(data, ${MOVED_MARK.length}) <> ?`;
    return await this.#delete("delete", condition, [token, token, MOVED_MARK]) > 0;
  }

  /** Every live row, in the order of the tokens, page by page. */
  all(options: TimedOptions): AsyncIterable<StoredRow> {
    return this.#pages("all", "", [], options);
  }

  /** Deletes expired rows, the longest expired first; never more than 1,000 at once. */
  async deleteExpired(options: DeleteExpiredOptions): Promise<number> {
    const { now, grace = 0, onEvent } = options;
    const limit = batchSize(options);
    const until = toDateTime(now - grace);
    // In a wrong zone live sessions would be deleted: as long as it is not known, in any but UTC nothing is.
    const guard = this.#zoneChecked ? "" : ` AND ${IS_UTC}`;
    // One step for MySQL, which checks each row's expiry under the lock under which it deletes it.
    const sql = `DELETE FROM ${this.#table} WHERE expiry <= ?${guard} ORDER BY expiry LIMIT ${limit}`;
    const result = await this.#write("deleteExpired", sql, [until]);
    // Nothing deleted: no row has expired, or the zone is not UTC, or the answer was none.
    if (result.rowsAffected === 0 && limit > 0 && !(this.#zoneChecked && isAnswer(result))) {
      const left = await this.#lookFor("deleteExpired", "expiry <= ?", [until]);
      if (left > 0 && guard === "") throw noAnswer("deleteExpired", true);
      if (left > 0) {
        await this.#checkZone("deleteExpired");
        return await this.deleteExpired(options);
      }
    }
    if (onEvent !== undefined && !this.#indexChecked) {
      this.#indexChecked = true;
      if (await this.#lacksExpiryIndex()) onEvent({ kind: "missing-index", statement: this.#addIndex() });
    }
    return result.rowsAffected;
  }

  /** Every live row of the subject, page by page. */
  findBySubject(subject: string, options: TimedOptions): AsyncIterable<StoredRow> {
    return this.#pages("findBySubject", " AND subject = ?", [toBytes(subject)], options);
  }

  /** Deletes every row of the subject but one. */
  async deleteBySubject(subject: string, options: StoreOptions & { except?: string } = {}): Promise<number> {
    const except = options.except === undefined ? "" : " AND CAST(token AS BINARY) <> CAST(? AS BINARY)";
    const args = [toBytes(subject), ...(options.except === undefined ? [] : [options.except])];
    const once = () => this.#delete("deleteBySubject", `subject = ?${except}`, args);
    if (this.#renewal === undefined) return await once();
    // The statement visits the shards one by one or at once: a renewal may carry a session from one that it has not
    // reached yet to one that it has left.
    let deleted = 0;
    for (let last = await once(); last > 0; last = await once()) deleted += last;
    return deleted;
  }

  /** Ends the clean-up for good. May be called at any time and more than once. */
  stopCleanup(): void {
    this.#cleanup.stop();
  }

  /** As {@linkcode PlanetScaleStore.stopCleanup}, for `using`. */
  [Symbol.dispose](): void {
    this.stopCleanup();
  }

  #insert(
    token: string,
    data: Uint8Array,
    expiry: number,
    subject: string | undefined,
  ): { sql: string; args: PlanetScaleValue[] } {
    const [columns, values, extra] = subject === undefined
      ? ["token, data, expiry", "?, ?, ?", []]
      : ["token, data, expiry, subject", "?, ?, ?, ?", [toBytes(subject)]];
    const sql = `INSERT INTO ${this.#table} (${columns}) VALUES (${values})`;
    return { sql, args: [token, data, toDateTime(expiry), ...extra] };
  }

  async #select(
    operation: StoreOperation,
    condition: string,
    args: PlanetScaleValue[],
    signal: AbortSignal | undefined,
  ): Promise<StoredRow[]> {
    const sql = `SELECT ${COLUMNS} FROM ${this.#table} WHERE ${condition}`;
    const result = await this.#runner.read(operation, signal, () => this.#client.execute(sql, args, RAW));
    // An answer without columns is no answer, though the driver gives it as an empty one.
    if (result.fields.length === 0) throw noAnswer(operation, false);
    const isTimestamp = result.fields[2]?.type === "TIMESTAMP";
    if (!isTimestamp) this.#zoneChecked = true;
    // No row, and so nothing to see the zone by: a live session may have been taken for an expired one.
    else if (result.rows.length === 0) await this.#checkZone(operation);
    return result.rows.map(([token, data, expiry, instant]) => {
      const utc = fromDateTime(expiry!);
      if (isTimestamp && Math.floor(utc / 1000) !== Math.floor(Number(instant))) {
        throw this.#wrongZone(operation);
      }
      return { token: token!, data: fromBinary(data!), expiry: utc };
    });
  }

  async #write(
    operation: StoreOperation,
    sql: string,
    args: PlanetScaleValue[],
    data?: Uint8Array,
  ): Promise<PlanetScaleResult> {
    try {
      return await this.#runner.write(operation, () => this.#client.execute(sql, args, RAW));
    } catch (error) {
      if (data !== undefined && data.length > BLOB_BYTES && isTooLong(error)) {
        throw new SessionTooLargeError(data.length, BLOB_BYTES);
      }
      throw error;
    }
  }

  async #delete(operation: StoreOperation, condition: string, args: PlanetScaleValue[]): Promise<number> {
    const sql = `DELETE FROM ${this.#table} WHERE ${condition}`;
    const result = await this.#write(operation, sql, args);
    // A logout is never taken for done on the word of an answer that may have been none.
    if (result.rowsAffected === 0 && !isAnswer(result)) {
      if (await this.#lookFor(operation, condition, args) > 0) throw noAnswer(operation, true);
    }
    return result.rowsAffected;
  }

  /** Whether a write that reported no row has left any: how many, of which one is enough to know. */
  async #lookFor(operation: StoreOperation, condition: string, args: PlanetScaleValue[]): Promise<number> {
    try {
      return (await this.#select(operation, `${condition} LIMIT 1`, args, undefined)).length;
    } catch (error) {
      throw error instanceof SessionStoreError && error.reason === "schema" ? error : inDoubt(error);
    }
  }

  async *#pages(
    operation: StoreOperation,
    condition: string,
    args: PlanetScaleValue[],
    { now, signal }: TimedOptions,
  ): AsyncGenerator<StoredRow, void, undefined> {
    const where = `token > ? AND expiry > ?${condition} ORDER BY token LIMIT ${PAGE_SIZE}`;
    let after = "";
    while (true) {
      const rows = await this.#select(operation, where, [after, toDateTime(now), ...args], signal);
      for (const row of rows) {
        const found = await this.#resolve(row, now);
        if (found !== undefined) yield { ...row, ...found };
      }
      if (rows.length < PAGE_SIZE) return;
      after = rows.at(-1)!.token;
    }
  }

  /** What a row stands for, where renewals leave marks in rows. */
  async #resolve(row: StoredRow, now: number): Promise<StoredSession | undefined> {
    const data = this.#renewal === undefined ? row.data : await this.#renewal.resolve(row, now);
    return data && { data, expiry: row.expiry };
  }

  /** The statements of a renewal in a sharded keyspace. */
  #renewalStatements(): RenewalStatements {
    const live = `${TOKEN_IS} AND data = ? AND expiry > ?`;
    return {
      find: async (token, now) => {
        const args = [token, token, toDateTime(now)];
        return (await this.#select("update", `${TOKEN_IS} AND expiry > ?`, args, undefined))[0]?.data;
      },
      subjectOf: async (token) => await this.#subjectOf(token),
      insert: async ({ token, data, expiry, subject }) => {
        const { sql, args } = this.#insert(token, data, expiry, subject ?? undefined);
        try {
          const { rowsAffected } = await this.#write("update", sql, args, data);
          // Were it not there, the switch would lose the session.
          if (rowsAffected === 0) throw noAnswer("update", true);
          return true;
        } catch (error) {
          if (isDuplicate(error)) return false;
          throw error;
        }
      },
      replace: async (token, expected, data, expiry, now) => {
        const sql = `UPDATE ${this.#table} SET data = ?, expiry = ? WHERE ${live}`;
        const args = [data, toDateTime(expiry), token, token, expected, toDateTime(now)];
        return (await this.#write("update", sql, args, data)).rowsAffected > 0;
      },
      remove: async (token, expected) => {
        const sql = `DELETE FROM ${this.#table} WHERE ${TOKEN_IS} AND data = ?`;
        await this.#write("update", sql, [token, token, expected]);
      },
    };
  }

  /** Whose session it is, where the table has a column for that. */
  async #subjectOf(token: string): Promise<string | undefined> {
    const sql = `SELECT subject FROM ${this.#table} WHERE ${TOKEN_IS}`;
    try {
      const { rows, fields } = await this.#runner.read(
        "update",
        undefined,
        () => this.#client.execute(sql, [token, token], RAW),
      );
      if (fields.length === 0) throw noAnswer("update", false);
      const subject = rows[0]?.[0] ?? undefined;
      return subject && new TextDecoder().decode(fromBinary(subject));
    } catch (error) {
      if (error instanceof SessionStoreError && error.reason === "schema") return undefined;
      throw error;
    }
  }

  /** Where that cannot be told, as on a host that does not show indexes, there is no ground for a warning. */
  async #lacksExpiryIndex(): Promise<boolean> {
    const sql = `SHOW INDEX FROM ${this.#table} WHERE Column_name = 'expiry' AND Seq_in_index = 1`;
    const shown = this.#runner.read("deleteExpired", undefined, () => this.#client.execute(sql, [], RAW));
    return await shown.then(({ fields, rows }) => fields.length > 0 && rows.length === 0, () => false);
  }

  #addIndex(): string {
    return `CREATE INDEX ${this.#index("expiry")} ON ${this.#table} (expiry)`;
  }

  #index(column: string): string {
    return `\`${indexName(this.#name, column)}\``;
  }

  /** Throws where the session's time zone is not UTC, once and for all. */
  async #checkZone(operation: StoreOperation): Promise<void> {
    if (this.#zoneChecked) return;
    const { rows, fields } = await this.#runner.read(
      operation,
      undefined,
      () => this.#client.execute(`SELECT ${IS_UTC}`, [], RAW),
    );
    if (fields.length === 0) throw noAnswer(operation, false);
    const isUtc = rows[0]?.[0] === "1";
    if (!isUtc) throw this.#wrongZone(operation);
    this.#zoneChecked = true;
  }

  #wrongZone(operation: StoreOperation): SessionStoreError {
    return new SessionStoreError(operation, {
      reason: "schema",
      retryable: false,
      advice: "the column expiry is a TIMESTAMP and the session's time_zone is not UTC; " +
        `set it to '+00:00', or run ALTER TABLE ${this.#table} MODIFY expiry DATETIME(6) NOT NULL in UTC`,
    });
  }
}

/** Whether the session's zone is UTC. Some zones are for half of the year. */
const IS_UTC = ["2026-01-01", "2026-07-01"]
  .map((day) => `UNIX_TIMESTAMP('${day}') = ${Date.parse(day) / 1_000}`).join(" AND ");

/** What SCS's `BLOB` column holds. */
const BLOB_BYTES = 65_535;

/** The last moment of a `DATETIME`, and the first of a `TIMESTAMP`: what lies beyond is never or long ago. */
const LAST = Date.UTC(9999, 11, 31, 23, 59, 59, 999);
const FIRST = 1_000;

function toDateTime(ms: number): string {
  const time = new Date(Math.min(LAST, Math.max(FIRST, ms)));
  return time.toISOString().replace("T", " ").replace("Z", "");
}

function fromDateTime(text: string): number {
  return Date.parse(`${text.slice(0, 23).replace(" ", "T")}Z`);
}

/** Whether a row may have the token: MySQL refuses to compare its column with any other (error 1267). */
function isAscii(token: string): boolean {
  return /^\p{ASCII}*$/u.test(token);
}

/** Text as the bytes that a binary column compares. */
function toBytes(text: string): Uint8Array {
  return new TextEncoder().encode(text);
}

function fromBinary(text: string): Uint8Array {
  return Uint8Array.from(text, (char) => char.charCodeAt(0));
}

/** An empty body passes for an answer of "no rows" with the driver, but does not say how long that took. */
function isAnswer({ time = 0 }: PlanetScaleResult): boolean {
  return time > 0;
}

function noAnswer(operation: StoreOperation, ambiguous: boolean): SessionStoreError {
  return new SessionStoreError(operation, { reason: "malformed", retryable: true, ambiguous });
}

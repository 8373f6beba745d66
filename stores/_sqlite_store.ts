import { SessionStoreError, type StoreErrorDetails, type StoreOperation } from "../core/errors.ts";
import type { OptionsReader } from "../core/options/reader.ts";
import type {
  AtomicStore,
  DeleteExpiredOptions,
  DeleteOptions,
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
import { Cleanup } from "../core/store/cleanup.ts";
import { GaveUp, waitFor } from "../core/wait.ts";
import { whenUnlocked } from "./_locks.ts";
import { batchSize, PAGE_SIZE, readSqlOptions, toStoreError } from "./_sql.ts";
import { classifySQLiteError } from "./_sqlite_errors.ts";

/** What goes into a statement. */
export type SQLiteValue = string | number | Uint8Array | null;

/** A statement with its parameters. */
export interface SQLiteStatement {
  /** The text, with a `?` for each of the parameters. */
  sql: string;
  /** The parameters. */
  args: SQLiteValue[];
}

/** What a statement gave. */
export interface SQLiteResult {
  /** Its rows, with the columns in the order of the statement, whatever they are called. */
  rows: readonly object[];
  /** How many rows it changed: believed only of a database in this process. */
  rowsAffected?: number | undefined;
}

/**
 * What a statement is for: to `"read"`, to `"write"`, or to be part of one `"transaction"`, on the primary where there
 * are replicas.
 */
export type SQLiteKind = "read" | "write" | "transaction";

/** How to reach a database that speaks SQLite. */
export interface SQLiteDriver {
  /**
   * Whether the database is in this process: calls cannot hang, a second look costs no request, a shorter statement
   * saves time, numbers arrive as they are, and the rows that were changed are counted right.
   */
  readonly isLocal: boolean;
  /** Sends statements: one, unless they are a transaction. */
  send(
    statements: SQLiteStatement[],
    kind: SQLiteKind,
  ): readonly SQLiteResult[] | Promise<readonly SQLiteResult[]>;
  /** What its own errors mean, where SQLite's do not say it. */
  classify?(error: unknown): StoreErrorDetails | undefined;
}

/** From the start of SQLite's Julian days to the start of 1970, in milliseconds. */
const JULIAN_OFFSET = 210_866_760_000_000;

const DAY = 86_400_000;
/** A column with text, which another program may have turned into a BLOB: the two are never equal. */
const IS_TEXT = "IN (?, CAST(? AS BLOB))";
/** The same for data, which may be text. */
const IS_EXPECTED = " AND CAST(data AS BLOB) = ?";

/** How long a purge waits for a lock, in milliseconds. Another writer goes first: the rows are left for the next purge. */
const PURGE_LOCK_WAIT = 10;
/** How many tokens that were found as BLOBs are remembered. */
const MOST_BLOBS = 1_000;

/** An index whose first column is the expiry, and that covers every row. */
const EXPIRY_INDEX = /\(\s*["`[]?expiry["`\]]?\s*(?:asc\b|desc\b)?\s*[,)](?!.*\bwhere\b)/is;

/** Sessions in a table of SQLite, through one of its drivers. Each call is one statement. */
export class SQLiteTableStore implements AtomicStore, IterableStore, PurgingStore, SubjectStore {
  /** How long a call waits for the database, in milliseconds. */
  readonly timeout: number;
  /** The client and the table. */
  readonly place: { readonly of: object; readonly name: string };
  readonly #driver: SQLiteDriver;
  readonly #name: string;
  readonly #cleanup: Cleanup;
  readonly #sql: ReturnType<typeof statements>;
  /** Tokens that were found as BLOBs: the next write makes text of them. */
  readonly #blobs = new Set<string>();
  #indexChecked = false;

  /**
   * @param client Where the tables are.
   * @param reader The options. The caller has read those of its own already.
   */
  constructor(client: object, driver: SQLiteDriver, reader: OptionsReader) {
    const { table, timeout, mode, interval } = readSqlOptions(reader);
    reader.finish();
    // SQLite does not tell "Sessions" from "sessions".
    this.place = { of: client, name: table.toLowerCase() };
    this.#driver = driver;
    this.#name = table;
    this.timeout = timeout;
    this.#sql = statements(table, driver.isLocal);
    this.#cleanup = new Cleanup(mode, interval, (given) => this.deleteExpired(given));
  }

  /** The statements that make the table and its indexes, for a migration. */
  schema(): string[] {
    const { createTable, expiryIndex, subjectIndex } = this.#sql;
    return [createTable, expiryIndex, subjectIndex];
  }

  /**
   * Makes the table and its indexes where they are missing. A table made by SCS serves as it is and needs no
   * call of this.
   */
  async createTable(): Promise<void> {
    const { createTable, expiryIndex, subjectIndex, check } = this.#sql;
    const ddl = [createTable, check, expiryIndex, subjectIndex].map((sql) => ({ sql, args: [] }));
    await this.#send("createTable", "transaction", ddl);
  }

  /** Gives a live row. */
  async find(token: string, options: FindOptions): Promise<StoredSession | undefined> {
    const { signal, primary } = options;
    const { isLocal } = this.#driver;
    const now = this.#day(options.now);
    const read = async (sql: string, args: SQLiteValue[]) =>
      // A transaction that may write goes to the primary; a lone SELECT may be answered by a replica that lags.
      (await this.#send("find", primary && !isLocal ? "transaction" : "read", [{ sql, args }], signal))[0]!
        .rows[0];
    const row = isLocal && await read(this.#sql.find, [token, now]) ||
      await read(this.#sql.findAnyType, [token, token, now]);
    this.#cleanup.notice("read", options);
    if (row === undefined) return undefined;
    const [data, expiry, type] = Object.values(row);
    if (type === "blob") this.#remember(token);
    return { data: toBytes(data), expiry: this.#ms(expiry) };
  }

  /** Inserts or overwrites. */
  async commit(token: string, data: Uint8Array, expiry: number, options: WriteOptions): Promise<void> {
    await this.#mend("commit", token);
    const { overwrite } = this.#sql;
    await this.#insert("commit", overwrite(options.subject !== undefined), token, data, expiry, options);
  }

  /** Inserts; `false` where the token exists. */
  async create(token: string, data: Uint8Array, expiry: number, options: WriteOptions): Promise<boolean> {
    return await this.#insert("create", this.#sql.orNothing, token, data, expiry, options) === 1;
  }

  /** Changes a live row that still holds the expected bytes. */
  async update(token: string, expected: Uint8Array, next: NextRow, options: TimedOptions): Promise<boolean> {
    await this.#mend("update", token);
    const { data, expiry, subject, mark } = next;
    const renewed = next.token === token ? undefined : next.token;
    const args: SQLiteValue[] = [data];
    let assignments = "";
    if (renewed !== undefined) {
      assignments += ", token = ?";
      args.push(renewed);
    }
    if (expiry !== undefined) {
      assignments += `, expiry = ${this.#sql.julianDay}`;
      args.push(this.#day(expiry));
    }
    const condition = [token, expected, this.#day(options.now)];
    if (subject !== undefined && renewed === undefined) {
      return await this.#updateWithSubject(assignments, args, condition, subject);
    }
    if (subject !== undefined) {
      assignments += ", subject = ?";
      args.push(subject);
    }
    args.push(...condition);
    const statement = { sql: this.#sql.update(assignments, renewed !== undefined), args };
    if (renewed === undefined || mark === undefined) return await this.#write("update", statement) === 1;
    const marking = {
      sql: this.#sql.mark,
      args: [token, mark.data, this.#day(mark.expiry), renewed, data],
    };
    return this.#changes((await this.#send("update", "transaction", [statement, marking]))[0]!) === 1;
  }

  /**
   * Names the column of the subject only where it has another value, as after a write of an SCS service: an entry of its
   * index costs as much as the row. A second statement is sent only where that is so, or another request was first.
   */
  async #updateWithSubject(
    assignments: string,
    args: SQLiteValue[],
    condition: SQLiteValue[],
    subject: string | null,
  ): Promise<boolean> {
    const kept = {
      sql: this.#sql.update(assignments, false, " AND subject IS ?"),
      args: [...args, ...condition, subject],
    };
    const changed = {
      sql: this.#sql.update(`${assignments}, subject = ?`, false),
      args: [...args, subject, ...condition],
    };
    return await this.#write("update", kept) === 1 || await this.#write("update", changed) === 1;
  }

  /** Moves the expiry of a live row forward. */
  async touch(token: string, expiry: number, options: TimedOptions): Promise<void> {
    await this.#mend("touch", token);
    const day = this.#day(expiry);
    await this.#write("touch", { sql: this.#sql.touch, args: [day, token, this.#day(options.now), day] });
  }

  /** Deletes, and tells whether a row went; with `expected` only one that still holds these bytes. */
  async delete(
    token: string,
    { expected }: DeleteOptions = {},
  ): Promise<boolean> {
    const args: SQLiteValue[] = [token, token];
    if (expected !== undefined) args.push(expected);
    return await this.#write("delete", { sql: this.#sql.delete(expected !== undefined), args }) > 0;
  }

  /** Every live row, in the order of the tokens, page by page. */
  all(options: TimedOptions): AsyncIterable<StoredRow> {
    return this.#pages("all", this.#sql.all, [], options);
  }

  /** Deletes expired rows, the longest expired first; never more than 1,000 at once. */
  async deleteExpired(options: DeleteExpiredOptions): Promise<number> {
    const { now, grace = 0, onEvent } = options;
    const day = this.#day(now - grace);
    const deletion = { sql: this.#sql.deleteExpired, args: [day, day, batchSize(options)] };
    if (this.#indexChecked || onEvent === undefined) return await this.#write("deleteExpired", deletion);
    const indexes = { sql: this.#sql.indexes, args: [this.#name] };
    const [found, deleted] = await this.#send("deleteExpired", "transaction", [indexes, deletion]);
    this.#indexChecked = true;
    if (!found!.rows.some((row) => EXPIRY_INDEX.test(String(Object.values(row)[0])))) {
      onEvent({ kind: "missing-index", statement: this.#sql.expiryIndex });
    }
    return this.#changes(deleted!);
  }

  /** Every live row of the subject, page by page. */
  findBySubject(subject: string, options: TimedOptions): AsyncIterable<StoredRow> {
    // On its way into the database a lone surrogate becomes another text, which may be somebody's.
    if (!subject.isWellFormed()) return none();
    return this.#pages("findBySubject", this.#sql.findBySubject, [subject, subject], options);
  }

  /** Deletes every row of the subject but one. */
  async deleteBySubject(subject: string, options: StoreOptions & { except?: string } = {}): Promise<number> {
    if (!subject.isWellFormed()) return 0;
    const args = [subject, subject, options.except ?? null];
    return await this.#write("deleteBySubject", { sql: this.#sql.deleteBySubject, args });
  }

  /** Whose session a row is, for a store that stands on this one. */
  async subjectOf(token: string): Promise<string | undefined> {
    const statement = { sql: this.#sql.subjectOf, args: [token, token] };
    try {
      // Within a renewal: never from a replica that lags.
      const kind = this.#driver.isLocal ? "read" : "transaction";
      const [row] = (await this.#send("find", kind, [statement]))[0]!.rows;
      return row && (Object.values(row)[0] as string | null ?? undefined);
    } catch (error) {
      // A table of SCS's has no such column.
      if (error instanceof SessionStoreError && error.reason === "schema") return undefined;
      throw error;
    }
  }

  /** Ends the clean-up for good. May be called at any time and more than once. */
  stopCleanup(): void {
    this.#cleanup.stop();
  }

  /** As `stopCleanup()`, for `using`. The database stays open. */
  [Symbol.dispose](): void {
    this.stopCleanup();
  }

  async #insert(
    operation: "commit" | "create",
    onConflict: string,
    token: string,
    data: Uint8Array,
    expiry: number,
    options: WriteOptions,
  ): Promise<number> {
    const { subject } = options;
    const args = [token, data, this.#day(expiry)];
    if (subject !== undefined) args.push(subject);
    const sql = this.#sql.insert(subject !== undefined) + onConflict;
    const inserted = await this.#write(operation, { sql, args });
    this.#cleanup.notice("insert", options);
    return inserted;
  }

  /** The parameter for a time: see `julianDay` of the statements. */
  #day(ms: number): number {
    return this.#driver.isLocal ? (ms + JULIAN_OFFSET) / DAY : ms;
  }

  /** The time that a statement gave. */
  #ms(time: unknown): number {
    return this.#driver.isLocal ? Math.round(Number(time) * DAY) - JULIAN_OFFSET : Number(time);
  }

  /** Sends a write, and tells how many rows it changed. */
  async #write(operation: StoreOperation, statement: SQLiteStatement): Promise<number> {
    return this.#changes((await this.#send(operation, "write", [statement]))[0]!);
  }

  /** Counts of hosts are not believed: some have been seen to report 0 for a write that happened. */
  #changes({ rowsAffected, rows }: SQLiteResult): number {
    return this.#driver.isLocal ? rowsAffected! : rows.length;
  }

  /** Sends statements, again while another connection holds the lock, and reduces what is thrown. */
  async #send(
    operation: StoreOperation,
    kind: SQLiteKind,
    statements: SQLiteStatement[],
    signal?: AbortSignal,
  ): Promise<readonly SQLiteResult[]> {
    const driver = this.#driver;
    const { timeout } = this;
    const { isLocal } = driver;
    // Less than the timeout: after giving up before it, it is certain that nothing was written.
    const lockWait = operation === "deleteExpired" ? PURGE_LOCK_WAIT : 0.8 * timeout;
    try {
      if (signal?.aborted) throw new GaveUp("aborted");
      const work = whenUnlocked(() => driver.send(statements, kind), lockWait, isLocal ? 8 : 100, signal);
      return await (isLocal ? work : waitFor(work, timeout, signal));
    } catch (error) {
      const classify = () =>
        driver.classify?.(error) ?? classifySQLiteError(error, this.#name, this.#sql.subjectIndex);
      throw toStoreError(operation, error, kind !== "read" && operation !== "find", classify);
    }
  }

  async *#pages(
    operation: StoreOperation,
    sql: string,
    args: SQLiteValue[],
    { now, signal }: TimedOptions,
  ): AsyncGenerator<StoredRow, void, undefined> {
    // Text or bytes, as it is found: every BLOB comes after every text.
    let after: SQLiteValue = "";
    while (true) {
      const page: SQLiteStatement[] = [{ sql, args: [after, this.#day(now), ...args, PAGE_SIZE] }];
      const { rows }: SQLiteResult = (await this.#send(operation, "read", page, signal))[0]!;
      for (const row of rows) {
        const [found, data, expiry]: unknown[] = Object.values(row);
        const token = typeof found === "string" ? found : new TextDecoder().decode(toBytes(found));
        if (found !== token) this.#remember(token);
        after = found === token ? token : toBytes(found);
        yield { token, data: toBytes(data), expiry: this.#ms(expiry) };
      }
      if (rows.length < PAGE_SIZE) return;
    }
  }

  #remember(token: string): void {
    if (this.#blobs.size < MOST_BLOBS) this.#blobs.add(token);
  }

  /** Makes text of a token that was found as a BLOB, so that the statements of everyday find it. */
  #mend(operation: StoreOperation, token: string): Promise<unknown> | undefined {
    if (this.#blobs.delete(token)) return this.#write(operation, { sql: this.#sql.mend, args: [token] });
  }
}

async function* none(): AsyncGenerator<never, void, undefined> {}

/** The texts of all statements. None holds a value: a name was checked, and the rest are parameters. */
function statements(name: string, isLocal: boolean) {
  const table = `"${name}"`;
  const returning = isLocal ? "" : " RETURNING 1";
  // The Julian day that SQLite's own `julianday()` makes of a time, to the bit. As JSON it could lose the last bit on its
  // way to a server, which therefore gets milliseconds.
  const julianDay = isLocal ? "?" : `((? + ${JULIAN_OFFSET}) / 86400000.0)`;
  // Not as an INTEGER: @libsql/client refuses one that is too large, and one such row would end every listing.
  const columns = "CAST(data AS BLOB) AS bytes, " +
    (isLocal ? "expiry" : `round(expiry * 86400000.0) - ${JULIAN_OFFSET} AS ms`);
  const isLive = `expiry > ${julianDay}`;
  const page = (condition = "") =>
    `SELECT token, ${columns} FROM ${table} WHERE token > ? AND ${isLive}${condition} ORDER BY token LIMIT ?`;
  const set = `${table} SET data = ?`;
  const where = ` WHERE token = ?${IS_EXPECTED} AND ${isLive}`;
  const save = `UPDATE ${set}${where}${returning}`;
  return {
    julianDay,
    createTable:
      `CREATE TABLE IF NOT EXISTS ${table} (token TEXT PRIMARY KEY, data BLOB NOT NULL, expiry REAL NOT NULL, subject TEXT)`,
    expiryIndex: `CREATE INDEX IF NOT EXISTS "${name}_expiry_idx" ON ${table}(expiry)`,
    subjectIndex: `CREATE INDEX IF NOT EXISTS "${name}_subject_idx" ON ${table}(subject)` +
      " WHERE subject IS NOT NULL",
    // Adds nothing, and fails where a table of another program has the name.
    check: `INSERT INTO ${table} (token, data, expiry, subject)` +
      " SELECT NULL, NULL, NULL, NULL WHERE 0 ON CONFLICT(token) DO NOTHING",
    /** For a local database. */
    find: `SELECT ${columns} FROM ${table} WHERE token = ? AND ${isLive}`,
    findAnyType: `SELECT ${columns}, typeof(token) AS type FROM ${table}` +
      ` WHERE (token = ? OR token = CAST(? AS BLOB)) AND ${isLive}`,
    insert: (withSubject: boolean) =>
      `INSERT INTO ${table} (token, data, expiry${withSubject ? ", subject" : ""})` +
      ` VALUES (?, ?, ${julianDay}${withSubject ? ", ?" : ""}) ON CONFLICT(token) DO `,
    orNothing: `NOTHING${returning}`,
    overwrite: (withSubject: boolean) =>
      "UPDATE SET data = excluded.data, expiry = excluded.expiry" +
      (withSubject ? ", subject = excluded.subject" : ""),
    // Only the columns that move: SQLite writes an index entry for each that is named, changed or not.
    update: (assignments: string, renews: boolean, condition = "") =>
      assignments + condition === ""
        ? save
        : `UPDATE ${renews ? "OR IGNORE " : ""}${set}${assignments}${where}${condition}${returning}`,
    // Only where the update has moved the row: the bytes that it wrote are like no others.
    mark: `INSERT OR IGNORE INTO ${table} (token, data, expiry) SELECT ?, ?, ${julianDay}` +
      ` WHERE EXISTS (SELECT 1 FROM ${table} WHERE token = ? AND data = ?)`,
    touch:
      `UPDATE ${table} SET expiry = ${julianDay} WHERE token = ? AND ${isLive} AND expiry < ${julianDay}`,
    mend: `UPDATE OR IGNORE ${table} SET token = CAST(token AS TEXT) WHERE token = CAST(? AS BLOB)`,
    delete: (compares: boolean) =>
      `DELETE FROM ${table} WHERE token ${IS_TEXT}${compares ? IS_EXPECTED : ""}${returning}`,
    all: page(),
    findBySubject: page(` AND subject ${IS_TEXT}`),
    deleteBySubject:
      `DELETE FROM ${table} WHERE subject ${IS_TEXT} AND CAST(token AS TEXT) IS NOT ?${returning}`,
    // Checked again outside, where a row is deleted. The plus keeps the planner from taking the index on expiry there
    // too, and with it from walking over every expired row.
    deleteExpired: `DELETE FROM ${table} WHERE +expiry <= ${julianDay} AND token IN` +
      ` (SELECT token FROM ${table} WHERE expiry <= ${julianDay} ORDER BY expiry LIMIT ?)${returning}`,
    subjectOf: `SELECT CAST(subject AS TEXT) FROM ${table} WHERE token ${IS_TEXT}`,
    indexes: "SELECT sql FROM sqlite_schema WHERE type = 'index' AND lower(tbl_name) = lower(?)",
  };
}

/** A driver gives a BLOB as an array, a buffer or numbers. The caller owns what this returns. */
function toBytes(value: unknown): Uint8Array {
  return new Uint8Array(value as ArrayBuffer);
}

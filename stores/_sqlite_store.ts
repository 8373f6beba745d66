import type { StoreErrorDetails, StoreOperation } from "../core/errors.ts";
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
import { toSessionError } from "../core/store/failure.ts";
import { backoff, GaveUp, pause, waitFor } from "../core/wait.ts";
import { batchSize, PAGE_SIZE, readSqlOptions } from "./_sql.ts";
import { ifNoSubjects } from "./_sql_errors.ts";
import { classifySQLiteError, isBusy } from "./_sqlite_errors.ts";

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
  /** Its rows. Each has its columns in the order of the statement, whatever their names. */
  readonly rows: readonly object[];
  /** How many rows it changed. It is read only where the database is in this process. */
  readonly rowsAffected?: number | undefined;
}

/**
 * How statements are sent: one that reads, one that writes, or several in one transaction. Where there are replicas
 * the primary runs the last two.
 */
export type SQLiteKind = "read" | "write" | "transaction";

/** How to reach a database that speaks SQLite. */
export interface SQLiteDriver {
  /** Whether the database is in this process: it has no replica, and no call of it can hang. */
  readonly inProcess: boolean;
  /** Sends statements: one, unless they are a transaction. */
  send(
    statements: SQLiteStatement[],
    kind: SQLiteKind,
  ): readonly SQLiteResult[] | Promise<readonly SQLiteResult[]>;
  /** What an error means that only this driver throws. */
  classify?(error: unknown): StoreErrorDetails | undefined;
}

/** From the start of SQLite's Julian days to the start of 1970, in milliseconds. */
const JULIAN_OFFSET = 210_866_760_000_000;
const MS_PER_DAY = 86_400_000;

/**
 * What differs between a database in this process and one that is remote:
 *
 * - SQL with one `?` for the Julian day of a time. Its value is that of SQLite's own `julianday()`, to the bit.
 * - SQL that selects an expiry.
 * - The end of a statement that writes.
 */
type Dialect = readonly [day: string, expiry: string, returning: string];

/** Short statements save time. Numbers arrive as they are, and the count of the changed rows is right. */
const LOCAL: Dialect = ["?", "expiry", ""];

/**
 * A server may lose the last bit of a fraction that arrives as JSON, so times travel in milliseconds. Some hosts have
 * reported a count of 0 for a write that happened, so a write gives a row for each row that it changed.
 */
const REMOTE: Dialect = [
  `((? + ${JULIAN_OFFSET}) / ${MS_PER_DAY}.0)`,
  // Not an INTEGER: @libsql/client refuses one that is too large, and one such row would end every listing.
  `round(expiry * ${MS_PER_DAY}.0) - ${JULIAN_OFFSET}`,
  " RETURNING 1",
];

/** The data as bytes. Another program may have made a text of them. */
const DATA = "CAST(data AS BLOB)";
/** A text as a BLOB. Another program may have made one of a column, and the two are never equal. */
const AS_BLOB = "CAST(? AS BLOB)";
const IS_TEXT = `IN (?, ${AS_BLOB})`;
/**
 * Finds the rows of a subject, which is given three times. Some planners use the index on subjects, which leaves out NULL,
 * only if the statement says so. The last comparison tells "Zoe" from "zoe" where the column was declared as NOCASE.
 */
const IS_SUBJECT = `subject IS NOT NULL AND subject ${IS_TEXT} AND CAST(subject AS BLOB) = ${AS_BLOB}`;
const HAS_BYTES = `AND ${DATA} = ?`;
/**
 * An expiry to compare with. The sum is a number even if the column was declared as TEXT. It also keeps the planner from the
 * index on expiry: if SQLite has counted the rows when few were live, it would walk over every live row to find one.
 */
const EXPIRY = "expiry + 0";

/** How long a purge waits for a lock, in milliseconds. If it takes longer the rows are left for the next purge. */
const PURGE_LOCK_WAIT = 10;
/** The most tokens that are remembered as BLOBs. */
const MOST_BLOBS = 1_000;

/** An index whose first column is the expiry, and that covers every row. */
const EXPIRY_INDEX = /\(["`[\s]*expiry["`\]\s]*(asc|desc)?\s*[,)](?!.*\bwhere\b)/is;

/**
 * Sessions in a table of SQLite, through one of its drivers. Each call is one statement. A statement holds no value, only
 * the table's name, which was checked.
 */
export class SQLiteTableStore implements AtomicStore, IterableStore, PurgingStore, SubjectStore {
  /** How long a call waits for the database, in milliseconds. */
  readonly timeout: number;
  /** Whether the database is in this process. */
  readonly inProcess: boolean;
  readonly #client: object;
  readonly #driver: SQLiteDriver;
  // The texts of the dialect.
  readonly #day: string;
  readonly #expiry: string;
  readonly #returning: string;
  /** The condition for a live row. */
  readonly #isLive: string;
  /** The condition for a live row that still holds the expected bytes. */
  readonly #isExpected: string;
  /** Changes the data of such a row. It is the most frequent write, so its text is made once. */
  readonly #save: string;
  readonly #name: string;
  /** The table's name as a statement has it. */
  readonly #table: string;
  readonly #cleanup: Cleanup;
  /** Tokens that were found as BLOBs. The next write of such a session makes its token a text. */
  readonly #blobs = new Set<string>();
  #indexChecked = false;

  /**
   * @param client Where the tables are.
   * @param reader The options. The caller has already read its own.
   */
  constructor(client: object, driver: SQLiteDriver, reader: OptionsReader) {
    const settings = readSqlOptions(reader);
    const { table, timeout } = settings;
    reader.finish();
    this.#client = client;
    this.#driver = driver;
    [this.#day, this.#expiry, this.#returning] = driver.inProcess ? LOCAL : REMOTE;
    this.#isLive = `${EXPIRY} > ${this.#day}`;
    this.#isExpected = `token = ? ${HAS_BYTES} AND ${this.#isLive}`;
    this.#name = table;
    this.#table = `"${table}"`;
    this.#save = `UPDATE ${this.#table} SET data = ? WHERE ${this.#isExpected}`;
    this.timeout = timeout;
    this.inProcess = driver.inProcess;
    this.#cleanup = new Cleanup(settings, (given) => this.deleteExpired(given));
  }

  /** The client and the table. A getter, so that a store in a log does not show the client's password. */
  get place(): { readonly of: object; readonly name: string } {
    // For SQLite "Sessions" and "sessions" are one table.
    return { of: this.#client, name: this.#name.toLowerCase() };
  }

  /** The statements that make the table and its indexes, for a migration. */
  schema(): string[] {
    const index = (column: string) =>
      `CREATE INDEX IF NOT EXISTS "${this.#name}_${column}_idx" ON ${this.#table}(${column})`;
    return [
      `CREATE TABLE IF NOT EXISTS ${this.#table} ` +
      "(token TEXT PRIMARY KEY, data BLOB NOT NULL, expiry REAL NOT NULL, subject TEXT)",
      index("expiry"),
      `${index("subject")} WHERE subject IS NOT NULL`,
    ];
  }

  /**
   * Makes the table and its indexes where they are missing. A table made by SCS serves as it is and needs no
   * call of this: it is refused until it has the column for subjects.
   */
  async createTable(): Promise<void> {
    const [createTable, ...indexes] = this.schema() as [string, string, string];
    // Inserts nothing. It fails where another program's table has the name.
    const check = `INSERT INTO ${this.#table} (token, data, expiry, subject)` +
      " SELECT NULL, NULL, NULL, NULL WHERE 0 ON CONFLICT(token) DO NOTHING";
    const statements = [createTable, check, ...indexes].map((sql) => ({ sql, args: [] }));
    await this.#send("createTable", "write", statements);
  }

  /** Gives a live row. */
  async find(token: string, options: FindOptions): Promise<StoredSession | undefined> {
    const { primary, signal } = options;
    const args = [token, this.#dayOf(options.now)];
    const select = `SELECT ${DATA}, ${this.#expiry}, typeof(token) FROM ${this.#table} WHERE token = `;
    const asText = `${select}? AND ${this.#isLive}`;
    const asBlob = `${select}${AS_BLOB} AND ${this.#isLive}`;
    let row: object | undefined;
    if (this.inProcess) {
      [row] = await this.#read("find", asText, args, signal);
      row ??= (await this.#read("find", asBlob, args, signal))[0];
    } else {
      // Not `token IN (...)`: if SQLite has counted the rows when they were few it scans the table for that.
      const either = `${asText} UNION ALL ${asBlob}`;
      [row] = await this.#read("find", either, [...args, ...args], signal, primary);
    }
    this.#cleanup.notice("read", options);
    if (row === undefined) return undefined;
    const [data, time, type] = Object.values(row);
    if (type === "blob") this.#remember(token);
    return { data: toBytes(data), expiry: this.#msOf(time) };
  }

  /** Inserts or overwrites. */
  async commit(token: string, data: Uint8Array, expiry: number, options: WriteOptions): Promise<void> {
    await this.#mend("commit", token);
    const subject = options.subject === undefined ? "" : ", subject = excluded.subject";
    const overwrite = `UPDATE SET data = excluded.data, expiry = excluded.expiry${subject}`;
    await this.#insert("commit", overwrite, token, data, expiry, options);
  }

  /** Inserts; `false` where the token exists. */
  async create(token: string, data: Uint8Array, expiry: number, options: WriteOptions): Promise<boolean> {
    return await this.#insert("create", "NOTHING", token, data, expiry, options) > 0;
  }

  /** Changes a live row that still holds the expected bytes. */
  async update(token: string, expected: Uint8Array, next: NextRow, { now }: TimedOptions): Promise<boolean> {
    await this.#mend("update", token);
    const { data, expiry, subject } = next;
    const condition = [token, expected, this.#dayOf(now)];
    const newToken = next.token === token ? undefined : next.token;
    if (newToken === undefined && expiry === undefined && subject === undefined) {
      return await this.#write("update", this.#save, [data, ...condition]) > 0;
    }
    return await this.#updateColumns(newToken, next, condition);
  }

  /** Changes more than the data, and names only columns that change: SQLite writes an index entry for each named one. */
  async #updateColumns(
    newToken: string | undefined,
    { data, expiry, subject, mark }: NextRow,
    condition: SQLiteValue[],
  ): Promise<boolean> {
    let columns = "data = ?";
    const values: SQLiteValue[] = [data];
    const assign = (assignment: string, value: SQLiteValue) => {
      columns += `, ${assignment}`;
      values.push(value);
    };
    if (newToken !== undefined) assign("token = ?", newToken);
    if (expiry !== undefined) assign(`expiry = ${this.#day}`, this.#dayOf(expiry));
    if (newToken === undefined && subject !== undefined) {
      // Most rows have the subject already. A second statement is sent only where an SCS service has emptied the column,
      // or another request was first.
      const sql = `UPDATE ${this.#table} SET ${columns} WHERE ${this.#isExpected} AND subject IS ?`;
      if (await this.#write("update", sql, [...values, ...condition, subject]) > 0) return true;
    }
    if (subject !== undefined) assign("subject = ?", subject);
    // A renewal changes nothing if the new token exists.
    const update = newToken === undefined ? "UPDATE" : "UPDATE OR IGNORE";
    const sql = `${update} ${this.#table} SET ${columns} WHERE ${this.#isExpected}`;
    const marks = newToken === undefined || mark === undefined ? [] : [{
      // Only where the renewal has moved the row: no other row holds the bytes that it wrote.
      sql: `INSERT OR IGNORE INTO ${this.#table} (token, data, expiry) SELECT ?, ?, ${this.#day}` +
        ` WHERE EXISTS (SELECT 1 FROM ${this.#table} WHERE token = ? AND data = ?)`,
      args: [condition[0]!, mark.data, this.#dayOf(mark.expiry), newToken, data],
    }];
    return await this.#write("update", sql, [...values, ...condition], ...marks) > 0;
  }

  /** Moves the expiry of a live row forward. */
  async touch(token: string, expiry: number, { now }: TimedOptions): Promise<void> {
    await this.#mend("touch", token);
    const sql =
      `UPDATE ${this.#table} SET expiry = ${this.#day} WHERE token = ? AND ${this.#isLive} AND ${EXPIRY} < ${this.#day}`;
    await this.#write("touch", sql, [this.#dayOf(expiry), token, this.#dayOf(now), this.#dayOf(expiry)]);
  }

  /** Deletes, and tells whether a row went; with `expected` only one that still holds these bytes. */
  async delete(token: string, { expected }: DeleteOptions = {}): Promise<boolean> {
    const sql = `DELETE FROM ${this.#table} WHERE token ${IS_TEXT}`;
    const deleted = expected === undefined
      ? await this.#write("delete", sql, [token, token])
      : await this.#write("delete", `${sql} ${HAS_BYTES}`, [token, token, expected]);
    return deleted > 0;
  }

  /** Every live row, in the order of the tokens, page by page. */
  all(options: TimedOptions): AsyncIterable<StoredRow> {
    return this.#pages("all", "", [], options);
  }

  /** Deletes expired rows, the longest expired first; never more than 1,000 at once. */
  async deleteExpired(options: DeleteExpiredOptions): Promise<number> {
    const { now, grace = 0, onEvent } = options;
    const until = this.#dayOf(now - grace);
    // The outer condition is checked when a row is deleted.
    const sql = `DELETE FROM ${this.#table} WHERE ${EXPIRY} <= ${this.#day} AND token IN` +
      ` (SELECT token FROM ${this.#table} WHERE expiry <= ${this.#day} ORDER BY expiry LIMIT ?)${this.#returning}`;
    const statements: SQLiteStatement[] = [{ sql, args: [until, until, batchSize(options)] }];
    if (onEvent !== undefined && !this.#indexChecked) {
      statements.push({
        sql: "SELECT sql FROM sqlite_schema WHERE type = 'index' AND lower(tbl_name) = lower(?)",
        args: [this.#name],
      });
    }
    const [deleted, indexes] = await this.#send("deleteExpired", "write", statements);
    if (indexes !== undefined) {
      this.#indexChecked = true;
      const isThere = indexes.rows.some((row) => EXPIRY_INDEX.test(String(Object.values(row)[0])));
      if (!isThere) onEvent?.({ kind: "missing-index", statement: this.schema()[1]! });
    }
    return this.#changesOf(deleted!);
  }

  /** Every live row of the subject, page by page. */
  async *findBySubject(subject: string, options: TimedOptions): AsyncIterable<StoredRow> {
    // On its way into the database a lone surrogate becomes another text, which may be someone else's subject.
    if (!subject.isWellFormed()) return;
    yield* this.#pages("findBySubject", ` AND ${IS_SUBJECT}`, [subject, subject, subject], options);
  }

  /** Deletes every row of the subject but one. */
  async deleteBySubject(
    subject: string,
    options: StoreOptions & { except?: string | undefined } = {},
  ): Promise<number> {
    if (!subject.isWellFormed()) return 0;
    const sql = `DELETE FROM ${this.#table} WHERE ${IS_SUBJECT} AND CAST(token AS TEXT) IS NOT ?`;
    return await this.#write("deleteBySubject", sql, [subject, subject, subject, options.except ?? null]);
  }

  /** Gives the subject of a row, for a `ShardedStore` on this store. */
  async subjectOf(token: string): Promise<string | undefined> {
    const sql = `SELECT CAST(subject AS TEXT) FROM ${this.#table} WHERE token ${IS_TEXT}`;
    // It is part of a renewal, so a replica that lags must not answer.
    const [row] = await this.#read("find", sql, [token, token], undefined, true).catch(ifNoSubjects) ?? [];
    return row && (Object.values(row)[0] as string | null ?? undefined);
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
    const [column, value, ...subjects] = subject === undefined ? ["", ""] : [", subject", ", ?", subject];
    const sql =
      `INSERT INTO ${this.#table} (token, data, expiry${column}) VALUES (?, ?, ${this.#day}${value})` +
      ` ON CONFLICT(token) DO ${onConflict}`;
    const args = [token, data, this.#dayOf(expiry), ...subjects];
    const inserted = await this.#write(operation, sql, args);
    this.#cleanup.notice("insert", options);
    return inserted;
  }

  async *#pages(
    operation: StoreOperation,
    condition: string,
    args: SQLiteValue[],
    { now, signal }: TimedOptions,
  ): AsyncGenerator<StoredRow, void, undefined> {
    const sql = `SELECT ${DATA}, ${this.#expiry}, token FROM ${this.#table}` +
      ` WHERE token > ? AND ${this.#isLive}${condition} ORDER BY token LIMIT ?`;
    // A text or bytes, as it was found: in SQLite's order all BLOBs come after all texts.
    let after: SQLiteValue = "";
    let limit = PAGE_SIZE;
    while (true) {
      let rows: readonly object[];
      try {
        rows = await this.#read(operation, sql, [after, this.#dayOf(now), ...args, limit], signal);
      } catch (error) {
        if (limit === 1 || !isTooLarge(error)) throw error;
        limit = Math.ceil(limit / 4);
        continue;
      }
      for (const row of rows) {
        const [data, time, found] = Object.values(row);
        after = typeof found === "string" ? found : toBytes(found);
        const token = typeof after === "string" ? after : new TextDecoder().decode(after);
        if (token !== after) this.#remember(token);
        yield { token, data: toBytes(data), expiry: this.#msOf(time) };
      }
      if (rows.length < limit) return;
    }
  }

  /** What goes into the `?` of a Julian day. */
  #dayOf(ms: number): number {
    return this.inProcess ? (ms + JULIAN_OFFSET) / MS_PER_DAY : ms;
  }

  /** Milliseconds of what a statement gave for an expiry. */
  #msOf(expiry: unknown): number {
    return this.inProcess ? Math.round(Number(expiry) * MS_PER_DAY) - JULIAN_OFFSET : Number(expiry);
  }

  /** How many rows a statement has changed. */
  #changesOf({ rows, rowsAffected }: SQLiteResult): number {
    return this.inProcess ? rowsAffected! : rows.length;
  }

  #remember(token: string): void {
    // A write that misses its row is a conflict, and the manager finds the row again.
    if (this.#blobs.size >= MOST_BLOBS) this.#blobs.clear();
    this.#blobs.add(token);
  }

  /** Makes a text of a token that was found as a BLOB, so that the statement which follows finds it. */
  #mend(operation: StoreOperation, token: string): Promise<unknown> | undefined {
    // Where there is none, even asking for a token takes a microsecond.
    if (this.#blobs.size === 0 || !this.#blobs.delete(token)) return undefined;
    const sql = `UPDATE OR IGNORE ${this.#table} SET token = CAST(token AS TEXT) WHERE token = ${AS_BLOB}`;
    return this.#write(operation, sql, [token]);
  }

  /** Sends a statement that reads, and gives its rows. */
  async #read(
    operation: StoreOperation,
    sql: string,
    args: SQLiteValue[],
    signal?: AbortSignal,
    primary?: boolean,
  ): Promise<readonly object[]> {
    // A replica that lags may answer a lone SELECT, but no transaction.
    const kind = primary && !this.inProcess ? "transaction" : "read";
    return (await this.#send(operation, kind, [{ sql, args }], signal))[0]!.rows;
  }

  /** Sends a write, in one transaction with `more` where there are any, and tells how many rows it changed. */
  async #write(
    operation: StoreOperation,
    sql: string,
    args: SQLiteValue[],
    ...more: SQLiteStatement[]
  ): Promise<number> {
    return this.#changesOf(
      (await this.#send(operation, "write", [{ sql: sql + this.#returning, args }, ...more]))[0]!,
    );
  }

  /**
   * Sends statements, several of them in one transaction, and again while another connection holds the lock. Its errors hold
   * neither SQL nor values.
   */
  async #send(
    operation: StoreOperation,
    kind: SQLiteKind,
    statements: SQLiteStatement[],
    signal?: AbortSignal,
  ): Promise<readonly SQLiteResult[]> {
    if (statements.length > 1) kind = "transaction";
    const started = performance.now();
    const elapsed = () => performance.now() - started;
    for (let attempt = 1;; attempt++) {
      try {
        if (signal?.aborted) throw new GaveUp("aborted");
        const work = this.#driver.send(statements, kind);
        return await (this.inProcess ? work : waitFor(work, this.timeout - elapsed(), signal));
      } catch (error) {
        const ms = backoff(attempt, { base: 2, growth: 2, cap: this.inProcess ? 8 : 100 });
        // Less than the timeout: when the store gives up a lock it is certain that nothing was written.
        const lockWait = operation === "deleteExpired" ? PURGE_LOCK_WAIT : 0.8 * this.timeout;
        if (!isBusy(error) || elapsed() + ms > lockWait) {
          throw toSessionError(
            operation,
            error,
            kind !== "read" && operation !== "find",
            (thrown) =>
              this.#driver.classify?.(thrown) ?? classifySQLiteError(thrown, this.#name, this.schema()[2]!),
          );
        }
        await pause(ms, signal);
      }
    }
  }
}

/** Whether an answer had more bytes than a libsql-server sends, by default 10 MB. */
function isTooLarge(error: unknown): boolean {
  return (error as { cause?: { code?: unknown } }).cause?.code === "RESPONSE_TOO_LARGE";
}

/** Copies a BLOB, which a driver gives as an array, a buffer or numbers. */
function toBytes(value: ArrayBuffer | ArrayLike<number>): Uint8Array {
  return new Uint8Array(value);
}

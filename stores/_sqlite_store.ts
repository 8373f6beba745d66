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
import { backoff, GaveUp, pause, waitFor } from "../core/wait.ts";
import { batchSize, PAGE_SIZE, readSqlOptions } from "./_sql.ts";
import { toStoreError } from "./_sql_errors.ts";
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
}

/**
 * How statements are sent: one that reads, one that writes, or several in one transaction. Where there are replicas
 * the primary runs the last two.
 */
export type SQLiteKind = "read" | "write" | "transaction";

/** How to reach a database that speaks SQLite. */
export interface SQLiteDriver {
  /** Whether the database is in this process: it has no replica, and no call of it can hang. */
  readonly isLocal: boolean;
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
/**
 * A parameter in milliseconds, as the Julian day that SQLite's own `julianday()` makes of that time, to the bit. A
 * server may lose the last bit of a fraction that arrives as JSON, so the database divides.
 */
const DAY = `((? + ${JULIAN_OFFSET}) / 86400000.0)`;
const IS_LIVE = `expiry > ${DAY}`;
/**
 * Data and expiry, as bytes and in milliseconds. The time is no INTEGER: @libsql/client refuses one that is too large,
 * and one such row would end every listing.
 */
const COLUMNS = `CAST(data AS BLOB), round(expiry * 86400000.0) - ${JULIAN_OFFSET}`;
/** Compares a column with a text. Another program may have made a BLOB of the column, and the two are never equal. */
const IS_TEXT = "IN (?, CAST(? AS BLOB))";
/** Compares the data with bytes. Another program may have made a text of the data. */
const IS_EXPECTED = "AND CAST(data AS BLOB) = ?";

/** How long a purge waits for a lock, in milliseconds. If it takes longer the rows are left for the next purge. */
const PURGE_LOCK_WAIT = 10;
/** The most tokens that are remembered as BLOBs. */
const MOST_BLOBS = 1_000;

/** An index whose first column is the expiry, and that covers every row. */
const EXPIRY_INDEX = /\(["`[\s]*expiry["`\]\s]*(asc|desc)?\s*[,)](?!.*\bwhere\b)/is;

/**
 * Sessions in a table of SQLite, through one of its drivers. Each call is one statement.
 *
 * A statement holds no value, only the table's name, which was checked. A write is judged by the rows that `RETURNING`
 * gives: some hosts have reported a count of 0 for a write that happened.
 */
export class SQLiteTableStore implements AtomicStore, IterableStore, PurgingStore, SubjectStore {
  /** How long a call waits for the database, in milliseconds. */
  readonly timeout: number;
  /** Whether the database is in this process. */
  readonly inProcess: boolean;
  /** The client and the table. */
  readonly place: { readonly of: object; readonly name: string };
  readonly #driver: SQLiteDriver;
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
    const { table, timeout, mode, interval } = readSqlOptions(reader);
    reader.finish();
    // For SQLite "Sessions" and "sessions" are one table.
    this.place = { of: client, name: table.toLowerCase() };
    this.#driver = driver;
    this.#name = table;
    this.#table = `"${table}"`;
    this.timeout = timeout;
    this.inProcess = driver.isLocal;
    this.#cleanup = new Cleanup(mode, interval, (given) => this.deleteExpired(given));
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
   * call of this.
   */
  async createTable(): Promise<void> {
    const [createTable, ...indexes] = this.schema() as [string, string, string];
    // Inserts nothing. It fails where another program's table has the name.
    const check = `INSERT INTO ${this.#table} (token, data, expiry, subject)` +
      " SELECT NULL, NULL, NULL, NULL WHERE 0 ON CONFLICT(token) DO NOTHING RETURNING 1";
    const statements = [createTable, check, ...indexes].map((sql) => ({ sql, args: [] }));
    await this.#send("createTable", "transaction", statements);
  }

  /** Gives a live row. */
  async find(token: string, options: FindOptions): Promise<StoredSession | undefined> {
    const { now, primary, signal } = options;
    const sql = `SELECT ${COLUMNS}, typeof(token) FROM ${this.#table} WHERE token ${IS_TEXT} AND ${IS_LIVE}`;
    const [row] = await this.#read("find", sql, [token, token, now], signal, primary);
    this.#cleanup.notice("read", options);
    if (row === undefined) return undefined;
    const [data, expiry, type] = Object.values(row);
    if (type === "blob") this.#remember(token);
    return { data: toBytes(data), expiry };
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
    const { data, expiry, subject, mark } = next;
    const newToken = next.token === token ? undefined : next.token;
    // Names only the columns that change: SQLite writes an index entry for each that is named, changed or not.
    let columns = "data = ?";
    const values: SQLiteValue[] = [data];
    const assign = (assignment: string, value: SQLiteValue | undefined) => {
      if (value === undefined) return;
      columns += `, ${assignment}`;
      values.push(value);
    };
    const send = async (condition: string, args: SQLiteValue[], ...more: SQLiteStatement[]) => {
      const update = newToken === undefined ? "UPDATE" : "UPDATE OR IGNORE";
      const where = `token = ? ${IS_EXPECTED} AND ${IS_LIVE}${condition}`;
      const sql = `${update} ${this.#table} SET ${columns} WHERE ${where}`;
      return await this.#write("update", sql, [...values, token, expected, now, ...args], ...more) > 0;
    };
    assign("token = ?", newToken);
    assign(`expiry = ${DAY}`, expiry);
    if (newToken === undefined && subject !== undefined) {
      // Most rows have the subject already. A second statement is sent only where an SCS service has emptied the column,
      // or another request was first.
      if (await send(" AND subject IS ?", [subject])) return true;
    }
    assign("subject = ?", subject);
    if (newToken === undefined || mark === undefined) return await send("", []);
    return await send("", [], {
      // Only where the update has moved the row: no other row holds the bytes that it wrote.
      sql: `INSERT OR IGNORE INTO ${this.#table} (token, data, expiry) SELECT ?, ?, ${DAY}` +
        ` WHERE EXISTS (SELECT 1 FROM ${this.#table} WHERE token = ? AND data = ?)`,
      args: [token, mark.data, mark.expiry, newToken, data],
    });
  }

  /** Moves the expiry of a live row forward. */
  async touch(token: string, expiry: number, { now }: TimedOptions): Promise<void> {
    await this.#mend("touch", token);
    const sql =
      `UPDATE ${this.#table} SET expiry = ${DAY} WHERE token = ? AND ${IS_LIVE} AND expiry < ${DAY}`;
    await this.#write("touch", sql, [expiry, token, now, expiry]);
  }

  /** Deletes, and tells whether a row went; with `expected` only one that still holds these bytes. */
  async delete(token: string, { expected }: DeleteOptions = {}): Promise<boolean> {
    const sql = `DELETE FROM ${this.#table} WHERE token ${IS_TEXT}`;
    const deleted = expected === undefined
      ? await this.#write("delete", sql, [token, token])
      : await this.#write("delete", `${sql} ${IS_EXPECTED}`, [token, token, expected]);
    return deleted > 0;
  }

  /** Every live row, in the order of the tokens, page by page. */
  all(options: TimedOptions): AsyncIterable<StoredRow> {
    return this.#pages("all", "", [], options);
  }

  /** Deletes expired rows, the longest expired first; never more than 1,000 at once. */
  async deleteExpired(options: DeleteExpiredOptions): Promise<number> {
    const { now, grace = 0, onEvent } = options;
    const until = now - grace;
    // The outer condition is checked when a row is deleted. Its plus keeps the planner from the index on expiry there,
    // by which it would walk over every expired row.
    const sql = `DELETE FROM ${this.#table} WHERE +expiry <= ${DAY} AND token IN` +
      ` (SELECT token FROM ${this.#table} WHERE expiry <= ${DAY} ORDER BY expiry LIMIT ?) RETURNING 1`;
    const statements: SQLiteStatement[] = [{ sql, args: [until, until, batchSize(options)] }];
    const looks = onEvent !== undefined && !this.#indexChecked;
    if (looks) {
      statements.push({
        sql: "SELECT sql FROM sqlite_schema WHERE type = 'index' AND lower(tbl_name) = lower(?)",
        args: [this.#name],
      });
    }
    const [deleted, indexes] = await this.#send("deleteExpired", looks ? "transaction" : "write", statements);
    if (looks) {
      this.#indexChecked = true;
      const isThere = indexes!.rows.some((row) => EXPIRY_INDEX.test(String(Object.values(row)[0])));
      if (!isThere) onEvent({ kind: "missing-index", statement: this.schema()[1]! });
    }
    return deleted!.rows.length;
  }

  /** Every live row of the subject, page by page. */
  async *findBySubject(subject: string, options: TimedOptions): AsyncIterable<StoredRow> {
    // On its way into the database a lone surrogate becomes another text, which may be someone else's subject.
    if (!subject.isWellFormed()) return;
    yield* this.#pages("findBySubject", ` AND subject ${IS_TEXT}`, [subject, subject], options);
  }

  /** Deletes every row of the subject but one. */
  async deleteBySubject(subject: string, options: StoreOptions & { except?: string } = {}): Promise<number> {
    if (!subject.isWellFormed()) return 0;
    const sql = `DELETE FROM ${this.#table} WHERE subject ${IS_TEXT} AND CAST(token AS TEXT) IS NOT ?`;
    return await this.#write("deleteBySubject", sql, [subject, subject, options.except ?? null]);
  }

  /** Whose session a row is, for a store that stands on this one. */
  async subjectOf(token: string): Promise<string | undefined> {
    const sql = `SELECT CAST(subject AS TEXT) FROM ${this.#table} WHERE token ${IS_TEXT}`;
    try {
      // Asked for within a renewal: never from a replica that lags.
      const [row] = await this.#read("find", sql, [token, token], undefined, true);
      return row && (Object.values(row)[0] as string | null ?? undefined);
    } catch (error) {
      // A table made by SCS has no such column.
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
    const args: SQLiteValue[] = [token, data, expiry];
    let [column, value] = ["", ""];
    if (subject !== undefined) {
      [column, value] = [", subject", ", ?"];
      args.push(subject);
    }
    const sql = `INSERT INTO ${this.#table} (token, data, expiry${column}) VALUES (?, ?, ${DAY}${value})` +
      ` ON CONFLICT(token) DO ${onConflict}`;
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
    const sql = `SELECT ${COLUMNS}, token FROM ${this.#table}` +
      ` WHERE token > ? AND ${IS_LIVE}${condition} ORDER BY token LIMIT ${PAGE_SIZE}`;
    // A text or bytes, as it was found: in SQLite's order all BLOBs come after all texts.
    let after: SQLiteValue = "";
    while (true) {
      const rows: readonly object[] = await this.#read(operation, sql, [after, now, ...args], signal);
      for (const row of rows) {
        const [data, expiry, found] = Object.values(row);
        const isText = typeof found === "string";
        after = isText ? found : toBytes(found);
        const token = isText ? found : new TextDecoder().decode(toBytes(found));
        if (!isText) this.#remember(token);
        yield { token, data: toBytes(data), expiry };
      }
      if (rows.length < PAGE_SIZE) return;
    }
  }

  #remember(token: string): void {
    if (this.#blobs.size < MOST_BLOBS) this.#blobs.add(token);
  }

  /** Makes a text of a token that was found as a BLOB, so that the statement which follows finds it. */
  async #mend(operation: StoreOperation, token: string): Promise<void> {
    if (!this.#blobs.delete(token)) return;
    const sql =
      `UPDATE OR IGNORE ${this.#table} SET token = CAST(token AS TEXT) WHERE token = CAST(? AS BLOB)`;
    await this.#write(operation, sql, [token]);
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
    const kind = primary && !this.#driver.isLocal ? "transaction" : "read";
    return (await this.#send(operation, kind, [{ sql, args }], signal))[0]!.rows;
  }

  /** Sends a write, in one transaction with `more` where there are any, and tells how many rows it changed. */
  async #write(
    operation: StoreOperation,
    sql: string,
    args: SQLiteValue[],
    ...more: SQLiteStatement[]
  ): Promise<number> {
    const statements = [{ sql, args }, ...more].map(({ sql, args }) => ({ sql: `${sql} RETURNING 1`, args }));
    const kind = more.length > 0 ? "transaction" : "write";
    return (await this.#send(operation, kind, statements))[0]!.rows.length;
  }

  /** Sends statements, and reduces what is thrown. */
  async #send(
    operation: StoreOperation,
    kind: SQLiteKind,
    statements: SQLiteStatement[],
    signal?: AbortSignal,
  ): Promise<readonly SQLiteResult[]> {
    const driver = this.#driver;
    const { timeout } = this;
    try {
      // Less than the timeout: when the store gives up a lock it is certain that nothing was written.
      const lockWait = operation === "deleteExpired" ? PURGE_LOCK_WAIT : 0.8 * timeout;
      const work = sendWhenUnlocked(driver, statements, kind, lockWait, signal);
      return await (driver.isLocal ? work : waitFor(work, timeout, signal));
    } catch (error) {
      throw toStoreError(
        operation,
        error,
        kind !== "read" && operation !== "find",
        () => driver.classify?.(error) ?? classifySQLiteError(error, this.#name, this.schema()[2]!),
      );
    }
  }
}

/** Sends statements, and again while another connection holds the lock, for `lockWait` milliseconds. */
async function sendWhenUnlocked(
  driver: SQLiteDriver,
  statements: SQLiteStatement[],
  kind: SQLiteKind,
  lockWait: number,
  signal: AbortSignal | undefined,
): Promise<readonly SQLiteResult[]> {
  const started = performance.now();
  for (let attempt = 1;; attempt++) {
    if (signal?.aborted) throw new GaveUp("aborted");
    try {
      return await driver.send(statements, kind);
    } catch (error) {
      const ms = backoff(attempt, 2, driver.isLocal ? 8 : 100);
      if (!isBusy(error) || performance.now() + ms - started > lockWait) throw error;
      await pause(ms, signal);
    }
  }
}

/** A driver gives a BLOB as an array, a buffer or numbers. The caller owns what this returns. */
function toBytes(value: ArrayBuffer | ArrayLike<number>): Uint8Array {
  return new Uint8Array(value);
}

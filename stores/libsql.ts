/**
 * Sessions in libSQL or SQLite: over HTTP (Turso, libsql-server) or in a file beside the application. The table
 * is that of SCS's `sqlite3store`, which a Go service may share.
 *
 * ```ts
 * import { assertEquals } from "@std/assert";
 * import { createClient } from "@libsql/client";
 * import { sessions } from "@x/sessions";
 * import { LibSQLStore } from "@x/sessions/stores/libsql";
 *
 * const client = createClient({ url: ":memory:" });
 * const store = new LibSQLStore(client);
 * await store.createTable();
 *
 * const manager = sessions<{ name: string }>({ store });
 * const session = await manager.load();
 * session.put("name", "Zoë");
 * const { token } = await session.commit();
 * assertEquals((await manager.load(token)).get("name"), "Zoë");
 * client.close();
 * ```
 *
 * Over HTTP give the client a time limit, and on Workers keep it from queueing:
 * `createClient({ url, authToken, concurrency: Infinity, fetch: fetchWithTimeout(2_000) })` of
 * `@libsql/client/web`.
 *
 * @module
 */

import { Cleanup } from "../core/store/cleanup.ts";
import type { StoreErrorDetails, StoreOperation } from "../core/errors.ts";
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
import { FileDatabase } from "./_file_database.ts";
import { isBusy, whenUnlocked } from "./_locks.ts";
import { OptionsReader } from "../core/options/reader.ts";
import {
  batchSize,
  classifyStatus,
  PAGE_SIZE,
  readSqlOptions,
  type SqlStoreOptions,
  StatementRunner,
} from "./_sql.ts";

export { fetchWithTimeout } from "./_fetch_with_timeout.ts";
export type { SqlStoreOptions } from "./_sql.ts";

/** What goes into a statement. */
export type LibSQLValue = string | number | Uint8Array | null;

/** A statement with its parameters. */
export interface LibSQLStatement {
  /** The text, with `?1`, `?2`, ... for the parameters. */
  sql: string;
  /** The parameters. */
  args: LibSQLValue[];
}

/** What a statement gave. */
export interface LibSQLResult {
  /** Its rows, each with its columns by position. */
  readonly rows: readonly { readonly [column: number]: unknown }[];
}

/** What the store calls of an `@libsql/client`: any client of it fits. */
export interface LibSQLClient {
  /** Runs one statement. */
  execute(statement: LibSQLStatement): Promise<LibSQLResult>;
  /** Runs statements in one transaction. */
  batch(statements: LibSQLStatement[], mode: "write"): Promise<LibSQLResult[]>;
  /** `"file"` for a database in this process. */
  readonly protocol?: string;
  /** Runs statements without parameters. Needed for a database in a file. */
  executeMultiple?(sql: string): Promise<void>;
  /** Opens new connections. Needed for a database in a file. */
  reconnect?(): void | Promise<void>;
}

/** Options of {@linkcode LibSQLStore}. */
export type LibSQLStoreOptions = SqlStoreOptions;

/** From the start of SQLite's Julian days to the start of 1970, in milliseconds. */
const JULIAN_OFFSET = 210_866_760_000_000;

/** A parameter in milliseconds as the Julian day that SQLite's own `julianday()` makes of it, to the bit. */
const julianDay = (parameter: string) => `((${parameter} + ${JULIAN_OFFSET}) / 86400000.0)`;
// Not as an INTEGER: the client refuses one that is too large, and one such row would end every listing.
const EXPIRY_MS = `round(expiry * 86400000.0) - ${JULIAN_OFFSET}`;

/** How long a purge waits for a lock in milliseconds: who holds it for longer is at work himself, and it is his turn. */
const PURGE_PATIENCE = 10;

/** An index whose first column is the expiry, and that covers every row. */
const EXPIRY_INDEX = /\(\s*["`[]?expiry["`\]]?\s*(?:asc\b|desc\b)?\s*[,)](?!.*\bwhere\b)/is;

/**
 * Keeps sessions in a libSQL or SQLite table. Each call is one statement, and over HTTP one request.
 *
 * Writes are judged by the rows that `RETURNING` gives, never by a count: hosts have been seen to report 0 for a
 * write that happened.
 */
export class LibSQLStore implements AtomicStore, IterableStore, PurgingStore, SubjectStore {
  /** How long a call waits for the database, in milliseconds. */
  readonly timeout: number;
  readonly #client: LibSQLClient;
  readonly #table: string;
  readonly #name: string;
  readonly #runner: StatementRunner;
  readonly #cleanup: Cleanup;
  readonly #file: FileDatabase | undefined;
  #indexChecked = false;

  /**
   * @param client Any client of `@libsql/client`. The store never closes it. One for a file is best the store's own:
   * after a lock it may have to reconnect, which ends transactions that others have open on it.
   * @throws {SessionConfigError} An option is wrong.
   */
  constructor(client: LibSQLClient, options: LibSQLStoreOptions = {}) {
    const reader = new OptionsReader(options);
    if (typeof client?.execute !== "function" || typeof client.batch !== "function") {
      reader.problems.push(`"client" must be a client of @libsql/client`);
    }
    const settings = readSqlOptions(reader);
    reader.finish();
    this.#client = client;
    if (client.protocol === "file") this.#file = new FileDatabase(client);
    this.#name = settings.table;
    this.#table = `"${settings.table}"`;
    this.timeout = settings.timeout;
    this.#runner = new StatementRunner(settings.timeout, (error) => this.#classify(error));
    this.#cleanup = new Cleanup(settings.mode, settings.interval, (given) => this.deleteExpired(given));
  }

  /** The statements that make the table and its indexes, for a migration. */
  schema(): string[] {
    return [
      `CREATE TABLE IF NOT EXISTS ${this.#table} (token TEXT PRIMARY KEY, data BLOB NOT NULL, expiry REAL NOT NULL, subject TEXT)`,
      this.#expiryIndex(),
      this.#subjectIndex(),
    ];
  }

  /**
   * Makes the table and its indexes where they are missing. A table made by SCS serves as it is and needs no
   * call of this.
   */
  async createTable(): Promise<void> {
    const statements = this.schema().map((sql) => ({ sql, args: [] }));
    await this.#write("createTable", () => this.#client.batch(statements, "write"));
  }

  /** Gives a live row. */
  async find(token: string, options: FindOptions): Promise<StoredSession | undefined> {
    const statement = {
      sql: `SELECT data, ${EXPIRY_MS} FROM ${this.#table} WHERE token = ?1 AND expiry > ${julianDay("?2")}`,
      args: [token, options.now],
    };
    const { rows } = await this.#read("find", options.signal, async () => {
      // A batch that may write goes to the primary; a lone SELECT may be answered by a replica that lags.
      if (!options.primary || this.#file !== undefined) return await this.#client.execute(statement);
      return (await this.#client.batch([statement], "write"))[0]!;
    });
    this.#cleanup.notice("read", options);
    return rows[0] && { data: toBytes(rows[0][0]), expiry: Number(rows[0][1]) };
  }

  /** Inserts or overwrites. */
  async commit(token: string, data: Uint8Array, expiry: number, options: WriteOptions): Promise<void> {
    const { sql, args } = this.#insert(token, data, expiry, options.subject);
    const assignments = ["data", "expiry", ...(options.subject === undefined ? [] : ["subject"])]
      .map((column) => `${column} = excluded.${column}`);
    const upsert = `${sql} ON CONFLICT(token) DO UPDATE SET ${assignments.join(", ")} RETURNING 1`;
    await this.#execute("commit", upsert, args);
    this.#cleanup.notice("insert", options);
  }

  /** Inserts; `false` where the token exists. */
  async create(token: string, data: Uint8Array, expiry: number, options: WriteOptions): Promise<boolean> {
    const { sql, args } = this.#insert(token, data, expiry, options.subject);
    const rows = await this.#execute("create", `${sql} ON CONFLICT(token) DO NOTHING RETURNING 1`, args);
    this.#cleanup.notice("insert", options);
    return rows.length === 1;
  }

  /** Changes a live row that still holds the expected bytes. */
  async update(token: string, expected: Uint8Array, next: NextRow, options: TimedOptions): Promise<boolean> {
    const args: LibSQLValue[] = [token, expected, options.now, next.data];
    const assignments = ["data = ?4"];
    const set = (column: string, value: LibSQLValue, as = (parameter: string) => parameter) => {
      args.push(value);
      assignments.push(`${column} = ${as(`?${args.length}`)}`);
    };
    if (next.token !== undefined) set("token", next.token);
    if (next.expiry !== undefined) set("expiry", next.expiry, julianDay);
    if (next.subject !== undefined) set("subject", next.subject);
    const statement = {
      sql: `UPDATE OR IGNORE ${this.#table} SET ${assignments.join(", ")}` +
        ` WHERE token = ?1 AND data = ?2 AND expiry > ${julianDay("?3")} RETURNING 1`,
      args,
    };
    if (next.token === undefined || next.mark === undefined) {
      return (await this.#execute("update", statement.sql, args)).length === 1;
    }
    const mark = {
      // Only where the first statement has moved the row: the bytes that it wrote are like no others.
      sql: `INSERT OR IGNORE INTO ${this.#table} (token, data, expiry) SELECT ?1, ?2, ${julianDay("?3")}` +
        ` WHERE EXISTS (SELECT 1 FROM ${this.#table} WHERE token = ?4 AND data = ?5)`,
      args: [token, next.mark.data, next.mark.expiry, next.token, next.data],
    };
    const [updated] = await this.#write("update", () => this.#client.batch([statement, mark], "write"));
    return updated!.rows.length === 1;
  }

  /** Moves the expiry of a live row forward. */
  async touch(token: string, expiry: number, options: TimedOptions): Promise<void> {
    const sql = `UPDATE ${this.#table} SET expiry = ${julianDay("?2")}` +
      ` WHERE token = ?1 AND expiry > ${julianDay("?3")} AND expiry < ${julianDay("?2")}`;
    await this.#execute("touch", sql, [token, expiry, options.now]);
  }

  /** Deletes, and tells whether a row went. */
  async delete(token: string, _options?: StoreOptions): Promise<boolean> {
    const sql = `DELETE FROM ${this.#table} WHERE token = ?1 RETURNING 1`;
    return (await this.#execute("delete", sql, [token])).length === 1;
  }

  /** Every live row, in the order of the tokens, page by page. */
  all(options: TimedOptions): AsyncIterable<StoredRow> {
    return this.#pages("all", "", [], options);
  }

  /** Deletes expired rows, the longest expired first; never more than 1,000 at once. */
  async deleteExpired(options: DeleteExpiredOptions): Promise<number> {
    const { now, grace = 0, onEvent } = options;
    const limit = batchSize(options);
    const statement = {
      // Checked again outside, where a row is deleted. The plus keeps the planner from taking the index on expiry
      // there too, and with it from walking over every expired row.
      sql: `DELETE FROM ${this.#table} WHERE +expiry <= ${julianDay("?1")} AND token IN` +
        ` (SELECT token FROM ${this.#table} WHERE expiry <= ${julianDay("?1")} ORDER BY expiry LIMIT ?2)` +
        ` RETURNING 1`,
      args: [now - grace, limit],
    };
    if (this.#indexChecked || onEvent === undefined) {
      return (await this.#execute("deleteExpired", statement.sql, statement.args)).length;
    }
    const indexes = {
      sql: `SELECT sql FROM sqlite_schema WHERE type = 'index' AND lower(tbl_name) = lower(?1)`,
      args: [this.#name],
    };
    const [found, deleted] = await this.#write(
      "deleteExpired",
      () => this.#client.batch([indexes, statement], "write"),
    );
    this.#indexChecked = true;
    if (!found!.rows.some((row) => EXPIRY_INDEX.test(String(row[0])))) {
      onEvent({ kind: "missing-index", statement: this.#expiryIndex() });
    }
    return deleted!.rows.length;
  }

  /** Every live row of the subject, page by page. */
  findBySubject(subject: string, options: TimedOptions): AsyncIterable<StoredRow> {
    return this.#pages("findBySubject", " AND subject = ?4", [subject], options);
  }

  /** Deletes every row of the subject but one. */
  async deleteBySubject(subject: string, options: StoreOptions & { except?: string } = {}): Promise<number> {
    const sql = `DELETE FROM ${this.#table} WHERE subject = ?1 AND token IS NOT ?2 RETURNING 1`;
    return (await this.#execute("deleteBySubject", sql, [subject, options.except ?? null])).length;
  }

  /** Ends the clean-up for good. May be called at any time and more than once. */
  stopCleanup(): void {
    this.#cleanup.stop();
  }

  /** As {@linkcode LibSQLStore.stopCleanup}, for `using`. The client stays open. */
  [Symbol.dispose](): void {
    this.stopCleanup();
  }

  #insert(token: string, data: Uint8Array, expiry: number, subject: string | undefined): LibSQLStatement {
    const into = `INSERT INTO ${this.#table}`;
    const values = `?1, ?2, ${julianDay("?3")}`;
    if (subject === undefined) {
      return { sql: `${into} (token, data, expiry) VALUES (${values})`, args: [token, data, expiry] };
    }
    return {
      sql: `${into} (token, data, expiry, subject) VALUES (${values}, ?4)`,
      args: [token, data, expiry, subject],
    };
  }

  async #execute(operation: StoreOperation, sql: string, args: LibSQLValue[]): Promise<LibSQLResult["rows"]> {
    return (await this.#write(operation, () => this.#client.execute({ sql, args }))).rows;
  }

  async #write<T>(operation: StoreOperation, send: () => Promise<T>): Promise<T> {
    return await this.#runner.write(operation, () => this.#whenUnlocked(operation, true, send));
  }

  async #read<T>(
    operation: StoreOperation,
    signal: AbortSignal | undefined,
    send: () => Promise<T>,
  ): Promise<T> {
    return await this.#runner.read(
      operation,
      signal,
      () => this.#whenUnlocked(operation, false, send, signal),
    );
  }

  async #whenUnlocked<T>(
    operation: StoreOperation,
    writes: boolean,
    send: () => Promise<T>,
    signal?: AbortSignal,
  ): Promise<T> {
    // Less than the timeout: who gives up by himself knows that nothing was written.
    const patience = operation === "deleteExpired" ? PURGE_PATIENCE : 0.8 * this.timeout;
    const pause = this.#file === undefined ? 100 : 8;
    return await whenUnlocked(() => this.#file?.send(writes, send) ?? send(), { patience, pause, signal });
  }

  async *#pages(
    operation: StoreOperation,
    condition: string,
    args: LibSQLValue[],
    { now, signal }: TimedOptions,
  ): AsyncGenerator<StoredRow, void, undefined> {
    const sql = `SELECT token, data, ${EXPIRY_MS} FROM ${this.#table}` +
      ` WHERE token > ?1 AND expiry > ${julianDay("?2")}${condition} ORDER BY token LIMIT ?3`;
    let after = "";
    while (true) {
      const page = { sql, args: [after, now, PAGE_SIZE, ...args] };
      const { rows } = await this.#read(operation, signal, () => this.#client.execute(page));
      for (const row of rows) {
        yield { token: String(row[0]), data: toBytes(row[1]), expiry: Number(row[2]) };
      }
      if (rows.length < PAGE_SIZE) return;
      after = String(rows.at(-1)![0]);
    }
  }

  #expiryIndex(): string {
    return `CREATE INDEX IF NOT EXISTS "${this.#name}_expiry_idx" ON ${this.#table}(expiry)`;
  }

  #subjectIndex(): string {
    return `CREATE INDEX IF NOT EXISTS "${this.#name}_subject_idx" ON ${this.#table}(subject)` +
      " WHERE subject IS NOT NULL";
  }

  #classify(error: unknown): StoreErrorDetails | undefined {
    const { message = "", code = "", cause } = (error ?? {}) as {
      message?: unknown;
      code?: unknown;
      cause?: { status?: unknown };
    };
    const text = `${code} ${message}`;
    if (/no such table/i.test(text)) {
      const advice = `there is no table ${this.#name}; run createTable() of the store once`;
      return { reason: "schema", retryable: false, advice };
    }
    if (/(no such column|no column named):? "?subject/i.test(text)) {
      const advice =
        `the table has no column for subjects; run ALTER TABLE ${this.#table} ADD COLUMN subject TEXT; ` +
        this.#subjectIndex();
      return { reason: "schema", retryable: false, advice };
    }
    if (/no such column|no column named/i.test(text)) {
      return { reason: "schema", retryable: false, advice: "the table lacks a column" };
    }
    if (isBusy(error)) return { reason: "busy", retryable: true };
    if (code === "CLIENT_CLOSED") {
      return { reason: "rejected", retryable: false, advice: "the client is closed" };
    }
    if (/SQLITE_(AUTH|PERM|READONLY)/.test(text)) return { reason: "unauthorized", retryable: false };
    if (code === "BLOCKED") {
      return { reason: "unauthorized", retryable: false, advice: "the host has blocked the database" };
    }
    if (typeof cause?.status === "number") return classifyStatus(cause.status);
    if (code === "HRANA_PROTO_ERROR") return { reason: "malformed", retryable: true, ambiguous: true };
    if (/SQLITE_(IOERR|FULL|NOMEM|CANTOPEN|INTERRUPT)|TRANSACTION_TIMEOUT/.test(text)) {
      return { reason: "unreachable", retryable: true, ambiguous: true };
    }
    if (/SQLITE_|^SQL_[A-Z]+_/.test(text)) return { reason: "rejected", retryable: false };
  }
}

function toBytes(value: unknown): Uint8Array {
  if (value instanceof ArrayBuffer) return new Uint8Array(value);
  if (value instanceof Uint8Array) return value;
  // Someone else's row, with text where bytes belong.
  return new TextEncoder().encode(String(value));
}

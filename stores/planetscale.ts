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
import {
  assignments,
  isAscii,
  MySQLTable,
  noAnswer,
  type PlanetScaleClient,
  type PlanetScaleValue,
  rowWith,
  SUBJECT_IS,
  toBytes,
  toDateTime,
  TOKEN_IS,
} from "./_mysql_table.ts";
import { deleteInPasses } from "./_delete_in_passes.ts";
import { batchSize, PAGE_SIZE, type SqlStoreOptions } from "./_sql.ts";

export { fetchWithTimeout } from "./_fetch_with_timeout.ts";
export type {
  PlanetScaleClient,
  PlanetScaleExecuteOptions,
  PlanetScaleResult,
  PlanetScaleValue,
} from "./_mysql_table.ts";
export type { SqlStoreOptions } from "./_sql.ts";

/** Options of {@linkcode PlanetScaleStore}. */
export type PlanetScaleStoreOptions = SqlStoreOptions;

/**
 * Keeps sessions in a MySQL table. Each call is one statement, and one HTTP request. A renewal that leaves a mark is
 * two, and so is `deleteBySubject`. If the keyspace is sharded by `token`, Vitess refuses renewals: use the store of
 * `./stores/planetscale-sharded`.
 *
 * Times are UTC. On the `DATETIME(6)` column of {@linkcode PlanetScaleStore.schema} the server's time zone does not
 * matter. SCS's `TIMESTAMP(6)` follows the session's `time_zone` and ends in January 2038. On such a column the store
 * refuses any time zone but UTC, which PlanetScale has.
 */
export class PlanetScaleStore implements AtomicStore, IterableStore, PurgingStore, SubjectStore {
  /** How long a call waits for the database, in milliseconds. */
  readonly timeout: number;
  readonly #client: PlanetScaleClient;
  readonly #table: MySQLTable;
  readonly #cleanup: Cleanup;

  /**
   * @param client A `Client` of `@planetscale/database`, 1.20.2 or later: earlier versions allow SQL injection under
   * `NO_BACKSLASH_ESCAPES`. A `Connection` fits as well, but while a transaction is open on it the store's calls fail.
   * What the store wrote there would be invisible to others, and a ROLLBACK would undo logins and logouts.
   * @throws {SessionConfigError} An option is wrong.
   */
  constructor(client: PlanetScaleClient, options: PlanetScaleStoreOptions = {}) {
    this.#table = new MySQLTable(client, options);
    const { settings } = this.#table;
    this.timeout = settings.timeout;
    this.#client = client;
    this.#cleanup = new Cleanup(settings, (given) => this.deleteExpired(given));
  }

  /** The client and the table. A getter, so that a store in a log does not show the client's password. */
  get place(): { readonly of: object; readonly name: string } {
    return { of: this.#client, name: this.#table.settings.table };
  }

  /** The statements that make the table and its indexes, for a migration. */
  schema(): string[] {
    const table = this.#table;
    return [
      `CREATE TABLE IF NOT EXISTS ${table.name} (` +
      "token CHAR(43) CHARACTER SET ascii COLLATE ascii_bin PRIMARY KEY, data MEDIUMBLOB NOT NULL, " +
      "expiry DATETIME(6) NOT NULL, subject VARBINARY(255), " +
      `INDEX ${table.index("expiry")} (expiry), INDEX ${table.index("subject")} (subject))`,
    ];
  }

  /**
   * Makes the table and its indexes if there is none. A table made by SCS is accepted as it is, and another program's
   * table is refused.
   */
  async createTable(): Promise<void> {
    for (const statement of this.schema()) await this.#table.write("createTable", statement, []);
    await this.#table.check();
  }

  /** Gives a live row. */
  async find(token: string, options: FindOptions): Promise<StoredSession | undefined> {
    if (!isAscii(token)) return undefined;
    const condition = `${TOKEN_IS} AND expiry > ?`;
    const args = [token, token, toDateTime(options.now)];
    const [row] = await this.#table.select("find", condition, args, options.signal);
    this.#cleanup.notice("read", options);
    return row && { data: row.data, expiry: row.expiry };
  }

  /** Inserts or overwrites. */
  async commit(token: string, data: Uint8Array, expiry: number, options: WriteOptions): Promise<void> {
    const { subject } = options;
    const { sql, args } = assignments({ token, data, expiry, subject });
    // A collation may take another token for this one. Then the row of that token is left alone. VALUES(token) would not
    // do here, since MySQL has cut its trailing blanks.
    const columns = ["data", "expiry", ...(subject === undefined ? [] : ["subject"])];
    const onDuplicate = columns.map((column) => {
      args.push(token);
      return `${column} = IF(CAST(token AS BINARY) = CAST(? AS BINARY), VALUES(${column}), ${column})`;
    });
    const upsert = `INSERT INTO ${this.#table.name} SET ${sql} ON DUPLICATE KEY UPDATE ${onDuplicate.join()}`;
    const written = await this.#table.write("commit", upsert, args);
    // MySQL reports 0 for an upsert that changes nothing. An empty answer looks the same.
    if (written <= 0) {
      const isThere = await this.#table.hasAny("commit", `${TOKEN_IS} AND data = ?`, [token, token, data]);
      if (!isThere) throw noAnswer("commit", true);
    }
    this.#cleanup.notice("insert", options);
  }

  /** Inserts; `false` where the token exists. */
  async create(token: string, data: Uint8Array, expiry: number, options: WriteOptions): Promise<boolean> {
    const created = await this.#table.insert("create", { token, data, expiry, subject: options.subject });
    if (created) this.#cleanup.notice("insert", options);
    return created;
  }

  /** Changes a live row that still holds the expected bytes. A second statement leaves the mark. */
  async update(token: string, expected: Uint8Array, next: NextRow, options: TimedOptions): Promise<boolean> {
    if (!isAscii(token)) return false;
    const { mark } = next;
    const newToken = next.token === token ? undefined : next.token;
    const { sql, args } = assignments({ ...next, token: newToken });
    const update = `UPDATE ${this.#table.name} SET ${sql} WHERE ${TOKEN_IS} AND data = ? AND expiry > ?`;
    args.push(token, token, expected, toDateTime(options.now));
    if (await this.#table.write("update", update, args) <= 0) return false;
    // The renewal is done, even if leaving its mark fails.
    if (newToken !== undefined && mark !== undefined) {
      await this.#table.insert("update", { token, ...mark }).catch(() => {});
    }
    return true;
  }

  /** Moves the expiry of a live row forward. */
  async touch(token: string, expiry: number, options: TimedOptions): Promise<void> {
    if (!isAscii(token)) return;
    const sql = `UPDATE ${this.#table.name} SET expiry = ? WHERE ${TOKEN_IS} AND expiry > ? AND expiry < ?`;
    const until = toDateTime(expiry);
    await this.#table.write("touch", sql, [until, token, token, toDateTime(options.now), until]);
  }

  /** Deletes, and tells whether a row went; with `expected` only one that still holds these bytes. */
  async delete(
    token: string,
    { expected }: DeleteOptions = {},
  ): Promise<boolean> {
    if (!isAscii(token)) return false;
    const { sql, args } = rowWith(token, expected);
    return await this.#table.delete("delete", sql, args) > 0;
  }

  /** Every live row, in the order of the tokens, page by page. */
  all(options: TimedOptions): AsyncIterable<StoredRow> {
    return this.#pages("all", "", [], options);
  }

  /** Deletes expired rows, the longest expired first; never more than 1,000 at once. */
  async deleteExpired(options: DeleteExpiredOptions): Promise<number> {
    const { now, grace = 0 } = options;
    const table = this.#table;
    const until = [toDateTime(now - grace)];
    // In a wrong time zone it would delete live sessions, so until the zone is known the statement has a guard.
    const guard = table.zoneGuard;
    // One step: MySQL checks each row's expiry under the lock under which it deletes the row.
    const order = `${guard} ORDER BY expiry LIMIT ${batchSize(options)}`;
    const deleted = await table.delete("deleteExpired", "expiry <= ?", until, order);
    // The guard may be why nothing was deleted. This look finds out the zone: it throws if the zone is wrong. Where there
    // are such rows the zone does not matter, and the next statement has no guard.
    if (deleted === 0 && guard !== "" && await table.hasAny("deleteExpired", "expiry <= ?", until)) {
      return await this.deleteExpired(options);
    }
    await table.reportMissingIndex(options);
    return deleted;
  }

  /** Every live row of the subject, page by page. */
  findBySubject(subject: string, options: TimedOptions): AsyncIterable<StoredRow> {
    const bytes = toBytes(subject);
    return this.#pages("findBySubject", ` AND ${SUBJECT_IS}`, [bytes, bytes], options);
  }

  /** Deletes every row of the subject but one. */
  async deleteBySubject(
    subject: string,
    options: StoreOptions & { except?: string | undefined } = {},
  ): Promise<number> {
    const table = this.#table;
    const condition = `${SUBJECT_IS} AND CAST(token AS BINARY) <> CAST(? AS BINARY)`;
    const bytes = toBytes(subject);
    // No token is empty.
    const args = [bytes, bytes, options.except ?? ""];
    return await deleteInPasses(async () => {
      const deleted = await table.delete("deleteBySubject", condition, args);
      // Under READ COMMITTED a renewal may move a row to where the deletion has already been. A SELECT sees the table as
      // it is at one moment, so this one finds such a row.
      return { deleted, isDone: !(await table.hasAny("deleteBySubject", condition, args)) };
    });
  }

  /** Gives the subject of a row, for a `ShardedStore` on this store. */
  async subjectOf(token: string): Promise<string | undefined> {
    return isAscii(token) ? (await this.#table.ownerOf("find", token))?.subject : undefined;
  }

  /** Ends the clean-up for good. May be called at any time and more than once. */
  stopCleanup(): void {
    this.#cleanup.stop();
  }

  /** As {@linkcode PlanetScaleStore.stopCleanup}, for `using`. */
  [Symbol.dispose](): void {
    this.stopCleanup();
  }

  async *#pages(
    operation: "all" | "findBySubject",
    condition: string,
    args: PlanetScaleValue[],
    { now, signal }: TimedOptions,
  ): AsyncGenerator<StoredRow, void, undefined> {
    const where = `token > ? AND expiry > ?${condition} ORDER BY token LIMIT ${PAGE_SIZE}`;
    let after = "";
    while (true) {
      const rows = await this.#table.select(operation, where, [after, toDateTime(now), ...args], signal);
      yield* rows;
      if (rows.length < PAGE_SIZE) return;
      after = rows.at(-1)!.token;
    }
  }
}

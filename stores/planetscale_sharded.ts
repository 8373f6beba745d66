/**
 * Sessions in a PlanetScale keyspace that is sharded by `token`. There Vitess refuses to change a token in place.
 * For any other keyspace `./stores/planetscale` has a simpler store.
 *
 * ```ts
 * import { assertEquals } from "@std/assert";
 * import { Client } from "@planetscale/database";
 * import { sessions } from "@x/sessions";
 * import { fetchWithTimeout, ShardedPlanetScaleStore } from "@x/sessions/stores/planetscale-sharded";
 *
 * const client = new Client({ url: "mysql://user:password@host/", fetch: fetchWithTimeout(2_000) });
 * const manager = sessions({ store: new ShardedPlanetScaleStore(client) });
 * assertEquals((await manager.load()).status, "unmodified"); // nothing was asked of the database
 * ```
 *
 * @module
 */

import { asAmbiguous } from "../core/store/failure.ts";
import {
  type DeleteExpiredOptions,
  type DeleteOptions,
  type FindOptions,
  type NextRow,
  type StoredRow,
  type StoredSession,
  type StoreOptions,
  type TimedOptions,
  UNCHANGED,
} from "../core/store.ts";
import { isAscii, MySQLTable, rowWith, SUBJECT_IS, toBytes, toDateTime } from "./_mysql_table.ts";
import { deleteInPasses } from "./_delete_in_passes.ts";
import { MOVED_TAG, ShardedRenewal } from "./_sharded_renewal.ts";
import { batchSize } from "./_sql.ts";
import { type PlanetScaleClient, PlanetScaleStore, type PlanetScaleStoreOptions } from "./planetscale.ts";

export { fetchWithTimeout } from "./_fetch_with_timeout.ts";
export type {
  PlanetScaleClient,
  PlanetScaleExecuteOptions,
  PlanetScaleResult,
  PlanetScaleStoreOptions,
  PlanetScaleValue,
  SqlStoreOptions,
} from "./planetscale.ts";

/** Whether a row is what a renewal has left under an old token. */
const HAS_MOVED = `LEFT(data, ${MOVED_TAG.length}) = ?`;

/**
 * A {@linkcode PlanetScaleStore} whose renewals move a session from one shard to another.
 *
 * A renewal is four statements, or five where it names no new expiry or no subject. One of them is the switch: whatever
 * fails, exactly one of the two tokens works. A purge is two statements for each batch. `deleteBySubject` is two, or four
 * if the user has renewed a session within the last minute.
 */
export class ShardedPlanetScaleStore extends PlanetScaleStore {
  readonly #table: MySQLTable;
  readonly #renewal: ShardedRenewal;

  /**
   * @param client A `Client` of `@planetscale/database`, 1.20.2 or later.
   * @throws {SessionConfigError} An option is wrong.
   */
  constructor(client: PlanetScaleClient, options: PlanetScaleStoreOptions = {}) {
    super(client, options);
    this.#table = new MySQLTable(client, options);
    this.#renewal = new ShardedRenewal(this, {
      find: (token, now) => super.find(token, { now, primary: true }),
      lookAt: (token) => this.#table.ownerOf("update", token),
      insert: ({ token, data, expiry }, subject, now) => super.create(token, data, expiry, { now, subject }),
      replace: (token, expected, next, now) =>
        super.update(token, expected, { ...UNCHANGED, ...next }, { now }),
      remove: async (token, expected) => {
        const { sql, args } = rowWith(token, expected);
        await this.#table.delete("update", sql, args);
      },
    });
  }

  /** Gives a live row, or the mark that a renewal has left. */
  override async find(token: string, options: FindOptions): Promise<StoredSession | undefined> {
    const found = await super.find(token, options);
    return found && await this.#renewal.resolve({ token, ...found }, options.now);
  }

  /** Changes a live row that still holds the expected bytes. A renewal leaves its mark in the step that is the switch. */
  override async update(
    token: string,
    expected: Uint8Array,
    next: NextRow,
    options: TimedOptions,
  ): Promise<boolean> {
    const { token: newToken = token } = next;
    if (newToken === token) return await super.update(token, expected, next, options);
    return isAscii(token) &&
      await this.#renewal.renew(token, expected, { ...next, token: newToken }, options.now);
  }

  /**
   * Deletes, and tells whether a row went; with `expected` only one that still holds these bytes. A mark stays: a renewal
   * that is not complete needs its row.
   */
  override async delete(
    token: string,
    { expected }: DeleteOptions = {},
  ): Promise<boolean> {
    if (!isAscii(token)) return false;
    const { sql, args } = rowWith(token, expected);
    return await this.#table.delete("delete", `${sql} AND NOT ${HAS_MOVED}`, [...args, MOVED_TAG]) > 0;
  }

  /** Every live row, in the order of the tokens, page by page. */
  override all(options: TimedOptions): AsyncIterable<StoredRow> {
    return this.#renewal.resolveAll(super.all(options), options.now, { marks: true });
  }

  /**
   * Deletes expired rows, the longest expired first; never more than 1,000 at once. Vitess runs a `DELETE` with a `LIMIT`
   * in two steps, and the second one would delete a row that was touched between them. So this sends two statements, and
   * the second one checks the expiry again.
   */
  override async deleteExpired(options: DeleteExpiredOptions): Promise<number> {
    const until = toDateTime(options.now - (options.grace ?? 0));
    const condition = `expiry <= ? ORDER BY expiry LIMIT ${batchSize(options)}`;
    const rows = await this.#table.select("deleteExpired", condition, [until], undefined, "''");
    const tokens = rows.map(({ token }) => token);
    const among = `token IN (${tokens.map(() => "?").join()}) AND expiry <= ?`;
    const deleted = tokens.length === 0
      ? 0
      : await this.#table.delete("deleteExpired", among, [...tokens, until]);
    await this.#table.reportMissingIndex(options);
    return deleted;
  }

  /** Every live row of the subject, page by page. */
  override findBySubject(subject: string, options: TimedOptions): AsyncIterable<StoredRow> {
    const rows = super.findBySubject(subject, options);
    return this.#renewal.resolveAll(rows, options.now, { marks: false });
  }

  /** Deletes every row of the subject but one. Marks stay. */
  override async deleteBySubject(
    subject: string,
    options: StoreOptions & { except?: string | undefined } = {},
  ): Promise<number> {
    const condition = `${SUBJECT_IS} AND NOT ${HAS_MOVED} AND CAST(token AS BINARY) <> CAST(? AS BINARY)`;
    const bytes = toBytes(subject);
    const args = [bytes, bytes, MOVED_TAG, options.except ?? ""];
    let before: string[] = [];
    return await deleteInPasses(async () => {
      const deleted = await this.#table.delete("deleteBySubject", condition, args);
      // The shards are not visited at the same moment: a renewal may carry a session from one that comes later to one
      // that has had its turn. The row that it leaves behind shows it.
      const after = await this.#movedTokens(subject);
      const isDone = after.every((token) => before.includes(token));
      before = after;
      return { deleted, isDone };
    });
  }

  /** The tokens from which sessions of the subject have moved lately. */
  async #movedTokens(subject: string): Promise<string[]> {
    const bytes = toBytes(subject);
    const condition = `${SUBJECT_IS} AND ${HAS_MOVED}`;
    const args = [bytes, bytes, MOVED_TAG];
    try {
      const rows = await this.#table.select("deleteBySubject", condition, args, undefined, "''");
      return rows.map(({ token }) => token);
    } catch (error) {
      // Rows have been deleted before this.
      throw asAmbiguous(error);
    }
  }
}

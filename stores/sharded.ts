/**
 * Sessions on any number of databases, for more of them than one database can hold or write.
 *
 * ```ts
 * import { assertEquals } from "@std/assert";
 * import { MemoryStore, sessions } from "@x/sessions";
 * import { ShardedStore } from "@x/sessions/stores/sharded";
 *
 * const store = new ShardedStore([new MemoryStore(), new MemoryStore(), new MemoryStore()]);
 * const manager = sessions<{ name: string }>({ store });
 * const session = await manager.load();
 * session.put("name", "Zoë");
 * const { token } = await session.commit();
 * assertEquals((await manager.load(token)).get("name"), "Zoë");
 * ```
 *
 * @module
 */

import { SessionConfigError } from "../core/errors.ts";
import { hasMethods } from "../core/foreign.ts";
import {
  type AtomicStore,
  type DeleteExpiredOptions,
  type DeleteOptions,
  type FindOptions,
  type IterableStore,
  type NextRow,
  type PurgingStore,
  type StoredRow,
  type StoredSession,
  type StoreOptions,
  type SubjectStore,
  type TimedOptions,
  UNCHANGED,
  type WriteOptions,
} from "../core/store.ts";
import { asAmbiguous } from "../core/store/failure.ts";
import { DEFAULT_TIMEOUT } from "../core/store/operation.ts";
import { OptionsReader } from "../core/options/reader.ts";
import { deleteInPasses } from "./_delete_in_passes.ts";
import { hasMoved, ShardedRenewal } from "./_sharded_renewal.ts";

/** A store that can be part of a {@linkcode ShardedStore}: any store of this package that is not sharded itself. */
export interface Shard extends AtomicStore, IterableStore, PurgingStore, SubjectStore {
  /**
   * Gives the subject of a row. Without this method, a renewal that moves a session to another store and does not name the
   * subject loses it. The manager always names it.
   */
  subjectOf?(token: string): Promise<string | undefined>;
  /** Ends the store's own clean-up. */
  stopCleanup?(): void;
}

/** Options of {@linkcode ShardedStore}. */
export interface ShardedStoreOptions {
  /**
   * Another list of stores, by which sessions may have been placed: the list before a store was added, or the list that
   * other instances have already. A session that is not in its place by `stores` is looked for in its place by `also`,
   * and stays there.
   *
   * @default {[]}
   */
  also?: readonly Shard[] | undefined;
}

/** In so many passes a deletion spares rows that were written after they were listed. */
const PASSES_BY_ROW = 5;

/**
 * Spreads sessions over several stores by the hash of their tokens. A call for one session goes to one store. A call for
 * a subject goes to all stores at once, and a listing of all sessions to one store after the other.
 *
 * A renewal gives a session a new token, which mostly belongs to another store. It is then four calls, or six where it
 * names no new expiry or no subject. One of them is the switch: whatever fails, exactly one of the two tokens works. A
 * logout is two calls. `deleteBySubject` lists the subject's sessions on every store, deletes them one by one, and lists
 * again.
 *
 * The order of the stores decides where a session is. Add a store at the end, and name the old list in `also` until every
 * older session has expired.
 */
export class ShardedStore implements AtomicStore, IterableStore, PurgingStore, SubjectStore {
  /** The longest `timeout` of the stores, in milliseconds. `Infinity` only if all of them have that. */
  readonly timeout: number;
  /** Whether all of them are in this process. */
  readonly inProcess: boolean;
  /** Every store, once. */
  readonly parts: readonly Shard[];
  /** The list by which new sessions are placed, and then the list of `also`, which may be empty. */
  readonly #lists: readonly (readonly Shard[])[];
  readonly #renewal: ShardedRenewal;

  /**
   * Makes a store, and calls none of its stores yet.
   *
   * @param stores Each has a table of its own, and does its own clean-up.
   * @throws {SessionConfigError} There is no store, or a store lacks a method or is sharded itself.
   */
  constructor(stores: readonly Shard[], options: ShardedStoreOptions = {}) {
    const reader = new OptionsReader(options);
    const also = reader.read("also") ?? [];
    reader.reportUnknown();
    const problems = [
      ...problemsWith('"stores"', stores),
      ...(Array.isArray(also) && also.length === 0 ? [] : problemsWith('"also"', also)),
      ...reader.problems,
    ];
    if (problems.length > 0) throw new SessionConfigError(problems);
    // Another object for a table would have that table asked twice.
    const older = (also as Shard[]).map((shard) => stores.find((other) => isSame(other, shard)) ?? shard);
    this.#lists = [[...stores], older];
    this.parts = [...new Set(this.#lists.flat())];
    // A call may go to any of the stores. Without a limit of time one that hangs would not be noticed.
    const timeouts = this.parts.map(({ timeout }) => timeout ?? DEFAULT_TIMEOUT);
    const limits = timeouts.filter((timeout) => timeout !== Infinity);
    this.timeout = limits.length > 0 ? Math.max(...limits) : Infinity;
    this.inProcess = this.parts.every(({ timeout, inProcess }) => inProcess ?? timeout === Infinity);
    this.#renewal = new ShardedRenewal(this, {
      find: (token, now) => this.#find(token, { now, primary: true }),
      lookAt: (token, now) => this.#lookAt(token, now),
      insert: ({ token, data, expiry }, subject, now) =>
        this.#homeOf(token).create(token, data, expiry, { now, subject }),
      replace: (token, expected, next, now) =>
        this.#update(token, expected, { ...UNCHANGED, ...next }, { now }),
      remove: async (token, expected) => void await this.#delete(token, { expected }),
    });
  }

  /** Gives a live row, or the mark that a renewal has left. */
  async find(token: string, options: FindOptions): Promise<StoredSession | undefined> {
    const found = await this.#find(token, options);
    return found && await this.#renewal.resolve({ token, ...found }, options.now);
  }

  /** Inserts or overwrites. */
  async commit(token: string, data: Uint8Array, expiry: number, options: WriteOptions): Promise<void> {
    const [home, other] = this.#placesOf(token);
    await home!.commit(token, data, expiry, options);
    // A row there would be found again once the row at home is gone.
    await other?.delete(token, options);
  }

  /** Inserts; `false` where the token exists. */
  async create(token: string, data: Uint8Array, expiry: number, options: WriteOptions): Promise<boolean> {
    return await this.#homeOf(token).create(token, data, expiry, options);
  }

  /** Changes a live row that still holds the expected bytes. A renewal leaves its mark in the step that is the switch. */
  async update(token: string, expected: Uint8Array, next: NextRow, options: TimedOptions): Promise<boolean> {
    const { token: newToken = token } = next;
    const places = this.#placesOf(token);
    if (newToken === token || (places.length === 1 && places[0] === this.#homeOf(newToken))) {
      return await this.#update(token, expected, next, options);
    }
    return await this.#renewal.renew(token, expected, { ...next, token: newToken }, options.now);
  }

  /** Moves the expiry of a live row forward. */
  async touch(token: string, expiry: number, options: TimedOptions): Promise<void> {
    await Promise.all(this.#placesOf(token).map((shard) => shard.touch(token, expiry, options)));
  }

  /** Deletes, and tells whether a row went. A mark stays if a renewal that is not complete needs its row. */
  async delete(token: string, options?: DeleteOptions): Promise<boolean> {
    // An expired row is not found, and may go: no renewal needs it.
    const now = nowOf(options);
    const found = await this.#find(token, { ...options, now, primary: true });
    if (found && hasMoved(found.data) && !(await this.#renewal.settle(found.data, now))) return false;
    return await this.#delete(token, options);
  }

  /** Every live row, store by store and page by page. */
  async *all(options: TimedOptions): AsyncGenerator<StoredRow, void, undefined> {
    for (const shard of this.parts) {
      yield* this.#renewal.resolveAll(shard.all(options), options.now, { marks: true });
    }
  }

  /**
   * Deletes expired rows of all stores at once, the same number of each, and never more than 1,000 together.
   * `manager.purge()` does not call this: it purges each store by itself.
   */
  async deleteExpired(options: DeleteExpiredOptions): Promise<number> {
    const limit = Math.trunc(options.limit ?? 1_000);
    let shards = this.parts;
    let deleted = 0;
    while (shards.length > 0 && deleted < limit) {
      const left = limit - deleted;
      const asked = shards.slice(0, left);
      const share = Math.floor(left / asked.length);
      const counts = await Promise.all(
        asked.map((shard) => shard.deleteExpired({ ...options, limit: share })),
      );
      deleted += counts.reduce((sum, count) => sum + count, 0);
      shards = asked.filter((_, index) => counts[index]! >= share).concat(shards.slice(left));
    }
    return deleted;
  }

  /** Every live row of the subject. All stores are asked at once. */
  findBySubject(subject: string, options: TimedOptions): AsyncIterable<StoredRow> {
    return this.#renewal.resolveAll(this.#rowsOf(subject, options), options.now, { marks: false });
  }

  /** Deletes every row of the subject but one. Marks stay, unless a session is written all the time. */
  async deleteBySubject(
    subject: string,
    options: StoreOptions & { except?: string | undefined } = {},
  ): Promise<number> {
    const now = nowOf(options);
    let isBegun = false;
    let before: string[] = [];
    const end = async (row: StoredRow) => {
      // A pending row whose renewal has failed is deleted too, but counts as no session.
      const isSession = await this.#renewal.resolve(row, now) !== undefined;
      // A write that came after the listing may have given the session to another subject. The next pass lists the row
      // again if it still has this one.
      return await this.#delete(row.token, { ...options, expected: row.data }) && isSession;
    };
    try {
      return await deleteInPasses(async (pass) => {
        const rows: StoredRow[] = [];
        const moved: StoredRow[] = [];
        // With 0 for the time, expired rows are listed as well.
        for await (const row of this.#rowsOf(subject, { ...options, now: 0 })) {
          if (hasMoved(row.data)) moved.push(row);
          else if (row.token !== options.except) rows.push(row);
        }
        // A renewal may carry a session from a store that is listed later to one that was listed already. The row that
        // it leaves behind shows it.
        const isDone = rows.length === 0 && moved.every(({ token }) => before.includes(token));
        before = moved.map(({ token }) => token);
        isBegun ||= rows.length > 0;
        if (rows.length === 0 || pass <= PASSES_BY_ROW) {
          const ended = await Promise.all(rows.map(end));
          return { deleted: ended.filter(Boolean).length, isDone };
        }
        // A store tells the subject and deletes in one step, whatever is written meanwhile. It deletes moved rows as well,
        // so the renewals that need them are completed first.
        await Promise.all(moved.map(({ data }) => this.#renewal.settle(data, now)));
        const counts = await Promise.all(this.parts.map((shard) => shard.deleteBySubject(subject, options)));
        return { deleted: Math.min(rows.length, counts.reduce((sum, count) => sum + count)), isDone };
      });
    } catch (error) {
      throw isBegun ? asAmbiguous(error) : error;
    }
  }

  /** Ends the clean-up of every store for good. May be called at any time and more than once. */
  stopCleanup(): void {
    for (const shard of this.parts) shard.stopCleanup?.();
  }

  /** As {@linkcode ShardedStore.stopCleanup}, for `using`. */
  [Symbol.dispose](): void {
    this.stopCleanup();
  }

  /** The stores that may have a session. The first one is where it belongs. */
  #placesOf(token: string): Shard[] {
    const [home, other] = this.#lists.map((shards) => placeOf(token, shards));
    return other === undefined || other === home ? [home!] : [home!, other];
  }

  #homeOf(token: string): Shard {
    return placeOf(token, this.#lists[0]!);
  }

  /** Gives a row as it is. No row moves from one place of its token to the other, so none is missed. */
  async #find(token: string, options: FindOptions): Promise<StoredSession | undefined> {
    for (const shard of this.#placesOf(token)) {
      const found = await shard.find(token, options);
      if (found !== undefined) return found;
    }
  }

  async #update(token: string, expected: Uint8Array, next: NextRow, options: TimedOptions): Promise<boolean> {
    for (const shard of this.#placesOf(token)) {
      if (await shard.update(token, expected, next, options)) return true;
    }
    return false;
  }

  async #delete(token: string, options?: DeleteOptions): Promise<boolean> {
    const gone = await Promise.all(this.#placesOf(token).map((shard) => shard.delete(token, options)));
    return gone.includes(true);
  }

  async #lookAt(
    token: string,
    now: number,
  ): Promise<{ expiry: number; subject: string | undefined } | undefined> {
    for (const shard of this.#placesOf(token)) {
      const [found, subject] = await Promise.all([
        shard.find(token, { now, primary: true }),
        shard.subjectOf?.(token),
      ]);
      if (found !== undefined) return { expiry: found.expiry, subject };
    }
  }

  /** Gives the rows of a subject as they are. */
  async *#rowsOf(subject: string, options: TimedOptions): AsyncGenerator<StoredRow, void, undefined> {
    const listings = this.parts.map((shard) => {
      const rows = shard.findBySubject(subject, options)[Symbol.asyncIterator]();
      const first = rows.next();
      // It may fail while another one is awaited.
      first.catch(() => {});
      return { rows, first };
    });
    try {
      for (const { rows, first } of listings) {
        for (let step = await first; !step.done; step = await rows.next()) yield step.value;
      }
    } finally {
      for (const { rows } of listings) rows.return?.().catch(() => {});
    }
  }
}

/** The manager's time, which it passes to every call. A direct call need not pass one. */
function nowOf(options: StoreOptions = {}): number {
  return (options as Partial<TimedOptions>).now ?? Date.now();
}

const METHODS = [
  "find",
  "commit",
  "create",
  "update",
  "touch",
  "delete",
  "all",
  "deleteExpired",
  "findBySubject",
  "deleteBySubject",
] as const satisfies (keyof Shard)[];

function problemsWith(name: string, stores: unknown): string[] {
  if (!Array.isArray(stores) || stores.length === 0) return [`${name} must be a list of stores`];
  if (stores.some((store, index) => stores.findIndex((other) => isSame(other, store)) < index)) {
    return [`${name} must not have a store twice`];
  }
  return stores.flatMap((store, index) => {
    if (!hasMethods<Shard>(store, ...METHODS)) {
      return [`${name} ${index} must be a store with the methods ${METHODS.join(", ")}`];
    }
    return ShardedRenewal.isOf(store) ? [`${name} ${index} is sharded itself`] : [];
  });
}

/** Whether two stores keep their sessions in one table. */
function isSame(one: Shard, other: Shard): boolean {
  if (one === other) return true;
  const [place, there] = [one?.place, other?.place];
  return place !== undefined && place.of === there?.of && place.name === there.name;
}

/**
 * The store that a token belongs to. Each store draws a number for the token, and the highest one wins. So when a store is
 * added a token stays where it was or goes to the new store (rendezvous hashing).
 */
function placeOf(token: string, shards: readonly Shard[]): Shard {
  const hash = hashOf(token);
  let [place, highest] = [0, -1];
  for (let index = 0; index < shards.length; index++) {
    const drawn = mix(hash ^ Math.imul(index + 1, 0x9e3779b1));
    if (drawn > highest) [place, highest] = [index, drawn];
  }
  return shards[place]!;
}

/** FNV-1a, in 32 bits. */
function hashOf(token: string): number {
  let hash = 0x811c9dc5;
  for (let index = 0; index < token.length; index++) {
    hash = Math.imul(hash ^ token.charCodeAt(index), 0x01000193);
  }
  return hash;
}

/** Spreads the bits of a number, as the last step of MurmurHash3 does. */
function mix(bits: number): number {
  bits = Math.imul(bits ^ bits >>> 16, 0x85ebca6b);
  bits = Math.imul(bits ^ bits >>> 13, 0xc2b2ae35);
  return (bits ^ bits >>> 16) >>> 0;
}

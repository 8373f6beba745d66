/**
 * Sessions in this process, which end with it: for tests and for a single server.
 *
 * ```ts
 * import { assertEquals } from "@std/assert";
 * import { sessions } from "@x/sessions";
 * import { MemoryStore } from "@x/sessions/stores/memory";
 *
 * const manager = sessions({ store: new MemoryStore({ maxSessions: 10_000 }) });
 * assertEquals((await manager.load()).status, "unmodified");
 * ```
 *
 * @module
 */

import TinyQueue from "tinyqueue";
import { Cleanup, type CleanupOptions, readCleanupOptions } from "../core/store/cleanup.ts";
import { equalBytes } from "../core/bytes/equal.ts";
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
import { publicId } from "../core/bytes/token.ts";
import { OptionsReader } from "../core/options/reader.ts";

/** Options of {@linkcode MemoryStore}. */
export interface MemoryStoreOptions extends CleanupOptions {
  /**
   * How many sessions to hold at most, above 0. A full store drops an expired session first, else the one that
   * expires soonest, with an `evicted` event. The marks of renewals count as well, and go without an event.
   *
   * @default {100000}
   */
  maxSessions?: number | undefined;
}

interface Entry {
  data: Uint8Array;
  expiry: number;
  subject: string | undefined;
  /** Whether a renewal has left it under the old token. It is no session then. */
  isMark: boolean;
}

/** A minute. */
const CLEANUP_INTERVAL = 60_000;
const MAX_SESSIONS = 100_000;

/**
 * Keeps sessions in this process. Every call takes and gives copies of the bytes.
 *
 * @example Two sessions, one of them expired
 * ```ts
 * import { assertEquals } from "@std/assert";
 * import { MemoryStore } from "@x/sessions/stores/memory";
 *
 * const store = new MemoryStore();
 * await store.commit("a", new Uint8Array([1]), 1_000, { now: 0 });
 * await store.commit("b", new Uint8Array([2]), 2_000, { now: 0 });
 * assertEquals(await store.find("a", { now: 1_000 }), undefined);
 * assertEquals((await store.find("b", { now: 1_000 }))?.expiry, 2_000);
 * ```
 */
export class MemoryStore implements AtomicStore, IterableStore, PurgingStore, SubjectStore {
  /** A call waits for nothing, so it needs no limit. */
  readonly timeout: number = Infinity;
  readonly #entries = new Map<string, Entry>();
  /** The tokens of each subject. A subject without a session has no entry. */
  readonly #tokensOf = new Map<string, Set<string>>();
  /**
   * Tokens by expiry. When a session goes, or gets another expiry, its old place stays in the queue until it reaches
   * the top.
   */
  #queue = newQueue();
  readonly #maxSessions: number;
  readonly #cleanup: Cleanup;

  /** @throws {SessionConfigError} An option is wrong. */
  constructor(options: MemoryStoreOptions = {}) {
    const reader = new OptionsReader(options);
    const settings = readCleanupOptions(reader, CLEANUP_INTERVAL);
    this.#maxSessions = reader.count("maxSessions", MAX_SESSIONS);
    reader.finish();
    this.#cleanup = new Cleanup(settings, (given) => this.deleteExpired(given));
  }

  /**
   * How many rows are held: live sessions, expired ones that were not deleted yet, and the marks that renewals leave
   * under old tokens for a minute.
   */
  get size(): number {
    return this.#entries.size;
  }

  /** A copy of a live session. */
  // deno-lint-ignore require-await
  async find(token: string, options: FindOptions): Promise<StoredSession | undefined> {
    this.#cleanup.notice("read", options);
    const entry = this.#live(token, options.now);
    return entry && contentOf(entry);
  }

  /** Inserts or overwrites. */
  // deno-lint-ignore require-await
  async commit(token: string, data: Uint8Array, expiry: number, options: WriteOptions): Promise<void> {
    this.#cleanup.notice("insert", options);
    const { subject } = options;
    const entry = this.#entries.get(token);
    if (entry === undefined) this.#insert(token, newEntry(data, expiry, subject), options);
    else this.#change(token, entry, { data, expiry, subject });
  }

  /** Inserts; `false` where the token exists. */
  // deno-lint-ignore require-await
  async create(token: string, data: Uint8Array, expiry: number, options: WriteOptions): Promise<boolean> {
    if (this.#entries.has(token)) return false;
    this.#cleanup.notice("insert", options);
    this.#insert(token, newEntry(data, expiry, options.subject), options);
    return true;
  }

  /** Changes a live session that still holds the expected bytes, and leaves a mark in the same step. */
  // deno-lint-ignore require-await
  async update(token: string, expected: Uint8Array, next: NextRow, options: TimedOptions): Promise<boolean> {
    const entry = this.#live(token, options.now);
    if (entry === undefined || !equalBytes(entry.data, expected)) return false;
    const { token: newToken = token, mark } = next;
    if (newToken === token) {
      this.#change(token, entry, next);
      return true;
    }
    if (this.#entries.has(newToken)) return false;
    this.#remove(token, entry);
    // A full store makes room for both first, so that neither evicts the other.
    if (mark !== undefined && this.#maxSessions > 1) {
      if (this.#entries.size >= this.#maxSessions - 1) this.#evict(options);
      this.#insert(token, { ...newEntry(mark.data, mark.expiry), isMark: true }, options);
    }
    this.#insert(newToken, entry, options);
    this.#change(newToken, entry, next);
    return true;
  }

  /** Moves the expiry of a live session forward. */
  // deno-lint-ignore require-await
  async touch(token: string, expiry: number, options: TimedOptions): Promise<void> {
    const entry = this.#live(token, options.now);
    // Its place in the queue is corrected when it reaches the top, so most touches cost nothing there.
    if (entry !== undefined && entry.expiry < expiry) entry.expiry = expiry;
  }

  /** Deletes, and tells whether a session went; with `expected` only one that still holds these bytes. */
  // deno-lint-ignore require-await
  async delete(
    token: string,
    { expected }: DeleteOptions = {},
  ): Promise<boolean> {
    const entry = this.#entries.get(token);
    if (entry === undefined || (expected !== undefined && !equalBytes(entry.data, expected))) return false;
    this.#remove(token, entry);
    return true;
  }

  /** Every live session. One that comes or goes during the listing may be in it or not. */
  async *all({ now }: TimedOptions): AsyncGenerator<StoredRow, void, undefined> {
    // A copy of the tokens: a session that is deleted and made again meanwhile would be listed once more, without end.
    for (const token of [...this.#entries.keys()]) {
      const entry = this.#live(token, now);
      if (entry !== undefined) yield { token, ...contentOf(entry) };
    }
  }

  /** Deletes expired sessions, the longest expired first. */
  // deno-lint-ignore require-await
  async deleteExpired({ now, limit = 1_000, grace = 0 }: DeleteExpiredOptions): Promise<number> {
    let deleted = 0;
    while (deleted + 1 <= limit) {
      const first = this.#soonest();
      // Of a time that is not a number nothing can be said, so everything stays.
      if (first === undefined || !(first[1].expiry <= now - grace)) break;
      this.#remove(...first);
      deleted++;
    }
    return deleted;
  }

  /** Every live session of the subject. */
  async *findBySubject(subject: string, { now }: TimedOptions): AsyncGenerator<StoredRow, void, undefined> {
    for (const token of [...this.#tokensOf.get(subject) ?? []]) {
      const entry = this.#live(token, now);
      if (entry?.subject === subject) yield { token, ...contentOf(entry) };
    }
  }

  /** Deletes every session of the subject but one. */
  // deno-lint-ignore require-await
  async deleteBySubject(
    subject: string,
    options: StoreOptions & { except?: string | undefined } = {},
  ): Promise<number> {
    let deleted = 0;
    for (const token of this.#tokensOf.get(subject) ?? []) {
      if (token === options.except) continue;
      this.#remove(token, this.#entries.get(token)!);
      deleted++;
    }
    return deleted;
  }

  /** Gives the subject of a row, for a `ShardedStore` on this store. */
  // deno-lint-ignore require-await
  async subjectOf(token: string): Promise<string | undefined> {
    return this.#entries.get(token)?.subject;
  }

  /** Ends the clean-up for good. May be called at any time and more than once. */
  stopCleanup(): void {
    this.#cleanup.stop();
  }

  /** As {@linkcode MemoryStore.stopCleanup}, for `using`. */
  [Symbol.dispose](): void {
    this.stopCleanup();
  }

  #live(token: string, now: number): Entry | undefined {
    const entry = this.#entries.get(token);
    return entry !== undefined && now < entry.expiry ? entry : undefined;
  }

  /** Adds an entry under a token that has none. A full store evicts another entry for it. */
  #insert(token: string, entry: Entry, options: TimedOptions): void {
    if (this.#entries.size >= this.#maxSessions) this.#evict(options);
    this.#entries.set(token, entry);
    this.#queueUp(token, entry.expiry);
    this.#own(token, undefined, entry.subject);
  }

  /** Changes an entry. What is absent stays as it is. */
  #change(token: string, entry: Entry, { data, expiry, subject }: NextRow): void {
    entry.data = copyOf(data);
    entry.isMark = false;
    if (expiry !== undefined) {
      const isSooner = expiry < entry.expiry;
      entry.expiry = expiry;
      // A later one needs no new place: see `touch()`.
      if (isSooner) this.#queueUp(token, expiry);
    }
    if (subject === undefined || subject === entry.subject) return;
    this.#own(token, entry.subject, subject ?? undefined);
    entry.subject = subject ?? undefined;
  }

  #remove(token: string, entry: Entry): void {
    this.#entries.delete(token);
    this.#own(token, entry.subject, undefined);
  }

  /** Moves a token from one subject to another; `undefined` is nobody. */
  #own(token: string, before: string | undefined, after: string | undefined): void {
    if (before !== undefined) {
      const tokens = this.#tokensOf.get(before)!;
      tokens.delete(token);
      if (tokens.size === 0) this.#tokensOf.delete(before);
    }
    if (after !== undefined) this.#tokensOf.set(after, (this.#tokensOf.get(after) ?? new Set()).add(token));
  }

  #queueUp(token: string, expiry: number): void {
    this.#queue.push({ token, expiry });
    // Old places must not come to outnumber the sessions.
    if (this.#queue.length > 2 * this.#entries.size + 100) {
      this.#queue = newQueue(Array.from(this.#entries, ([token, { expiry }]) => ({ token, expiry })));
    }
  }

  #evict({ now, onEvent }: TimedOptions): void {
    // There is one: a store that is empty is not full.
    const [token, entry] = this.#soonest()!;
    this.#remove(token, entry);
    if (now < entry.expiry && !entry.isMark) onEvent?.({ kind: "evicted", id: publicId(token) });
  }

  /** The session that expires soonest. */
  #soonest(): [token: string, entry: Entry] | undefined {
    for (let place = this.#queue.peek(); place !== undefined; place = this.#queue.peek()) {
      const entry = this.#entries.get(place.token);
      if (entry?.expiry === place.expiry) return [place.token, entry];
      this.#queue.pop();
      if (entry !== undefined && entry.expiry > place.expiry) {
        this.#queue.push({ token: place.token, expiry: entry.expiry });
      }
    }
  }
}

function newQueue(places: { token: string; expiry: number }[] = []) {
  return new TinyQueue(places, (a, b) => a.expiry - b.expiry);
}

function newEntry(data: Uint8Array, expiry: number, subject?: string): Entry {
  return { data: copyOf(data), expiry, subject, isMark: false };
}

function contentOf({ data, expiry }: Entry): StoredSession {
  return { data: copyOf(data), expiry };
}

function copyOf(bytes: Uint8Array): Uint8Array {
  return new Uint8Array(bytes);
}

/**
 * Sessions kept in this process and gone when it ends: for tests and for a single server.
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
   * How many sessions to hold at the most, above 0. When it is full, expired ones go first, then the one that
   * expires soonest, with an `evicted` event.
   *
   * @default {100000}
   */
  maxSessions?: number | undefined;
}

interface Entry extends StoredSession {
  subject: string | null;
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
  /** Nothing here is ever waited for. */
  readonly timeout: number = Infinity;
  readonly #entries = new Map<string, Entry>();
  /** Tokens by expiry. An entry that moved or went leaves its place behind, to be noticed at the top. */
  #queue = newQueue();
  readonly #maxSessions: number;
  readonly #cleanup: Cleanup;

  /** @throws {SessionConfigError} An option is wrong. */
  constructor(options: MemoryStoreOptions = {}) {
    const reader = new OptionsReader(options);
    const { mode, interval } = readCleanupOptions(reader, CLEANUP_INTERVAL);
    this.#maxSessions = reader.count("maxSessions", MAX_SESSIONS);
    reader.finish();
    this.#cleanup = new Cleanup(mode, interval, (given) => this.deleteExpired(given));
  }

  /** How many sessions are held, expired ones that were not yet deleted included. */
  get size(): number {
    return this.#entries.size;
  }

  /** A copy of a live session. */
  // deno-lint-ignore require-await
  async find(token: string, options: FindOptions): Promise<StoredSession | undefined> {
    this.#cleanup.notice("read", options);
    const entry = this.#live(token, options.now);
    return entry && { data: new Uint8Array(entry.data), expiry: entry.expiry };
  }

  /** Inserts or overwrites. */
  // deno-lint-ignore require-await
  async commit(token: string, data: Uint8Array, expiry: number, options: WriteOptions): Promise<void> {
    const subject = options.subject ?? this.#entries.get(token)?.subject ?? null;
    this.#insert(token, { data: new Uint8Array(data), expiry, subject }, options);
  }

  /** Inserts; `false` where the token exists. */
  // deno-lint-ignore require-await
  async create(token: string, data: Uint8Array, expiry: number, options: WriteOptions): Promise<boolean> {
    if (this.#entries.has(token)) return false;
    this.#insert(token, { data: new Uint8Array(data), expiry, subject: options.subject ?? null }, options);
    return true;
  }

  /** Changes a live session that still holds the expected bytes. */
  // deno-lint-ignore require-await
  async update(token: string, expected: Uint8Array, next: NextRow, options: TimedOptions): Promise<boolean> {
    const entry = this.#live(token, options.now);
    if (entry === undefined || !equalBytes(entry.data, expected)) return false;
    const { token: newToken = token, expiry = entry.expiry, subject = entry.subject, mark } = next;
    if (newToken !== token) {
      if (this.#entries.has(newToken)) return false;
      this.#entries.delete(token);
      if (mark !== undefined) this.#set(token, { ...mark, data: new Uint8Array(mark.data), subject: null });
    }
    this.#set(newToken, { data: new Uint8Array(next.data), expiry, subject });
    return true;
  }

  /** Moves the expiry of a live session forward. */
  // deno-lint-ignore require-await
  async touch(token: string, expiry: number, options: TimedOptions): Promise<void> {
    const entry = this.#live(token, options.now);
    // Its old place in the queue is moved when it gets to the top: most touches then cost nothing there.
    if (entry !== undefined && entry.expiry < expiry) entry.expiry = expiry;
  }

  /** Deletes, and tells whether a session went. */
  // deno-lint-ignore require-await
  async delete(token: string, _options?: StoreOptions): Promise<boolean> {
    return this.#entries.delete(token);
  }

  /** Every live session. Those that come or go meanwhile may be among them or not. */
  async *all({ now }: TimedOptions): AsyncGenerator<StoredRow, void, undefined> {
    // The tokens of the start: a session that is saved meanwhile moves to the end, and would come again for ever.
    for (const token of [...this.#entries.keys()]) {
      const entry = this.#live(token, now);
      if (entry !== undefined) yield { token, data: new Uint8Array(entry.data), expiry: entry.expiry };
    }
  }

  /** Deletes expired sessions, the longest expired first. */
  // deno-lint-ignore require-await
  async deleteExpired({ now, limit = 1_000, grace = 0 }: DeleteExpiredOptions): Promise<number> {
    let deleted = 0;
    while (deleted < limit) {
      const first = this.#soonest();
      if (first === undefined || first.expiry > now - grace) break;
      this.#entries.delete(first.token);
      deleted++;
    }
    return deleted;
  }

  /** Every live session of the subject. */
  async *findBySubject(subject: string, { now }: TimedOptions): AsyncGenerator<StoredRow, void, undefined> {
    const tokens: string[] = [];
    for (const [token, entry] of this.#entries) if (entry.subject === subject) tokens.push(token);
    for (const token of tokens) {
      const entry = this.#live(token, now);
      if (entry?.subject === subject) yield { token, data: new Uint8Array(entry.data), expiry: entry.expiry };
    }
  }

  /** Deletes every session of the subject but one. */
  // deno-lint-ignore require-await
  async deleteBySubject(subject: string, options: StoreOptions & { except?: string } = {}): Promise<number> {
    let deleted = 0;
    for (const [token, entry] of this.#entries) {
      if (entry.subject !== subject || token === options.except) continue;
      this.#entries.delete(token);
      deleted++;
    }
    return deleted;
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

  #insert(token: string, entry: Entry, options: TimedOptions): void {
    this.#cleanup.notice("insert", options);
    if (!this.#entries.has(token) && this.#entries.size >= this.#maxSessions) this.#evict(options);
    this.#set(token, entry);
  }

  #set(token: string, entry: Entry): void {
    this.#entries.set(token, entry);
    this.#queue.push({ token, expiry: entry.expiry });
    // Places left behind by what was deleted or rewritten must not outgrow the sessions themselves.
    if (this.#queue.length > 2 * this.#entries.size + 100) this.#rebuildQueue();
  }

  #evict({ now, onEvent }: TimedOptions): void {
    const first = this.#soonest();
    if (first === undefined) return;
    this.#entries.delete(first.token);
    if (now < first.expiry) onEvent?.({ kind: "evicted", id: publicId(first.token) });
  }

  /** The session that expires soonest. */
  #soonest(): { token: string; expiry: number } | undefined {
    for (let place = this.#queue.peek(); place !== undefined; place = this.#queue.peek()) {
      const entry = this.#entries.get(place.token);
      if (entry?.expiry === place.expiry) return place;
      this.#queue.pop();
      if (entry !== undefined && entry.expiry > place.expiry) {
        this.#queue.push({ token: place.token, expiry: entry.expiry });
      }
    }
  }

  #rebuildQueue(): void {
    this.#queue = newQueue(Array.from(this.#entries, ([token, { expiry }]) => ({ token, expiry })));
  }
}

function newQueue(places: { token: string; expiry: number }[] = []) {
  return new TinyQueue(places, (a, b) => a.expiry - b.expiry);
}

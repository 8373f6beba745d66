import type { SessionErrorHook, SessionEventHook } from "./events.ts";

/** What may come with every call to a store. */
export interface StoreOptions {
  /** Stops waiting. A store need not be able to stop the work itself. */
  signal?: AbortSignal | undefined;
  /** Keeps a runtime alive for work that outlives the response, such as a lazy clean-up. */
  waitUntil?: ((work: Promise<unknown>) => void) | undefined;
  /** Where a store reports what it does by itself: evictions, purges, a missing index. */
  onEvent?: SessionEventHook | undefined;
  /** Where a store reports failures of work that nobody waits for. */
  onError?: SessionErrorHook | undefined;
}

/** Options of {@linkcode SessionStore.delete}. */
export interface DeleteOptions extends StoreOptions {
  /**
   * Deletes only a row that still holds these bytes, so that a logout leaves the mark of a login that came first. A store may
   * ignore it. Then such a logout deletes the mark as well, and the browser forgets the cookie of the login.
   */
  expected?: Uint8Array | undefined;
}

/** Options of a call that depends on the time. */
export interface TimedOptions extends StoreOptions {
  /** The time that decides what has expired, in milliseconds since the epoch. */
  now: number;
}

/** Options of {@linkcode SessionStore.find}. */
export interface FindOptions extends TimedOptions {
  /** Read what was last written, never a replica that may lag. Asked for after a conflict. */
  primary?: boolean | undefined;
}

/** Options of a call that writes a whole row. */
export interface WriteOptions extends TimedOptions {
  /** Whose session it is. Absent: the column is not mentioned at all. */
  subject?: string | undefined;
}

/** Options of {@linkcode PurgingStore.deleteExpired}. */
export interface DeleteExpiredOptions extends TimedOptions {
  /**
   * How many rows to delete at most.
   *
   * @default {1000}
   */
  limit?: number | undefined;
  /**
   * Rows that expired less than this many milliseconds ago stay.
   *
   * @default {0}
   */
  grace?: number | undefined;
}

/** A session as a store holds it. */
export interface StoredSession {
  /** What the codec made of the session. The caller owns these bytes. */
  data: Uint8Array;
  /** From this moment on the row is dead, in milliseconds since the epoch. */
  expiry: number;
}

/** A session and what it is found under. */
export interface StoredRow extends StoredSession {
  /** The token, or its hash where tokens are hashed. */
  token: string;
}

/**
 * What {@linkcode AtomicStore.update} writes. What is absent is not written at all: a database does more work for
 * each column that a statement names, changed or not.
 */
export interface NextRow {
  /** What the codec made of the session. */
  data: Uint8Array;
  /** A new token, which the session is found under from now on. */
  token?: string | undefined;
  /** The new expiry, in milliseconds since the epoch. */
  expiry?: number | undefined;
  /** Whose session it is; `null` empties the column. */
  subject?: string | null | undefined;
  /**
   * Comes with a new token: a row without a subject, to leave under the old one. A store writes both in one step if it can,
   * else the mark second. A mark lets nobody in, and tells a request with the old token that the session was renewed.
   */
  mark?: StoredSession | undefined;
}

/** A {@linkcode NextRow} that changes no column. Without own fields those of a polluted `Object.prototype` would count. */
export const UNCHANGED = {
  token: undefined,
  expiry: undefined,
  subject: undefined,
  mark: undefined,
} as const satisfies Omit<NextRow, "data">;

/**
 * The three calls of an SCS store. Enough for a custom store, where the last of several writers wins. The manager's
 * guarantees need an {@linkcode AtomicStore}.
 *
 * A rejected promise means that the system failed: a missing or expired session is not an error.
 */
export interface SessionStore {
  /** Where it keeps its sessions. Two stores with the same client and table share them. Absent: in this object alone. */
  readonly place?: { readonly of: object; readonly name: string } | undefined;
  /** The stores that this one is made of. No manager with another cookie may use them, and each is purged by itself. */
  readonly parts?: readonly SessionStore[] | undefined;
  /**
   * The longest that the manager waits for one operation, in milliseconds. Absent: 5,000. `Infinity` is for a store in
   * this process whose calls wait for nothing.
   */
  readonly timeout?: number | undefined;
  /**
   * Whether the store answers within this process. Requests that conflict then take turns without a timer.
   *
   * @default {timeout === Infinity}
   */
  readonly inProcess?: boolean | undefined;
  /** Gives a live row, else `undefined`. A row is dead when `now >= expiry`. Deletes nothing. */
  find(token: string, options: FindOptions): Promise<StoredSession | undefined>;
  /** Inserts or overwrites. */
  commit(token: string, data: Uint8Array, expiry: number, options: WriteOptions): Promise<void>;
  /** Deletes, and tells whether a row went. A missing row is not an error. */
  delete(token: string, options?: DeleteOptions): Promise<boolean>;
}

/** A store whose writes say what they expect, so that no update is lost and no ended session comes back. */
export interface AtomicStore extends SessionStore {
  /** Inserts; `false` if the token exists already, and then its row stays as it is. */
  create(token: string, data: Uint8Array, expiry: number, options: WriteOptions): Promise<boolean>;
  /**
   * Changes a row, its token included, in one step, if it is live at `now` and still holds the `expected` bytes.
   * Otherwise, and if the new token exists already, it writes nothing and returns `false`.
   */
  update(token: string, expected: Uint8Array, next: NextRow, options: TimedOptions): Promise<boolean>;
  /** Moves the expiry of a live row forward, never back, and never touches its data. */
  touch(token: string, expiry: number, options: TimedOptions): Promise<void>;
}

/** A store that can list its live sessions. */
export interface IterableStore extends SessionStore {
  /** Every row that is live at `now`, paged: it holds one page in memory at a time. */
  all(options: TimedOptions): AsyncIterable<StoredRow>;
}

/** A store that can delete what has expired. */
export interface PurgingStore extends SessionStore {
  /** Deletes at most `limit` rows whose expiry is at or before `now - grace`, and tells how many. */
  deleteExpired(options: DeleteExpiredOptions): Promise<number>;
}

/** A store that knows whose session a row is. */
export interface SubjectStore extends SessionStore {
  /** Every live row of the subject. */
  findBySubject(subject: string, options: TimedOptions): AsyncIterable<StoredRow>;
  /** Deletes every row of the subject but the one under `except`, and tells how many. */
  deleteBySubject(subject: string, options?: StoreOptions & { except?: string | undefined }): Promise<number>;
}

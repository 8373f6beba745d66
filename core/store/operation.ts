import { type SessionError, SessionStoreError, type StoreOperation } from "../errors.ts";
import type { SessionErrorHook, SessionEventHook } from "../events.ts";
import type { SessionSettings } from "../options/session_options.ts";
import {
  type AtomicStore,
  type FindOptions,
  type NextRow,
  type StoredRow,
  UNCHANGED,
  type WriteOptions,
} from "../store.ts";
import { asAmbiguous, isBusyFailure, toSessionError } from "./failure.ts";
import { assertSignal, backoff, type Growth, pause, waitFor } from "../wait.ts";

/** What may come with a call to the manager. */
export interface SessionContext {
  /**
   * Ends the waiting for the store, and further attempts. It does not end a logout. A write that was sent may happen all the
   * same, and its error is `ambiguous`.
   */
  readonly signal?: AbortSignal | undefined;
  /** Keeps a runtime alive for work that need not hold up the response (`ctx.waitUntil` of Workers). */
  readonly waitUntil?: ((work: Promise<unknown>) => void) | undefined;
}

/** The `waitUntil` of a context, which is called on the context itself: that of Workers throws otherwise. */
export function waitUntilOf(context: SessionContext): SessionContext["waitUntil"] {
  const { waitUntil } = context;
  return waitUntil && ((work) => waitUntil.call(context, work));
}

/**
 * How a call is sent.
 *
 * - `"read"`: sent again after a failure that may pass.
 * - `"page"`: a step of a listing, which cannot be sent again.
 * - `"once"`: a write that must not happen twice. Never sent again here: the commit first reads what it did.
 * - `"touch"`: a write whose loss costs little. Sent again only after a lock.
 * - `"repeatable"`: a write that may happen twice without harm. Sent again, even after the signal has aborted.
 */
type SendMode = "read" | "page" | "once" | "touch" | "repeatable";

/** How long an operation may take on a store that sets no `timeout`, in milliseconds. */
export const DEFAULT_TIMEOUT = 5_000;
/** How often a call is sent in all, if its failures may pass. */
export const ATTEMPTS = 3;
/** How pauses after a failure grow, in milliseconds. */
const AFTER_FAILURE: Growth = { base: 10, growth: 2, cap: 250 };

/**
 * One operation of the manager on its store: several calls, with retries and pauses, within one time limit. Whatever a store
 * throws becomes a `SessionError` without secrets.
 */
export class Operation {
  /** Whether a write failed that may have happened all the same. */
  inDoubt = false;
  readonly settings: SessionSettings;
  readonly context: SessionContext;
  readonly #store: AtomicStore;
  /** Whether a call may wait: for a network, or for another process. */
  readonly mayHang: boolean;
  /** Whether the store answers within this process. */
  readonly inProcess: boolean;
  /** When the time is up, by the monotonic clock. */
  #until = Infinity;
  /** The longest that a call has waited for a lock before it failed, in milliseconds. */
  #lockWait = 0;

  constructor(store: AtomicStore, settings: SessionSettings, context: SessionContext) {
    this.#store = store;
    this.settings = settings;
    this.context = context;
    assertSignal(context.signal);
    const { timeout = DEFAULT_TIMEOUT } = store;
    this.mayHang = timeout !== Infinity;
    this.inProcess = store.inProcess ?? !this.mayHang;
    if (this.mayHang) this.#until = performance.now() + timeout;
  }

  /** Reads a row. A replica that lags may answer. */
  find(token: string): Promise<StoredRow | undefined> {
    return this.#find(token, "read", undefined);
  }

  /** Reads a row on the primary. */
  findOnPrimary(token: string, mode: SendMode = "read"): Promise<StoredRow | undefined> {
    return this.#find(token, mode, true);
  }

  /** Inserts a row; `false` where the token exists. */
  create({ token, data, expiry }: StoredRow, subject: string | undefined): Promise<boolean> {
    return this.run("create", "once", (options) => {
      options.subject = subject;
      return this.#store.create(token, data, expiry, options);
    });
  }

  /** Changes a row; `false` where it no longer holds the bytes of `base`. */
  update({ token, data }: StoredRow, next: NextRow): Promise<boolean> {
    return this.run("update", "once", (options) => this.#store.update(token, data, next, options));
  }

  /**
   * Moves the expiry of a row; `false` if another request has written the row. A touch only moves it forward. After
   * `idleTimeout` was made shorter it has to move back, which an update does.
   */
  async touch({ token, data, expiry: before }: StoredRow, expiry: number): Promise<boolean> {
    return await this.run("touch", "touch", async (options) => {
      if (expiry < before) {
        return await this.#store.update(token, data, { ...UNCHANGED, data, expiry }, options);
      }
      await this.#store.touch(token, expiry, options);
      return true;
    });
  }

  /** Deletes a row, and tells whether one went; with `expected` only a row that still holds these bytes. */
  delete(token: string, expected?: Uint8Array): Promise<boolean> {
    return this.run("delete", "repeatable", (options) => {
      options.expected = expected;
      return this.#store.delete(token, options);
    });
  }

  /** Sends a call, and again as its mode allows. */
  async run<T>(
    name: StoreOperation,
    mode: SendMode,
    call: (options: CallOptions) => Promise<T>,
  ): Promise<T> {
    for (let attempt = 1;; attempt++) {
      try {
        return await this.#send(name, mode, call);
      } catch (error) {
        const failure = toSessionError(name, error, mode !== "read" && mode !== "page");
        this.inDoubt ||= failure instanceof SessionStoreError && failure.ambiguous;
        const again = isSentAgain(failure, mode) && attempt < ATTEMPTS &&
          await this.pause(attempt, AFTER_FAILURE, mode === "read" ? this.context.signal : undefined);
        if (!again) throw this.inDoubt ? asAmbiguous(failure) : failure;
      }
    }
  }

  /**
   * Waits before the next attempt; `false` if there is no time left for one. An attempt may wait for a lock as long as the
   * last one did, and needs time for that: if the time ran out while it waits, its write would be in doubt.
   */
  async pause(
    attempt: number,
    growth: Growth = AFTER_FAILURE,
    signal?: AbortSignal,
  ): Promise<boolean> {
    const now = performance.now();
    // A store in this process has no time limit for a call. Its retries have one.
    if (this.#until === Infinity) this.#until = now + DEFAULT_TIMEOUT;
    const left = this.#until - now - this.#lockWait;
    // The first pause leaves time for a second attempt.
    const cap = attempt === 1 ? Math.min(growth.cap, 0.8 * left) : growth.cap;
    const ms = backoff(attempt, { ...growth, cap });
    if (signal?.aborted || left <= ms) return false;
    await pause(ms, signal);
    return !signal?.aborted;
  }

  async #find(token: string, mode: SendMode, primary: true | undefined): Promise<StoredRow | undefined> {
    const now = this.settings.now();
    const found = await this.run("find", mode, (options) => {
      options.primary = primary;
      return this.#store.find(token, options);
    });
    // A store in JavaScript may give null, or not look at the expiry, which another program may have made a text.
    return found && now < found.expiry ? { token, data: found.data, expiry: found.expiry } : undefined;
  }

  #send<T>(
    name: StoreOperation,
    mode: SendMode,
    call: (options: CallOptions) => Promise<T>,
  ): Promise<T> {
    const signal = mode === "repeatable" ? undefined : this.context.signal;
    if (signal?.aborted) throw new SessionStoreError(name, { reason: "aborted", retryable: true });
    // Only a read gets the signal: aborting a write that was sent would leave it in doubt.
    const given = mode === "read" ? signal : undefined;
    const options = new CallOptions(this.settings, given, this.context);
    if (!this.mayHang && signal === undefined) return call(options);
    return this.#watch(() => call(options), signal);
  }

  /** Waits for a call until the time is up. */
  async #watch<T>(call: () => Promise<T>, signal: AbortSignal | undefined): Promise<T> {
    const started = performance.now();
    try {
      return await waitFor(call(), this.#until - started, signal);
    } catch (error) {
      if (isBusyFailure(error)) this.#lockWait = Math.max(this.#lockWait, performance.now() - started);
      throw error;
    }
  }
}

/** Whether a call is sent again after a failure. */
function isSentAgain(failure: SessionError, mode: SendMode): boolean {
  if (mode === "touch") return isBusyFailure(failure);
  if (mode === "once" || mode === "page") return false;
  return failure instanceof SessionStoreError && failure.retryable;
}

/** The options of a call to a store. */
class CallOptions implements FindOptions, WriteOptions {
  readonly now: number;
  readonly signal: AbortSignal | undefined;
  readonly onEvent: SessionEventHook | undefined;
  readonly onError: SessionErrorHook;
  primary: boolean | undefined;
  subject?: string | undefined;
  expected?: Uint8Array | undefined;
  readonly #context: SessionContext;

  constructor({ now, hooks }: SessionSettings, signal: AbortSignal | undefined, context: SessionContext) {
    this.now = now();
    this.signal = signal;
    this.onEvent = hooks.event;
    this.onError = hooks.error;
    this.#context = context;
  }

  /**
   * A getter, since a framework may throw if it has no `waitUntil`, and most calls do not need it. The getter is in a class:
   * V8 makes a hidden class for each literal with a getter, and that keeps the whole request alive.
   */
  get waitUntil(): SessionContext["waitUntil"] {
    return waitUntilOf(this.#context);
  }
}

import { SessionStoreError, type StoreOperation } from "../errors.ts";
import type { Hooks } from "../events.ts";
import type { SessionStore, TimedOptions } from "../store.ts";
import { inDoubt, isBusy, toSessionError } from "./failure.ts";
import { backoff, pause, waitFor } from "./wait.ts";

/** What may come with a call to the manager. */
export interface SessionContext {
  /** Stops waiting for the store and any further attempt; never a logout, nor a write that was sent. */
  signal?: AbortSignal;
  /** Keeps a runtime alive for work that need not hold up the response (`ctx.waitUntil` of Workers). */
  waitUntil?: (work: Promise<unknown>) => void;
}

/** The longest that the manager waits for one operation of a store that does not say. */
export const DEFAULT_TIMEOUT = 5_000;
/** What fails in passing, and may be sent again, is sent this often altogether. */
const ATTEMPTS = 3;

/**
 * One operation of the manager on its store: several calls, retries and pauses, within one span of time.
 * Whatever a store throws leaves here as a `SessionError` without secrets.
 */
export class StoreAccess {
  readonly context: SessionContext;
  readonly #hooks: Hooks;
  readonly #now: () => number;
  readonly #until: number;
  /** Whether a call may hang. */
  readonly #mayHang: boolean;
  /** How long the store has waited for a lock in vain, in milliseconds: it will wait as long again. */
  #waitedForLock = 0;

  constructor(store: SessionStore, hooks: Hooks, now: () => number, context: SessionContext = {}) {
    this.context = context;
    this.#hooks = hooks;
    this.#now = now;
    const { timeout = DEFAULT_TIMEOUT } = store;
    this.#mayHang = timeout !== Infinity;
    // Attempts end even where no single call needs watching.
    this.#until = performance.now() + (this.#mayHang ? timeout : DEFAULT_TIMEOUT);
  }

  /** How long to wait for a call that is made now, in milliseconds. */
  get patience(): number {
    return this.#mayHang ? this.#remaining : Infinity;
  }

  get #remaining(): number {
    return this.#until - performance.now();
  }

  /** Sends a read, and again after a failure that may pass. */
  async read<T>(operation: StoreOperation, call: (options: TimedOptions) => Promise<T>): Promise<T> {
    const { signal } = this.context;
    for (let attempt = 1;; attempt++) {
      try {
        return await this.#once(operation, signal, false, () => call(this.#options(signal)));
      } catch (error) {
        const passing = error instanceof SessionStoreError && error.retryable;
        if (!passing || attempt === ATTEMPTS || !(await this.retryAfter(attempt))) throw error;
      }
    }
  }

  /**
   * Sends a write once: whether to send it again is for the caller, who must read back first. The store gets no
   * signal, so that a write which was sent is not called back.
   */
  async write<T>(operation: StoreOperation, call: (options: TimedOptions) => Promise<T>): Promise<T> {
    return await this.#once(operation, this.context.signal, true, () => call(this.#options()));
  }

  /** Goes on sending a write where a lock was in the way, of a purge say: nothing was done then. */
  async unlessBusy<T>(write: () => Promise<T>): Promise<T> {
    for (let attempt = 1;; attempt++) {
      try {
        return await write();
      } catch (error) {
        if (!isBusy(error) || attempt === ATTEMPTS || !(await this.retryAfter(attempt))) throw error;
      }
    }
  }

  /**
   * Sends what may happen twice without harm, whatever the signal says, and again after a failure. An earlier attempt
   * may have done it `inDoubt`, so that the last one found nothing to do.
   */
  async insist<T>(
    operation: StoreOperation,
    call: (options: TimedOptions) => Promise<T>,
  ): Promise<{ result: T; inDoubt: boolean }> {
    let ambiguous = false;
    for (let attempt = 1;; attempt++) {
      try {
        const result = await this.#once(operation, undefined, true, () => call(this.#options()));
        return { result, inDoubt: ambiguous };
      } catch (error) {
        const passing = error instanceof SessionStoreError && error.retryable;
        ambiguous ||= error instanceof SessionStoreError && error.ambiguous;
        if (!passing || attempt === ATTEMPTS || !(await this.retryAfter(attempt, false))) {
          throw ambiguous ? inDoubt(error) : error;
        }
      }
    }
  }

  /**
   * Pauses before the next attempt; `false` where there is no time left for one. Where a store has waited for a lock
   * and says that nothing was written, one that is broken off would only make that uncertain.
   *
   * @param took How long the last attempt took, in milliseconds: those who collide on a slow store, or one that they
   * have made slow, must spread wider.
   */
  async retryAfter(attempt: number, heedSignal = true, took = 0): Promise<boolean> {
    const signal = heedSignal ? this.context.signal : undefined;
    const ms = backoff(attempt, Math.max(10, took), Math.max(250, 8 * took));
    if (signal?.aborted || this.#remaining <= ms + this.#waitedForLock) return false;
    await pause(ms, signal);
    return !signal?.aborted;
  }

  #options(signal?: AbortSignal): TimedOptions {
    const { event, error } = this.#hooks;
    const { context } = this;
    return {
      now: this.#now(),
      signal,
      // Looked for where it is needed, which is seldom: a framework may have to throw to say that there is none.
      get waitUntil() {
        const { waitUntil } = context;
        // Called on its own object, as that of Workers must be.
        return waitUntil && ((work: Promise<unknown>) => waitUntil.call(context, work));
      },
      onEvent: event,
      onError: error,
    };
  }

  async #once<T>(
    operation: StoreOperation,
    signal: AbortSignal | undefined,
    writes: boolean,
    call: () => Promise<T>,
  ): Promise<T> {
    if (signal?.aborted) {
      throw new SessionStoreError(operation, { reason: "aborted", retryable: true });
    }
    const started = performance.now();
    try {
      return await waitFor(call(), this.patience, signal);
    } catch (error) {
      const failure = toSessionError(operation, error, writes);
      if (isBusy(failure)) {
        this.#waitedForLock = Math.max(this.#waitedForLock, performance.now() - started);
      }
      throw failure;
    }
  }
}

import { type SessionError, SessionStoreError, type StoreOperation } from "../errors.ts";
import type { Hooks, SessionErrorHook, SessionEventHook } from "../events.ts";
import type { FindOptions, SessionStore, WriteOptions } from "../store.ts";
import { inDoubt, isBusyFailure, toSessionError } from "./failure.ts";
import { backoff, pause, waitFor } from "../wait.ts";

/** What may come with a call to the manager. */
export interface SessionContext {
  /** Stops waiting for the store and any further attempt; never a logout, nor a write that was sent. */
  readonly signal?: AbortSignal | undefined;
  /** Keeps a runtime alive for work that need not hold up the response (`ctx.waitUntil` of Workers). */
  readonly waitUntil?: ((work: Promise<unknown>) => void) | undefined;
}

/**
 * How a call is sent.
 *
 * - `"read"`: sent again after a failure that may pass.
 * - `"page"`: a step of a listing, which cannot be sent again.
 * - `"once"`: a write that must not happen twice. Whoever sends it again looks first at what it did.
 * - `"touch"`: a write that is no great loss. Sent again only where a lock was in the way.
 * - `"repeatable"`: a write that may happen twice without harm. Sent again, and whatever the signal says.
 */
export type SendMode = "read" | "page" | "once" | "touch" | "repeatable";

/** The longest that the manager waits for one operation of a store that does not say, in milliseconds. */
export const DEFAULT_TIMEOUT = 5_000;
/** How often a call is sent altogether where its failure may pass. */
export const ATTEMPTS = 3;
/** How pauses grow: from `base` by the factor `growth` up to `cap`, in milliseconds. */
export interface Growth {
  base: number;
  growth: number;
  cap: number;
}

/** How pauses after a failure grow. */
const AFTER_FAILURE: Growth = { base: 10, growth: 2, cap: 250 };

/**
 * One operation of the manager on its store: several calls, retries and pauses, within one span of time.
 * Whatever a store throws leaves here as a `SessionError` without secrets.
 */
export class Operation {
  /** Whether an attempt at a write failed that may have been carried out all the same. */
  inDoubt = false;
  readonly #context: SessionContext;
  readonly #hooks: Hooks;
  readonly #now: () => number;
  /** Whether a call may hang; `false` where the store answers in this process. */
  readonly mayHang: boolean;
  /** When the time is up, by the clock that is never set back. */
  #until = Infinity;
  /** How long the store has waited for a lock before it gave up, in milliseconds. It will wait as long again. */
  #lockWait = 0;

  constructor(store: SessionStore, hooks: Hooks, now: () => number, context: SessionContext) {
    this.#context = context;
    this.#hooks = hooks;
    this.#now = now;
    const { timeout = DEFAULT_TIMEOUT } = store;
    this.mayHang = timeout !== Infinity;
    if (this.mayHang) this.#until = performance.now() + timeout;
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
        const again = mayPass(failure, mode) && attempt < ATTEMPTS &&
          await this.pause(attempt, AFTER_FAILURE, mode === "read" ? this.#context.signal : undefined);
        if (!again) throw this.inDoubt ? inDoubt(failure) : failure;
      }
    }
  }

  /**
   * Pauses before the next attempt; `false` where there is no time left for one. Where a store has waited for a lock
   * and says that nothing was written, one that is broken off would only make that uncertain.
   */
  async pause(
    attempt: number,
    { base, cap, growth }: Growth = AFTER_FAILURE,
    signal?: AbortSignal,
  ): Promise<boolean> {
    const now = performance.now();
    // Attempts end even where no single call needs watching.
    if (this.#until === Infinity) this.#until = now + DEFAULT_TIMEOUT;
    const left = this.#until - now - this.#lockWait;
    // The first pause leaves some of the time, so that there is a second attempt at least.
    const ms = backoff(attempt, base, attempt === 1 ? Math.min(cap, 0.8 * left) : cap, growth);
    if (signal?.aborted || left <= ms) return false;
    await pause(ms, signal);
    return !signal?.aborted;
  }

  #send<T>(
    name: StoreOperation,
    mode: SendMode,
    call: (options: CallOptions) => Promise<T>,
  ): Promise<T> {
    const signal = mode === "repeatable" ? undefined : this.#context.signal;
    if (signal?.aborted) throw new SessionStoreError(name, { reason: "aborted", retryable: true });
    // The store gets no signal for a write: one that was sent is not called back.
    const given = mode === "read" ? signal : undefined;
    const options = new CallOptions(this.#now(), given, this.#hooks, this.#context);
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
function mayPass(failure: SessionError, mode: SendMode): boolean {
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
  primary?: boolean;
  subject?: string | undefined;
  expected?: Uint8Array | undefined;
  readonly #context: SessionContext;

  constructor(now: number, signal: AbortSignal | undefined, hooks: Hooks, context: SessionContext) {
    this.now = now;
    this.signal = signal;
    this.onEvent = hooks.event;
    this.onError = hooks.error;
    this.#context = context;
  }

  /**
   * Looked for where it is needed, which is seldom: a framework may have to throw to say that there is none. A getter of
   * a class, since one in a literal keeps the whole request alive (V8 makes a hidden class for each).
   */
  get waitUntil(): SessionContext["waitUntil"] {
    const { waitUntil } = this.#context;
    // Called on its own object, as that of Workers must be.
    return waitUntil && ((work) => waitUntil.call(this.#context, work));
  }
}

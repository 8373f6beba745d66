import type { AnySessionError } from "../errors.ts";
import type { OptionsReader } from "../options/reader.ts";
import { purge, type PurgeEnvironment, type PurgeOptions } from "./purge.ts";
import type { DeleteExpiredOptions, TimedOptions } from "../store.ts";
import { toSessionError } from "./failure.ts";
import { tryCall } from "../foreign.ts";
import { pauseInBackground } from "../wait.ts";

/**
 * When a store deletes expired sessions by itself.
 *
 * - `"lazy"`: some inserts and reads, chosen by chance, start a bounded deletion and do not wait for it; see
 *   {@linkcode isPurgeDue}.
 * - `"timer"`: every `cleanupInterval`, from the first use until `stopCleanup()`. For long-lived processes.
 * - `"off"`: never; a scheduled handler does it.
 */
export type CleanupMode = "lazy" | "timer" | "off";

/** One in so many inserts starts a lazy deletion of up to 200 rows: twice as many as were inserted. */
const INSERTS_PER_PURGE = 100;
/** Reads start fewer. They add no row, but a site that only reads has expired rows too. */
const READS_PER_PURGE = 1_000;
/** About 30 ms in a table of a million rows. */
export const LAZY_BATCH = 200;

/** What {@linkcode isPurgeDue} decides by. */
interface PurgeOccasion {
  /** What the store is asked to do. */
  operation: "insert" | "read";
  /** Milliseconds since a purge of this instance that found few rows; `Infinity` if there was none. */
  sinceLast: number;
  /** The least time between two purges of one instance, unless the first one found many rows, in milliseconds. */
  interval: number;
  /** From 0 up to 1. */
  random: number;
}

/**
 * Whether a read or an insert starts a lazy purge. One insert in a hundred does, and one read in a thousand. None does if this
 * instance has purged within the interval and found little.
 *
 * Instances do not know of each other, so chance decides for each operation, and never the age of an instance. Ten thousand
 * instances of five requests purge as often as one instance of fifty thousand, even if all start at once.
 */
export function isPurgeDue({ operation, sinceLast, interval, random }: PurgeOccasion): boolean {
  // A clock that was set back does not tell how long ago it was.
  if (sinceLast >= 0 && sinceLast < interval) return false;
  return random < 1 / (operation === "insert" ? INSERTS_PER_PURGE : READS_PER_PURGE);
}

/** The options that every store takes for its clean-up. */
export interface CleanupOptions {
  /**
   * When to delete expired sessions.
   *
   * @default {"lazy"}
   */
  cleanup?: CleanupMode | undefined;
  /**
   * With `"timer"` the time between two clean-ups, with `"lazy"` the least time between two of one instance.
   * Milliseconds, or text such as `"5m"`; 0 turns the clean-up off.
   *
   * @default {"5m"} in SQL stores, `"1m"` in memory
   */
  cleanupInterval?: number | string | undefined;
}

/** Clean-up options, checked. */
export interface CleanupSettings {
  readonly mode: CleanupMode;
  readonly interval: number;
}

/** Reads the clean-up options of a store. `interval` is the default of that store, in milliseconds. */
export function readCleanupOptions(reader: OptionsReader, interval: number): CleanupSettings {
  return {
    mode: reader.oneOf<CleanupMode>("cleanup", "lazy", ["lazy", "timer", "off"]),
    interval: reader.duration("cleanupInterval", interval),
  };
}

/** A failed timer run doubles the pause before the next one, up to this many times. */
const MOST_DOUBLINGS = 5;
/** A lazy purge that has not ended by then never will: on Workers it ends with its request. */
const ABANDONED_MS = 60_000;

/** What a store was given to tell of a clean-up. */
type Hooks = Pick<TimedOptions, "onEvent" | "onError">;

/** Deletes expired rows of one store when its mode says so; never two deletions at a time. */
export class Cleanup {
  #mode: CleanupMode;
  readonly #interval: number;
  readonly #deleteExpired: (options: DeleteExpiredOptions) => Promise<number>;
  /** The hooks of the last call to the store. */
  #hooks: Hooks = {};
  /** How far the manager's clock is ahead of the real one: tests set it. */
  #ahead = 0;
  #ticking: AbortController | undefined;
  /** When the lazy purge that is under way began. */
  #since: number | undefined;
  /** When the last lazy purge began, if it found few rows. */
  #last = -Infinity;

  constructor(
    { mode, interval }: CleanupSettings,
    deleteExpired: (options: DeleteExpiredOptions) => Promise<number>,
  ) {
    this.#mode = interval === 0 ? "off" : mode;
    this.#interval = interval;
    this.#deleteExpired = deleteExpired;
  }

  /** Called by the store with each insert and read; returns at once and never throws. */
  notice(operation: PurgeOccasion["operation"], options: TimedOptions): void {
    if (this.#mode === "off") return;
    if (this.#mode === "timer") return this.#keepTicking(options);
    const { now } = options;
    if (this.#since !== undefined && Math.abs(now - this.#since) < ABANDONED_MS) return;
    const due = isPurgeDue({
      operation,
      sinceLast: now - this.#last,
      interval: this.#interval,
      random: Math.random(),
    });
    if (!due) return;
    const work = this.#purgeOnce(options);
    // If the request is over, the purge may end early, which does no harm.
    tryCall(() => options.waitUntil?.(work));
  }

  /** Ends the timer and every further clean-up. A second call does nothing. */
  stop(): void {
    this.#mode = "off";
    this.#ticking?.abort();
  }

  /** One statement. Never rejects. */
  async #purgeOnce({ now, onEvent, onError }: TimedOptions): Promise<void> {
    this.#since = now;
    this.#last = now;
    const environment = { now: () => now, onEvent, onError, firstBatch: LAZY_BATCH };
    const deleted = await this.#purge({ maxStatements: 1 }, environment);
    // More rows are likely: the next purge need not wait.
    if (deleted >= LAZY_BATCH) this.#last = -Infinity;
    if (this.#since === now) this.#since = undefined;
  }

  #keepTicking({ now, onEvent, onError }: TimedOptions): void {
    this.#hooks = { onEvent, onError };
    this.#ahead = now - Date.now();
    if (this.#ticking !== undefined) return;
    this.#ticking = new AbortController();
    this.#tick(this.#ticking.signal);
  }

  /** Pauses and purges in turn until the signal aborts. Never rejects. */
  async #tick(signal: AbortSignal): Promise<void> {
    let failures = 0;
    while (true) {
      await pauseInBackground(this.#interval * 2 ** Math.min(failures, MOST_DOUBLINGS), signal);
      if (signal.aborted) return;
      const environment = { ...this.#hooks, now: () => Date.now() + this.#ahead, rest: pauseInBackground };
      const deleted = await this.#purge({ budget: Infinity, signal }, environment);
      failures = deleted < 0 ? failures + 1 : 0;
    }
  }

  /** Gives how many rows were deleted; -1 after a failure, which it reports. Never rejects. */
  async #purge(options: PurgeOptions, environment: PurgeEnvironment & Hooks): Promise<number> {
    const store = { deleteExpired: this.#deleteExpired, timeout: Infinity };
    try {
      return (await purge(store, options, environment)).deleted;
    } catch (error) {
      const failure = toSessionError("deleteExpired", error, false) as AnySessionError;
      tryCall(() => environment.onError?.(failure, { phase: "cleanup" }));
      return -1;
    }
  }
}

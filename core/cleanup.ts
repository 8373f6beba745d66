import { SessionError } from "./errors.ts";
import type { SessionErrorHook, SessionEventHook } from "./events.ts";
import type { DeleteExpiredOptions, TimedOptions } from "./store.ts";
import { toSessionError } from "./store_access.ts";
import { LONGEST_TIMER } from "./wait.ts";

/**
 * When a store deletes what has expired by itself.
 *
 * - `"lazy"`: an insert or a read now and then starts a deletion that it does not wait for.
 * - `"timer"`: every `cleanupInterval`, from the first use until `stopCleanup()`. For long-lived processes.
 * - `"off"`: never; a scheduled handler does it.
 */
export type CleanupMode = "lazy" | "timer" | "off";

/** One in so many inserts starts a lazy deletion: of up to 1,000 rows, so deletions outrun inserts tenfold. */
const INSERTS_PER_PURGE = 100;
/** Reads start fewer: they add no row, but a site that only reads must come clean as well. */
const READS_PER_PURGE = 1_000;
const BATCH = 1_000;

/** What {@linkcode isPurgeDue} goes by. */
export interface PurgeOccasion {
  /** What the store is asked to do. */
  operation: "insert" | "read";
  /** Milliseconds since this instance last purged; `Infinity` if never. */
  sinceLast: number;
  /** Whether that purge found as many rows as it may delete at once, so that more are likely. */
  moreLikely: boolean;
  /** The least time between two purges of one instance, unless more rows are likely, in milliseconds. */
  interval: number;
  /** From 0 up to 1. */
  random: number;
}

/**
 * Whether a read or an insert is to start a lazy purge. No instance knows of the others, so the rule goes by
 * chance per operation, never by an instance's age: an instance that serves five requests takes its part, and
 * ten thousand of them purge as often as one that serves as many requests.
 */
export function isPurgeDue({ operation, sinceLast, moreLikely, interval, random }: PurgeOccasion): boolean {
  if (sinceLast < interval && !moreLikely) return false;
  return random < 1 / (operation === "insert" ? INSERTS_PER_PURGE : READS_PER_PURGE);
}

/** The options that every store takes for its clean-up. */
export interface CleanupOptions {
  /**
   * When to delete expired sessions.
   *
   * @default {"lazy"}
   */
  cleanup?: CleanupMode;
  /**
   * With `"timer"` the time between two clean-ups, with `"lazy"` the least time between two of one instance.
   * Milliseconds, or text such as `"5m"`; 0 turns the clean-up off.
   *
   * @default {"5m"} in SQL stores, `"1m"` in memory
   */
  cleanupInterval?: number | string;
}

/** Deletes expired rows of one store, when its mode says so, at most one batch at a time. */
export class Cleanup {
  readonly #mode: CleanupMode;
  readonly #interval: number;
  readonly #deleteExpired: (options: DeleteExpiredOptions) => Promise<number>;
  #timer: ReturnType<typeof setTimeout> | undefined;
  #stopped = false;
  #running = false;
  #last = -Infinity;
  #moreLikely = false;
  #failures = 0;

  constructor(
    mode: CleanupMode,
    interval: number,
    deleteExpired: (options: DeleteExpiredOptions) => Promise<number>,
  ) {
    this.#mode = interval === 0 ? "off" : mode;
    this.#interval = interval;
    this.#deleteExpired = deleteExpired;
  }

  /** Called by the store with each insert and read; returns at once and never throws. */
  notice(operation: PurgeOccasion["operation"], options: TimedOptions): void {
    if (this.#stopped || this.#mode === "off" || this.#running) return;
    if (this.#mode === "timer") return this.#startTimer(options);
    const due = isPurgeDue({
      operation,
      sinceLast: options.now - this.#last,
      moreLikely: this.#moreLikely,
      interval: this.#interval,
      random: Math.random(),
    });
    if (!due) return;
    const run = this.#run(options.now, options);
    options.waitUntil?.(run);
  }

  /** Ends the timer and every further clean-up. A second call does nothing. */
  stop(): void {
    this.#stopped = true;
    clearTimeout(this.#timer);
    this.#timer = undefined;
  }

  #startTimer({ now, onEvent, onError }: TimedOptions): void {
    if (this.#timer !== undefined) return;
    // The manager's clock may be set by a test; the timer takes its distance from the real one with it.
    const ahead = now - Date.now();
    const schedule = () => {
      const pause = this.#interval * 2 ** Math.min(this.#failures, 5);
      this.#timer = setTimeout(tick, Math.min(LONGEST_TIMER, pause));
      unref(this.#timer);
    };
    const tick = async () => {
      await this.#run(Date.now() + ahead, { onEvent, onError });
      if (!this.#stopped) schedule();
    };
    schedule();
  }

  async #run(now: number, { onEvent, onError }: Hooked): Promise<void> {
    this.#running = true;
    this.#last = now;
    try {
      let deleted = 0;
      do {
        const batch = await this.#deleteExpired({ now, limit: BATCH, onEvent });
        deleted += batch;
        this.#moreLikely = batch >= BATCH;
      } while (this.#mode === "timer" && this.#moreLikely && !this.#stopped);
      this.#failures = 0;
      if (deleted > 0) onEvent?.({ kind: "purged", deleted });
    } catch (error) {
      this.#failures++;
      this.#moreLikely = false;
      const failure = error instanceof SessionError ? error : toSessionError("deleteExpired", error, false);
      await onError?.(failure, { phase: "cleanup" });
    } finally {
      this.#running = false;
    }
  }
}

interface Hooked {
  onEvent?: SessionEventHook;
  onError?: SessionErrorHook;
}

/** Lets Node, Bun and Deno end while the timer is pending. Workers have no such thing, and need none. */
function unref(timer: unknown): void {
  if (typeof timer === "object" && timer !== null) (timer as { unref?(): void }).unref?.();
  else if (typeof timer === "number") (globalThis as GlobalWithDeno).Deno?.unrefTimer?.(timer);
}

type GlobalWithDeno = { Deno?: { unrefTimer?(id: number): void } };

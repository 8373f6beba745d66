import { type SessionError, SessionStoreError } from "./errors.ts";
import type { SessionEventHook } from "./events.ts";
import type { PurgingStore } from "./store.ts";
import { pause } from "./wait.ts";

/** Options of a purge. */
export interface PurgeOptions {
  /**
   * How long to go on, in milliseconds. What is left then is for the next purge.
   *
   * @default {25000} 25 s, within what Workers allow a scheduled handler
   */
  budget?: number;
  /**
   * Rows that expired less than this many milliseconds ago stay.
   *
   * @default {0}
   */
  grace?: number;
  /** Ends the purge after the statement that is under way. */
  signal?: AbortSignal;
}

/** What a purge did. */
export interface PurgeResult {
  /** Rows deleted. */
  deleted: number;
  /** Statements sent. */
  batches: number;
  /** Whether nothing was left. */
  done: boolean;
  /** How long it took, in milliseconds. */
  elapsedMs: number;
}

const DEFAULT_BUDGET = 25_000;
/** What a statement should take, so that writers who wait behind it hardly notice. */
const TARGET_MS = 25;
const SMALLEST_BATCH = 10;
const FIRST_BATCH = 100;
/** More rows than this are never deleted by one statement. */
export const LARGEST_BATCH = 1_000;

/**
 * Deletes expired rows in small batches until none is left. After each statement it rests for as long as the
 * statement took, and sizes the next one towards 25 ms. A busy database ends the purge without an error: someone
 * else is at work, perhaps another purge.
 *
 * @throws {SessionStoreError} The store failed; what was deleted stays deleted.
 */
export async function purge(
  store: PurgingStore,
  options: PurgeOptions,
  { now, onEvent }: { now: () => number; onEvent: SessionEventHook },
  toError: (error: unknown) => SessionError,
): Promise<PurgeResult> {
  const { budget = DEFAULT_BUDGET, grace = 0, signal } = options;
  const started = performance.now();
  const elapsed = () => performance.now() - started;
  const result = { deleted: 0, batches: 0, done: false, elapsedMs: 0 };
  let limit = FIRST_BATCH;
  while (!result.done && !signal?.aborted && (result.batches === 0 || elapsed() < budget)) {
    const before = elapsed();
    try {
      const deleted = await store.deleteExpired({ now: now(), limit, grace, onEvent });
      result.batches++;
      result.deleted += deleted;
      result.done = deleted < limit;
    } catch (error) {
      const failure = toError(error);
      if (failure instanceof SessionStoreError && failure.reason === "busy") break;
      throw failure;
    }
    const took = elapsed() - before;
    // Workers stop the clock between I/O, so that a statement may seem to take no time at all.
    const fitting = limit * Math.min(2, TARGET_MS / Math.max(took, 1));
    limit = Math.round(Math.min(LARGEST_BATCH, Math.max(SMALLEST_BATCH, fitting)));
    if (!result.done) await pause(Math.min(took, Math.max(0, budget - elapsed())), signal);
  }
  result.elapsedMs = Math.round(elapsed());
  return result;
}

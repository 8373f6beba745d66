import type { SessionError } from "../errors.ts";
import type { Duration } from "../options/duration.ts";
import { OptionsReader } from "../options/reader.ts";
import type { SessionEventHook } from "../events.ts";
import type { PurgingStore } from "../store.ts";
import { isBusy } from "./failure.ts";
import { DEFAULT_TIMEOUT } from "./operation.ts";
import { pause, waitFor } from "../wait.ts";

/** Options of a purge. */
export interface PurgeOptions {
  /**
   * How long to go on: no further statement is begun after that, and what is left is for the next purge. One
   * statement is always sent. Milliseconds, or text such as `"25s"`; `Infinity` goes on until nothing is left.
   *
   * @default {"25s"} within what Workers allow a scheduled handler
   */
  budget?: Duration | undefined;
  /**
   * Rows that expired less than this ago stay. Milliseconds, or text such as `"7d"`.
   *
   * @default {0}
   */
  grace?: Duration | undefined;
  /** Ends the purge after the statement that is under way, without an error. */
  signal?: AbortSignal | undefined;
}

/** What a purge did. */
export interface PurgeResult {
  /** Rows deleted. */
  deleted: number;
  /** Statements that were sent and answered. */
  batches: number;
  /** Whether nothing was left. */
  done: boolean;
  /** How long it took, in milliseconds. */
  elapsedMs: number;
}

/** Purge options, checked. */
export interface PurgeSettings {
  readonly budget: number;
  readonly grace: number;
  readonly signal: AbortSignal | undefined;
}

/** 25 s. */
const BUDGET = 25_000;

/**
 * Checks the options of a purge. A wrong time would find nothing to delete, for ever and in silence.
 *
 * @throws {SessionConfigError} Options are wrong; `problems` names every mistake.
 */
export function readPurgeOptions(options: PurgeOptions): PurgeSettings {
  const reader = new OptionsReader(options);
  const budget = options.budget === Infinity
    ? reader.read("budget") as number
    : reader.duration("budget", BUDGET);
  const grace = reader.duration("grace", 0);
  const signal = reader.read("signal") as AbortSignal | undefined;
  if (signal !== undefined && typeof signal?.aborted !== "boolean") {
    reader.refuse("signal", "must be an AbortSignal");
  }
  reader.finish();
  return { budget, grace, signal };
}

/** What a purge needs of its surroundings. */
export interface PurgeEnvironment {
  /** The clock that decides what has expired. */
  now: () => number;
  onEvent?: SessionEventHook;
  /** How to rest between two statements. */
  rest?: (ms: number, signal?: AbortSignal) => Promise<void>;
}

/** What a statement should take, so that writers who wait behind it hardly notice. */
const TARGET_MS = 25;
const SMALLEST_BATCH = 10;
const FIRST_BATCH = 100;
/** More rows than this are never deleted by one statement. */
const LARGEST_BATCH = 1_000;

/**
 * Deletes expired rows in small batches until none is left. After each statement it rests for as long as the
 * statement took, and sizes the next one towards 25 ms. A busy database ends the purge without an error: someone
 * else is at work, perhaps another purge. What it deleted is told as one `purged` event, also where it fails.
 *
 * @throws {SessionStoreError} The store failed; what was deleted stays deleted.
 */
export async function purge(
  store: Pick<PurgingStore, "deleteExpired" | "timeout">,
  options: PurgeOptions,
  { now, onEvent, rest = pause }: PurgeEnvironment,
  toError: (error: unknown) => SessionError,
): Promise<PurgeResult> {
  const { budget, grace, signal } = readPurgeOptions(options);
  const { timeout = DEFAULT_TIMEOUT } = store;
  const started = performance.now();
  const elapsed = () => performance.now() - started;
  const result = { deleted: 0, batches: 0, done: false, elapsedMs: 0 };
  let limit = FIRST_BATCH;
  try {
    while (!result.done && !signal?.aborted && (result.batches === 0 || elapsed() < budget)) {
      const before = elapsed();
      const deleted = await waitFor(store.deleteExpired({ now: now(), limit, grace, onEvent }), timeout);
      result.batches++;
      result.deleted += deleted;
      result.done = deleted < limit;
      const took = elapsed() - before;
      // Workers stop the clock between I/O, so that a statement may seem to take no time at all.
      const fitting = limit * Math.min(2, TARGET_MS / Math.max(took, 1));
      limit = Math.round(Math.min(LARGEST_BATCH, Math.max(SMALLEST_BATCH, fitting)));
      if (!result.done) await rest(Math.min(took, Math.max(0, budget - elapsed())), signal);
    }
  } catch (error) {
    const failure = toError(error);
    // It is for whoever holds the lock then, or for the next purge.
    if (!isBusy(failure)) throw failure;
  } finally {
    if (result.deleted > 0) onEvent?.({ kind: "purged", deleted: result.deleted });
  }
  result.elapsedMs = Math.round(elapsed());
  return result;
}

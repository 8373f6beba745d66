import type { Duration } from "../options/duration.ts";
import { SessionStoreError } from "../errors.ts";
import { OptionsReader } from "../options/reader.ts";
import type { SessionEventHook } from "../events.ts";
import { hasMethods } from "../foreign.ts";
import type { PurgingStore } from "../store.ts";
import { isBusyFailure, toSessionError } from "./failure.ts";
import { DEFAULT_TIMEOUT } from "./operation.ts";
import { isSignal, pause, waitFor } from "../wait.ts";
import { BatchSize } from "./batch_size.ts";

/** Options of a purge. */
export interface PurgeOptions {
  /**
   * The time after which no further statement is sent. The next purge deletes the rest. One statement is always sent.
   * Milliseconds, or text such as `"25s"`; `Infinity` goes on until nothing is left.
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
  /**
   * How many statements it may send, a whole number above 0. For platforms that count an invocation's requests: Workers allow 50
   * on the free plan. The guide to a store says if one statement takes more than one request.
   *
   * @default {Infinity}
   */
  maxStatements?: number | undefined;
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
interface PurgeSettings {
  readonly budget: number;
  readonly grace: number;
  readonly maxStatements: number;
  readonly signal: AbortSignal | undefined;
}

/** 25 s. */
const BUDGET = 25_000;

/**
 * Checks the options of a purge. With a wrong time it would silently find nothing to delete.
 *
 * @throws {SessionConfigError} Options are wrong; `problems` names every mistake.
 */
export function readPurgeOptions(options: PurgeOptions): PurgeSettings {
  const reader = new OptionsReader(options);
  const budget = reader.read("budget") === Infinity ? Infinity : reader.duration("budget", BUDGET);
  const grace = reader.duration("grace", 0);
  const maxStatements = reader.count("maxStatements", Infinity);
  const signal = reader.read("signal") as AbortSignal | undefined;
  if (signal !== undefined && !isSignal(signal)) {
    reader.refuse("signal", "must be an AbortSignal");
  }
  reader.finish();
  return { budget, grace, maxStatements, signal };
}

/** What a purge is run with. */
export interface PurgeEnvironment {
  /** The clock that decides what has expired. */
  now: () => number;
  onEvent?: SessionEventHook | undefined;
  /** How to rest between two statements. */
  rest?: (ms: number, signal?: AbortSignal) => Promise<void>;
  /** How many rows the first statement may delete. */
  firstBatch?: number;
}

/** The part of a store that a purge uses. */
type PurgeTarget = Pick<PurgingStore, "deleteExpired" | "timeout" | "parts">;

/**
 * Deletes expired rows in small batches until none is left. Batches are sized by the work of the database, not by the round
 * trip, and after each one the database rests for as long as it worked. A busy database ends the purge without an error:
 * another purge may be at work. So does a platform that allows no further request. A store made of others has all of them
 * purged at once. One `purged` event tells how many rows were deleted, even if the purge fails.
 *
 * @throws {SessionStoreError} The store failed; what was deleted stays deleted.
 */
export async function purge(
  store: PurgeTarget,
  options: PurgeOptions,
  { now, onEvent, rest = pause, firstBatch }: PurgeEnvironment,
): Promise<PurgeResult> {
  const { budget, grace, maxStatements, signal } = readPurgeOptions(options);
  const started = performance.now();
  const elapsed = () => performance.now() - started;
  const result = { deleted: 0, batches: 0, done: false, elapsedMs: 0 };
  let statementsLeft = maxStatements;

  const stores = store.parts?.filter((part) => hasMethods<PurgingStore>(part, "deleteExpired")) ?? [store];
  // In random order: `maxStatements` may be used up before the last store.
  const order = stores.map((part) => ({ part, rank: Math.random() })).sort((a, b) => a.rank - b.rank);
  try {
    const outcomes = await Promise.allSettled(order.map(({ part }) => purgeOne(part)));
    for (const outcome of outcomes) {
      if (outcome.status === "fulfilled") continue;
      const failure = toSessionError("deleteExpired", outcome.reason, false);
      // The rest is left to the writer with the lock, or to the next purge.
      if (!isBusyFailure(failure)) throw failure;
    }
    result.done = outcomes.every((outcome) => outcome.status === "fulfilled" && outcome.value);
  } finally {
    if (result.deleted > 0) onEvent?.({ kind: "purged", deleted: result.deleted });
  }
  result.elapsedMs = Math.round(elapsed());
  return result;

  /** Purges one store; `true` where nothing is left. */
  async function purgeOne(store: PurgeTarget): Promise<boolean> {
    const size = new BatchSize(firstBatch);
    for (let isFirst = true; !signal?.aborted && (isFirst || elapsed() < budget); isFirst = false) {
      if (statementsLeft < 1) break;
      statementsLeft--;
      const before = elapsed();
      const { limit } = size;
      const work = store.deleteExpired({ now: now(), limit, grace, onEvent });
      const deleted = await waitFor(work, store.timeout ?? DEFAULT_TIMEOUT);
      if (!Number.isInteger(deleted)) {
        throw new SessionStoreError("deleteExpired", {
          reason: "malformed",
          retryable: false,
          advice: "the store's deleteExpired() must give the number of rows that it deleted",
        });
      }
      result.batches++;
      result.deleted += deleted;
      if (deleted < limit) return true;
      size.note(elapsed() - before);
      if (statementsLeft > 0) await rest(Math.min(size.restMs, Math.max(0, budget - elapsed())), signal);
    }
    return false;
  }
}

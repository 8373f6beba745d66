import type { CleanupMode, CleanupOptions } from "../core/store/cleanup.ts";
import {
  ReducedError,
  SessionError,
  SessionStoreError,
  type StoreErrorDetails,
  type StoreOperation,
} from "../core/errors.ts";
import type { DeleteExpiredOptions } from "../core/store.ts";
import { isOutOfRequests, toSessionError } from "../core/store/failure.ts";
import { GaveUp, waitFor } from "../core/wait.ts";
import type { OptionsReader } from "../core/options/reader.ts";
import { readCleanupOptions } from "../core/store/cleanup.ts";

/** Options that every SQL store takes. */
export interface SqlStoreOptions extends CleanupOptions {
  /**
   * The table: a plain identifier of letters, digits and `_`, at most 63 characters.
   *
   * @default {"sessions"}
   */
  table?: string | undefined;
  /**
   * How long to wait for the database, in milliseconds or as text such as `"5s"`, above 0. It stops the waiting;
   * what ends the request itself is `fetchWithTimeout` in the client's options.
   *
   * @default {"5s"}
   */
  timeout?: number | string | undefined;
}

/** An SQL store's options, checked. */
export interface SqlSettings {
  readonly table: string;
  readonly timeout: number;
  readonly mode: CleanupMode;
  readonly interval: number;
}

/** How many rows a listing fetches at a time. */
export const PAGE_SIZE = 200;

/** A name cannot be a parameter of a statement: nothing that needs escaping gets into one. */
const TABLE = /^[A-Za-z_][A-Za-z0-9_]{0,62}$/;
const TIMEOUT = 5_000;
/** Five minutes. */
const CLEANUP_INTERVAL = 300_000;

/** Reads what is common to SQL stores; the caller adds its own and calls `reader.finish()`. */
export function readSqlOptions(reader: OptionsReader): SqlSettings {
  const table = reader.text("table", TABLE, "must be a plain identifier of at most 63 characters") ??
    "sessions";
  const timeout = reader.duration("timeout", TIMEOUT);
  if (timeout === 0) reader.refuse("timeout", "must be above 0");
  return { table, timeout, ...readCleanupOptions(reader, CLEANUP_INTERVAL) };
}

/** More rows than this are never deleted by one statement: writers wait behind it. */
const LARGEST_BATCH = 1_000;

/** How many rows one statement is to delete. */
export function batchSize({ limit = LARGEST_BATCH }: DeleteExpiredOptions): number {
  return Math.max(0, Math.min(LARGEST_BATCH, Math.trunc(limit)));
}

/** Makes of a driver's error what a user may see of it; `undefined` where the driver's error says nothing. */
export type ErrorClassifier = (error: unknown) => StoreErrorDetails | undefined;

/** Sends statements: within the store's time, and with errors that hold neither SQL nor values. */
export class StatementRunner {
  readonly #timeout: number;
  readonly #classify: ErrorClassifier;

  constructor(timeout: number, classify: ErrorClassifier) {
    this.#timeout = timeout;
    this.#classify = classify;
  }

  async read<T>(
    operation: StoreOperation,
    signal: AbortSignal | undefined,
    send: () => Promise<T>,
  ): Promise<T> {
    return await this.#run(operation, false, signal, send);
  }

  /** A write that was sent is never called back. */
  async write<T>(operation: StoreOperation, send: () => Promise<T>): Promise<T> {
    return await this.#run(operation, true, undefined, send);
  }

  async #run<T>(
    operation: StoreOperation,
    writes: boolean,
    signal: AbortSignal | undefined,
    send: () => Promise<T>,
  ): Promise<T> {
    try {
      return await waitFor(send(), this.#timeout, signal);
    } catch (error) {
      throw toStoreError(operation, error, writes, this.#classify);
    }
  }
}

/** What a user may see of what a driver threw. */
export function toStoreError(
  operation: StoreOperation,
  error: unknown,
  writes: boolean,
  classify: ErrorClassifier,
): SessionError {
  const isForeign = !(error instanceof SessionError || error instanceof GaveUp || isOutOfRequests(error));
  const details = isForeign ? classify(error) ?? classifyFetchError(error) : undefined;
  if (details === undefined) return toSessionError(operation, error, writes);
  return new SessionStoreError(operation, {
    cause: new ReducedError(error),
    ...details,
    ambiguous: writes && (details.ambiguous ?? false),
  });
}

/** What the platform's `fetch` and a body that is not what it should be throw. */
function classifyFetchError(error: unknown): StoreErrorDetails | undefined {
  if (!(error instanceof Error)) return undefined;
  if (error.name === "TimeoutError") return { reason: "timeout", retryable: true, ambiguous: true };
  if (error.name === "AbortError") return { reason: "aborted", retryable: true, ambiguous: true };
  if (error instanceof SyntaxError) return { reason: "malformed", retryable: true, ambiguous: true };
  // Even a refused connection says nothing of the statement: where one breaks, Deno's `fetch` sends a POST once more
  // by itself, and the error is that of the second time.
  if (error instanceof TypeError || /network|connection/i.test(error.message)) {
    return { reason: "unreachable", retryable: true, ambiguous: true };
  }
}

/** What a status of the database's HTTP server means. */
export function classifyStatus(status: number): StoreErrorDetails {
  if (status === 401 || status === 403) {
    return { reason: "unauthorized", retryable: false, advice: `the server answered ${status}` };
  }
  if (status === 429) return { reason: "busy", retryable: true, advice: "the server answered 429" };
  const advice = `the server answered ${status}`;
  if (status >= 500) return { reason: "unreachable", retryable: true, ambiguous: true, advice };
  return { reason: "rejected", retryable: false, advice };
}

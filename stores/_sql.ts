import type { OptionsReader } from "../core/options/reader.ts";
import type { DeleteExpiredOptions } from "../core/store.ts";
import { type CleanupOptions, type CleanupSettings, readCleanupOptions } from "../core/store/cleanup.ts";

/** Options that every SQL store takes. */
export interface SqlStoreOptions extends CleanupOptions {
  /**
   * The table: a plain identifier of letters, digits and `_`, at most 63 characters.
   *
   * @default {"sessions"}
   */
  table?: string | undefined;
  /**
   * How long to wait for the database, in milliseconds or as text such as `"5s"`, above 0. The store then stops
   * waiting, but the request goes on: `fetchWithTimeout` in the client's options ends it.
   *
   * @default {"5s"}
   */
  timeout?: number | string | undefined;
}

/** An SQL store's options, checked. */
export interface SqlSettings extends CleanupSettings {
  readonly table: string;
  readonly timeout: number;
}

/** A table's name is part of the statements, where nothing escapes it. So it holds nothing that needs escaping. */
const TABLE = /^[A-Za-z_][A-Za-z0-9_]{0,62}$/;
const TIMEOUT = 5_000;
/** Five minutes. */
const CLEANUP_INTERVAL = 300_000;

/** Reads the options that all SQL stores have. The caller reads its own and calls `reader.finish()`. */
export function readSqlOptions(reader: OptionsReader): SqlSettings {
  const table = reader.text("table", TABLE, "must be a plain identifier of at most 63 characters") ??
    "sessions";
  const timeout = reader.duration("timeout", TIMEOUT);
  if (timeout === 0) reader.refuse("timeout", "must be above 0");
  return { table, timeout, ...readCleanupOptions(reader, CLEANUP_INTERVAL) };
}

/** How many rows a listing fetches at a time. */
export const PAGE_SIZE = 200;

/** The most rows that one statement deletes. A larger one would hold up other writers. */
const LARGEST_BATCH = 1_000;

/** How many rows one statement deletes. */
export function batchSize({ limit = LARGEST_BATCH }: DeleteExpiredOptions): number {
  return Math.max(0, Math.min(LARGEST_BATCH, Math.trunc(limit)));
}

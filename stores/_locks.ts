import { backoff, pause } from "../core/store/wait.ts";

/** Whether a libSQL driver's error says that somebody else holds the lock. Nothing was done then. */
export function isLocked(error: unknown): boolean {
  const { message = "", code = "" } = (error ?? {}) as { message?: unknown; code?: unknown };
  return /SQLITE_BUSY|SQLITE_LOCKED|TRANSACTION_BUSY|database is locked/.test(`${code} ${message}`);
}

/** Whether a statement may be sent later: somebody has the lock, or the application's transactions all connections. */
export function isBusy(error: unknown): boolean {
  return isLocked(error) || (error as { code?: unknown } | null)?.code === "TRANSACTION_ACTIVE";
}

/** How to wait for a lock. */
export interface LockOptions {
  /** For how long, in milliseconds. */
  patience: number;
  /** The longest pause before the next look, in milliseconds. */
  pause: number;
  signal?: AbortSignal;
}

/** Sends a statement, and again while others hold the lock, or all connections. */
export async function whenUnlocked<T>(
  send: () => Promise<T>,
  { patience, pause: longest, signal }: LockOptions,
): Promise<T> {
  const started = performance.now();
  for (let attempt = 1;; attempt++) {
    try {
      return await send();
    } catch (error) {
      const ms = backoff(attempt, 2, longest);
      const late = performance.now() + ms - started > patience;
      if (!isBusy(error) || late || signal?.aborted) throw error;
      await pause(ms, signal);
      if (signal?.aborted) throw error;
    }
  }
}

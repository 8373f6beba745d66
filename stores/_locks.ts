import { backoff, GaveUp, pause } from "../core/wait.ts";
import { isSQLiteBusy } from "./_sqlite_errors.ts";

/**
 * Sends a statement, and again while another connection holds the lock.
 *
 * @param lockWait For how long, in milliseconds.
 * @param longest The longest pause before the next attempt, in milliseconds.
 */
export async function whenUnlocked<T>(
  send: () => T | Promise<T>,
  lockWait: number,
  longest: number,
  signal: AbortSignal | undefined,
): Promise<T> {
  const started = performance.now();
  for (let attempt = 1;; attempt++) {
    try {
      return await send();
    } catch (error) {
      const ms = backoff(attempt, 2, longest);
      if (!isSQLiteBusy(error) || performance.now() + ms - started > lockWait) throw error;
      await pause(ms, signal);
      if (signal?.aborted) throw new GaveUp("aborted");
    }
  }
}

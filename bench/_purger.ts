/**
 * One purger in a thread of its own, as another instance of the application is: purges until nothing is left, in turns,
 * as a scheduler would give them.
 * @module
 */

import { sessions } from "../mod.ts";
import { aroundCalls } from "../tests/counting_store.ts";
import { deleteOfSCS, openStore, type Place, runSQL } from "./_stores.ts";

/** What to do. */
export interface PurgerTask {
  place: Place;
  /** By `manager.purge()` until nothing is left, in one turn of it, or in one statement as SCS does. */
  how: "batches" | "one turn" | "one statement";
}

/** What a purger did. */
export interface PurgerReport {
  /** Rows deleted; unknown for SCS's statement. */
  deleted: number;
  statements: number;
  /** The longest one, in milliseconds. */
  longest: number;
  /** All of them, in milliseconds. */
  worked: number;
  /** Turns that a busy lock ended. */
  busyTurns: number;
  /** What came out of `manager.purge()` or `onError`. */
  errors: string[];
}

/** A turn, and the pause before the next one where someone else was at work. */
const TURN = { budget: "25s", pause: 1_000 } as const;

async function work({ place, how }: PurgerTask): Promise<PurgerReport> {
  const report: PurgerReport = {
    deleted: 0,
    statements: 0,
    longest: 0,
    worked: 0,
    busyTurns: 0,
    errors: [],
  };
  const timed = async <T>(run: () => Promise<T>): Promise<T> => {
    const started = performance.now();
    try {
      return await run();
    } finally {
      const took = performance.now() - started;
      report.statements++;
      report.worked += took;
      report.longest = Math.max(report.longest, took);
    }
  };
  try {
    if (how === "one statement") {
      await timed(() => runSQL(place, deleteOfSCS(place)));
      return report;
    }
    const store = aroundCalls(
      openStore(place),
      (method, call) => method === "deleteExpired" ? timed(call as () => Promise<unknown>) : call(),
    );
    const manager = sessions({
      store,
      onError: (error) => void report.errors.push(error.message),
    });
    while (true) {
      const { deleted, done, elapsedMs } = await manager.purge({ budget: TURN.budget });
      report.deleted += deleted;
      if (done || how === "one turn") return report;
      if (elapsedMs >= 25_000) continue;
      report.busyTurns++;
      await new Promise((resolve) => setTimeout(resolve, TURN.pause));
    }
  } catch (error) {
    report.errors.push(String(error));
    return report;
  }
}

const thread = self as unknown as {
  onmessage: ((event: MessageEvent<PurgerTask>) => void) | null;
  postMessage(report: PurgerReport): void;
  close(): void;
};
thread.onmessage = async ({ data }) => {
  thread.postMessage(await work(data));
  thread.close();
};

/**
 * A purger in its own thread, like one in another instance of the application. It purges in turns until nothing is
 * left, as a scheduler would.
 * @module
 */

import { sessions } from "../mod.ts";
import { aroundCalls } from "../tests/counting_store.ts";
import { deleteOfSCS, openStore, type Place, runSQL } from "./_stores.ts";

/** The order to a purger. */
export interface PurgerTask {
  place: Place;
  /** Purge with `manager.purge()` until nothing is left, with one call of it, or with one statement as SCS does. */
  how: "batches" | "one turn" | "one statement";
}

/** The result of a purger. */
export interface PurgerReport {
  /** Rows deleted; unknown for SCS's statement. */
  deleted: number;
  statements: number;
  /** The longest statement, in milliseconds. */
  longest: number;
  /** All statements together, in milliseconds. */
  worked: number;
  /** Calls that ended because the database was busy. */
  busyTurns: number;
  /** Errors of `manager.purge()` and `onError`. */
  errors: string[];
}

/** The budget of a call, and the pause after one that met a busy database. */
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

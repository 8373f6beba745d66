/**
 * Decides whose store call is next.
 * @module
 */

import { mock } from "node:test";
import fc from "../../fast_check.ts";

/** Runs one task at a time, in its own order. */
export interface Turns {
  /** Waits for its turn, then does the work. Nothing else has a turn until that is done. */
  take<T>(who: number, label: string, work: () => Promise<T>): Promise<T>;
  /** Gives turns until the work is done. */
  until(work: Promise<unknown>): Promise<void>;
  /** The actors in the order of their turns so far, for {@linkcode turnsOf}. */
  taken(): readonly number[];
}

/** The number of a pause between two attempts. It is unknown to which actor it belongs. */
export const PAUSE = -1;
/** The number of a call that its actor has given up, but that takes effect. */
export const LATE = -2;

/** Enough turns for a reply to pass through the driver, the store and the manager. */
async function reactions(): Promise<void> {
  for (let i = 0; i < 200; i++) await undefined;
}

class SchedulerTurns implements Turns {
  readonly #scheduler: fc.Scheduler;
  readonly #taken: number[] = [];

  constructor(scheduler: fc.Scheduler) {
    this.#scheduler = scheduler;
  }

  async take<T>(who: number, label: string, work: () => Promise<T>): Promise<T> {
    const { promise: finished, resolve: finish } = Promise.withResolvers<void>();
    await this.#scheduler.schedule(Promise.resolve(), label, undefined, async (release) => {
      this.#taken.push(who);
      await release();
      await finished;
    });
    try {
      return await work();
    } finally {
      // No one else has a turn until the reply has passed through every layer to the actor, which reads the clock.
      void reactions().then(finish);
    }
  }

  async until(work: Promise<unknown>): Promise<void> {
    await this.#scheduler.waitFor(work);
  }

  taken(): readonly number[] {
    return this.#taken;
  }

  [fc.toStringMethod](): string {
    return `turnsOf(${JSON.stringify(this.#taken)})`;
  }
}

/** Turns in a random order of fast-check, which is the same for the same seed. */
export const turns: fc.Arbitrary<Turns> = fc.scheduler().map((scheduler) => new SchedulerTurns(scheduler));

/**
 * Turns in the order of a run that once failed. If the code has changed since and an actor has nothing to do, its
 * turn is skipped. After the end of the order the actor that has waited longest is next.
 */
export function turnsOf(order: readonly number[]): Turns {
  return new ReplayedTurns(order);
}

interface Waiting {
  who: number;
  run: () => Promise<void>;
}

class ReplayedTurns implements Turns {
  readonly #order: readonly number[];
  readonly #waiting: Waiting[] = [];
  readonly #taken: number[] = [];
  #next = 0;

  constructor(order: readonly number[]) {
    this.#order = order;
  }

  take<T>(who: number, _label: string, work: () => Promise<T>): Promise<T> {
    const { promise, resolve, reject } = Promise.withResolvers<T>();
    this.#waiting.push({ who, run: () => work().then(resolve, reject) });
    return promise;
  }

  async until(work: Promise<unknown>): Promise<void> {
    while (await this.#someoneWaits()) {
      const next = this.#choose();
      this.#taken.push(next.who);
      await next.run();
    }
    await work;
  }

  taken(): readonly number[] {
    return this.#taken;
  }

  [fc.toStringMethod](): string {
    return `turnsOf(${JSON.stringify(this.#order)})`;
  }

  /** Lets actors that had a turn ask for the next one. */
  async #someoneWaits(): Promise<boolean> {
    await reactions();
    return this.#waiting.length > 0;
  }

  #choose(): Waiting {
    while (this.#next < this.#order.length) {
      const who = this.#order[this.#next++];
      const index = this.#waiting.findIndex((waiting) => waiting.who === who);
      if (index >= 0) return this.#waiting.splice(index, 1)[0]!;
    }
    return this.#waiting.shift()!;
  }
}

/** Longer than any pause between attempts. Longer timers are the library's timeouts of single calls. */
const SHORTEST_TIMEOUT = 4_900;
/** A call waits for its turn, and the machine may be slow. Timeouts are longer by this factor. */
const PATIENCE = 20;
/** How much of an operation's time each pause takes, in milliseconds. */
const PAUSE_TAKES = 1;

/**
 * Turns the pauses between attempts into turns, while the work runs. Nobody waits for real, and the order of turns
 * decides what happens meanwhile. Only pauses use up the time of an operation, so the machine's speed does not
 * matter. No program has enough pauses to use it up, but an endless retry ends.
 */
export async function withPausesAsTurns(turns: Turns, work: () => Promise<void>): Promise<void> {
  const real = globalThis.setTimeout;
  const start = (callback: (...args: unknown[]) => void, ms = 0, ...args: unknown[]) => {
    if (ms > SHORTEST_TIMEOUT) return real(callback, PATIENCE * ms, ...args);
    void turns.take(PAUSE, "pause", () => {
      time += PAUSE_TAKES;
      return Promise.resolve(callback(...args));
    });
    // No timer has this number, so clearing it does nothing.
    return -1;
  };
  let time = performance.now();
  globalThis.setTimeout = start as typeof setTimeout;
  // Advances a little with each read. For its driver, a database whose statement took no time at all has not
  // answered.
  const clock = mock.method(performance, "now", () => time += 0.001);
  try {
    await work();
  } finally {
    clock.mock.restore();
    globalThis.setTimeout = real;
  }
}

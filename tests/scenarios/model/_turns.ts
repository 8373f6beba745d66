/**
 * Whose store call comes next.
 * @module
 */

import { mock } from "node:test";
import fc from "../../fast_check.ts";

/** Runs one thing at a time, in an order of its own. */
export interface Turns {
  /** Waits for its turn, then does the work; nothing else has a turn before that is done. */
  take<T>(who: number, label: string, work: () => Promise<T>): Promise<T>;
  /** Gives turns until the work is done. */
  until(work: Promise<unknown>): Promise<void>;
  /** The actors in the order of their turns so far, for {@linkcode turnsOf}. */
  taken(): readonly number[];
}

/** A pause between two attempts has this number: it belongs to some actor, but nobody says to which. */
export const PAUSE = -1;
/** A call that its actor has given up and that takes effect all the same. */
export const LATE = -2;

/** Enough for an answer to come through the driver, the store and the manager. */
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
      // Nobody else has a turn before the answer has come through every layer to the actor, who looks at the clock.
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

/** Turns in an order that fast-check makes up, and repeats for the same seed. */
export const turns: fc.Arbitrary<Turns> = fc.scheduler().map((scheduler) => new SchedulerTurns(scheduler));

/**
 * Turns in the order of a run that once failed. Where the code has changed since and somebody has nothing to do, their
 * turn is left out; when the order ends, the actor that has waited longest is next.
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

  /** Gives those who had their turn the time to ask for the next one. */
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

/** Longer than any pause between attempts: the library's other timers, which watch over single calls, begin here. */
const SHORTEST_WATCH = 4_900;
/** A call waits for its turn, on a machine that may be slow: who watches over it has so many times the patience. */
const PATIENCE = 20;
/** What each pause takes of the time that an operation has, in milliseconds. */
const PAUSE_TAKES = 1;

/**
 * Turns the pauses between attempts into turns while the work is under way: nobody waits for real, and what others do
 * meanwhile is up to the order of turns. The time that an operation has goes by with the pauses alone, not with the
 * speed of the machine: no program makes so many that it would end, and who tries for ever comes to an end.
 */
export async function withPausesAsTurns(turns: Turns, work: () => Promise<void>): Promise<void> {
  const real = globalThis.setTimeout;
  const start = (callback: (...args: unknown[]) => void, ms = 0, ...args: unknown[]) => {
    if (ms > SHORTEST_WATCH) return real(callback, PATIENCE * ms, ...args);
    void turns.take(PAUSE, "pause", () => {
      time += PAUSE_TAKES;
      return Promise.resolve(callback(...args));
    });
    // No timer has this number, so that clearing it does nothing.
    return -1;
  };
  let time = performance.now();
  globalThis.setTimeout = start as typeof setTimeout;
  // A little with each look: a database whose statement took no time at all has not answered, for its driver.
  const clock = mock.method(performance, "now", () => time += 0.001);
  try {
    await work();
  } finally {
    clock.mock.restore();
    globalThis.setTimeout = real;
  }
}

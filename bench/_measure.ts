/**
 * Measuring several things in one process, so that whatever else the machine does meets all of them alike.
 * @module
 */

import process from "node:process";
import { setting } from "./_report.ts";

/**
 * Whether the processor's time is counted, of all threads, in place of the time that passes: the garbage collector's is in
 * it, and what other processes take on a busy machine is not.
 */
export const CPU_TIME: boolean = setting("CLOCK") === "cpu";

/** A moment in milliseconds, on the clock that is used. */
export function clock(): number {
  if (!CPU_TIME) return performance.now();
  const { user, system } = process.cpuUsage();
  return (user + system) / 1_000;
}

/** What is measured: one round of it, whose result is the time of one step in microseconds. */
export type Round = () => Promise<number>;

/** How often, and how much of it. */
export interface MeasureOptions {
  /** Rounds that count. */
  rounds: number;
  /** Rounds before those, for the compiler: a fifth of them unless given. */
  warmUp?: number;
}

/**
 * Runs rounds that take turns.
 *
 * @returns For each name the lower quartile of its rounds.
 */
export async function measure<Name>(
  subjects: ReadonlyMap<Name, Round>,
  { rounds, warmUp = Math.ceil(rounds / 5) }: MeasureOptions,
): Promise<Map<Name, number>> {
  const times = new Map<Name, number[]>([...subjects.keys()].map((name) => [name, []]));
  for (let turn = -warmUp; turn < rounds; turn++) {
    for (const [name, round] of subjects) {
      const time = await round();
      if (turn >= 0) times.get(name)!.push(time);
    }
  }
  return new Map([...times].map(([name, taken]) => [name, quantile(taken, 1 / 4)]));
}

/** A round of so many steps, one after the other. */
export function steps(count: number, step: (index: number) => unknown): Round {
  return async () => {
    const started = clock();
    for (let index = 0; index < count; index++) {
      const result = step(index);
      // What is not asynchronous pays for no turn of the queue of microtasks.
      if (result instanceof Promise) await result;
    }
    return (clock() - started) * 1_000 / count;
  };
}

/** The value below which that share of them lies. */
export function quantile(values: readonly number[], share: number): number {
  const sorted = [...values].sort((a, b) => a - b);
  return sorted[Math.min(sorted.length - 1, Math.floor(sorted.length * share))]!;
}

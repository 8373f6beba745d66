/**
 * Measures several things in one process, in alternating rounds, so that other work of the machine affects all of
 * them alike.
 * @module
 */

import process from "node:process";
import { setting } from "./_report.ts";

/**
 * Whether processor time of all threads is counted instead of elapsed time. It includes the garbage collector, and
 * excludes other processes.
 */
export const CPU_TIME: boolean = setting("CLOCK") === "cpu";

/** A time in milliseconds on the chosen clock. */
export function clock(): number {
  if (!CPU_TIME) return performance.now();
  const { user, system } = process.cpuUsage();
  return (user + system) / 1_000;
}

/** One round of the measured work. Its result is the time of one step in microseconds. */
export type Round = () => Promise<number>;

/** How many rounds. */
export interface MeasureOptions {
  /** Rounds that count. */
  rounds: number;
  /** Warm-up rounds; a fifth of the rounds by default. */
  warmUp?: number;
}

/**
 * Runs alternating rounds. Every other one goes in reverse order: a subject is slower after one that has filled the
 * processor's caches, and must not always follow the same one.
 *
 * @returns For each name the lower quartile of its rounds.
 */
export async function measure<Name>(
  subjects: ReadonlyMap<Name, Round>,
  { rounds, warmUp = Math.ceil(rounds / 5) }: MeasureOptions,
): Promise<Map<Name, number>> {
  const times = new Map<Name, number[]>([...subjects.keys()].map((name) => [name, []]));
  const order = [...subjects];
  for (let turn = -warmUp; turn < rounds; turn++) {
    for (const [name, round] of order) {
      collectGarbage();
      const time = await round();
      if (turn >= 0) times.get(name)!.push(time);
    }
    order.reverse();
  }
  return new Map([...times].map(([name, taken]) => [name, quantile(taken, 1 / 4)]));
}

/**
 * Collects what earlier rounds have left behind, so that no subject pays for another one. On Deno and Node it takes V8's flag
 * `--expose-gc`.
 */
function collectGarbage(): void {
  const { Bun, gc } = globalThis as {
    Bun?: { gc(force: boolean): void };
    gc?: (options: { type: "minor" }) => void;
  };
  if (Bun !== undefined) Bun.gc(true);
  else {
    // Twice, since what survives the first one is moved by the next one, which must not fall into a round. A major one would
    // also throw away compiled code.
    gc?.({ type: "minor" });
    gc?.({ type: "minor" });
  }
}

/** A round of this many steps, one after the other. */
export function steps(count: number, step: (index: number) => unknown): Round {
  return async () => {
    const started = clock();
    for (let index = 0; index < count; index++) {
      const result = step(index);
      // A synchronous step must not pay for a turn of the microtask queue.
      if (result instanceof Promise) await result;
    }
    return (clock() - started) * 1_000 / count;
  };
}

/** The value below which this share of the values lies. */
export function quantile(values: readonly number[], share: number): number {
  const sorted = [...values].sort((a, b) => a - b);
  return sorted[Math.min(sorted.length - 1, Math.floor(sorted.length * share))]!;
}

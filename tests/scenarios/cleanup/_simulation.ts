/**
 * Simulates lazy clean-up without a database: many instances of an application share a table and do not know each
 * other. Only time, traffic and chance are simulated. The shipped rule decides when a purge is due.
 * @module
 */

import { isPurgeDue, LAZY_BATCH } from "../../../core/store/cleanup.ts";

export const SECOND = 1_000;
export const MINUTE = 60 * SECOND;
export const HOUR = 60 * MINUTE;
export const DAY = 24 * HOUR;

/** The default interval of SQL stores. */
const INTERVAL = 5 * MINUTE;
/** One request in five creates a session, which is saved. */
const INSERTS = 0.2;

/** A simulated scenario. */
export interface Scenario {
  instances: number;
  /** How many requests each instance serves before it ends: a random number from the first to the second. */
  requests: readonly [least: number, most: number];
  /** The instances start at random times within this period. */
  startWithin: number;
  /** The average time between two requests of one instance. */
  gap: number;
  /** The lifetime of a session. */
  sessionLife: number;
  /** Expired rows at the start. */
  backlog?: number;
  /** The seed of the random numbers. */
  seed: number;
}

/** The result. */
export interface Outcome {
  requests: number;
  inserts: number;
  purges: number;
  deleted: number;
  /** The most purges that started within one second. */
  busiestSecond: number;
  /** The longest time that an expired row stayed, in milliseconds. */
  oldest: number;
  /** The most expired rows at any time. */
  mostExpired: number;
  /** Expired rows at the end. */
  left: number;
  /** When the rows of the backlog were deleted, in milliseconds. */
  backlogGone: number | undefined;
}

interface Instance {
  /** When its last purge began that found few rows. */
  last: number;
}

/** Runs the simulation. The same scenario gives the same result. */
export function simulate(scenario: Scenario): Outcome {
  const { backlog = 0, sessionLife } = scenario;
  const random = generator(scenario.seed);
  const requests = makeRequests(scenario, random);
  const outcome: Outcome = {
    requests: requests.length,
    inserts: 0,
    purges: 0,
    deleted: 0,
    busiestSecond: 0,
    oldest: 0,
    mostExpired: 0,
    left: 0,
    backlogGone: undefined,
  };
  // All sessions have the same lifetime, so they expire in the order of their creation.
  const expiries = new Array<number>(backlog).fill(0);
  let expired = 0;
  let gone = 0;
  const instances = new Map<number, Instance>();
  const purgesBySecond = new Map<number, number>();
  for (const { time, id } of requests) {
    while (expired < expiries.length && expiries[expired]! <= time) expired++;
    outcome.mostExpired = Math.max(outcome.mostExpired, expired - gone);
    if (expired > gone) outcome.oldest = Math.max(outcome.oldest, time - expiries[gone]!);

    const operation = random() < INSERTS ? "insert" : "read";
    const instance = instances.get(id) ?? { last: -Infinity };
    instances.set(id, instance);
    const sinceLast = time - instance.last;
    if (isPurgeDue({ operation, sinceLast, interval: INTERVAL, random: random() })) {
      const deleted = Math.min(LAZY_BATCH, expired - gone);
      gone += deleted;
      instance.last = deleted === LAZY_BATCH ? -Infinity : time;
      outcome.purges++;
      outcome.deleted += deleted;
      const second = Math.floor(time / SECOND);
      purgesBySecond.set(second, (purgesBySecond.get(second) ?? 0) + 1);
    }
    if (gone >= backlog) outcome.backlogGone ??= time;
    if (operation === "insert") {
      outcome.inserts++;
      expiries.push(time + sessionLife);
    }
  }
  outcome.left = expired - gone;
  outcome.busiestSecond = Math.max(0, ...purgesBySecond.values());
  return outcome;
}

/** Every request of every instance, by time. */
function makeRequests(
  { instances, requests: [least, most], startWithin, gap }: Scenario,
  random: () => number,
): { time: number; id: number }[] {
  const made: { time: number; id: number }[] = [];
  for (let id = 0; id < instances; id++) {
    let time = random() * startWithin;
    const count = least + Math.floor(random() * (most - least + 1));
    for (let i = 0; i < count; i++) {
      made.push({ time, id });
      time += -Math.log(1 - random()) * gap;
    }
  }
  return made.sort((a, b) => a.time - b.time);
}

/** Mulberry32: numbers from 0 up to 1, the same for the same seed. */
function generator(seed: number): () => number {
  return () => {
    seed = (seed + 0x6d2b79f5) | 0;
    let t = Math.imul(seed ^ (seed >>> 15), 1 | seed);
    t = (t + Math.imul(t ^ (t >>> 7), 61 | t)) ^ t;
    return ((t ^ (t >>> 14)) >>> 0) / 2 ** 32;
  };
}

const crowd = {
  instances: 10_000,
  requests: [1, 50],
  startWithin: DAY,
  gap: 5 * SECOND,
  sessionLife: HOUR,
  seed: 1,
} satisfies Scenario;

/** The scenarios. */
export const SCENARIOS = {
  "10,000 instances of 1 to 50 requests": crowd,
  "the same, all begun within a minute": { ...crowd, startWithin: MINUTE },
  "the same, with 50,000 expired rows at the start": { ...crowd, backlog: 50_000 },
  "10,000 instances of 5 requests": { ...crowd, requests: [5, 5] },
  "1 instance of 255,000 requests": {
    ...crowd,
    instances: 1,
    requests: [255_000, 255_000],
    startWithin: 0,
    gap: DAY / 255_000,
  },
} as const satisfies Record<string, Scenario>;

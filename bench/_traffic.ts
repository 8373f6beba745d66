/**
 * Simulates the users of an application while something else is measured. A fixed number of requests per second read,
 * change, touch or create a session. Each is timed from the moment at which it was due.
 * @module
 */

import { type SessionManager, sessions } from "../mod.ts";
import type { FullStore } from "../tests/backends.ts";

/** The data of live sessions, which a manager can read. */
export const DATA = JSON.stringify({
  deadline: Date.UTC(2100),
  values: { name: "Zoë", cart: Array.from({ length: 20 }, (_, index) => 1_000 + index) },
});

/** A request is due this many milliseconds after the one before. */
const EVERY = 10;
/**
 * With more reads or writes than this in flight further ones are not sent, because libsql-server would refuse them.
 * They count as held back.
 */
const MOST_AT_ONCE = 50;
/**
 * At most this many writes are in flight. Further ones wait here, and the wait counts. Within libsql-server each
 * waiting writer keeps a thread spinning, and a hundred of them bring a small machine to a standstill.
 */
const WRITERS_AT_ONCE = 4;
/** This many sessions live only a minute after each touch, and are touched every two seconds. */
const TOUCHED = 50;
const TOUCH_LIFE = 60_000;

/** Durations of requests of one kind, in milliseconds. */
export interface Latencies {
  count: number;
  p50: number;
  p99: number;
  longest: number;
}

/** The result of a period of traffic. */
export interface TrafficReport {
  /** Requests that read a session. */
  reads: Latencies;
  /** Requests that read and write, touch or create a session. */
  writes: Latencies;
  /** Sessions that were created. */
  created: number;
  /** Requests that were not sent because too many were in flight. */
  heldBack: number;
  errors: string[];
}

interface Data {
  name: string;
  count: number;
}

/** Traffic from its start to `stop()`. */
export class Traffic {
  readonly #manager: SessionManager<Data>;
  /** Touches on each use; the other manager does not. */
  readonly #touching: SessionManager<Data>;
  /** Live sessions to read and write. */
  readonly #tokens: readonly string[];
  readonly #touched: readonly string[];
  readonly #times = { reads: [] as number[], writes: [] as number[] };
  readonly #errors: string[] = [];
  readonly #pending = { reads: new Set<Promise<void>>(), writes: new Set<Promise<void>>() };
  #created = 0;
  #heldBack = 0;
  #turn = 0;
  #writing = 0;
  readonly #waitingToWrite: (() => void)[] = [];
  #next = 0;
  readonly #lastAnswers = { reads: performance.now(), writes: performance.now() };
  #timer: ReturnType<typeof setTimeout> | undefined;

  private constructor(store: FullStore, tokens: readonly string[]) {
    const options = { store, hashTokenInStore: false, lifetime: "24h" } as const;
    this.#manager = sessions<Data>(options);
    this.#touching = sessions<Data>({ ...options, idleTimeout: TOUCH_LIFE, touchInterval: 0 });
    this.#touched = tokens.slice(0, TOUCHED);
    this.#tokens = tokens.slice(TOUCHED);
  }

  /** ¦@param tokens The tokens of live sessions. */
  static async start(store: FullStore, tokens: readonly string[]): Promise<Traffic> {
    const traffic = new Traffic(store, tokens);
    const now = Date.now();
    const data = new TextEncoder().encode(DATA);
    for (const token of traffic.#touched) await store.commit(token, data, now + TOUCH_LIFE, { now });
    traffic.#next = performance.now();
    traffic.#schedule();
    return traffic;
  }

  /** Waits for the requests in flight, and returns the result. */
  async stop(): Promise<TrafficReport> {
    this.abandon();
    await Promise.all([...this.#pending.reads, ...this.#pending.writes]);
    return {
      reads: latencies(this.#times.reads),
      writes: latencies(this.#times.writes),
      created: this.#created,
      heldBack: this.#heldBack,
      errors: this.#errors,
    };
  }

  /** Stops without waiting for anything. */
  abandon(): void {
    clearTimeout(this.#timer);
  }

  /** For how many milliseconds no read, or no write, has succeeded. */
  silence(): number {
    const { reads, writes } = this.#lastAnswers;
    return performance.now() - Math.min(reads, writes);
  }

  #schedule(): void {
    this.#timer = setTimeout(() => {
      // After a pause of this process it sends the missed requests, late.
      for (; this.#next <= performance.now(); this.#next += EVERY) this.#send(this.#next);
      this.#schedule();
    }, Math.max(0, this.#next - performance.now()));
  }

  #send(due: number): void {
    const turn = this.#turn++;
    const kind = turn % 2 === 0 ? "reads" : "writes";
    const pending = this.#pending[kind];
    if (pending.size >= MOST_AT_ONCE) {
      this.#heldBack++;
      return;
    }
    const served = kind === "reads" ? this.#read() : this.#inTurn(() => this.#write(turn));
    const work = served.then(
      () => {
        this.#lastAnswers[kind] = performance.now();
        this.#times[kind].push(this.#lastAnswers[kind] - due);
      },
      (error) => void this.#errors.push(String(error)),
    ).finally(() => pending.delete(work));
    pending.add(work);
  }

  async #inTurn(write: () => Promise<void>): Promise<void> {
    while (this.#writing >= WRITERS_AT_ONCE) {
      await new Promise<void>((resolve) => this.#waitingToWrite.push(resolve));
    }
    this.#writing++;
    try {
      await write();
    } finally {
      this.#writing--;
      this.#waitingToWrite.shift()?.();
    }
  }

  #anyToken(): string {
    return this.#tokens[Math.floor(Math.random() * this.#tokens.length)]!;
  }

  async #read(): Promise<void> {
    const session = await this.#manager.load(this.#anyToken());
    if (session.get("name") === undefined) throw new Error("A live session is gone");
  }

  /** Half of the writes touch. The others change or create a session. */
  async #write(turn: number): Promise<void> {
    if (turn % 4 === 1) {
      const session = await this.#touching.load(this.#touched[((turn - 1) / 4) % TOUCHED]!);
      if (session.token === undefined) throw new Error("A session that is touched is gone");
      await session.commit();
      return;
    }
    const session = await this.#manager.load(turn % 16 === 3 ? undefined : this.#anyToken());
    session.put("count", turn);
    session.put("name", "Zoë");
    await session.commit();
    if (turn % 16 === 3) this.#created++;
  }
}

function latencies(times: number[]): Latencies {
  times.sort((a, b) => a - b);
  const at = (share: number) => times[Math.min(times.length - 1, Math.floor(times.length * share))] ?? 0;
  return { count: times.length, p50: at(0.5), p99: at(0.99), longest: times.at(-1) ?? 0 };
}

/**
 * What the users of an application do while something else is measured: requests that read a session, change one, only
 * touch one or make one, so many a second whatever becomes of them, each timed from the moment at which it was due.
 * @module
 */

import { type SessionManager, sessions } from "../mod.ts";
import type { FullStore } from "../tests/backends.ts";

/** What the rows of live sessions hold, so that a manager can read them. */
export const DATA = JSON.stringify({
  deadline: Date.UTC(2100),
  values: { name: "Zoë", cart: Array.from({ length: 20 }, (_, index) => 1_000 + index) },
});

/** A request is due so many milliseconds after the one before. */
const EVERY = 10;
/** More reads than this at once, or more writes, are not sent: libsql-server would refuse them. They count as held back. */
const MOST_AT_ONCE = 50;
/**
 * So many of them write; the rest wait here, and their time runs. Each writer that waits within libsql-server turns a
 * thread in a circle there, and a hundred of them bring a small machine to a standstill from which it does not recover.
 */
const WRITERS_AT_ONCE = 4;
/** So many sessions have but a minute to live from each touch, and are touched every two seconds. */
const TOUCHED = 50;
const TOUCH_LIFE = 60_000;

/** How long requests of one kind took, in milliseconds. */
export interface Latencies {
  count: number;
  p50: number;
  p99: number;
  longest: number;
}

/** What a stretch of traffic came to. */
export interface TrafficReport {
  /** Requests that read a session. */
  reads: Latencies;
  /** Requests that read and write, touch, or make a session. */
  writes: Latencies;
  /** Sessions that were made. */
  created: number;
  /** Requests that were not sent because too many hung. */
  heldBack: number;
  errors: string[];
}

interface Data {
  name: string;
  count: number;
}

/** Traffic that flows from its start to `stop()`. */
export class Traffic {
  readonly #manager: SessionManager<Data>;
  /** Touches at each use, which the other does not. */
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

  /** @param tokens Those of live sessions. */
  static async start(store: FullStore, tokens: readonly string[]): Promise<Traffic> {
    const traffic = new Traffic(store, tokens);
    const now = Date.now();
    const data = new TextEncoder().encode(DATA);
    for (const token of traffic.#touched) await store.commit(token, data, now + TOUCH_LIFE, { now });
    traffic.#next = performance.now();
    traffic.#schedule();
    return traffic;
  }

  /** Waits for what is under way, and tells. */
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

  /** Sends nothing more, and waits for nothing. */
  abandon(): void {
    clearTimeout(this.#timer);
  }

  /** For how many milliseconds no read was answered, or no write. */
  silence(): number {
    const { reads, writes } = this.#lastAnswers;
    return performance.now() - Math.min(reads, writes);
  }

  #schedule(): void {
    this.#timer = setTimeout(() => {
      // After a pause of this process it makes up for what it missed, late as it is.
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

  /** Half of the writes touch, and the rest change a session or make one. */
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

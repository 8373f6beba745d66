/**
 * The environment of a test of the manager: a store with an empty table, a clock that the test sets, and a record of
 * calls, events and errors.
 * @module
 */

import {
  type SessionError,
  type SessionEvent,
  type SessionManager,
  type SessionOptions,
  sessions,
  type StoredRow,
} from "../../mod.ts";
import { assertEquals } from "../assert.ts";
import { backends, type FullStore, type OpenStore } from "../backends.ts";
import { countingStore, type StoreCalls } from "../counting_store.ts";
import { interleave, type Steps } from "./_interleaving.ts";

export const SECOND = 1_000;
export const MINUTE = 60 * SECOND;
export const HOUR = 60 * MINUTE;

/** The manager's clock. It stands still until the test moves it. */
export class Clock {
  // Not a whole second, so that rounding shows.
  time = Date.UTC(2026, 2, 4, 5, 6, 7, 890);
  readonly now = (): number => this.time;

  advance(ms: number): void {
    this.time += ms;
  }
}

/** A store, and managers on it. */
export class Bed {
  readonly clock = new Clock();
  /** The events that the managers emitted. */
  readonly events: SessionEvent[] = [];
  /** The errors that the managers reported. */
  readonly errors: SessionError[] = [];
  /** The store itself. Its calls are not counted. */
  readonly store: FullStore;
  readonly #opened: OpenStore;
  readonly #counting;

  constructor(opened: OpenStore) {
    this.#opened = opened;
    this.store = opened.store;
    this.#counting = countingStore(opened.store);
  }

  /** A manager on the counted store, unless the options name another. */
  manager<Data extends object = Record<string, unknown>>(options: SessionOptions = {}): SessionManager<Data> {
    return sessions<Data>({
      store: this.#counting.store,
      now: this.clock.now,
      onEvent: (event) => void this.events.push(event),
      onError: (error) => void this.errors.push(error),
      ...options,
    });
  }

  /** A manager whose first store calls go through these steps. Calls that a step drops are not counted. */
  interleaved<Data extends object = Record<string, unknown>>(
    steps: Steps,
    options: SessionOptions = {},
  ): SessionManager<Data> {
    return this.manager<Data>({ store: interleave(this.#counting.store, steps), ...options });
  }

  /** Another store on the same table, like one in another instance of the application. */
  another(): FullStore {
    return this.#opened.another();
  }

  /** The calls since the last {@linkcode Bed.resetCalls}. */
  calls(): StoreCalls {
    return this.#counting.calls();
  }

  resetCalls(): void {
    this.#counting.reset();
  }

  /** HTTP requests since the table was created, those of this class included; `undefined` without HTTP. */
  requests(): number | undefined {
    return this.#opened.requests();
  }

  /** Every session in the table, expired ones included, sorted by token. */
  async rows(): Promise<StoredRow[]> {
    return (await this.#table()).filter((row) => !isMark(row));
  }

  /** The marks that renewals left under old tokens. */
  async marks(): Promise<StoredRow[]> {
    return (await this.#table()).filter(isMark);
  }

  async #table(): Promise<StoredRow[]> {
    const rows = await Array.fromAsync(this.store.all({ now: 0 }));
    return rows.sort((a, b) => a.token < b.token ? -1 : 1);
  }

  /** The only row of the table. */
  async row(): Promise<StoredRow> {
    const rows = await this.rows();
    assertEquals(rows.length, 1, `the table has ${rows.length} rows in place of one`);
    return rows[0]!;
  }

  /** The kinds of the events so far, in order. */
  eventKinds(): SessionEvent["kind"][] {
    return this.events.map(({ kind }) => kind);
  }
}

function isMark({ data }: StoredRow): boolean {
  return new TextDecoder().decode(data).includes("__renewed");
}

/** Longer than an operation of several requests takes on a machine that pauses for some seconds. */
const PATIENCE = 30_000;

/** Declares one test for each kind of store. */
export function onEachStore(name: string, test: (bed: Bed) => Promise<void>, stores = backends): void {
  for (const backend of stores) {
    Deno.test(`${name} [${backend.name}]`, async () => {
      await using opened = await backend.open({ timeout: PATIENCE });
      await test(new Bed(opened));
    });
  }
}

/** For tests that depend on the duration of a call: here no call takes time. */
export const memoryAlone = backends.filter(({ name }) => name === "MemoryStore");

/** base64url(SHA-256(text)), computed without the library. */
export async function sha256(text: string): Promise<string> {
  const hash = await crypto.subtle.digest("SHA-256", new TextEncoder().encode(text));
  return new Uint8Array(hash).toBase64({ alphabet: "base64url", omitPadding: true });
}

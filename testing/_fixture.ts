import type {
  AtomicStore,
  IterableStore,
  PurgingStore,
  SessionStore,
  StoredRow,
  SubjectStore,
} from "../core/store.ts";
import { SessionStoreError } from "../core/errors.ts";
import { expect } from "./_checks.ts";

/** What a store may lack; see `StoreContractOptions.without`. */
export type StoreAbility =
  | "atomic"
  | "exclusive"
  | "races"
  | "listing"
  | "purging"
  | "subjects"
  | "cleanup"
  | "clock"
  | "similarTokens";

/** The methods of each ability that consists of methods. */
export const ABILITY_METHODS: Partial<Record<StoreAbility, readonly string[]>> = {
  atomic: ["create", "update", "touch"],
  listing: ["all"],
  purging: ["deleteExpired"],
  subjects: ["findBySubject", "deleteBySubject"],
  cleanup: ["stopCleanup"],
};

/** A store with every ability. A case uses only those that it lists in `needs`. */
export type AnyStore =
  & AtomicStore
  & IterableStore
  & PurgingStore
  & SubjectStore
  & { stopCleanup(): void; [Symbol.dispose]?(): void };

/** One behaviour that a store must have. */
export interface Case {
  /** Subject, behaviour, condition. */
  name: string;
  needs: StoreAbility[];
  check(fixture: Fixture): Promise<void>;
}

/** The limits of a store. */
export interface Limits {
  maxBytes: number;
  maxExpiry: number;
  /** How many calls may be under way at once. */
  atOnce: number;
}

export const SECOND = 1_000;
export const HOUR = 3_600_000;

/** The UTF-8 bytes of a text. */
export function bytesOf(text: string): Uint8Array {
  return new TextEncoder().encode(text);
}

/** The data of most rows. It looks like data of the manager. */
export const DATA: Uint8Array = bytesOf('{"deadline":1,"values":{"name":"Zoë"}}');
export const OTHER: Uint8Array = bytesOf('{"deadline":1,"values":{"name":"Max"}}');

/** A well-formed token that begins with the text. */
export function tokenOf(start: string): string {
  return start.padEnd(43, "-");
}

/** An empty store, with helpers for the cases. */
export class Fixture {
  readonly store: AnyStore;
  readonly limits: Limits;
  /** The manager's clock. It is close to the real one, and no whole second, so that rounding shows. */
  readonly now: number = Math.floor(Date.now() / SECOND) * SECOND + 789;
  /** The expiry of a live session. */
  readonly later: number = this.now + HOUR;

  constructor(store: SessionStore, limits: Limits) {
    this.store = store as AnyStore;
    this.limits = limits;
  }

  /** Stores a row with `commit()`, which every store has. */
  async put(
    token: string,
    row: { data?: Uint8Array; expiry?: number; subject?: string; now?: number } = {},
  ): Promise<void> {
    const { data = DATA, expiry = this.later, subject, now = this.now } = row;
    await this.store.commit(token, data, expiry, subject === undefined ? { now } : { now, subject });
  }

  /** Throws unless `find()` returns the expected row, or nothing if that is expected. */
  async expectFound(
    what: string,
    token: string,
    expected: { data: Uint8Array; expiry: number } | undefined,
    now: number = this.now,
  ): Promise<void> {
    const found = await this.store.find(token, { now });
    // A store may return more properties.
    expect(what, found && { data: found.data, expiry: found.expiry }, expected);
  }

  /** As {@linkcode expectFound}, for a row as {@linkcode put} stores it by default. */
  async expectIntact(what: string, token: string): Promise<void> {
    await this.expectFound(what, token, { data: DATA, expiry: this.later });
  }

  /** Throws unless of the tokens `of` exactly those in `live` have a live session. */
  async expectOnly(what: string, live: readonly string[], of: readonly string[]): Promise<void> {
    const found = await together(of.map((token) => this.store.find(token, { now: this.now })));
    expect(what, of.filter((_, index) => found[index] !== undefined), live);
  }

  /** Stores many rows. Few at once: many writers may block libsql-server for good. The tokens are in no order. */
  async fill(
    count: number,
    row: (index: number) => { expiry?: number; subject?: string },
  ): Promise<string[]> {
    const tokens = Array.from({ length: count }, (_, index) => tokenOf(`${(index * 7_919) % 100_003}-row`));
    const rows = tokens.entries();
    const writer = async () => {
      for (const [index, token] of rows) await race([() => this.put(token, row(index))]);
    };
    await together(Array.from({ length: this.limits.atOnce }, writer));
    return tokens;
  }
}

/** The rows of a listing, sorted by token, without further properties. */
export async function rowsIn(listing: AsyncIterable<StoredRow>): Promise<StoredRow[]> {
  const rows: StoredRow[] = [];
  for await (const { token, data, expiry } of listing) rows.push({ token, data, expiry });
  return rows.sort((a, b) => a.token < b.token ? -1 : 1);
}

/** The tokens of a listing, sorted. */
export async function tokensIn(rows: AsyncIterable<StoredRow>): Promise<string[]> {
  const tokens: string[] = [];
  for await (const { token } of rows) tokens.push(token);
  return tokens.sort();
}

/** Waits for all calls even if one fails, because a call that goes on would disturb the next case. */
export async function together<Calls extends readonly Promise<unknown>[] | []>(
  calls: Calls,
): Promise<{ -readonly [Index in keyof Calls]: Awaited<Calls[Index]> }> {
  await Promise.allSettled(calls);
  return await Promise.all(calls);
}

/**
 * Starts all calls at once. A call that fails as busy is repeated, as the manager does: databases resolve a deadlock by
 * refusing one of its statements.
 */
export async function race<Calls extends readonly (() => Promise<unknown>)[] | []>(
  calls: Calls,
): Promise<{ -readonly [Index in keyof Calls]: Awaited<ReturnType<Calls[Index]>> }> {
  const answers = await together(calls.map((call) => whileBusy(call)));
  return answers as { -readonly [Index in keyof Calls]: Awaited<ReturnType<Calls[Index]>> };
}

/** How often a race is run. The store decides which call is first. */
export const ROUNDS = 5;

/** Starts two calls at once. Every other round starts them in reverse order. */
export async function inBothOrders<First, Second>(
  round: number,
  first: () => Promise<First>,
  second: () => Promise<Second>,
): Promise<[First, Second]> {
  if (round % 2 === 0) return await race([first, second]);
  const [two, one] = await race([second, first]);
  return [one, two];
}

async function whileBusy<T>(call: () => Promise<T>): Promise<T> {
  for (let attempt = 1;; attempt++) {
    try {
      return await call();
    } catch (error) {
      const busy = error instanceof SessionStoreError && error.retryable && !error.ambiguous;
      if (!busy || attempt === 5) throw error;
    }
  }
}

/** How many of the answers are `true`. */
export function countTrue(answers: readonly boolean[]): number {
  return answers.filter((answer) => answer === true).length;
}

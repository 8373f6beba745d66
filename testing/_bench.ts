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

/** The methods of each ability that has some of its own. */
export const ABILITY_METHODS: Partial<Record<StoreAbility, readonly string[]>> = {
  atomic: ["create", "update", "touch"],
  listing: ["all"],
  purging: ["deleteExpired"],
  subjects: ["findBySubject", "deleteBySubject"],
  cleanup: ["stopCleanup"],
};

/** A store with every ability. A case uses those that it says it needs. */
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
  check(bench: Bench): Promise<void>;
}

/** What a store of limited means can hold. */
export interface Limits {
  maxBytes: number;
  maxExpiry: number;
}

export const SECOND = 1_000;
export const HOUR = 3_600_000;

/** Bytes of text. */
export function bytesOf(text: string): Uint8Array {
  return new TextEncoder().encode(text);
}

/** Data of most rows. It looks like what the manager writes. */
export const DATA: Uint8Array = bytesOf('{"deadline":1,"values":{"name":"Zoë"}}');
export const OTHER: Uint8Array = bytesOf('{"deadline":1,"values":{"name":"Max"}}');

/** A token of the usual form that begins with the text. */
export function tokenOf(start: string): string {
  return start.padEnd(43, "-");
}

/** A store that holds nothing yet, and what most cases do with it. */
export class Bench {
  readonly store: AnyStore;
  readonly limits: Limits;
  /** The manager's clock. Near the real one, and not a whole second, so that what rounds shows. */
  readonly now: number = Math.floor(Date.now() / SECOND) * SECOND + 789;
  /** An expiry of a session that is live. */
  readonly later: number = this.now + HOUR;

  constructor(store: SessionStore, limits: Limits) {
    this.store = store as AnyStore;
    this.limits = limits;
  }

  /** Puts a row there by the call that every store has. */
  async put(
    token: string,
    row: { data?: Uint8Array; expiry?: number; subject?: string; now?: number } = {},
  ): Promise<void> {
    const { data = DATA, expiry = this.later, subject, now = this.now } = row;
    await this.store.commit(token, data, expiry, subject === undefined ? { now } : { now, subject });
  }

  /** Throws unless the session is found as it is said to be, or is not found. */
  async expectFound(
    what: string,
    token: string,
    expected: { data: Uint8Array; expiry: number } | undefined,
    now: number = this.now,
  ): Promise<void> {
    const found = await this.store.find(token, { now });
    // A store may give more than is asked for.
    expect(what, found && { data: found.data, expiry: found.expiry }, expected);
  }

  /** As {@linkcode expectFound}, for a session as {@linkcode put} puts it there. */
  async expectIntact(what: string, token: string): Promise<void> {
    await this.expectFound(what, token, { data: DATA, expiry: this.later });
  }

  /** Throws unless these tokens have a live session, and of all that were named no other. */
  async expectOnly(what: string, live: readonly string[], of: readonly string[]): Promise<void> {
    const found = await together(of.map((token) => this.store.find(token, { now: this.now })));
    expect(what, of.filter((_, index) => found[index] !== undefined), live);
  }

  /** Puts many rows there, some at a time; the tokens are not in order. */
  async fill(
    count: number,
    row: (index: number) => { expiry?: number; subject?: string },
  ): Promise<string[]> {
    const tokens = Array.from({ length: count }, (_, index) => tokenOf(`${(index * 7_919) % 100_003}-row`));
    for (let start = 0; start < count; start += 10) {
      const part = tokens.slice(start, start + 10);
      await together(part.map((token, index) => this.put(token, row(start + index))));
    }
    return tokens;
  }
}

/** The rows of a listing by token, without what a store may give beside. */
export async function rowsIn(listing: AsyncIterable<StoredRow>): Promise<StoredRow[]> {
  const rows: StoredRow[] = [];
  for await (const { token, data, expiry } of listing) rows.push({ token, data, expiry });
  return rows.sort((a, b) => a.token < b.token ? -1 : 1);
}

/** The tokens of a listing, in order. */
export async function tokensIn(rows: AsyncIterable<StoredRow>): Promise<string[]> {
  const tokens: string[] = [];
  for await (const { token } of rows) tokens.push(token);
  return tokens.sort();
}

/** Waits for all of them also where one fails: what goes on would disturb the next case. */
export async function together<Calls extends readonly Promise<unknown>[] | []>(
  calls: Calls,
): Promise<{ -readonly [Index in keyof Calls]: Awaited<Calls[Index]> }> {
  await Promise.allSettled(calls);
  return await Promise.all(calls);
}

/**
 * Starts all of them at once. One that the store calls busy is sent again, as the manager does: databases end a
 * deadlock by refusing one of the statements in it.
 */
export async function race<Calls extends readonly (() => Promise<unknown>)[] | []>(
  calls: Calls,
): Promise<{ -readonly [Index in keyof Calls]: Awaited<ReturnType<Calls[Index]>> }> {
  const answers = await together(calls.map((call) => whileBusy(call)));
  return answers as { -readonly [Index in keyof Calls]: Awaited<ReturnType<Calls[Index]>> };
}

/** How often a race is run: which one comes first is the store's affair. */
export const ROUNDS = 5;

/** Starts two calls at once, each first in every other round. */
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

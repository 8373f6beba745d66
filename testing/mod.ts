/**
 * For tests: the contract that every store passes, for authors of other stores, and signed-in requests for
 * tests of applications. It needs no test runner in particular and asserts by itself.
 *
 * ```ts
 * import { MemoryStore } from "@x/sessions";
 * import { storeContract } from "@x/sessions/testing";
 *
 * const cases = storeContract({ name: "MemoryStore", open: () => new MemoryStore({ cleanup: "off" }) });
 * // With Deno: for (const { name, run } of cases) Deno.test(name, run);
 * // With Node: for (const { name, run } of cases) test(name, run);
 * for (const { run } of cases) await run();
 * ```
 *
 * @module
 */

import type { SessionStore } from "../core/store.ts";
import { atomicCases, deleteCases, raceCases, touchCases } from "./_atomic_cases.ts";
import { basicCases, cleanupCases, dataCases, timeCases, tokenCases } from "./_basic_cases.ts";
import { ABILITY_METHODS, Bench, type Case, type StoreAbility } from "./_bench.ts";
import { ContractError } from "./_checks.ts";
import { listingCases, purgingCases } from "./_listing_cases.ts";
import { markCases } from "./_mark_cases.ts";
import { subjectCases } from "./_subject_cases.ts";

export { cookieFor, type CookieForOptions } from "./_cookie.ts";
export type { StoreAbility } from "./_bench.ts";

/** What {@linkcode storeContract} is to test. */
export interface StoreContractOptions<Store extends SessionStore = SessionStore> {
  /** What the store is called, in the names of the cases. */
  name: string;
  /**
   * Gives a store that holds nothing and deletes nothing by itself, for the cases count what is deleted: turn a lazy
   * clean-up off. Called once for each case.
   */
  open: () => Store | PromiseLike<Store>;
  /** Gives back what `open` took. Called after each case, also after one that failed. */
  close?: (store: Store) => void | PromiseLike<void>;
  /**
   * How many bytes a session may have; the store must hold that many. Larger ones it may hold or refuse, and must
   * not cut.
   *
   * @default {32768} 32 KiB, the manager's own `maxBytes`
   */
  maxBytes?: number;
  /**
   * The latest expiry that the store can hold, in milliseconds since the epoch. A later one it must refuse.
   *
   * @default {Infinity} every time up to the year 2100 is tested
   */
  maxExpiry?: number;
  /** What the store cannot do, each with the reason why: those cases are in the list as skipped. */
  without?: Partial<Record<StoreAbility, string>>;
}

/** One case of {@linkcode storeContract}. */
export interface StoreContractCase {
  /** What the store is to do; ends with the reason where the case is skipped. */
  readonly name: string;
  /** Why the case is skipped; absent where it is not. */
  readonly skipped?: string;
  /** Runs it on a store of its own. Does nothing where it is skipped. Rejects with what was expected and what came. */
  readonly run: () => Promise<void>;
}

const CASES: readonly Case[] = [
  ...basicCases,
  ...timeCases,
  ...tokenCases,
  ...dataCases,
  ...atomicCases,
  ...markCases,
  ...touchCases,
  ...deleteCases,
  ...raceCases,
  ...listingCases,
  ...purgingCases,
  ...subjectCases,
  ...cleanupCases,
];

const MAX_BYTES = 32 * 1024;

/**
 * All that a store must do for the manager to keep its promises, as a list of cases for any test runner.
 *
 * What a store lacks is stated in `without`, by ability:
 *
 * - `atomic`: it has not `create`, `update` and `touch`. Sessions work; the last of several writers wins.
 * - `exclusive`: it writes over a token that exists where it must refuse to.
 * - `races`: calls that run at the same time may disturb each other.
 * - `listing`: no `all`. `purging`: no `deleteExpired`. `subjects`: no `findBySubject` and `deleteBySubject`.
 *   `cleanup`: no `stopCleanup`, since there is nothing to stop.
 * - `clock`: rows also go by a clock of the database's own.
 * - `similarTokens`: it cannot hold two tokens that differ in case alone. It must still tell them apart.
 *
 * @throws {TypeError} An ability is left out without a reason, or a limit is no number above 0.
 *
 * @example A store with three methods
 * ```ts
 * import { assertEquals } from "@std/assert";
 * import { MemoryStore, type SessionStore } from "@x/sessions";
 * import { storeContract } from "@x/sessions/testing";
 *
 * function open(): SessionStore {
 *   const memory = new MemoryStore({ cleanup: "off" });
 *   return {
 *     find: (token, options) => memory.find(token, options),
 *     commit: (token, data, expiry, options) => memory.commit(token, data, expiry, options),
 *     delete: (token) => memory.delete(token),
 *   };
 * }
 *
 * const cases = storeContract({
 *   name: "three methods",
 *   open,
 *   without: {
 *     atomic: "not written yet",
 *     listing: "not written yet",
 *     purging: "rows are never deleted",
 *     subjects: "not written yet",
 *     cleanup: "there is nothing to stop",
 *   },
 * });
 * for (const { run } of cases) await run();
 * assertEquals(cases.find(({ name }) => name.includes("touch()"))?.skipped, "not written yet");
 * ```
 */
export function storeContract<Store extends SessionStore>(
  options: StoreContractOptions<Store>,
): StoreContractCase[] {
  const { name, open, close, maxBytes = MAX_BYTES, maxExpiry = Infinity, without = {} } = options;
  for (const [limit, value] of Object.entries({ maxBytes, maxExpiry })) {
    if (!(value > 0)) {
      throw new TypeError(`Cannot make a store contract: ${limit} must be above 0, got ${value}`);
    }
  }
  for (const [ability, reason] of Object.entries(without)) {
    if (typeof reason === "string" && reason.trim() !== "") continue;
    throw new TypeError(`Cannot make a store contract: without.${ability} must say why`);
  }
  return CASES.map((given) => {
    const lacking = given.needs.find((ability) => without[ability] !== undefined);
    const title = `${name}: ${given.name}`;
    if (lacking !== undefined) {
      const skipped = without[lacking]!;
      return { name: `${title} (skipped: ${skipped})`, skipped, run: () => Promise.resolve() };
    }
    return {
      name: title,
      async run() {
        const store = await open();
        try {
          expectMethods(store, given.needs);
          await given.check(new Bench(store, { maxBytes, maxExpiry }));
        } finally {
          await close?.(store);
        }
      },
    };
  });
}

function expectMethods(store: SessionStore, needs: readonly StoreAbility[]): void {
  for (const ability of needs) {
    for (const method of ABILITY_METHODS[ability] ?? []) {
      if (typeof (store as unknown as Record<string, unknown>)[method] === "function") continue;
      throw new ContractError(
        `the store has no method ${method}(): write it, or say in without.${ability} why not`,
      );
    }
  }
}

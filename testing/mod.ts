/**
 * For tests: the contract of a store, for authors of stores, and signed-in requests, for tests of applications. It works
 * with any test runner.
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
import { ABILITY_METHODS, type Case, Fixture, type StoreAbility } from "./_fixture.ts";
import { ContractError } from "./_checks.ts";
import { listingCases, purgingCases } from "./_listing_cases.ts";
import { markCases } from "./_mark_cases.ts";
import { subjectCases } from "./_subject_cases.ts";

export { cookieFor, type CookieForOptions } from "./_cookie.ts";
export type { StoreAbility } from "./_fixture.ts";

/** Options of {@linkcode storeContract}. */
export interface StoreContractOptions<Store extends SessionStore = SessionStore> {
  /** The store's name in the names of the cases. */
  name: string;
  /**
   * Returns a store that is empty and deletes nothing by itself, because cases count what is deleted. Turn its clean-up
   * off. Called once for each case.
   */
  open: () => Store | PromiseLike<Store>;
  /** Releases what `open` acquired. Called after each case, even if it failed. */
  close?: ((store: Store) => void | PromiseLike<void>) | undefined;
  /**
   * How many bytes a session may have. The store must hold that many. It may hold or refuse larger ones, but never cut
   * them.
   *
   * @default {32768} 32 KiB, the manager's own `maxBytes`
   */
  maxBytes?: number | undefined;
  /**
   * The latest expiry that the store must hold, in milliseconds since the epoch. It may hold or refuse a later one, but
   * never change it.
   *
   * @default {Infinity} every time up to the year 2100 is tested
   */
  maxExpiry?: number | undefined;
  /** What the store cannot do, each with a reason. Those cases are listed as skipped. */
  without?: Partial<Record<StoreAbility, string>> | undefined;
}

/** One case of {@linkcode storeContract}. */
export interface StoreContractCase {
  /** The behaviour that is tested. Ends with the reason if the case is skipped. */
  readonly name: string;
  /** Why the case is skipped; absent if it is not. */
  readonly skipped?: string;
  /** Runs the case on its own store. Rejects with the expected and the actual value. Does nothing if it is skipped. */
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

const ABILITIES: readonly StoreAbility[] = [...new Set(CASES.flatMap(({ needs }) => needs))];

const MAX_BYTES = 32 * 1024;
/** How many rows a case stores at once, if it needs many. A distant store then takes a quarter of the time. */
const ROWS_AT_ONCE = 4;

/**
 * Everything that a store must do for the manager to keep its promises, as a list of cases for any test runner.
 *
 * List in `without` the abilities that the store lacks:
 *
 * - `atomic`: it has no `create`, `update` and `touch`. Sessions work, but the last of several writes wins.
 * - `exclusive`: it overwrites an existing token where it must refuse.
 * - `races`: concurrent calls may disturb each other.
 * - `listing`: it has no `all`.
 * - `purging`: it has no `deleteExpired`.
 * - `subjects`: it has no `findBySubject` and `deleteBySubject`.
 * - `cleanup`: it has no `stopCleanup`, because there is nothing to stop.
 * - `clock`: rows also expire by the database's own clock.
 * - `similarTokens`: it cannot hold two tokens that differ only in case. It must still tell them apart.
 *
 * @throws {TypeError} An ability in `without` has no reason, or a limit is not a number above 0.
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
    if (!ABILITIES.includes(ability as StoreAbility)) {
      throw new TypeError(
        `Cannot make a store contract: without.${ability} is no ability; they are ${ABILITIES.join(", ")}`,
      );
    }
    if (typeof reason === "string" && reason.trim() !== "") continue;
    throw new TypeError(`Cannot make a store contract: without.${ability} must say why`);
  }
  const atOnce = without.races === undefined ? ROWS_AT_ONCE : 1;
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
          await given.check(new Fixture(store, { maxBytes, maxExpiry, atOnce }));
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

/** The published contract as tests of a store. */
import type { SessionStore } from "../../mod.ts";
import { storeContract, type StoreContractOptions } from "../../testing/mod.ts";

/** A store, and how to release what it uses. */
export interface Opened {
  store: SessionStore;
  close?: () => unknown;
}

/** How long a store waits, in milliseconds. With twenty calls at once a busy machine exceeds the default. */
export const PATIENCE = 30_000;

type Limits = Pick<StoreContractOptions, "maxBytes" | "maxExpiry" | "without">;

/** Why a table that SCS made cannot pass every case. */
export const NO_SUBJECTS = { subjects: "SCS's table has no such column" };

/**
 * One test for each case of the contract.
 *
 * @param only Which cases to run; all of them unless given.
 */
export function passes(
  name: string,
  open: () => Opened | Promise<Opened>,
  limits: Limits = {},
  only: (name: string) => boolean = () => true,
): void {
  const closers = new WeakMap<SessionStore, Opened["close"]>();
  const cases = storeContract({
    name,
    async open() {
      const { store, close } = await open();
      closers.set(store, close);
      return store;
    },
    close: async (store) => void await closers.get(store)?.(),
    ...limits,
  });
  for (const { name, skipped, run } of cases) {
    if (only(name)) Deno.test({ name, ignore: skipped !== undefined, fn: run });
  }
}

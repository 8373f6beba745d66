/**
 * Stores that tell what is asked of them, or let a test step into a call. Every ability of the wrapped store passes
 * through, and no other appears.
 * @module
 */

import type { SessionStore } from "../mod.ts";

const METHODS = [
  "find",
  "commit",
  "create",
  "update",
  "touch",
  "delete",
  "all",
  "deleteExpired",
  "findBySubject",
  "deleteBySubject",
] as const;

/** What the manager may ask of a store. */
export type StoreMethod = typeof METHODS[number];

/**
 * A store whose calls all go through `around`.
 *
 * @param around Gets the method's name, the call as it was meant and its arguments, and gives what the caller is to
 * get.
 */
export function aroundCalls<Store extends SessionStore>(
  store: Store,
  around: (method: StoreMethod, call: () => unknown, args: readonly unknown[]) => unknown,
): Store {
  return new Proxy(store, {
    get(target, name) {
      const value: unknown = Reflect.get(target, name, target);
      if (typeof value !== "function") return value;
      // Bound, since the private fields are the store's and not the proxy's.
      const method = value.bind(target) as (...args: unknown[]) => unknown;
      if (!isStoreMethod(name)) return method;
      return (...args: unknown[]) => around(name, () => method(...args), args);
    },
  });
}

/** How often each method was called; those that were not are absent. */
export type StoreCalls = Partial<Record<StoreMethod, number>>;

/** A store that is counted; see {@linkcode countingStore}. */
export interface CountingStore<Store extends SessionStore> {
  /** What to give to the manager. */
  store: Store;
  /** The calls since the start or the last `reset()`. */
  calls(): StoreCalls;
  /** The sum of them. */
  count(): number;
  /** Counts from 0 again. */
  reset(): void;
}

/** Counts calls by method, a listing once however many pages it reads. */
export function countingStore<Store extends SessionStore>(inner: Store): CountingStore<Store> {
  let calls: StoreCalls = {};
  return {
    store: aroundCalls(inner, (method, call) => {
      calls[method] = (calls[method] ?? 0) + 1;
      return call();
    }),
    calls: () => ({ ...calls }),
    count: () => Object.values(calls).reduce((sum, count) => sum + count, 0),
    reset() {
      calls = {};
    },
  };
}

function isStoreMethod(name: PropertyKey): name is StoreMethod {
  return METHODS.some((method) => method === name);
}

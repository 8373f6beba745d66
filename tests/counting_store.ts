/**
 * Stores that count their calls, or let a test intervene in a call. They have exactly the abilities of the wrapped
 * store.
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

/** The methods of a store that the manager may call. */
export type StoreMethod = typeof METHODS[number];

/**
 * A store whose calls all go through `around`.
 *
 * @param around Gets the method's name, the original call and its arguments. Returns what the caller gets.
 */
export function aroundCalls<Store extends SessionStore>(
  store: Store,
  around: (method: StoreMethod, call: () => unknown, args: readonly unknown[]) => unknown,
): Store {
  return new Proxy(store, {
    get(target, name) {
      const value: unknown = Reflect.get(target, name, target);
      if (typeof value !== "function") return value;
      // Bound, because the private fields belong to the store and not to the proxy.
      const method = value.bind(target) as (...args: unknown[]) => unknown;
      if (!isStoreMethod(name)) return method;
      return (...args: unknown[]) => around(name, () => method(...args), args);
    },
  });
}

/** How often each method was called. Methods without a call are absent. */
export type StoreCalls = Partial<Record<StoreMethod, number>>;

/** A store that counts; see {@linkcode countingStore}. */
export interface CountingStore<Store extends SessionStore> {
  /** The store to give to the manager. */
  store: Store;
  /** The calls since the start or the last `reset()`, by method. */
  calls(): StoreCalls;
  /** The number of all calls. */
  count(): number;
  /** Restarts from 0. */
  reset(): void;
}

/** Counts calls by method. A listing counts once, however many pages it reads. */
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

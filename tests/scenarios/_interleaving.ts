/**
 * Forced interleavings: code that runs before, after or in place of the nth call of a store's method.
 * @module
 */

import type { SessionStore } from "../../mod.ts";
import { aroundCalls, type StoreMethod } from "../counting_store.ts";

/** Runs in place of one call, which it may make once, twice or not at all. */
export type Step = (call: () => Promise<unknown>) => Promise<unknown>;

/** Steps by method, for the first calls of each. */
export type Steps = Partial<Record<StoreMethod, Step[]>>;

/** A store whose first calls of a method go through these steps. Later calls are direct. */
export function interleave<Store extends SessionStore>(store: Store, steps: Steps): Store {
  const left = new Map(Object.entries(steps).map(([method, list]) => [method, [...list]]));
  return aroundCalls(store, (method, call) => {
    const step = left.get(method)?.shift();
    return step === undefined ? call() : step(call as () => Promise<unknown>);
  });
}

/** Runs something else before the call. */
export function before(work: () => Promise<unknown>): Step {
  return async (call) => {
    await work();
    return await call();
  };
}

/** The call is not made, and fails. */
export function failUnsent(error: unknown): Step {
  return () => Promise.reject(error);
}

/** The call is made, and its reply is lost. */
export function loseReply(error: unknown = new Error("the connection broke")): Step {
  return async (call) => {
    await call();
    throw error;
  };
}

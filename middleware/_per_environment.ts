import { isObject } from "../core/bytes/values.ts";
import { SessionConfigError } from "../core/errors.ts";
import type { SessionManager } from "../core/manager.ts";
import { hasMethods, ignoreRejection } from "../core/foreign.ts";

/** The managers that each function has made, by the `env` object. One function may be passed to several middlewares. */
const madeBy = new WeakMap<object, WeakMap<object, unknown>>();

/**
 * Makes one manager per `env` object of Workers, on its first request. `env` stays the same for the life of an instance,
 * so the store and its state are kept.
 */
export function perEnvironment<Data extends object, Argument>(
  manager: SessionManager<Data> | ((argument: Argument) => SessionManager<Data>),
): (environment: unknown, argument: Argument) => SessionManager<Data> {
  if (isManager<Data>(manager)) return () => manager;
  if (typeof manager !== "function") {
    throw new SessionConfigError([
      "pass a session manager, or a function that makes one",
    ]);
  }
  const managers = (madeBy.get(manager) ?? new WeakMap()) as WeakMap<object, SessionManager<Data>>;
  madeBy.set(manager, managers);
  return (environment, argument) => {
    const key = isObject(environment) ? environment : manager;
    let current = managers.get(key);
    if (current === undefined) managers.set(key, current = make(manager, argument));
    return current;
  };
}

/** Checks for the method, not the class: an application may have two copies of this package. */
export function isManager<Data extends object>(value: unknown): value is SessionManager<Data> {
  return hasMethods<SessionManager<Data>>(value, "begin");
}

function make<Data extends object, Argument>(
  manager: (argument: Argument) => SessionManager<Data>,
  argument: Argument,
): SessionManager<Data> {
  try {
    const made: unknown = manager(argument);
    if (isManager<Data>(made)) return made;
    ignoreRejection(made);
    const what = made instanceof Promise ? "a promise: make the table beforehand" : typeof made;
    throw new SessionConfigError([`the function must return a session manager, not ${what}`]);
  } catch (error) {
    // There is no `onError` yet, and Hono does not log an error that has a `getResponse()`.
    if (error instanceof SessionConfigError) console.error(error);
    throw error;
  }
}

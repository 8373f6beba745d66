import { SessionConfigError } from "../core/errors.ts";
import { SessionManager } from "../core/manager.ts";

/**
 * A manager for each `env` object of Workers, made when it is first seen: `env` stays the same for the life of an
 * instance, so stores and what they know are kept, and nothing is made before credentials are there.
 */
export function perEnvironment<Data extends object, Argument>(
  manager: SessionManager<Data> | ((argument: Argument) => SessionManager<Data>),
): (environment: unknown, argument: Argument) => SessionManager<Data> {
  if (manager instanceof SessionManager) return () => manager;
  if (typeof manager !== "function") {
    throw new SessionConfigError([
      "the first argument must be a session manager, or a function that makes one",
    ]);
  }
  const made = new WeakMap<object, SessionManager<Data>>();
  return (environment, argument) => {
    const key = typeof environment === "object" && environment !== null ? environment : manager;
    let current = made.get(key);
    if (current === undefined) {
      current = manager(argument);
      made.set(key, current);
    }
    return current;
  };
}

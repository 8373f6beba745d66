/**
 * Deletes expired sessions from a scheduler: a Worker's cron trigger, or `Deno.cron`.
 *
 * ```ts
 * import { assertEquals } from "@std/assert";
 * import { sessions } from "@x/sessions";
 * import { scheduledPurge } from "@x/sessions/middleware/scheduled";
 *
 * const manager = sessions();
 * const purge = scheduledPurge(manager, { budget: "20s" });
 * // Workers: export default { fetch, scheduled: purge };
 * // Deno:    Deno.cron("purge sessions", "0 * * * *", purge);
 * assertEquals((await purge()).done, true);
 * ```
 *
 * @module
 */

import type { SessionManager } from "../core/manager.ts";
import { type PurgeOptions, type PurgeResult, readPurgeOptions } from "../core/store/purge.ts";
import { perEnvironment } from "./_per_environment.ts";

/** What {@linkcode scheduledPurge} gives. */
export interface PurgeHandler<Environment = unknown> {
  /** Purges, and tells what it did. Only `env` matters, and only where the manager is made from it. */
  (controller?: unknown, env?: Environment, context?: unknown): Promise<PurgeResult>;
  /** The same, in the form in which platforms declare their handlers. */
  (controller?: unknown, env?: Environment, context?: unknown): Promise<void>;
}

/**
 * Makes the `scheduled` handler of a Worker, and the job of a `Deno.cron`: it deletes in batches until nothing
 * is left or its budget is spent. Any number may run at once.
 *
 * @param manager A manager, or on Workers a function that makes one from `env`; it is called once for each `env`
 * object.
 * @param options As for `manager.purge()`, for every run. A `signal` that was aborted ends every later run too.
 * @returns A handler that tells what it did. It rejects with `SessionStoreError` where the store fails, so that
 * the platform tries again; what was deleted stays deleted.
 * @throws {SessionConfigError} Options are wrong; `problems` names every mistake.
 */
export function scheduledPurge<Data extends object, Environment = unknown>(
  manager: SessionManager<Data> | ((env: Environment) => SessionManager<Data>),
  options: PurgeOptions = {},
): PurgeHandler<Environment> {
  const managerOf = perEnvironment(manager);
  // At once, and not in the first run at night.
  readPurgeOptions(options);
  function purgeSessions(controller?: unknown, env?: Environment): Promise<PurgeResult>;
  function purgeSessions(controller?: unknown, env?: Environment): Promise<void>;
  async function purgeSessions(_controller?: unknown, env?: Environment): Promise<PurgeResult | void> {
    return await managerOf(env, env as Environment).purge(options);
  }
  return purgeSessions;
}

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

/** The handler that {@linkcode scheduledPurge} returns. */
export interface PurgeHandler<Environment = unknown> {
  /** Purges, and resolves to what it did. Only `env` is used, and only if the manager is made from it. */
  (controller?: unknown, env?: Environment, context?: unknown): Promise<PurgeResult>;
  /** The same, with the type that platforms declare for their handlers. */
  (controller?: unknown, env?: Environment, context?: unknown): Promise<void>;
}

/**
 * Makes the `scheduled` handler of a Worker, or the job of a `Deno.cron`. It deletes in batches until nothing is left or
 * its budget is spent. Any number of them may run at once.
 *
 * @param manager A manager, or on Workers a function that makes one from `env`. It is called once for each `env` object.
 * @param options The options of `manager.purge()`, for every run. An aborted `signal` also ends every later run.
 * @returns A handler that resolves to what it did. If the store fails, it rejects with `SessionStoreError`, so that the
 * platform tries again. Rows already deleted stay deleted.
 * @throws {SessionConfigError} Options are wrong; `problems` names every mistake.
 */
export function scheduledPurge<Data extends object, Environment = unknown>(
  manager: SessionManager<Data> | ((env: Environment) => SessionManager<Data>),
  options: PurgeOptions = {},
): PurgeHandler<Environment> {
  const managerOf = perEnvironment(manager);
  // Checked now rather than in the first run.
  readPurgeOptions(options);
  function purgeSessions(controller?: unknown, env?: Environment): Promise<PurgeResult>;
  function purgeSessions(controller?: unknown, env?: Environment): Promise<void>;
  async function purgeSessions(_controller?: unknown, env?: Environment): Promise<PurgeResult | void> {
    return await managerOf(env, env as Environment).purge(options);
  }
  return purgeSessions;
}

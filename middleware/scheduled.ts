/**
 * Deletes expired sessions from a scheduler: a Worker's cron trigger, or `Deno.cron`.
 *
 * ```ts
 * import { assertEquals } from "@std/assert";
 * import { sessions } from "@x/sessions";
 * import { scheduledPurge } from "@x/sessions/middleware/scheduled";
 *
 * const manager = sessions();
 * const purge = scheduledPurge(manager);
 * // Workers: export default { fetch, scheduled: purge };
 * // Deno:    Deno.cron("purge sessions", "0 * * * *", () => purge());
 * assertEquals((await purge()).done, true);
 * ```
 *
 * @module
 */

import type { SessionManager } from "../core/manager.ts";
import type { PurgeOptions, PurgeResult } from "../core/purge.ts";
import { perEnvironment } from "./_per_environment.ts";

/**
 * Makes the `scheduled` handler of a Worker, and the job of a `Deno.cron`: it deletes in batches until nothing
 * is left or its budget is spent. Two that run at once do not harm each other.
 *
 * @param manager A manager, or on Workers a function that makes one from `env`; it is called once for each `env`
 * object.
 * @returns A handler that tells what it did. It throws `SessionStoreError` where the store fails, so that the
 * platform tries again; what was deleted stays deleted.
 */
export function scheduledPurge<Data extends object, Environment = unknown>(
  manager: SessionManager<Data> | ((env: Environment) => SessionManager<Data>),
  options: PurgeOptions = {},
): (controller?: unknown, env?: Environment, context?: unknown) => Promise<PurgeResult> {
  const managerOf = perEnvironment(manager);
  return async function purgeSessions(_controller?: unknown, env?: Environment): Promise<PurgeResult> {
    return await managerOf(env, env as Environment).purge(options);
  };
}

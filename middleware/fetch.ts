/**
 * Sessions for a plain `fetch` handler: `Deno.serve`, Workers, Bun, or anything that maps a `Request` to a
 * `Response`.
 *
 * ```ts
 * import { assertEquals } from "@std/assert";
 * import { sessions } from "@x/sessions";
 * import { withSessions } from "@x/sessions/middleware/fetch";
 *
 * const manager = sessions<{ message: string }>();
 * const handler = withSessions(manager, async (request, getSession) => {
 *   if (new URL(request.url).pathname === "/health") return new Response("ok"); // costs no store call
 *   const session = await getSession();
 *   session.put("message", "Hello from a session!");
 *   return new Response(null, { status: 204 });
 * });
 *
 * const response = await handler(new Request("https://example.com/put"));
 * assertEquals(response.headers.get("Set-Cookie")?.startsWith("__Host-session="), true);
 * ```
 *
 * @module
 */

import type { SessionManager } from "../core/manager.ts";
import type { Session } from "../core/session.ts";
import { perEnvironment } from "./_per_environment.ts";

/** A `fetch` handler that can ask for its request's session. */
export type SessionHandler<Data extends object, Rest extends unknown[]> = (
  request: Request,
  session: () => Promise<Session<Data>>,
  ...rest: Rest
) => Response | Promise<Response>;

/**
 * Gives a `fetch` handler its session. What the handler changes is saved before its response is sent. A handler
 * that throws saves nothing, and the error is thrown on; one with a `getResponse()`, as Hono's `HTTPException`,
 * is a response like any other.
 *
 * @param manager A manager, or on Workers, where credentials arrive with each request, a function that makes one
 * from `env`; it is called once for each `env` object.
 * @param handler Gets the request, a function that gives the session, and whatever else the platform passes.
 */
export function withSessions<Data extends object, Rest extends unknown[] = unknown[]>(
  manager: SessionManager<Data> | ((env: Rest[0]) => SessionManager<Data>),
  handler: SessionHandler<Data, Rest>,
): (request: Request, ...rest: Rest) => Promise<Response> {
  const managerOf = perEnvironment(manager);
  return async function sessionHandler(request: Request, ...rest: Rest): Promise<Response> {
    const { waitUntil } = executionContext(rest);
    const current = managerOf(rest[0], rest[0]).begin(request, { waitUntil });
    let response: Response | undefined;
    let error: unknown;
    try {
      response = await handler(request, () => current.session(), ...rest);
    } catch (thrown) {
      error = thrown ?? new Error("The handler threw nothing");
    }
    return await current.finish(response, error);
  };
}

/** Workers pass `env` and an execution context after the request; Deno and Bun pass neither. */
function executionContext(rest: unknown[]): { waitUntil?: (work: Promise<unknown>) => void } {
  const context = rest[1] as { waitUntil?: unknown } | null | undefined;
  if (typeof context?.waitUntil !== "function") return {};
  return { waitUntil: context.waitUntil.bind(context) as (work: Promise<unknown>) => void };
}

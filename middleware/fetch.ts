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

import { SessionConfigError } from "../core/errors.ts";
import type { SessionManager } from "../core/manager.ts";
import type { Session } from "../core/session.ts";
import type { SessionContext } from "../core/store/operation.ts";
import { finishThrown } from "./_finish_thrown.ts";
import { perEnvironment } from "./_per_environment.ts";

/** A `fetch` handler that can ask for the session of its request. The platform may have a `Request` of its own. */
export type SessionHandler<Data extends object, Rest extends unknown[], Incoming extends Request = Request> =
  (
    request: Incoming,
    getSession: () => Promise<Session<Data>>,
    ...rest: Rest
  ) => Response | Promise<Response>;

/** The function that the platform calls. The platform may pass more arguments than the handler takes. */
export type FetchHandler<Rest extends unknown[], Incoming extends Request = Request> = (
  request: Incoming,
  ...rest: [...Rest, ...unknown[]]
) => Promise<Response>;

/**
 * Gives a `fetch` handler access to its session. What the handler changes is saved before its response is sent.
 *
 * If the handler throws, nothing is saved and the error is thrown again. An error with a `getResponse()`, such as Hono's
 * `HTTPException`, is a response like any other.
 *
 * What the handler saved or ended itself, with `await session.commit()` or `destroy()`, stands even if it throws. If that
 * changed the cookie, the response is a plain 500 with the cookie. The error then goes to `waitUntil` on Workers, and to
 * `console.error` elsewhere.
 *
 * The handler must return a response. Call Bun's `server.upgrade()`, which leaves no response to return, outside of it.
 *
 * @param manager A manager.
 * @param handler Gets the request, a function that loads the session, and the other arguments of the platform.
 * @throws {SessionConfigError} The first argument is not a manager, or the second one is not a function.
 */
export function withSessions<
  Data extends object,
  Rest extends unknown[],
  Incoming extends Request = Request,
>(
  manager: SessionManager<Data>,
  handler: SessionHandler<Data, Rest, Incoming>,
): FetchHandler<Rest, Incoming>;
/**
 * As above, for Workers, where credentials arrive with each request.
 *
 * @param manager Makes a manager from `env`. It is called once for each `env` object, which stays the same on Workers and
 * Bun. Other platforms, such as `Deno.serve`, would call it on every request: pass a manager there.
 * @param handler Gets the request, a function that loads the session, `env`, and the other arguments of the platform.
 */
export function withSessions<
  Data extends object,
  Environment,
  Rest extends unknown[],
  Incoming extends Request = Request,
>(
  manager: (env: Environment) => SessionManager<Data>,
  handler: SessionHandler<Data, [env: Environment, ...rest: Rest], Incoming>,
): FetchHandler<[env: Environment, ...rest: Rest], Incoming>;
export function withSessions<Data extends object>(
  manager: SessionManager<Data> | ((env: unknown) => SessionManager<Data>),
  handler: SessionHandler<Data, unknown[]>,
): FetchHandler<unknown[]> {
  const managerOf = perEnvironment(manager);
  if (typeof handler !== "function") {
    throw new SessionConfigError(["the second argument must be a handler of requests"]);
  }
  return async function sessionHandler(request: Request, ...rest: unknown[]): Promise<Response> {
    const context = executionContext(rest);
    const [environment] = rest;
    const current = managerOf(environment, environment).begin(request, context);
    try {
      return await current.finish(await handler(request, current.session, ...rest));
    } catch (thrown) {
      return await finishThrown(current, thrown, (error) => report(error, context));
    }
  };
}

/** The response with the cookie takes the place of the error, which the operator still needs. */
function report(error: unknown, { waitUntil }: SessionContext): void {
  if (waitUntil === undefined) return console.error(error);
  const failed = Promise.reject(error);
  failed.catch(() => {});
  try {
    const given: unknown = waitUntil(failed);
    // The rejection of an asynchronous waitUntil must not end the process.
    if (given instanceof Promise) given.catch(() => console.error(error));
  } catch {
    // `waitUntil` was called without its object, or after the request had ended.
    console.error(error);
  }
}

/** Workers pass `env` and an execution context after the request. Deno and Bun pass neither. */
function executionContext(rest: unknown[]): SessionContext {
  const context = rest[1] as { waitUntil?: unknown } | null | undefined;
  if (typeof context?.waitUntil !== "function") return {};
  return { waitUntil: context.waitUntil.bind(context) as (work: Promise<unknown>) => void };
}

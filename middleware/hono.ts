/**
 * Sessions for Hono, on any runtime that Hono runs on.
 *
 * ```ts
 * import { assertEquals } from "@std/assert";
 * import { Hono } from "hono";
 * import { sessions } from "@x/sessions";
 * import { honoSessions } from "@x/sessions/middleware/hono";
 *
 * const manager = sessions<{ visits: number }>();
 * const app = new Hono()
 *   .use(honoSessions(manager))
 *   .get("/", async (c) => {
 *     const session = await c.var.session();
 *     session.update("visits", (visits = 0) => visits + 1);
 *     return c.text(`Visit ${session.get("visits")}`);
 *   });
 *
 * const response = await app.request("https://example.com/");
 * assertEquals(await response.text(), "Visit 1");
 * ```
 *
 * @module
 */

import type { Context, Env, MiddlewareHandler } from "hono";
import { SessionError } from "../core/errors.ts";
import { RawOptionsReader } from "../core/options/reader.ts";
import { lightBodyOf } from "../core/http/body.ts";
import { markPersonal } from "../core/http/response.ts";
import type { RequestSession } from "../core/http/request.ts";
import { responseOf } from "../core/http/thrown.ts";
import type { SessionManager } from "../core/manager.ts";
import type { Session } from "../core/session.ts";
import type { SessionContext } from "../core/store/operation.ts";
import { finishThrown } from "./_finish_thrown.ts";
import { perEnvironment } from "./_per_environment.ts";

/** Options of {@linkcode honoSessions}. */
export interface HonoSessionsOptions<Key extends string = "session"> {
  /**
   * The name in `c.var`. Two managers in one application need two names, and two cookie names.
   *
   * @default {"session"}
   */
  key?: Key | undefined;
}

/**
 * The `Variables` of a handler that is written outside the chain:
 * `Context<{ Variables: SessionVariables<Data> }>`.
 */
export type SessionVariables<Data extends object = Record<string, unknown>, Key extends string = "session"> =
  {
    [Name in Key]: () => Promise<Session<Data>>;
  };

/**
 * Sets `c.var.session` to a function that loads the request's session when it is first called. What the handler changes
 * is saved before the response is sent.
 *
 * If the handler throws, nothing is saved. An `HTTPException` is a response like any other. What the handler saved or
 * ended itself, with `commit()` or `destroy()`, stands, and the response of `app.onError` carries the cookie.
 *
 * In `app.onError` the session no longer has the handler's changes. What `app.onError` changes is saved.
 *
 * Where to mount it:
 *
 * - With `use()`, around whatever may throw, and not within `every()` or `some()`.
 * - Before `etag()`, whose 304 drops cookies.
 * - Before a middleware that makes the response after a handler that returned none. Mounted after it, a request that asks
 *   for its session fails with a `TypeError`, and nothing is saved.
 * - Before `timeout()`, which responds while the handler is still running. What that handler changes afterwards then
 *   throws `SessionClosedError`. Mounted after `timeout()`, it would be saved, but a new token would not reach the browser.
 *
 * @param manager A manager. On Workers, where credentials arrive with each request, a function that makes one from the
 * context. It is called once for each `c.env` object. Under `Deno.serve(app.fetch)` and on Node that object is new on every
 * request: pass a manager there.
 * @throws {SessionConfigError} The first argument is neither a manager nor a function, or an option is wrong.
 */
// `any`, as in Hono's own types, lets the function pass on `c.env` where the context has no type.
// deno-lint-ignore no-explicit-any
export function honoSessions<Data extends object, const Key extends string = "session", E extends Env = any>(
  manager: SessionManager<Data> | ((c: Context<E>) => SessionManager<Data>),
  options: HonoSessionsOptions<Key> = {},
): MiddlewareHandler<{ Variables: SessionVariables<Data, Key> }> {
  const managerOf = perEnvironment(manager);
  const reader = new RawOptionsReader(options);
  const given = reader.read("key");
  const key = (given === undefined ? "session" : given) as Key;
  if (typeof key !== "string" || key === "") reader.refuse("key", "must be a name");
  reader.finish();
  return async function sessionMiddleware(c, next) {
    const request = managerOf(c.env, c as unknown as Context<E>).begin(c.req.raw, new HonoSessionContext(c));
    let isAsked = false;
    const session = () => {
      if (!isAsked && !c.finalized) markOnAssignment(c);
      isAsked = true;
      // This call comes from app.onError, since the handler has failed. The handler's changes are discarded.
      if (c.error !== undefined && (c.error instanceof SessionError || responseOf(c.error) === undefined)) {
        request.fail(c.error);
      }
      return request.session(c.finalized ? c.res : undefined);
    };
    const outer = c.get(key);
    c.set(key, session as SessionVariables<Data, Key>[Key]);
    try {
      await next();
    } catch (error) {
      // Hono puts a handler's error into c.error. This one is from notFound(), or is not an Error.
      if (!isAsked) throw error;
      return await respondThrown(c, request, error);
    } finally {
      // For a middleware between two of these, which may still change the outer one's session.
      if (outer) c.set(key, outer);
    }
    // The handler returned no response. Hono throws an error of its own, unless a middleware further out responds.
    if (!c.finalized && !isAsked) return;
    try {
      // Without a response finish() throws: what the handler changed would be lost in silence.
      // etag(), say, has read the body of an HTTPException's response. It was a response, and no failure.
      const error = responseOf(c.error) === null ? undefined : c.error;
      respond(c, await request.finish(c.finalized ? c.res : undefined, error));
    } catch (error) {
      await respondThrown(c, request, error);
    }
  };
}

async function respondThrown(
  c: Context,
  request: Pick<RequestSession<object>, "finish">,
  thrown: unknown,
): Promise<void> {
  respond(c, await finishThrown(request, thrown, (error, answer) => passOn(c, error, answer)));
}

/** Throws the error for `app.onError`, whose response gets the cookie of the answer. */
function passOn(c: Context, error: unknown, answer: Response): void {
  // Hono would pass any other value to the platform, whose response would not have the cookie.
  if (!(error instanceof Error)) return console.error(error);
  // Hono adds these headers to the response of app.onError.
  c.header("Vary", "Cookie", { append: true });
  c.header("Cache-Control", 'private, no-cache="Set-Cookie"');
  for (const cookie of answer.headers.getSetCookie()) c.header("Set-Cookie", cookie, { append: true });
  throw error;
}

function respond(c: Context, response: Response): void {
  if (response === c.res) return;
  keepBodyHeaders(c, c.res, response);
  // Assigning to c.res merges the headers of the previous response into the new one.
  c.res = undefined;
  c.res = response;
}

/** The accessors of `c.res` that mark a response, by the prototype of the context: an application may have two Honos. */
const markingAccessors = new WeakMap<object, PropertyDescriptor>();

/**
 * Marks the handler's response as private as soon as it is assigned to `c.res`. A cache mounted inside this middleware
 * would otherwise store the response before this middleware sees it.
 */
function markOnAssignment(c: Context): void {
  const prototype = Object.getPrototypeOf(c) as object;
  let accessors = markingAccessors.get(prototype);
  if (accessors === undefined) markingAccessors.set(prototype, accessors = markingAccessorsOf(prototype));
  Object.defineProperty(c, "res", accessors);
}

function markingAccessorsOf(prototype: object): PropertyDescriptor {
  const { get, set } = Object.getOwnPropertyDescriptor(prototype, "res") as Required<PropertyDescriptor>;
  return {
    configurable: true,
    get,
    set(this: Context, response: Response | undefined) {
      set.call(this, response);
      if (response === undefined) return;
      // If there was a response before, Hono has stored a copy.
      const own = get.call(this) as Response;
      // What is no response comes back unchanged, and finish() refuses it.
      const marked = markPersonal(own, true);
      if (marked === own) return;
      keepBodyHeaders(this, own, marked);
      set.call(this, undefined);
      set.call(this, marked);
    },
  };
}

/**
 * Keeps the headers that describe the body of an upstream's response to a HEAD. A copied `fetch()` response loses them,
 * because its body is decoded. Hono sends no body for a HEAD, so they stay true.
 */
function keepBodyHeaders({ req }: Context, before: Response, response: Response): void {
  // A light response that is looked at can be sent only once.
  if (
    req.raw.method !== "HEAD" || lightBodyOf(before) !== undefined || before.url === "" ||
    before.status !== response.status
  ) return;
  for (const name of ["Content-Encoding", "Content-Length"]) {
    const value = before.headers.get(name);
    if (value !== null && !response.headers.has(name)) response.headers.set(name, value);
  }
}

/**
 * Looks up the platform's `waitUntil` only when it is needed. Without one `c.executionCtx` throws, which would be the
 * largest cost of a request that does not use its session.
 */
class HonoSessionContext implements SessionContext {
  readonly #c: Context;

  constructor(c: Context) {
    this.#c = c;
  }

  get waitUntil(): SessionContext["waitUntil"] {
    try {
      const { executionCtx } = this.#c;
      return (work) => executionCtx.waitUntil(work);
    } catch {
      return undefined;
    }
  }
}

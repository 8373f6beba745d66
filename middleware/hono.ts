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
import { OptionNames } from "../core/options/reader.ts";
import { markPersonal } from "../core/http/response.ts";
import { responseOf } from "../core/http/thrown.ts";
import type { RequestSession } from "../core/http/request.ts";
import type { SessionManager } from "../core/manager.ts";
import type { Session } from "../core/session.ts";
import type { SessionContext } from "../core/store/operation.ts";
import { internalServerError } from "./_internal_server_error.ts";
import { perEnvironment } from "./_per_environment.ts";

/** Options of {@linkcode honoSessions}. */
export interface HonoSessionsOptions<Key extends string = "session"> {
  /**
   * The name in `c.var`. Two managers in one application need two, and two cookie names.
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
 * Puts the request's session into `c.var`, as a function that loads it when it is first called. What the handler
 * changes is saved before the response is sent. A handler that throws saves nothing; an `HTTPException` is a
 * response like any other. What the handler saved or ended itself, by `commit()` or `destroy()`, stands, and its
 * cookie goes out with the response of `app.onError`.
 *
 * `app.onError` starts afresh: the `c.var.session()` that it gets has forgotten what the handler changed, and what it
 * changes itself is saved.
 *
 * Mount it by `use()`, around whatever may throw, rather than within `every()` or `some()`; before `etag()`, whose 304
 * keeps no cookie; and before `timeout()`, whose answer is sent while the handler goes on: what that one changes late then
 * throws `SessionClosedError`, and is otherwise saved for a browser that hears of no new token.
 *
 * @param manager A manager, or on Workers, where credentials arrive with each request, a function that makes one
 * from the context; it is called once for each `c.env` object. Under `Deno.serve(app.fetch)` and on Node that object
 * is new with every request: pass a manager there.
 * @throws {SessionConfigError} The manager is none, or an option is none.
 */
export function honoSessions<Data extends object, const Key extends string = "session", E extends Env = Env>(
  manager: SessionManager<Data> | ((c: Context<E>) => SessionManager<Data>),
  options: HonoSessionsOptions<Key> = {},
): MiddlewareHandler<{ Variables: SessionVariables<Data, Key> }> {
  const managerOf = perEnvironment(manager);
  const reader = new OptionNames(options);
  const given = reader.read("key");
  const key = (given === undefined ? "session" : given) as Key;
  if (typeof key !== "string" || key === "") reader.refuse("key", "must be a name");
  reader.finish();
  return async function sessionMiddleware(c, next) {
    const request = managerOf(c.env, c as unknown as Context<E>).begin(c.req.raw, new RequestContext(c));
    let isAsked = false;
    const session = () => {
      if (!isAsked && !c.finalized) markInTime(c);
      isAsked = true;
      // The handler has failed, and app.onError asks: what it changes is saved, and what the handler changed is not.
      if (c.error !== undefined && (c.error instanceof SessionError || responseOf(c.error) === undefined)) {
        request.fail(c.error);
      }
      return request.session(c.finalized ? c.res : undefined);
    };
    c.set(key, session as SessionVariables<Data, Key>[Key]);
    try {
      await next();
    } catch (error) {
      // A handler's error comes as c.error: this is one of notFound(), or no Error at all.
      if (!isAsked) throw error;
      return await finishThrown(c, request, error);
    }
    // A handler that gave no response: Hono has an error for that.
    if (!c.finalized) return;
    try {
      respond(c, await request.finish(c.res, c.error));
    } catch (error) {
      await finishThrown(c, request, error);
    }
  };
}

async function finishThrown(
  c: Context,
  request: Pick<RequestSession<object>, "finish">,
  thrown: unknown,
): Promise<void> {
  if (responseOf(thrown) !== undefined) return respond(c, await request.finish(undefined, thrown));
  const error = thrown ?? new Error("The handler threw nothing");
  const answer = await request.finish(internalServerError(), error);
  if (!answer.headers.has("Set-Cookie")) throw error;
  if (!(error instanceof Error)) {
    // Hono hands it on to the platform, which knows no headers.
    console.error(error);
    return respond(c, answer);
  }
  // Hono gives them to the response that app.onError makes.
  c.header("Vary", "Cookie");
  c.header("Cache-Control", 'private, no-cache="Set-Cookie"');
  for (const cookie of answer.headers.getSetCookie()) c.header("Set-Cookie", cookie, { append: true });
  throw error;
}

function respond(c: Context, response: Response): void {
  if (response === c.res) return;
  if (c.req.raw.method === "HEAD") keepCoding(c.res, response);
  // Assigning to c.res merges the old headers into the new response, unless there is no old one.
  c.res = undefined;
  c.res = response;
}

/** What `c.res` is on the contexts of a copy of Hono, and what marks a response before a cache within may keep it. */
const marking = new WeakMap<object, PropertyDescriptor>();

/**
 * Marks the response of the handler as soon as Hono has it: a cache that is mounted within looks at it before this middleware
 * does. The accessors are one pair for all contexts.
 */
function markInTime(c: Context): void {
  const prototype = Object.getPrototypeOf(c) as object;
  let descriptor = marking.get(prototype);
  if (descriptor === undefined) marking.set(prototype, descriptor = markingOf(prototype));
  Object.defineProperty(c, "res", descriptor);
}

function markingOf(prototype: object): PropertyDescriptor {
  const { get, set } = Object.getOwnPropertyDescriptor(prototype, "res")!;
  return {
    configurable: true,
    get,
    set(this: Context, response: Response | undefined) {
      set!.call(this, response);
      if (response === undefined) return;
      // Assigned to a response that is there already, this one is a copy.
      const own = get!.call(this) as Response;
      const marked = markPersonal(own, true);
      if (marked === own) return;
      if (this.req.raw.method === "HEAD") keepCoding(own, marked);
      set!.call(this, undefined);
      set!.call(this, marked);
    },
  };
}

/**
 * The answer to a HEAD tells how the body would be coded. Hono drops the body of such an answer, so that what `fetch()` has
 * decoded is never sent.
 */
function keepCoding(before: Response, response: Response): void {
  if (before.url === "" || before.status !== response.status) return;
  for (const name of ["Content-Encoding", "Content-Length"]) {
    const value = before.headers.get(name);
    if (value !== null && !response.headers.has(name)) response.headers.set(name, value);
  }
}

/**
 * Looks for the platform's `waitUntil` only when it is asked for: where there is none `c.executionCtx` throws, which
 * would cost a request that does not use its session more than all else here.
 */
class RequestContext implements SessionContext {
  readonly #c: Context;
  #waitUntil: SessionContext["waitUntil"] | null = null;

  constructor(c: Context) {
    this.#c = c;
  }

  get waitUntil(): SessionContext["waitUntil"] {
    if (this.#waitUntil === null) this.#waitUntil = waitUntilOf(this.#c);
    return this.#waitUntil;
  }
}

/** `c.executionCtx` throws where the platform has none. */
function waitUntilOf(c: Context): ((work: Promise<unknown>) => void) | undefined {
  try {
    const { executionCtx } = c;
    return (work) => executionCtx.waitUntil(work);
  } catch {
    return undefined;
  }
}

/**
 * Sessions for `(request, response)` handlers: Express, Connect and plain `node:http`, over HTTP/1 and HTTP/2.
 *
 * ```ts
 * import { createServer } from "node:http";
 * import { assertEquals } from "@std/assert";
 * import { sessions } from "@x/sessions";
 * import { nodeSessions } from "@x/sessions/middleware/node";
 *
 * const session = nodeSessions(sessions<{ visits: number }>());
 * const server = createServer((req, res) =>
 *   session(req, res, async () => {
 *     const current = await session.of(req);
 *     current.update("visits", (visits = 0) => visits + 1);
 *     res.end(`Visit ${current.get("visits")}`);
 *   })
 * );
 *
 * await new Promise<void>((resolve) => server.listen(0, "127.0.0.1", resolve));
 * const { port } = server.address() as { port: number };
 * const response = await fetch(`http://127.0.0.1:${port}/`);
 * assertEquals(await response.text(), "Visit 1");
 * await new Promise((resolve) => server.close(resolve));
 * ```
 *
 * In Express call `app.use(session)` before the routes and `app.use(session.handleError)` after them.
 *
 * @module
 */

import { errorResponse, SessionConfigError } from "../core/errors.ts";
import type { ResponseBody } from "../core/http/body.ts";
import { preferPrivate, varyByCookie } from "../core/http/caching.ts";
import type { RequestSession } from "../core/http/request.ts";
import { addCookie } from "../core/http/set_cookie.ts";
import { responseOf } from "../core/http/thrown.ts";
import type { SessionManager } from "../core/manager.ts";
import type { Session } from "../core/session.ts";

import { HoldableResponse } from "./_node_holdable_response.ts";
import { contentOf, headOf, requestOf } from "./_node_translation.ts";
import type { NodeRequest, NodeResponse } from "./_node_types.ts";
import { isManager } from "./_per_environment.ts";

export type { NodeRequest, NodeResponse } from "./_node_types.ts";

/** The middleware that {@linkcode nodeSessions} returns. Its functions do not need `this`. */
export interface NodeSessions<Data extends object> {
  /**
   * Prepares the response, then calls the handler or the next middleware. If the session was asked for, the response is
   * held until the session is saved. For the handler its head was sent meanwhile. What is streamed afterwards is not
   * delayed.
   *
   * If `next` throws or rejects, nothing is saved. The response is a plain 500, and `console.error` gets the error. An error
   * of this package has its own status and goes to `onError`. A thrown `Response` is a response like any other.
   */
  (request: NodeRequest, response: NodeResponse, next: () => unknown): void;
  /**
   * The request's session, loaded at the first call.
   *
   * @throws {SessionStoreError} The store failed.
   * @throws {SessionClosedError} It was first asked for after the head was sent, and a shared cache may store the response.
   * @throws {TypeError} The request did not pass through this middleware, or only through another one.
   */
  readonly of: (request: NodeRequest) => Promise<Session<Data>>;
  /**
   * An Express middleware for errors. The handler's changes so far are not saved, unless it had started its response. It
   * answers errors of this package with their status, and passes others to the next middleware for errors. What that one
   * changes is saved.
   */
  readonly handleError: (
    error: unknown,
    request: NodeRequest,
    response: NodeResponse,
    next: (error?: unknown) => unknown,
  ) => void;
}

/**
 * Sessions for Express, Connect and `node:http`. The session is saved and its cookie set before the head of the response is
 * sent, by whichever call: `res.end()`, `res.write()`, `res.writeHead()`, `res.flushHeaders()` or a pipe.
 *
 * @param manager A manager.
 * @throws {SessionConfigError} The argument is not a manager.
 */
export function nodeSessions<Data extends object>(manager: SessionManager<Data>): NodeSessions<Data> {
  if (!isManager(manager)) {
    throw new SessionConfigError(["pass a session manager"]);
  }
  // Requests carry this symbol: a WeakMap of requests costs the garbage collector far more.
  const EXCHANGE = Symbol("@x/sessions");
  type Exchanging = NodeRequest & { [EXCHANGE]?: Exchange<Data> };
  function middleware(request: Exchanging, response: NodeResponse, next: () => unknown): void {
    const exchange = request[EXCHANGE] ??= new Exchange(manager, request, response);
    try {
      // Express returns nothing, and handles what its handlers throw.
      const done = next() as Partial<PromiseLike<unknown>> | undefined;
      done?.then?.(undefined, (error) => exchange.fail(error));
    } catch (error) {
      void exchange.fail(error);
    }
  }
  return Object.assign(middleware, {
    of(request: Exchanging) {
      const exchange = request[EXCHANGE];
      if (exchange !== undefined) return exchange.session();
      throw new TypeError(
        "Cannot load session: the request did not pass through this nodeSessions(); " +
          "mount what it returns, and use that in every file",
      );
    },
    handleError(
      error: unknown,
      request: Exchanging,
      _response: NodeResponse,
      next: (error?: unknown) => unknown,
    ) {
      const exchange = request[EXCHANGE];
      if (exchange !== undefined) exchange.handleError(error, next);
      // A middleware before this one has failed.
      else next(error);
    },
  });
}

/** On the head that `finish()` is given. If it is missing afterwards, `finish()` has returned an error. */
const HANDLER_HEAD = "x-sessions-own-head";

/** One request and its response. */
class Exchange<Data extends object> {
  readonly #manager: SessionManager<Data>;
  readonly #request: NodeRequest;
  readonly #response: NodeResponse;
  readonly #holdable: HoldableResponse;
  #current: RequestSession<Data> | undefined;
  /** The session that is first asked for after the head was sent. */
  #late: Promise<Session<Data>> | undefined;
  /** Settled when the response that was held is sent. */
  #sending: Promise<void> | undefined;

  constructor(manager: SessionManager<Data>, request: NodeRequest, response: NodeResponse) {
    this.#manager = manager;
    this.#request = request;
    this.#response = response;
    this.#holdable = new HoldableResponse(response, () => void this.#send(() => handlerHead(response)));
  }

  session(): Promise<Session<Data>> {
    if (this.#current === undefined && this.#response.headersSent) {
      const current = this.#begin();
      // The manager is told which head was sent without the session's headers.
      this.#late = current.finish(headOf(this.#response)).then(() => current.session());
      // A handler that does not await the session must not end the process.
      this.#late.catch(() => {});
    }
    this.#holdable.mustHold = true;
    return this.#late ?? this.#begin().session();
  }

  /** Responds to what Express was given as an error, or passes it on. */
  handleError(error: unknown, next: (error: unknown) => unknown): void {
    // Express closes the connection when an error follows the head. What was held is sent before.
    if (this.#sending !== undefined) void this.#sending.then(() => next(error));
    else if (this.#holdable.isStarted) next(error);
    else if (responseOf(error)) void this.fail(error);
    else {
      this.#current?.fail(error);
      next(error);
    }
  }

  /** Responds to what the handler has thrown. Never rejects. */
  async fail(error: unknown): Promise<void> {
    error ??= new Error("The handler threw nothing");
    const { isStarted } = this.#holdable;
    const thrown = isStarted ? undefined : responseOf(error);
    // finish() finds the response itself. It is read before if finish() would lose where it came from.
    if (thrown) return this.#send(() => thrown.url ? thrown : undefined, error);
    console.error(error);
    if (!isStarted) return this.#send(() => errorResponse(500), error);
    await this.#sending;
    // The client must not take a part of the response for the whole.
    if (!this.#response.writableEnded) this.#response.destroy();
  }

  #begin(): RequestSession<Data> {
    return this.#current ??= this.#manager.begin(requestOf(this.#request));
  }

  /** Saves the session and sends the response: the one that is held, or another one in its place. Never rejects. */
  #send(makeResponse: () => Response | undefined, error?: unknown): Promise<void> {
    this.#holdable.hold();
    return this.#sending = this.#trySend(makeResponse, error).catch((failure) => {
      console.error(failure);
      this.#holdable.hold();
      return this.#trySend(() => errorResponse(500), failure);
    }).catch((failure) => {
      console.error(failure);
      this.#response.destroy();
    });
  }

  async #trySend(makeResponse: () => Response | undefined, error: unknown): Promise<void> {
    const { method } = this.#request;
    let response = makeResponse();
    if (response?.url) {
      const content = await contentOf(response, method);
      response = new Response(content.body as ResponseBody, content);
    }
    const before = response?.headers.getSetCookie() ?? [];
    const answer = await this.#begin().finish(response, error);
    const cookies = answer.headers.getSetCookie().filter((cookie) => !before.includes(cookie));
    if (this.#holdable.mustHold) this.#holdable.addHeaders = (headers) => addHeaders(headers, cookies);
    if (answer.headers.has(HANDLER_HEAD)) this.#holdable.release();
    else this.#holdable.replace(await contentOf(answer, method));
  }
}

/** The head of the handler's response, for `finish()`. */
function handlerHead(response: NodeResponse): Response {
  const head = headOf(response);
  head.headers.set(HANDLER_HEAD, "");
  return head;
}

/** Adds to a head what `finish()` has added to the handler's. */
function addHeaders(headers: Headers, cookies: readonly string[]): void {
  varyByCookie(headers);
  preferPrivate(headers);
  for (const cookie of cookies) addCookie(headers, cookie);
}

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

import { SessionConfigError } from "../core/errors.ts";
import type { RequestSession } from "../core/http/request.ts";
import { responseOf } from "../core/http/thrown.ts";
import type { SessionManager } from "../core/manager.ts";
import type { Session } from "../core/session.ts";
import { internalServerError } from "./_internal_server_error.ts";
import { isManager } from "./_per_environment.ts";

/** The part of a request of `node:http`, `node:http2` or Express that is used. */
export interface NodeRequest {
  /** Such as `"GET"`. */
  readonly method?: string | undefined;
  /** The path and the query. */
  url?: string | undefined;
  /** The headers, with names in lower case. */
  readonly headers: Record<string, string | string[] | undefined>;
  /** The connection. Its `encrypted` is `true` if TLS ends in this process. */
  readonly socket: object;
}

/** The part of a response of `node:http`, `node:http2` or Express that is used. */
export interface NodeResponse {
  /** The status to send. */
  statusCode: number;
  /** Whether the head was sent. */
  readonly headersSent: boolean;
  /** Whether `end()` was called. */
  readonly writableEnded: boolean;
  /** Sends the head. */
  writeHead(...given: unknown[]): unknown;
  /** Sends the head, if it was not sent, and a part of the body. */
  write(...given: unknown[]): boolean;
  /** Sends the rest of the response. */
  end(...given: unknown[]): unknown;
  /** Sends the head now. */
  flushHeaders?(): void;
  /** The headers so far. */
  getHeaders(): object;
  /** Sets a header. */
  setHeader(name: string, value: unknown): unknown;
  /** Removes a header. */
  removeHeader(name: string): void;
  /** Calls the listeners of an event. */
  emit(event: string, ...given: unknown[]): unknown;
  /** Closes the connection. */
  destroy(error?: Error): unknown;
}

/** The middleware that {@linkcode nodeSessions} returns. Its functions do not need `this`. */
export interface NodeSessions<Data extends object> {
  /**
   * Prepares the response, then calls the handler or the next middleware. If the session was asked for, the head waits
   * until the session is saved. What is streamed afterwards is not delayed.
   *
   * If `next` throws or rejects, nothing is saved. The response is a plain 500, and `console.error` gets the error.
   */
  (request: NodeRequest, response: NodeResponse, next: () => unknown): void;
  /**
   * The request's session, loaded at the first call.
   *
   * @throws {SessionStoreError} The store failed.
   * @throws {SessionClosedError} It was first asked for after the head was sent, and a shared cache may store the response.
   * @throws {TypeError} The request did not pass through this middleware.
   */
  readonly of: (request: NodeRequest) => Promise<Session<Data>>;
  /**
   * An Express middleware for errors. The handler's changes so far are not saved. It answers errors of this package with
   * their status, and passes others to the next middleware for errors. What that one changes is saved.
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
 * @throws {SessionConfigError} The argument is no manager.
 */
export function nodeSessions<Data extends object>(manager: SessionManager<Data>): NodeSessions<Data> {
  if (!isManager(manager)) {
    throw new SessionConfigError(["the first argument must be a session manager"]);
  }
  // Requests carry this symbol: a WeakMap of requests costs the garbage collector far more.
  const EXCHANGE = Symbol("@x/sessions");
  type Exchanging = NodeRequest & { [EXCHANGE]?: Exchange<Data> };
  const exchangeOf = (request: Exchanging) => {
    const exchange = request[EXCHANGE];
    if (exchange !== undefined) return exchange;
    throw new TypeError(
      "Cannot load session: the request did not pass through nodeSessions(); mount it before",
    );
  };
  function middleware(request: Exchanging, response: NodeResponse, next: () => unknown): void {
    const exchange = request[EXCHANGE] ??= new Exchange(manager, request, response);
    let done: unknown;
    try {
      done = next();
    } catch (error) {
      done = Promise.reject(error);
    }
    // Express returns nothing, and handles what its handlers throw.
    if (done instanceof Promise) done.catch((error) => exchange.fail(error));
  }
  return Object.assign(middleware, {
    of: (request: NodeRequest) => exchangeOf(request).session(),
    handleError: (
      error: unknown,
      request: NodeRequest,
      response: NodeResponse,
      next: (error?: unknown) => unknown,
    ) => {
      const exchange = exchangeOf(request);
      if (response.headersSent || responseOf(error) === undefined) {
        exchange.discardChanges(error);
        next(error);
      } else exchange.answer(error);
    },
  });
}

/** The methods of a response that send its head. */
type Sender = "writeHead" | "write" | "end" | "flushHeaders";

/** A call of a handler that waits until the session is saved. */
interface HeldCall {
  method: Sender;
  given: unknown[];
}

/** A header on the handler's response to `finish()`. If it is missing afterwards, `finish()` has returned an error. */
const HANDLER_MARK = "x-sessions-own-head";

/** One request and its response. */
class Exchange<Data extends object> {
  readonly #manager: SessionManager<Data>;
  readonly #request: NodeRequest;
  readonly #response: NodeResponse;
  #current: RequestSession<Data> | undefined;
  readonly #send: Record<Sender, (...given: unknown[]) => unknown>;
  /** The handler's calls while the session is being saved; `undefined` at other times. */
  #held: HeldCall[] | undefined;
  /** Whether the response was started: its head was sent, or waits for the session to be saved. */
  #isStarted = false;

  constructor(manager: SessionManager<Data>, request: NodeRequest, response: NodeResponse) {
    this.#manager = manager;
    this.#request = request;
    this.#response = response;
    // These may be functions of another middleware. They are called in turn.
    const { writeHead, write, end, flushHeaders } = response;
    this.#send = { writeHead, write, end, flushHeaders: flushHeaders ?? (() => {}) };
    response.writeHead = (...given) => this.#intercept("writeHead", given);
    response.write = (...given) => this.#intercept("write", given) as boolean;
    response.end = (...given) => this.#intercept("end", given);
    response.flushHeaders = () => void this.#intercept("flushHeaders", []);
  }

  readonly session = async (): Promise<Session<Data>> => {
    if (this.#current === undefined) {
      this.#current = this.#manager.begin(requestOf(this.#request));
      // The head was sent without the session's headers.
      if (this.#response.headersSent) await this.#current.finish(this.#head());
    }
    return await this.#current.session();
  };

  /** Discards what the handler changed so far. */
  discardChanges(error: unknown): void {
    this.#current?.fail(error);
  }

  /** Responds to a thrown value that stands for a response. */
  answer(error: unknown): void {
    if (!this.#isStarted) this.#finishThrown(undefined, error);
  }

  /** Responds to a thrown value that nothing else handles. */
  fail(error: unknown): void {
    const response = this.#response;
    if (this.#isStarted || response.headersSent) {
      console.error(error);
      // The client must not take a part of the response for the whole.
      if (!response.writableEnded) response.destroy();
    } else if (responseOf(error) !== undefined) this.#finishThrown(undefined, error);
    else {
      console.error(error);
      this.#finishThrown(internalServerError(), error);
    }
  }

  #finishThrown(response: Response | undefined, error: unknown): void {
    this.#isStarted = true;
    this.#held = [];
    void this.#finish(response, error).then((answer) => this.#replaceBy(answer));
  }

  #intercept(method: Sender, given: unknown[]): unknown {
    const response = this.#response;
    if (this.#held !== undefined) this.#held.push({ method, given });
    else if (this.#isStarted || this.#current === undefined || response.headersSent) {
      this.#isStarted = true;
      return this.#send[method].apply(response, given);
    } else {
      // Throws, as Node does, for headers that cannot be sent. The response is not started then.
      if (method === "writeHead") this.#applyHead(given);
      this.#isStarted = true;
      this.#held = [{ method, given }];
      // For the handler the call has succeeded.
      Object.defineProperty(response, "headersSent", { configurable: true, get: () => true });
      void this.#save();
    }
    if (method === "end") {
      Object.defineProperty(response, "writableEnded", { configurable: true, get: () => true });
    }
    return method === "write" ? false : response;
  }

  async #save(): Promise<void> {
    const before = this.#head();
    before.headers.set(HANDLER_MARK, "");
    const answer = await this.#finish(before);
    if (!answer.headers.has(HANDLER_MARK)) return await this.#replaceBy(answer);
    const response = this.#response;
    const names = new Set([...before.headers.keys(), ...answer.headers.keys()]);
    names.delete(HANDLER_MARK);
    const own = this.#head().headers;
    this.#restoreProperties();
    for (const name of names) {
      if (name === "set-cookie") {
        const cookies = answer.headers.getSetCookie();
        if (cookies.join() !== own.getSetCookie().join()) response.setHeader("Set-Cookie", cookies);
        continue;
      }
      const value = answer.headers.get(name);
      if (value === own.get(name)) continue;
      if (value === null) response.removeHeader(name);
      else response.setHeader(NAMES[name] ?? name, value);
    }
    try {
      this.#release();
    } catch (thrown) {
      await this.#failAfterSave(thrown);
    }
  }

  /** Node has refused what the handler sent, such as a chunk that is no text. The session is saved already. */
  async #failAfterSave(error: unknown): Promise<void> {
    console.error(error);
    if (this.#response.headersSent) return void this.#response.destroy();
    await this.#replaceBy(await this.#finish(internalServerError(), error));
  }

  /** Never rejects: an error becomes a response. */
  async #finish(response: Response | undefined, error?: unknown): Promise<Response> {
    const current = this.#current ??= this.#manager.begin(requestOf(this.#request));
    try {
      return await current.finish(response, error);
    } catch (thrown) {
      console.error(thrown);
      return await current.finish(internalServerError(), thrown).catch(() => internalServerError());
    }
  }

  /** Makes the handler's calls that were held. */
  #release(): void {
    const response = this.#response;
    const held = this.#held!;
    this.#held = undefined;
    let wantsMore = false;
    for (const { method, given } of held) {
      const result = this.#send[method].apply(response, given);
      if (method === "write") wantsMore = result !== false;
      if (method === "end") wantsMore = false;
    }
    if (wantsMore) response.emit("drain");
  }

  /** Sends `answer` in place of the handler's response. Further calls of the handler are ignored. */
  async #replaceBy(answer: Response): Promise<void> {
    const response = this.#response;
    const held = this.#held ?? [];
    const body = new Uint8Array(await answer.arrayBuffer());
    this.#restoreProperties();
    this.#held = undefined;
    this.#ignoreFurtherCalls();
    if (response.headersSent) return void response.destroy();
    for (const name of Object.keys(response.getHeaders())) response.removeHeader(name);
    for (const [name, value] of answer.headers) {
      if (name !== "set-cookie") response.setHeader(NAMES[name] ?? name, value);
    }
    const cookies = answer.headers.getSetCookie();
    if (cookies.length > 0) response.setHeader("Set-Cookie", cookies);
    // Node may still have the length of the response that it refused.
    if (answer.status !== 204 && answer.status !== 304) response.setHeader("Content-Length", body.length);
    // Replaces the handler's status message.
    if ("statusMessage" in response) response.statusMessage = answer.statusText || undefined;
    // end() would call the writeHead() that is on the response now, which is ignored.
    this.#send.writeHead.call(response, answer.status);
    this.#send.end.call(response, body);
    for (const { given } of held) callBack(given);
  }

  #ignoreFurtherCalls(): void {
    const response = this.#response;
    response.write = (...given) => {
      callBack(given);
      return true;
    };
    response.end = (...given) => {
      callBack(given);
      return response;
    };
    response.writeHead = () => response;
    response.flushHeaders = () => {};
  }

  /** Gives the response Node's own properties back. */
  #restoreProperties(): void {
    for (const name of ["headersSent", "writableEnded"]) Reflect.deleteProperty(this.#response, name);
  }

  /** The response's head so far. */
  #head(): Response {
    const { statusCode } = this.#response;
    const headers = new Headers();
    for (const [name, value] of Object.entries(this.#response.getHeaders())) {
      if (name.startsWith(":")) continue;
      for (const one of Array.isArray(value) ? value : [value]) headers.append(name, String(one));
    }
    // `Response` refuses other statuses. Node reports them itself.
    const status = statusCode >= 200 && statusCode <= 599 ? statusCode : 500;
    return new Response(null, { status, headers });
  }

  /** Applies the arguments of `writeHead()` to the response, so that the session can add to its headers. */
  #applyHead(given: unknown[]): void {
    const response = this.#response;
    const [status, second, third] = given;
    response.statusCode = Number(status);
    const headers = typeof second === "string" ? third : second ?? third;
    for (const [name, value] of pairsOf(headers)) response.setHeader(name, value);
    given.splice(0, given.length, status, ...(typeof second === "string" ? [second] : []));
  }
}

/** The usual spelling of header names. */
const NAMES: Record<string, string> = {
  "cache-control": "Cache-Control",
  "content-type": "Content-Type",
  "location": "Location",
  "retry-after": "Retry-After",
  "vary": "Vary",
};

/** The headers that `writeHead()` takes: an object, a list of pairs, or a flat list of names and values. */
function pairsOf(headers: unknown): Iterable<[string, unknown]> {
  if (typeof headers !== "object" || headers === null) return [];
  if (!Array.isArray(headers)) return Object.entries(headers).filter(([, value]) => value !== undefined);
  const pairs: [string, unknown][] = Array.isArray(headers[0])
    ? headers
    : headers.flatMap((name, index) => index % 2 === 0 ? [[name, headers[index + 1]]] : []);
  const merged = new Map<string, [string, unknown]>();
  for (const [name, value] of pairs) {
    const before = merged.get(name.toLowerCase());
    if (before === undefined) merged.set(name.toLowerCase(), [name, value]);
    else before[1] = [before[1], value].flat();
  }
  return merged.values();
}

/** Calls the callback of a `write()` or `end()` that was ignored. */
function callBack(given: unknown[]): void {
  const callback = given.at(-1);
  if (typeof callback === "function") queueMicrotask(() => callback());
}

/** Under this symbol a Node request carries its `Request`, which several managers and middlewares share. */
const REQUEST = Symbol("@x/sessions");

function requestOf(request: NodeRequest & { [REQUEST]?: Request }): Request {
  return request[REQUEST] ??= makeRequest(request);
}

/** A `Request` without a body, for the session and for `onError`. */
function makeRequest(request: NodeRequest): Request {
  const headers = new Headers();
  for (const [name, value] of Object.entries(request.headers)) {
    // HTTP/2 has pseudo-headers such as `:path`.
    if (value === undefined || name.startsWith(":")) continue;
    for (const one of Array.isArray(value) ? value : [value]) headers.append(name, one);
  }
  const scheme = (request.socket as { encrypted?: boolean }).encrypted === true ? "https" : "http";
  const host = request.headers.host ?? request.headers[":authority"] ?? "localhost";
  // In an Express router `url` lacks the path at which the router is mounted.
  const path = (request as { originalUrl?: string }).originalUrl ?? request.url ?? "/";
  const url = isRequestUrl(`${scheme}://${host}`, path)
    ? `${scheme}://${host}${path}`
    : `${scheme}://localhost/`;
  const method = /^(?:CONNECT|TRACE|TRACK)$/i.test(request.method ?? "GET") ? "GET" : request.method ?? "GET";
  return new Request(url, { method, headers });
}

/** Whether `Request` accepts the URL. It refuses credentials, which a client may put into the header `Host`. */
function isRequestUrl(origin: string, path: string): boolean {
  if (!path.startsWith("/") || !URL.canParse(origin + path)) return false;
  const { username, password } = new URL(origin + path);
  return username + password === "";
}

/**
 * Sessions for handlers of Node's `(request, response)`: Express, Connect, and plain `node:http`, over HTTP/1 and HTTP/2.
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
 * In Express mount it by `app.use(session)`, before what uses it, and `app.use(session.handleError)` after that.
 *
 * @module
 */

import { SessionConfigError } from "../core/errors.ts";
import type { RequestSession } from "../core/http/request.ts";
import { responseOf } from "../core/http/thrown.ts";
import type { SessionManager } from "../core/manager.ts";
import type { Session } from "../core/session.ts";
import { internalServerError } from "./_internal_server_error.ts";

/** What is needed of a request of `node:http`, `node:http2` or Express. */
export interface NodeRequest {
  /** Such as `"GET"`. */
  readonly method?: string | undefined;
  /** The path and the query. */
  url?: string | undefined;
  /** Names in lower case. */
  readonly headers: Record<string, string | string[] | undefined>;
  /** Where TLS ends in this process, its `encrypted` is `true`. */
  readonly socket: object;
}

/** What is needed of a response of `node:http`, `node:http2` or Express. */
export interface NodeResponse {
  /** The status to send. */
  statusCode: number;
  /** Whether the head has gone. */
  readonly headersSent: boolean;
  /** Whether `end()` was called. */
  readonly writableEnded: boolean;
  /** Sends the head. */
  writeHead(...given: unknown[]): unknown;
  /** Sends a part of the body, and the head before it. */
  write(...given: unknown[]): boolean;
  /** Sends the rest. */
  end(...given: unknown[]): unknown;
  /** Sends the head now. */
  flushHeaders?(): void;
  /** The headers so far. */
  getHeaders(): object;
  /** Sets a header. */
  setHeader(name: string, value: unknown): unknown;
  /** Takes a header away. */
  removeHeader(name: string): void;
  /** Tells those who listen. */
  emit(event: string, ...given: unknown[]): unknown;
  /** Breaks the connection off. */
  destroy(error?: Error): unknown;
}

/** What {@linkcode nodeSessions} gives: a middleware, with what handlers call. Its functions may be taken off it. */
export interface NodeSessions<Data extends object> {
  /**
   * Prepares the response, then calls the handler or the next middleware. The head waits until the session is saved, if
   * the session was asked for; what is streamed after it is not touched.
   *
   * What `next` throws or rejects with saves nothing, and is answered with a plain 500 and logged with `console.error`.
   */
  (request: NodeRequest, response: NodeResponse, next: () => unknown): void;
  /**
   * The request's session, loaded at the first call.
   *
   * @throws {SessionStoreError} The store failed.
   * @throws {SessionClosedError} It was first asked for after the head had gone, and a shared cache may keep the response.
   * @throws {TypeError} The request did not pass through this middleware.
   */
  readonly of: (request: NodeRequest) => Promise<Session<Data>>;
  /**
   * A middleware of Express for errors: what the handler changed so far is not saved. Errors of this package are
   * answered with their status; others go on to the next middleware for errors, whose own changes are saved.
   */
  readonly handleError: (
    error: unknown,
    request: NodeRequest,
    response: NodeResponse,
    next: (error?: unknown) => unknown,
  ) => void;
}

/**
 * Sessions for Express, Connect and `node:http`. The cookie is set and the session saved before the head of the response
 * is sent, whoever sends it: `res.end()`, `res.write()`, `res.writeHead()`, `res.flushHeaders()`, a pipe.
 *
 * @param manager A manager.
 * @throws {SessionConfigError} The manager is none.
 */
export function nodeSessions<Data extends object>(manager: SessionManager<Data>): NodeSessions<Data> {
  // By what it has: an application may hold two copies of this package.
  if (typeof (manager as Partial<SessionManager<Data>> | undefined)?.begin !== "function") {
    throw new SessionConfigError(["the first argument must be a session manager"]);
  }
  const exchanges = new WeakMap<NodeRequest, Exchange<Data>>();
  const exchangeOf = (request: NodeRequest) => {
    const exchange = exchanges.get(request);
    if (exchange !== undefined) return exchange;
    throw new TypeError(
      "Cannot load session: the request did not pass through nodeSessions(); mount it before",
    );
  };
  function middleware(request: NodeRequest, response: NodeResponse, next: () => unknown): void {
    let exchange = exchanges.get(request);
    if (exchange === undefined) {
      exchange = new Exchange(manager, request, response);
      exchanges.set(request, exchange);
    }
    const current = exchange;
    let done: unknown;
    try {
      done = next();
    } catch (error) {
      done = Promise.reject(error);
    }
    // Express gives nothing, and handles what its handlers throw.
    if (done instanceof Promise) done.catch((error) => current.fail(error));
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
        exchange.forget(error);
        next(error);
      } else exchange.answer(error);
    },
  });
}

/** The methods of a response that send its head. */
const SENDERS = ["writeHead", "write", "end", "flushHeaders"] as const;
type Sender = typeof SENDERS[number];

/** A call of a handler that waits until the session is saved. */
interface HeldCall {
  method: Sender;
  given: unknown[];
}

/** Marks the response that `finish()` is given: an error in its place has other headers. */
const HANDLERS_OWN = "x-sessions-own-head";

/** One request with its response. */
class Exchange<Data extends object> {
  readonly #manager: SessionManager<Data>;
  readonly #request: NodeRequest;
  readonly #response: NodeResponse;
  #current: RequestSession<Data> | undefined;
  readonly #send: Record<Sender, (...given: unknown[]) => unknown>;
  /** What the handler has sent while the session is being saved. */
  #held: HeldCall[] | undefined;
  /** Whether the head has gone on its way. */
  #isOver = false;

  constructor(manager: SessionManager<Data>, request: NodeRequest, response: NodeResponse) {
    this.#manager = manager;
    this.#request = request;
    this.#response = response;
    // Another middleware may have put its own in their place: these are called in turn.
    const { writeHead, write, end, flushHeaders } = response;
    this.#send = { writeHead, write, end, flushHeaders: flushHeaders ?? (() => {}) };
    response.writeHead = (...given) => this.#on("writeHead", given);
    response.write = (...given) => this.#on("write", given) as boolean;
    response.end = (...given) => this.#on("end", given);
    response.flushHeaders = () => void this.#on("flushHeaders", []);
  }

  readonly session = async (): Promise<Session<Data>> => {
    if (this.#current === undefined) {
      this.#current = this.#manager.begin(requestOf(this.#request));
      // The head has gone without a word of the session.
      if (this.#response.headersSent) await this.#current.finish(this.#head());
    }
    return await this.#current.session();
  };

  /** What the handler changed so far is not saved. */
  forget(error: unknown): void {
    this.#current?.fail(error);
  }

  /** Answers what a handler has thrown, and what has a response of its own. */
  answer(error: unknown): void {
    if (this.#isOver) return;
    this.#isOver = true;
    this.#held = [];
    void this.#finish(undefined, error).then((answer) => this.#replaceBy(answer));
  }

  /** Answers what nobody else answers. */
  fail(error: unknown): void {
    const response = this.#response;
    if (this.#isOver || response.headersSent) {
      console.error(error);
      // The client must not take for whole what is not.
      if (!response.writableEnded) response.destroy();
    } else if (responseOf(error) !== undefined) this.answer(error);
    else {
      console.error(error);
      this.#isOver = true;
      this.#held = [];
      void this.#finish(internalServerError(), error).then((answer) => this.#replaceBy(answer));
    }
  }

  #on(method: Sender, given: unknown[]): unknown {
    const response = this.#response;
    if (this.#held !== undefined) this.#held.push({ method, given });
    else if (this.#isOver || this.#current === undefined || response.headersSent) {
      this.#isOver = true;
      return this.#send[method].apply(response, given);
    } else {
      // It throws, as Node does, for headers that cannot be sent: then nothing is on its way.
      if (method === "writeHead") this.#takeHead(given);
      this.#isOver = true;
      this.#held = [{ method, given }];
      // As far as the handler can tell it is done.
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
    before.headers.set(HANDLERS_OWN, "");
    const answer = await this.#finish(before);
    if (!answer.headers.has(HANDLERS_OWN)) return await this.#replaceBy(answer);
    const response = this.#response;
    const names = new Set([...before.headers.keys(), ...answer.headers.keys()]);
    names.delete(HANDLERS_OWN);
    const own = this.#head().headers;
    this.#restore();
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
      await this.#failLate(thrown);
    }
  }

  /** Node refuses what the handler has sent, a chunk that is no text say. The session is saved by now. */
  async #failLate(error: unknown): Promise<void> {
    console.error(error);
    if (this.#response.headersSent) return void this.#response.destroy();
    await this.#replaceBy(await this.#finish(internalServerError(), error));
  }

  /** Never rejects: what goes wrong is answered. */
  async #finish(response: Response | undefined, error?: unknown): Promise<Response> {
    const current = this.#current ??= this.#manager.begin(requestOf(this.#request));
    try {
      return await current.finish(response, error);
    } catch (thrown) {
      console.error(thrown);
      return await current.finish(internalServerError(), thrown).catch(() => internalServerError());
    }
  }

  /** Does what the handler did meanwhile. */
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

  /** Sends an error in place of what the handler has sent, and whatever it sends from now on. */
  async #replaceBy(answer: Response): Promise<void> {
    const response = this.#response;
    const held = this.#held ?? [];
    const body = new Uint8Array(await answer.arrayBuffer());
    this.#restore();
    this.#held = undefined;
    this.#ignoreTheRest();
    if (response.headersSent) return void response.destroy();
    for (const name of Object.keys(response.getHeaders())) response.removeHeader(name);
    for (const [name, value] of answer.headers) {
      if (name !== "set-cookie") response.setHeader(NAMES[name] ?? name, value);
    }
    const cookies = answer.headers.getSetCookie();
    if (cookies.length > 0) response.setHeader("Set-Cookie", cookies);
    // Node may remember the length of what it has refused.
    if (answer.status !== 204 && answer.status !== 304) response.setHeader("Content-Length", body.length);
    // Otherwise Node would say the handler's.
    if ("statusMessage" in response) response.statusMessage = answer.statusText || undefined;
    // Not left to end(), which would send it by the method that is on the response now.
    this.#send.writeHead.call(response, answer.status);
    this.#send.end.call(response, body);
    for (const { given } of held) callBack(given);
  }

  #ignoreTheRest(): void {
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

  /** What the response says of itself is Node's word again. */
  #restore(): void {
    for (const name of ["headersSent", "writableEnded"]) Reflect.deleteProperty(this.#response, name);
  }

  /** The head as it stands. */
  #head(): Response {
    const { statusCode } = this.#response;
    const headers = new Headers();
    for (const [name, value] of Object.entries(this.#response.getHeaders())) {
      if (name.startsWith(":")) continue;
      for (const one of Array.isArray(value) ? value : [value]) headers.append(name, String(one));
    }
    // What stands for no response is an error of the handler's, and Node's to say.
    const status = statusCode >= 200 && statusCode <= 599 ? statusCode : 500;
    return new Response(null, { status, headers });
  }

  /** What `writeHead()` is given is in the response before the session adds to it. */
  #takeHead(given: unknown[]): void {
    const response = this.#response;
    const [status, second, third] = given;
    response.statusCode = Number(status);
    const headers = typeof second === "string" ? third : second ?? third;
    for (const [name, value] of pairsOf(headers)) response.setHeader(name, value);
    given.splice(0, given.length, status, ...(typeof second === "string" ? [second] : []));
  }
}

/** As they are usually written. */
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

/** Of `write()` and `end()`. */
function callBack(given: unknown[]): void {
  const callback = given.at(-1);
  if (typeof callback === "function") queueMicrotask(() => callback());
}

/** Of one request there is one, so that several managers and middlewares find each other. */
const requests = new WeakMap<NodeRequest, Request>();

function requestOf(request: NodeRequest): Request {
  let made = requests.get(request);
  if (made === undefined) requests.set(request, made = makeRequest(request));
  return made;
}

/** A request without a body, for what a session needs of it and for `onError`. */
function makeRequest(request: NodeRequest): Request {
  const headers = new Headers();
  for (const [name, value] of Object.entries(request.headers)) {
    // HTTP/2 has pseudo-headers.
    if (value === undefined || name.startsWith(":")) continue;
    for (const one of Array.isArray(value) ? value : [value]) headers.append(name, one);
  }
  const scheme = (request.socket as { encrypted?: boolean }).encrypted === true ? "https" : "http";
  const host = request.headers.host ?? request.headers[":authority"] ?? "localhost";
  // In Express `url` is what is left of it where a router is mounted.
  const path = (request as { originalUrl?: string }).originalUrl ?? request.url ?? "/";
  const url = isAddress(`${scheme}://${host}`, path)
    ? `${scheme}://${host}${path}`
    : `${scheme}://localhost/`;
  const method = /^(?:CONNECT|TRACE|TRACK)$/i.test(request.method ?? "GET") ? "GET" : request.method ?? "GET";
  return new Request(url, { method, headers });
}

/** Whether a `Request` takes it: none takes a name and a password, which anyone may write into the header `Host`. */
function isAddress(origin: string, path: string): boolean {
  if (!path.startsWith("/") || !URL.canParse(origin + path)) return false;
  const { username, password } = new URL(origin + path);
  return username + password === "";
}

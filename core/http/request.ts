import { SessionCookie } from "./cookie.ts";
import type { SessionSettings } from "../options/session_options.ts";
import { SessionError } from "../errors.ts";
import type { SessionPhase } from "../events.ts";
import { markPersonal, replaceResponse, withCookie } from "./response.ts";
import type { Session } from "../session.ts";
import type { SessionState } from "../state/session_state.ts";
import type { SessionContext } from "../store/operation.ts";

/** What a middleware needs for one request; see `SessionManager.begin`. */
export interface RequestSession<Data extends object> {
  /**
   * The request's session, loaded at the first call, which is the only store read; the same one afterwards.
   *
   * @throws {SessionStoreError} The store failed. A handler that catches it may answer without a session.
   */
  session(): Promise<Session<Data>>;
  /**
   * Saves what the handler changed and gives the response to send: with the cookie where it changed, with
   * `Vary` and `Cache-Control`, or in place of the handler's an error. Afterwards the session is read-only.
   *
   * @param response What the handler gave, where it gave something.
   * @param error What the handler threw. Nothing is saved then, unless it has a `getResponse()`, as Hono's
   * `HTTPException` has; without a response it is thrown again.
   */
  finish(response: Response | undefined, error?: unknown): Promise<Response>;
}

/** What this module needs of the manager. */
export interface RequestBackend {
  readonly settings: SessionSettings;
  /** The session of the first token that has one, else a new one. */
  load(tokens: string[], context: SessionContext): Promise<SessionState>;
  /** Writes what was changed, or that the session was used; nothing for a new session without a change. */
  save(state: SessionState): Promise<void>;
  /** Looks for signs of a proxy that ends TLS. */
  noticeProxy(request: Request): void;
}

/** Makes what an asynchronous call of a session throws known to `onError`, before its caller sees it. */
export type Observe = <T>(work: Promise<T>) => Promise<T>;

/** What some manager's `onError` has seen, by request: of several managers that meet an error, one reports it. */
const reported = new WeakMap<Request, Set<SessionError>>();

/** The cookies that managers have set in answer to a request: where another one fails, they must still be told. */
const cookies = new WeakMap<Request, string[]>();

/** One request: load at first use, commit before the head is sent, tell the browser and the caches. */
export class RequestLifecycle<Data extends object> implements RequestSession<Data> {
  readonly #backend: RequestBackend;
  readonly #request: Request;
  readonly #context: SessionContext & { token?: string };
  readonly #face: (state: SessionState, observe: Observe) => Session<Data>;
  #session: Promise<Session<Data>> | undefined;
  #state: SessionState | undefined;
  #neverAsked = false;
  /** Errors that this manager's `onError` has seen, and what it answered. */
  readonly #answers = new Map<SessionError, Promise<Response | undefined>>();

  constructor(
    backend: RequestBackend,
    request: Request,
    context: SessionContext & { token?: string },
    face: (state: SessionState, observe: Observe) => Session<Data>,
  ) {
    this.#backend = backend;
    this.#request = request;
    this.#context = context;
    this.#face = face;
  }

  session(): Promise<Session<Data>> {
    if (this.#session === undefined) {
      this.#session = this.#load();
      // A handler that never awaits it must not bring the process down; finish() looks at it again.
      this.#session.catch(() => {});
    }
    return this.#session;
  }

  async finish(response: Response | undefined, error?: unknown): Promise<Response> {
    if (hasResponse(error) && !(error instanceof SessionError)) {
      response ??= error.getResponse();
      error = undefined;
    }
    if (this.#session === undefined) {
      this.#neverAsked = true;
      return response ?? await this.#answer(error);
    }
    await this.#session.catch(() => {});
    const state = this.#state;
    if (state !== undefined) state.closed = true;
    // A commit() or destroy() that is under way while the handler throws: the browser is to hear of it as well.
    if (hasThrown(error)) await state?.exclusively(() => Promise.resolve());
    if (error instanceof SessionError) {
      const answer = await this.#report(error, "commit");
      // A framework has made a response of the error already, perhaps one of the application's.
      response = answer === undefined && response !== undefined
        ? response
        : this.#replace(response, answer ?? error.getResponse());
    } else if (response === undefined) {
      throw error ?? noResponse();
    } else if (state !== undefined && !hasThrown(error)) {
      response = await this.#commit(state, response);
    }
    return state === undefined ? this.#mark(response) : this.#tellBrowser(state, response);
  }

  async #load(): Promise<Session<Data>> {
    const { token } = this.#context;
    const tokens = token === undefined ? this.#cookie().read(this.#request.headers.get("Cookie")) : [token];
    this.#backend.noticeProxy(this.#request);
    try {
      const state = await this.#backend.load(tokens, this.#context);
      // First asked for when the response has started, in a stream say: it can be read.
      if (this.#neverAsked) state.closed = true;
      this.#state = state;
      return this.#face(state, (work) => this.#observe(work));
    } catch (error) {
      await this.#report(error as SessionError, "load");
      throw error;
    }
  }

  async #commit(state: SessionState, response: Response): Promise<Response> {
    try {
      await this.#backend.save(state);
      return response;
    } catch (error) {
      if (!(error instanceof SessionError)) throw error;
      return this.#replace(response, await this.#report(error, "commit") ?? error.getResponse());
    }
  }

  /** The answer to an error of a handler that never asked for this session. */
  async #answer(error: unknown): Promise<Response> {
    if (!(error instanceof SessionError)) throw error ?? noResponse();
    return await this.#report(error, "commit") ?? error.getResponse();
  }

  async #observe<T>(work: Promise<T>): Promise<T> {
    try {
      return await work;
    } catch (error) {
      if (error instanceof SessionError) await this.#report(error, "commit");
      throw error;
    }
  }

  async #report(error: SessionError, phase: SessionPhase): Promise<Response | undefined> {
    const request = this.#request;
    const errors = reported.get(request) ?? new Set();
    if (!errors.has(error)) {
      reported.set(request, errors.add(error));
      this.#answers.set(error, this.#backend.settings.hooks.error(error, { request, phase }));
    }
    return await this.#answers.get(error);
  }

  #replace(replaced: Response | undefined, error: Response): Response {
    const earlier = cookies.get(this.#request) ?? [];
    return earlier.reduce(withCookie, replaceResponse(replaced, error));
  }

  #setCookie(response: Response, setCookie: string): Response {
    cookies.set(this.#request, [...cookies.get(this.#request) ?? [], setCookie]);
    return withCookie(response, setCookie);
  }

  #mark(response: Response): Response {
    return markPersonal(response, this.#context.token === undefined);
  }

  #tellBrowser(state: SessionState, response: Response): Response {
    if (this.#context.token !== undefined) return this.#mark(response);
    const cookie = this.#cookie();
    if (state.announced !== undefined) {
      const { token, deadline, remember } = state.announced;
      const keep = cookie.persists || remember;
      return this.#setCookie(response, cookie.write(token, deadline, this.#backend.settings.now(), keep));
    }
    if (state.ended && state.token === undefined) return this.#setCookie(response, cookie.delete());
    return this.#mark(response);
  }

  #cookie(): SessionCookie {
    return new SessionCookie(this.#backend.settings.cookie, this.#request.url.startsWith("https:"));
  }
}

/** Frameworks say `undefined` or `null` where nothing was thrown. */
function hasThrown(error: unknown): boolean {
  return error !== undefined && error !== null;
}

function noResponse(): TypeError {
  return new TypeError("Cannot finish the request: the handler gave neither a response nor an error");
}

function hasResponse(error: unknown): error is { getResponse(): Response } {
  return typeof error === "object" && error !== null &&
    typeof (error as { getResponse?: unknown }).getResponse === "function";
}

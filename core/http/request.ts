import type { Engine, Surroundings } from "../engine.ts";
import { SessionError } from "../errors.ts";
import type { SessionPhase } from "../events.ts";
import { Session } from "../session.ts";
import type { SessionState } from "../state/session_state.ts";
import type { SessionContext } from "../store/operation.ts";
import { SessionCookie } from "./cookie.ts";
import { markPersonal, replaceResponse, withCookie } from "./response.ts";

/** What a middleware needs for one request; see `SessionManager.begin`. Its functions may be taken off it. */
export interface RequestSession<Data extends object> {
  /**
   * The request's session, loaded at the first call, which is the only store read; the same one afterwards.
   *
   * @throws {SessionStoreError} The store failed. A handler that catches it may answer without a session.
   */
  readonly session: () => Promise<Session<Data>>;
  /**
   * Saves what the handler changed and gives the response to send: with the cookie where it changed, with
   * `Vary` and `Cache-Control`, or in place of the handler's an error. Afterwards the session is read-only.
   *
   * @param response What the handler gave, where it gave something.
   * @param error What the handler threw. Nothing is saved then, unless it has a `getResponse()`, as Hono's
   * `HTTPException` has; without a response it is thrown again.
   */
  readonly finish: (response: Response | undefined, error?: unknown) => Promise<Response>;
}

/** Who has told its `onError` of an error, and what that answered: of several managers one reports it. */
const reports = new WeakMap<SessionError, { by: object; answer: Promise<Response | undefined> }>();

/** The cookies that managers have set in answer to a request: where another one fails, they must still be told. */
const cookies = new WeakMap<Request, string[]>();

/** One request: load at first use, commit before the head is sent, tell the browser and the caches. */
export class RequestLifecycle<Data extends object> implements RequestSession<Data>, Surroundings {
  readonly #engine: Engine;
  readonly #request: Request;
  readonly #context: SessionContext & { token?: string | undefined };
  #session: Promise<Session<Data>> | undefined;
  /** The session once it is loaded. */
  #state: SessionState | undefined;
  #isFinished = false;

  constructor(engine: Engine, request: Request, context: SessionContext & { token?: string | undefined }) {
    this.#engine = engine;
    this.#request = request;
    this.#context = context;
  }

  get signal(): AbortSignal | undefined {
    return this.#context.signal;
  }

  get waitUntil(): SessionContext["waitUntil"] {
    const { waitUntil } = this.#context;
    // Called on its own object, as that of Workers must be.
    return waitUntil && ((work) => waitUntil.call(this.#context, work));
  }

  readonly session = (): Promise<Session<Data>> => {
    if (this.#session === undefined) {
      this.#session = this.#load();
      // A handler that never awaits it must not bring the process down; finish() looks at it again.
      this.#session.catch(() => {});
    }
    return this.#session;
  };

  readonly finish = async (response: Response | undefined, error?: unknown): Promise<Response> => {
    this.#isFinished = true;
    if (error !== undefined && error !== null) {
      if (error instanceof SessionError || !hasResponse(error)) return await this.#fail(response, error);
      response ??= error.getResponse();
    }
    if (response === undefined) throw noResponse();
    if (this.#session === undefined) return response;
    const state = this.#state ?? await this.#loaded();
    if (state === undefined) return this.#mark(response);
    state.closed = true;
    if (state.isBusy || this.#engine.isDue(state)) response = await this.#save(state, response);
    return this.#tellBrowser(state, response);
  };

  /** Tells `onError` of an error, once, and gives what it answered. */
  report(error: SessionError, phase: SessionPhase = "commit"): Promise<Response | undefined> {
    let report = reports.get(error);
    if (report === undefined) {
      const answer = this.#engine.settings.hooks.error(error, { request: this.#request, phase });
      report = { by: this, answer };
      reports.set(error, report);
    }
    return report.by === this ? report.answer : Promise.resolve(undefined);
  }

  async #load(): Promise<Session<Data>> {
    const { token } = this.#context;
    const tokens = token === undefined ? this.#cookie().read(this.#request.headers.get("Cookie")) : [token];
    try {
      const state = await this.#engine.load(tokens, this);
      // First asked for when the response has started, in a stream say: it can be read.
      state.closed = this.#isFinished;
      this.#state = state;
      return new Session<Data>(state, this.#engine, this);
    } catch (error) {
      if (error instanceof SessionError) await this.report(error, "load");
      throw error;
    }
  }

  /** The session of a request that is over, after a load that is still under way. */
  async #loaded(): Promise<SessionState | undefined> {
    await this.#session?.catch(() => {});
    return this.#state;
  }

  async #save(state: SessionState, response: Response): Promise<Response> {
    try {
      await state.exclusively(async () => {
        // No session comes to be without a change.
        if (this.#engine.isDue(state)) await this.#engine.commit(state, this);
      });
      return response;
    } catch (error) {
      if (!(error instanceof SessionError)) throw error;
      return this.#replace(response, await this.report(error) ?? error.getResponse());
    }
  }

  /** The answer to what a handler threw. Nothing is saved; what the handler itself has saved or ended stands. */
  async #fail(response: Response | undefined, error: unknown): Promise<Response> {
    const state = await this.#loaded();
    if (state !== undefined) {
      state.closed = true;
      // A commit() or destroy() that is under way: the browser has to hear of it as well.
      await state.exclusively(() => Promise.resolve());
    }
    if (error instanceof SessionError) {
      const answer = await this.report(error);
      // A framework has made a response of the error already, perhaps one of the application's.
      if (response === undefined || answer !== undefined) {
        response = this.#replace(response, answer ?? error.getResponse());
      }
    }
    if (response === undefined) throw error;
    if (this.#session === undefined) return response;
    return state === undefined ? this.#mark(response) : this.#tellBrowser(state, response);
  }

  #tellBrowser(state: SessionState, response: Response): Response {
    const { announced } = state;
    if (this.#context.token !== undefined || (announced === undefined && !state.ended)) {
      return this.#mark(response);
    }
    const cookie = this.#cookie();
    if (announced !== undefined) {
      const { token, deadline, remember } = announced;
      const keep = cookie.persists || remember;
      return this.#setCookie(response, cookie.write(token, deadline, this.#engine.settings.now(), keep));
    }
    return state.token === undefined ? this.#setCookie(response, cookie.delete()) : this.#mark(response);
  }

  #mark(response: Response): Response {
    return markPersonal(response, this.#context.token === undefined);
  }

  #setCookie(response: Response, setCookie: string): Response {
    cookies.set(this.#request, [...cookies.get(this.#request) ?? [], setCookie]);
    return withCookie(response, setCookie);
  }

  #replace(replaced: Response | undefined, error: Response): Response {
    const earlier = cookies.get(this.#request) ?? [];
    return earlier.reduce(withCookie, replaceResponse(replaced, error));
  }

  #cookie(): SessionCookie {
    const { cookie } = this.#engine.settings;
    const isHttps = cookie.secure === "auto" ? this.#request.url.startsWith("https:") : cookie.secure;
    if (!isHttps && cookie.secure === "auto") this.#engine.noticeProxy(this.#request);
    return new SessionCookie(cookie, isHttps);
  }
}

function noResponse(): TypeError {
  return new TypeError("Cannot finish the request: the handler gave neither a response nor an error");
}

function hasResponse(error: unknown): error is { getResponse(): Response } {
  return typeof (error as { getResponse?: unknown }).getResponse === "function";
}

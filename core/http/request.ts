import type { Engine, ReportingContext } from "../engine.ts";
import { SessionClosedError, SessionError } from "../errors.ts";
import type { SessionPhase } from "../events.ts";
import { optionOf } from "../options/reader.ts";
import { ignoreRejection, isResponse } from "../foreign.ts";
import { Session } from "../session.ts";
import type { SessionState } from "../state/session_state.ts";
import { type SessionContext, waitUntilOf } from "../store/operation.ts";
import { isUnsendable } from "./body.ts";
import { isShareable } from "./caching.ts";
import { SessionCookie } from "./cookie.ts";
import { isReportedWithin, reportOnce } from "./reports.ts";
import { markPersonal, withOwnParts } from "./response.ts";
import { ResponseCookies } from "./response_cookies.ts";
import { findShared, SharedSession, sharedSessions } from "./shared_session.ts";
import { responseOf } from "./thrown.ts";

/** What a middleware needs for one request; see `SessionManager.begin`. Its functions may be taken off it. */
export interface RequestSession<Data extends object> {
  /**
   * The request's session. The first call loads it with the only store read; later calls give the same one.
   *
   * @param response The handler's response, where there is one. The same manager, mounted further in on a copy of the
   * request, may have set another session's cookie on it (a login, say). Then that session is loaded.
   * @throws {SessionStoreError} The store failed. A handler that catches it may answer without a session.
   * @throws {SessionClosedError} It is first asked for after `finish()` (in a stream, say), and a shared cache may keep the
   * response for others. Ask earlier, or answer with `Cache-Control: private`, `no-store` or `no-cache`.
   */
  readonly session: (response?: Response) => Promise<Session<Data>>;
  /**
   * Saves what the handler changed and gives the response to send, with `Vary`, `Cache-Control` and, if it changed, the
   * cookie. If saving fails, an error response takes its place. Afterwards the session is read-only.
   *
   * @param response The handler's response; `undefined` if it threw.
   * @param error What the handler threw. Nothing is saved then, unless it stands for a response: a thrown `Response`,
   * Hono's `HTTPException`, a redirect of SvelteKit or Next. Without a response it is thrown again.
   */
  readonly finish: (response: Response | undefined, error?: unknown) => Promise<Response>;
  /**
   * Says that the handler has failed. Changes that are not committed are forgotten; later ones, of an error page say, are
   * saved by `finish()`. For frameworks that turn an error into a response before the middleware hears of it.
   *
   * @param error What the handler threw. `finish()` may be given it as well.
   */
  readonly fail: (error?: unknown) => void;
}

const ASKED_LATE =
  "Cannot load session: the response has started, and a shared cache may keep it for others; " +
  "ask for the session before, or answer with Cache-Control: private";

/** One request: load at first use, commit before the head is sent, tell the browser and the caches. */
export class RequestLifecycle implements RequestSession<Record<string, unknown>>, ReportingContext {
  readonly #engine: Engine;
  readonly #request: Request;
  readonly #context: SessionContext;
  /** The token that was given in place of a cookie. */
  readonly #token: string | undefined;
  /** Also tells this lifecycle apart from others. */
  readonly #cookies: ResponseCookies;
  #shared: SharedSession | undefined;
  #isFinished = false;
  /** What `fail()` was given before the session was asked for. */
  #failure: unknown;
  /** What `finish()` returned unmarked, since nobody had asked for the session by then. */
  #unmarked: Response | undefined;

  constructor(engine: Engine, request: Request, context: SessionContext & { token?: string | undefined }) {
    this.#engine = engine;
    this.#request = request;
    this.#context = context;
    // A token of a polluted `Object.prototype` would give its session to every visitor.
    this.#token = optionOf(context, "token") as string | undefined;
    this.#cookies = new ResponseCookies(request);
  }

  get signal(): AbortSignal | undefined {
    return this.#context.signal;
  }

  get waitUntil(): SessionContext["waitUntil"] {
    return waitUntilOf(this.#context);
  }

  readonly session = (response?: Response): Promise<Session> => {
    if (this.#shared === undefined) {
      if (this.#unmarked !== undefined && this.#isLate(this.#unmarked)) return this.#refuse();
      this.#shared = this.#ask(response);
    }
    return this.#shared.session;
  };

  readonly finish = async (response: Response | undefined, error?: unknown): Promise<Response> => {
    const shared = this.#shared;
    shared?.finished(this.#cookies);
    this.#isFinished = true;
    if (error !== undefined && error !== null) response = await this.#responseTo(error, response);
    if (response === undefined || response === null || (shared !== undefined && !isResponse(response))) {
      throw new TypeError(
        `Cannot finish the request: the handler gave no Response but a value of type ${typeof response}`,
      );
    }
    this.#cookies.receive(response);
    if (shared === undefined) return this.#unmarked = this.#cookies.own(response);
    const state = shared.state ?? await shared.loaded();
    response = this.#cookies.own(response);
    if (state === undefined || shared.hasOuter(this.#cookies)) return this.#markPersonal(response);
    if (response.status >= 500 && !this.#engine.settings.saveOnServerError) shared.discard(response);
    // A session that was closed before is saved already, or its handler has failed: only its work has to end.
    const wasClosed = state.closed;
    const isDue = !wasClosed && this.#isDue(shared, state);
    state.close();
    // If the cookie changes, a login further in may have set another one, whose session is continued then.
    if (isDue || state.hasWork || state.changesCookie) {
      response = await this.#save(shared, state, withOwnParts(response), wasClosed);
    }
    return this.#tellBrowser(shared, state, this.#cookies.own(response));
  };

  readonly fail = (error?: unknown): void => {
    this.#failure = error;
    this.#shared?.forget(error);
  };

  /** Tells `onError` of an error, once, and gives its answer. Another lifecycle that reports it gets no answer. */
  async report(error: SessionError, phase: SessionPhase = "commit"): Promise<Response | undefined> {
    const info = { request: this.#request, phase };
    return await reportOnce(
      this.#cookies,
      error,
      () => this.#engine.settings.hooks.error(error, info).then(sendable),
    );
  }

  /** The response to what the handler threw. Throws it again if there is none. */
  async #responseTo(error: unknown, response: Response | undefined): Promise<Response> {
    const carried = error instanceof SessionError ? undefined : responseOf(error);
    if (carried) return response ?? carried;
    const shared = this.#shared;
    // After fail() the handler's changes are forgotten already. Later ones are saved.
    if (shared !== undefined && shared.failure !== error) {
      await shared.loaded();
      if (shared.hasOuter(this.#cookies)) shared.forget(error);
      else shared.discard(error);
    }
    if (error instanceof SessionError) response = await this.#answerTo(error, response);
    // The first error is reported, even if what was made of it is no response.
    if (!isResponse(response)) throw error;
    return response;
  }

  /** The session that this request has loaded before, else a new load. */
  #ask(response: Response | undefined): SharedSession {
    const shared = findShared(this.#request, this.#engine, this.#token) ?? this.#startLoad(response);
    // After finish() it saves nothing, and a session that another lifecycle has closed stays closed.
    if (!this.#isFinished) {
      shared.lifecycles.push(this.#cookies);
      // Another lifecycle of the request may have loaded it before the failure, and changed it.
      if (this.#failure !== undefined) shared.forget(this.#failure);
      shared.reopen();
    }
    return shared;
  }

  #startLoad(response: Response | undefined): SharedSession {
    const token = this.#token;
    const cookie = token === undefined ? new SessionCookie(this.#request, this.#engine.settings) : undefined;
    // JavaScript may pass the `null` of a missing header as the token. No cookie takes its place.
    const given = token === undefined ? response && this.#cookies.innerValue(response, cookie) : token;
    const tokens = given === undefined ? cookie!.read(this.#request.headers.get("Cookie")) : [given];
    const shared = new SharedSession(this.#engine, this.#request, token, cookie);
    shared.session = this.#load(shared, tokens);
    return shared;
  }

  async #load(shared: SharedSession, tokens: readonly string[]): Promise<Session> {
    // The session is first asked for after the head was sent, in a stream say.
    const isReadOnly = this.#isFinished;
    try {
      shared.state = await this.#engine.load(tokens, this);
    } catch (error) {
      // A handler that does not await the session must not end the process.
      ignoreRejection(shared.session);
      if (error instanceof SessionError) await this.report(error, "load");
      throw error;
    }
    if (isReadOnly) shared.state.close();
    return new Session(shared.state, this.#engine, this);
  }

  /** Whether it is too late to ask: a shared cache may keep a response that was sent unmarked. */
  #isLate(response: Response): boolean {
    return isShareable(this.#request, response) &&
      !sharedSessions(this.#request).some(({ engine }) => engine === this.#engine);
  }

  #refuse(): Promise<Session> {
    const error = new SessionClosedError(ASKED_LATE);
    const refused = this.report(error, "load").then(() => Promise.reject<Session>(error));
    ignoreRejection(refused);
    return refused;
  }

  /** Whether there is something to save, or a touch is due. */
  #isDue({ failure }: SharedSession, state: SessionState): boolean {
    if (failure === undefined) return this.#engine.isDue(state);
    // After a failure only what was changed since is saved. An earlier write in doubt stays in doubt.
    state.noticeChanges();
    const unsaved = state.changes ?? state.writeInDoubt?.changes;
    return unsaved !== undefined && !state.isForgotten(unsaved);
  }

  /** Saves what is due after all earlier work. Gives an error response if that fails. */
  async #save(
    shared: SharedSession,
    state: SessionState,
    response: Response,
    wasClosed: boolean,
  ): Promise<Response> {
    const inner = this.#cookies.innerValue(response, shared.cookie);
    try {
      await state.exclusively(async () => {
        if (inner !== undefined) await this.#engine.follow(state, inner, this);
        // Asked again: an explicit commit() may have run before. Without a change no session is created.
        if (!wasClosed && this.#isDue(shared, state)) await this.#engine.commit(state, this);
      });
      return response;
    } catch (error) {
      if (!(error instanceof SessionError)) throw error;
      return this.#replace(response, await this.report(error) ?? error.getResponse());
    }
  }

  /** The answer of `onError` to an error that the handler threw, else the response that there is. */
  async #answerTo(error: SessionError, response: Response | undefined): Promise<Response | undefined> {
    const answer = isReportedWithin(this.#cookies, error) ? undefined : await this.report(error);
    // A framework has made a response of the error, perhaps the application's own error page.
    if (response !== undefined && answer === undefined) return response;
    return this.#replace(response, answer ?? error.getResponse());
  }

  #tellBrowser(shared: SharedSession, state: SessionState, response: Response): Response {
    const { cookie } = shared;
    const { cookieToSet } = state;
    if (cookie === undefined || !state.changesCookie) return this.#markPersonal(response);
    const setCookie = cookieToSet === undefined
      ? cookie.delete()
      : cookie.write(cookieToSet, this.#engine.settings.now());
    shared.setCookie = setCookie;
    return this.#cookies.set(response, setCookie);
  }

  #markPersonal(response: Response): Response {
    return markPersonal(response, this.#token === undefined);
  }

  /** The error response in place of the handler's, with the cookies of all sessions that the request has saved. */
  #replace(replaced: Response | undefined, error: Response): Response {
    const setCookies = sharedSessions(this.#request).map(({ setCookie }) => setCookie)
      .filter((setCookie) => setCookie !== undefined);
    return this.#cookies.replace(replaced, error, setCookies);
  }
}

/** The answer of `onError`, unless it cannot be sent. */
function sendable(answer: Response | undefined): Response | undefined {
  if (answer === undefined || !isUnsendable(answer)) return answer;
  console.error("onError gave a response that was sent before, or a network error; the default one is sent");
}

import type { Engine, ReportingContext } from "../engine.ts";
import { errorResponse, SessionClosedError, SessionError } from "../errors.ts";
import type { SessionPhase } from "../events.ts";
import { optionOf } from "../options/reader.ts";
import { ignoreRejection, isResponse } from "../foreign.ts";
import { Session } from "../session.ts";
import type { SessionState } from "../state/session_state.ts";
import { type SessionContext, waitUntilOf } from "../store/operation.ts";
import { isUnsendable } from "./body.ts";
import { isShareable } from "./caching.ts";
import { SessionCookie } from "./cookie.ts";
import { cookieSetterOf, markCookieSetter } from "./cookie_setter.ts";
import { markPersonal, replaceResponse, withCookie, withoutCookies, withOwnParts } from "./response.ts";
import { isHttps } from "./scheme.ts";
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

const NO_COOKIES: readonly string[] = [];

/**
 * What `onError` returned for the errors of a request. Where middlewares are nested, only the first to see an error reports
 * it. Kept for each request, since a store such as a circuit breaker may throw one error object for every call.
 */
const reports = new WeakMap<
  Request,
  Map<SessionError, { by: object; answer: Promise<Response | undefined> }>
>();

/** The lifecycle that was the last one to report an error. */
const lastReporters = new WeakMap<SessionError, RequestLifecycle>();

let lifecycles = 0;

/** One request: load at first use, commit before the head is sent, tell the browser and the caches. */
export class RequestLifecycle implements RequestSession<Record<string, unknown>>, ReportingContext {
  readonly #engine: Engine;
  readonly #request: Request;
  readonly #context: SessionContext;
  /** The token that was given in place of a cookie. */
  readonly #token: string | undefined;
  /** A lifecycle that begins later has a higher number. */
  readonly #number: number;
  #shared: SharedSession | undefined;
  #isFinished = false;
  /** What `fail()` was given before the session was asked for. */
  #failure: unknown;
  /** What `finish()` returned unmarked, since nobody had asked for the session by then. */
  #unmarked: Response | undefined;
  /** The lifecycle that had set a cookie on the response before it came here. */
  #setter: RequestLifecycle | undefined;
  /** The cookies of sessions on the response: its own and those of lifecycles within this one. */
  #setCookies: readonly string[] = NO_COOKIES;

  constructor(engine: Engine, request: Request, context: SessionContext & { token?: string | undefined }) {
    this.#engine = engine;
    this.#request = request;
    this.#context = context;
    // A token of a polluted `Object.prototype` would give its session to every visitor.
    this.#token = optionOf(context, "token") as string | undefined;
    this.#number = ++lifecycles;
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
    return this.#shared.session as Promise<Session>;
  };

  readonly finish = async (response: Response | undefined, error?: unknown): Promise<Response> => {
    const shared = this.#shared;
    shared?.finished(this.#number);
    this.#isFinished = true;
    if (error !== undefined && error !== null) response = await this.#responseTo(error, response);
    if (response === undefined || response === null || (shared !== undefined && !isResponse(response))) {
      throw new TypeError(
        `Cannot finish the request: the handler gave no Response but a value of type ${typeof response}`,
      );
    }
    this.#setter = setterOf(response);
    if (shared === undefined) return this.#unmarked = this.#own(response);
    const state = shared.state ?? await shared.loaded();
    response = this.#own(response);
    if (state === undefined || shared.hasOuter(this.#number)) return this.#markPersonal(response);
    if (response.status >= 500 && !this.#engine.settings.saveOnServerError) shared.discard(response);
    const { closed } = state;
    const isDue = !closed && this.#isDue(shared, state);
    state.close();
    if (isDue || state.hasWork || state.changesCookie) {
      response = await this.#save(shared, state, withOwnParts(response), closed);
    }
    return this.#tellBrowser(shared, state, this.#own(response));
  };

  readonly fail = (error?: unknown): void => {
    this.#failure = error;
    this.#shared?.forget(error);
  };

  /** Tells `onError` of an error, once, and gives its answer. Another lifecycle that reports it gets no answer. */
  async report(error: SessionError, phase: SessionPhase = "commit"): Promise<Response | undefined> {
    let known = reports.get(this.#request);
    if (known === undefined) reports.set(this.#request, known = new Map());
    let report = known.get(error);
    if (report === undefined) {
      const answer = this.#engine.settings.hooks.error(error, { request: this.#request, phase });
      report = { by: this, answer: answer.then(sendable) };
      known.set(error, report);
      lastReporters.set(error, this);
    }
    return report.by === this ? await report.answer : undefined;
  }

  /** The response to what the handler threw. Throws it again if there is none. */
  async #responseTo(error: unknown, response: Response | undefined): Promise<Response> {
    const carried = error instanceof SessionError ? undefined : responseOf(error);
    if (carried) return response ?? carried;
    const shared = this.#shared;
    // After fail() the handler's changes are forgotten already. Later ones are saved.
    if (shared !== undefined && shared.failure !== error) {
      await shared.loaded();
      if (shared.hasOuter(this.#number)) shared.forget(error);
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
    if (!this.#isFinished) {
      shared.lifecycles.push(this.#number);
      // Another lifecycle of the request may have loaded it before the failure, and changed it.
      if (this.#failure !== undefined) shared.forget(this.#failure);
      shared.reopen();
    }
    return shared;
  }

  #startLoad(response: Response | undefined): SharedSession {
    const token = this.#token;
    const { settings } = this.#engine;
    const cookie = token === undefined
      ? new SessionCookie(settings.cookie, isHttps(this.#request, settings))
      : undefined;
    const shared = new SharedSession(this.#engine, this.#request, token, cookie);
    // JavaScript may pass the `null` of a missing header as the token. No cookie takes its place.
    const given = token === undefined ? response && this.#innerToken(response, cookie) : token;
    const tokens = given === undefined ? cookie!.read(this.#request.headers.get("Cookie")) : [given];
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

  /** Whether a shared cache may keep a response that was sent unmarked. */
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

  /** @param closed Whether it was closed before: then it was saved, or its handler has failed, and only its work has to end. */
  async #save(
    shared: SharedSession,
    state: SessionState,
    response: Response,
    closed: boolean,
  ): Promise<Response> {
    const inner = this.#innerToken(response, shared.cookie);
    try {
      await state.exclusively(async () => {
        if (inner !== undefined) await this.#engine.follow(state, inner, this);
        // Asked again: an explicit commit() may have run before. Without a change no session is created.
        if (!closed && this.#isDue(shared, state)) await this.#engine.commit(state, this);
      });
      return response;
    } catch (error) {
      if (!(error instanceof SessionError)) throw error;
      return this.#replace(response, await this.report(error) ?? error.getResponse());
    }
  }

  /** The answer of `onError` to an error that the handler threw, else the response that there is. */
  async #answerTo(error: SessionError, response: Response | undefined): Promise<Response | undefined> {
    // A middleware further in, on a copy of the request, may have reported it.
    const isOwn = reports.get(this.#request)?.has(error);
    const reporter = lastReporters.get(error);
    const isReported = !isOwn && reporter !== undefined && this.#contains(reporter);
    const answer = isReported ? undefined : await this.report(error);
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
    return this.#noteCookies(withCookieOrError(response, setCookie), [
      ...this.#cookiesWithin(response),
      setCookie,
    ]);
  }

  #markPersonal(response: Response): Response {
    return markPersonal(response, this.#token === undefined);
  }

  /** The error response in place of the handler's, with the cookies that the request, or a copy of it, has set. */
  #replace(replaced: Response | undefined, error: Response): Response {
    const setCookies = replaced === undefined ? [] : [...this.#cookiesWithin(replaced)];
    for (const { setCookie } of sharedSessions(this.#request)) {
      if (setCookie !== undefined) setCookies.push(setCookie);
    }
    const answer = setCookies.reduce(withCookieOrError, replaceResponse(replaced, error));
    if (setCookies.length > 0) this.#noteCookies(answer, setCookies);
    this.#setter = setterOf(answer);
    return answer;
  }

  /** The response. If another request has set its cookie on the same object, a copy without that cookie. */
  #own(response: Response): Response {
    const setter = setterOf(response);
    const isOwn = setter === undefined || setter === this ||
      (setter === this.#setter && !this.#isEarlier(setter));
    if (isOwn) return response;
    try {
      return withoutCookies(response, setter.#setCookies);
    } catch (error) {
      console.error("Session error (commit): the response was sent to another visitor:", error);
      return errorResponse(500);
    }
  }

  /** Whether the other lifecycle is of an earlier request. A lifecycle within this one has begun later. */
  #isEarlier(other: RequestLifecycle): boolean {
    return other.#number < this.#number && other.#request !== this.#request;
  }

  /** The token that the browser got from the same manager mounted further in, on a copy of the request. */
  #innerToken(response: Response, cookie: SessionCookie | undefined): string | undefined {
    return this.#innerOf(response) && cookie?.valueIn(response.headers);
  }

  /** Notes that a response got cookies in this lifecycle or within it. */
  #noteCookies(response: Response, setCookies: readonly string[]): Response {
    this.#setCookies = setCookies;
    markCookieSetter(response, this);
    return response;
  }

  /** The cookies of sessions that a response got within this lifecycle. */
  #cookiesWithin(response: Response): readonly string[] {
    const inner = this.#innerOf(response);
    return inner === undefined ? NO_COOKIES : inner.#setCookies;
  }

  /**
   * The lifecycle within this one in which a response got its cookie: from the same manager mounted further in, on a copy of
   * the request. A response that was sent has answered another request.
   */
  #innerOf(response: Response): RequestLifecycle | undefined {
    const inner = setterOf(response);
    return inner !== undefined && this.#contains(inner) && !isUnsendable(response) ? inner : undefined;
  }

  /** Whether the other one is of the same request, or of a copy: that one began later and has the same `Cookie` header. */
  #contains(inner: RequestLifecycle): boolean {
    const [own, other] = [this.#request, inner.#request];
    return own === other ||
      (inner.#number > this.#number && own.headers.get("Cookie") === other.headers.get("Cookie"));
  }
}

function setterOf(response: Response): RequestLifecycle | undefined {
  return cookieSetterOf(response) as RequestLifecycle | undefined;
}

/** The response with the cookie, or an error with it: without the cookie a login would be lost. */
function withCookieOrError(response: Response, setCookie: string): Response {
  try {
    return withCookie(response, setCookie);
  } catch (error) {
    console.error("Session error (commit): the response cannot carry the cookie:", error);
    return withCookie(replaceResponse(response, errorResponse(500)), setCookie);
  }
}

/** The answer of `onError`, unless it cannot be sent. */
function sendable(answer: Response | undefined): Response | undefined {
  if (answer === undefined || !isUnsendable(answer)) return answer;
  console.error("onError gave a response that was sent before, or a network error; the default one is sent");
}

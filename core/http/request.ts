import type { Engine, Surroundings } from "../engine.ts";
import { refuseChanges } from "../bytes/read_only.ts";
import { SessionClosedError, SessionError } from "../errors.ts";
import type { SessionPhase } from "../events.ts";
import type { SessionSettings } from "../options/session_options.ts";
import { Session } from "../session.ts";
import type { SessionState } from "../state/session_state.ts";
import type { SessionContext } from "../store/operation.ts";
import { SessionCookie } from "./cookie.ts";
import { responseOf } from "./thrown.ts";
import { isToldWithin, remember, type Visit } from "./told.ts";
import { markPersonal, replaceResponse, withCookie } from "./response.ts";

/** What a middleware needs for one request; see `SessionManager.begin`. Its functions may be taken off it. */
export interface RequestSession<Data extends object> {
  /**
   * The request's session, loaded at the first call, which is the only store read; the same one afterwards.
   *
   * @param response What the handler has given already. Where the same manager, mounted within on a copy of the request,
   * has told the browser of another session with it, a login say, that one is loaded.
   * @throws {SessionStoreError} The store failed. A handler that catches it may answer without a session.
   * @throws {SessionClosedError} It was first asked for after `finish()`, in a stream say, and a shared cache may keep the
   * response for others. Ask before, or answer with `Cache-Control: private`, `no-store` or `no-cache`.
   */
  readonly session: (response?: Response) => Promise<Session<Data>>;
  /**
   * Saves what the handler changed and gives the response to send: with the cookie where it changed, with
   * `Vary` and `Cache-Control`, or in place of the handler's an error. Afterwards the session is read-only.
   *
   * @param response What the handler gave, where it gave something.
   * @param error What the handler threw. Nothing is saved then, unless it stands for a response: a thrown `Response`,
   * Hono's `HTTPException`, a redirect of SvelteKit or Next. Without a response it is thrown again.
   */
  readonly finish: (response: Response | undefined, error?: unknown) => Promise<Response>;
  /**
   * Says that the handler has failed: what was changed so far and not committed is forgotten. What is changed from here on,
   * by an error page say, is saved by `finish()`. For a framework that makes a response of an error before a middleware
   * around it hears of the error.
   *
   * @param error What the handler threw. Where `finish()` is given it as well, it is known by then.
   */
  readonly fail: (error?: unknown) => void;
}

/** Which request has told its `onError` of an error, and what that answered: of several managers one reports it. */
const reports = new WeakMap<SessionError, { by: object; answer: Promise<Response | undefined> }>();

/** The session of one manager in one request, however often its middlewares are mounted. */
class SharedSession {
  readonly engine: Engine;
  /** The token that was given in place of a cookie. */
  readonly token: string | undefined;
  /** How the cookie is called and guarded; `undefined` where a token was given. */
  readonly cookie: SessionCookie | undefined;
  /** The session that another manager has loaded before in this request. */
  readonly earlier: SharedSession | undefined;
  session: Promise<unknown> | undefined;
  /** What the session stands on, once it is loaded. */
  state: SessionState | undefined;
  /** How many that have asked for it are not finished yet. The last of them saves it. */
  users = 0;
  /** Whether a handler has thrown, and what it changed is there still: nothing is saved then. */
  hasFailed = false;
  /** What it threw. */
  failure: unknown;
  /** The cookie that was set: where another manager fails, the browser must still be told. */
  setCookie: string | undefined;

  constructor(
    engine: Engine,
    token: string | undefined,
    cookie: SessionCookie | undefined,
    earlier: SharedSession | undefined,
  ) {
    this.engine = engine;
    this.token = token;
    this.cookie = cookie;
    this.earlier = earlier;
  }

  /** Shows nothing: a request that is logged gives no session away. */
  [Symbol.for("Deno.customInspect")](): string {
    return "SharedSession {}";
  }

  /** As above, for Node's and Bun's `console.log`. */
  [Symbol.for("nodejs.util.inspect.custom")](): string {
    return "SharedSession {}";
  }
}

const ASKED_LATE =
  "Cannot load session: the response has started, and a shared cache may keep it for others; " +
  "ask for the session before, or answer with Cache-Control: private";

let visits = 0;

/**
 * Under this symbol a request carries the session that was loaded last. A WeakMap would double what a request costs the
 * garbage collector.
 */
const LATEST = Symbol("@x/sessions");

/** A request, in which every manager finds what it has loaded before. */
interface SharedRequest extends Request {
  [LATEST]?: SharedSession | undefined;
}

/** One request: load at first use, commit before the head is sent, tell the browser and the caches. */
export class RequestLifecycle<Data extends object> implements RequestSession<Data>, Surroundings {
  readonly #engine: Engine;
  readonly #request: SharedRequest;
  readonly #context: SessionContext & { token?: string | undefined };
  readonly #began: number;
  #shared: SharedSession | undefined;
  #isFinished = false;
  #failure: unknown;
  /** What was answered without the session. */
  #answer: Response | undefined;

  constructor(engine: Engine, request: Request, context: SessionContext & { token?: string | undefined }) {
    this.#engine = engine;
    this.#request = request;
    this.#context = context;
    this.#began = ++visits;
  }

  get #visit(): Visit {
    return { request: this.#request, began: this.#began };
  }

  get signal(): AbortSignal | undefined {
    return this.#context.signal;
  }

  get waitUntil(): SessionContext["waitUntil"] {
    const { waitUntil } = this.#context;
    // Called on its own object, as that of Workers must be.
    return waitUntil && ((work) => waitUntil.call(this.#context, work));
  }

  readonly session = (response?: Response): Promise<Session<Data>> => {
    if (this.#shared === undefined) {
      if (this.#answer !== undefined && this.#isLate(this.#answer)) return this.#refuse();
      this.#shared = this.#ask(response);
    }
    return this.#shared.session as Promise<Session<Data>>;
  };

  readonly finish = async (response: Response | undefined, error?: unknown): Promise<Response> => {
    const shared = this.#shared;
    if (shared !== undefined && !this.#isFinished) shared.users--;
    this.#isFinished = true;
    if (error !== undefined && error !== null) {
      const thrown = error instanceof SessionError ? undefined : responseOf(error);
      if (thrown === undefined && (shared === undefined || shared.failure !== error)) {
        return await this.#finishFailed(response, error);
      }
      // Said by fail() before, or by somebody within.
      if (thrown === undefined) response = await this.#answerTo(error, response);
      else response ??= thrown;
    }
    if (response === undefined) throw noResponse();
    if (shared === undefined) return this.#answer = response;
    const state = shared.state ?? await loaded(shared);
    if (state === undefined || shared.users > 0) return this.#mark(response);
    const isDue = this.#isDue(shared, state, response);
    const given = state.close();
    if (isDue || state.hasWork) response = await this.#save(shared, state, response);
    if (given !== undefined) refuseChanges(given);
    return this.#tellBrowser(state, response);
  };

  readonly fail = (error?: unknown): void => {
    this.#failure = error;
    if (this.#shared !== undefined) this.#forget(this.#shared, error);
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

  /** The session that was asked for before in this request, or else a new load. */
  #ask(response: Response | undefined): SharedSession {
    const { token } = this.#context;
    let own = this.#request[LATEST];
    while (own !== undefined && (own.engine !== this.#engine || own.token !== token)) own = own.earlier;
    own ??= this.#load(token, response);
    if (!this.#isFinished) {
      own.users++;
      if (own.hasFailed) this.#forget(own, own.failure);
      own.state?.reopen();
    }
    if (this.#failure !== undefined) own.failure = this.#failure;
    return own;
  }

  /** What managers have loaded in this request, the first one first. */
  #sharedSessions(): SharedSession[] {
    const sessions: SharedSession[] = [];
    for (let one = this.#request[LATEST]; one !== undefined; one = one.earlier) sessions.unshift(one);
    return sessions;
  }

  /** Forgets what a handler that has failed has changed; what follows is saved again. */
  #forget(shared: SharedSession, error: unknown): void {
    if (error !== undefined && shared.failure === error && !shared.hasFailed) return;
    shared.state?.forget(this.#engine.newRecord());
    shared.failure = error;
    shared.hasFailed = false;
  }

  /** Whether the head has gone to a client, or to a cache that may give it to others, without a word of the session. */
  #isLate({ headers, status }: Response): boolean {
    // An upgrade is kept by nobody, nor is the answer to what is no GET.
    if (status === 101 || !/^(?:GET|HEAD)$/.test(this.#request.method)) return false;
    return !/(?:^|[\s,])(?:private|no-store|no-cache)(?:$|[\s,])/i.test(headers.get("Cache-Control") ?? "") &&
      !this.#sharedSessions().some((one) => one.engine === this.#engine);
  }

  /** A session that no cache has heard of. */
  #refuse(): Promise<Session<Data>> {
    const error = new SessionClosedError(ASKED_LATE);
    const refused = this.report(error, "load").then(() => Promise.reject<Session<Data>>(error));
    refused.catch(() => {});
    return refused;
  }

  #load(token: string | undefined, response: Response | undefined): SharedSession {
    const cookie = token === undefined ? this.#newCookie() : undefined;
    const own = new SharedSession(this.#engine, token, cookie, this.#request[LATEST]);
    this.#request[LATEST] = own;
    const told = response && this.#toldWithin(response, cookie);
    const read = () => told === undefined ? cookie!.read(this.#request.headers.get("Cookie")) : [told];
    own.session = this.#open(own, token === undefined ? read() : [token]);
    return own;
  }

  async #open(own: SharedSession, tokens: readonly string[]): Promise<Session<Data>> {
    // First asked for when the response has started, in a stream say: it can be read.
    const isReadOnly = this.#isFinished;
    try {
      own.state = await this.#engine.load(tokens, this);
    } catch (error) {
      // A handler that never awaits it must not bring the process down; finish() looks at it again.
      own.session?.catch(() => {});
      if (error instanceof SessionError) await this.report(error, "load");
      throw error;
    }
    if (isReadOnly) own.state.close();
    return new Session<Data>(own.state, this.#engine, this);
  }

  #newCookie(): SessionCookie {
    const { cookie, trustProxy } = this.#engine.settings;
    const isHttps = this.#request.url.startsWith("https:") || isForwarded(this.#request.headers, trustProxy);
    if (!isHttps && cookie.secure === "auto") this.#engine.noticeProxy(this.#request);
    return new SessionCookie(cookie, isHttps);
  }

  /** Whether there is something to save, or a use to write down. */
  #isDue(shared: SharedSession, state: SessionState, response: Response): boolean {
    const isLost = shared.hasFailed || (response.status >= 500 && !this.#engine.settings.saveOnServerError);
    if (!isLost && shared.failure === undefined) return this.#engine.isDue(state);
    // Of a failed request only what came after the failure counts. No write in doubt is looked after.
    const hasChanges = state.hasChanges() && state.changes !== undefined;
    if (isLost) shared.hasFailed = true;
    return hasChanges && !isLost;
  }

  async #save(shared: SharedSession, state: SessionState, response: Response): Promise<Response> {
    const inner = this.#toldWithin(response, shared.cookie);
    try {
      await state.exclusively(async () => {
        if (shared.hasFailed) return;
        if (inner !== undefined) await this.#engine.follow(state, inner, this);
        // No session comes to be without a change.
        if (this.#engine.isDue(state)) await this.#engine.commit(state, this);
      });
      return response;
    } catch (error) {
      if (!(error instanceof SessionError)) throw error;
      return this.#replace(response, await this.report(error) ?? error.getResponse());
    }
  }

  /** The token that the same manager, mounted within on a copy of the request, has told the browser of. */
  #toldWithin(response: Response, cookie: SessionCookie | undefined): string | undefined {
    return isToldWithin(response, this.#visit) ? cookie?.valueIn(response.headers) : undefined;
  }

  /** The answer to what a handler threw. Nothing is saved; what the handler itself has saved or ended stands. */
  async #finishFailed(response: Response | undefined, error: unknown): Promise<Response> {
    const shared = this.#shared;
    const state = shared === undefined ? undefined : await loaded(shared);
    if (shared !== undefined && shared.users > 0) this.#forget(shared, error);
    else if (shared !== undefined) {
      shared.hasFailed = true;
      shared.failure = error;
      // What was changed in place may hold objects of the handler's own: that is found out before all else is frozen.
      state?.hasChanges();
      state?.close();
    }
    // A commit() or destroy() that is under way: the browser has to hear of it as well.
    await state?.exclusively(() => Promise.resolve());
    response = await this.#answerTo(error, response);
    if (response === undefined) throw error;
    if (shared === undefined) return this.#answer = response;
    return state === undefined || shared.users > 0
      ? this.#mark(response)
      : this.#tellBrowser(state, response);
  }

  /** What `onError` has to say to an error, or else the response there is. */
  async #answerTo(error: unknown, response: Response | undefined): Promise<Response | undefined> {
    if (!(error instanceof SessionError)) return response;
    const answer = await this.report(error);
    // A framework has made a response of the error already, perhaps one of the application's.
    if (response !== undefined && answer === undefined) return response;
    return this.#replace(response, answer ?? error.getResponse());
  }

  #tellBrowser(state: SessionState, response: Response): Response {
    const { announced } = state;
    const cookie = this.#shared!.cookie;
    if (cookie === undefined || (announced === undefined && !state.ended)) return this.#mark(response);
    if (announced !== undefined) {
      const { token, deadline, remember } = announced;
      const keep = cookie.persists || remember;
      return this.#setCookie(response, cookie.write(token, deadline, this.#engine.settings.now(), keep));
    }
    if (state.token !== undefined) return this.#mark(response);
    return this.#setCookie(response, cookie.delete());
  }

  #mark(response: Response): Response {
    return markPersonal(response, this.#context.token === undefined);
  }

  #setCookie(response: Response, setCookie: string): Response {
    this.#shared!.setCookie = setCookie;
    const answer = withCookie(response, setCookie);
    remember(answer, this.#visit);
    return answer;
  }

  #replace(replaced: Response | undefined, error: Response): Response {
    const cookies = this.#sharedSessions().map(({ setCookie }) => setCookie).filter((one) =>
      one !== undefined
    );
    return cookies.reduce((answer, one) => withCookie(answer, one), replaceResponse(replaced, error));
  }
}

/** The session of a request that is over, after a load that is still under way; `undefined` where that failed. */
async function loaded(shared: SharedSession): Promise<SessionState | undefined> {
  await shared.session?.catch(() => {});
  return shared.state;
}

function noResponse(): TypeError {
  return new TypeError("Cannot finish the request: the handler gave neither a response nor an error");
}

/** Whether a proxy that is trusted says that the request came to it by https. */
function isForwarded(headers: Headers, trustProxy: SessionSettings["trustProxy"]): boolean {
  // The whole value: of a list anyone may have sent the first.
  return trustProxy !== undefined && headers.get(trustProxy.header)?.toLowerCase() === trustProxy.value;
}

import type { Engine } from "../engine.ts";
import type { Session } from "../session.ts";
import type { SessionState } from "../state/session_state.ts";
import type { SessionCookie } from "./cookie.ts";
import type { Lifecycle } from "./nesting.ts";

/**
 * Under this symbol a request carries the session that was loaded last, which knows the one before it. A WeakMap would double
 * what a request costs the garbage collector.
 */
const LATEST = Symbol("@x/sessions");

/** A request, in which every manager finds the sessions that were loaded before. */
interface SharedRequest extends Request {
  /** A function: what is shown of a request shows nothing of the session. */
  [LATEST]?: (() => SharedSession) | undefined;
}

/** The session of one manager in one request, however often its middlewares are mounted. */
export class SharedSession {
  readonly engine: Engine;
  /** The token that was given in place of a cookie. */
  readonly token: string | undefined;
  /** `undefined` where a token was given. */
  readonly cookie: SessionCookie | undefined;
  /** The session that was loaded before this one in the same request. */
  readonly earlier: SharedSession | undefined;
  /** Its load, which `#startLoad()` of `request.ts` sets at once. */
  session!: Promise<Session>;
  /** Set once the session is loaded. */
  state: SessionState | undefined;
  /**
   * The lifecycles that have asked for it and are not finished. The outermost one began first, and saves it. Those within it
   * are unfinished by then only if it did not wait for them.
   */
  lifecycles: Lifecycle[] = [];
  /** What the handler that failed last threw, or its response; `undefined` where none has failed. */
  failure: unknown;
  /** The cookie that was set. The browser must hear of it also where another manager of the request fails. */
  setCookie: string | undefined;

  /** Attaches itself to the request. */
  constructor(
    engine: Engine,
    request: Request,
    token: string | undefined,
    cookie: SessionCookie | undefined,
  ) {
    this.engine = engine;
    this.token = token;
    this.cookie = cookie;
    this.earlier = latestOf(request);
    // Not an assignment, which throws for a sealed request.
    Reflect.set(request, LATEST, () => this);
  }

  /** The state of a session whose load may still be under way; `undefined` where the load failed. */
  async loaded(): Promise<SessionState | undefined> {
    await this.session.catch(() => {});
    return this.state;
  }

  /** Notes that a lifecycle has finished. */
  finished(lifecycle: Lifecycle): void {
    this.lifecycles = this.lifecycles.filter((other) => other !== lifecycle);
  }

  /** Whether a lifecycle that began earlier is not finished: that one saves the session. */
  hasOuter({ number }: Lifecycle): boolean {
    return this.lifecycles.some((other) => other.number < number);
  }

  /** Forgets the changes of a handler that has failed. Later changes are saved again. */
  forget(failure: unknown): void {
    // Several lifecycles may tell of one failure.
    if (failure !== undefined && this.failure === failure) return;
    this.failure = failure;
    this.state?.forget(this.engine.newRecord());
  }

  /** Closes the session of a handler that has failed. Its changes are not saved. */
  discard(failure: unknown): void {
    this.failure = failure;
    this.state?.abandon();
  }

  /** Opens the session again, for another middleware of the request. What was discarded is forgotten. */
  reopen(): void {
    if (this.state?.closed && this.failure !== undefined) this.state.forget(this.engine.newRecord());
    this.state?.reopen();
  }
}

function latestOf(request: Request): SharedSession | undefined {
  return (request as SharedRequest)[LATEST]?.();
}

/** The session that a manager has loaded in this request, by the cookie or by this token. */
export function findShared(
  request: Request,
  engine: Engine,
  token: string | undefined,
): SharedSession | undefined {
  return sharedSessions(request).find((one) => one.engine === engine && one.token === token);
}

/** All sessions of a request, the latest one first. */
export function sharedSessions(request: Request): SharedSession[] {
  const sessions: SharedSession[] = [];
  for (let one = latestOf(request); one !== undefined; one = one.earlier) sessions.push(one);
  return sessions;
}

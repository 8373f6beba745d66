import type { Engine, ReportingContext } from "./engine.ts";
import { SessionClosedError, SessionEncodeError, SessionError } from "./errors.ts";
import { isReserved, REMEMBER_ME } from "./state/record.ts";
import { LONGEST_LIFETIME } from "./options/session_options.ts";
import type { SessionState, SessionStatus } from "./state/session_state.ts";
import { ignoreRejection } from "./foreign.ts";

const FORGOTTEN = "Cannot commit session: the handler has failed, and its changes are forgotten";

/** What a commit returns. */
export interface CommitResult {
  /** The browser's token. Empty if only the browser knows it (a session of `iterate`), and for a session that has ended. */
  token: string;
  /** When the session ends unless it is used, in milliseconds since the epoch. */
  expiry: number;
}

/** The state behind a session, for the manager alone. Throws a `TypeError` for any other object. */
export let stateOf: (session: object) => SessionState;

/** The names of a session's values. */
export type SessionKey<Data> = keyof Data & string;

/**
 * The session of one request. Values are read and written synchronously, since they are in memory. A middleware commits
 * the changes before the response is sent.
 *
 * Every method that changes something throws `SessionClosedError` once the head of the response was sent.
 *
 * @example Count visits
 * ```ts
 * import { assertEquals } from "@std/assert";
 * import { sessions } from "@x/sessions";
 *
 * const manager = sessions<{ visits: number }>();
 * const session = await manager.load();
 * session.update("visits", (visits = 0) => visits + 1);
 * assertEquals(session.get("visits"), 1);
 *
 * const { token } = await session.commit();
 * assertEquals((await manager.load(token)).get("visits"), 1);
 * ```
 *
 * @typeParam Data The values by key. A session with more values serves as well: a function may take
 * `Session<{ userId: number }>`, or `Session<object>` where it needs no values.
 */
export class Session<Data extends object = Record<string, unknown>> {
  /**
   * For the compiler alone, which would else let a `Session<{ n: number }>` pass for one of `{ n: unknown }`: it compares the
   * parameters of methods both ways.
   *
   * @ignore
   */
  declare protected readonly setters?: { [Key in SessionKey<Data>]: (value: Data[Key]) => void };
  readonly #state: SessionState;
  readonly #engine: Engine;
  readonly #context: ReportingContext;

  /** @ignore Sessions come from a manager. */
  constructor(state: SessionState, engine: Engine, context: ReportingContext) {
    this.#state = state;
    this.#engine = engine;
    this.#context = context;
    // `session.userId = 42` would be lost in silence.
    Object.preventExtensions(this);
  }

  static {
    stateOf = (session) => {
      if (!(Object(session) === session && #state in session)) {
        throw new TypeError("Cannot tell which session is meant: pass a session, as manager.load() gives it");
      }
      return (session as Session).#state;
    };
  }

  /**
   * The value, or `undefined` where there is none. An object that is then changed in place is saved by the commit, as a
   * whole. If two requests do that at once the last one wins: with {@linkcode Session.update} both changes are saved.
   */
  get<Key extends SessionKey<Data>>(key: Key): Data[Key] | undefined {
    return this.#state.get(key) as Data[Key] | undefined;
  }

  /** The text, or `""` where there is none or the value is not a string. */
  getString(key: SessionKey<Data>): string {
    return asString(this.#state.get(key));
  }

  /** The boolean, or `false` where there is none or the value is not a boolean. */
  getBool(key: SessionKey<Data>): boolean {
    return asBool(this.#state.get(key));
  }

  /** The whole number, or `0` where there is none or the value is not a whole number. */
  getInt(key: SessionKey<Data>): number {
    return asInt(this.#state.get(key));
  }

  /** The number, or `0` where there is none or the value is not a number. */
  getFloat(key: SessionKey<Data>): number {
    return asFloat(this.#state.get(key));
  }

  /** The bytes, or `undefined` where there are none or the value is not a `Uint8Array`. */
  getBytes(key: SessionKey<Data>): Uint8Array | undefined {
    return asBytes(this.#state.get(key));
  }

  /** The time, or `undefined` where there is none or the value is not a `Date`. */
  getTime(key: SessionKey<Data>): Date | undefined {
    return asTime(this.#state.get(key));
  }

  /**
   * Gives the value and removes it: a flash message is read once. Nothing happens where there is none. Several requests at
   * once may each get it: for a value that counts once use {@linkcode Session.update}.
   */
  pop<Key extends SessionKey<Data>>(key: Key): Data[Key] | undefined {
    return this.#pop(key) as Data[Key] | undefined;
  }

  /** As {@linkcode Session.getString}, and removes the value, of whatever type it is. */
  popString(key: SessionKey<Data>): string {
    return asString(this.#pop(key));
  }

  /** As {@linkcode Session.getBool}, and removes the value, of whatever type it is. */
  popBool(key: SessionKey<Data>): boolean {
    return asBool(this.#pop(key));
  }

  /** As {@linkcode Session.getInt}, and removes the value, of whatever type it is. */
  popInt(key: SessionKey<Data>): number {
    return asInt(this.#pop(key));
  }

  /** As {@linkcode Session.getFloat}, and removes the value, of whatever type it is. */
  popFloat(key: SessionKey<Data>): number {
    return asFloat(this.#pop(key));
  }

  /** As {@linkcode Session.getBytes}, and removes the value, of whatever type it is. */
  popBytes(key: SessionKey<Data>): Uint8Array | undefined {
    return asBytes(this.#pop(key));
  }

  /** As {@linkcode Session.getTime}, and removes the value, of whatever type it is. */
  popTime(key: SessionKey<Data>): Date | undefined {
    return asTime(this.#pop(key));
  }

  /**
   * Sets a value: any of JSON's, `Date`, `Uint8Array`, `bigint`, `Map`, `Set` or `undefined`. Any other value makes the
   * commit fail with `SessionEncodeError`. An object is not copied, and `get()` gives the same one. If all requests
   * use one object as a default, put a copy of it.
   *
   * @throws {SessionEncodeError} The key is reserved (`__subject`, `__createdAt`, `__nonces`, `__renewed`), or is not a string.
   */
  put<Key extends SessionKey<Data>>(key: Key, value: Data[Key]): void {
    this.#state.assertOpen();
    assertUsable(key);
    if (arguments.length < 2) throw new TypeError("Cannot put: the value is missing");
    this.#state.put(key, value);
  }

  /**
   * Removes a value. If there is none, that alone causes no write. The next write also removes a value that another request
   * has saved meanwhile.
   */
  remove(key: SessionKey<Data>): void {
    this.#state.remove(key);
  }

  /**
   * Removes every value; the token, the deadline and the subject stay. On an empty session that alone causes no write. The next
   * write also removes what other requests have saved meanwhile.
   */
  clear(): void {
    this.#state.clear();
  }

  /** Whether there is a value under the key. */
  exists(key: SessionKey<Data>): boolean {
    return this.#state.exists(key);
  }

  /** The keys of all values, sorted. */
  keys<Own extends object = Data>(this: Session<Own>): SessionKey<Own>[] {
    // Of `this`: a result of type `SessionKey<Data>[]` would refuse a session that has more keys.
    return this.#state.keys() as SessionKey<Own>[];
  }

  /**
   * Changes a value by a function of the old one. `fn` gets the value, or `undefined` where there is none, and returns the
   * new one; `undefined` removes it. After a conflict with another request `fn` runs again on the fresh value, so it must be
   * synchronous and have no side effect. A counter then never loses a count. To decide by the new value, such as a limit, first
   * `await` {@linkcode Session.commit}: until then other requests may have got the same one.
   *
   * @throws {SessionEncodeError} The key is reserved, or `fn` returned a promise.
   */
  update<Key extends SessionKey<Data>>(
    key: Key,
    fn: (value: Data[Key] | undefined) => Data[Key] | undefined,
  ): void {
    this.#state.assertOpen();
    assertUsable(key);
    if (typeof fn !== "function") {
      throw new TypeError("Cannot update: the second argument must be a function");
    }
    this.#state.update(key, (value) => {
      const result: unknown = fn(value as Data[Key] | undefined);
      if (result instanceof Promise) {
        ignoreRejection(result);
        throw new SessionEncodeError(key, "the function of update() is asynchronous");
      }
      return result;
    });
  }

  /** What this request did to the session. A commit does not change it. */
  get status(): SessionStatus {
    return this.#state.status;
  }

  /** The token for the browser; `undefined` until the session is committed. */
  get token(): string | undefined {
    return this.#state.token;
  }

  /** When the session ends whatever its use, in milliseconds since the epoch. */
  get deadline(): number {
    return this.#state.record.deadline;
  }

  /**
   * Moves the end of the session and of its cookie. A time in the past ends the session with the commit. At a login
   * call it after `renewToken()`, which starts the deadline anew.
   *
   * @param deadline Milliseconds since the epoch, or a `Date`; not a duration.
   * @throws {RangeError} The deadline is not a time, or a duration by mistake.
   */
  setDeadline(deadline: number | Date): void {
    // Not `Number()` of any value: `null`, of an empty column, would end the session. A Date may be of another realm.
    const isTime = typeof deadline === "number" ||
      Object.prototype.toString.call(deadline) === "[object Date]";
    const time = new Date(isTime ? Number(deadline) : NaN).getTime();
    // A duration, or a time in seconds, is a time in 1970 and would end the session. The clock of a test may show that time.
    const isDuration = time > 0 && time <= LONGEST_LIFETIME &&
      this.#engine.settings.now() > 2 * LONGEST_LIFETIME;
    if (Number.isNaN(time) || isDuration) {
      throw new RangeError(
        "Cannot set deadline: it must be a time in milliseconds, such as Date.now() + 60_000",
      );
    }
    this.#state.setDeadline(time);
  }

  /**
   * Whether the browser keeps the cookie when it is closed. Matters only with `cookie.persist: false`. As in SCS it is the
   * value `__rememberMe`: `keys` shows it, and `clear` removes it.
   */
  rememberMe(remember: boolean): void {
    if (typeof remember !== "boolean") throw new TypeError("Cannot set rememberMe: pass true or false");
    this.#state.put(REMEMBER_ME, remember);
  }

  /**
   * Gives the session a new token with the commit, in one atomic write: exactly one of the two tokens works at any time. Call
   * it whenever rights change, above all at login: it defeats session fixation (OWASP ASVS 5.0, 7.2.4). The deadline starts
   * anew.
   */
  renewToken(): void {
    this.#state.renew(this.#engine.newDeadline());
  }

  /**
   * The user that the session belongs to, for `manager.sessionsOf` and `manager.destroyAll`. 1 to 255 bytes of UTF-8;
   * `undefined` for none.
   *
   * @throws {SessionEncodeError} On setting: it is empty, too long or not well-formed.
   */
  get subject(): string | undefined {
    return this.#state.record.subject;
  }

  set subject(subject: string | undefined) {
    this.#state.assertOpen();
    if (subject !== undefined) assertSubject(subject);
    this.#state.setSubject(subject);
  }

  /**
   * Ends the session at once, in the store and in the browser. The request goes on with a new, empty session, which is saved
   * only if something is put into it. Await it: a value that is put before it is done ends with the old session.
   *
   * @throws {SessionStoreError} The store failed, and the session may live on.
   */
  destroy(): Promise<void> {
    // Not once its turn has come: the response may have started by then, and waits for it.
    const { closed } = this.#state;
    return this.#perform(async (state) => {
      if (closed) throw new SessionClosedError();
      await this.#engine.destroy(state, this.#context);
    });
  }

  /**
   * Takes over the values of another session, which win over this one's, and the later of the two deadlines. The other
   * session is deleted once this one is saved. Nothing happens for an unknown token or for this session's own.
   *
   * Later writes of other requests to the other session are lost with it, as after a logout.
   *
   * @throws {SessionStoreError} The store failed.
   * @throws {TypeError} The token is not a string.
   */
  mergeSession(token: string): Promise<void> {
    const { failures } = this.#state;
    return this.#perform(async (state) => {
      state.assertOpen();
      await this.#engine.merge(state, token, this.#context, failures);
    });
  }

  /**
   * Saves the session now. A middleware does that by itself. Call it after `manager.load`, or to have the session saved before
   * the handler goes on. A new session is created even if it is empty. An existing one without a change since the last commit
   * is not written, except that its use is recorded if `touchInterval` has passed.
   *
   * @throws {SessionStoreError} The store failed.
   * @throws {SessionConflictError} Other requests kept changing the session.
   * @throws {SessionGoneError} The session ended in the meantime.
   * @throws {SessionEncodeError} A value cannot be stored.
   * @throws {SessionTooLargeError} The session is larger than `maxBytes`.
   */
  commit(): Promise<CommitResult> {
    // Whether the response has started by now: it waits for a commit whose turn comes later.
    const { closed, failures } = this.#state;
    return this.#perform(async (state) => {
      // The handler failed while this commit waited for an earlier one: there is nothing left of what it had to save.
      if (state.failures !== failures) throw new SessionClosedError(FORGOTTEN);
      state.noticeChanges();
      const writes = state.mustWrite || (state.row === undefined && !state.endedHere);
      if (writes && closed) throw new SessionClosedError();
      if (writes || state.row !== undefined) await this.#engine.commit(state, this.#context);
      const { row, record: { deadline }, token = "", touchTarget } = state;
      return { token, expiry: Math.min(touchTarget ?? row?.expiry ?? deadline, deadline) };
    });
  }

  /** Shows the status alone: a session that is logged by mistake gives nothing away. */
  [Symbol.for("nodejs.util.inspect.custom")](): string {
    return `Session { status: "${this.status}" }`;
  }

  #pop(key: string): unknown {
    const value = this.#state.get(key);
    // What is not given is not removed. A replica that lags may hide a value, which would be lost unread.
    if (this.#state.exists(key)) this.#state.remove(key);
    else this.#state.assertOpen();
    return value;
  }

  /** Runs work on the store after all earlier work on this session, and reports its errors. */
  #perform<T>(work: (state: SessionState) => Promise<T>): Promise<T> {
    const run = this.#state.exclusively(() => work(this.#state));
    const reported = run.catch(async (error) => {
      if (error instanceof SessionError) await this.#context.report?.(error);
      throw error;
    });
    // A handler that forgets to await it must not end the process. The error was reported.
    reported.catch(() => {});
    return reported;
  }
}

function assertUsable(key: unknown): void {
  if (typeof key !== "string") throw new SessionEncodeError(String(key), "a key must be text");
  if (isReserved(key)) throw new SessionEncodeError(key, "the key is reserved; use another one");
}

/** Throws for a subject that some store cannot hold unchanged. */
function assertSubject(subject: unknown): asserts subject is string {
  assertSubjectIsText(subject);
  if (!subject.isWellFormed()) throw new SessionEncodeError("subject", "it must be well-formed text");
  const { length } = new TextEncoder().encode(subject);
  if (length < 1 || length > 255) {
    throw new SessionEncodeError("subject", `it must have 1 to 255 bytes of UTF-8, and has ${length}`);
  }
}

/** Throws for a subject such as 42, which no session can have. */
export function assertSubjectIsText(subject: unknown): asserts subject is string {
  if (typeof subject === "string") return;
  const given = subject === null ? "null" : typeof subject;
  throw new SessionEncodeError("subject", `it must be text, such as String(user.id), and is ${given}`);
}

const asString = (value: unknown): string => typeof value === "string" ? value : "";
const asBool = (value: unknown): boolean => value === true;
const asInt = (value: unknown): number => Number.isInteger(value) ? value as number : 0;
const asFloat = (value: unknown): number => typeof value === "number" ? value : 0;
const asBytes = (value: unknown): Uint8Array | undefined => value instanceof Uint8Array ? value : undefined;
const asTime = (value: unknown): Date | undefined => value instanceof Date ? value : undefined;

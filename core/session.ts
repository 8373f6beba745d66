import type { Engine, Surroundings } from "./engine.ts";
import { SessionEncodeError, SessionError } from "./errors.ts";
import { isReserved, REMEMBER_ME } from "./state/record.ts";
import type { SessionState, SessionStatus } from "./state/session_state.ts";

/** What a commit gives back. */
export interface CommitResult {
  /** The token that the browser is to hold. Empty where only the browser knows it (a session of `iterate`). */
  token: string;
  /** When the session ends unless it is used, in milliseconds since the epoch. */
  expiry: number;
}

/** The state behind a session, for the manager alone. Throws a `TypeError` for what is no session. */
export let stateOf: (session: object) => SessionState;

/** The names of a session's values. */
export type SessionKey<Data> = keyof Data & string;

/**
 * One request's view of a session. Reading and writing its values is synchronous, since the data is there;
 * a middleware commits the changes before the response is sent.
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
 * @typeParam Data The values by key.
 */
export class Session<Data extends object = Record<string, unknown>> {
  readonly #state: SessionState;
  readonly #engine: Engine;
  readonly #surroundings: Surroundings;

  /** @ignore Sessions come from a manager. */
  constructor(state: SessionState, engine: Engine, surroundings: Surroundings) {
    this.#state = state;
    this.#engine = engine;
    this.#surroundings = surroundings;
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
   * The value, or `undefined` where there is none. The status stays as it is. An object that is changed in
   * place is noticed at commit and saved.
   */
  get<Key extends SessionKey<Data>>(key: Key): Data[Key] | undefined {
    return this.#state.get(key) as Data[Key] | undefined;
  }

  /** The text, or `""` where there is none or the value is no text. */
  getString(key: SessionKey<Data>): string {
    return asString(this.#state.get(key));
  }

  /** The boolean, or `false` where there is none or the value is no boolean. */
  getBool(key: SessionKey<Data>): boolean {
    return asBool(this.#state.get(key));
  }

  /** The whole number, or `0` where there is none or the value is no whole number. */
  getInt(key: SessionKey<Data>): number {
    return asInt(this.#state.get(key));
  }

  /** The number, or `0` where there is none or the value is no number. */
  getFloat(key: SessionKey<Data>): number {
    return asFloat(this.#state.get(key));
  }

  /** The bytes, or `undefined` where there are none or the value is no `Uint8Array`. */
  getBytes(key: SessionKey<Data>): Uint8Array | undefined {
    return asBytes(this.#state.get(key));
  }

  /** The time, or `undefined` where there is none or the value is no `Date`. */
  getTime(key: SessionKey<Data>): Date | undefined {
    return asTime(this.#state.get(key));
  }

  /** Gives the value and removes it: a flash message is read once. Nothing happens where there is none. */
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
   * Sets a value. Values are JSON's, and `Date`, `Uint8Array`, `bigint`, `Map`, `Set` and `undefined`. What
   * cannot be stored makes the commit fail with `SessionEncodeError`.
   *
   * @throws {SessionEncodeError} The key is one that the manager keeps for itself (`__subject`, `__createdAt`,
   * `__nonces`), or is no text.
   */
  put<Key extends SessionKey<Data>>(key: Key, value: Data[Key]): void {
    this.#state.assertOpen();
    assertUsable(key);
    this.#state.put(key, value);
  }

  /** Removes a value. Nothing happens where there is none. */
  remove(key: SessionKey<Data>): void {
    this.#state.remove(key);
  }

  /** Removes every value; the token, the deadline and the subject stay. Nothing happens where there is none. */
  clear(): void {
    this.#state.clear();
  }

  /** Whether there is a value under the key. */
  exists(key: SessionKey<Data>): boolean {
    return this.#state.exists(key);
  }

  /** The keys of all values, sorted. */
  keys(): SessionKey<Data>[] {
    return this.#state.keys() as SessionKey<Data>[];
  }

  /**
   * Changes a value from what it was. `fn` gets the value, or `undefined` where there is none, and gives the
   * new one; `undefined` removes it. After a conflict with another request `fn` runs again on the fresh value,
   * so it must be synchronous and have no other effect; a counter then never loses a count.
   *
   * @throws {SessionEncodeError} The key is one that the manager keeps for itself, or `fn` gave a promise.
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
        throw new SessionEncodeError(key, "the function of update() is asynchronous");
      }
      return result;
    });
  }

  /** What became of the session in this request. Committing does not change it. */
  get status(): SessionStatus {
    return this.#state.status;
  }

  /** What the browser holds, or is going to: `undefined` until the session was committed. */
  get token(): string | undefined {
    return this.#state.token;
  }

  /** When the session ends whatever its use, in milliseconds since the epoch. */
  get deadline(): number {
    return this.#state.record.deadline;
  }

  /**
   * Moves the end of the session, and of its cookie. One that has passed ends the session when it is committed.
   *
   * @param deadline Milliseconds since the epoch, or a `Date`; not a duration.
   * @throws {RangeError} The deadline is no time.
   */
  setDeadline(deadline: number | Date): void {
    const time = new Date(Number(deadline)).getTime();
    if (Number.isNaN(time)) {
      throw new RangeError("Cannot set deadline: it must be a time in milliseconds");
    }
    this.#state.setDeadline(time);
  }

  /**
   * Whether the browser is to keep the cookie when it is closed. Matters only with `cookie.persist: false`. It is
   * kept as a value, `__rememberMe`, as SCS keeps it: `keys` shows it, and `clear` removes it.
   */
  rememberMe(remember: boolean): void {
    this.#state.put(REMEMBER_ME, remember);
  }

  /**
   * Gives the session a new token when it is committed, in one atomic write: exactly one of the two tokens works
   * at any time. Call it whenever rights change, at login above all: it is what defeats session fixation
   * (OWASP ASVS 5.0, 7.2.4). The deadline starts anew.
   */
  renewToken(): void {
    this.#state.renew(this.#engine.newDeadline());
  }

  /**
   * The user that the session belongs to, so that `manager.sessionsOf` and `manager.destroyAll` find it.
   * 1 to 255 bytes of UTF-8; `undefined` for none.
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
   * Ends the session at once, in the store and in the browser. What follows in this request is a new, empty
   * session; nothing of it is saved unless something is put into it. Await it: what is put before it is done ends
   * with the session.
   *
   * @throws {SessionStoreError} The store failed, and the session may live on.
   */
  destroy(): Promise<void> {
    return this.#perform(async (state) => {
      state.assertOpen();
      await this.#engine.destroy(state, this.#surroundings);
    });
  }

  /**
   * Takes over the values of another session, whose values win, and the later of the two deadlines. The other
   * is deleted once this one is saved. Nothing happens for an unknown token or for this session's own.
   *
   * What other requests write to the other session after this call ends with it, as with a logout.
   *
   * @throws {SessionStoreError} The store failed.
   */
  mergeSession(token: string): Promise<void> {
    return this.#perform(async (state) => {
      state.assertOpen();
      await this.#engine.merge(state, token, this.#surroundings);
    });
  }

  /**
   * Saves the session now. A middleware does it by itself; call this after `manager.load`, or to be sure that
   * the session is saved before going on. Without a change since the last commit nothing is written, except
   * that a session which was never saved is created.
   *
   * @throws {SessionStoreError} The store failed.
   * @throws {SessionConflictError} Other requests kept changing the session.
   * @throws {SessionGoneError} The session ended in the meantime.
   * @throws {SessionEncodeError} A value cannot be stored.
   * @throws {SessionTooLargeError} The session is larger than `maxBytes`.
   */
  commit(): Promise<CommitResult> {
    return this.#perform(async (state) => {
      const isNew = state.row === undefined && !state.ended;
      if (state.hasChanges() || isNew) state.assertOpen();
      if (state.hasChanges() || isNew || state.row !== undefined) {
        await this.#engine.commit(state, this.#surroundings);
      }
      const { row, record: { deadline }, token = "", touching = 0 } = state;
      return { token, expiry: Math.min(Math.max(row?.expiry ?? deadline, touching), deadline) };
    });
  }

  /** Shows the status alone: a session that is logged by mistake gives nothing away. */
  [Symbol.for("Deno.customInspect")](): string {
    return `Session { status: "${this.status}" }`;
  }

  /** As above, for Node's and Bun's `console.log`. */
  [Symbol.for("nodejs.util.inspect.custom")](): string {
    return `Session { status: "${this.status}" }`;
  }

  #pop(key: string): unknown {
    const value = this.#state.get(key);
    this.#state.remove(key);
    return value;
  }

  /** Runs what waits for the store after what came before it, and tells of its errors. */
  #perform<T>(work: (state: SessionState) => Promise<T>): Promise<T> {
    const run = this.#state.exclusively(() => work(this.#state));
    if (this.#surroundings.report === undefined) return run;
    const told = run.catch(async (error) => {
      if (error instanceof SessionError) await this.#surroundings.report?.(error);
      throw error;
    });
    // A handler that forgets to await it must not end the process: the error was told.
    told.catch(() => {});
    return told;
  }
}

function assertUsable(key: unknown): void {
  if (typeof key !== "string") throw new SessionEncodeError(String(key), "a key must be text");
  if (isReserved(key)) throw new SessionEncodeError(key, "the key is reserved; use another one");
}

/** Throws where no store could hold the subject as it is. */
function assertSubject(subject: unknown): asserts subject is string {
  assertText(subject);
  if (!subject.isWellFormed()) throw new SessionEncodeError("subject", "it must be well-formed text");
  const { length } = new TextEncoder().encode(subject);
  if (length < 1 || length > 255) {
    throw new SessionEncodeError("subject", `it must have 1 to 255 bytes of UTF-8, and has ${length}`);
  }
}

/** Throws for a subject such as 42: no session has it. */
export function assertText(subject: unknown): asserts subject is string {
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

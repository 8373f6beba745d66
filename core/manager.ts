import { Engine } from "./engine.ts";
import { publicId } from "./bytes/token.ts";
import { isObject } from "./bytes/values.ts";
import type { StoreOperation } from "./errors.ts";
import { RequestLifecycle, type RequestSession } from "./http/request.ts";
import { show } from "./options/reader.ts";
import { readOptions, type SessionOptions, type SessionSettings } from "./options/session_options.ts";
import { assertSubjectIsText, Session, stateOf } from "./session.ts";
import { endRow } from "./state/ending.ts";
import type { SessionRecord } from "./state/record.ts";
import type {
  IterableStore,
  PurgingStore,
  SessionStore,
  StoredRow,
  SubjectStore,
  TimedOptions,
} from "./store.ts";
import type { SessionContext } from "./store/operation.ts";
import { hasMethods, tryCall } from "./foreign.ts";
import { assertSignal, eventLoopTurn } from "./wait.ts";
import { purge, type PurgeOptions, type PurgeResult } from "./store/purge.ts";

/** One session of a subject, as `sessionsOf` gives it: what a "your devices" page shows. */
export interface SubjectSession<Data extends object = Record<string, unknown>> {
  /** Names the session in forms and links. It is of no use as a token. */
  readonly id: string;
  /** When the session was created, in milliseconds since the epoch; `undefined` if another service created it. */
  readonly createdAt?: number | undefined;
  /**
   * When the session was last used, in milliseconds since the epoch. The last use may be up to `touchInterval` later.
   * Known only with an idle timeout, and no longer once a use has moved the session's end to its deadline.
   */
  readonly lastUsedAt?: number | undefined;
  /** When the session ends unless it is used, in milliseconds since the epoch. */
  readonly expiresAt: number;
  /** Whether it is the session given as `current`. */
  readonly current: boolean;
  /** One of its values. */
  get<Key extends keyof Data & string>(key: Key): Data[Key] | undefined;
}

/**
 * Loads, saves and ends sessions. Make one with `sessions()`; it holds no connection and starts nothing, so it
 * may be made at module scope.
 *
 * @typeParam Data The values of a session by key.
 */
export class SessionManager<Data extends object = Record<string, unknown>> {
  readonly #engine: Engine;

  /** @ignore Use `sessions()`. */
  constructor(options: SessionOptions, defaultStore: () => SessionStore) {
    this.#engine = new Engine(readOptions(options, defaultStore));
  }

  /**
   * The session of a token, for code without a request: a job, a WebSocket, a stream. Without a token, or with one that is
   * unknown, expired or not well formed, it is a new session, whose `token` is `undefined`. Call
   * {@linkcode Session.commit} to save changes. With `idleTimeout` also call it where the session is only read: to load it
   * does not count as use.
   *
   * @throws {SessionStoreError} The store failed.
   * @throws {TypeError} The token is not a string, or the signal no `AbortSignal`.
   */
  async load(token?: string, context: SessionContext = {}): Promise<Session<Data>> {
    assertSignal(context.signal);
    const state = await this.#engine.load(token === undefined ? [] : [token], context);
    return new Session<Data>(state, this.#engine, context);
  }

  /**
   * The session of a request, for a middleware. Nothing happens until its `session()` is called. `finish()` must be given
   * every response. With a `token`, even an empty one, no cookie is read or written.
   *
   * Call it before the handler. A response that got a session's cookie for another `Request` before this call counts as
   * another visitor's. It loses that cookie.
   *
   * @param request Its cookie is read when `session()` is first called.
   * @param context A `token` that did not come in a cookie but in a header, say.
   * @throws {TypeError} The request is no `Request`, the context no object, or the signal no `AbortSignal`.
   */
  begin(
    request: Request,
    context: SessionContext & { token?: string | undefined } = {},
  ): RequestSession<Data> {
    if (!isRequest(request)) {
      const hint = isObject(request)
        ? "; pass the c.req.raw of Hono, and on Node a new Request(), or use nodeSessions()"
        : "";
      throw new TypeError(`Cannot begin a request: begin() takes a Request, and got ${show(request)}${hint}`);
    }
    if (!isObject(context)) {
      throw new TypeError("Cannot begin a request: the second argument must be an object, such as { token }");
    }
    assertSignal(context.signal);
    return new RequestLifecycle(this.#engine, request, context) as unknown as RequestSession<Data>;
  }

  /**
   * Every live session, read page by page. Each can be read, changed, committed and destroyed; nothing is saved
   * without a commit. With `hashTokenInStore` their `token` is `undefined`. A commit of one counts as a use: with
   * `idleTimeout` the session lives on.
   *
   * @throws {SessionStoreError} The store failed, or cannot list its sessions.
   */
  async *iterate(context: SessionContext = {}): AsyncGenerator<Session<Data>, void, undefined> {
    const store = this.#engine.storeWith<IterableStore>("all");
    for await (const row of this.#rows("all", (options) => store.all(options), context)) {
      const state = this.#engine.sessionIn(row);
      if (state !== undefined) yield new Session<Data>(state, this.#engine, context);
    }
  }

  /**
   * The live sessions of a subject.
   *
   * @param options `current`: the session whose entry gets `current: true`.
   * @throws {SessionStoreError} The store failed, or knows no subjects.
   * @throws {TypeError} A session is given under another name.
   * @throws {SessionEncodeError} The subject is not a string.
   */
  async sessionsOf(
    subject: string,
    options: SessionContext & { current?: Session<Data> | undefined } = {},
  ): Promise<SubjectSession<Data>[]> {
    assertSubjectIsText(subject);
    const current = await this.#tokenIn("current", options);
    const entries: SubjectSession<Data>[] = [];
    for await (const row of this.#rowsOf(subject, options)) {
      const state = this.#engine.sessionIn(row);
      if (state === undefined) continue;
      const { createdAt, deadline } = state.record;
      entries.push({
        id: publicId(row.token),
        createdAt,
        lastUsedAt: lastUse(row.expiry, state.record, this.#engine.settings),
        // A touch beside a request that set an earlier deadline may have moved the row's expiry beyond it.
        expiresAt: Math.min(row.expiry, deadline),
        current: row.token === current,
        get: (key) => state.get(key) as Data[typeof key] | undefined,
      });
    }
    return entries;
  }

  /**
   * Ends one session of a subject, by the `id` that {@linkcode SessionManager.sessionsOf} gave. A session that was renewed
   * since then has another `id`; {@linkcode SessionManager.destroyAll} ends it too.
   *
   * @returns Whether there was such a session.
   * @throws {SessionStoreError} The store failed, or knows no subjects.
   * @throws {SessionEncodeError} The subject is not a string.
   */
  async destroySession(subject: string, id: string, context: SessionContext = {}): Promise<boolean> {
    assertSubjectIsText(subject);
    for await (const row of this.#rowsOf(subject, context)) {
      if (publicId(row.token) !== id) continue;
      const operation = this.#engine.operation(context);
      const how = await endRow(operation, row);
      // If a reply was lost, an earlier attempt may have deleted the row.
      if (how === "renewed" || (how === "gone" && !operation.inDoubt)) return false;
      this.#engine.settings.hooks.event?.({ kind: "revoked", subject, count: 1, id });
      return true;
    }
    return false;
  }

  /**
   * Ends every session of a subject at once: after a password change, say. None of them is usable afterwards and
   * no request in flight brings one back. A login that is saved later than this is a new session and stays.
   *
   * The request's own session ends too, and a change to it in the same request then fails with `ERR_SESSION_GONE`: pass
   * it as `except` to keep it, or call `await session.destroy()` before the change.
   *
   * @param options `except`: the session that stays.
   * @returns How many sessions ended, expired ones that were not yet purged included.
   * @throws {SessionStoreError} The store failed, or knows no subjects.
   * @throws {TypeError} A session is given under another name.
   * @throws {SessionEncodeError} The subject is not a string.
   */
  async destroyAll(
    subject: string,
    options: SessionContext & { except?: Session<Data> | undefined } = {},
  ): Promise<number> {
    assertSubjectIsText(subject);
    const store = this.#engine.storeWith<SubjectStore>("deleteBySubject");
    const except = await this.#tokenIn("except", options);
    const operation = this.#engine.operation(options);
    const count = await operation.run(
      "deleteBySubject",
      "repeatable",
      (given) => store.deleteBySubject(subject, Object.assign(given, { except })),
    );
    // Also after a lost reply: the count is unknown then, but rows may have been deleted.
    if (count > 0 || operation.inDoubt) {
      this.#engine.settings.hooks.event?.({ kind: "revoked", subject, count });
    }
    return count;
  }

  /**
   * Deletes expired sessions in small batches until none is left or the budget is spent, for a scheduler.
   *
   * @throws {SessionStoreError} The store failed, or cannot purge; what was deleted stays deleted.
   */
  async purge(options: PurgeOptions = {}): Promise<PurgeResult> {
    const store = this.#engine.storeWith<PurgingStore>("deleteExpired");
    const { now, hooks } = this.#engine.settings;
    return await purge(store, options, { now, onEvent: hooks.event });
  }

  /** The stored token of the session in an option. */
  async #tokenIn<Name extends "current" | "except">(
    name: Name,
    options: SessionContext & { [Key in Name]?: Session<Data> | undefined },
  ): Promise<string | undefined> {
    const session = options[name];
    if (session) return await this.#engine.currentToken(stateOf(session), options);
    // A misspelt `except` would sign the user out. Only sessions are looked for, since the context of Workers has
    // properties of its own.
    if ([options, ...Object.values(options)].some((value) => hasMethods<Session>(value, "renewToken"))) {
      throw new TypeError(`Cannot tell what the session is for: pass it as { ${name}: session }`);
    }
  }

  #rowsOf(subject: string, context: SessionContext): AsyncGenerator<StoredRow, void, undefined> {
    const store = this.#engine.storeWith<SubjectStore>("findBySubject");
    return this.#rows("findBySubject", (options) => store.findBySubject(subject, options), context);
  }

  /** The rows of a listing. Each step has the store's time limit, and its errors hold no secrets. */
  async *#rows(
    operation: StoreOperation,
    list: (options: TimedOptions) => AsyncIterable<StoredRow>,
    context: SessionContext,
  ): AsyncGenerator<StoredRow, void, undefined> {
    const { signal } = context;
    // A cast: TypeScript does not see that step() sets it.
    let rows = undefined as AsyncIterator<StoredRow> | undefined;
    const step = async () => {
      // A store in JavaScript may give a promise of a list.
      rows ??= iteratorOf(await list({ now: this.#engine.settings.now(), signal }));
      return await rows.next();
    };
    try {
      let turned = performance.now();
      while (true) {
        if (performance.now() - turned > LONGEST_STOP) {
          await eventLoopTurn();
          turned = performance.now();
        }
        const next = await this.#engine.operation(context).run(operation, "page", step);
        if (next.done) return;
        yield next.value;
      }
    } finally {
      tryCall(() => rows?.return?.());
    }
  }
}

/** A store in JavaScript may give an array, or another list that is not asynchronous. */
function iteratorOf<T>(list: AsyncIterable<T> & Partial<Iterable<T>>): AsyncIterator<T> {
  return (list[Symbol.asyncIterator] ?? list[Symbol.iterator]).call(list) as AsyncIterator<T>;
}

/** How long a listing of a store in this process holds up other requests, in milliseconds. */
const LONGEST_STOP = 10;

/**
 * The expiry less the idle timeout. That is not the last use if the expiry is the deadline: `undefined` then. If the row was
 * written under another `idleTimeout`, it is wrong by the difference, and `undefined` where that shows.
 */
function lastUse(
  expiry: number,
  { createdAt = -Infinity, deadline }: SessionRecord,
  { idleTimeout, now }: SessionSettings,
): number | undefined {
  const time = expiry - idleTimeout;
  return idleTimeout === Infinity || expiry === deadline || time > now() || time < createdAt
    ? undefined
    : time;
}

/** First by what a request can do: to look at its URL and its headers costs time on Node. */
function isRequest(value: unknown): boolean {
  const request = value as Partial<Request> | null | undefined;
  return typeof request?.clone === "function" ||
    (typeof request?.url === "string" && typeof request.headers?.get === "function");
}

import { BasicStoreAdapter } from "./store/basic_store.ts";
import { Commit } from "./state/commit.ts";
import { readOptions, type SessionOptions, type SessionSettings } from "./options/session_options.ts";
import { SessionStoreError, type StoreOperation } from "./errors.ts";
import { purge, type PurgeOptions, type PurgeResult } from "./store/purge.ts";
import { decodeRecord, type SessionRecord } from "./state/record.ts";
import { type Observe, RequestLifecycle, type RequestSession } from "./http/request.ts";
import { assertText, type CommitResult, Session, type SessionBackend, stateOf } from "./session.ts";
import { SessionState } from "./state/session_state.ts";
import {
  type AtomicStore,
  hasMethods,
  type IterableStore,
  type PurgingStore,
  type SessionStore,
  type StoredRow,
  type SubjectStore,
  type TimedOptions,
} from "./store.ts";
import { toSessionError } from "./store/failure.ts";
import { type SessionContext, StoreAccess } from "./store/operation.ts";
import { hashToken, isToken, publicId } from "./bytes/token.ts";
import { GaveUp, waitFor } from "./store/wait.ts";

/** One session of a subject, as `sessionsOf` gives it: what a "your devices" page shows. */
export interface SubjectSession<Data extends object = Record<string, unknown>> {
  /** Names the session in forms and links. It is of no use as a token. */
  readonly id: string;
  /** When the session was made, in milliseconds since the epoch; unknown where another service made it. */
  readonly createdAt?: number;
  /**
   * When the session was last used, in milliseconds since the epoch, or up to `touchInterval` before; known only with
   * an idle timeout.
   */
  readonly lastUsedAt?: number;
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
  readonly #settings: SessionSettings;
  readonly #store: AtomicStore;
  #proxyNoticed = false;

  /** @ignore Use `sessions()`. */
  constructor(options: SessionOptions & { store: SessionStore }) {
    this.#settings = readOptions(options);
    const { store } = this.#settings;
    this.#store = hasMethods<AtomicStore>(store, "create", "update", "touch")
      ? store
      : new BasicStoreAdapter(store);
  }

  /**
   * The session of a token, for code without a request: a job, a WebSocket, a stream. Without a token, or with
   * one that is unknown, expired or not well formed, it is a new session without a token. Call
   * {@linkcode Session.commit} to save what is changed.
   *
   * @throws {SessionStoreError} The store failed.
   */
  async load(token?: string, context: SessionContext = {}): Promise<Session<Data>> {
    return this.#face(await this.#load(token === undefined ? [] : [token], context), context);
  }

  /**
   * The session of a request, for a middleware: nothing happens until its `session()` is called, and `finish()`
   * must get every response.
   *
   * @param request Its cookie is read when the session is first asked for.
   * @param context With a `token` (from a header, say) no cookie is read or written.
   */
  begin(request: Request, context: SessionContext & { token?: string } = {}): RequestSession<Data> {
    const backend = {
      settings: this.#settings,
      load: (tokens: string[]) => this.#load(tokens, context),
      save: (state: SessionState) => this.#save(state, context),
      noticeProxy: (seen: Request) => this.#noticeProxy(seen),
    };
    return new RequestLifecycle(
      backend,
      request,
      context,
      (state, observe) => this.#face(state, context, observe),
    );
  }

  /**
   * Every live session, read page by page. Each can be read, changed, committed and destroyed; nothing is saved
   * without a commit. Where tokens are hashed their `token` is `undefined`.
   *
   * @throws {SessionStoreError} The store failed, or cannot list its sessions.
   */
  async *iterate(context: SessionContext = {}): AsyncGenerator<Session<Data>, void, undefined> {
    const store = this.#able<IterableStore>("all");
    for await (const row of this.#rows("all", (options) => store.all(options), context)) {
      const state = this.#open(row, this.#settings.hashTokenInStore ? undefined : row.token);
      if (state !== undefined) yield this.#face(state, context);
    }
  }

  /**
   * The live sessions of a subject.
   *
   * @param options `current`: the session whose entry says so.
   * @throws {SessionStoreError} The store failed, or knows no subjects.
   * @throws {SessionEncodeError} The subject is no text.
   */
  async sessionsOf(
    subject: string,
    options: SessionContext & { current?: Session<Data> } = {},
  ): Promise<SubjectSession<Data>[]> {
    assertText(subject);
    const current = options.current && stateOf(options.current).row?.token;
    const { idleTimeout } = this.#settings;
    const entries: SubjectSession<Data>[] = [];
    for await (const row of this.#rowsOf(subject, options)) {
      const state = this.#open(row, undefined);
      if (state === undefined) continue;
      const { createdAt, deadline, values } = state.record;
      entries.push({
        id: publicId(row.token),
        createdAt,
        // At the deadline the expiry is cut off and says nothing of the last use.
        lastUsedAt: idleTimeout === Infinity || row.expiry === deadline
          ? undefined
          : row.expiry - idleTimeout,
        // A touch that crossed with an earlier deadline moved the row's expiry beyond it.
        expiresAt: Math.min(row.expiry, deadline),
        current: row.token === current,
        get: (key) => values.get(key) as Data[typeof key] | undefined,
      });
    }
    return entries;
  }

  /**
   * Ends one session of a subject, by the `id` that {@linkcode SessionManager.sessionsOf} gave. One that was renewed
   * since then has another: {@linkcode SessionManager.destroyAll} misses none.
   *
   * @returns Whether there was such a session.
   * @throws {SessionStoreError} The store failed, or knows no subjects.
   * @throws {SessionEncodeError} The subject is no text.
   */
  async destroySession(subject: string, id: string, context: SessionContext = {}): Promise<boolean> {
    assertText(subject);
    for await (const { token } of this.#rowsOf(subject, context)) {
      if (publicId(token) !== id) continue;
      const { result, inDoubt } = await this.#access(context).insist(
        "delete",
        (options) => this.#store.delete(token, options),
      );
      const deleted = result || inDoubt;
      if (deleted) this.#settings.hooks.emit(() => ({ kind: "revoked", subject, count: 1, id }));
      return deleted;
    }
    return false;
  }

  /**
   * Ends every session of a subject at once: after a password change, say. None of them is usable afterwards and
   * no request in flight brings one back. A login that is saved later than this is a new session and stays.
   *
   * @param options `except`: the session that stays.
   * @returns How many sessions ended, expired ones that were not yet purged included.
   * @throws {SessionStoreError} The store failed, or knows no subjects.
   * @throws {SessionEncodeError} The subject is no text.
   */
  async destroyAll(
    subject: string,
    options: SessionContext & { except?: Session<Data> } = {},
  ): Promise<number> {
    assertText(subject);
    const store = this.#able<SubjectStore>("deleteBySubject");
    const except = options.except && stateOf(options.except).row?.token;
    const { result: count, inDoubt } = await this.#access(options).insist(
      "deleteBySubject",
      (given) => store.deleteBySubject(subject, { ...given, except }),
    );
    // An audit log must not miss it for a lost reply, of which the count is unknown.
    if (count > 0 || inDoubt) this.#settings.hooks.emit(() => ({ kind: "revoked", subject, count }));
    return count;
  }

  /**
   * Deletes expired sessions in small batches until none is left or the budget is spent, for a scheduler.
   *
   * @throws {SessionStoreError} The store failed, or cannot purge; what was deleted stays deleted.
   */
  async purge(options: PurgeOptions = {}): Promise<PurgeResult> {
    const store = this.#able<PurgingStore>("deleteExpired");
    const { now, hooks } = this.#settings;
    return await purge(
      store,
      options,
      { now, onEvent: hooks.event },
      (error) => toSessionError("deleteExpired", error, false),
    );
  }

  /** Shows nothing: a manager that is logged by mistake gives nothing away. */
  [Symbol.for("Deno.customInspect")](): string {
    return "SessionManager {}";
  }

  /** As above, for Node's and Bun's `console.log`. */
  [Symbol.for("nodejs.util.inspect.custom")](): string {
    return "SessionManager {}";
  }

  #face(
    state: SessionState,
    context: SessionContext,
    observe: Observe = (work) => work,
  ): Session<Data> {
    const backend: SessionBackend = {
      newDeadline: () => this.#newDeadline(),
      commit: (committed) => {
        if (committed.closed) committed.noticeInPlaceChanges();
        // What cannot be told to the browser any more is not written either.
        if (committed.row === undefined || !committed.changes.isEmpty) committed.assertOpen();
        return observe(committed.exclusively(() => this.#commit(committed, context)));
      },
      destroy: (ended) => observe(ended.exclusively(() => this.#destroy(ended, context))),
      merge: (target, token) => observe(target.exclusively(() => this.#merge(target, token, context))),
    };
    return new Session<Data>(state, backend);
  }

  async #load(tokens: string[], context: SessionContext): Promise<SessionState> {
    const access = this.#access(context);
    for (const token of tokens) {
      const found = isToken(token) ? await this.#find(access, token) : undefined;
      if (found !== undefined) return found;
    }
    return new SessionState(this.#settings.codec, this.#newRecord());
  }

  async #find(access: StoreAccess, token: string): Promise<SessionState | undefined> {
    const storedToken = this.#settings.hashTokenInStore ? hashToken(token) : token;
    const found = await access.read("find", (options) => this.#store.find(storedToken, options));
    if (found === undefined) return this.#unknown(storedToken);
    return this.#open({ token: storedToken, ...found }, token);
  }

  /** Reads a row; `undefined`, and an event, where there is no live session in it. */
  #open(row: StoredRow, token: string | undefined): SessionState | undefined {
    let record: SessionRecord;
    try {
      record = decodeRecord(this.#settings.codec, row.data);
    } catch {
      this.#settings.hooks.emit(() => ({ kind: "undecodable", id: publicId(row.token) }));
      return undefined;
    }
    const now = this.#settings.now();
    if (now >= record.deadline || now >= row.expiry) return this.#unknown(row.token);
    return new SessionState(this.#settings.codec, record, token, row);
  }

  #unknown(storedToken: string): undefined {
    this.#settings.hooks.emit(() => ({ kind: "unknown", id: publicId(storedToken) }));
  }

  async #commit(state: SessionState, context: SessionContext): Promise<CommitResult> {
    state.noticeInPlaceChanges();
    const unchanged = state.row !== undefined && state.changes.isEmpty;
    if (unchanged) await this.#touch(state, context);
    else await new Commit(this.#settings, this.#store, this.#access(context), state).run();
    return { token: state.token ?? "", expiry: Math.min(state.row!.expiry, state.record.deadline) };
  }

  /** As commit, but no session comes to be without a change. */
  async #save(state: SessionState, context: SessionContext): Promise<void> {
    await state.exclusively(async () => {
      state.noticeInPlaceChanges();
      if (state.row !== undefined || !state.changes.isEmpty) await this.#commit(state, context);
    });
  }

  /** Writes down that the session was used, where that is due. A failure costs a little idle time, no request. */
  async #touch(state: SessionState, context: SessionContext): Promise<void> {
    const { idleTimeout, touchInterval, now, hooks } = this.#settings;
    const row = state.row!;
    const expiry = Math.min(state.record.deadline, now() + idleTimeout);
    if (idleTimeout === Infinity || expiry <= row.expiry || expiry - row.expiry < touchInterval) return;
    const { expiry: before } = row;
    // At once: what follows in this request is not to touch it again.
    row.expiry = expiry;
    const access = this.#access(context);
    const touch = async () => {
      try {
        await access.unlessBusy(
          () => access.write("touch", (options) => this.#store.touch(row.token, expiry, options)),
        );
      } catch (error) {
        row.expiry = before;
        await hooks.error(toSessionError("touch", error, true), { phase: "commit" });
      }
    };
    const touched = touch();
    try {
      if (context.waitUntil !== undefined) return context.waitUntil(touched);
    } catch {
      // It was taken from its object, or the request is over.
    }
    await touched;
  }

  async #destroy(state: SessionState, context: SessionContext): Promise<void> {
    const { row, record: { subject } } = state;
    if (row !== undefined) {
      await this.#access(context).insist("delete", (options) => this.#store.delete(row.token, options));
      this.#settings.hooks.emit(() => ({ kind: "destroyed", id: publicId(row.token), subject }));
    }
    state.destroyed(this.#newRecord());
  }

  async #merge(state: SessionState, token: string, context: SessionContext): Promise<void> {
    if (!isToken(token) || token === state.token) return;
    const other = await this.#find(this.#access(context), token);
    if (other?.row === undefined || other.row.token === state.row?.token) return;
    for (const [key, value] of other.record.values) state.put(key, value);
    if (other.record.deadline > state.record.deadline) state.setDeadline(other.record.deadline);
    state.merged(other.row.token);
  }

  #noticeProxy(request: Request): void {
    if (this.#proxyNoticed || this.#settings.cookie.secure !== "auto") return;
    if (
      !request.url.startsWith("http:") || !/^https\b/i.test(request.headers.get("X-Forwarded-Proto") ?? "")
    ) return;
    this.#proxyNoticed = true;
    this.#settings.hooks.emit(() => ({ kind: "forwarded-proto" }));
  }

  #rowsOf(subject: string, context: SessionContext): AsyncGenerator<StoredRow, void, undefined> {
    const store = this.#able<SubjectStore>("findBySubject");
    return this.#rows("findBySubject", (options) => store.findBySubject(subject, options), context);
  }

  /** The rows of a listing, each page awaited within the store's time and its errors freed of secrets. */
  async *#rows(
    operation: StoreOperation,
    list: (options: TimedOptions) => AsyncIterable<StoredRow>,
    context: SessionContext,
  ): AsyncGenerator<StoredRow, void, undefined> {
    const { signal } = context;
    let rows: AsyncIterator<StoredRow> | undefined;
    try {
      rows = list({ now: this.#settings.now(), signal })[Symbol.asyncIterator]();
      while (true) {
        // Before the page is asked for, since waiting alone would still send the request.
        if (signal?.aborted) throw new GaveUp("aborted");
        const next = await waitFor(rows.next(), this.#access(context).patience, signal);
        if (next.done) return;
        yield next.value;
      }
    } catch (error) {
      throw toSessionError(operation, error, false);
    } finally {
      rows?.return?.().catch(() => {});
    }
  }

  /** The store as one that has the method, or an error that says what is missing. */
  #able<Store extends SessionStore>(method: StoreOperation & keyof Store): Store {
    const { store } = this.#settings;
    if (hasMethods<Store>(store, method)) return store;
    throw new SessionStoreError(method, {
      reason: "unsupported",
      retryable: false,
      advice: `the store has no method ${method}()`,
    });
  }

  #access(context: SessionContext): StoreAccess {
    return new StoreAccess(this.#store, this.#settings.hooks, this.#settings.now, context);
  }

  #newRecord(): SessionRecord {
    return { deadline: this.#newDeadline(), values: new Map(), nonces: [] };
  }

  #newDeadline(): number {
    return this.#settings.now() + this.#settings.lifetime;
  }
}

import type { SessionError, StoreOperation } from "./errors.ts";
import { hashToken, isToken, publicId } from "./bytes/token.ts";
import { SessionConfigError, SessionStoreError } from "./errors.ts";
import type { SessionSettings } from "./options/session_options.ts";
import { Commit } from "./state/commit.ts";
import { expiryOf, isTouchDue } from "./state/expiry.ts";
import { decodeRecord, isMark, REMEMBER_ME, type SessionRecord } from "./state/record.ts";
import { type OfferedToken, SessionState } from "./state/session_state.ts";
import { type AtomicStore, hasMethods, type SessionStore, type StoredRow } from "./store.ts";
import { BasicStoreAdapter } from "./store/basic_store.ts";
import { inDoubt } from "./store/failure.ts";
import { Operation, type SessionContext } from "./store/operation.ts";

/** What a session is used within: a request, or a call to the manager. */
export interface Surroundings extends SessionContext {
  /** Makes an error known to `onError`, before the caller of the session sees it. */
  report?(error: SessionError): Promise<unknown>;
}

/** How often a logout deletes while others write: the last time whatever it finds. */
const MOST_ENDINGS = 4;

/** Under which cookie name each table is used: by what holds it, and by its name. */
const claims = new WeakMap<object, Map<string, string>>();

/** Throws where another manager has the same table under another cookie name: each would take the other's tokens. */
function claim(store: SessionStore, cookie: string): void {
  for (const part of store.parts ?? []) claim(part, cookie);
  const { of, name } = store.place ?? { of: store, name: "" };
  const names = claims.get(of) ?? new Map<string, string>();
  claims.set(of, names);
  const other = names.get(name) ?? cookie;
  names.set(name, other);
  if (other === cookie) return;
  throw new SessionConfigError([
    `"store" serves a manager with the cookie "${other}" already, and each would take the tokens of the other; ` +
    `give this one a table of its own, such as table: "${
      cookie.replaceAll(/\W+/g, "_")
    }_sessions", or a store of its own`,
  ]);
}

/** Loads, saves and ends sessions: what the manager, a request and a session all stand on. */
export class Engine {
  readonly settings: SessionSettings;
  readonly store: AtomicStore;
  #isProxyNoticed = false;

  constructor(settings: SessionSettings) {
    this.settings = settings;
    const { store } = settings;
    claim(store, settings.cookie.names.plain);
    this.store = hasMethods<AtomicStore>(store, "create", "update", "touch")
      ? store
      : new BasicStoreAdapter(store);
  }

  /** The session of the first token that has one, else a new one. */
  async load(tokens: readonly string[], context: SessionContext): Promise<SessionState> {
    let offered: OfferedToken[] | undefined;
    let isRenewed = false;
    for (const [index, token] of tokens.entries()) {
      if (!isToken(token)) continue;
      const storedToken = this.#storedToken(token);
      const found = await this.#find(storedToken, context);
      if (found === undefined) (offered ??= []).push({ token, storedToken });
      else if (found === "renewed") isRenewed = true;
      else {
        const state = new SessionState(this.settings.codec, found.record, token, found.row);
        if (tokens.length > index + 1) state.untried = tokens.slice(index + 1);
        return state;
      }
    }
    const state = new SessionState(this.settings.codec, this.newRecord());
    if (isRenewed) state.gone = "renewed";
    else if (offered !== undefined) state.offered = offered;
    return state;
  }

  /** The session in a row of a listing; `undefined` where there is none. */
  open(row: StoredRow): SessionState | undefined {
    const record = this.#read(row);
    if (record === undefined || record === "renewed") return undefined;
    const token = this.settings.hashTokenInStore ? undefined : row.token;
    return new SessionState(this.settings.codec, record, token, row);
  }

  /** Whether a commit has anything to do: a change, a write in doubt, or a use to be written down. */
  isDue(state: SessionState): boolean {
    return state.hasChanges() || this.#isTouchDue(state);
  }

  /** Saves what was changed, or writes down that the session was used. Makes a session that was never saved. */
  commit(state: SessionState, context: SessionContext): Promise<void> {
    if (!state.hasChanges() && state.row !== undefined) return this.#touch(state, context);
    // What cannot be told to the browser any more is not written either.
    return new Commit(this.settings, this.store, this.operation(context), state).run();
  }

  /** Ends a session in the store, whatever becomes of a write that is still on its way. */
  async destroy(state: SessionState, context: SessionContext): Promise<void> {
    const { pending, row, record: { subject } } = state;
    const operation = this.operation(context);
    let [isEnded, isRenewed] = [false, state.gone === "renewed"];
    // The old token first: a renewal that arrives late then finds nothing to carry on.
    const rows = new Map<string, StoredRow>();
    for (const read of isRenewed ? [] : [pending?.base, row]) if (read) rows.set(read.token, read);
    for (const read of rows.values()) {
      if (await this.end(read, operation) === "renewed") isRenewed = true;
      else isEnded = this.#ended(read.token, subject);
    }
    for (const token of pending === undefined ? [] : [...pending.earlier, pending.storedToken]) {
      if (rows.has(token) || !(await this.#delete(token, operation))) continue;
      isEnded = this.#ended(token, subject);
      // It was this request that had renewed it.
      isRenewed = false;
    }
    const others = new Set(state.offered.map(({ storedToken }) => storedToken));
    // The browser would go on sending it, and it might be a session of the same visitor.
    for (const token of state.untried) others.add(this.#storedToken(token));
    for (const token of others) {
      if (!rows.has(token) && await this.#delete(token, operation)) isEnded = this.#ended(token);
    }
    // The browser keeps the cookie of a login that was first, also where this request goes on.
    if (isRenewed) state.gone = "renewed";
    else if (isEnded) state.ended = true;
    state.destroyed(this.newRecord());
  }

  /** Deletes a row as it was read or as others have written it since, but not the mark of a renewal that came first. */
  async end({ token, data }: StoredRow, operation: Operation): Promise<"ended" | "gone" | "renewed"> {
    for (let attempt = 1, expected = data;; attempt++) {
      const isLast = attempt === MOST_ENDINGS;
      if (await this.#delete(token, operation, isLast ? undefined : expected)) return "ended";
      if (isLast) return "gone";
      const found = await operation.run(
        "find",
        "repeatable",
        (options) => this.store.find(token, Object.assign(options, { primary: true })),
      ).catch((error) => {
        // The deletion may have been delivered twice, and answered the second time.
        throw inDoubt(error);
      });
      if (!found) return "gone";
      if (this.#isLiveMark(found.data)) return "renewed";
      expected = found.data;
    }
  }

  /**
   * Goes on with the session that the same manager, mounted within on a copy of the request, has told the browser of: its
   * token, or the empty text where it ended one.
   */
  async follow(state: SessionState, token: string, context: SessionContext): Promise<void> {
    if (token === state.token || token === state.announced?.token) return;
    if (token === "") {
      // What was changed in the session that ended goes with it. Where it was gone before, the changes make a new one.
      if (state.row !== undefined) return state.destroyed(this.newRecord());
      return state.stray();
    }
    if (!isToken(token) || state.changes === undefined) return;
    const found = await this.#find(this.#storedToken(token), context);
    if (typeof found !== "object") return;
    state.stray();
    const changes = state.takeChanges();
    state.adopt(changes, found.row, token, found.record);
    state.giveBack(changes);
    const { deadline, values } = found.record;
    state.announced = { token, deadline, remember: values[REMEMBER_ME] === true };
  }

  /** Takes over the values of another session, which is deleted once this one is saved. */
  async merge(state: SessionState, token: string, context: SessionContext): Promise<void> {
    if (!isToken(token) || token === state.token) return;
    const other = await this.#find(this.#storedToken(token), context);
    if (other === undefined || other === "renewed" || other.row.token === state.row?.token) return;
    const values = new SessionState(this.settings.codec, other.record);
    for (const key of values.keys()) state.put(key, other.record.values[key]);
    if (other.record.deadline > state.record.deadline) state.setDeadline(other.record.deadline);
    state.merged(other.row.token);
  }

  /** Looks for signs of a proxy that ends TLS, until it has seen some. */
  noticeProxy(request: Request): void {
    if (this.#isProxyNoticed || !/^https\b/i.test(request.headers.get("X-Forwarded-Proto") ?? "")) return;
    this.#isProxyNoticed = true;
    this.settings.hooks.emit(() => ({ kind: "forwarded-proto" }));
    // Without Secure the login works, so nobody would look for it.
    if (this.settings.hooks.event === undefined) {
      console.warn(
        "A proxy says that it was asked by https, and the session cookie goes out without Secure: " +
          "set cookie.secure to true, or trustProxy",
      );
    }
  }

  /** The store as one that has a method, or an error that says what is missing. */
  storeWith<Store extends SessionStore>(method: StoreOperation & keyof Store): Store {
    const { store } = this.settings;
    if (hasMethods<Store>(store, method)) return store;
    throw new SessionStoreError(method, {
      reason: "unsupported",
      retryable: false,
      advice: `the store has no method ${method}()`,
    });
  }

  operation(context: SessionContext): Operation {
    return new Operation(this.store, this.settings.hooks, this.settings.now, context);
  }

  newRecord(): SessionRecord {
    return { deadline: this.newDeadline(), values: {}, subject: undefined, createdAt: undefined, nonces: "" };
  }

  newDeadline(): number {
    return this.settings.now() + this.settings.lifetime;
  }

  async #find(
    token: string,
    context: SessionContext,
  ): Promise<{ row: StoredRow; record: SessionRecord } | "renewed" | undefined> {
    const found = await this.operation(context).run(
      "find",
      "read",
      (options) => this.store.find(token, options),
    );
    // Stores written in JavaScript say null.
    if (found === undefined || found === null) return this.#unknown(token);
    const row = { token, data: found.data, expiry: found.expiry };
    const record = this.#read(row);
    if (record === "renewed") this.#unknown(token);
    return typeof record === "object" ? { row, record } : record;
  }

  /** What is in a row; an event where it is no live session. */
  #read(row: StoredRow): SessionRecord | "renewed" | undefined {
    let record: SessionRecord;
    try {
      record = decodeRecord(this.settings.codec, row.data);
    } catch {
      this.settings.hooks.emit(() => ({ kind: "undecodable", id: publicId(row.token) }));
      return undefined;
    }
    const now = this.settings.now();
    if (now >= record.deadline || now >= row.expiry) return this.#unknown(row.token);
    return isMark(record) ? "renewed" : record;
  }

  #delete(token: string, operation: Operation, expected?: Uint8Array): Promise<boolean> {
    return operation.run(
      "delete",
      "repeatable",
      (options) => this.store.delete(token, Object.assign(options, { expected })),
    );
  }

  #ended(storedToken: string, subject?: string): true {
    this.settings.hooks.emit(() => ({ kind: "destroyed", id: publicId(storedToken), subject }));
    return true;
  }

  #isLiveMark(data: Uint8Array): boolean {
    try {
      const record = decodeRecord(this.settings.codec, data);
      return isMark(record) && this.settings.now() < record.deadline;
    } catch {
      return false;
    }
  }

  #storedToken(token: string): string {
    return this.settings.hashTokenInStore ? hashToken(token) : token;
  }

  #unknown(storedToken: string): undefined {
    this.settings.hooks.emit(() => ({ kind: "unknown", id: publicId(storedToken) }));
  }

  #isTouchDue({ record, row, touching }: SessionState): boolean {
    return row !== undefined && touching === undefined && isTouchDue(this.settings, record, row.expiry);
  }

  /** Writes down that the session was used, where that is due. A failure costs a little idle time, no request. */
  async #touch(state: SessionState, context: SessionContext): Promise<void> {
    if (!this.#isTouchDue(state)) return;
    const row = state.row!;
    const expiry = expiryOf(this.settings, state.record);
    // What is saved meanwhile does not count on it: it may fail.
    state.touching = expiry;
    const touched = this.operation(context)
      .run("touch", "touch", (options) => this.store.touch(row.token, expiry, options))
      .then(() => {
        if (state.row?.token === row.token && state.row.expiry < expiry) state.row = { ...state.row, expiry };
      })
      .catch((error) => this.settings.hooks.error(error, { phase: "commit" }))
      .finally(() => state.touching = undefined);
    try {
      if (context.waitUntil !== undefined) {
        const given: unknown = context.waitUntil(touched);
        // An asynchronous one is not waited for, and cannot make the request fail.
        if (given instanceof Promise) given.catch(() => {});
        return;
      }
    } catch {
      // It was taken from its object, or the request is over.
    }
    await touched;
  }
}

import { isToken, publicId } from "./bytes/token.ts";
import { type SessionError, SessionStoreError, type StoreOperation } from "./errors.ts";
import { hasMethods } from "./foreign.ts";
import { show } from "./options/reader.ts";
import type { SessionSettings } from "./options/session_options.ts";
import { Commit } from "./state/commit.ts";
import { destroy } from "./state/ending.ts";
import { emptyRecord, type Holding, holdingOf, keysOf, type SessionRecord } from "./state/record.ts";
import { SessionState } from "./state/session_state.ts";
import { needsTouch, touch } from "./state/touch.ts";
import type { AtomicStore, SessionStore, StoredRow } from "./store.ts";
import { BasicStoreAdapter } from "./store/basic_store.ts";
import { claimTables } from "./store/claims.ts";
import { Operation, type SessionContext } from "./store/operation.ts";

/** What a session is used within: a request, or a call to the manager. */
export interface ReportingContext extends SessionContext {
  /** Tells `onError` of an error before the caller of the session sees it. */
  report?(error: SessionError): Promise<unknown>;
}

/** A live session and its row, or why there is none. */
type Found = { row: StoredRow; record: SessionRecord } | Exclude<Holding, SessionRecord>;

/** Loads, saves and ends sessions. The manager, a request and a session all call it. */
export class Engine {
  readonly settings: SessionSettings;
  readonly #store: AtomicStore;

  constructor(settings: SessionSettings) {
    this.settings = settings;
    const { store } = settings;
    claimTables(store, settings.cookie.names);
    this.#store = hasMethods<AtomicStore>(store, "create", "update", "touch")
      ? store
      : new BasicStoreAdapter(store);
  }

  /** The session of the first token that has one, else a new one. */
  async load(tokens: readonly string[], context: SessionContext): Promise<SessionState> {
    const { codec } = this.settings;
    const offered: string[] = [];
    let gone: SessionState["gone"];
    for (const [index, token] of tokens.entries()) {
      if (!isGivenToken(token)) continue;
      const found = await this.#find(token, context);
      if (typeof found === "object") {
        const state = new SessionState(codec, found.record, token, found.row);
        state.offered = offered;
        state.untried = tokens.slice(index + 1);
        return state;
      }
      if (found === "renewed") gone = found;
      else offered.push(token);
    }
    const state = new SessionState(codec, this.newRecord());
    state.offered = offered;
    state.gone = gone;
    return state;
  }

  /** The session in a row of a listing; `undefined` if the row holds no live session. */
  sessionIn(row: StoredRow): SessionState | undefined {
    const held = this.#heldIn(row);
    if (typeof held === "object") {
      const token = this.settings.hashTokenInStore ? undefined : row.token;
      return new SessionState(this.settings.codec, held, token, row);
    }
    // Nobody has offered the token of a row that expired since it was listed.
    if (held === "undecodable") this.#emit(held, row.token);
  }

  /** Whether a commit has anything to do: a change, a write in doubt, or a touch. Notices changes in place. */
  isDue(state: SessionState): boolean {
    state.noticeChanges();
    return state.mustWrite || needsTouch(this.settings, state);
  }

  /**
   * Saves the changes, or touches a session without any. Creates a session that was never saved. Changes in place must have
   * been noticed before, as by {@linkcode Engine.isDue}.
   */
  async commit(state: SessionState, context: SessionContext): Promise<void> {
    if (state.mustWrite || state.row === undefined) {
      await new Commit(this.operation(context), state).run();
    } else if (needsTouch(this.settings, state)) {
      await touch(this.operation(context), state);
    }
  }

  /** Ends a session in the store, also under the tokens that a write in doubt may have given it. */
  async destroy(state: SessionState, context: SessionContext): Promise<void> {
    await destroy(this.operation(context), state);
    state.startOver(this.newRecord());
  }

  /**
   * Continues with the session that the browser got from the same manager mounted further in, on a copy of the request.
   *
   * @param token The token in that cookie; empty where the cookie is deleted.
   */
  async follow(state: SessionState, token: string, context: SessionContext): Promise<void> {
    if (token === state.token) return;
    // The changes of a session that ended end with it. Without a row they make a session of their own.
    if (token === "" && state.row !== undefined) state.startOver(this.newRecord());
    if (!isToken(token)) return;
    // A replica may not know a session that has just got its token.
    const found = await this.#find(token, context, "findOnPrimary");
    if (typeof found !== "object") return;
    // Replaces the cookie of an outer commit() or destroy(), too: the session that it belongs to is not continued.
    state.sendCookie(token, found.record);
    state.adopt(found.row, token, found.record);
  }

  /**
   * Takes over the values of another session. The other one is deleted once this one is saved.
   *
   * @param failures How often the handler had failed when it asked for this.
   */
  async merge(state: SessionState, token: string, context: SessionContext, failures: number): Promise<void> {
    if (!isGivenToken(token) || token === state.token) return;
    // Not a replica, which may lag: the other session is deleted, and with it what was not read of it.
    const other = await this.#find(token, context, "findOnPrimary");
    if (typeof other !== "object" || other.row.token === state.row?.token) return;
    if (state.failures !== failures) return;
    for (const key of keysOf(other.record)) state.put(key, other.record.values[key]);
    if (other.record.deadline > state.record.deadline) state.setDeadline(other.record.deadline);
    state.deleteOnCommit(other.row);
  }

  /** The token that a session has in the store, once the work on it is done. */
  currentToken(state: SessionState, context: SessionContext): Promise<string | undefined> {
    return state.exclusively(() => this.#findToken(state, context));
  }

  /** A renewal in doubt may have given the session another token, and a replica that lags may not know it. */
  async #findToken(state: SessionState, context: SessionContext): Promise<string | undefined> {
    const { offered, row, writeInDoubt } = state;
    const others = writeInDoubt === undefined ? [] : [writeInDoubt.storedToken];
    if (row === undefined) others.push(...offered.map(this.settings.storedTokenOf));
    for (const token of others) {
      const found = await this.operation(context).findOnPrimary(token);
      if (typeof this.#heldIn(found) === "object") return token;
    }
    return row?.token;
  }

  /** The store, as one that has the method. Throws where the method is missing. */
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
    return new Operation(this.#store, this.settings, context);
  }

  newRecord(): SessionRecord {
    return emptyRecord(this.newDeadline());
  }

  newDeadline(): number {
    return this.settings.now() + this.settings.lifetime;
  }

  /** Looks for the session of a browser's token. */
  async #find(
    token: string,
    context: SessionContext,
    how: "find" | "findOnPrimary" = "find",
  ): Promise<Found> {
    const storedToken = this.settings.storedTokenOf(token);
    const row = await this.operation(context)[how](storedToken);
    const held = this.#heldIn(row);
    if (typeof held === "object") return { row: row!, record: held };
    this.#emit(held === "renewed" ? "unknown" : held, storedToken);
    return held;
  }

  /** What a row holds, also by its expiry: time has passed since the store was asked, and a listing may hold dead rows. */
  #heldIn(row: StoredRow | undefined): Holding {
    return row !== undefined && this.settings.now() < row.expiry ? holdingOf(this.settings, row) : "unknown";
  }

  /** Tells `onEvent` why there is no session under a token. */
  #emit(kind: "unknown" | "undecodable", storedToken: string): void {
    this.settings.hooks.event?.({ kind, id: publicId(storedToken) });
  }
}

/** Whether a token is well formed. Throws for what is no text, such as a session: that is a mistake of the application. */
function isGivenToken(token: unknown): token is string {
  // A header or a cookie that is missing may be `null`.
  if (typeof (token ?? "") !== "string") {
    throw new TypeError(
      `Cannot use the token: it must be text, such as session.token, and is ${show(token)}`,
    );
  }
  return isToken(token);
}

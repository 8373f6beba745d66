import { equalBytes } from "../bytes/equal.ts";
import { hashToken, newNonce, newToken, publicId } from "../bytes/token.ts";
import { SessionConflictError, SessionGoneError, SessionStoreError } from "../errors.ts";
import type { SessionSettings } from "../options/session_options.ts";
import type { AtomicStore, NextRow, StoredRow, StoredSession } from "../store.ts";
import { inDoubt } from "../store/failure.ts";
import { ATTEMPTS, type Operation } from "../store/operation.ts";
import { backoff, turns } from "../wait.ts";
import type { ChangeLog } from "./changes.ts";
import {
  decodeRecord,
  encodeMark,
  encodeRecord,
  isMark,
  REMEMBER_ME,
  type SessionRecord,
  withNonce,
} from "./record.ts";
import { expiryOf, isOff } from "./expiry.ts";
import type { PendingWrite } from "./pending_write.ts";
import type { SessionState } from "./session_state.ts";

/**
 * How often a change is tried where other requests win: with a look and at most two statements for each, within the 50
 * requests that Workers allow to one of theirs. The time limit ends most earlier: 500 writers at once make some 9 calls
 * each (`bench/conflicts.ts`).
 */
const MOST_ATTEMPTS = 15;
/** Over how many times a call's own time those who collided spread, how that grows, and up to how many milliseconds. */
const SPREAD = 8;
const SPREAD_GROWTH = 16;
const WIDEST_SPREAD = 2_500;
/** The same for a store in this process, in turns of the microtask queue. A read and a write take some ten. */
const SPREAD_TURNS = 64;
const TURNS_GROWTH = 4;
const MOST_TURNS = 16_384;

/** How long a mark stays under an old token, in milliseconds: longer than a request with it is on its way. */
const MARK_LIFETIME = 60_000;

/** What a look at the primary says of a change. */
type Seen =
  | { kind: "done" | "unchanged" | "ended" | "renewed" }
  | { kind: "changed"; row: StoredRow; record: SessionRecord };

/** Saves what a request changed: the one place that decides between done, again, conflict, gone and unknown. */
export class Commit {
  readonly #settings: SessionSettings;
  readonly #store: AtomicStore;
  readonly #operation: Operation;
  readonly #state: SessionState;

  constructor(settings: SessionSettings, store: AtomicStore, operation: Operation, state: SessionState) {
    this.#settings = settings;
    this.#store = store;
    this.#operation = operation;
    this.#state = state;
  }

  /** First finds out about an earlier write: nothing else is written before its fate is known. */
  async run(): Promise<void> {
    const state = this.#state;
    if (state.pending !== undefined) {
      await this.#save(state.pending.changes, state.pending);
      if (state.changes === undefined) return;
    }
    await this.#save(state.takeChanges());
  }

  async #save(changes: ChangeLog, pending?: PendingWrite): Promise<void> {
    const state = this.#state;
    try {
      if (state.gone !== undefined) this.#makeOwn(changes);
      if (state.offered.length > 0) await this.#adoptOffered(changes);
      if (state.row === undefined) await this.#create(changes, pending);
      else await this.#update(changes, pending);
    } catch (error) {
      if (state.pending !== undefined) throw inDoubt(error);
      state.giveBack(changes);
      throw error;
    }
    if (changes.merged.length > 0) await this.#deleteMerged(changes.merged);
  }

  /** Changes a session: write; done, or look, replay, again. */
  async #update(changes: ChangeLog, pending?: PendingWrite): Promise<void> {
    const state = this.#state;
    let write = pending ?? this.#change(changes, state.row!, state.storedDeadline, state.record);
    let isSent = pending !== undefined;
    for (let attempt = 1, failures = 0;; attempt++) {
      const started = performance.now();
      if (!isSent && await this.#send(write)) return this.#updated(write);
      if (write.failure !== undefined) failures++;
      // The pause comes before the look: what is read must be fresh when it is written.
      const again = isSent ||
        (failures < ATTEMPTS && await this.#pause(write, attempt, performance.now() - started));
      isSent = false;
      const seen = await this.#look(write);
      if (seen.kind === "done") return this.#updated(write);
      if (seen.kind === "ended" || seen.kind === "renewed") {
        return await this.#goneElsewhere(write, seen.kind);
      }
      // A write of unknown fate is never replayed: it might count twice.
      if (seen.kind === "changed" && state.pending !== undefined) throw write.failure ?? unknownFate();
      if (!again) throw write.failure ?? new SessionConflictError(attempt);
      if (seen.kind === "changed") write = this.#replay(write, seen.row, seen.record, attempt);
    }
  }

  /** Pauses before the next attempt; `false` where there is none. Those who collided spread wider than after a failure. */
  async #pause({ failure }: PendingWrite, attempt: number, duration: number): Promise<boolean> {
    if (attempt >= MOST_ATTEMPTS) return false;
    if (failure !== undefined) return await this.#operation.pause(attempt);
    if (!this.#operation.mayHang) {
      // No timer: it need not run for one request to let another go first, and test frameworks replace it.
      await turns(backoff(attempt, SPREAD_TURNS, MOST_TURNS, TURNS_GROWTH));
      return true;
    }
    const base = Math.max(10, SPREAD * duration);
    return await this.#operation.pause(attempt, { base, growth: SPREAD_GROWTH, cap: WIDEST_SPREAD });
  }

  /** Makes a session. Each attempt has a token of its own: one that was given up may arrive late. */
  async #create(changes: ChangeLog, pending?: PendingWrite): Promise<void> {
    let write = pending ?? this.#creation(changes);
    let isSent = pending !== undefined;
    for (let attempt = 1, failures = 0;; attempt++) {
      if (!isSent && await this.#send(write)) return this.#created(write);
      if (write.failure !== undefined) failures++;
      if (await this.#isThere(write)) return this.#created(write);
      const again = isSent || (failures < ATTEMPTS && await this.#operation.pause(attempt));
      if (!again) throw write.failure ?? new SessionConflictError(attempt);
      isSent = false;
      write = this.#creation(changes, write);
    }
  }

  /** Whether the store has carried it out. Throws a failure that will not pass. */
  async #send(write: PendingWrite): Promise<boolean> {
    write.failure = undefined;
    // The store may not know: a touch that crossed with an earlier deadline has moved the expiry beyond it.
    if (this.#settings.now() >= write.baseDeadline) return false;
    try {
      return await this.#write(write);
    } catch (error) {
      if (!(error instanceof SessionStoreError) || !(error.retryable || error.ambiguous)) throw error;
      write.failure = error;
      if (error.ambiguous) this.#state.pending = write;
      return false;
    }
  }

  #write(write: PendingWrite): Promise<boolean> {
    const { base, data, expiry, record: { subject }, storedToken } = write;
    if (base === undefined) {
      return this.#operation.run(
        "create",
        "once",
        (options) => {
          write.isSent = true;
          return this.#store.create(storedToken, data, expiry, Object.assign(options, { subject }));
        },
      );
    }
    const next = this.#nextRow(write, base);
    return this.#operation.run(
      "update",
      "once",
      (options) => {
        write.isSent = true;
        return this.#store.update(base.token, base.data, next, options);
      },
    );
  }

  /** Only what moves: a database does more work for each column that is written. */
  #nextRow({ changes, data, expiry, record, storedToken }: PendingWrite, base: StoredRow): NextRow {
    const next: NextRow = { data };
    if (expiry !== base.expiry) next.expiry = expiry;
    if (changes.renew) {
      next.token = storedToken;
      next.mark = this.#mark(record);
    }
    // Also where it did not change: a write of an SCS service empties the column.
    const subject = record.subject ?? (changes.subject === null ? null : undefined);
    if (subject !== undefined) next.subject = subject;
    return next;
  }

  /** What is left under the old token of a renewal. */
  #mark({ nonces }: SessionRecord): StoredSession {
    const expiry = this.#settings.now() + MARK_LIFETIME;
    return { data: encodeMark(this.#settings.codec, expiry, nonces), expiry };
  }

  /** Looks on the primary what became of a change. The old token first: a late renewal moves the row to the new one. */
  async #look(write: PendingWrite): Promise<Seen> {
    const { base, baseDeadline, changes, failure, nonce, storedToken } = write;
    if (failure !== undefined && !failure.ambiguous) return { kind: "unchanged" };
    // Not asked after the look: others may have prolonged the session between the two.
    const isOver = this.#settings.now() >= baseDeadline;
    const found = await this.#find(base!.token, write);
    const isMine = found?.record?.nonces.includes(nonce) ?? false;
    // A mark of its own is no proof that the session lives on under the new token; none at all, that it does not.
    if (changes.renew && (isMine || found === undefined)) {
      const renewed = await this.#find(storedToken, write);
      return { kind: renewed?.record?.nonces.includes(nonce) ? "done" : "ended" };
    }
    if (found === undefined) return { kind: "ended" };
    const { row, record } = found;
    if (equalBytes(row.data, base!.data)) return { kind: isOver ? "ended" : "unchanged" };
    // Someone put a row there that cannot be read: it is this session no more.
    if (record === undefined) return { kind: "ended" };
    if (isMine) return { kind: "done" };
    if (isMark(record)) return { kind: "renewed" };
    if (this.#settings.now() >= record.deadline) return { kind: "ended" };
    return { kind: "changed", row, record };
  }

  /** Whether a session was made although the answer did not say so. */
  async #isThere(write: PendingWrite): Promise<boolean> {
    if (write.failure !== undefined && !write.failure.ambiguous) return false;
    const found = await this.#find(write.storedToken, write);
    return found?.record?.nonces.includes(write.nonce) ?? false;
  }

  /** Reads a row on the primary. Where even that fails the write is in doubt. */
  async #find(
    token: string,
    write?: PendingWrite,
  ): Promise<{ row: StoredRow; record: SessionRecord | undefined } | undefined> {
    let found: StoredSession | undefined;
    try {
      found = await this.#operation.run(
        "find",
        "read",
        (options) => this.#store.find(token, Object.assign(options, { primary: true })),
      ) ?? undefined;
    } catch (error) {
      if (write === undefined || !write.isSent) throw error;
      // Even after a refusal: the write may have been delivered twice, and refused the second time.
      this.#state.pending = write;
      throw write.failure ?? error;
    }
    if (found === undefined) return undefined;
    const row = { token, data: found.data, expiry: found.expiry };
    try {
      return { row, record: decodeRecord(this.#settings.codec, row.data) };
    } catch {
      return { row, record: undefined };
    }
  }

  /** Does the same changes on what another request has written. */
  #replay(
    { changes, base }: PendingWrite,
    row: StoredRow,
    record: SessionRecord,
    attempt: number,
  ): PendingWrite {
    this.#settings.hooks.emit(() => ({ kind: "conflict", id: publicId(base!.token), attempt }));
    const { deadline } = record;
    changes.replay(record);
    return this.#change(changes, row, deadline, record);
  }

  /**
   * The session ended elsewhere, and nothing brings it back; or it got a new token there. A request that renews it too,
   * as a login form that is sent twice, then gets a session of its own.
   */
  async #goneElsewhere(write: PendingWrite, how: "ended" | "renewed"): Promise<void> {
    this.#state.pending = undefined;
    this.#state.gone = how;
    this.#makeOwn(write.changes);
    await this.#create(write.changes);
  }

  /**
   * Makes a new session of one that got a new token elsewhere: of what was read, where that was nobody's, and of what
   * this request changed.
   *
   * @throws {SessionGoneError} The session has ended, or this request does not renew it.
   */
  #makeOwn(changes: ChangeLog): void {
    const state = this.#state;
    if (state.gone === "ended" || !changes.renew) throw new SessionGoneError();
    const { deadline } = state.record;
    const isSomeones = state.row !== undefined &&
      decodeRecord(this.#settings.codec, state.row.data).subject !== undefined;
    if (isSomeones) {
      state.record = { deadline, values: {}, subject: undefined, createdAt: undefined, nonces: "" };
      changes.replay(state.record);
      state.changes?.replay(state.record);
    }
    state.row = undefined;
    state.gone = undefined;
  }

  /**
   * Before a session is made in place of one that the browser offered and that was not found: the replica that was asked
   * may have lagged. What the primary has is changed as after a conflict.
   */
  async #adoptOffered(changes: ChangeLog): Promise<void> {
    const state = this.#state;
    let isRenewed = false;
    for (const { token, storedToken } of state.offered) {
      const found = await this.#find(storedToken);
      if (found?.record === undefined || this.#settings.now() >= found.record.deadline) continue;
      if (isMark(found.record)) isRenewed = true;
      else {
        state.offered = [];
        return state.adopt(changes, found.row, token, found.record);
      }
    }
    state.offered = [];
    if (!isRenewed) return;
    state.gone = "renewed";
    this.#makeOwn(changes);
  }

  /** A write, fixed now: what the request changes from here on is for its next commit. */
  #change(changes: ChangeLog, base: StoredRow, baseDeadline: number, from: SessionRecord): PendingWrite {
    const { codec, maxBytes, hashTokenInStore } = this.#settings;
    const nonce = newNonce();
    const record = { ...from, nonces: withNonce(from.nonces, nonce) };
    const token = changes.renew ? newToken() : this.#state.token;
    const storedToken = changes.renew ? hashTokenInStore ? hashToken(token!) : token! : base.token;
    const moves = changes.renew || record.deadline !== baseDeadline ||
      isOff(this.#settings, record, base.expiry);
    return {
      changes,
      nonce,
      base,
      earlier: [],
      baseDeadline,
      record,
      data: encodeRecord(codec, record, maxBytes),
      expiry: moves ? expiryOf(this.#settings, record) : base.expiry,
      token,
      storedToken,
      isSent: false,
      failure: undefined,
    };
  }

  /** @param after The attempt before this one, which may still arrive. */
  #creation(changes: ChangeLog, after?: PendingWrite): PendingWrite {
    const { codec, maxBytes, hashTokenInStore, now } = this.#settings;
    // What was changed since the log was taken away is in the record, and must not be done once more.
    this.#state.appendTo(changes);
    const nonce = newNonce();
    const record = { ...this.#state.record, createdAt: now(), nonces: nonce };
    const token = newToken();
    return {
      changes,
      nonce,
      base: undefined,
      earlier: after === undefined ? [] : [...after.earlier, after.storedToken],
      baseDeadline: Infinity,
      record,
      data: encodeRecord(codec, record, maxBytes),
      expiry: expiryOf(this.#settings, record),
      token,
      storedToken: hashTokenInStore ? hashToken(token) : token,
      isSent: false,
      failure: undefined,
    };
  }

  #created(write: PendingWrite): void {
    this.#takeOver(write, true);
    const { storedToken, record: { subject } } = write;
    this.#settings.hooks.emit(() => ({ kind: "created", id: publicId(storedToken), subject }));
  }

  #updated(write: PendingWrite): void {
    const { base, changes, storedToken, record: { subject } } = write;
    this.#takeOver(write, changes.renew || changes.tellsBrowser);
    if (!changes.renew) return;
    this.#settings.hooks.emit(() => ({
      kind: "renewed",
      id: publicId(storedToken),
      previousId: publicId(base!.token),
      subject,
    }));
  }

  #takeOver({ changes, data, expiry, record, storedToken, token }: PendingWrite, announce: boolean): void {
    const state = this.#state;
    state.pending = undefined;
    state.committed(changes, { token: storedToken, data, expiry }, token, record);
    if (!announce || token === undefined) return;
    const remember = record.values[REMEMBER_ME] === true;
    state.announced = { token, deadline: record.deadline, remember };
  }

  /** The session is saved by now: where this fails, no change is given back to be made once more. */
  async #deleteMerged(tokens: readonly string[]): Promise<void> {
    for (const [index, token] of tokens.entries()) {
      try {
        await this.#operation.run("delete", "repeatable", (options) => this.#store.delete(token, options));
        this.#settings.hooks.emit(() => ({ kind: "destroyed", id: publicId(token) }));
      } catch (error) {
        this.#state.deleteLater(tokens.slice(index));
        throw inDoubt(error);
      }
    }
  }
}

function unknownFate(): SessionStoreError {
  return new SessionStoreError("update", { reason: "unknown", retryable: false, ambiguous: true });
}

import { publicId } from "../bytes/token.ts";
import { isObject, readValue, writeValue } from "../bytes/values.ts";
import { SessionConflictError, SessionGoneError, SessionStoreError } from "../errors.ts";
import type { SessionSettings } from "../options/session_options.ts";
import type { StoredRow } from "../store.ts";
import { asAmbiguous } from "../store/failure.ts";
import { ATTEMPTS, type Operation } from "../store/operation.ts";
import { backoff, eventLoopTurn, type Growth, turns } from "../wait.ts";
import type { ChangeLog } from "./changes.ts";
import { endRow } from "./ending.ts";
import { type Fate, fateOf } from "./lost_reply.ts";
import { nextRow, type SessionWrite, writeOf } from "./session_write.ts";
import { decodeRecord, emptyRecord, holdingOf, type SessionRecord } from "./record.ts";
import type { SessionState } from "./session_state.ts";

/**
 * How often an update is tried while other requests win. Each attempt takes a read and at most two statements, which stays
 * within the 50 subrequests of Workers. The time limit ends most commits earlier: of 500 concurrent writers each makes
 * some 9 calls (`bench/conflicts.ts`).
 */
const MOST_ATTEMPTS = 15;
/** How pauses after a conflict grow, in milliseconds. `base` is the least. */
const AFTER_CONFLICT: Growth = { base: 10, growth: 16, cap: 2_500 };
/** The span of the first pause is as long as this many writes took. */
const CALLS_PER_PAUSE = 8;
/** The same for a store in this process, in turns of the microtask queue. A read and a write take some ten turns. */
const IN_TURNS: Growth = { base: 64, growth: 4, cap: 16_384 };
/**
 * How many of the first conflicts only wait for turns, on a store that other processes may use too. After those a commit
 * pauses by the clock, since other processes take no turns.
 */
const TURNS_ATTEMPTS = 3;

/** Saves the changes of a request. If a write fails, it reads the row, replays the changes where needed and writes again. */
export class Commit {
  readonly #settings: SessionSettings;
  readonly #operation: Operation;
  readonly #state: SessionState;
  /** How many attempts have failed, other than by a conflict. */
  #failedAttempts = 0;

  constructor(operation: Operation, state: SessionState) {
    this.#settings = operation.settings;
    this.#operation = operation;
    this.#state = state;
  }

  /** Saves. If an earlier write is in doubt, nothing is written before its fate is known. */
  async run(): Promise<void> {
    const state = this.#state;
    if (state.writeInDoubt !== undefined) {
      await this.#save(state.writeInDoubt.changes, state.writeInDoubt);
      state.noticeChanges();
      if (state.changes === undefined) return;
    }
    await this.#save(state.takeChanges());
  }

  async #save(changes: ChangeLog, inDoubt?: SessionWrite): Promise<void> {
    const state = this.#state;
    try {
      await this.#write(changes, inDoubt);
    } catch (error) {
      if (state.writeInDoubt !== undefined) throw asAmbiguous(error);
      state.giveBack(changes);
      throw error;
    }
    if (changes.merged.length > 0) await this.#deleteMerged(changes.merged);
  }

  /** Sends a write until the store has carried one out. Each further one follows from what the row holds by then. */
  async #write(changes: ChangeLog, inDoubt?: SessionWrite): Promise<void> {
    const { gone, row } = this.#state;
    // Made before anything is awaited: what the handler changes from here on belongs to the next commit.
    let write: SessionWrite | undefined = inDoubt ?? this.#firstWrite(changes);
    if (inDoubt !== undefined) write = await this.#nextWrite(inDoubt, 1, true);
    else if (row === undefined) write = await this.#adoptOffered(write);
    else if (gone !== undefined) write = this.#startAnew(write);
    for (let attempt = 1; write !== undefined; attempt++) {
      const started = performance.now();
      if (await this.#send(write)) return this.#saved(write);
      // The pause comes before the look, so that the next write goes out right after it.
      const again = await this.#pause(write, attempt, performance.now() - started);
      write = await this.#nextWrite(write, attempt, again);
    }
  }

  /**
   * Finds out what became of a write, and gives the one to send next; `undefined` where it has happened after all.
   *
   * @param again Whether there is an attempt left.
   */
  async #nextWrite(write: SessionWrite, attempt: number, again: boolean): Promise<SessionWrite | undefined> {
    const state = this.#state;
    const { failure, token } = write;
    const fate = await this.#fateOf(write);
    if (fate.kind === "done") return void this.#saved(write);
    if (fate.kind === "ended" || fate.kind === "renewed") {
      state.writeInDoubt = undefined;
      state.gone = fate.kind;
      return this.#startAnew(write);
    }
    // A write of unknown fate is never replayed: it might count twice.
    if (fate.kind === "changed" && state.writeInDoubt !== undefined) {
      throw failure ??
        new SessionStoreError("update", { reason: "unknown", retryable: false, ambiguous: true });
    }
    if (!again) throw failure ?? new SessionConflictError(attempt);
    if (fate.kind === "changed") {
      this.#settings.hooks.event?.({ kind: "conflict", id: publicId(fate.row.token), attempt });
      return this.#replay(write, fate.row, fate.record, token);
    }
    if (fate.row === undefined) return this.#createAgain(write);
    // A touch of this request that came too late has not moved the expiry.
    return { ...write, base: fate.row };
  }

  /** Sends a write; `true` where the store has carried it out. Throws a failure that no further attempt can mend. */
  async #send(write: SessionWrite): Promise<boolean> {
    write.failure = undefined;
    const { base, baseDeadline, data, expiry, record: { subject }, storedToken } = write;
    // The row's expiry may be later: a touch beside a request that set an earlier deadline has moved it.
    if (base !== undefined && this.#settings.now() >= baseDeadline) return false;
    try {
      // The operation sends no write once the signal has aborted.
      if (!this.#operation.context.signal?.aborted) write.isSent = true;
      return await (base === undefined
        ? this.#operation.create({ token: storedToken, data, expiry }, subject)
        : this.#operation.update(base, nextRow(this.#settings, write, base)));
    } catch (error) {
      if (!(error instanceof SessionStoreError) || !(error.retryable || error.ambiguous)) throw error;
      write.failure = error;
      if (error.ambiguous) this.#state.writeInDoubt = write;
      return false;
    }
  }

  /** Waits before the next attempt; `false` where there is no attempt left. */
  async #pause({ failure }: SessionWrite, attempt: number, duration: number): Promise<boolean> {
    if (attempt >= MOST_ATTEMPTS) return false;
    if (failure === undefined) return await this.#pauseAfterConflict(attempt, duration);
    return ++this.#failedAttempts < ATTEMPTS && await this.#operation.pause(attempt);
  }

  async #pauseAfterConflict(attempt: number, duration: number): Promise<boolean> {
    const { inProcess, mayHang } = this.#operation;
    const byTurns = !inProcess ? 0 : mayHang ? TURNS_ATTEMPTS : MOST_ATTEMPTS;
    if (attempt > byTurns) {
      const base = Math.max(AFTER_CONFLICT.base, CALLS_PER_PAUSE * duration);
      return await this.#operation.pause(attempt - byTurns, { ...AFTER_CONFLICT, base });
    }
    // No timer: test frameworks replace timers, and other requests of this process need only their turn.
    await turns(backoff(attempt, IN_TURNS));
    // A database in the process works while nothing else runs. Requests that did not collide need a turn too.
    if (mayHang) await eventLoopTurn();
    return true;
  }

  /** What became of a write. Where the read fails, a write that was sent stays in doubt. */
  async #fateOf(write: SessionWrite): Promise<Fate> {
    try {
      return await fateOf(this.#operation, write);
    } catch (error) {
      if (!write.isSent) throw error;
      // Also a write that the store refused. The network may deliver it twice: the first delivery is carried out, and the
      // refusal answers the second one.
      this.#state.writeInDoubt = write;
      throw write.failure ?? error;
    }
  }

  /** What the session holds now, with the changes that were taken. */
  #firstWrite(changes: ChangeLog): SessionWrite {
    const { record, row: base, storedDeadline: baseDeadline, token } = this.#state;
    const write = writeOf(this.#settings, changes, record, { base, baseDeadline, token });
    this.#state.watchWritten(write);
    return write;
  }

  /** Makes the changes to what is in a row by now. */
  #replay(
    write: SessionWrite,
    base: StoredRow,
    record: SessionRecord,
    token: string | undefined,
  ): SessionWrite {
    const baseDeadline = record.deadline;
    this.#changeAgain(write, record);
    return writeOf(this.#settings, write.changes, record, { base, baseDeadline, token });
  }

  /** Objects that were put come from the bytes: the handler may have changed them in place since, for the next write. */
  #changeAgain({ changes, data }: SessionWrite, record: SessionRecord): void {
    changes.replay(record);
    const keys = changes.keysPut().filter((key) => isObject(changes.valuePut(key)));
    if (keys.length === 0) return;
    const { values } = decodeRecord(this.#settings.codec, data);
    for (const key of keys) writeValue(record.values, key, readValue(values, key));
  }

  /**
   * A new session for a request whose renewal came second: another request has renewed the same session. A login form that
   * is sent twice does this. The new session keeps what was read of the old one, unless that had a subject.
   *
   * @throws {SessionGoneError} The session has ended, or this request does not renew it.
   */
  #startAnew(write: SessionWrite): SessionWrite {
    const { base, changes } = write;
    const { gone, record: { deadline }, row } = this.#state;
    if (gone === "ended" || !changes.renew) throw new SessionGoneError();
    if (base === undefined) return write;
    const read = decodeRecord(this.#settings.codec, row!.data);
    const content = read.subject === undefined ? read : emptyRecord(deadline);
    this.#changeAgain(write, content);
    return writeOf(this.#settings, changes, content);
  }

  /**
   * Asks the primary for the tokens that the browser offered and that were not found: the replica may have lagged. Where
   * the primary has the session, the changes are made to that one.
   */
  async #adoptOffered(write: SessionWrite): Promise<SessionWrite> {
    const state = this.#state;
    for (const token of state.offered) {
      const row = await this.#operation.findOnPrimary(this.#settings.storedTokenOf(token));
      const held = row && holdingOf(this.#settings, row);
      if (held === "renewed") state.gone = held;
      if (typeof held !== "object") continue;
      const adopting = this.#replay(write, row!, held, token);
      // A handler that has failed meanwhile goes on without its changes, also where this write fails.
      const record = state.isForgotten(write.changes) ? decodeRecord(this.#settings.codec, row!.data) : held;
      state.adopt(row!, token, record, adopting);
      // A logout ends the others too.
      state.offered = state.offered.filter((other) => other !== token);
      return adopting;
    }
    state.offered = [];
    return state.gone === undefined ? write : this.#startAnew(write);
  }

  /** Sends the content of an attempt under another token. Later changes are not in it: they belong to the next write. */
  #createAgain({ changes, data, earlier, storedToken }: SessionWrite): SessionWrite {
    const content = decodeRecord(this.#settings.codec, data);
    return writeOf(this.#settings, changes, content, { earlier: [...earlier, storedToken] });
  }

  #saved(write: SessionWrite): void {
    const { base, changes, record, remember, storedToken, token } = write;
    const state = this.#state;
    const { hooks } = this.#settings;
    const { subject } = record;
    // A renewal sets the deadline as well, and so the cookie.
    if ((base === undefined || changes.setsCookie) && token !== undefined) {
      state.sendCookie(token, record, remember);
    }
    // A session that was merged may turn out to be this one.
    changes.merged = changes.merged.filter(({ token }) => token !== base?.token);
    // After the cookie and the subject: it makes later changes to the record, which are not saved yet.
    state.committed(write);
    if (base === undefined) hooks.event?.({ kind: "created", id: publicId(storedToken), subject });
    else if (changes.renew) {
      hooks.event?.({
        kind: "renewed",
        id: publicId(storedToken),
        previousId: publicId(base.token),
        subject,
      });
    }
  }

  /** Deletes the rows of merged sessions. This session is saved by now, so after a failure only they are left to do. */
  async #deleteMerged(rows: readonly StoredRow[]): Promise<void> {
    for (const [index, row] of rows.entries()) {
      try {
        // A renewal has moved the session: its mark stays.
        if (await endRow(this.#operation, row) === "renewed") continue;
        this.#settings.hooks.event?.({ kind: "destroyed", id: publicId(row.token) });
      } catch (error) {
        this.#state.deleteLater(rows.slice(index));
        throw asAmbiguous(error);
      }
    }
  }
}

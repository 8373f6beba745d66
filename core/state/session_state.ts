import type { Codec } from "../bytes/json_codec.ts";
import { isObject, readValue, removeValue, writeValue } from "../bytes/values.ts";
import { SessionClosedError } from "../errors.ts";
import type { StoredRow } from "../store.ts";
import { applyUpdate, ChangeLog, type UpdateFunction } from "./changes.ts";
import { ExposedValues } from "./exposed.ts";
import type { SessionWrite } from "./session_write.ts";
import { decodeRecord, isReserved, keysOf, REMEMBER_ME, type SessionRecord } from "./record.ts";

/** What a request has done to its session, after SCS's `Status`. */
export type SessionStatus = "unmodified" | "modified" | "destroyed";

const NONE: readonly never[] = [];

/** The content of the cookie that the response sets. */
interface CookieToSet {
  token: string;
  deadline: number;
  remember: boolean;
}

/**
 * All that one request knows of a session: the row as it was last seen, the record with this request's changes, and the log
 * of these changes. Handlers see it as a `Session`.
 */
export class SessionState {
  /** The browser's token; `undefined` for a new session, and for one of `iterate()` whose token is hashed. */
  token: string | undefined;
  /** The row as it was last seen; `undefined` for a new session. */
  row: StoredRow | undefined;
  /** The session's content, with this request's changes. */
  record: SessionRecord;
  /** The deadline in the row, without this request's changes; of no meaning for a new session. */
  storedDeadline: number;
  status: SessionStatus = "unmodified";
  /** What this request has changed and not saved yet. */
  #log: ChangeLog | undefined;
  /** What the last commit took. It may still be under way, or in doubt. */
  #taken: ChangeLog | undefined;
  /** A write in doubt. Nothing else is written before its fate is known. */
  writeInDoubt: SessionWrite | undefined;
  /** The browser's tokens for which the load found neither a session nor a mark. */
  offered: readonly string[] = NONE;
  /** The browser's tokens after the one that has the session. The store was not asked for them. */
  untried: readonly string[] = NONE;
  /** What another request did to the session, once that is known: it ended it, or gave it another token. */
  gone: "ended" | "renewed" | undefined;
  /** The cookie of the last commit that changed the token or the cookie's lifetime; the response sets it. */
  cookieToSet: CookieToSet | undefined;
  /** The expiry that a touch under way moves the row to. */
  touchTarget: number | undefined;
  /** Whether this request ended a session. The response deletes the cookie unless another session follows. */
  endedHere = false;
  /** Whether the head of the response was sent. The session is read-only then. */
  closed = false;
  readonly #codec: Codec;
  /** Made anew where none of the values is the same any more. */
  #exposed: ExposedValues;
  /** How often the handler has failed. */
  failures = 0;
  /** The end of the work that was begun last, while it is under way. */
  #tail: Promise<unknown> | undefined;

  constructor(codec: Codec, record: SessionRecord, token?: string, row?: StoredRow) {
    this.record = record;
    this.storedDeadline = record.deadline;
    this.token = token;
    this.row = row;
    this.#codec = codec;
    this.#exposed = new ExposedValues(codec);
  }

  get(key: string): unknown {
    if (this.closed) return this.#exposed.readOnly(key, this.#valueOf(key));
    // A conflict has replaced the value. A change in place of the object that the handler got before still counts.
    if (this.#exposed.isStale(key, readValue(this.record.values, key))) this.#noticeInPlaceChanges([key]);
    const value = this.#valueOf(key);
    // A value that this request has put is saved as it is at the commit, and needs no watching.
    if (isObject(value) && this.changes?.valuePut(key) !== value) {
      // What is not in the row yet, as by update(), is no change in place.
      this.#exposed.watch(key, value, this.mustWrite || this.hasWork ? undefined : this.row);
    }
    return value;
  }

  exists(key: string): boolean {
    return !isReserved(key) && Object.hasOwn(this.record.values, key);
  }

  keys(): string[] {
    return keysOf(this.record).sort();
  }

  put(key: string, value: unknown): void {
    const log = this.#modifyValue(key);
    writeValue(this.record.values, key, value);
    log.put(key, value);
    this.#exposed.noteOwn(key, value);
  }

  /** Where there is no such key the removal is kept for the next write, but is no reason for one. */
  remove(key: string): void {
    this.assertOpen();
    if (!this.exists(key)) return this.#unsavedLog().remove(key);
    const log = this.#modifyValue(key);
    removeValue(this.record.values, key);
    log.remove(key);
    this.#exposed.noteOwn(key);
  }

  clear(): void {
    this.assertOpen();
    if (keysOf(this.record).length === 0) return this.#unsavedLog().clear();
    const log = this.#modify();
    if (this.exists(REMEMBER_ME)) log.setsCookie = true;
    this.record.values = {};
    log.clear();
    this.#exposed = new ExposedValues(this.#codec);
  }

  update(key: string, update: UpdateFunction): void {
    this.#noticeInPlaceChanges([key]);
    const before = readValue(this.record.values, key);
    const copyIfChanged = this.#exposed.snapshot(key, before);
    let result: unknown;
    try {
      result = applyUpdate(this.record.values, key, update);
    } catch (error) {
      const copy = copyIfChanged();
      if (copy !== undefined) this.#restore(key, before, copy);
      throw error;
    }
    const log = this.#modifyValue(key);
    log.update(key, update, result);
    this.#exposed.noteOwn(key, result);
    if (isObject(result) && log.valuePut(key) !== result) this.#exposed.watch(key, result, undefined);
  }

  setDeadline(deadline: number): void {
    const log = this.#modify();
    this.record.deadline = deadline;
    log.deadline = deadline;
    log.setsCookie = true;
  }

  renew(deadline: number): void {
    this.setDeadline(deadline);
    this.#modify().renew = true;
  }

  setSubject(subject: string | undefined): void {
    const log = subject === this.record.subject ? this.#unsavedLog() : this.#modify();
    this.record.subject = subject;
    log.subject = subject ?? null;
  }

  /** The values of another session were put into this one. Its row is deleted once this one is saved. */
  deleteOnCommit(row: StoredRow): void {
    this.#modify().addMerged([row]);
  }

  /** The log to note a change of a value in. The browser's cookie depends on one of the values. */
  #modifyValue(key: string): ChangeLog {
    const log = this.#modify();
    if (key === REMEMBER_ME) log.setsCookie = true;
    return log;
  }

  /** The log to note a change in. Throws where the session is read-only. */
  #modify(): ChangeLog {
    this.assertOpen();
    this.status = "modified";
    return this.#logToWrite();
  }

  /** The log, with a reason to write it. */
  #logToWrite(): ChangeLog {
    const log = this.#unsavedLog();
    log.mustWrite = true;
    return log;
  }

  /**
   * The log of what is not saved yet. A change that is noted here alone is no reason to write: a removal that finds no value,
   * or the subject that is there already. The next write makes it too, since a replica that lags may have hidden the value.
   */
  #unsavedLog(): ChangeLog {
    return this.#log ??= new ChangeLog(this.failures);
  }

  /** The changes that have to be saved; `undefined` where there are none. */
  get changes(): ChangeLog | undefined {
    return this.#log?.mustWrite ? this.#log : undefined;
  }

  assertOpen(): void {
    if (this.closed) throw new SessionClosedError();
  }

  /** Makes the session read-only. Objects that came out of the store refuse changes from now on. */
  close(): void {
    // A second walk would stop at frozen objects, and miss what they hold.
    if (!this.closed) this.#exposed.freeze();
    this.closed = true;
  }

  /** Closes the session of a handler that has failed. A commit that waits for its turn does not save the changes either. */
  abandon(): void {
    // Objects that were changed in place may hold the handler's own objects, which close() must not freeze.
    this.noticeChanges();
    this.close();
    this.failures++;
  }

  /** Makes the session writable again, for another middleware of the request. Frozen objects are replaced by fresh ones. */
  reopen(): void {
    if (!this.closed) return;
    this.closed = false;
    if (this.row === undefined) return;
    this.#exposed = new ExposedValues(this.#codec);
    this.record = decodeRecord(this.#codec, this.row.data);
    this.changes?.replay(this.record);
  }

  /** Forgets the changes that are not saved, since the handler has failed. A commit under way stands. */
  forget(fresh: SessionRecord): void {
    this.failures++;
    this.#log = undefined;
    this.#exposed = new ExposedValues(this.#codec);
    this.record = this.row === undefined ? fresh : decodeRecord(this.#codec, this.row.data);
    this.status = this.endedHere && this.row === undefined ? "destroyed" : "unmodified";
  }

  /** Whether the handler has failed since it made these changes. */
  isForgotten({ failures }: ChangeLog): boolean {
    return failures !== this.failures;
  }

  /** Notes the changes that were made in place. */
  noticeChanges(): void {
    // A closed session was searched before it was closed, and has refused changes since then.
    if (!this.closed) this.#noticeInPlaceChanges();
  }

  /** Whether a commit has anything to write, as far as changes have been noticed. */
  get mustWrite(): boolean {
    return this.changes !== undefined || this.writeInDoubt !== undefined;
  }

  /** Whether the response sets the cookie or deletes it. */
  get changesCookie(): boolean {
    return this.cookieToSet !== undefined || this.endedHere;
  }

  /** Whether a commit, a logout or a merge may still be under way. */
  get hasWork(): boolean {
    return this.#tail !== undefined;
  }

  /** Runs the work after all earlier work on this session, so that two commits never overlap. */
  exclusively<T>(work: () => Promise<T>): Promise<T> {
    const run = this.#tail === undefined ? work() : this.#tail.then(work);
    const done = () => {
      if (this.#tail === tail) this.#tail = undefined;
    };
    const tail = this.#tail = run.then(done, done);
    return run;
  }

  /** Takes the changes to be committed. Changes made while the commit is under way go into a new log. */
  takeChanges(): ChangeLog {
    this.#taken = this.#logToWrite();
    this.#log = undefined;
    return this.#taken;
  }

  /** Watches the objects of the handler's own that a write saves: the handler may go on to change them in place. */
  watchWritten({ changes, data, expiry, storedToken }: SessionWrite): void {
    // What a closed session holds is not searched again.
    if (this.closed) return;
    const row = { token: storedToken, data, expiry };
    for (const key of changes.keysPut()) {
      const value = changes.valuePut(key);
      if (isObject(value)) this.#exposed.watch(key, value, row);
    }
  }

  /** Puts the changes of a failed commit back, before those that were made meanwhile. */
  giveBack(taken: ChangeLog): void {
    if (this.isForgotten(taken)) return;
    if (this.#log !== undefined) taken.append(this.#log, this.record.values);
    this.#log = taken;
  }

  /**
   * Continues with another row, and makes the changes to its record that are not in it yet.
   *
   * @param write The write that is about to change the row.
   */
  adopt(row: StoredRow, token: string, record: SessionRecord, write?: SessionWrite): void {
    this.gone = undefined;
    this.storedDeadline = write?.baseDeadline ?? record.deadline;
    this.#continueWith(record, write?.changes);
    this.row = row;
    this.token = token;
  }

  /** Continues with another record. What was written is there as copies, and the handler may change its own objects in place. */
  #continueWith(record: SessionRecord, written?: ChangeLog): void {
    if (written !== undefined && !this.isForgotten(written)) {
      for (const key of written.keysPut()) {
        if (!this.#log?.has(key)) writeValue(record.values, key, written.valuePut(key));
      }
    }
    this.#exposed.keepIn(record.values);
    // What changed nothing in the old values may change something in these.
    if (this.#log !== undefined) this.#logToWrite().replay(record);
    this.record = record;
  }

  /** Notes merged sessions that could not be deleted. The next commit tries again. */
  deleteLater(rows: readonly StoredRow[]): void {
    this.#logToWrite().addMerged(rows);
  }

  /** Takes over what a commit has written, and makes the changes to it that were made meanwhile. */
  committed({ base, changes, data, expiry, record, storedToken, token }: SessionWrite): void {
    this.writeInDoubt = undefined;
    this.gone = undefined;
    this.storedDeadline = record.deadline;
    if (record.values === this.record.values && !this.isForgotten(changes)) {
      // No conflict has replaced the values, and they hold the later changes already.
      this.record.createdAt = record.createdAt;
      this.record.nonces = record.nonces;
    } else {
      try {
        this.#continueWith(decodeRecord(this.#codec, data), changes);
      } catch {
        // A function of update() refuses the new values. The next commit meets a conflict with the old bytes, and calls it again.
        data = base?.data ?? data;
      }
    }
    this.row = { token: storedToken, data, expiry };
    this.token = token;
  }

  /** Continues with a new, empty session: this request has ended the old one. */
  startOver(fresh: SessionRecord): void {
    this.token = undefined;
    this.row = undefined;
    this.record = fresh;
    this.#log = undefined;
    this.writeInDoubt = undefined;
    this.offered = NONE;
    if (this.gone === "ended") this.gone = undefined;
    this.#exposed = new ExposedValues(this.#codec);
    this.status = "destroyed";
    this.cookieToSet = undefined;
  }

  /** Makes the response set the cookie of a session. */
  sendCookie(token: string, { deadline, values }: SessionRecord, remember?: boolean): void {
    this.cookieToSet = { token, deadline, remember: remember ?? values[REMEMBER_ME] === true };
  }

  #valueOf(key: string): unknown {
    return isReserved(key) ? undefined : readValue(this.record.values, key);
  }

  /** @param keys Where to look; everywhere if absent. */
  #noticeInPlaceChanges(keys?: readonly string[]): void {
    for (const [key, value] of this.#exposed.takeChanged(keys)) {
      // Not put(): the session may be closed by now, and the change was made before.
      this.status = "modified";
      writeValue(this.record.values, key, value);
      this.#logToWrite().put(key, value);
    }
  }

  /** Undoes what a function of update() did to its argument in place before it threw. */
  #restore(key: string, before: unknown, copy: unknown): void {
    writeValue(this.record.values, key, copy);
    this.#exposed.noteOwn(key);
    for (const log of [this.#log, this.#taken]) if (log?.valuePut(key) === before) log?.put(key, copy);
  }
}

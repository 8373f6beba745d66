import type { Codec } from "../bytes/json_codec.ts";
import { freezeDeeply, refuseChanges } from "../bytes/read_only.ts";
import { readValue, removeValue, writeValue } from "../bytes/values.ts";
import { SessionClosedError } from "../errors.ts";
import type { StoredRow } from "../store.ts";
import { applyUpdate, ChangeLog, type UpdateFunction } from "./changes.ts";
import { ExposedValues } from "./exposed.ts";
import type { PendingWrite } from "./pending_write.ts";
import { decodeRecord, encodeValue, isReserved, keysOf, REMEMBER_ME, type SessionRecord } from "./record.ts";

/** Where a session stands in its request, after SCS's `Status`. */
export type SessionStatus = "unmodified" | "modified" | "destroyed";

/** A well-formed token, and what a session would lie under in the store. */
export interface OfferedToken {
  token: string;
  storedToken: string;
}

const NONE: readonly OfferedToken[] = [];
const NO_TOKENS: readonly string[] = [];

/** A cookie that the browser has to be told of. */
export interface Announcement {
  token: string;
  deadline: number;
  remember: boolean;
}

/**
 * All that one request knows of a session: the row as it was last seen, the record as this request has changed it,
 * and the log of these changes. `Session` is what handlers see of it.
 */
export class SessionState {
  /** What the browser holds. Unknown for a session from `iterate` whose token is hashed. */
  token: string | undefined;
  /** The row as last seen; `undefined` while there is none. */
  row: StoredRow | undefined;
  /** What is in the session, with this request's changes. */
  record: SessionRecord;
  /** The deadline that the row holds, whatever this request has set since. */
  storedDeadline: number;
  status: SessionStatus = "unmodified";
  /** What is not saved yet; `undefined` while nothing was changed. */
  changes: ChangeLog | undefined;
  /** A write that may have happened: nothing else is written before its fate is known. */
  pending: PendingWrite | undefined;
  /** What the browser offered where no session was found. */
  offered: readonly OfferedToken[] = NONE;
  /** Further tokens of the request's cookies: there was a session before it was their turn. */
  untried: readonly string[] = NO_TOKENS;
  /** How the session went away elsewhere, once that is known. It stays so for this request. */
  gone: "ended" | "renewed" | undefined;
  /** What the browser hears with the response: the cookie of the last commit that changed it. */
  announced: Announcement | undefined;
  /** The expiry that a touch on its way moves the row to, unless it fails. */
  touching: number | undefined;
  /** Whether this request ended a session, so that the browser forgets it unless another one follows. */
  ended = false;
  /** Set once the head of the response was sent. */
  closed = false;
  readonly #codec: Codec;
  readonly #exposed: ExposedValues;
  /** The keys whose values, or parts of them, are this request's own objects. */
  #own: Set<string> | undefined;
  /** What is given out of a closed session in place of this request's own objects. */
  #copies: Map<string, unknown> | undefined;
  /** Whether objects that were given out are frozen. */
  #isFrozen = false;
  /** Whether a commit is under way whose changes were forgotten meanwhile. */
  #isForgotten = false;
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
    if (this.closed) return this.#getReadOnly(key);
    // After a conflict the values are others: what was done to the object that was given out before still counts.
    if (this.#exposed.isStale(key, readValue(this.record.values, key))) this.#noticeInPlaceChange(key);
    const value = isReserved(key) ? undefined : readValue(this.record.values, key);
    // What this request put there is saved as it is at the commit, whatever is done to it until then.
    if (isObject(value) && this.changes?.valuePut(key) !== value) {
      this.#exposed.add(key, value, this.row, this.#own === undefined || !this.#own.has(key));
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
    const log = this.modify();
    if (key === REMEMBER_ME) log.tellsBrowser = true;
    writeValue(this.record.values, key, value);
    log.put(key, value);
    this.#exposed.delete(key);
    if (isObject(value)) (this.#own ??= new Set()).add(key);
  }

  /** Nothing happens where there is no such key. */
  remove(key: string): void {
    this.assertOpen();
    if (!this.exists(key)) return;
    const log = this.modify();
    if (key === REMEMBER_ME) log.tellsBrowser = true;
    removeValue(this.record.values, key);
    log.remove(key);
    this.#exposed.delete(key);
  }

  clear(): void {
    this.assertOpen();
    if (keysOf(this.record).length === 0) return;
    const log = this.modify();
    if (this.exists(REMEMBER_ME)) log.tellsBrowser = true;
    this.record.values = {};
    log.clear();
    this.#exposed.clear();
  }

  update(key: string, update: UpdateFunction): void {
    this.assertOpen();
    this.#noticeInPlaceChange(key);
    const before = readValue(this.record.values, key);
    const copy = copyOf(before);
    let result: unknown;
    try {
      result = applyUpdate(this.record.values, key, update);
    } catch (error) {
      if (copy !== undefined && this.#exposed.differ(key, before, copy)) this.#restore(key, before, copy);
      throw error;
    }
    const log = this.modify();
    if (key === REMEMBER_ME) log.tellsBrowser = true;
    this.#exposed.delete(key);
    log.update(key, update, result);
    if (isObject(result)) (this.#own ??= new Set()).add(key);
    if (isObject(result) && log.valuePut(key) !== result) this.#exposed.addCopy(key, result);
  }

  setDeadline(deadline: number): void {
    const log = this.modify();
    this.record.deadline = deadline;
    log.deadline = deadline;
    log.tellsBrowser = true;
  }

  renew(deadline: number): void {
    this.setDeadline(deadline);
    this.modify().renew = true;
  }

  setSubject(subject: string | undefined): void {
    this.assertOpen();
    if (subject === this.record.subject) return;
    this.record.subject = subject;
    this.modify().subject = subject ?? null;
  }

  /** The values of another session, which lies under this stored token, were put into this one. */
  merged(storedToken: string): void {
    const log = this.modify();
    log.merged = [...new Set([...log.merged, storedToken])];
  }

  /** The log, of a session that may be changed and now is. */
  modify(): ChangeLog {
    this.assertOpen();
    this.status = "modified";
    return this.changes ??= new ChangeLog();
  }

  assertOpen(): void {
    if (this.closed) throw new SessionClosedError();
  }

  /**
   * From now on the session is only read. An object that came out of the store is frozen, so that a change of it throws.
   *
   * @returns What {@linkcode refuseChanges} is for once the session is saved.
   */
  close(): readonly object[] | undefined {
    this.closed = true;
    const found = this.#exposed.freeze();
    this.#isFrozen ||= found !== undefined;
    return found;
  }

  /** Somebody else in the request goes on with it. */
  reopen(): void {
    if (!this.closed) return;
    this.closed = false;
    this.#copies = undefined;
    if (!this.#isFrozen || this.row === undefined) return;
    this.#isFrozen = false;
    this.#exposed.clear();
    this.record = decodeRecord(this.#codec, this.row.data);
    this.changes?.replay(this.record);
  }

  /** Forgets what was changed and not saved: the handler has failed. A commit that was asked for stands. */
  forget(fresh: SessionRecord): void {
    this.changes = undefined;
    this.#own = undefined;
    this.#exposed.clear();
    this.record = this.row === undefined ? fresh : decodeRecord(this.#codec, this.row.data);
    this.status = this.ended && this.row === undefined ? "destroyed" : "unmodified";
    this.#isForgotten = this.hasWork;
  }

  /** Whether a commit has anything to write, what was changed in place included. */
  hasChanges(): boolean {
    // It was looked for when the session was closed, and nothing that was given out can be changed since.
    const keys = this.closed ? [] : this.#exposed.keys();
    for (const key of keys) this.#noticeInPlaceChange(key);
    return this.changes !== undefined || this.pending !== undefined;
  }

  /** Whether something was asked of the store that may still be under way. */
  get hasWork(): boolean {
    return this.#tail !== undefined;
  }

  /** Runs what waits for the store after what came before it, so that two commits do not run into each other. */
  exclusively<T>(work: () => Promise<T>): Promise<T> {
    const run = this.#tail === undefined ? work() : this.#tail.then(work);
    this.#tail = run.catch(() => {});
    return run;
  }

  /** Hands the changes over to be committed. Those that follow, while the commit is under way, go into a new log. */
  takeChanges(): ChangeLog {
    this.#isForgotten = false;
    const taken = this.changes ?? new ChangeLog();
    this.changes = undefined;
    return taken;
  }

  /** Nothing was written: it is as if the changes had never been taken. */
  giveBack(taken: ChangeLog): void {
    if (this.#isForgotten) return;
    this.appendTo(taken);
    this.changes = taken;
  }

  /** Whatever was changed since is saved together with what was taken. */
  appendTo(taken: ChangeLog): void {
    if (this.changes === undefined) return;
    taken.append(this.changes, this.record.values);
    this.changes = undefined;
  }

  /** Has nothing to do any more with what the browser offered. */
  stray(): void {
    this.gone = undefined;
    this.offered = NONE;
  }

  /** There was a session after all: this request's changes are done on it. */
  adopt(changes: ChangeLog, row: StoredRow, token: string, record: SessionRecord): void {
    this.storedDeadline = record.deadline;
    for (const log of [changes, this.changes]) {
      if (log === undefined) continue;
      log.replay(record);
      // It was not known to be this one when it was merged.
      log.merged = log.merged.filter((merged) => merged !== row.token);
    }
    this.record = record;
    this.row = row;
    this.token = token;
  }

  /** Sessions that were merged into this one could not be deleted: the next commit tries again. */
  deleteLater(storedTokens: readonly string[]): void {
    const log = this.changes ??= new ChangeLog();
    log.merged = [...storedTokens, ...log.merged];
  }

  /** Takes over what is in the store now, with the changes that were made meanwhile on top. */
  committed(changes: ChangeLog, row: StoredRow, token: string | undefined, record: SessionRecord): void {
    this.storedDeadline = record.deadline;
    // What was done to it since belongs to what was forgotten.
    if (this.#isForgotten) record = decodeRecord(this.#codec, row.data);
    const { createdAt, nonces } = record;
    if (record.values === this.record.values) {
      // No other request came in between, and what was changed meanwhile is in these values already.
      this.record = { ...this.record, createdAt, nonces };
    } else {
      this.changes?.replay(record);
      this.record = record;
    }
    this.row = row;
    this.token = token;
    if (this.closed) return;
    this.#exposed.rebase(record.values, row);
    for (const key of changes.keysPut()) {
      const value = readValue(record.values, key);
      if (isObject(value) && this.changes?.valuePut(key) !== value) this.#exposed.add(key, value, row);
    }
  }

  /** The row is gone by this request's own doing; what follows is a new session. */
  destroyed(fresh: SessionRecord): void {
    this.token = undefined;
    this.row = undefined;
    this.record = fresh;
    this.storedDeadline = fresh.deadline;
    this.changes = undefined;
    this.pending = undefined;
    this.offered = NONE;
    this.untried = NO_TOKENS;
    if (this.gone === "ended") this.gone = undefined;
    this.#exposed.clear();
    this.status = "destroyed";
    this.announced = undefined;
  }

  #noticeInPlaceChange(key: string): void {
    const value = this.#exposed.changed(key);
    if (value === undefined) return;
    // Not put(): the change was made before the session was closed, which is when it is looked for.
    this.status = "modified";
    writeValue(this.record.values, key, value);
    (this.changes ??= new ChangeLog()).put(key, value);
    this.#exposed.deleteChanged(key);
    (this.#own ??= new Set()).add(key);
  }

  /** A value whose changes cannot get lost: a frozen one, or a frozen copy of this request's own. */
  #getReadOnly(key: string): unknown {
    const value = isReserved(key) ? undefined : readValue(this.record.values, key);
    if (!isObject(value) || this.#exposed.isDecoded(key, value)) return value;
    if (this.#copies?.has(key)) return this.#copies.get(key);
    const given = this.#own?.has(key) ? this.#copyOf(key, value) : value;
    // What cannot be copied cannot be saved either.
    if (given === undefined) return value;
    refuseChanges(freezeDeeply(given));
    this.#isFrozen = true;
    (this.#copies ??= new Map()).set(key, given);
    return given;
  }

  #copyOf(key: string, value: object): unknown {
    try {
      return readValue(this.#codec.decode(encodeValue(this.#codec, key, value)).values, key);
    } catch {
      // It was not saved, or the commit has refused it.
      return copyOf(value);
    }
  }

  /** A function of update() has thrown, and may have changed its argument in place. */
  #restore(key: string, before: unknown, copy: object): void {
    writeValue(this.record.values, key, copy);
    this.#exposed.delete(key);
    if (this.changes !== undefined && this.changes.valuePut(key) === before) this.changes.put(key, copy);
  }
}

function isObject(value: unknown): value is object {
  return typeof value === "object" && value !== null;
}

/** A copy of an object; `undefined` for what is none, and for what cannot be copied, which cannot be saved either. */
function copyOf(value: unknown): object | undefined {
  try {
    return isObject(value) ? structuredClone(value) : undefined;
  } catch {
    return undefined;
  }
}

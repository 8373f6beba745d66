import { applyUpdate, ChangeLog, type UpdateFunction } from "./changes.ts";
import { type Codec, jsonCodec } from "../bytes/json_codec.ts";
import { encodeValue, equalBytes, REMEMBER_ME, type SessionRecord } from "./record.ts";
import { SessionClosedError } from "../errors.ts";
import type { StoredRow } from "../store.ts";

/** Where a session stands in its request, after SCS's `Status`. */
export type SessionStatus = "unmodified" | "modified" | "destroyed";

/** An object that the user got hold of, and what it looked like then. */
interface Exposed {
  value: object;
  encoded: Uint8Array;
  codec: Codec;
}

/**
 * All that one request knows of a session: the row as it was read, the values as the request sees them, and the
 * log of what it changed. `Session` is the face of it; the manager reads and commits it.
 */
export class SessionState {
  /** What the browser holds. Unknown for a session from `iterate` whose token is hashed. */
  token: string | undefined;
  /** The row as last seen; `undefined` while there is none. */
  row: StoredRow | undefined;
  record: SessionRecord;
  /** The deadline that the row holds, whatever this request has set since. */
  storedDeadline: number;
  status: SessionStatus = "unmodified";
  changes: ChangeLog = new ChangeLog();
  /** What the browser is to hear of with the response: the cookie of the last commit that changed it. */
  announced: { token: string; deadline: number; remember: boolean } | undefined;
  /** Whether this request ended a session, so that the browser is to forget it unless another follows. */
  ended = false;
  /** Set once the head of the response was sent. */
  closed = false;
  readonly #codec: Codec;
  #tail: Promise<unknown> = Promise.resolve();
  readonly #exposed = new Map<string, Exposed>();

  constructor(codec: Codec, record: SessionRecord, token?: string, row?: StoredRow) {
    this.#codec = codec;
    this.record = record;
    this.storedDeadline = record.deadline;
    this.token = token;
    this.row = row;
  }

  get(key: string): unknown {
    // A commit met another request's value: what was done in place to the one given out before still counts.
    if (this.#exposed.get(key)?.value !== this.record.values.get(key)) this.#noticeInPlaceChange(key);
    const value = this.record.values.get(key);
    if (isObject(value)) this.#expose(key, value);
    return value;
  }

  put(key: string, value: unknown): void {
    this.modify();
    this.#tellBrowser(key);
    this.record.values.set(key, value);
    this.changes.put(key, value);
    this.#exposed.delete(key);
  }

  /** Whether there was such a key; where not, nothing changes. */
  remove(key: string): boolean {
    this.assertOpen();
    if (!this.record.values.delete(key)) return false;
    this.modify();
    this.#tellBrowser(key);
    this.changes.remove(key);
    this.#exposed.delete(key);
    return true;
  }

  clear(): void {
    this.assertOpen();
    if (this.record.values.size === 0) return;
    this.modify();
    if (this.record.values.has(REMEMBER_ME)) this.#tellBrowser(REMEMBER_ME);
    this.record.values.clear();
    this.changes.clear();
    this.#exposed.clear();
  }

  update(key: string, update: UpdateFunction): void {
    this.assertOpen();
    this.#noticeInPlaceChange(key);
    // Where this throws nothing has changed, and objects given out earlier are still watched.
    const result = applyUpdate(this.record.values, key, update);
    this.modify();
    this.#tellBrowser(key);
    this.#exposed.delete(key);
    this.changes.update(key, update, result);
    if (isObject(result)) this.#expose(key, result);
  }

  setDeadline(deadline: number): void {
    this.modify();
    this.record.deadline = deadline;
    this.changes.deadline = deadline;
    this.changes.tellsBrowser = true;
  }

  rememberMe(remember: boolean): void {
    this.put(REMEMBER_ME, remember);
  }

  renew(deadline: number): void {
    this.setDeadline(deadline);
    this.changes.renew = true;
  }

  setSubject(subject: string | undefined): void {
    if (subject === this.record.subject) return;
    this.modify();
    this.record.subject = subject;
    this.changes.subject = subject ?? null;
  }

  /** The values of another session, which lies under this stored token, were put into this one. */
  merged(storedToken: string): void {
    this.modify();
    this.changes.merged.add(storedToken);
  }

  /** Runs what waits for the store after what came before it, so that two commits do not run into each other. */
  exclusively<T>(work: () => Promise<T>): Promise<T> {
    const run = this.#tail.then(work);
    this.#tail = run.catch(() => {});
    return run;
  }

  modify(): void {
    this.assertOpen();
    this.status = "modified";
  }

  assertOpen(): void {
    if (this.closed) throw new SessionClosedError();
  }

  /** Turns what was changed in place, in objects that {@linkcode get} gave out, into changes like any other. */
  noticeInPlaceChanges(): void {
    for (const key of [...this.#exposed.keys()]) this.#noticeInPlaceChange(key);
  }

  /**
   * Hands the changes over to be committed; those that follow, while the commit is under way, go into a new log.
   */
  takeChanges(): ChangeLog {
    const taken = this.changes;
    this.changes = new ChangeLog();
    // Objects that the user still holds may be changed in place again.
    for (const key of this.closed ? [] : taken.putKeys()) this.get(key);
    return taken;
  }

  /** The commit failed: it is as if the changes had never been taken. */
  giveBackChanges(taken: ChangeLog): void {
    taken.append(this.changes, this.record.values);
    this.changes = taken;
  }

  /** Takes over what is in the store now, with the changes that were made meanwhile on top. */
  committed(row: StoredRow, token: string | undefined, record: SessionRecord): void {
    this.storedDeadline = record.deadline;
    // The same values: no other request came in between, and later changes are in them already.
    if (record.values === this.record.values) {
      const { nonces, createdAt } = record;
      this.record = { ...this.record, nonces, createdAt };
    } else {
      this.changes.replay(record);
      this.record = record;
    }
    this.row = row;
    this.token = token;
  }

  /** The row is gone by this request's own doing; what follows is a new session. */
  destroyed(fresh: SessionRecord): void {
    this.token = undefined;
    this.row = undefined;
    this.record = fresh;
    this.changes = new ChangeLog();
    this.#exposed.clear();
    this.status = "destroyed";
    this.ended = true;
    this.announced = undefined;
  }

  /** Whether the cookie is kept is a value among others, whichever way it changes. */
  #tellBrowser(key: string): void {
    if (key === REMEMBER_ME) this.changes.tellsBrowser = true;
  }

  #noticeInPlaceChange(key: string): void {
    const exposed = this.#exposed.get(key);
    if (exposed === undefined) return;
    const { value, encoded, codec } = exposed;
    if (equalBytes(encodeValue(codec, key, value), encoded)) return;
    // Not put(): the change was made before the session was closed, which is when it is looked for.
    this.status = "modified";
    this.record.values.set(key, value);
    this.changes.put(key, value);
    this.#exposed.delete(key);
  }

  #expose(key: string, value: object): void {
    // A value that this request put there is saved as it is at commit, whatever is done to it until then.
    if (this.#exposed.get(key)?.value === value || this.changes.hasPut(key)) return;
    // JSON first: a codec that encrypts makes other bytes of the same value each time. And a codec may read what it
    // cannot write, as gob does a Go struct: that is for the commit to refuse, not for get().
    for (const codec of [jsonCodec, this.#codec]) {
      try {
        this.#exposed.set(key, { value, encoded: encodeValue(codec, key, value), codec });
        return;
      } catch {
        // What no codec can write no commit can save, so no change of it can get lost in silence.
      }
    }
  }
}

function isObject(value: unknown): value is object {
  return typeof value === "object" && value !== null;
}

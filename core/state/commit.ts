import type { ChangeLog } from "./changes.ts";
import type { SessionSettings } from "../options/session_options.ts";
import { SessionConflictError, SessionGoneError, SessionStoreError } from "../errors.ts";
import { decodeRecord, encodeRecord, equalBytes, REMEMBER_ME, type SessionRecord } from "./record.ts";
import type { SessionState } from "./session_state.ts";
import type { AtomicStore, StoredRow } from "../store.ts";
import { inDoubt } from "../store/failure.ts";
import { type StoreAccess } from "../store/operation.ts";
import { hashToken, newNonce, newToken, publicId } from "../bytes/token.ts";

/** A write that failed in passing is sent this often altogether; conflicts are tried until the time is up. */
const WRITE_ATTEMPTS = 3;
/** Enough that a writer finds its mark after a few others came in between, at 12 characters each. */
const KEPT_NONCES = 8;

/** What a look at the row says of a write whose fate is open. */
type Outcome =
  | { kind: "ours" | "unchanged" | "missing" }
  | { kind: "other"; row: StoredRow; record: SessionRecord };

/** A session as it is about to be written. */
interface Draft {
  record: SessionRecord;
  data: Uint8Array;
  expiry: number;
}

/** Saves what a request changed: the one place that decides between done, again, conflict, gone and unknown. */
export class Commit {
  readonly #settings: SessionSettings;
  readonly #store: AtomicStore;
  readonly #access: StoreAccess;
  readonly #state: SessionState;
  readonly #nonce = newNonce();
  /** The failure of a write that was given up: it may have happened, or may yet happen. */
  #doubt: SessionStoreError | undefined;

  constructor(settings: SessionSettings, store: AtomicStore, access: StoreAccess, state: SessionState) {
    this.#settings = settings;
    this.#store = store;
    this.#access = access;
    this.#state = state;
  }

  async run(): Promise<void> {
    const state = this.#state;
    const changes = state.takeChanges();
    try {
      if (state.row === undefined) await this.#create();
      else await this.#update(changes, state.row);
    } catch (error) {
      state.giveBackChanges(changes);
      // What is thrown speaks of the last attempt; an earlier one may have been the one that wrote.
      throw this.#doubt !== undefined && isCertain(error) ? this.#doubt : error;
    }
    await this.#deleteMerged([...changes.merged]);
  }

  /** The session is saved by now: where this fails, no change is given back to be made once more. */
  async #deleteMerged(tokens: string[]): Promise<void> {
    for (const [index, token] of tokens.entries()) {
      try {
        await this.#access.insist("delete", (options) => this.#store.delete(token, options));
        this.#settings.hooks.emit(() => ({ kind: "destroyed", id: publicId(token) }));
      } catch (error) {
        for (const left of tokens.slice(index)) this.#state.changes.merged.add(left);
        throw inDoubt(error);
      }
    }
  }

  async #create(): Promise<void> {
    const { data, expiry, record } = this.#draft({ ...this.#state.record, createdAt: this.#settings.now() });
    const { subject } = record;
    for (let attempt = 1, failures = 0;; attempt++) {
      // A new one for each attempt: what was given up may arrive late, after the session was used and ended.
      const token = newToken();
      const row = { token: this.#storedToken(token), data, expiry };
      let failure: SessionStoreError | undefined;
      try {
        const created = await this.#access.write(
          "create",
          (options) => this.#store.create(row.token, data, expiry, { ...options, subject }),
        );
        if (created) return this.#created(row, token, record);
      } catch (error) {
        failure = passing(error);
        failures++;
      }
      if (failure === undefined || failure.ambiguous) {
        this.#doubt ??= failure;
        const seen = await this.#look(row.token, undefined);
        if (seen.kind === "ours") return this.#created(row, token, record);
      }
      if (failures < WRITE_ATTEMPTS && await this.#access.retryAfter(attempt)) continue;
      throw failure ?? new SessionConflictError(attempt);
    }
  }

  async #update(changes: ChangeLog, read: StoredRow): Promise<void> {
    const token = changes.renew ? newToken() : this.#state.token;
    const next = changes.renew ? this.#storedToken(token!) : read.token;
    let row = read;
    let { storedDeadline } = this.#state;
    // The store may not know: a touch that crossed with an earlier deadline has moved the expiry beyond it.
    const isOver = () => this.#settings.now() >= storedDeadline;
    let draft = this.#draft(this.#state.record);
    let started = performance.now();
    for (let attempt = 1, failures = 0;; attempt++) {
      const { data, expiry, record } = draft;
      const subject = record.subject ?? (changes.subject === null ? null : undefined);
      const done = () => this.#updated(changes, row.token, { token: next, data, expiry }, token, record);
      let failure: SessionStoreError | undefined;
      try {
        const updated = !isOver() && await this.#access.write(
          "update",
          (options) =>
            this.#store.update(
              row.token,
              row.data,
              { token: changes.renew ? next : undefined, data, expiry, subject },
              options,
            ),
        );
        if (updated) return done();
      } catch (error) {
        failure = passing(error);
        failures++;
      }
      // The pause comes before the look, not after: what is read must be fresh when it is written.
      // Who collided with nobody, but waited in vain, has lost time enough.
      const took = failure === undefined ? performance.now() - started : 0;
      const again = failures < WRITE_ATTEMPTS && await this.#access.retryAfter(attempt, true, took);
      started = performance.now();
      if (failure === undefined || failure.ambiguous) {
        this.#doubt ??= failure;
        // Not asked after the look: others may have prolonged the session between the two.
        const over = isOver();
        const seen = await this.#lookAfterUpdate(row, next, failure !== undefined);
        if (seen.kind === "ours") return done();
        if (seen.kind === "missing" || (seen.kind === "unchanged" && over)) throw new SessionGoneError();
        if (seen.kind === "other") {
          // A write of unknown fate is never replayed: it might count twice.
          if (this.#doubt !== undefined) throw this.#doubt;
          const { token: changed } = row;
          this.#settings.hooks.emit(() => ({ kind: "conflict", id: publicId(changed), attempt }));
          row = seen.row;
          storedDeadline = seen.record.deadline;
          changes.replay(seen.record);
          draft = this.#draft(seen.record);
        }
      }
      if (!again) throw failure ?? new SessionConflictError(attempt);
    }
  }

  async #lookAfterUpdate(
    { token, data }: StoredRow,
    next: string,
    failed: boolean,
  ): Promise<Outcome> {
    const old = await this.#look(token, data);
    // A refusal is certain while the old row is there; only a failure may have left both.
    if (next === token || (old.kind !== "missing" && !failed)) return old;
    const renewed = await this.#look(next, undefined);
    if (renewed.kind !== "ours") return old;
    // Both tokens: a store without atomic writes was interrupted, and must finish.
    return old.kind === "missing" ? renewed : { kind: "unchanged" };
  }

  /** Reads a row back. Where even that fails, what is known of the write is all there is to say. */
  async #look(token: string, expected: Uint8Array | undefined): Promise<Outcome> {
    try {
      const found = await this.#access.read(
        "find",
        (options) => this.#store.find(token, { ...options, primary: true }),
      );
      if (found === undefined) return { kind: "missing" };
      if (expected !== undefined && equalBytes(found.data, expected)) return { kind: "unchanged" };
      const record = decodeRecord(this.#settings.codec, found.data);
      if (record.nonces.includes(this.#nonce)) return { kind: "ours" };
      if (this.#settings.now() >= record.deadline) return { kind: "missing" };
      return { kind: "other", row: { token, ...found }, record };
    } catch (error) {
      if (this.#doubt !== undefined) throw this.#doubt;
      // Even after a refusal: the write may have been delivered twice, and refused but the second time.
      if (error instanceof SessionStoreError) throw inDoubt(error);
      // Someone put a row there that cannot be read: it is this session no more.
      throw new SessionGoneError();
    }
  }

  #created(row: StoredRow, token: string, record: SessionRecord): void {
    this.#state.committed(row, token, record);
    this.#announce(token, record);
    const { subject } = record;
    this.#settings.hooks.emit(() => ({ kind: "created", id: publicId(row.token), subject }));
  }

  #updated(
    changes: ChangeLog,
    before: string,
    row: StoredRow,
    token: string | undefined,
    record: SessionRecord,
  ): void {
    this.#state.committed(row, token, record);
    if (token !== undefined && (changes.renew || changes.tellsBrowser)) this.#announce(token, record);
    if (!changes.renew) return;
    const { subject } = record;
    this.#settings.hooks.emit(() => ({
      kind: "renewed",
      id: publicId(row.token),
      previousId: publicId(before),
      subject,
    }));
  }

  #announce(token: string, record: SessionRecord): void {
    const remember = record.values.get(REMEMBER_ME) === true;
    this.#state.announced = { token, deadline: record.deadline, remember };
  }

  /** What is to be written, fixed now: what the request changes from here on is for its next commit. */
  #draft(from: SessionRecord): Draft {
    const { codec, idleTimeout, maxBytes, now } = this.#settings;
    const record = { ...from, nonces: [...from.nonces.slice(1 - KEPT_NONCES), this.#nonce] };
    const expiry = Math.min(record.deadline, now() + idleTimeout);
    return { record, data: encodeRecord(codec, record, maxBytes), expiry };
  }

  #storedToken(token: string): string {
    return this.#settings.hashTokenInStore ? hashToken(token) : token;
  }
}

/** A failure after which a write may be sent again; any other is thrown. */
function passing(error: unknown): SessionStoreError {
  if (error instanceof SessionStoreError && (error.retryable || error.ambiguous)) return error;
  throw error;
}

/** Whether an error says that nothing was saved, of a session that may well be there. */
function isCertain(error: unknown): boolean {
  return error instanceof SessionConflictError || (error instanceof SessionStoreError && !error.ambiguous);
}

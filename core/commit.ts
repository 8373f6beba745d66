import type { ChangeLog } from "./changes.ts";
import type { SessionSettings } from "./config.ts";
import { SessionConflictError, SessionGoneError, SessionStoreError } from "./errors.ts";
import { decodeRecord, encodeRecord, equalBytes, REMEMBER_ME, type SessionRecord } from "./record.ts";
import type { SessionState } from "./state.ts";
import type { AtomicStore, StoredRow } from "./store.ts";
import type { StoreAccess } from "./store_access.ts";
import { hashToken, newNonce, newToken, publicId } from "./token.ts";

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
      for (const token of changes.merged) {
        await this.#access.insist("delete", (options) => this.#store.delete(token, options));
      }
    } catch (error) {
      state.giveBackChanges(changes);
      throw error;
    }
  }

  async #create(): Promise<void> {
    const draft = this.#draft({ ...this.#state.record, createdAt: this.#settings.now() });
    const { data, expiry, record: { subject } } = draft;
    let token = newToken();
    for (let attempt = 1, failures = 0;; attempt++) {
      const row = { token: this.#storedToken(token), data, expiry };
      let failure: SessionStoreError | undefined;
      try {
        const created = await this.#access.write(
          "create",
          (options) => this.#store.create(row.token, data, expiry, { ...options, subject }),
        );
        if (created) return this.#created(row, token, draft.record);
      } catch (error) {
        failure = passing(error);
        failures++;
      }
      if (failure === undefined || failure.ambiguous) {
        const seen = await this.#look(row.token, undefined, failure);
        if (seen.kind === "ours") return this.#created(row, token, draft.record);
        if (seen.kind !== "missing") token = newToken();
      }
      await this.#again(attempt, failures, failure);
    }
  }

  async #update(changes: ChangeLog, read: StoredRow): Promise<void> {
    const token = changes.renew ? newToken() : this.#state.token;
    const next = changes.renew ? this.#storedToken(token!) : read.token;
    let row = read;
    let draft = this.#draft(this.#state.record);
    for (let attempt = 1, failures = 0;; attempt++) {
      const { data, expiry, record } = draft;
      const subject = record.subject ?? (changes.subject === null ? null : undefined);
      const done = () => this.#updated(changes, row.token, { token: next, data, expiry }, token, record);
      let failure: SessionStoreError | undefined;
      try {
        const updated = await this.#access.write(
          "update",
          (options) =>
            this.#store.update(row.token, row.data, { token: next, data, expiry, subject }, options),
        );
        if (updated) return done();
      } catch (error) {
        failure = passing(error);
        failures++;
      }
      if (failure === undefined || failure.ambiguous) {
        const seen = await this.#lookAfterUpdate(row, next, failure);
        if (seen.kind === "ours") return done();
        if (seen.kind === "missing") throw new SessionGoneError();
        if (seen.kind === "other") {
          // A write of unknown fate is never replayed: it might count twice.
          if (failure !== undefined) throw failure;
          const { token: changed } = row;
          this.#settings.hooks.emit(() => ({ kind: "conflict", id: publicId(changed), attempt }));
          row = seen.row;
          changes.replay(seen.record);
          draft = this.#draft(seen.record);
        }
      }
      await this.#again(attempt, failures, failure);
    }
  }

  /** Pauses before the next attempt, or throws where there is to be none. */
  async #again(attempt: number, failures: number, failure: SessionStoreError | undefined): Promise<void> {
    if (failures < WRITE_ATTEMPTS && await this.#access.retryAfter(attempt)) return;
    throw failure ?? new SessionConflictError(attempt);
  }

  async #lookAfterUpdate(
    { token, data }: StoredRow,
    next: string,
    failure: SessionStoreError | undefined,
  ): Promise<Outcome> {
    const old = await this.#look(token, data, failure);
    // A refusal is certain while the old row is there; only a failure may have left both.
    if (next === token || (old.kind !== "missing" && failure === undefined)) return old;
    const renewed = await this.#look(next, undefined, failure);
    if (renewed.kind !== "ours") return old;
    // Both tokens: a store without atomic writes was interrupted, and must finish.
    return old.kind === "missing" ? renewed : { kind: "unchanged" };
  }

  /** Reads a row back. Where even that fails, what is known of the write is all there is to say. */
  async #look(
    token: string,
    expected: Uint8Array | undefined,
    failure: SessionStoreError | undefined,
  ): Promise<Outcome> {
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
      if (failure !== undefined) throw failure;
      if (error instanceof SessionStoreError) throw error;
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

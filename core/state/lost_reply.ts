import { equalBytes } from "../bytes/equal.ts";
import type { SessionSettings } from "../options/session_options.ts";
import type { StoredRow } from "../store.ts";
import { type Operation, rowOf } from "../store/operation.ts";
import type { SessionWrite } from "./session_write.ts";
import { isMark, type SessionRecord, tryDecodeRecord } from "./record.ts";
import type { SessionState } from "./session_state.ts";

/**
 * What the primary tells of a write that was refused, or that had no reply.
 *
 * - `"done"`: the write has happened.
 * - `"ended"`: the session has ended. `"renewed"`: another request has given it a new token.
 * - `"unchanged"`: the write has not happened. The row, if there was one, is as it was read, apart from its expiry.
 * - `"changed"`: another request has written the row.
 */
export type Fate =
  | { kind: "done" }
  | { kind: "ended" }
  | { kind: "renewed" }
  | { kind: "unchanged"; row?: StoredRow }
  | { kind: "changed"; row: StoredRow; record: SessionRecord };

/** A row, and the record in it; `undefined` for bytes that the codec cannot read. */
interface FoundRow {
  row: StoredRow;
  record: SessionRecord | undefined;
}

/** Asks the primary what became of a write. A row holds the nonces of its last writes, so it can tell. */
export class Primary {
  readonly #settings: SessionSettings;
  readonly #operation: Operation;
  readonly #state: SessionState;

  constructor(settings: SessionSettings, operation: Operation, state: SessionState) {
    this.#settings = settings;
    this.#operation = operation;
    this.#state = state;
  }

  /** What became of a write. */
  async fateOf(write: SessionWrite): Promise<Fate> {
    const { base, baseDeadline, changes, failure, nonce, storedToken } = write;
    if (failure !== undefined && !failure.ambiguous) return { kind: "unchanged" };
    if (base === undefined) {
      return { kind: hasNonce(await this.find(storedToken, write), nonce) ? "done" : "unchanged" };
    }
    // The clock is read before the row: another request may prolong the session in between.
    const isOver = this.#settings.now() >= baseDeadline;
    // The old token comes before the new one: a renewal that arrives late moves the row from the first to the second.
    const found = await this.find(base.token, write);
    const isMine = hasNonce(found, nonce);
    // The mark of this renewal does not prove that the session still lives. A missing one does not prove that it ended.
    if (changes.renew && (isMine || found === undefined)) {
      return { kind: hasNonce(await this.find(storedToken, write), nonce) ? "done" : "ended" };
    }
    if (found === undefined) return { kind: "ended" };
    const { row, record } = found;
    if (equalBytes(row.data, base.data)) return isOver ? { kind: "ended" } : { kind: "unchanged", row };
    // Bytes that the codec cannot read are not this session.
    if (record === undefined) return { kind: "ended" };
    if (isMine) return { kind: "done" };
    if (isMark(record)) return { kind: "renewed" };
    if (this.#settings.now() >= record.deadline) return { kind: "ended" };
    return { kind: "changed", row, record };
  }

  /** @param write What the row is read for. Where the read fails, a write that was sent stays in doubt. */
  async find(token: string, write?: SessionWrite): Promise<FoundRow | undefined> {
    try {
      const row = rowOf(token, await this.#operation.findOnPrimary(token));
      return row && { row, record: tryDecodeRecord(this.#settings.codec, row.data) };
    } catch (error) {
      if (write === undefined || !write.isSent) throw error;
      // Also a write that the store refused. The network may deliver it twice: the first delivery is carried out, and the
      // refusal answers the second one.
      this.#state.writeInDoubt = write;
      throw write.failure ?? error;
    }
  }
}

function hasNonce(found: FoundRow | undefined, nonce: string): boolean {
  return found?.record?.nonces.includes(nonce) ?? false;
}

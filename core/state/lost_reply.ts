import { equalBytes } from "../bytes/equal.ts";
import type { StoredRow } from "../store.ts";
import type { Operation } from "../store/operation.ts";
import type { SessionWrite } from "./session_write.ts";
import { findRecordOnPrimary, type FoundRecord, isMark, type SessionRecord } from "./record.ts";

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

/** Asks the primary what became of a write. A row holds the nonces of its last writes, so it can tell. */
export async function fateOf(operation: Operation, write: SessionWrite): Promise<Fate> {
  const { base, baseDeadline, changes, failure, nonce, storedToken } = write;
  const { now } = operation.settings;
  if (failure !== undefined && !failure.ambiguous) return { kind: "unchanged" };
  if (base === undefined) {
    return {
      kind: hasNonce(await findRecordOnPrimary(operation, storedToken), nonce) ? "done" : "unchanged",
    };
  }
  // The clock is read before the row: another request may prolong the session in between.
  const isOver = now() >= baseDeadline;
  // The old token comes before the new one: a renewal that arrives late moves the row from the first to the second.
  const found = await findRecordOnPrimary(operation, base.token);
  const isMine = hasNonce(found, nonce);
  // The mark of this renewal does not prove that the session still lives. A missing one does not prove that it ended.
  if (changes.renew && (isMine || found === undefined)) {
    return { kind: hasNonce(await findRecordOnPrimary(operation, storedToken), nonce) ? "done" : "ended" };
  }
  if (found === undefined) return { kind: "ended" };
  const { row, record } = found;
  if (equalBytes(row.data, base.data)) return isOver ? { kind: "ended" } : { kind: "unchanged", row };
  // Bytes that the codec cannot read are not this session.
  if (record === undefined) return { kind: "ended" };
  if (isMine) return { kind: "done" };
  if (isMark(record)) return { kind: "renewed" };
  return now() >= record.deadline ? { kind: "ended" } : { kind: "changed", row, record };
}

function hasNonce(found: FoundRecord | undefined, nonce: string): boolean {
  return found?.record?.nonces.includes(nonce) ?? false;
}

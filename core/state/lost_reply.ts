import { equalBytes } from "../bytes/equal.ts";
import type { StoredRow } from "../store.ts";
import type { Operation } from "../store/operation.ts";
import type { SessionWrite } from "./session_write.ts";
import { isMark, type SessionRecord, tryDecodeRecord } from "./record.ts";

/**
 * What the primary tells of a write that was refused, or that had no reply.
 *
 * - `"done"`: the write has happened.
 * - `"ended"`: the session has ended. `"renewed"`: another request has given it a new token.
 * - `"unchanged"`: the write has not happened. The row, unless it is a new one, is as it was read, apart from its expiry.
 * - `"changed"`: another request has written the row.
 */
export type Fate =
  | { kind: "done" }
  | { kind: "ended" }
  | { kind: "renewed" }
  | { kind: "unchanged"; row: StoredRow | undefined }
  | { kind: "changed"; row: StoredRow; record: SessionRecord };

/** Asks the primary what became of a write. A row holds the nonces of its last writes, so it can tell. */
export async function fateOf(operation: Operation, write: SessionWrite): Promise<Fate> {
  const { base, baseDeadline, changes, failure, nonce, storedToken } = write;
  const { codec, now } = operation.settings;
  const recordIn = (row: StoredRow | undefined) => row && tryDecodeRecord(codec, row.data);
  const isIn = (record: SessionRecord | undefined) => record?.nonces.includes(nonce) === true;
  const isUnder = async (token: string) => isIn(recordIn(await operation.findOnPrimary(token)));

  if (failure !== undefined && !failure.ambiguous) return { kind: "unchanged", row: base };
  if (base === undefined) return { kind: await isUnder(storedToken) ? "done" : "unchanged", row: undefined };
  // The clock is read before the row: another request may prolong the session in between.
  const isOver = now() >= baseDeadline;
  // The old token comes before the new one: a renewal that arrives late moves the row from the first to the second.
  const row = await operation.findOnPrimary(base.token);
  const record = recordIn(row);
  // The mark of this renewal does not prove that the session still lives. A missing one does not prove that it ended.
  if (changes.renew && (isIn(record) || row === undefined)) {
    return { kind: await isUnder(storedToken) ? "done" : "ended" };
  }
  if (row === undefined) return { kind: "ended" };
  if (equalBytes(row.data, base.data)) return isOver ? { kind: "ended" } : { kind: "unchanged", row };
  // Bytes that the codec cannot read are not this session.
  if (record === undefined) return { kind: "ended" };
  if (isIn(record)) return { kind: "done" };
  if (isMark(record)) return { kind: "renewed" };
  return now() >= record.deadline ? { kind: "ended" } : { kind: "changed", row, record };
}

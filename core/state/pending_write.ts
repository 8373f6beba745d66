import type { SessionStoreError } from "../errors.ts";
import type { StoredRow } from "../store.ts";
import type { ChangeLog } from "./changes.ts";
import type { SessionRecord } from "./record.ts";

/** One write of a session. Sent again it is the same write: the same bytes, with the same nonce in them. */
export interface PendingWrite {
  readonly changes: ChangeLog;
  /** Tells this write from all others. */
  readonly nonce: string;
  /** The row that must still be there as it was read; `undefined` for a new session. */
  readonly base: StoredRow | undefined;
  /** What earlier attempts to make it were tried under, which may have arrived. */
  readonly earlier: readonly string[];
  /** When the session in that row ends for good. */
  readonly baseDeadline: number;
  /** What is written. */
  readonly record: SessionRecord;
  readonly data: Uint8Array;
  /** When the row expires afterwards. */
  readonly expiry: number;
  /** What the browser holds afterwards, where that is known. */
  readonly token: string | undefined;
  /** What the row is found under afterwards. */
  readonly storedToken: string;
  /** Whether the store was asked for it at all. */
  isSent: boolean;
  /** Why the last attempt failed; `undefined` where the store has answered. */
  failure: SessionStoreError | undefined;
}

import { newNonce } from "../bytes/random.ts";
import { newToken } from "../bytes/token.ts";
import type { SessionStoreError } from "../errors.ts";
import type { SessionSettings } from "../options/session_options.ts";
import type { NextRow, StoredRow, StoredSession } from "../store.ts";
import type { ChangeLog } from "./changes.ts";
import { mustMoveExpiry, nextExpiry } from "./expiry.ts";
import {
  encodeMark,
  encodeRecord,
  REMEMBER_ME,
  type SessionRecord,
  tryDecodeRecord,
  withNonce,
} from "./record.ts";

/** How long a mark stays under an old token, in milliseconds: longer than a request with that token takes to arrive. */
const MARK_LIFETIME = 60_000;

/** One write of a session. Each attempt sends the same bytes, with the same nonce in them. */
export interface SessionWrite {
  readonly changes: ChangeLog;
  /** Identifies this write. The row keeps it. */
  readonly nonce: string;
  /** The row that is updated, as it was read; `undefined` for a new session. */
  readonly base: StoredRow | undefined;
  /** The tokens of earlier attempts to create the session. Each may have reached the store. */
  readonly earlier: readonly string[];
  /** The deadline of the session in that row; of no meaning for a new session. */
  readonly baseDeadline: number;
  /** What is written. */
  readonly record: SessionRecord;
  /** Whether its cookie stays when the browser is closed. Later changes may be in the values of the record. */
  readonly remember: boolean;
  readonly data: Uint8Array;
  /** The expiry of the row after the write. */
  readonly expiry: number;
  /** The browser's token after the write; `undefined` where only the browser knows it. */
  readonly token: string | undefined;
  /** The row's token after the write. */
  readonly storedToken: string;
  /** Whether it was ever sent to the store. */
  isSent: boolean;
  /** Why the last attempt failed; `undefined` where the store has answered. */
  failure: SessionStoreError | undefined;
}

/** The row that a write starts from, as it was read. Without a `base` the write creates a session. */
type Start = Partial<Pick<SessionWrite, "base" | "baseDeadline" | "token" | "earlier">>;

/**
 * The write of a session. Later changes of the same request are not in it: they belong to the next commit. Each attempt to
 * create a session has a token of its own, since an earlier one may still reach the store.
 *
 * @param content What the row is to hold, with the changes.
 */
export function writeOf(
  settings: SessionSettings,
  changes: ChangeLog,
  content: SessionRecord,
  { base, baseDeadline = Infinity, token, earlier = [] }: Start = {},
): SessionWrite {
  const { deadline, values, subject } = content;
  const nonce = newNonce();
  const isNew = base === undefined;
  // Field by field: copies by `...` are a tenth of what a write costs on Node.
  const record = {
    deadline,
    values,
    subject,
    createdAt: isNew ? settings.now() : content.createdAt,
    nonces: isNew ? nonce : withNonce(content.nonces, nonce),
  };
  const fresh = isNew || changes.renew ? newToken() : undefined;
  const keepsExpiry = fresh === undefined && deadline === baseDeadline &&
    !mustMoveExpiry(settings, record, base!.expiry);
  return {
    changes,
    nonce,
    base,
    earlier,
    baseDeadline,
    record,
    remember: values[REMEMBER_ME] === true,
    data: encodeRecord(settings.codec, record, settings.maxBytes),
    expiry: keepsExpiry ? base!.expiry : nextExpiry(settings, record),
    token: fresh ?? token,
    storedToken: fresh === undefined ? base!.token : settings.storedTokenOf(fresh),
    isSent: false,
    failure: undefined,
  };
}

/** What an update tells the store: only the columns that change, since a database does more work for each one. */
export function nextRow(settings: SessionSettings, write: SessionWrite, base: StoredRow): NextRow {
  const { changes, data, expiry, record, storedToken } = write;
  // A table that SCS made has no column for subjects. So the column of a session without a subject is named only to empty it.
  const isEmptied = changes.subject === null &&
    tryDecodeRecord(settings.codec, base.data)?.subject !== undefined;
  // An unchanged subject is written too: an SCS service that saves a session empties the column.
  const subject = record.subject ?? (isEmptied ? null : undefined);
  return {
    data,
    token: changes.renew ? storedToken : undefined,
    expiry: expiry === base.expiry ? undefined : expiry,
    subject,
    mark: changes.renew ? mark(settings, record) : undefined,
  };
}

/** The mark: the row that a renewal leaves under the old token. */
function mark({ codec, now }: SessionSettings, { nonces }: SessionRecord): StoredSession {
  const expiry = now() + MARK_LIFETIME;
  return { data: encodeMark(codec, expiry, nonces), expiry };
}

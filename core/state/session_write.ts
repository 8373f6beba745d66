import { newNonce } from "../bytes/random.ts";
import { newToken } from "../bytes/token.ts";
import type { SessionStoreError } from "../errors.ts";
import type { SessionSettings } from "../options/session_options.ts";
import type { NextRow, StoredRow, StoredSession } from "../store.ts";
import type { ChangeLog } from "./changes.ts";
import { mustMoveExpiry, nextExpiry } from "./expiry.ts";
import { encodeMark, encodeRecord, type SessionRecord, tryDecodeRecord, withNonce } from "./record.ts";

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
  /** The deadline of the session in that row. */
  readonly baseDeadline: number;
  /** What is written. */
  readonly record: SessionRecord;
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

/** The write that creates a session. Every attempt has a token of its own: an earlier one may still reach the store. */
export function newSession(
  settings: SessionSettings,
  changes: ChangeLog,
  from: SessionRecord,
  earlier: readonly string[] = [],
): SessionWrite {
  const record = { ...from, createdAt: settings.now(), nonces: "" };
  return writeOf(settings, changes, record, {
    base: undefined,
    baseDeadline: Infinity,
    earlier,
    token: undefined,
  });
}

/**
 * The write that updates a row. Later changes of the same request are not in it: they belong to the next commit.
 *
 * @param token The browser's token, which a renewal replaces.
 * @param from The record that is in the row, with the changes.
 */
export function changedSession(
  settings: SessionSettings,
  changes: ChangeLog,
  token: string | undefined,
  from: SessionRecord,
  base: StoredRow,
  baseDeadline: number,
): SessionWrite {
  return writeOf(settings, changes, from, { base, baseDeadline, earlier: [], token });
}

function writeOf(
  settings: SessionSettings,
  changes: ChangeLog,
  from: SessionRecord,
  target: Pick<SessionWrite, "base" | "baseDeadline" | "earlier" | "token">,
): SessionWrite {
  const { base, baseDeadline, earlier, token } = target;
  const { deadline, values, subject, createdAt, nonces } = from;
  const nonce = newNonce();
  // Field by field: copies by `...` are a tenth of what a write costs on Node.
  const record = { deadline, values, subject, createdAt, nonces: withNonce(nonces, nonce) };
  const given = base === undefined || changes.renew ? newToken() : undefined;
  const keepsExpiry = given === undefined && record.deadline === baseDeadline &&
    !mustMoveExpiry(settings, record, base!.expiry);
  return {
    changes,
    nonce,
    base,
    earlier,
    baseDeadline,
    record,
    data: encodeRecord(settings.codec, record, settings.maxBytes),
    expiry: keepsExpiry ? base!.expiry : nextExpiry(settings, record),
    token: given ?? token,
    storedToken: given === undefined ? base!.token : settings.storedToken(given),
    isSent: false,
    failure: undefined,
  };
}

/** What an update tells the store: only the columns that change, since a database does more work for each one. */
export function nextRow(settings: SessionSettings, write: SessionWrite, base: StoredRow): NextRow {
  const { changes, data, expiry, record, storedToken } = write;
  // A table that SCS made has no column for subjects. Without one the column is named only to empty it.
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

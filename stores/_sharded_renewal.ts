import { equalBytes } from "../core/bytes/equal.ts";
import { inDoubt } from "../core/store/failure.ts";
import type { NextRow, StoredRow, StoredSession } from "../core/store.ts";

/** The statements that a renewal is made of, each atomic and on one shard. */
export interface RenewalStatements {
  /** A live row as it is. */
  find(token: string, now: number): Promise<StoredSession | undefined>;
  /** What a row says beside its data. */
  lookAt(token: string, now: number): Promise<{ expiry: number; subject: string | undefined } | undefined>;
  /** `false` where the token exists, which is then left alone. */
  insert(row: StoredRow, subject: string | undefined, now: number): Promise<boolean>;
  /** Replaces data and expiry of a live row that holds the expected data. */
  replace(token: string, expected: Uint8Array, next: StoredSession, now: number): Promise<boolean>;
  /** Deletes a row that holds the expected data. */
  remove(token: string, expected: Uint8Array, now: number): Promise<void>;
}

/** The stores whose rows may say that a session has moved. */
const sharded = new WeakSet<object>();

/** No codec starts its bytes with a zero. */
const TAG = new TextEncoder().encode("\0x-sessions:");
const PENDING = "P".charCodeAt(0);
const MOVED = "M".charCodeAt(0);

/** How the data of a row begins that has moved to another token: no session, but the proof of where it is. */
export const MOVED_TAG: Uint8Array = new Uint8Array([...TAG, MOVED]);

/**
 * Renewal where a token cannot be changed in place and the two rows lie on different shards, so that not even a
 * transaction is sure to write both or none.
 *
 * 1. A row is inserted under the new token that says "pending, from the old token". It counts for nothing.
 * 2. The old row is replaced, if it still holds the expected data, by "moved to the new token", which also holds the
 *    mark that the renewal leaves. This one statement is the switch: before it only the old token works, after it only
 *    the new one.
 * 3. The pending row is replaced by the session itself.
 * 4. The old row, which has lived as long as the session to prove that the pending one counts, gets the expiry of its
 *    mark. Without a mark it is deleted.
 *
 * Whoever finds a pending row looks at the old one: if that has moved there, the row counts, and steps 3 and 4 are made
 * up for. A pending row whose old one is gone never counts: the session ended before the switch.
 *
 * The old row keeps its subject, and so tells whoever deletes a subject's sessions that one of them has moved.
 */
export class ShardedRenewal {
  readonly #statements: RenewalStatements;

  /** @param store Whose renewals these are. */
  constructor(store: object, statements: RenewalStatements) {
    sharded.add(store);
    this.#statements = statements;
  }

  /** Whether a store has renewals of this kind. No other such store can stand on it: each would read the rows its way. */
  static isOf(store: object): boolean {
    return sharded.has(store);
  }

  /** As `AtomicStore.update` with a new token. */
  async renew(
    token: string,
    expected: Uint8Array,
    next: NextRow & { token: string },
    now: number,
  ): Promise<boolean> {
    const { find, lookAt, insert, replace, remove } = this.#statements;
    const isWhole = next.expiry !== undefined && next.subject !== undefined;
    const old = isWhole ? undefined : await lookAt(token, now);
    const expiry = next.expiry ?? old?.expiry;
    if (expiry === undefined) return false;
    const pending = { token: next.token, data: tagged(PENDING, token, next.data), expiry };
    const moved = tagged(MOVED, next.token, next.mark && encodeMark(next.mark));
    const subject = next.subject === undefined ? old?.subject : next.subject ?? undefined;
    const inserted = await insert(pending, subject, now);
    // An earlier delivery of the same statement may have inserted it; any other row is another session.
    if (!inserted && !sameBytes(await find(next.token, now), pending.data)) return false;
    const switched = await replace(token, expected, { data: moved, expiry }, now);
    // No row may have been hit because an earlier delivery of the same statement did it.
    if (!switched && !sameBytes(await find(token, now).catch(throwInDoubt), moved)) {
      await remove(next.token, pending.data, now);
      return false;
    }
    // From here on the new token works; what follows is made up for by whoever reads it.
    await this.#complete(token, moved, pending, next.data, now).catch(() => {});
    return true;
  }

  /** The last two steps. `false` where the pending row was no longer there. */
  async #complete(
    old: string,
    moved: Uint8Array,
    pending: StoredRow,
    data: Uint8Array,
    now: number,
  ): Promise<boolean> {
    const { replace, remove } = this.#statements;
    const { token, expiry } = pending;
    // The old row is what proves that the pending one counts: it stays until that is sure to be completed.
    if (!(await replace(token, pending.data, { data, expiry }, now))) return false;
    const mark = markIn(moved);
    const last = mark === undefined
      ? remove(old, moved, now)
      : replace(old, moved, { data: moved, expiry: mark.expiry }, now);
    await last.catch(() => {});
    return true;
  }

  /** Makes up for what is left of the renewal that a moved row proves; `false` where it still has to prove it. */
  async settle(moved: Uint8Array, now: number): Promise<boolean> {
    const { token } = parse(moved)!;
    const { find } = this.#statements;
    const row = await find(token, now);
    if (row === undefined || !isPending(row)) return true;
    await this.resolve({ token, ...row }, now);
    const seen = await find(token, now);
    return seen === undefined || !isPending(seen);
  }

  /** The session in a row, or the mark; `undefined` where the row does not count. */
  async resolve({ token, data, expiry }: StoredRow, now: number): Promise<StoredSession | undefined> {
    const row = parse(data);
    if (row === undefined) return { data, expiry };
    if (row.kind === MOVED) {
      const mark = markIn(data);
      return mark !== undefined && now < mark.expiry ? mark : undefined;
    }
    const { find } = this.#statements;
    const old = await find(row.token, now);
    const proof = old && parse(old.data);
    const counts = proof?.kind === MOVED && proof.token === token;
    if (counts && await this.#complete(row.token, old!.data, { token, data, expiry }, row.rest, now)) {
      return { data: row.rest, expiry };
    }
    // Between the looks the renewal may have been completed, and the session changed, ended or renewed again.
    const seen = await find(token, now);
    if (counts && sameBytes(seen, data)) return { data: row.rest, expiry };
    return seen !== undefined && parse(seen.data) === undefined ? seen : undefined;
  }
}

/** Whether the session of a row has moved to another token. */
export function hasMoved(data: Uint8Array): boolean {
  return parse(data)?.kind === MOVED;
}

/** Where nothing can be seen the switch may have happened. */
function throwInDoubt(error: unknown): never {
  throw inDoubt(error);
}

function tagged(kind: number, token: string, rest: Uint8Array = new Uint8Array()): Uint8Array {
  const name = new TextEncoder().encode(token);
  return new Uint8Array([...TAG, kind, name.length, ...name, ...rest]);
}

function parse(data: Uint8Array): { kind: number; token: string; rest: Uint8Array } | undefined {
  if (!equalBytes(data.subarray(0, TAG.length), TAG)) return undefined;
  const [kind, length] = [data[TAG.length]!, data[TAG.length + 1]!];
  const start = TAG.length + 2;
  const token = new TextDecoder().decode(data.subarray(start, start + length));
  return { kind, token, rest: data.slice(start + length) };
}

/** The length of an expiry in bytes, as a number of 64 bits. */
const EXPIRY_BYTES = 8;

function encodeMark({ data, expiry }: StoredSession): Uint8Array {
  const bytes = new Uint8Array(EXPIRY_BYTES + data.length);
  new DataView(bytes.buffer).setFloat64(0, expiry);
  bytes.set(data, EXPIRY_BYTES);
  return bytes;
}

/** The mark in a row that has moved, as far as the renewal has left one. */
function markIn(moved: Uint8Array): StoredSession | undefined {
  const rest = parse(moved)?.rest;
  if (rest === undefined || rest.length < EXPIRY_BYTES) return undefined;
  return { data: rest.slice(EXPIRY_BYTES), expiry: new DataView(rest.buffer).getFloat64(0) };
}

/** Whether a row waits for the switch, or for what comes after it. */
export function isPending(row: { data: Uint8Array }): boolean {
  return parse(row.data)?.kind === PENDING;
}

function sameBytes(row: StoredSession | undefined, data: Uint8Array): boolean {
  return row !== undefined && equalBytes(row.data, data);
}

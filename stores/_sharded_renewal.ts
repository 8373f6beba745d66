import { equalBytes } from "../core/bytes/equal.ts";
import { newNonce } from "../core/bytes/random.ts";
import { asAmbiguous } from "../core/store/failure.ts";
import type { NextRow, StoredRow, StoredSession } from "../core/store.ts";

/** The calls that a renewal is made of. Each is atomic, and goes to one shard. */
export interface RenewalStatements {
  /** Gives a live row as it is. */
  find(token: string, now: number): Promise<StoredSession | undefined>;
  /** Gives what a row holds beside its data. */
  lookAt(token: string, now: number): Promise<{ expiry: number; subject: string | undefined } | undefined>;
  /** Inserts a row. Gives `false`, and changes nothing, where the token exists. */
  insert(row: StoredRow, subject: string | undefined, now: number): Promise<boolean>;
  /** Replaces data and expiry of a live row that holds the expected data. */
  replace(token: string, expected: Uint8Array, next: StoredSession, now: number): Promise<boolean>;
  /** Deletes a row that holds the expected data. */
  remove(token: string, expected: Uint8Array, now: number): Promise<void>;
}

/** The stores that renew in this way. */
const sharded = new WeakSet<object>();

/** How the data of a pending row and of a moved row begin. No codec begins with a zero. */
const TAG = new TextEncoder().encode("\0x-sessions:");
const PENDING = "P".charCodeAt(0);
const MOVED = "M".charCodeAt(0);

/** How the data of a moved row begins. */
export const MOVED_TAG: Uint8Array = new Uint8Array([...TAG, MOVED]);

/**
 * Renewal where a token cannot be changed in place. The old row and the new one are on different shards, and no
 * transaction across shards is sure to write both or none.
 *
 * 1. Insert a *pending* row under the new token. It names the old token and this attempt, and is no session yet.
 * 2. Replace the old row by a *moved* row, if it still holds the expected data. It names the new token and the attempt,
 *    and holds the mark that the renewal leaves. This is the switch: before it only the old token works, after it only
 *    the new one.
 * 3. Replace the pending row by the session.
 * 4. Give the moved row the expiry of its mark, or delete it if there is no mark. Until then it has the session's
 *    expiry, so that it does not go before step 3.
 *
 * Who finds a pending row looks at the old one. If that is a moved row which names this one and its attempt, the session
 * is here, and the reader does steps 3 and 4. If the old row is gone the session ended before the switch, and the pending
 * row never becomes a session. If it names another attempt, that one's session has ended since.
 *
 * A moved row keeps its subject. By it a deletion of the subject's sessions sees that one of them has moved.
 */
export class ShardedRenewal {
  readonly #statements: RenewalStatements;

  /** @param store The store that renews. */
  constructor(store: object, statements: RenewalStatements) {
    sharded.add(store);
    this.#statements = statements;
  }

  /** Whether a store renews in this way. It cannot be a shard of another such store: both would interpret its rows. */
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
    const subject = next.subject === undefined ? old?.subject : next.subject ?? undefined;
    let attempt = newNonce();
    let pending = { token: next.token, data: tagged(PENDING, token, attempt, next.data), expiry };
    if (!(await insert(pending, subject, now))) {
      // An earlier attempt at this renewal may have inserted the row. Any other row is another session.
      const there = await find(next.token, now);
      const row = there && parse(there.data);
      if (row?.kind !== PENDING || row.token !== token || !equalBytes(row.rest, next.data)) return false;
      attempt = row.attempt;
      pending = { ...pending, data: there!.data };
    }
    let moved = tagged(MOVED, next.token, attempt, next.mark && encodeMark(next.mark));
    if (!(await replace(token, expected, { data: moved, expiry }, now))) {
      // The earlier attempt may have replaced it. If that cannot be seen, this one is in doubt.
      const found = await find(token, now).catch(throwInDoubt);
      if (!isSwitch(found, next.token, attempt)) {
        await remove(next.token, pending.data, now);
        return false;
      }
      moved = found.data;
    }
    // From here on the new token works. If one of the last steps fails the next reader does it.
    await this.#complete(token, moved, pending, next.data, now).catch(() => {});
    return true;
  }

  /** Does steps 3 and 4. Gives `false` where the pending row was no longer there. */
  async #complete(
    oldToken: string,
    moved: Uint8Array,
    pending: StoredRow,
    data: Uint8Array,
    now: number,
  ): Promise<boolean> {
    const { replace, remove } = this.#statements;
    const { token, expiry } = pending;
    // Step 3 comes first: without the moved row nobody could tell that the pending one has become a session.
    if (!(await replace(token, pending.data, { data, expiry }, now))) return false;
    const mark = markIn(moved);
    const last = mark === undefined
      ? remove(oldToken, moved, now)
      : replace(oldToken, moved, { data: moved, expiry: mark.expiry }, now);
    await last.catch(() => {});
    return true;
  }

  /** Completes the renewal that has left a moved row. Gives `false` where the new row is still pending. */
  async settle(moved: Uint8Array, now: number): Promise<boolean> {
    const { token } = parse(moved)!;
    const { find } = this.#statements;
    const row = await find(token, now);
    if (!isPending(row)) return true;
    await this.resolve({ token, ...row }, now);
    return !isPending(await find(token, now));
  }

  /** Gives the session that a row stands for, or the mark; `undefined` where it stands for neither. */
  async resolve({ token, data, expiry }: StoredRow, now: number): Promise<StoredSession | undefined> {
    const row = parse(data);
    if (row === undefined) return { data, expiry };
    if (row.kind === MOVED) {
      const mark = markIn(data);
      return mark !== undefined && now < mark.expiry ? mark : undefined;
    }
    const { find } = this.#statements;
    const old = await find(row.token, now);
    const hasSwitched = isSwitch(old, token, row.attempt);
    if (hasSwitched && await this.#complete(row.token, old.data, { token, data, expiry }, row.rest, now)) {
      return { data: row.rest, expiry };
    }
    // Meanwhile another request may have completed the renewal, and changed, ended or renewed the session.
    const after = await find(token, now);
    // A driver that makes "no row" of an empty answer has written nothing.
    if (hasSwitched && after !== undefined && equalBytes(after.data, data)) return { data: row.rest, expiry };
    return after !== undefined && parse(after.data) === undefined ? after : undefined;
  }

  /** Gives each row that stands for a session, and with `marks` also each mark. */
  async *resolveAll(
    rows: AsyncIterable<StoredRow>,
    now: number,
    { marks }: { marks: boolean },
  ): AsyncGenerator<StoredRow, void, undefined> {
    for await (const row of rows) {
      const found = marks || !hasMoved(row.data) ? await this.resolve(row, now) : undefined;
      if (found !== undefined) yield { ...row, ...found };
    }
  }
}

/** Whether this is the data of a moved row. */
export function hasMoved(data: Uint8Array): boolean {
  return parse(data)?.kind === MOVED;
}

/** Whether a row is a pending one. */
function isPending(row: StoredSession | undefined): row is StoredSession {
  return row !== undefined && parse(row.data)?.kind === PENDING;
}

function throwInDoubt(error: unknown): never {
  throw asAmbiguous(error);
}

/** Whether a row is the moved one of this attempt to renew. */
function isSwitch(
  row: StoredSession | undefined,
  newToken: string,
  attempt: string,
): row is StoredSession {
  const moved = row && parse(row.data);
  return moved?.kind === MOVED && moved.token === newToken && moved.attempt === attempt;
}

/** What the data of a pending row and of a moved row hold. */
interface Tagged {
  kind: number;
  /** The token of the other row. */
  token: string;
  /** Tells an attempt to renew from all others. */
  attempt: string;
  rest: Uint8Array;
}

const NONCE_LENGTH = 12;
const NOTHING = new Uint8Array();

function tagged(kind: number, token: string, attempt: string, rest: Uint8Array = NOTHING): Uint8Array {
  const names = new TextEncoder().encode(attempt + token);
  return new Uint8Array([...TAG, kind, names.length, ...names, ...rest]);
}

function parse(data: Uint8Array): Tagged | undefined {
  if (!equalBytes(data.subarray(0, TAG.length), TAG)) return undefined;
  const [kind, length] = [data[TAG.length]!, data[TAG.length + 1]!];
  const start = TAG.length + 2;
  const names = new TextDecoder().decode(data.subarray(start, start + length));
  const [attempt, token] = [names.slice(0, NONCE_LENGTH), names.slice(NONCE_LENGTH)];
  return { kind, token, attempt, rest: data.slice(start + length) };
}

/** How many bytes of a moved row hold the expiry of its mark. The data of the mark follows. */
const EXPIRY_BYTES = 8;

function encodeMark({ data, expiry }: StoredSession): Uint8Array {
  const bytes = new Uint8Array(EXPIRY_BYTES + data.length);
  new DataView(bytes.buffer).setFloat64(0, expiry);
  bytes.set(data, EXPIRY_BYTES);
  return bytes;
}

/** The mark in the data of a moved row; `undefined` where the renewal left none. */
function markIn(moved: Uint8Array): StoredSession | undefined {
  const rest = parse(moved)?.rest;
  if (rest === undefined || rest.length < EXPIRY_BYTES) return undefined;
  return { data: rest.slice(EXPIRY_BYTES), expiry: new DataView(rest.buffer).getFloat64(0) };
}

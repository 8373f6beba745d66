import type { StoredRow } from "../core/store.ts";
import { equalBytes } from "../core/bytes/equal.ts";
import { inDoubt } from "../core/store/failure.ts";

/** A session under its new token. */
export interface RenewedRow extends StoredRow {
  /** Whose session it is; absent: as before. */
  subject?: string | null | undefined;
}

/** The statements that a renewal is made of, each atomic and on one shard. */
export interface RenewalStatements {
  /** The data of a live row. */
  find(token: string, now: number): Promise<Uint8Array | undefined>;
  /** The subject of a row, as far as it has one. */
  subjectOf(token: string): Promise<string | undefined>;
  /** `false` where the token exists, which is then left alone. */
  insert(row: RenewedRow): Promise<boolean>;
  /** Replaces data and expiry of a live row that holds the expected data. */
  replace(
    token: string,
    expected: Uint8Array,
    data: Uint8Array,
    expiry: number,
    now: number,
  ): Promise<boolean>;
  /** Deletes a row that holds the expected data. */
  remove(token: string, expected: Uint8Array): Promise<void>;
}

/** No codec starts its bytes with a zero. */
const MARK = new TextEncoder().encode("\0x-sessions:");
const PENDING = "P".charCodeAt(0);
const MOVED = "M".charCodeAt(0);

/** How the data of a row begins that has moved to another token: no session, but the proof of where it is. */
export const MOVED_MARK: Uint8Array = new Uint8Array([...MARK, MOVED]);

/**
 * Renewal where a token cannot be changed in place and the two rows lie on different shards, so that not even a
 * transaction is sure to write both or none.
 *
 * 1. A row is inserted under the new token that says "pending, from the old token". It counts for nothing.
 * 2. The old row is replaced, if it still holds the expected data, by "moved to the new token". This one
 *    statement is the switch: before it only the old token works, after it only the new one.
 * 3. The pending row is replaced by the session itself.
 * 4. The old row is deleted.
 *
 * Whoever finds a pending row looks at the old one: if that has moved there, the row counts, and step 3 is made
 * up for. A pending row whose old one is gone never counts: the session ended before the switch.
 */
export class ShardedRenewal {
  readonly #statements: RenewalStatements;

  constructor(statements: RenewalStatements) {
    this.#statements = statements;
  }

  /** As `AtomicStore.update` with a new token. */
  async renew(token: string, expected: Uint8Array, next: RenewedRow, now: number): Promise<boolean> {
    const { find, subjectOf, insert, replace, remove } = this.#statements;
    const pending = mark(PENDING, token, next.data);
    const moved = mark(MOVED, next.token);
    const subject = next.subject === undefined ? await subjectOf(token) : next.subject;
    const inserted = await insert({ ...next, data: pending, subject });
    // An earlier delivery of the same statement may have inserted it; any other row is another session.
    if (!inserted && !sameBytes(await find(next.token, now), pending)) return false;
    const switched = await replace(token, expected, moved, next.expiry, now);
    // No row may have been hit because an earlier delivery of the same statement did it.
    if (!switched && !sameBytes(await find(token, now).catch(throwInDoubt), moved)) {
      await remove(next.token, pending);
      return false;
    }
    // From here on the new token works; what follows is made up for by whoever reads it.
    await this.#complete(token, { ...next, data: pending }, next.data, now).catch(() => {});
    return true;
  }

  /** The last two steps. `false` where the pending row was no longer there. */
  async #complete(old: string, pending: StoredRow, data: Uint8Array, now: number): Promise<boolean> {
    const { replace, remove } = this.#statements;
    const { token, expiry } = pending;
    // The old row is what proves that the pending one counts: it stays until that is sure to be completed.
    if (!(await replace(token, pending.data, data, expiry, now))) return false;
    await remove(old, mark(MOVED, token)).catch(() => {});
    return true;
  }

  /** The session in a row; `undefined` where the row does not count. */
  async resolve({ token, data, expiry }: StoredRow, now: number): Promise<Uint8Array | undefined> {
    const marked = parse(data);
    if (marked === undefined) return data;
    if (marked.kind === MOVED) return undefined;
    const { find } = this.#statements;
    const counts = sameBytes(await find(marked.token, now), mark(MOVED, token));
    if (counts && await this.#complete(marked.token, { token, data, expiry }, marked.data, now)) {
      return marked.data;
    }
    // Between the looks the renewal may have been completed, and the session changed, ended or renewed again.
    const seen = await find(token, now);
    if (counts && sameBytes(seen, data)) return marked.data;
    return seen !== undefined && parse(seen) === undefined ? seen : undefined;
  }
}

/** Where nothing can be seen the switch may have happened. */
function throwInDoubt(error: unknown): never {
  throw inDoubt(error);
}

function mark(kind: number, token: string, data: Uint8Array = new Uint8Array()): Uint8Array {
  const name = new TextEncoder().encode(token);
  return new Uint8Array([...MARK, kind, name.length, ...name, ...data]);
}

function parse(data: Uint8Array): { kind: number; token: string; data: Uint8Array } | undefined {
  if (!equalBytes(data.subarray(0, MARK.length), MARK)) return undefined;
  const [kind, length] = [data[MARK.length]!, data[MARK.length + 1]!];
  const start = MARK.length + 2;
  const token = new TextDecoder().decode(data.subarray(start, start + length));
  return { kind, token, data: data.slice(start + length) };
}

function sameBytes(a: Uint8Array | undefined, b: Uint8Array): boolean {
  return a !== undefined && equalBytes(a, b);
}

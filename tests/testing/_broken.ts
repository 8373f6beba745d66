/** Parts of the broken stores. */
import type { NextRow, StoredRow } from "../../mod.ts";
import { MemoryStore } from "../../stores/memory.ts";
import type { StoreContractOptions } from "../../testing/mod.ts";
import type { FullStore } from "../backends.ts";

/** The methods in which a broken store differs from the right one. */
export type Breakage = (right: MemoryStore) => Partial<FullStore>;

export interface Broken {
  /** The mistake. */
  name: string;
  breakage: Breakage;
  /** The cases that find it. */
  found: string[];
  options?: Pick<StoreContractOptions, "maxBytes" | "maxExpiry">;
}

export function broken(breakage: Breakage): FullStore {
  const right = new MemoryStore({ cleanup: "off" });
  return {
    timeout: right.timeout,
    find: (...args) => right.find(...args),
    commit: (...args) => right.commit(...args),
    delete: (...args) => right.delete(...args),
    create: (...args) => right.create(...args),
    update: (...args) => right.update(...args),
    touch: (...args) => right.touch(...args),
    all: (...args) => right.all(...args),
    deleteExpired: (...args) => right.deleteExpired(...args),
    findBySubject: (...args) => right.findBySubject(...args),
    deleteBySubject: (...args) => right.deleteBySubject(...args),
    stopCleanup: () => right.stopCleanup(),
    ...breakage(right),
  };
}

export const sameBytes = (a: Uint8Array, b: Uint8Array) => a.toHex() === b.toHex();
/** Lets other calls run: if a read and a write are two steps, they run in between. */
export const turn = () => new Promise<void>((resolve) => queueMicrotask(resolve));
/** A moment at which nothing has expired. */
export const EVER = { now: 0 };

export async function byToken(rows: AsyncIterable<StoredRow>): Promise<StoredRow[]> {
  return (await Array.fromAsync(rows)).sort((a, b) => a.token < b.token ? -1 : 1);
}

/** Every row, the expired ones included. */
export const rowsOf = (right: MemoryStore) => byToken(right.all(EVER));

/** An `update` without its checks. */
export async function write(right: MemoryStore, token: string, next: NextRow): Promise<boolean> {
  const { token: newToken = token, data, subject } = next;
  const expiry = next.expiry ?? (await right.find(token, EVER))?.expiry ?? 0;
  if (newToken !== token) await right.delete(token);
  await right.commit(newToken, data, expiry, { now: 0, subject: subject ?? undefined });
  return true;
}

/** Pages of 100 rows. `next` is wrong about where the next page begins. */
export async function* paged(
  rows: () => Promise<StoredRow[]>,
  next: (rows: StoredRow[], last: string) => StoredRow[],
): AsyncGenerator<StoredRow, void, undefined> {
  let last: string | undefined;
  for (let page = 0; page < 20; page++) {
    const all = await rows();
    const found = (last === undefined ? all : next(all, last)).slice(0, 100);
    yield* found;
    if (found.length < 100) return;
    last = found.at(-1)!.token;
  }
}

/**
 * Stores that break one promise each, to check that the model notices.
 * @module
 */

import type { NextRow, StoredSession, SubjectStore, TimedOptions } from "../../../mod.ts";
import { MemoryStore } from "../../../stores/memory.ts";

type Find = TimedOptions;

/** Like SCS's `Commit`: the last write wins, also over a logout. */
class UpsertingStore extends MemoryStore {
  override async update(token: string, _expected: Uint8Array, next: NextRow, options: TimedOptions) {
    const { token: newToken = token, data, expiry = (await this.find(token, options))?.expiry ?? Infinity } =
      next;
    await this.commit(newToken, data, expiry, { now: options.now });
    if (newToken !== token) await this.delete(token);
    return true;
  }
}

class OverwritingStore extends MemoryStore {
  override async update(token: string, _expected: Uint8Array, next: NextRow, options: TimedOptions) {
    const found = await this.find(token, options);
    return found !== undefined && await super.update(token, found.data, next, options);
  }
}

class CopyingStore extends MemoryStore {
  override async update(token: string, expected: Uint8Array, next: NextRow, options: TimedOptions) {
    const before = await this.find(token, options);
    const updated = await super.update(token, expected, next, options);
    if (updated && next.token !== token) await this.commit(token, before!.data, before!.expiry, options);
    return updated;
  }
}

class RevivingStore extends MemoryStore {
  readonly #seen = new Map<string, StoredSession>();

  override async find(token: string, options: Find) {
    const found = await super.find(token, options);
    if (found !== undefined) this.#seen.set(token, found);
    return found;
  }

  override async touch(token: string, expiry: number, options: TimedOptions) {
    if (await super.find(token, options)) return await super.touch(token, expiry, options);
    const seen = this.#seen.get(token);
    if (seen !== undefined) await this.commit(token, seen.data, expiry, options);
  }
}

class UndyingStore extends MemoryStore {
  override async find(token: string, _options: Find) {
    const found = await super.find(token, { now: 0 });
    return found && { ...found, expiry: Number.MAX_SAFE_INTEGER };
  }
}

class ConfusedStore extends MemoryStore {
  override async find(token: string, options: Find) {
    const found = await super.find(token, options);
    if (found !== undefined) return found;
    for await (const row of this.all(options)) return row;
  }
}

class ForgetfulStore extends MemoryStore {
  override async deleteBySubject(
    subject: string,
    options: Parameters<SubjectStore["deleteBySubject"]>[1] = {},
  ) {
    for await (const { token } of this.findBySubject(subject, { now: 0 })) {
      if (token !== options.except) return Number(await this.delete(token));
    }
    return 0;
  }
}

class HastyStore extends MemoryStore {
  override async deleteExpired({ now, ...options }: Parameters<MemoryStore["deleteExpired"]>[0]) {
    return await super.deleteExpired({ ...options, now: now + 30 * 60_000 });
  }
}

/** The promise that each breaks, the store, and how many runs certainly notice it; 1,000 by default. */
export const brokenStores: readonly { what: string; open(): MemoryStore; within?: number }[] = [
  { what: "a lost update when update() is an upsert", open: () => new UpsertingStore({ cleanup: "off" }) },
  {
    what: "a lost update when update() does not compare the bytes",
    open: () => new OverwritingStore({ cleanup: "off" }),
  },
  {
    what: "two working tokens when a renewal leaves the old row",
    open: () => new CopyingStore({ cleanup: "off" }),
  },
  {
    what: "a revived session when touch() inserts",
    open: () => new RevivingStore({ cleanup: "off" }),
    // It takes 125 runs on average, and one time in some thousands more than 1,000.
    within: 10_000,
  },
  {
    what: "an expired session when find() ignores the expiry",
    open: () => new UndyingStore({ cleanup: "off" }),
  },
  {
    what: "another session's data when find() takes any row",
    open: () => new ConfusedStore({ cleanup: "off" }),
  },
  {
    what: "a session that survives when deleteBySubject() ends only one",
    open: () => new ForgetfulStore({ cleanup: "off" }),
  },
  { what: "a missing session when deleteExpired() is early", open: () => new HastyStore({ cleanup: "off" }) },
];

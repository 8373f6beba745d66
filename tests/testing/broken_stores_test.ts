/** The contract finds each of these mistakes: a store that makes one fails the cases named beside it. */
import type { NextRow, SessionStore, StoredRow } from "../../mod.ts";
import { MemoryStore } from "../../stores/memory.ts";
import { storeContract, type StoreContractOptions } from "../../testing/mod.ts";
import { assert, assertEquals, assertRejects, assertThrows } from "../assert.ts";
import type { FullStore } from "../backends.ts";

/** What a broken store does otherwise than the right one that it stands on. */
type Breakage = (right: MemoryStore) => Partial<FullStore>;

interface Broken {
  /** The mistake, as one would make it. */
  name: string;
  breakage: Breakage;
  /** Cases that find it. */
  found: string[];
  options?: Pick<StoreContractOptions, "maxBytes" | "maxExpiry">;
}

function broken(breakage: Breakage): FullStore {
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

function casesOf(breakage: Breakage, options: Broken["options"] = {}): Map<string, () => Promise<void>> {
  const cases = storeContract({ name: "broken", open: () => broken(breakage), ...options });
  return new Map(cases.map(({ name, run }) => [name.replace(/^broken: /, ""), run]));
}

function threeMethods(): SessionStore {
  const { find, commit, delete: remove } = broken(() => ({}));
  return { find, commit, delete: remove };
}

const sameBytes = (a: Uint8Array, b: Uint8Array) => a.toHex() === b.toHex();
/** Lets everything that waits have its turn: where a look and a write are two steps, others come in between. */
const turn = () => new Promise<void>((resolve) => queueMicrotask(resolve));
/** A moment at which nothing has expired. */
const EVER = { now: 0 };

async function byToken(rows: AsyncIterable<StoredRow>): Promise<StoredRow[]> {
  return (await Array.fromAsync(rows)).sort((a, b) => a.token < b.token ? -1 : 1);
}

/** Every row, the expired ones included. */
const rowsOf = (right: MemoryStore) => byToken(right.all(EVER));

/** `update` as it would be without one of its checks. */
async function write(right: MemoryStore, token: string, next: NextRow): Promise<boolean> {
  const { subject, ...row } = next;
  if (row.token !== token) await right.delete(token);
  await right.commit(row.token, row.data, row.expiry, { now: 0, subject: subject ?? undefined });
  return true;
}

/** Pages of 100, by a store that has made a mistake about where the next one begins. */
async function* paged(
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

const BROKEN: Broken[] = [
  {
    name: "update() is an upsert",
    breakage: (right) => ({
      async update(token, expected, next, options) {
        const found = await right.find(token, options);
        if (found !== undefined && !sameBytes(found.data, expected)) return false;
        return await write(right, token, next);
      },
    }),
    found: [
      "update() is false where there is no session, and makes none",
      "update() brings no deleted session back",
      "update() is false from the expiry on, and brings no expired session back",
    ],
  },
  {
    name: "update() pays no heed to the expected bytes",
    breakage: (right) => ({
      async update(token, _expected, next, options) {
        const found = await right.find(token, options);
        return found !== undefined && await write(right, token, next);
      },
    }),
    found: ["update() is false where the bytes are others, and leaves the session alone"],
  },
  {
    name: "update() compares the expected bytes as text without regard to case",
    breakage: (right) => ({
      async update(token, expected, next, options) {
        const textOf = (data: Uint8Array) => new TextDecoder("latin1").decode(data).toLowerCase();
        const found = await right.find(token, options);
        if (found === undefined || textOf(found.data) !== textOf(expected)) return false;
        return await right.update(token, found.data, next, options);
      },
    }),
    found: ["update() is false where the bytes are others, and leaves the session alone"],
  },
  {
    name: "update() brings an expired session back",
    breakage: (right) => ({
      update: (token, expected, next) => right.update(token, expected, next, EVER),
    }),
    found: ["update() is false from the expiry on, and brings no expired session back"],
  },
  {
    name: "update() takes a session for live at its expiry",
    breakage: (right) => ({
      update: (token, expected, next, { now }) => right.update(token, expected, next, { now: now - 1 }),
    }),
    found: ["update() is false from the expiry on, and brings no expired session back"],
  },
  {
    name: "update() looks first and writes later",
    breakage: (right) => ({
      async update(token, expected, next, options) {
        const found = await right.find(token, options);
        await turn();
        return found !== undefined && sameBytes(found.data, expected) && await write(right, token, next);
      },
    }),
    found: [
      "update() by twenty at once that expect the same bytes is true for one of them, whose data it is",
      "update() by ten at once with tokens of their own is true for one of them, whose token alone lives",
      "delete() that meets an update() ends the session",
      "an update() that meets a renewal: one of the two is made, and one token lives",
    ],
  },
  {
    name: "update() is false where it changes nothing",
    breakage: (right) => ({
      update: async (token, expected, next, options) =>
        await right.update(token, expected, next, options) && !sameBytes(expected, next.data),
    }),
    found: ["update() is true also where it changes nothing"],
  },
  {
    name: "a renewal leaves the old token",
    breakage: (right) => ({
      async update(token, expected, next, options) {
        const found = await right.find(token, options);
        const updated = await right.update(token, expected, next, options);
        if (updated && next.token !== token) await right.commit(token, expected, found!.expiry, options);
        return updated;
      },
    }),
    found: [
      "update() with a new token moves the session: the old token is dead, the new one lives",
      "update() by ten at once with tokens of their own is true for one of them, whose token alone lives",
    ],
  },
  {
    name: "a renewal ends the session whose token it takes",
    breakage: (right) => ({
      async update(token, expected, next, options) {
        const found = await right.find(token, options);
        if (found === undefined || !sameBytes(found.data, expected)) return false;
        return await write(right, token, next);
      },
    }),
    found: ["update() onto a token that exists is false, and both sessions stay as they are"],
  },
  {
    name: "a renewal deletes first and inserts later",
    breakage: (right) => ({
      async update(token, expected, next, options) {
        const found = await right.find(token, options);
        if (found === undefined || !sameBytes(found.data, expected)) return false;
        if (next.token === token) return await right.update(token, expected, next, options);
        await right.delete(token);
        return await right.create(next.token, next.data, next.expiry, options);
      },
    }),
    found: ["update() onto a token that exists is false, and both sessions stay as they are"],
  },
  {
    name: "create() overwrites",
    breakage: (right) => ({
      create: async (...args) => {
        await right.commit(...args);
        return true;
      },
    }),
    found: [
      "create() is false where the token exists, and leaves the session alone",
      "create() by twenty at once is true for one of them, whose session it is",
    ],
  },
  {
    name: "create() looks first and writes later",
    breakage: (right) => ({
      async create(token, data, expiry, options) {
        if (await right.find(token, options) !== undefined) return false;
        await turn();
        await right.commit(token, data, expiry, options);
        return true;
      },
    }),
    found: ["create() by twenty at once is true for one of them, whose session it is"],
  },
  {
    name: "find() takes a session for live at its expiry",
    breakage: (right) => ({ find: (token, { now }) => right.find(token, { now: now - 1 }) }),
    found: ["a session is live up to the millisecond before its expiry, and dead from the expiry on"],
  },
  {
    name: "find() deletes what has expired",
    breakage: (right) => ({
      async find(token, options) {
        const found = await right.find(token, options);
        if (found === undefined) await right.delete(token);
        return found;
      },
    }),
    found: ["find() deletes nothing, not even what has expired"],
  },
  {
    name: "find() and touch() go by a clock of the store's own",
    breakage: (right) => ({
      find: (token) => right.find(token, { now: Date.now() }),
      touch: (token, expiry) => right.touch(token, expiry, { now: Date.now() }),
    }),
    found: [
      "the clock of the caller decides, never one of the store's",
      "the clock of the caller decides for writes as well",
      "a session is live up to the millisecond before its expiry, and dead from the expiry on",
    ],
  },
  {
    name: "an expiry is kept in whole seconds",
    breakage: (right) => ({
      commit: (token, data, expiry, options) =>
        right.commit(token, data, Math.ceil(expiry / 1_000) * 1_000, options),
    }),
    found: [
      "find() gives the bytes and the expiry that commit() was given, as often as it is called",
      "a session is live up to the millisecond before its expiry, and dead from the expiry on",
      "times that differ by a millisecond stay apart all over a day",
    ],
  },
  {
    name: "an expiry is kept in 32 bits of seconds",
    breakage: (right) => ({
      commit: (token, data, expiry, options) =>
        right.commit(token, data, ((expiry / 1_000) | 0) * 1_000 + expiry % 1_000, options),
    }),
    found: [
      "an expiry far in the future is kept to the millisecond, or refused where the store cannot hold it",
    ],
  },
  {
    name: "an expiry beyond what the store can hold is cut in silence",
    breakage: (right) => ({
      commit: (token, data, expiry, options) =>
        right.commit(token, data, Math.min(expiry, Date.UTC(2038, 0, 19, 3, 14, 7, 999)), options),
    }),
    found: [
      "an expiry far in the future is kept to the millisecond, or refused where the store cannot hold it",
    ],
  },
  {
    name: "touch() moves an expiry back",
    breakage: (right) => ({
      async touch(token, expiry, options) {
        const found = await right.find(token, options);
        if (found !== undefined) await right.update(token, found.data, { token, ...found, expiry }, options);
      },
    }),
    found: [
      "touch() never moves an expiry back",
      "touch() by ten at once leaves the latest expiry",
    ],
  },
  {
    name: "touch() brings an expired session back",
    breakage: (right) => ({ touch: (token, expiry) => right.touch(token, expiry, EVER) }),
    found: ["touch() brings no expired session back, not even at the very millisecond of its expiry"],
  },
  {
    name: "touch() takes a session for live at its expiry",
    breakage: (right) => ({
      touch: (token, expiry, { now }) => right.touch(token, expiry, { now: now - 1 }),
    }),
    found: ["touch() brings no expired session back, not even at the very millisecond of its expiry"],
  },
  {
    name: "touch() makes a session",
    breakage: (right) => ({
      async touch(token, expiry, options) {
        const found = await right.find(token, options);
        if (found === undefined) await right.commit(token, new Uint8Array(), expiry, options);
        else await right.touch(token, expiry, options);
      },
    }),
    found: ["touch() makes no session, and brings none back that was deleted or renewed"],
  },
  {
    name: "touch() writes the data that it has read",
    breakage: (right) => ({
      async touch(token, expiry, options) {
        const found = await right.find(token, options);
        if (found === undefined || found.expiry >= expiry) return;
        await turn();
        await right.commit(token, found.data, expiry, options);
      },
    }),
    found: [
      "touch() that meets an update() undoes nothing of it",
      "delete() that meets a touch() ends the session",
      "touch() that meets a renewal brings the old token not back",
      "deleteExpired() that meets a touch() spares the session or ends it, and never both",
    ],
  },
  {
    name: "touch() empties the data",
    breakage: (right) => ({
      async touch(token, expiry, options) {
        const found = await right.find(token, options);
        if (found !== undefined && found.expiry < expiry) {
          await right.commit(token, new Uint8Array(), expiry, options);
        }
      },
    }),
    found: ["touch() moves an expiry forward, to the millisecond, and leaves the data alone"],
  },
  {
    name: "tokens are compared without regard to case",
    breakage: (right) => ({
      async find(token, options) {
        const rows = await rowsOf(right);
        const row = rows.find((row) => row.token.toLowerCase() === token.toLowerCase());
        return row && await right.find(row.token, options);
      },
    }),
    found: [
      "a token finds and deletes its own session and no similar one",
      "tokens that differ in case alone are sessions of their own",
    ],
  },
  {
    name: "tokens are compared without regard to trailing blanks, by delete() and update() alone",
    breakage: (right) => ({
      delete: (token) => right.delete(token.trimEnd()),
      update: (token, ...args) => right.update(token.trimEnd(), ...args),
    }),
    found: [
      "a token finds and deletes its own session and no similar one",
      "a token updates and touches its own session and no similar one",
    ],
  },
  {
    name: "a token is cut to 43 characters",
    breakage: (right) => ({ find: (token, options) => right.find(token.slice(0, 43), options) }),
    found: ["a token finds and deletes its own session and no similar one"],
  },
  {
    name: "a token is a key of a plain object",
    breakage: () => {
      const rows: Record<string, { data: Uint8Array; expiry: number }> = {};
      return {
        find: (token) => Promise.resolve(rows[token] && { ...rows[token] }),
        commit: (token, data, expiry) => Promise.resolve(void (rows[token] = { data, expiry })),
      };
    },
    found: ["a token finds and deletes its own session and no similar one"],
  },
  {
    name: "delete() deletes nothing",
    breakage: () => ({ delete: () => Promise.resolve(true) }),
    found: ["delete() ends one session and tells whether it did", "update() brings no deleted session back"],
  },
  {
    name: "delete() says that it deleted what was not there",
    breakage: (right) => ({
      async delete(token) {
        await right.delete(token);
        return true;
      },
    }),
    found: [
      "delete() ends one session and tells whether it did",
      "delete() by twenty at once is true for one of them",
    ],
  },
  {
    name: "commit() leaves what is there",
    breakage: (right) => ({
      async commit(...args) {
        await right.create(...args);
      },
    }),
    found: ["commit() overwrites data and expiry, also with an earlier expiry and with the same bytes"],
  },
  {
    name: "data is kept as text",
    breakage: (right) => ({
      commit: (token, data, ...args) =>
        right.commit(token, new TextEncoder().encode(new TextDecoder().decode(data)), ...args),
    }),
    found: ["any bytes come back as they are"],
  },
  {
    name: "an empty session is none",
    breakage: (right) => ({
      async find(token, options) {
        const found = await right.find(token, options);
        return found?.data.length ? found : undefined;
      },
    }),
    found: ["any bytes come back as they are"],
  },
  {
    name: "data is cut at 65,535 bytes",
    breakage: (right) => ({
      commit: (token, data, ...args) => right.commit(token, data.slice(0, 65_535), ...args),
    }),
    found: ["larger data is stored whole or refused, never cut"],
  },
  {
    name: "data of the size that the store says it holds is refused",
    breakage: (right) => ({
      commit: (token, data, ...args) =>
        data.length > 65_535 ? Promise.reject(new Error("too large")) : right.commit(token, data, ...args),
    }),
    options: { maxBytes: 65_536 },
    found: ["data of the size that the store says it holds comes back whole"],
  },
  {
    name: "larger data is refused after the session was deleted",
    breakage: (right) => ({
      async commit(token, data, ...args) {
        await right.delete(token);
        if (data.length > 65_535) throw new Error("too large");
        await right.commit(token, data, ...args);
      },
    }),
    found: ["larger data in place of other data is stored whole or refused, and then the other data stays"],
  },
  {
    name: "the buffer is kept in place of the bytes",
    breakage: (right) => ({
      commit: (token, data, ...args) => right.commit(token, new Uint8Array(data.buffer), ...args),
    }),
    found: ["bytes that are a part of a larger buffer are stored without the rest of it"],
  },
  {
    name: "bytes are shared with the caller",
    breakage: () => {
      const rows = new Map<string, { data: Uint8Array; expiry: number }>();
      return {
        find: (token) => Promise.resolve(rows.get(token)),
        commit: (token, data, expiry) => Promise.resolve(void rows.set(token, { data, expiry })),
      };
    },
    found: ["bytes are the store's own: what the caller does to them later changes nothing"],
  },
  {
    name: "all() skips a session at each border of a page",
    breakage: (right) => ({
      all: (options) =>
        paged(
          async () => await byToken(right.all(options)),
          (rows, last) => rows.filter(({ token }) => token > last).slice(1),
        ),
    }),
    found: ["all() gives each of 450 sessions once, also while they are deleted"],
  },
  {
    name: "findBySubject() skips a session at each border of a page",
    breakage: (right) => ({
      findBySubject: (subject, options) =>
        paged(
          async () => await byToken(right.findBySubject(subject, options)),
          (rows, last) => rows.filter(({ token }) => token > last).slice(1),
        ),
    }),
    found: ["findBySubject() gives each of 450 sessions once, also while they are deleted"],
  },
  {
    name: "all() gives a session twice at each border of a page",
    breakage: (right) => ({
      all: (options) =>
        paged(
          async () => await byToken(right.all(options)),
          (rows, last) => rows.filter(({ token }) => token >= last),
        ),
    }),
    found: ["all() gives each of 450 sessions once, also while they are deleted"],
  },
  {
    name: "all() counts the rows that it has passed, and so skips some when others are deleted",
    breakage: (right) => ({
      async *all({ now }) {
        for (let offset = 0;; offset += 100) {
          const rows = (await rowsOf(right)).filter(({ expiry }) => now < expiry);
          const page = rows.slice(offset, offset + 100);
          yield* page;
          if (page.length < 100) return;
        }
      },
    }),
    found: ["all() gives each of 450 sessions once, also while they are deleted"],
  },
  {
    name: "all() ends at a page that expired rows have made short",
    breakage: (right) => ({
      async *all({ now }) {
        const rows = await rowsOf(right);
        for (let offset = 0; offset < rows.length; offset += 100) {
          const live = rows.slice(offset, offset + 100).filter(({ expiry }) => now < expiry);
          yield* live;
          if (live.length < 100) return;
        }
      },
    }),
    found: ["all() gives each of 450 sessions once, also while they are deleted"],
  },
  {
    name: "all() gives expired sessions",
    breakage: (right) => ({ all: () => right.all(EVER) }),
    found: ["all() gives every live session with its token, data and expiry, and no expired one"],
  },
  {
    name: "all() goes on for ever while sessions are written",
    breakage: (right) => ({
      async *all(options) {
        const seen = new Map<string, number>();
        for (let round = 0; round < 3; round++) {
          for await (const row of right.all(options)) {
            if (seen.get(row.token) === row.expiry) continue;
            seen.set(row.token, row.expiry);
            yield row;
          }
        }
      },
    }),
    found: ["all() comes to an end, and gives no session twice, while each is written anew"],
  },
  {
    name: "deleteExpired() takes what expires a millisecond later",
    breakage: (right) => ({
      deleteExpired: (options) => right.deleteExpired({ ...options, now: options.now + 1 }),
    }),
    found: [
      "deleteExpired() deletes what has expired, at the very millisecond too, and tells how many",
      "deleteExpired() spares what expired less than the grace ago",
    ],
  },
  {
    name: "deleteExpired() leaves what expires at this very millisecond",
    breakage: (right) => ({
      deleteExpired: (options) => right.deleteExpired({ ...options, now: options.now - 1 }),
    }),
    found: ["deleteExpired() deletes what has expired, at the very millisecond too, and tells how many"],
  },
  {
    name: "deleteExpired() takes live sessions",
    breakage: (right) => ({
      deleteExpired: (options) => right.deleteExpired({ ...options, now: Infinity }),
    }),
    found: ["deleteExpired() leaves every live session alone"],
  },
  {
    name: "deleteExpired() pays no heed to the limit",
    breakage: (right) => ({ deleteExpired: ({ now, grace }) => right.deleteExpired({ now, grace }) }),
    found: ["deleteExpired() deletes at most as many as its limit says, until none is left"],
  },
  {
    name: "deleteExpired() pays no heed to the grace",
    breakage: (right) => ({ deleteExpired: ({ now, limit }) => right.deleteExpired({ now, limit }) }),
    found: ["deleteExpired() spares what expired less than the grace ago"],
  },
  {
    name: "deleteExpired() tells of one more than it deleted",
    breakage: (right) => ({ deleteExpired: async (options) => await right.deleteExpired(options) + 1 }),
    found: ["deleteExpired() deletes what has expired, at the very millisecond too, and tells how many"],
  },
  {
    name: "deleteExpired() counts what another one deletes",
    breakage: (right) => ({
      async deleteExpired({ now, limit = 1_000 }) {
        const rows = (await rowsOf(right)).filter(({ expiry }) => expiry <= now).slice(0, limit);
        await turn();
        for (const { token } of rows) await right.delete(token);
        return rows.length;
      },
    }),
    found: ["deleteExpired() by four at once deletes each expired session once, and no live one"],
  },
  {
    name: "deleteExpired() deletes by the expiry that it has read",
    breakage: (right) => {
      const first = new Map<string, number>();
      return {
        commit(token, data, expiry, options) {
          if (!first.has(token)) first.set(token, expiry);
          return right.commit(token, data, expiry, options);
        },
        async deleteExpired({ now }) {
          let deleted = 0;
          for (const [token, expiry] of first) if (expiry <= now && await right.delete(token)) deleted++;
          return deleted;
        },
      };
    },
    found: ["deleteExpired() goes by the expiry as it is now, not as it was"],
  },
  {
    name: "subjects are compared without regard to case",
    breakage: (right) => ({
      commit: (token, data, expiry, { subject, ...options }) =>
        right.commit(token, data, expiry, { ...options, subject: subject?.toLowerCase() }),
      findBySubject: (subject, options) => right.findBySubject(subject.toLowerCase(), options),
      deleteBySubject: (subject, options) => right.deleteBySubject(subject.toLowerCase(), options),
    }),
    found: ["a subject stands for itself and for no similar one"],
  },
  {
    name: "subjects are compared in another normal form",
    breakage: (right) => ({
      commit: (token, data, expiry, { subject, ...options }) =>
        right.commit(token, data, expiry, { ...options, subject: subject?.normalize() }),
      findBySubject: (subject, options) => right.findBySubject(subject.normalize(), options),
      deleteBySubject: (subject, options) => right.deleteBySubject(subject.normalize(), options),
    }),
    found: ["a subject stands for itself and for no similar one"],
  },
  {
    name: "subjects are cut at 254 characters",
    breakage: (right) => ({
      commit: (token, data, expiry, { subject, ...options }) =>
        right.commit(token, data, expiry, { ...options, subject: subject?.slice(0, 254) }),
      findBySubject: (subject, options) => right.findBySubject(subject.slice(0, 254), options),
      deleteBySubject: (subject, options) => right.deleteBySubject(subject.slice(0, 254), options),
    }),
    found: ["a subject stands for itself and for no similar one"],
  },
  {
    name: "update() without a subject empties it",
    breakage: (right) => ({
      update: (token, expected, next, options) =>
        right.update(token, expected, { ...next, subject: next.subject ?? null }, options),
    }),
    found: ["update() without a subject leaves it alone, with one sets it, and with null empties it"],
  },
  {
    name: "update() takes null for no subject",
    breakage: (right) => ({
      update: (token, expected, next, options) =>
        right.update(token, expected, { ...next, subject: next.subject ?? undefined }, options),
    }),
    found: ["update() without a subject leaves it alone, with one sets it, and with null empties it"],
  },
  {
    name: "a renewal loses the subject",
    breakage: (right) => ({
      update: (token, expected, next, options) =>
        right.update(token, expected, next.token === token ? next : { subject: null, ...next }, options),
    }),
    found: ["update() without a subject leaves it alone, with one sets it, and with null empties it"],
  },
  {
    name: "commit() without a subject empties it",
    breakage: (right) => ({
      async commit(token, ...args) {
        await right.delete(token);
        await right.commit(token, ...args);
      },
    }),
    found: ["commit() with a subject changes it, and without one leaves it alone"],
  },
  {
    name: "findBySubject() gives expired sessions",
    breakage: (right) => ({ findBySubject: (subject) => right.findBySubject(subject, EVER) }),
    found: ["findBySubject() gives the live sessions of the subject and no other"],
  },
  {
    name: "deleteBySubject() pays no heed to the exception",
    breakage: (right) => ({ deleteBySubject: (subject) => right.deleteBySubject(subject) }),
    found: ["deleteBySubject() spares the token that it is told to, which may be nobody's or another's"],
  },
  {
    name: "deleteBySubject() compares the exception without regard to case",
    breakage: (right) => ({
      async deleteBySubject(subject, options = {}) {
        const except = (await rowsOf(right))
          .find(({ token }) => token.toLowerCase() === options.except?.toLowerCase())?.token;
        return await right.deleteBySubject(subject, { except });
      },
    }),
    found: ["deleteBySubject() spares the token that it is told to, which may be nobody's or another's"],
  },
  {
    name: "deleteBySubject() looks first and deletes later",
    breakage: (right) => ({
      async deleteBySubject(subject) {
        const rows = await Array.fromAsync(right.findBySubject(subject, EVER));
        await turn();
        for (const { token } of rows) await right.delete(token);
        return rows.length;
      },
    }),
    found: ["deleteBySubject() that meets updates and renewals leaves no session of the subject"],
  },
  {
    name: "stopCleanup() throws when it is called again",
    breakage: () => {
      let stopped = false;
      return {
        stopCleanup() {
          if (stopped) throw new Error("stopped already");
          stopped = true;
        },
      };
    },
    found: ["stopCleanup() may be called at any time and more than once, and the store goes on"],
  },
  {
    name: "nothing is stored after stopCleanup()",
    breakage: (right) => {
      let stopped = false;
      return {
        stopCleanup: () => stopped = true,
        commit: (...args) => stopped ? Promise.resolve() : right.commit(...args),
      };
    },
    found: ["stopCleanup() may be called at any time and more than once, and the store goes on"],
  },
  {
    name: "find() gives an empty session where there is none",
    breakage: (right) => ({
      find: async (token, options) =>
        await right.find(token, options) ?? { data: new Uint8Array(), expiry: options.now + 1 },
    }),
    found: ["find() gives undefined where there is no session"],
  },
  {
    name: "find() answers out of a cache, also with primary: true",
    breakage: (right) => {
      const cache = new Map<string, Awaited<ReturnType<MemoryStore["find"]>>>();
      return {
        async find(token, options) {
          if (!cache.has(token)) cache.set(token, await right.find(token, options));
          return cache.get(token);
        },
      };
    },
    found: ["find() sees what was last written when asked with primary: true"],
  },
  {
    name: "a deleted token is remembered as dead",
    breakage: (right) => {
      const dead = new Set<string>();
      return {
        delete(token) {
          dead.add(token);
          return right.delete(token);
        },
        find: (token, options) => dead.has(token) ? Promise.resolve(undefined) : right.find(token, options),
      };
    },
    found: ["a deleted token can be used again"],
  },
  {
    name: "commit() leaves an expired session",
    breakage: (right) => ({
      async commit(token, data, expiry, options) {
        const row = (await rowsOf(right)).find((row) => row.token === token);
        if (row === undefined || options.now < row.expiry) await right.commit(token, data, expiry, options);
      },
    }),
    found: ["commit() writes over a session that has expired"],
  },
  {
    name: "commit() writes data and expiry in two steps",
    breakage: () => {
      const [data, expiries] = [new Map<string, Uint8Array>(), new Map<string, number>()];
      return {
        async commit(token, bytes, expiry) {
          data.set(token, bytes);
          for (let turns = expiry % 7; turns > 0; turns--) await turn();
          expiries.set(token, expiry);
        },
        find: (token) => Promise.resolve({ data: data.get(token)!, expiry: expiries.get(token)! }),
      };
    },
    found: ["commit() of one token by twenty at once leaves one of them whole"],
  },
  {
    name: "a time beyond 2038 fails",
    breakage: (right) => ({
      find: (token, options) =>
        options.now > 2 ** 31 * 1_000
          ? Promise.reject(new Error("out of range"))
          : right.find(token, options),
    }),
    found: ["now may be far in the future, whatever the store can hold"],
  },
  {
    name: "a time beyond 2038 is taken for one in 2038",
    breakage: (right) => ({
      find: (token, { now }) => right.find(token, { now: now > 2 ** 31 * 1_000 ? 0 : now }),
    }),
    found: ["now may be far in the future, whatever the store can hold"],
  },
  {
    name: "a write under a token with a trailing blank goes to the one without",
    breakage: (right) => ({ commit: (token, ...args) => right.commit(token.trimEnd(), ...args) }),
    found: ["a write under a similar or a hostile token harms no other session"],
  },
  {
    name: "create() takes another token for this one that differs in case alone",
    breakage: (right) => ({
      async create(token, ...args) {
        const rows = await rowsOf(right);
        if (rows.some((row) => row.token.toLowerCase() === token.toLowerCase())) return false;
        return await right.create(token, ...args);
      },
    }),
    found: ["create() and renewal tell apart tokens that differ in case alone"],
  },
  {
    name: "create() makes nothing and says that it did",
    breakage: () => ({ create: () => Promise.resolve(true) }),
    found: ["create() makes a session where there is none"],
  },
  {
    name: "create() keeps data as text",
    breakage: (right) => ({
      create: (token, data, ...args) =>
        right.create(token, new TextEncoder().encode(new TextDecoder().decode(data)), ...args),
    }),
    found: ["any bytes can be created, expected by an update, and written by it"],
  },
  {
    name: "update() compares the expected bytes as text",
    breakage: (right) => ({
      async update(token, expected, next, options) {
        const found = await right.find(token, options);
        const textOf = (data?: Uint8Array) => new TextDecoder("utf-8", { fatal: true }).decode(data);
        try {
          if (textOf(found?.data) !== textOf(expected)) return false;
        } catch {
          return false;
        }
        return await right.update(token, expected, next, options);
      },
    }),
    found: ["any bytes can be created, expected by an update, and written by it"],
  },
  {
    name: "update() shares bytes with the caller",
    breakage: (right) => {
      const shared = new Map<string, Uint8Array>();
      return {
        async update(token, expected, next, options) {
          const updated = await right.update(token, expected, next, options);
          if (updated) shared.set(next.token, next.data);
          return updated;
        },
        async find(token, options) {
          const found = await right.find(token, options);
          return found && { ...found, data: shared.get(token) ?? found.data };
        },
      };
    },
    found: ["bytes of create() and update() are the store's own as well"],
  },
  {
    name: "update() never makes an expiry earlier",
    breakage: (right) => ({
      async update(token, expected, next, options) {
        const { expiry } = await right.find(token, options) ?? { expiry: 0 };
        return await right.update(
          token,
          expected,
          { ...next, expiry: Math.max(expiry, next.expiry) },
          options,
        );
      },
    }),
    found: ["update() replaces data and expiry where the bytes are those expected"],
  },
  {
    name: "a token can be renewed once",
    breakage: (right) => {
      const seen = new Set<string>();
      return {
        update(token, expected, next, options) {
          if (next.token !== token && seen.has(next.token)) return Promise.resolve(false);
          seen.add(token);
          return right.update(token, expected, next, options);
        },
      };
    },
    found: ["update() with a new token can move the session with its bytes as they are, and more than once"],
  },
  {
    name: "a renewal looks whether the new token is free, and writes later",
    breakage: (right) => ({
      async update(token, expected, next, options) {
        if (next.token === token) return await right.update(token, expected, next, options);
        if (await right.find(next.token, options) !== undefined) return false;
        const found = await right.find(token, options);
        if (found === undefined || !sameBytes(found.data, expected)) return false;
        await turn();
        return await write(right, token, next);
      },
    }),
    found: [
      "update() onto one new token by two sessions at once is true for one of them, and the other stays",
    ],
  },
  {
    name: "a renewal inserts first, and is refused too late",
    breakage: (right) => ({
      async update(token, expected, next, options) {
        if (next.token === token) return await right.update(token, expected, next, options);
        const found = await right.find(token, options);
        if (found === undefined || !sameBytes(found.data, expected)) return false;
        if (!(await right.create(next.token, next.data, next.expiry, options))) return false;
        return await right.delete(token);
      },
    }),
    found: ["delete() that meets a renewal ends the old token, and the new one lives if the renewal says so"],
  },
  {
    name: "all() gives what is no session",
    breakage: () => ({
      async *all({ now }) {
        await turn();
        yield { token: "", data: new Uint8Array(), expiry: now + 1 };
      },
    }),
    found: ["all() of an empty store gives nothing"],
  },
  {
    name: "listings share bytes with the caller",
    breakage: (right) => {
      const shared = new Map<string, Uint8Array>();
      const share = (token: string, data: Uint8Array) =>
        shared.get(token) ?? shared.set(token, data).get(token)!;
      return {
        async *all(options) {
          for await (const row of right.all(options)) yield { ...row, data: share(row.token, row.data) };
        },
        async *findBySubject(subject, options) {
          for await (const row of right.findBySubject(subject, options)) {
            yield { ...row, data: share(row.token, row.data) };
          }
        },
        async find(token, options) {
          const found = await right.find(token, options);
          return found && { ...found, data: share(token, found.data) };
        },
      };
    },
    found: [
      "all() gives bytes that are the caller's own",
      "findBySubject() gives bytes that are the caller's own",
    ],
  },
  {
    name: "create() pays no heed to the subject",
    breakage: (right) => ({
      create: (token, data, expiry, { now }) => right.create(token, data, expiry, { now }),
    }),
    found: ["create() says whose session it is"],
  },
  {
    name: "create() and update() write the subject also where they are refused",
    breakage: (right) => ({
      async create(token, data, expiry, options) {
        if (await right.create(token, data, expiry, options)) return true;
        const found = await right.find(token, options);
        if (found !== undefined) await right.commit(token, found.data, found.expiry, options);
        return false;
      },
      async update(token, expected, next, options) {
        if (await right.update(token, expected, next, options)) return true;
        const found = await right.find(token, options);
        const subject = next.subject ?? undefined;
        if (found !== undefined) await right.commit(token, found.data, found.expiry, { ...options, subject });
        return false;
      },
    }),
    found: [
      "create() that is refused leaves the subject alone",
      "update() that is refused leaves the subject alone",
    ],
  },
  {
    name: "touch() empties the subject",
    breakage: (right) => ({
      async touch(token, expiry, options) {
        const found = await right.find(token, options);
        if (found === undefined || found.expiry >= expiry) return;
        await right.update(token, found.data, { token, data: found.data, expiry, subject: null }, options);
      },
    }),
    found: ["touch() leaves the subject alone"],
  },
  {
    name: "deleteBySubject() takes sessions of nobody",
    breakage: (right) => ({
      async deleteBySubject(subject, options) {
        const named = new Set<string>();
        for (const name of ["zoe", "max"]) {
          for await (const { token } of right.findBySubject(name, EVER)) named.add(token);
        }
        for (const { token } of await rowsOf(right)) if (!named.has(token)) await right.delete(token);
        return await right.deleteBySubject(subject, options);
      },
    }),
    found: ["deleteBySubject() ends the sessions of the subject and no other, and tells how many"],
  },
  {
    name: "findBySubject() gives a session again when it was written",
    breakage: (right) => ({
      async *findBySubject(subject, options) {
        for (let round = 0; round < 2; round++) yield* right.findBySubject(subject, options);
      },
    }),
    found: ["findBySubject() comes to an end, and gives no session twice, while each is updated"],
  },
];

for (const { name, breakage, found, options } of BROKEN) {
  Deno.test(`storeContract() finds a store where ${name}`, async () => {
    const cases = casesOf(breakage, options);
    for (const title of found) {
      const run = cases.get(title);
      assert(run !== undefined, `there is no case: ${title}`);
      const error = await assertRejects(run, Error, undefined, `passed although broken: ${title}`);
      // Of what it was that went wrong, not of some method that is missing.
      assert(!(error instanceof TypeError), `${title}: ${error.stack}`);
    }
  });
}

Deno.test("storeContract() passes the store that the broken ones stand on", async () => {
  for (const run of casesOf(() => ({})).values()) await run();
});

Deno.test("storeContract() has no case that none of these broken stores fails", () => {
  const found = new Set(BROKEN.flatMap(({ found }) => found));
  assertEquals([...casesOf(() => ({})).keys()].filter((title) => !found.has(title)), []);
});

Deno.test("storeContract() gives each case another name, and a store of its own that is closed again", async () => {
  const [opened, closed] = [new Set<MemoryStore>(), new Set<MemoryStore>()];
  const cases = storeContract({
    name: "MemoryStore",
    open() {
      const store = new MemoryStore({ cleanup: "off" });
      opened.add(store);
      return store;
    },
    close: (store) => void closed.add(store),
  });
  assertEquals(opened.size, 0);
  assertEquals(new Set(cases.map(({ name }) => name)).size, cases.length);
  for (const { name, run } of cases.slice(0, 5)) {
    assert(name.startsWith("MemoryStore: "));
    await run();
  }
  assertEquals([opened.size, closed.size], [5, 5]);
});

Deno.test("storeContract() closes the store of a case that fails, and says what was expected and what came", async () => {
  const closed: unknown[] = [];
  const [first] = storeContract({
    name: "broken",
    open: () => broken(() => ({ find: () => Promise.resolve({ data: Uint8Array.of(1, 255), expiry: 5 }) })),
    close: (store) => void closed.push(store),
  });
  const error = await assertRejects(first!.run, Error);
  assertEquals(
    error.message,
    "in an empty store: expected undefined, got { data: 2 bytes (01ff), expiry: 5 }",
  );
  assertEquals(closed.length, 1);
});

Deno.test("storeContract() lists what a store lacks as skipped, with the reason, and runs nothing of it", async () => {
  const options = { name: "three methods", open: threeMethods };
  const reason = "it has three methods";
  const without = { atomic: reason, listing: reason, purging: reason, subjects: reason, cleanup: reason };
  const cases = storeContract({ ...options, without });
  assertEquals(cases.length, storeContract(options).length);
  const skipped = cases.filter(({ skipped }) => skipped !== undefined);
  assert(skipped.length > 30 && skipped.length < cases.length - 15);
  for (const { name, skipped: why, run } of skipped) {
    assert(name.endsWith(`(skipped: ${reason})`));
    assertEquals(why, reason);
    await run();
  }
  for (const { name, skipped } of cases) {
    if (/touch\(\)|all\(\)|BySubject|deleteExpired|stopCleanup/.test(name)) {
      assertEquals(skipped, reason, name);
    }
  }
});

Deno.test("storeContract() fails a store that lacks a method without saying why, and names method and ability", async () => {
  const cases = storeContract({ name: "three methods", open: threeMethods });
  const errors = new Set<string>();
  for (const { run } of cases) await run().catch((error) => errors.add(error.message));
  assertEquals([...errors].sort(), [
    "the store has no method all(): write it, or say in without.listing why not",
    "the store has no method create(): write it, or say in without.atomic why not",
    "the store has no method deleteExpired(): write it, or say in without.purging why not",
    "the store has no method findBySubject(): write it, or say in without.subjects why not",
    "the store has no method stopCleanup(): write it, or say in without.cleanup why not",
  ]);
});

Deno.test("storeContract() refuses a gap without a reason, and a limit that is none", () => {
  const open = () => new MemoryStore({ cleanup: "off" });
  for (const reason of ["", " "]) {
    assertThrows(
      () => storeContract({ name: "s", open, without: { atomic: reason } }),
      TypeError,
      "without.atomic must say why",
    );
  }
  for (const limit of ["maxBytes", "maxExpiry"]) {
    for (const value of [0, -1, NaN]) {
      assertThrows(
        () => storeContract({ name: "s", open, [limit]: value }),
        TypeError,
        `${limit} must be above 0, got ${value}`,
      );
    }
  }
});

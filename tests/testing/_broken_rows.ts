/** Mistakes about the expiry, the token and the data of a row. */
import type { MemoryStore } from "../../stores/memory.ts";
import { type Broken, rowsOf, turn } from "./_broken.ts";

export const BROKEN_ROWS: Broken[] = [
  {
    name: "find() treats a session as live at its expiry",
    breakage: (right) => ({ find: (token, { now }) => right.find(token, { now: now - 1 }) }),
    found: ["a session is live up to the millisecond before its expiry, and dead from the expiry on"],
  },
  {
    name: "find() treats a session as dead a millisecond before its expiry",
    breakage: (right) => ({ find: (token, { now }) => right.find(token, { now: now + 1 }) }),
    found: ["a session is live up to the millisecond before its expiry, and dead from the expiry on"],
  },
  {
    name: "find() returns any session",
    breakage: (right) => ({ find: async () => (await rowsOf(right))[0] }),
    found: ["find() returns undefined if there is no session"],
  },
  {
    name: "delete() deletes every session",
    breakage: (right) => ({
      async delete(token) {
        const found = await right.delete(token);
        if (found) { for (const row of await rowsOf(right)) await right.delete(row.token); }
        return found;
      },
    }),
    found: ["delete() ends one session and returns whether it did"],
  },
  {
    name: "an expiry that the store must hold is refused",
    breakage: (right) => ({
      commit: (token, data, expiry, options) =>
        expiry > 2 ** 31 * 1_000
          ? Promise.reject(new Error("out of range"))
          : right.commit(token, data, expiry, options),
    }),
    found: [
      "an expiry far in the future is kept to the millisecond, or refused if the store cannot hold it",
    ],
  },
  {
    name: "an expiry that the store need not hold is cut silently",
    breakage: (right) => ({
      commit: (token, data, expiry, options) =>
        right.commit(token, data, Math.min(expiry, Date.UTC(2038, 0, 19, 3, 14, 7, 999)), options),
    }),
    options: { maxExpiry: Date.UTC(2038, 0, 19, 3, 14, 7, 999) },
    found: [
      "an expiry far in the future is kept to the millisecond, or refused if the store cannot hold it",
    ],
  },
  {
    name: "find() deletes expired sessions",
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
    name: "an expiry is kept in whole seconds",
    breakage: (right) => ({
      commit: (token, data, expiry, options) =>
        right.commit(token, data, Math.ceil(expiry / 1_000) * 1_000, options),
    }),
    found: [
      "find() returns the data and expiry of commit(), on every call",
      "a session is live up to the millisecond before its expiry, and dead from the expiry on",
      "times that differ by a millisecond stay distinct throughout a day",
    ],
  },
  {
    name: "an expiry is kept in 32 bits of seconds",
    breakage: (right) => ({
      commit: (token, data, expiry, options) =>
        right.commit(token, data, ((expiry / 1_000) | 0) * 1_000 + expiry % 1_000, options),
    }),
    found: [
      "an expiry far in the future is kept to the millisecond, or refused if the store cannot hold it",
    ],
  },
  {
    name: "an expiry that the store cannot hold is cut silently",
    breakage: (right) => ({
      commit: (token, data, expiry, options) =>
        right.commit(token, data, Math.min(expiry, Date.UTC(2038, 0, 19, 3, 14, 7, 999)), options),
    }),
    found: [
      "an expiry far in the future is kept to the millisecond, or refused if the store cannot hold it",
    ],
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
      "tokens that differ only in case are different sessions",
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
    found: ["delete() ends one session and returns whether it did", "update() revives no deleted session"],
  },
  {
    name: "delete() returns true for a missing session",
    breakage: (right) => ({
      async delete(token) {
        await right.delete(token);
        return true;
      },
    }),
    found: [
      "delete() ends one session and returns whether it did",
      "of twenty concurrent delete() calls one returns true",
    ],
  },
  {
    name: "commit() does not overwrite",
    breakage: (right) => ({
      async commit(...args) {
        await right.create(...args);
      },
    }),
    found: ["commit() overwrites data and expiry, even with an earlier expiry or the same bytes"],
  },
  {
    name: "data is kept as text",
    breakage: (right) => ({
      commit: (token, data, ...args) =>
        right.commit(token, new TextEncoder().encode(new TextDecoder().decode(data)), ...args),
    }),
    found: ["any bytes are read back unchanged"],
  },
  {
    name: "an empty session is lost",
    breakage: (right) => ({
      async find(token, options) {
        const found = await right.find(token, options);
        return found?.data.length ? found : undefined;
      },
    }),
    found: ["any bytes are read back unchanged"],
  },
  {
    name: "data is cut at 65,535 bytes",
    breakage: (right) => ({
      commit: (token, data, ...args) => right.commit(token, data.slice(0, 65_535), ...args),
    }),
    found: ["larger data is stored whole or refused, never cut"],
  },
  {
    name: "data of the largest size that the store holds is refused",
    breakage: (right) => ({
      commit: (token, data, ...args) =>
        data.length > 65_535 ? Promise.reject(new Error("too large")) : right.commit(token, data, ...args),
    }),
    options: { maxBytes: 65_536 },
    found: ["data up to the largest size that the store holds is read back whole"],
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
    found: ["larger data replaces other data whole, or is refused and the other data stays"],
  },
  {
    name: "the buffer is kept in place of the bytes",
    breakage: (right) => ({
      commit: (token, data, ...args) => right.commit(token, new Uint8Array(data.buffer), ...args),
    }),
    found: ["a view of a larger buffer is stored without the rest of the buffer"],
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
    found: ["the store keeps its own copy of the bytes, and returns copies"],
  },
  {
    name: "find() reads every row into one buffer",
    breakage: (right) => {
      const buffer = new Uint8Array(1_000_000);
      return {
        async find(token, options) {
          const found = await right.find(token, options);
          if (found === undefined) return undefined;
          buffer.set(found.data);
          return { data: buffer.subarray(0, found.data.length), expiry: found.expiry };
        },
      };
    },
    found: ["the store keeps its own copy of the bytes, and returns copies"],
  },
  {
    name: "find() returns an empty session if there is none",
    breakage: (right) => ({
      find: async (token, options) =>
        await right.find(token, options) ?? { data: new Uint8Array(), expiry: options.now + 1 },
    }),
    found: ["find() returns undefined if there is no session"],
  },
  {
    name: "find() reads from a cache, even with primary: true",
    breakage: (right) => {
      const cache = new Map<string, Awaited<ReturnType<MemoryStore["find"]>>>();
      return {
        async find(token, options) {
          if (!cache.has(token)) cache.set(token, await right.find(token, options));
          return cache.get(token);
        },
      };
    },
    found: ["find() with primary: true returns what was last written"],
  },
  {
    name: "a deleted token can never be used again",
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
    name: "commit() does not overwrite an expired session",
    breakage: (right) => ({
      async commit(token, data, expiry, options) {
        const row = (await rowsOf(right)).find((row) => row.token === token);
        if (row === undefined || options.now < row.expiry) await right.commit(token, data, expiry, options);
      },
    }),
    found: ["commit() overwrites an expired session"],
  },
  {
    name: "commit() writes data and expiry in two steps",
    breakage: () => {
      const [data, expiries] = [new Map<string, Uint8Array>(), new Map<string, number>()];
      let underWay = 0;
      return {
        async commit(token, bytes, expiry) {
          data.set(token, bytes);
          // Earlier calls continue later, so the last data ends up with the first expiry.
          for (let turns = 20 - underWay++; turns > 0; turns--) await turn();
          expiries.set(token, expiry);
          underWay--;
        },
        find: (token) => Promise.resolve({ data: data.get(token)!, expiry: expiries.get(token)! }),
      };
    },
    found: ["twenty concurrent commit() calls for one token leave one of them intact"],
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
    name: "a time beyond 2038 is read as one in 2038",
    breakage: (right) => ({
      find: (token, { now }) => right.find(token, { now: now > 2 ** 31 * 1_000 ? 0 : now }),
    }),
    found: ["now may be far in the future, whatever the store can hold"],
  },
  {
    name: "a write under a token with a trailing blank changes the token without it",
    breakage: (right) => ({ commit: (token, ...args) => right.commit(token.trimEnd(), ...args) }),
    found: ["a write under a similar or a hostile token harms no other session"],
  },
  {
    name: "find() with primary: true finds what was deleted",
    breakage: (right) => {
      const rows = new Map<string, { data: Uint8Array; expiry: number }>();
      return {
        commit: (token, data, expiry, options) => {
          rows.set(token, { data, expiry });
          return right.commit(token, data, expiry, options);
        },
        find: (token, options) =>
          options.primary ? Promise.resolve(rows.get(token)) : right.find(token, options),
      };
    },
    found: ["find() with primary: true returns what was last written"],
  },
  {
    name: "find() shares with the caller what it returns",
    breakage: (right) => {
      const found = new Map<string, { data: Uint8Array; expiry: number }>();
      return {
        async find(token, options) {
          const row = found.get(token) ?? await right.find(token, options);
          if (row !== undefined) found.set(token, row);
          return row;
        },
        commit(token, ...args) {
          found.delete(token);
          return right.commit(token, ...args);
        },
      };
    },
    found: ["the store keeps its own copy of the bytes, and returns copies"],
  },
  {
    name: "commit() keeps the bytes that it was given",
    breakage: (right) => {
      const given = new Map<string, Uint8Array>();
      return {
        commit(token, data, ...args) {
          given.set(token, data);
          return right.commit(token, data, ...args);
        },
        async find(token, options) {
          const found = await right.find(token, options);
          return found && { ...found, data: given.get(token)!.slice() };
        },
      };
    },
    found: ["the store keeps its own copy of the bytes, and returns copies"],
  },
  {
    name: "a refused commit() of larger data leaves the session of another token",
    breakage: (right) => ({
      async update(token, expected, next, options) {
        if (next.token === undefined || next.token === token || next.data.length < 70_000) {
          return await right.update(token, expected, next, options);
        }
        await right.commit(next.token, expected, next.expiry!, options);
        throw new Error("too large");
      },
    }),
    found: ["larger data replaces other data whole, or is refused and the other data stays"],
  },
  {
    name: "find() returns null if there is no session",
    breakage: (right) => ({
      find: async (token, options) => await right.find(token, options) ?? (null as unknown as undefined),
    }),
    found: ["find() returns undefined if there is no session"],
  },
];

/** Mistakes about rows: when one is live, under which token, with which bytes. */
import type { MemoryStore } from "../../stores/memory.ts";
import { type Broken, rowsOf, turn } from "./_broken.ts";

export const BROKEN_ROWS: Broken[] = [
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
      let underWay = 0;
      return {
        async commit(token, bytes, expiry) {
          data.set(token, bytes);
          // The sooner one came, the later it goes on: the last bytes meet with the first expiry.
          for (let turns = 20 - underWay++; turns > 0; turns--) await turn();
          expiries.set(token, expiry);
          underWay--;
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
];

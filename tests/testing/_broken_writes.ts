/** Mistakes about writes that say what they expect. */
import { type Broken, EVER, rowsOf, sameBytes, turn, write } from "./_broken.ts";

export const BROKEN_WRITES: Broken[] = [
  {
    name: "delete() of other bytes than expected says no, and deletes",
    breakage: (right) => ({
      async delete(token, { expected }: { expected?: Uint8Array } = {}) {
        const found = await right.find(token, EVER);
        const deleted = await right.delete(token);
        return deleted && (expected === undefined || sameBytes(found!.data, expected));
      },
    }),
    found: [
      "delete() with expected bytes deletes only a session that still holds them",
      "delete() with expected bytes that meets an update() of them ends the session, or leaves the update",
    ],
  },
  {
    name: "delete() with expected bytes looks first and deletes later",
    breakage: (right) => ({
      async delete(token, { expected }: { expected?: Uint8Array } = {}) {
        const found = await right.find(token, EVER);
        if (found === undefined || (expected && !sameBytes(found.data, expected))) return false;
        await turn();
        return await right.delete(token);
      },
    }),
    found: [
      "delete() with expected bytes that meets an update() of them ends the session, or leaves the update",
    ],
  },
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
        if (next.token === undefined) return await right.update(token, expected, next, options);
        await right.delete(token);
        return await right.create(next.token, next.data, next.expiry ?? found.expiry, options);
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
          if (updated) shared.set(next.token ?? token, next.data);
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
          { ...next, expiry: Math.max(expiry, next.expiry ?? 0) },
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
          if (next.token !== undefined && seen.has(next.token)) return Promise.resolve(false);
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
        if (next.token === undefined) return await right.update(token, expected, next, options);
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
        if (next.token === undefined) return await right.update(token, expected, next, options);
        const found = await right.find(token, options);
        if (found === undefined || !sameBytes(found.data, expected)) return false;
        if (!(await right.create(next.token!, next.data, next.expiry!, options))) return false;
        return await right.delete(token);
      },
    }),
    found: ["delete() that meets a renewal ends the old token, and the new one lives if the renewal says so"],
  },
  {
    name: "create() writes over a session that has expired",
    breakage: (right) => ({
      async create(token, data, expiry, options) {
        if (await right.find(token, options) === undefined) await right.delete(token);
        return await right.create(token, data, expiry, options);
      },
    }),
    found: ["create() is false where the token exists, also where it has expired"],
  },
  {
    name: "a renewal ends an expired session whose token it takes",
    breakage: (right) => ({
      async update(token, expected, next, options) {
        if (next.token !== undefined && await right.find(next.token, options) === undefined) {
          await right.delete(next.token);
        }
        return await right.update(token, expected, next, options);
      },
    }),
    found: ["update() onto a token that exists is false, also where it has expired"],
  },
  {
    name: "update() compares the length and both ends of the expected bytes",
    breakage: (right) => ({
      async update(token, expected, next, options) {
        const found = await right.find(token, options);
        const endsOf = (data: Uint8Array) =>
          `${data.length} ${data.slice(0, 8).toHex()} ${data.slice(-8).toHex()}`;
        const same = found !== undefined && endsOf(found.data) === endsOf(expected);
        return await right.update(token, same ? found.data : expected, next, options);
      },
    }),
    found: ["update() is false where a single byte is another one, wherever it is"],
  },
  {
    name: "update() without an expiry ends the session",
    breakage: (right) => ({
      update: (token, expected, next, options) =>
        right.update(token, expected, { ...next, expiry: next.expiry ?? 0 }, options),
    }),
    found: ["update() leaves the expiry alone where none is given, as touch() has left it too"],
  },
  {
    name: "update() without an expiry writes the one that the session was made with",
    breakage: (right) => {
      const first = new Map<string, number>();
      return {
        commit(token, data, expiry, options) {
          first.set(token, expiry);
          return right.commit(token, data, expiry, options);
        },
        update: (token, expected, next, options) =>
          right.update(token, expected, { expiry: first.get(token), ...next }, options),
      };
    },
    found: ["update() leaves the expiry alone where none is given, as touch() has left it too"],
  },
  {
    name: "update() takes the token that the session has for that of another one",
    breakage: (right) => ({
      async update(token, expected, next, options) {
        if (next.token !== undefined && await right.find(next.token, options) !== undefined) return false;
        return await right.update(token, expected, next, options);
      },
    }),
    found: [
      "update() with the token that the session has is no renewal, and leaves no mark",
      "update() is true also where it changes nothing",
    ],
  },
];

/** Mistakes about conditional writes. */
import { type Broken, EVER, rowsOf, sameBytes, turn, write } from "./_broken.ts";

export const BROKEN_WRITES: Broken[] = [
  {
    name: "delete() of other bytes than expected returns false, but deletes",
    breakage: (right) => ({
      async delete(token, { expected }: { expected?: Uint8Array } = {}) {
        const found = await right.find(token, EVER);
        const deleted = await right.delete(token);
        return deleted && (expected === undefined || sameBytes(found!.data, expected));
      },
    }),
    found: [
      "delete() with expected bytes deletes only a session that still holds them",
      "of a concurrent update() and delete() with expected bytes exactly one succeeds",
    ],
  },
  {
    name: "delete() with expected bytes reads first and deletes later",
    breakage: (right) => ({
      async delete(token, { expected }: { expected?: Uint8Array } = {}) {
        const found = await right.find(token, EVER);
        if (found === undefined || (expected && !sameBytes(found.data, expected))) return false;
        await turn();
        return await right.delete(token);
      },
    }),
    found: [
      "of a concurrent update() and delete() with expected bytes exactly one succeeds",
    ],
  },
  {
    name: "delete() with expected bytes deletes only other bytes",
    breakage: (right) => ({
      async delete(token, { expected }: { expected?: Uint8Array } = {}) {
        const found = await right.find(token, EVER);
        if (found !== undefined && expected !== undefined && sameBytes(found.data, expected)) return false;
        return await right.delete(token);
      },
    }),
    found: ["delete() with expected bytes deletes only a session that still holds them"],
  },
  {
    name: "update() in place is an upsert",
    breakage: (right) => ({
      async update(token, expected, next, options) {
        if ((next.token ?? token) !== token || await right.find(token, EVER) !== undefined) {
          return await right.update(token, expected, next, options);
        }
        return await write(right, token, next);
      },
    }),
    found: [
      "update() returns false if there is no session, and creates none",
      "update() revives no deleted session",
    ],
  },
  {
    name: "a renewal is an upsert",
    breakage: (right) => ({
      async update(token, expected, next, options) {
        if ((next.token ?? token) === token || await right.find(token, EVER) !== undefined) {
          return await right.update(token, expected, next, options);
        }
        return await write(right, token, next);
      },
    }),
    found: [
      "update() returns false if there is no session, and creates none",
      "update() revives no deleted session",
    ],
  },
  {
    name: "update() returns false where it may not write, but writes",
    breakage: (right) => ({
      async update(token, expected, next, options) {
        if (await right.update(token, expected, next, options)) return true;
        if ((next.token ?? token) === token) await write(right, token, next);
        return false;
      },
    }),
    found: [
      "update() returns false if the row holds other bytes, and leaves the session unchanged",
      "update() returns false if a single byte differs, wherever it is",
      "update() returns false if there is no session, and creates none",
      "update() revives no deleted session",
      "update() returns false from the expiry on, and revives no expired session",
    ],
  },
  {
    name: "a renewal that is refused leaves a row under the new token",
    breakage: (right) => ({
      async update(token, expected, next, options) {
        if (await right.update(token, expected, next, options)) return true;
        if (next.token !== undefined && next.token !== token) {
          await right.commit(next.token, next.data, next.expiry ?? options.now, options);
        }
        return false;
      },
    }),
    found: [
      "update() returns false if the row holds other bytes, and leaves the session unchanged",
      "update() returns false if there is no session, and creates none",
      "update() revives no deleted session",
      "update() returns false from the expiry on, and revives no expired session",
      "update() to an existing token returns false, and both sessions stay unchanged",
      "update() to an existing token returns false even if that token has expired",
    ],
  },
  {
    name: "a renewal that is refused deletes the session",
    breakage: (right) => ({
      async update(token, expected, next, options) {
        if (await right.update(token, expected, next, options)) return true;
        if (next.token !== undefined && next.token !== token) await right.delete(token);
        return false;
      },
    }),
    found: [
      "update() returns false if the row holds other bytes, and leaves the session unchanged",
      "update() returns false if a single byte differs, wherever it is",
      "update() to an existing token returns false, and both sessions stay unchanged",
      "update() to an existing token returns false even if that token has expired",
    ],
  },
  {
    name: "a renewal to an expired token overwrites that session and returns false",
    breakage: (right) => ({
      async update(token, expected, next, options) {
        if (await right.update(token, expected, next, options)) return true;
        if (next.token !== undefined && await right.find(next.token, options) === undefined) {
          await write(right, next.token, { ...next, token: undefined });
        }
        return false;
      },
    }),
    found: ["update() to an existing token returns false even if that token has expired"],
  },
  {
    name: "a renewal without an expiry gives the session a new hour",
    breakage: (right) => ({
      update: (token, expected, next, options) =>
        right.update(
          token,
          expected,
          next.token === undefined ? next : { expiry: options.now + 3_600_000, ...next },
          options,
        ),
    }),
    found: ["update() without an expiry keeps the current one, also after touch()"],
  },
  {
    name: "a renewal without an expiry keeps the old token live",
    breakage: (right) => ({
      async update(token, expected, next, options) {
        if (next.token === undefined || next.expiry !== undefined) {
          return await right.update(token, expected, next, options);
        }
        const found = await right.find(token, options);
        const updated = await right.update(token, expected, next, options);
        if (updated) await right.commit(token, expected, found!.expiry, options);
        return updated;
      },
    }),
    found: ["update() without an expiry keeps the current one, also after touch()"],
  },
  {
    name: "update() treats a session as dead a millisecond before its expiry",
    breakage: (right) => ({
      update: (token, expected, next, { now }) => right.update(token, expected, next, { now: now + 1 }),
    }),
    found: ["update() returns false from the expiry on, and revives no expired session"],
  },
  {
    name: "update() uses the store's own clock",
    breakage: (right) => ({
      update: (token, expected, next) => right.update(token, expected, next, { now: Date.now() }),
    }),
    found: ["the caller's clock also decides for writes"],
  },
  {
    name: "touch() spares what is over by the store's own clock",
    breakage: (right) => ({
      async touch(token, expiry, options) {
        if (await right.find(token, { now: Date.now() }) !== undefined) {
          await right.touch(token, expiry, options);
        }
      },
    }),
    found: ["the caller's clock also decides for writes"],
  },
  {
    name: "touch() ignores trailing blanks of tokens",
    breakage: (right) => ({ touch: (token, ...args) => right.touch(token.trimEnd(), ...args) }),
    found: ["a token updates and touches its own session and no similar one"],
  },
  {
    name: "a renewal of a token with a trailing blank renews the one without it",
    breakage: (right) => ({
      update: (token, expected, next, options) =>
        right.update(next.token === token ? token : token.trimEnd(), expected, next, options),
    }),
    found: ["a token updates and touches its own session and no similar one"],
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
      "update() returns false if there is no session, and creates none",
      "update() revives no deleted session",
      "update() returns false from the expiry on, and revives no expired session",
    ],
  },
  {
    name: "update() ignores the expected bytes",
    breakage: (right) => ({
      async update(token, _expected, next, options) {
        const found = await right.find(token, options);
        return found !== undefined && await write(right, token, next);
      },
    }),
    found: ["update() returns false if the row holds other bytes, and leaves the session unchanged"],
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
    found: ["update() returns false if the row holds other bytes, and leaves the session unchanged"],
  },
  {
    name: "update() revives an expired session",
    breakage: (right) => ({
      update: (token, expected, next) => right.update(token, expected, next, EVER),
    }),
    found: ["update() returns false from the expiry on, and revives no expired session"],
  },
  {
    name: "update() treats a session as live at its expiry",
    breakage: (right) => ({
      update: (token, expected, next, { now }) => right.update(token, expected, next, { now: now - 1 }),
    }),
    found: ["update() returns false from the expiry on, and revives no expired session"],
  },
  {
    name: "update() reads first and writes later",
    breakage: (right) => ({
      async update(token, expected, next, options) {
        const found = await right.find(token, options);
        await turn();
        return found !== undefined && sameBytes(found.data, expected) && await write(right, token, next);
      },
    }),
    found: [
      "of twenty concurrent update() calls with the same expected bytes one returns true, and its data is stored",
      "of ten concurrent renewals of one session one returns true, and only its token is live",
      "delete() ends a session that is updated at the same time",
      "of a concurrent update() and renewal one succeeds, and one token is live",
    ],
  },
  {
    name: "update() returns false if it changes nothing",
    breakage: (right) => ({
      update: async (token, expected, next, options) =>
        await right.update(token, expected, next, options) && !sameBytes(expected, next.data),
    }),
    found: ["update() returns true even if it changes nothing"],
  },
  {
    name: "a renewal keeps the old token live",
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
      "of ten concurrent renewals of one session one returns true, and only its token is live",
    ],
  },
  {
    name: "a renewal to an existing token overwrites that session",
    breakage: (right) => ({
      async update(token, expected, next, options) {
        const found = await right.find(token, options);
        if (found === undefined || !sameBytes(found.data, expected)) return false;
        return await write(right, token, next);
      },
    }),
    found: ["update() to an existing token returns false, and both sessions stay unchanged"],
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
    found: ["update() to an existing token returns false, and both sessions stay unchanged"],
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
      "create() returns false if the token exists, and leaves the session unchanged",
      "of twenty concurrent create() calls one returns true, and its data is stored",
    ],
  },
  {
    name: "create() reads first and writes later",
    breakage: (right) => ({
      async create(token, data, expiry, options) {
        if (await right.find(token, options) !== undefined) return false;
        await turn();
        await right.commit(token, data, expiry, options);
        return true;
      },
    }),
    found: ["of twenty concurrent create() calls one returns true, and its data is stored"],
  },
  {
    name: "find() and touch() use the store's own clock",
    breakage: (right) => ({
      find: (token) => right.find(token, { now: Date.now() }),
      touch: (token, expiry) => right.touch(token, expiry, { now: Date.now() }),
    }),
    found: [
      "the caller's clock decides, never the store's",
      "the caller's clock also decides for writes",
      "a session is live up to the millisecond before its expiry, and dead from the expiry on",
    ],
  },
  {
    name: "delete() spares what is over by the store's own clock",
    breakage: (right) => ({
      delete: async (token, options) =>
        await right.find(token, { now: Date.now() }) !== undefined && await right.delete(token, options),
    }),
    found: ["the caller's clock decides, never the store's"],
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
      "ten concurrent touch() calls leave the latest expiry",
    ],
  },
  {
    name: "touch() revives an expired session",
    breakage: (right) => ({ touch: (token, expiry) => right.touch(token, expiry, EVER) }),
    found: ["touch() revives no expired session, not even at the millisecond of its expiry"],
  },
  {
    name: "touch() treats a session as live at its expiry",
    breakage: (right) => ({
      touch: (token, expiry, { now }) => right.touch(token, expiry, { now: now - 1 }),
    }),
    found: ["touch() revives no expired session, not even at the millisecond of its expiry"],
  },
  {
    name: "touch() creates a session",
    breakage: (right) => ({
      async touch(token, expiry, options) {
        const found = await right.find(token, options);
        if (found === undefined) await right.commit(token, new Uint8Array(), expiry, options);
        else await right.touch(token, expiry, options);
      },
    }),
    found: ["touch() creates no session, and revives none that was deleted or renewed"],
  },
  {
    name: "touch() writes back data that it read before",
    breakage: (right) => ({
      async touch(token, expiry, options) {
        const found = await right.find(token, options);
        if (found === undefined || found.expiry >= expiry) return;
        await turn();
        await right.commit(token, found.data, expiry, options);
      },
    }),
    found: [
      "touch() undoes nothing of a concurrent update()",
      "delete() ends a session that is touched at the same time",
      "touch() does not revive the old token of a concurrent renewal",
      "deleteExpired() deletes a session or leaves it to a concurrent touch(), never both",
    ],
  },
  {
    name: "touch() clears the data",
    breakage: (right) => ({
      async touch(token, expiry, options) {
        const found = await right.find(token, options);
        if (found !== undefined && found.expiry < expiry) {
          await right.commit(token, new Uint8Array(), expiry, options);
        }
      },
    }),
    found: ["touch() moves an expiry forward, to the millisecond, and keeps the data"],
  },
  {
    name: "delete() and update() ignore trailing blanks of tokens",
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
    name: "create() takes a token for another one that differs only in case",
    breakage: (right) => ({
      async create(token, ...args) {
        const rows = await rowsOf(right);
        if (rows.some((row) => row.token.toLowerCase() === token.toLowerCase())) return false;
        return await right.create(token, ...args);
      },
    }),
    found: ["create() and renewal distinguish tokens that differ only in case"],
  },
  {
    name: "create() writes nothing and returns true",
    breakage: () => ({ create: () => Promise.resolve(true) }),
    found: ["create() creates a session if there is none"],
  },
  {
    name: "create() keeps data as text",
    breakage: (right) => ({
      create: (token, data, ...args) =>
        right.create(token, new TextEncoder().encode(new TextDecoder().decode(data)), ...args),
    }),
    found: ["any bytes can be created, expected by update() and written by it"],
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
    found: ["any bytes can be created, expected by update() and written by it"],
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
    found: ["create() and update() keep their own copies of the bytes"],
  },
  {
    name: "update() never moves an expiry back",
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
    found: ["update() replaces data and expiry if the row holds the expected bytes"],
  },
  {
    name: "a session can be renewed only once",
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
    found: ["update() with a new token can keep the bytes, and can move a session repeatedly"],
  },
  {
    name: "a renewal checks that the new token is free, and writes later",
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
      "of two sessions that move to one new token at once one moves, and the other stays",
    ],
  },
  {
    name: "a renewal inserts first and checks the old row later",
    breakage: (right) => ({
      async update(token, expected, next, options) {
        if (next.token === undefined) return await right.update(token, expected, next, options);
        const found = await right.find(token, options);
        if (found === undefined || !sameBytes(found.data, expected)) return false;
        if (!(await right.create(next.token!, next.data, next.expiry!, options))) return false;
        return await right.delete(token);
      },
    }),
    found: [
      "delete() during a renewal ends the old token, and the new one is live if the renewal returned true",
    ],
  },
  {
    name: "create() overwrites an expired session",
    breakage: (right) => ({
      async create(token, data, expiry, options) {
        if (await right.find(token, options) === undefined) await right.delete(token);
        return await right.create(token, data, expiry, options);
      },
    }),
    found: ["create() returns false if the token exists but has expired"],
  },
  {
    name: "a renewal to the token of an expired session overwrites it",
    breakage: (right) => ({
      async update(token, expected, next, options) {
        if (next.token !== undefined && await right.find(next.token, options) === undefined) {
          await right.delete(next.token);
        }
        return await right.update(token, expected, next, options);
      },
    }),
    found: ["update() to an existing token returns false even if that token has expired"],
  },
  {
    name: "update() compares only the length and both ends of the expected bytes",
    breakage: (right) => ({
      async update(token, expected, next, options) {
        const found = await right.find(token, options);
        const endsOf = (data: Uint8Array) =>
          `${data.length} ${data.slice(0, 8).toHex()} ${data.slice(-8).toHex()}`;
        const same = found !== undefined && endsOf(found.data) === endsOf(expected);
        return await right.update(token, same ? found.data : expected, next, options);
      },
    }),
    found: ["update() returns false if a single byte differs, wherever it is"],
  },
  {
    name: "update() without an expiry ends the session",
    breakage: (right) => ({
      update: (token, expected, next, options) =>
        right.update(token, expected, { ...next, expiry: next.expiry ?? 0 }, options),
    }),
    found: ["update() without an expiry keeps the current one, also after touch()"],
  },
  {
    name: "update() without an expiry writes the first expiry of the session",
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
    found: ["update() without an expiry keeps the current one, also after touch()"],
  },
  {
    name: "update() takes the session's own token for another session's",
    breakage: (right) => ({
      async update(token, expected, next, options) {
        if (next.token !== undefined && await right.find(next.token, options) !== undefined) return false;
        return await right.update(token, expected, next, options);
      },
    }),
    found: [
      "update() with the session's own token is no renewal, and leaves no mark",
      "update() returns true even if it changes nothing",
    ],
  },
  {
    name: "create() returns false if the token exists, but writes",
    breakage: (right) => ({
      async create(token, data, expiry, options) {
        const created = await right.create(token, data, expiry, options);
        if (!created) await right.commit(token, data, expiry, options);
        return created;
      },
    }),
    found: [
      "create() returns false if the token exists, and leaves the session unchanged",
      "create() returns false if the token exists but has expired",
      "of twenty concurrent create() calls one returns true, and its data is stored",
    ],
  },
  {
    name: "create() returns true where the token exists, and writes nothing",
    breakage: (right) => ({
      create: async (...args) => await right.create(...args) || true,
    }),
    found: [
      "create() returns false if the token exists, and leaves the session unchanged",
      "of twenty concurrent create() calls one returns true, and its data is stored",
    ],
  },
  {
    name: "update() that comes second returns false, but writes",
    breakage: (right) => {
      let last: { token: string; expected: Uint8Array } | undefined;
      return {
        async update(token, expected, next, options) {
          const updated = await right.update(token, expected, next, options);
          if (updated) last = { token, expected };
          else if (next.token === token && last?.token === token && sameBytes(last.expected, expected)) {
            await write(right, token, next);
          }
          return updated;
        },
      };
    },
    found: [
      "of twenty concurrent update() calls with the same expected bytes one returns true, and its data is stored",
    ],
  },
  {
    name: "update() returns true for all that expect the same bytes",
    breakage: (right) => {
      let last: Uint8Array | undefined;
      return {
        async update(token, expected, next, options) {
          const updated = await right.update(token, expected, next, options);
          if (updated) last = expected;
          return updated || last === expected;
        },
      };
    },
    found: [
      "of twenty concurrent update() calls with the same expected bytes one returns true, and its data is stored",
      "of ten concurrent renewals of one session one returns true, and only its token is live",
      "ten concurrent renewals leave the mark of the one that returned true",
    ],
  },
  {
    name: "update() returns false for an expired session, but prolongs it",
    breakage: (right) => ({
      async update(token, expected, next, options) {
        if (await right.find(token, options) === undefined && await right.find(token, EVER) !== undefined) {
          await right.commit(token, next.data, next.expiry!, options);
          return false;
        }
        return await right.update(token, expected, next, options);
      },
    }),
    found: ["update() returns false from the expiry on, and revives no expired session"],
  },
  {
    name: "a renewal deletes every other session",
    breakage: (right) => ({
      async update(token, expected, next, options) {
        const updated = await right.update(token, expected, next, options);
        if (!updated || next.token === undefined || next.token === token) return updated;
        const kept = [token, next.token];
        for (const row of await rowsOf(right)) {
          if (!kept.includes(row.token)) await right.delete(row.token);
        }
        return updated;
      },
    }),
    found: [
      "update() with a new token moves the session: the old token is dead, the new one lives",
      "update() with a new token leaves its mark under the old one until the mark expires",
      "update() with a new token and no mark leaves nothing under the old one, and keeps earlier marks",
    ],
  },
  {
    name: "touch() touches every session",
    breakage: (right) => ({
      async touch(_token, expiry, options) {
        for (const row of await rowsOf(right)) await right.touch(row.token, expiry, options);
      },
    }),
    found: ["touch() moves an expiry forward, to the millisecond, and keeps the data"],
  },
  {
    name: "touch() follows a session to its new token",
    breakage: (right) => {
      const moved = new Map<string, string>();
      return {
        async update(token, expected, next, options) {
          const updated = await right.update(token, expected, next, options);
          if (updated && next.token !== undefined) moved.set(token, next.token);
          return updated;
        },
        touch: (token, ...args) => right.touch(moved.get(token) ?? token, ...args),
      };
    },
    found: [
      "update() with a new token moves the session: the old token is dead, the new one lives",
      "touch() creates no session, and revives none that was deleted or renewed",
    ],
  },
  {
    name: "delete() takes no bytes for none given",
    breakage: (right) => ({
      delete: (token, options: { expected?: Uint8Array } = {}) =>
        right.delete(token, options.expected?.length === 0 ? {} : options),
    }),
    found: ["delete() with expected bytes deletes only a session that still holds them"],
  },
  {
    name: "delete() with expected bytes returns true although the session is gone",
    breakage: (right) => ({
      async delete(token, options: { expected?: Uint8Array } = {}) {
        return await right.delete(token, options) ||
          options.expected !== undefined && await right.find(token, EVER) === undefined;
      },
    }),
    found: [
      "delete() with expected bytes deletes only a session that still holds them",
    ],
  },
  {
    name: "delete() returns false for a session that was written lately, but deletes it",
    breakage: (right) => {
      const written = new Set<string>();
      return {
        async update(token, expected, next, options) {
          written.add(token);
          return await right.update(token, expected, next, options);
        },
        async touch(token, ...args) {
          written.add(token);
          await right.touch(token, ...args);
        },
        delete: async (token, options) => await right.delete(token, options) && !written.has(token),
      };
    },
    found: [
      "delete() ends a session that is updated at the same time",
      "delete() ends a session that is touched at the same time",
    ],
  },
  {
    name: "update() returns false for a session that was touched at the same time",
    breakage: (right) => {
      const touching = new Set<string>();
      return {
        async touch(token, ...args) {
          touching.add(token);
          await right.touch(token, ...args);
          await turn();
          touching.delete(token);
        },
        update: async (token, ...args) => !touching.has(token) && await right.update(token, ...args),
      };
    },
    found: [
      "touch() undoes nothing of a concurrent update()",
      "touch() does not revive the old token of a concurrent renewal",
    ],
  },
  {
    name: "touch() adds to the expiry",
    breakage: (right) => ({
      async touch(token, expiry, options) {
        const found = await right.find(token, options);
        await turn();
        const now = await right.find(token, options);
        const others = now && found ? now.expiry - found.expiry : 0;
        await right.touch(token, expiry + others, options);
      },
    }),
    found: ["touch() undoes nothing of a concurrent update()"],
  },
];

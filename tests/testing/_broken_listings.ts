/** Mistakes about listings, purges and subjects. */
import type { StoredRow } from "../../mod.ts";
import { type Broken, byToken, EVER, paged, rowsOf, turn } from "./_broken.ts";

export const BROKEN_LISTINGS: Broken[] = [
  {
    name: "listings yield a session a millisecond too long",
    breakage: (right) => ({
      all: ({ now, ...options }) => right.all({ ...options, now: now - 1 }),
      findBySubject: (subject, { now, ...options }) =>
        right.findBySubject(subject, { ...options, now: now - 1 }),
    }),
    found: ["all()", "findBySubject()"].map((name) =>
      `${name} yields a session up to the millisecond before its expiry`
    ),
  },
  {
    name: "listings use an index of expiries that touch() and update() do not maintain",
    breakage: (right) => {
      const expiries = new Map<string, number>();
      const isLive = ({ token }: StoredRow, now: number) => (expiries.get(token) ?? Infinity) > now;
      return {
        async commit(token, data, expiry, options) {
          expiries.set(token, expiry);
          await right.commit(token, data, expiry, options);
        },
        async *all(options) {
          for await (const row of right.all(options)) if (isLive(row, options.now)) yield row;
        },
        async *findBySubject(subject, options) {
          for await (const row of right.findBySubject(subject, options)) {
            if (isLive(row, options.now)) yield row;
          }
        },
      };
    },
    found: ["all()", "findBySubject()"].map((name) =>
      `${name} uses the expiry that touch() and update() wrote`
    ),
  },
  {
    name: "all() skips a session at each page boundary",
    breakage: (right) => ({
      all: (options) =>
        paged(
          async () => await byToken(right.all(options)),
          (rows, last) => rows.filter(({ token }) => token > last).slice(1),
        ),
    }),
    found: ["all() yields each of 450 sessions once, even while some are deleted"],
  },
  {
    name: "findBySubject() skips a session at each page boundary",
    breakage: (right) => ({
      findBySubject: (subject, options) =>
        paged(
          async () => await byToken(right.findBySubject(subject, options)),
          (rows, last) => rows.filter(({ token }) => token > last).slice(1),
        ),
    }),
    found: ["findBySubject() yields each of 1200 sessions once, even while some are deleted"],
  },
  {
    name: "all() yields a session twice at each page boundary",
    breakage: (right) => ({
      all: (options) =>
        paged(
          async () => await byToken(right.all(options)),
          (rows, last) => rows.filter(({ token }) => token >= last),
        ),
    }),
    found: ["all() yields each of 450 sessions once, even while some are deleted"],
  },
  {
    name: "all() pages by offset, and skips rows when others are deleted",
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
    found: ["all() yields each of 450 sessions once, even while some are deleted"],
  },
  {
    name: "all() ends at a page that is short because of expired rows",
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
    found: ["all() yields each of 450 sessions once, even while some are deleted"],
  },
  {
    name: "all() yields expired sessions",
    breakage: (right) => ({ all: () => right.all(EVER) }),
    found: ["all() yields every live session with its token, data and expiry, and no expired one"],
  },
  {
    name: "all() never ends while sessions are written",
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
    found: ["all() ends, and yields no session twice, while each is rewritten"],
  },
  {
    name: "deleteExpired() deletes sessions that expire a millisecond later",
    breakage: (right) => ({
      deleteExpired: (options) => right.deleteExpired({ ...options, now: options.now + 1 }),
    }),
    found: [
      "deleteExpired() deletes sessions from the millisecond of their expiry on, and returns how many",
      "deleteExpired() keeps sessions that expired less than grace ago",
    ],
  },
  {
    name: "deleteExpired() keeps sessions that expire in this millisecond",
    breakage: (right) => ({
      deleteExpired: (options) => right.deleteExpired({ ...options, now: options.now - 1 }),
    }),
    found: ["deleteExpired() deletes sessions from the millisecond of their expiry on, and returns how many"],
  },
  {
    name: "deleteExpired() deletes live sessions",
    breakage: (right) => ({
      deleteExpired: (options) => right.deleteExpired({ ...options, now: Infinity }),
    }),
    found: ["deleteExpired() deletes no live session"],
  },
  {
    name: "deleteExpired() counts sessions and deletes none",
    breakage: (right) => ({
      deleteExpired: async ({ now }) => (await rowsOf(right)).filter(({ expiry }) => expiry <= now).length,
    }),
    found: [
      "deleteExpired() deletes sessions from the millisecond of their expiry on, and returns how many",
      "deleteExpired() deletes at most as many sessions as limit, until none is left",
    ],
  },
  {
    name: "deleteExpired() deletes live sessions and does not count them",
    breakage: (right) => ({
      async deleteExpired(options) {
        const deleted = await right.deleteExpired(options);
        await right.deleteExpired({ now: Infinity });
        return deleted;
      },
    }),
    found: [
      "deleteExpired() deletes sessions from the millisecond of their expiry on, and returns how many",
      "deleteExpired() deletes no live session",
      "deleteExpired() keeps sessions that expired less than grace ago",
    ],
  },
  {
    name: "deleteExpired() ignores the limit",
    breakage: (right) => ({ deleteExpired: ({ now, grace }) => right.deleteExpired({ now, grace }) }),
    found: ["deleteExpired() deletes at most as many sessions as limit, until none is left"],
  },
  {
    name: "deleteExpired() ignores the grace",
    breakage: (right) => ({ deleteExpired: ({ now, limit }) => right.deleteExpired({ now, limit }) }),
    found: ["deleteExpired() keeps sessions that expired less than grace ago"],
  },
  {
    name: "deleteExpired() returns one more than it deleted",
    breakage: (right) => ({ deleteExpired: async (options) => await right.deleteExpired(options) + 1 }),
    found: ["deleteExpired() deletes sessions from the millisecond of their expiry on, and returns how many"],
  },
  {
    name: "deleteExpired() counts what another call deletes",
    breakage: (right) => ({
      async deleteExpired({ now, limit = 1_000 }) {
        const rows = (await rowsOf(right)).filter(({ expiry }) => expiry <= now).slice(0, limit);
        await turn();
        for (const { token } of rows) await right.delete(token);
        return rows.length;
      },
    }),
    found: ["four concurrent purges by deleteExpired() delete each expired session once, and no live one"],
  },
  {
    name: "deleteExpired() deletes by an expiry that it read before",
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
    found: ["deleteExpired() uses the current expiry, not an earlier one"],
  },
  {
    name: "subjects are compared without regard to case",
    breakage: (right) => ({
      commit: (token, data, expiry, { subject, ...options }) =>
        right.commit(token, data, expiry, { ...options, subject: subject?.toLowerCase() }),
      findBySubject: (subject, options) => right.findBySubject(subject.toLowerCase(), options),
      deleteBySubject: (subject, options) => right.deleteBySubject(subject.toLowerCase(), options),
    }),
    found: ["a subject matches only itself, not a similar one"],
  },
  {
    name: "subjects are compared in another Unicode normal form",
    breakage: (right) => ({
      commit: (token, data, expiry, { subject, ...options }) =>
        right.commit(token, data, expiry, { ...options, subject: subject?.normalize() }),
      findBySubject: (subject, options) => right.findBySubject(subject.normalize(), options),
      deleteBySubject: (subject, options) => right.deleteBySubject(subject.normalize(), options),
    }),
    found: ["a subject matches only itself, not a similar one"],
  },
  {
    name: "subjects are cut at 254 characters",
    breakage: (right) => ({
      commit: (token, data, expiry, { subject, ...options }) =>
        right.commit(token, data, expiry, { ...options, subject: subject?.slice(0, 254) }),
      findBySubject: (subject, options) => right.findBySubject(subject.slice(0, 254), options),
      deleteBySubject: (subject, options) => right.deleteBySubject(subject.slice(0, 254), options),
    }),
    found: ["a subject matches only itself, not a similar one"],
  },
  {
    name: "update() without a subject clears it",
    breakage: (right) => ({
      update: (token, expected, next, options) =>
        right.update(token, expected, { ...next, subject: next.subject ?? null }, options),
    }),
    found: ["update() keeps the subject, changes it, or clears it with null"],
  },
  {
    name: "update() ignores a subject of null",
    breakage: (right) => ({
      update: (token, expected, next, options) =>
        right.update(token, expected, { ...next, subject: next.subject ?? undefined }, options),
    }),
    found: ["update() keeps the subject, changes it, or clears it with null"],
  },
  {
    name: "a renewal loses the subject",
    breakage: (right) => ({
      update: (token, expected, next, options) =>
        right.update(token, expected, next.token === token ? next : { subject: null, ...next }, options),
    }),
    found: ["update() keeps the subject, changes it, or clears it with null"],
  },
  {
    name: "commit() without a subject clears it",
    breakage: (right) => ({
      async commit(token, ...args) {
        await right.delete(token);
        await right.commit(token, ...args);
      },
    }),
    found: ["commit() with a subject changes it, and without one keeps it"],
  },
  {
    name: "findBySubject() yields expired sessions",
    breakage: (right) => ({ findBySubject: (subject) => right.findBySubject(subject, EVER) }),
    found: ["findBySubject() yields the live sessions of the subject and no other"],
  },
  {
    name: "deleteBySubject() ignores the exception",
    breakage: (right) => ({ deleteBySubject: (subject) => right.deleteBySubject(subject) }),
    found: ["deleteBySubject() keeps the session of except, which may be nobody's or another subject's"],
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
    found: ["deleteBySubject() keeps the session of except, which may be nobody's or another subject's"],
  },
  {
    name: "deleteBySubject() reads first and deletes later",
    breakage: (right) => ({
      async deleteBySubject(subject) {
        const rows = await Array.fromAsync(right.findBySubject(subject, EVER));
        await turn();
        for (const { token } of rows) await right.delete(token);
        return rows.length;
      },
    }),
    found: ["deleteBySubject() leaves no session of the subject during concurrent updates and renewals"],
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
    found: ["stopCleanup() may be called at any time and more than once, and the store still works"],
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
    found: ["stopCleanup() may be called at any time and more than once, and the store still works"],
  },
  {
    name: "all() yields rows that are no sessions",
    breakage: () => ({
      async *all({ now }) {
        await turn();
        yield { token: "", data: new Uint8Array(), expiry: now + 1 };
      },
    }),
    found: ["all() of an empty store yields nothing"],
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
      "all() yields copies of the bytes",
      "findBySubject() yields copies of the bytes",
    ],
  },
  {
    name: "create() ignores the subject",
    breakage: (right) => ({
      create: (token, data, expiry, { now }) => right.create(token, data, expiry, { now }),
    }),
    found: ["create() stores the subject"],
  },
  {
    name: "create() and update() write the subject even if they are refused",
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
      "a refused create() keeps the subject",
      "a refused update() keeps the subject",
    ],
  },
  {
    name: "touch() clears the subject",
    breakage: (right) => ({
      async touch(token, expiry, options) {
        const found = await right.find(token, options);
        if (found === undefined || found.expiry >= expiry) return;
        await right.update(token, found.data, { token, data: found.data, expiry, subject: null }, options);
      },
    }),
    found: ["touch() keeps the subject"],
  },
  {
    name: "deleteBySubject() deletes sessions without a subject",
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
    found: ["deleteBySubject() ends the sessions of the subject and no other, and returns how many"],
  },
  {
    name: "findBySubject() yields a session again after a write",
    breakage: (right) => ({
      async *findBySubject(subject, options) {
        for (let round = 0; round < 2; round++) yield* right.findBySubject(subject, options);
      },
    }),
    found: ["findBySubject() ends, and yields no session twice, while each is updated"],
  },
  {
    name: "all() drops rows after the first thousand",
    breakage: (right) => ({
      async *all(options) {
        let given = 0;
        for await (const row of right.all(options)) if (given++ < 1_000) yield row;
      },
    }),
    found: ["all() yields all of 1010 sessions, not only the first thousand"],
  },
  {
    name: "findBySubject() drops rows after the first thousand",
    breakage: (right) => ({
      async *findBySubject(subject, options) {
        let given = 0;
        for await (const row of right.findBySubject(subject, options)) if (given++ < 1_000) yield row;
      },
    }),
    found: ["findBySubject() yields each of 1200 sessions once, even while some are deleted"],
  },
  {
    name: "deleteBySubject() deletes a thousand sessions at most",
    breakage: (right) => ({
      async deleteBySubject(subject, { except } = {}) {
        const tokens = (await byToken(right.findBySubject(subject, EVER))).map(({ token }) => token);
        let deleted = 0;
        for (const token of tokens) {
          if (token !== except && deleted < 1_000 && await right.delete(token)) deleted++;
        }
        return deleted;
      },
    }),
    found: ["findBySubject() yields each of 1200 sessions once, even while some are deleted"],
  },
  {
    name: "deleteExpired() reads first and deletes later",
    breakage: (right) => ({
      async deleteExpired({ now, grace = 0, limit = 1_000 }) {
        const expired = (await rowsOf(right)).filter(({ expiry }) => expiry <= now - grace).slice(0, limit);
        await new Promise((resolve) => setTimeout(resolve));
        let deleted = 0;
        for (const { token } of expired) if (await right.delete(token)) deleted++;
        return deleted;
      },
    }),
    found: ["deleteExpired() keeps a session that a concurrent update() has extended"],
  },
  {
    name: "deleteBySubject() spares what is over by the store's own clock",
    breakage: (right) => ({
      async deleteBySubject(subject, { except } = {}) {
        let deleted = 0;
        for (const { token } of await byToken(right.findBySubject(subject, { now: Date.now() }))) {
          if (token !== except && await right.delete(token)) deleted++;
        }
        return deleted;
      },
    }),
    found: ["deleteBySubject() also ends a session that is over by the store's own clock"],
  },
  {
    name: "deleteBySubject() ignores an exception that leaves nothing to delete",
    breakage: (right) => ({
      async deleteBySubject(subject, options) {
        const deleted = await right.deleteBySubject(subject, options);
        return deleted === 0 ? await right.deleteBySubject(subject) : deleted;
      },
    }),
    found: ["deleteBySubject() keeps the session of except even if it is the only one"],
  },
  {
    name: "a lone surrogate matches the replacement character",
    breakage: (right) => ({
      findBySubject: (subject, options) => right.findBySubject(subject.toWellFormed(), options),
      deleteBySubject: (subject, options) => right.deleteBySubject(subject.toWellFormed(), options),
    }),
    found: ["a lone surrogate matches no subject"],
  },
  {
    name: "listings yield a session a millisecond too short",
    breakage: (right) => ({
      all: ({ now }) => right.all({ now: now + 1 }),
      findBySubject: (subject, { now }) => right.findBySubject(subject, { now: now + 1 }),
    }),
    found: [
      "all() yields a session up to the millisecond before its expiry",
      "findBySubject() yields a session up to the millisecond before its expiry",
    ],
  },
  {
    name: "a listing that is left early ends the next one",
    breakage: (right) => {
      let isOpen = false;
      return {
        async *all(options) {
          if (isOpen) return void (isOpen = false);
          isOpen = true;
          yield* right.all(options);
          isOpen = false;
        },
      };
    },
    found: ["all() yields each of 450 sessions once, even while some are deleted"],
  },
  {
    name: "all() yields the last of a thousand rows twice, and not the next one",
    breakage: (right) => ({
      async *all(options) {
        let [count, last] = [0, undefined as StoredRow | undefined];
        for await (const row of right.all(options)) {
          yield ++count === 1_001 ? last! : row;
          last = row;
        }
      },
    }),
    found: ["all() yields all of 1010 sessions, not only the first thousand"],
  },
  {
    name: "deleteExpired() with a grace deletes nothing, whatever the grace",
    breakage: (right) => ({
      async deleteExpired(options) {
        return options.grace === undefined ? await right.deleteExpired(options) : 1;
      },
    }),
    found: ["deleteExpired() keeps sessions that expired less than grace ago"],
  },
  {
    name: "deleteExpired() returns 1 where there is nothing to delete",
    breakage: (right) => ({
      deleteExpired: async (options) => await right.deleteExpired(options) || 1,
    }),
    found: [
      "deleteExpired() deletes sessions from the millisecond of their expiry on, and returns how many",
      "a mark is purged when it expires, and the session stays",
    ],
  },
  {
    name: "a refused create() changes the subject",
    breakage: (right) => ({
      async create(token, data, expiry, options) {
        if (await right.create(token, data, expiry, options)) return true;
        await right.commit(token, data, expiry, options);
        return false;
      },
    }),
    found: ["a refused create() keeps the subject"],
  },
  {
    name: "deleteBySubject() counts the sessions that it keeps",
    breakage: (right) => ({
      async deleteBySubject(subject, options) {
        const deleted = await right.deleteBySubject(subject, options);
        return deleted + (await Array.fromAsync(right.findBySubject(subject, EVER))).length;
      },
    }),
    found: [
      "deleteBySubject() keeps the session of except even if it is the only one",
      "a mark has no subject: findBySubject() and deleteBySubject() ignore it",
    ],
  },
];

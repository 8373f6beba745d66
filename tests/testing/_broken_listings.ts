/** Mistakes about many rows at once, and about whose they are. */
import type { StoredRow } from "../../mod.ts";
import { type Broken, byToken, EVER, paged, rowsOf, turn } from "./_broken.ts";

export const BROKEN_LISTINGS: Broken[] = [
  {
    name: "listings give a session a millisecond too long",
    breakage: (right) => ({
      all: ({ now, ...options }) => right.all({ ...options, now: now - 1 }),
      findBySubject: (subject, { now, ...options }) =>
        right.findBySubject(subject, { ...options, now: now - 1 }),
    }),
    found: ["all()", "findBySubject()"].map((name) =>
      `${name} gives a session until the very millisecond of its expiry`
    ),
  },
  {
    name: "listings go by an index of expiries that touch() and update() do not keep",
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
      `${name} gives a session as touch() and update() have left it, at a time when it would have expired`
    ),
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
  {
    name: "all() forgets what comes after a thousand",
    breakage: (right) => ({
      async *all(options) {
        let given = 0;
        for await (const row of right.all(options)) if (given++ < 1_000) yield row;
      },
    }),
    found: ["all() gives 1010 sessions, and not the first thousand alone"],
  },
  {
    name: "deleteExpired() looks first and deletes later",
    breakage: (right) => ({
      async deleteExpired({ now, grace = 0, limit = 1_000 }) {
        const expired = (await rowsOf(right)).filter(({ expiry }) => expiry <= now - grace).slice(0, limit);
        await new Promise((resolve) => setTimeout(resolve));
        let deleted = 0;
        for (const { token } of expired) if (await right.delete(token)) deleted++;
        return deleted;
      },
    }),
    found: ["deleteExpired() that meets an update() leaves the session alone where that is true"],
  },
  {
    name: "deleteBySubject() takes an exception that leaves nothing to delete for none",
    breakage: (right) => ({
      async deleteBySubject(subject, options) {
        const deleted = await right.deleteBySubject(subject, options);
        return deleted === 0 ? await right.deleteBySubject(subject) : deleted;
      },
    }),
    found: ["deleteBySubject() spares the token that it is told to, also where it is the only one"],
  },
  {
    name: "half of a pair of surrogates is taken for the sign that replaces it",
    breakage: (right) => ({
      findBySubject: (subject, options) => right.findBySubject(subject.toWellFormed(), options),
      deleteBySubject: (subject, options) => right.deleteBySubject(subject.toWellFormed(), options),
    }),
    found: ["half of a pair of surrogates, which is no text, stands for no subject"],
  },
];

/** Mistakes about what a renewal leaves under the old token. */
import { type Broken, EVER, turn } from "./_broken.ts";

const LATER =
  "update() with a new token leaves its mark under the old one, which is found until its own expiry";
const NONE = "update() with a new token and no mark leaves nothing under the old one, also where a mark was";
const REFUSED = "update() that is refused leaves no mark";
const SAME_TOKEN = "update() with the token that the session has is no renewal, and leaves no mark";
const TAKEN = "a mark keeps its token from being made anew";
const PURGED = "a mark is purged by its own expiry, and the session stays";
const NOBODYS =
  "a mark is nobody's: no listing of a subject gives it, and no deletion by subject counts or ends it";
const TEN = "update() by ten at once with marks of their own leaves the mark of the one that is true";
const NO_TWO = "update() with a new token lets no two tokens in, at no moment";

export const BROKEN_MARKS: Broken[] = [
  {
    name: "update() ignores marks",
    breakage: (right) => ({
      update: (token, expected, next, options) =>
        right.update(token, expected, { ...next, mark: undefined }, options),
    }),
    found: [LATER, TAKEN, PURGED, NOBODYS, TEN],
  },
  {
    name: "a mark has the expiry of the session",
    breakage: (right) => ({
      async update(token, expected, next, options) {
        const { mark, expiry = 0 } = next;
        return await right.update(token, expected, { ...next, mark: mark && { ...mark, expiry } }, options);
      },
    }),
    found: [LATER, PURGED],
  },
  {
    name: "a mark is found and never purged",
    breakage: (right) => {
      const marks = new Set<string>();
      return {
        update(token, expected, next, options) {
          if (next.mark !== undefined) marks.add(token);
          return right.update(token, expected, next, options);
        },
        async deleteExpired({ now, limit = 1_000 }) {
          let deleted = 0;
          for await (const { token, expiry } of right.all(EVER)) {
            if (expiry > now || marks.has(token) || deleted === limit) continue;
            if (await right.delete(token)) deleted++;
          }
          return deleted;
        },
      };
    },
    found: [PURGED],
  },
  {
    name: "a mark keeps the subject of the session",
    breakage: (right) => ({
      async update(token, expected, next, options) {
        const owned = async (subject: string) =>
          (await Array.fromAsync(right.findBySubject(subject, EVER))).some((row) => row.token === token);
        const subject = await owned("zoe") ? "zoe" : undefined;
        const updated = await right.update(token, expected, next, options);
        const { mark } = next;
        if (updated && mark !== undefined && next.token !== token) {
          await right.commit(token, mark.data, mark.expiry, { ...options, subject });
        }
        return updated;
      },
    }),
    found: [NOBODYS],
  },
  {
    name: "a mark has the bytes of the session",
    breakage: (right) => ({
      update: (token, expected, next, options) =>
        right.update(
          token,
          expected,
          { ...next, mark: next.mark && { ...next.mark, data: next.data } },
          options,
        ),
    }),
    found: [LATER],
  },
  {
    name: "a mark is left before it is known whether the renewal is made",
    breakage: (right) => ({
      async update(token, expected, next, options) {
        const updated = await right.update(token, expected, next, options);
        const { mark } = next;
        if (!updated && mark !== undefined) await right.commit(token, mark.data, mark.expiry, options);
        return updated;
      },
    }),
    found: [REFUSED],
  },
  {
    name: "a mark is left also where the token stays",
    breakage: (right) => ({
      async update(token, expected, next, options) {
        const updated = await right.update(token, expected, next, options);
        const { mark } = next;
        if (updated && mark !== undefined && next.token === token) {
          await right.commit(token, mark.data, mark.expiry, options);
        }
        return updated;
      },
    }),
    found: [SAME_TOKEN],
  },
  {
    name: "a renewal without a mark leaves an empty row",
    breakage: (right) => ({
      update: (token, expected, next, options) =>
        right.update(
          token,
          expected,
          { mark: { data: new Uint8Array(), expiry: options.now + 1_000 }, ...next },
          options,
        ),
    }),
    found: [NONE],
  },
  {
    name: "a mark is no obstacle to a new session",
    breakage: (right) => {
      const marks = new Set<string>();
      return {
        async update(token, expected, next, options) {
          const updated = await right.update(token, expected, next, options);
          if (updated && next.mark !== undefined) marks.add(token);
          return updated;
        },
        async create(token, ...args) {
          if (marks.delete(token)) await right.delete(token);
          return await right.create(token, ...args);
        },
      };
    },
    found: [TAKEN],
  },
  {
    name: "each of several renewals at once writes its mark, and the last one stays",
    breakage: (right) => {
      let last: { data: Uint8Array; expiry: number } | undefined;
      return {
        async update(token, expected, next, options) {
          last = next.mark ?? last;
          await turn();
          return await right.update(token, expected, { ...next, mark: next.mark && last }, options);
        },
      };
    },
    found: [TEN],
  },
  {
    name: "a renewal lets the old token in for a while",
    breakage: (right) => ({
      async update(token, expected, next, options) {
        const old = await right.find(token, options);
        const updated = await right.update(token, expected, next, options);
        if (!updated || old === undefined || next.token === undefined) return updated;
        const left = await right.find(token, options);
        await right.commit(token, old.data, old.expiry, options);
        await new Promise((resolve) => setTimeout(resolve));
        await right.delete(token);
        if (left !== undefined) await right.commit(token, left.data, left.expiry, options);
        return true;
      },
    }),
    found: [NO_TWO],
  },
];

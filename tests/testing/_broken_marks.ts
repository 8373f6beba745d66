/** Mistakes about the mark that a renewal leaves under the old token. */
import { type Broken, EVER, turn } from "./_broken.ts";

const LATER = "update() with a new token leaves its mark under the old one until the mark expires";
const NONE =
  "update() with a new token and no mark leaves nothing under the old one, and keeps earlier marks";
const REFUSED = "a refused update() leaves no mark";
const SAME_TOKEN = "update() with the session's own token is no renewal, and leaves no mark";
const TAKEN = "create() and renewal to a token with a mark return false";
const PURGED = "a mark is purged when it expires, and the session stays";
const NOBODYS = "a mark has no subject: findBySubject() and deleteBySubject() ignore it";
const TEN = "ten concurrent renewals leave the mark of the one that returned true";
const NO_TWO = "at no moment of a renewal are both tokens live";

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
    name: "a mark is written before the renewal, even if that is refused",
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
    name: "a mark is left even if the token stays",
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
    name: "each of several concurrent renewals writes its mark, and the last one stays",
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
    name: "both tokens are live for a moment of a renewal",
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
  {
    name: "a mark is left if the new token has a session, whoever made it",
    breakage: (right) => ({
      async update(token, expected, next, options) {
        const updated = await right.update(token, expected, next, options);
        const { mark, token: newToken = token } = next;
        if (!updated && mark !== undefined && await right.find(newToken, options) !== undefined) {
          await right.create(token, mark.data, mark.expiry, options);
        }
        return updated;
      },
    }),
    found: [REFUSED],
  },
];

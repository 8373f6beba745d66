import {
  type Case,
  DATA,
  HOUR,
  inBothOrders,
  OTHER,
  race,
  ROUNDS,
  rowsIn,
  together,
  tokenOf,
  tokensIn,
} from "./_fixture.ts";
import { expect, expectThat } from "./_checks.ts";

const [A, B, C] = [tokenOf("a"), tokenOf("b"), tokenOf("c")];

/** More rows than a page of a store, and no multiple of a usual page size. */
const MANY = 450;
/** More rows than some databases and interfaces return at once. */
const OVER_A_THOUSAND = 1_010;
/** Every ninth row has expired. A page that lacks them must not end the listing. */
const isExpired = (index: number) => index % 9 === 4;

/** `all()`. */
export const listingCases: Case[] = [
  {
    name: "all() of an empty store yields nothing",
    needs: ["listing"],
    async check({ store, now }) {
      expect("the tokens", await tokensIn(store.all({ now })), []);
    },
  },
  {
    name: "all() yields every live session with its token, data and expiry, and no expired one",
    needs: ["listing"],
    async check(fixture) {
      const { store, now, later } = fixture;
      await fixture.put(A);
      await fixture.put(B, { data: OTHER, expiry: later + 1 });
      await fixture.put(C, { expiry: now, now: now - HOUR });
      expect("the sessions", await rowsIn(store.all({ now })), [
        { token: A, data: DATA, expiry: later },
        { token: B, data: OTHER, expiry: later + 1 },
      ]);
    },
  },
  {
    name: "all() yields a session up to the millisecond before its expiry",
    needs: ["listing", "clock"],
    async check(fixture) {
      const { store, later } = fixture;
      await fixture.put(A);
      await fixture.put(B, { expiry: later + 1 });
      expect("1 ms before the first expires", await tokensIn(store.all({ now: later - 1 })), [A, B]);
      expect("when it expires", await tokensIn(store.all({ now: later })), [B]);
      expect("when the second expires", await tokensIn(store.all({ now: later + 1 })), []);
    },
  },
  {
    name: "all() uses the expiry that touch() and update() wrote",
    needs: ["listing", "atomic"],
    async check(fixture) {
      const { store, now, later } = fixture;
      await fixture.put(A);
      await fixture.put(B);
      await store.touch(A, later + HOUR, { now });
      await store.update(B, DATA, { token: B, data: OTHER, expiry: later + 2 * HOUR }, { now });
      expect("the sessions", await rowsIn(store.all({ now: later })), [
        { token: A, data: DATA, expiry: later + HOUR },
        { token: B, data: OTHER, expiry: later + 2 * HOUR },
      ]);
    },
  },
  {
    name: "all() yields copies of the bytes",
    needs: ["listing"],
    async check(fixture) {
      await fixture.put(A);
      for await (const { data } of fixture.store.all({ now: fixture.now })) data.fill(0);
      await fixture.expectIntact("the session", A);
    },
  },
  {
    name: `all() yields each of ${MANY} sessions once, even while some are deleted`,
    needs: ["listing"],
    async check(fixture) {
      const { store, now, later } = fixture;
      const tokens = await fixture.fill(
        MANY,
        (index) => ({ expiry: isExpired(index) ? now - index : later }),
      );
      const live = tokens.filter((_, index) => !isExpired(index)).sort();
      for await (const _ of store.all({ now })) break;
      expect("the tokens, after a listing that was left early", await tokensIn(store.all({ now })), live);
      const seen: string[] = [];
      for await (const { token } of store.all({ now })) {
        seen.push(token);
        if (seen.length % 3 === 0) await store.delete(token);
      }
      expect("the tokens while they are deleted", seen.sort(), live);
      const left = live.length - Math.floor(live.length / 3);
      expect("how many are left", (await tokensIn(store.all({ now }))).length, left);
    },
  },
  {
    name: `all() yields all of ${OVER_A_THOUSAND} sessions, not only the first thousand`,
    needs: ["listing"],
    async check(fixture) {
      const tokens = await fixture.fill(OVER_A_THOUSAND, () => ({}));
      const listed = await tokensIn(fixture.store.all({ now: fixture.now }));
      expect("how many", listed.length, OVER_A_THOUSAND);
      expect("the tokens", listed, tokens.sort());
    },
  },
  {
    name: "all() ends, and yields no session twice, while each is rewritten",
    needs: ["listing"],
    async check(fixture) {
      const { store, now, later } = fixture;
      const tokens = await fixture.fill(30, () => ({}));
      const seen: string[] = [];
      for await (const { token } of store.all({ now })) {
        seen.push(token);
        expectThat(seen.length <= tokens.length, "all() must not go on for ever: it gave a session twice");
        await store.commit(token, OTHER, later + HOUR, { now });
        await store.delete(token);
        await store.commit(token, DATA, later + HOUR, { now });
      }
      expect("the tokens", seen.sort(), tokens.sort());
    },
  },
];

/** `deleteExpired()`. */
export const purgingCases: Case[] = [
  {
    name: "deleteExpired() deletes sessions from the millisecond of their expiry on, and returns how many",
    needs: ["purging"],
    async check(fixture) {
      const { store, now } = fixture;
      expect("in an empty store", await store.deleteExpired({ now }), 0);
      const early = { now: now - HOUR };
      await fixture.put(A, { expiry: now - 1, ...early });
      await fixture.put(B, { expiry: now, ...early });
      await fixture.put(C, { expiry: now + 1, ...early });
      expect("deleteExpired()", await store.deleteExpired({ now }), 2);
      const found = await together([A, B, C].map((token) => store.find(token, early)));
      expect("what is left", found.map((row) => row?.expiry), [undefined, undefined, now + 1]);
      expect("deleteExpired() once more", await store.deleteExpired({ now }), 0);
    },
  },
  {
    name: "deleteExpired() deletes at most as many sessions as limit, until none is left",
    needs: ["purging"],
    async check(fixture) {
      const { store, now } = fixture;
      await fixture.fill(30, (index) => ({ expiry: index < 20 ? now - index : fixture.later }));
      const counts: number[] = [];
      for (let round = 0; round < 5; round++) counts.push(await store.deleteExpired({ now, limit: 7 }));
      expect("how many each deleted", counts, [7, 7, 6, 0, 0]);
    },
  },
  {
    name: "deleteExpired() deletes no live session",
    needs: ["purging"],
    async check(fixture) {
      const { store, now, later } = fixture;
      const tokens = await fixture.fill(30, (index) => ({ expiry: index < 20 ? now - index : later }));
      expect("deleteExpired()", await store.deleteExpired({ now }), 20);
      for (const token of tokens.slice(20)) await fixture.expectIntact("a live session", token);
    },
  },
  {
    name: "deleteExpired() keeps sessions that expired less than grace ago",
    needs: ["purging"],
    async check(fixture) {
      const { store, now } = fixture;
      const early = { now: now - 2 * HOUR };
      await fixture.put(A, { expiry: now - HOUR, ...early });
      await fixture.put(B, { expiry: now - HOUR + 1, ...early });
      await fixture.put(C);
      expect("with an hour's grace", await store.deleteExpired({ now, grace: HOUR }), 1);
      const found = await together([A, B, C].map((token) => store.find(token, early)));
      expect("what is left", found.map((row) => row !== undefined), [false, true, true]);
      expect("without", await store.deleteExpired({ now, grace: 0 }), 1);
      await fixture.expectIntact("the live one", C);
    },
  },
  {
    name: "deleteExpired() uses the current expiry, not an earlier one",
    needs: ["purging", "atomic"],
    async check(fixture) {
      const { store, now, later } = fixture;
      const soon = now + 1_000;
      for (const token of [A, B, C]) await fixture.put(token, { expiry: soon });
      await store.touch(A, later, { now });
      await store.update(B, DATA, { token: B, data: DATA, expiry: later }, { now });
      expect("deleteExpired() at the first expiry", await store.deleteExpired({ now: soon }), 1);
      await fixture.expectOnly("what is left", [A, B], [A, B, C]);
      await store.update(A, DATA, { token: A, data: DATA, expiry: soon }, { now });
      expect("deleteExpired() of one that was shortened", await store.deleteExpired({ now: soon }), 1);
      await fixture.expectOnly("what is left then", [B], [A, B, C]);
    },
  },
  {
    name: "four concurrent purges by deleteExpired() delete each expired session once, and no live one",
    needs: ["purging", "races"],
    async check(fixture) {
      const { store, now, later } = fixture;
      const tokens = await fixture.fill(60, (index) => ({ expiry: index < 40 ? now - index : later }));
      const purger = async () => {
        let deleted = 0;
        for (let last = -1; last !== 0; deleted += last) {
          [last] = await race([() => store.deleteExpired({ now, limit: 8 })]);
        }
        return deleted;
      };
      const counts = await together([purger(), purger(), purger(), purger()]);
      expect("how many they deleted", counts.reduce((sum, count) => sum + count, 0), 40);
      await fixture.expectOnly("the live ones", tokens.slice(40), tokens.slice(40));
    },
  },
  {
    name: "deleteExpired() keeps a session that a concurrent update() has extended",
    needs: ["purging", "atomic", "races"],
    async check(fixture) {
      const { store, now, later } = fixture;
      for (let round = 0; round < ROUNDS; round++) {
        await fixture.put(A, { expiry: now + 1 });
        const [, updated] = await inBothOrders(
          round,
          () => store.deleteExpired({ now: now + 1 }),
          () => store.update(A, DATA, { data: OTHER, expiry: later }, { now }),
        );
        await fixture.expectFound("the session", A, updated ? { data: OTHER, expiry: later } : undefined);
        await store.delete(A);
      }
    },
  },
  {
    name: "deleteExpired() deletes a session or leaves it to a concurrent touch(), never both",
    needs: ["purging", "atomic", "races"],
    async check(fixture) {
      const { store, now, later } = fixture;
      for (let round = 0; round < ROUNDS; round++) {
        await fixture.put(A, { expiry: now + 1 });
        const [deleted] = await inBothOrders(
          round,
          () => store.deleteExpired({ now: now + 1 }),
          () => store.touch(A, later, { now }),
        );
        const found = await store.find(A, { now });
        expect("the session's expiry", found?.expiry, deleted === 1 ? undefined : later);
        await store.delete(A);
      }
    },
  },
];

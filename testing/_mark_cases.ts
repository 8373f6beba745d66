import {
  bytesOf,
  type Case,
  countTrue,
  DATA,
  HOUR,
  OTHER,
  race,
  SECOND,
  tokenOf,
  tokensIn,
} from "./_fixture.ts";
import { expect, expectThat } from "./_checks.ts";

const [A, B, C] = [tokenOf("a"), tokenOf("b"), tokenOf("c")];
const ZOE = "zoe";

/** The mark that a renewal leaves under the old token. */
export const markCases: Case[] = [
  {
    name: "update() with a new token leaves its mark under the old one until the mark expires",
    needs: ["atomic"],
    async check(fixture) {
      const { store, now, later } = fixture;
      await fixture.put(A);
      await fixture.put(C);
      const mark = { data: bytesOf("mark"), expiry: now + 60 * SECOND };
      const next = { token: B, data: OTHER, expiry: later + HOUR, mark };
      expect("update()", await store.update(A, DATA, next, { now }), true);
      mark.data.fill(0);
      const left = { data: bytesOf("mark"), expiry: mark.expiry };
      await fixture.expectFound("the old token", A, left);
      await fixture.expectFound("the old token, 1 ms before the mark expires", A, left, mark.expiry - 1);
      await fixture.expectFound("the old token, when the mark expires", A, undefined, mark.expiry);
      await fixture.expectFound("the new token", B, { data: OTHER, expiry: later + HOUR }, mark.expiry);
      await fixture.expectIntact("another session", C);
      expect("update() once more", await store.update(A, DATA, { ...next, token: C }, { now }), false);
      await fixture.expectFound("the old token after that", A, left);
    },
  },
  {
    name: "update() with a new token and no mark leaves nothing under the old one, and keeps earlier marks",
    needs: ["atomic"],
    async check(fixture) {
      const { store, now, later } = fixture;
      await fixture.put(A);
      const mark = { data: bytesOf("mark"), expiry: now + 60 * SECOND };
      await store.update(A, DATA, { token: B, data: OTHER, expiry: later, mark }, { now });
      await store.update(B, OTHER, { token: C, data: DATA, expiry: later }, { now });
      await fixture.expectFound("the first token", A, mark);
      await fixture.expectFound("the second token", B, undefined);
      await fixture.expectIntact("the third token", C);
    },
  },
  {
    name: "a refused update() leaves no mark",
    needs: ["atomic", "exclusive"],
    async check(fixture) {
      const { store, now, later } = fixture;
      await fixture.put(A);
      await fixture.put(B);
      const mark = { data: bytesOf("mark"), expiry: now + 60 * SECOND };
      const next = { data: OTHER, expiry: later, mark };
      expect("onto another session", await store.update(A, DATA, { ...next, token: B }, { now }), false);
      expect("of other bytes", await store.update(A, OTHER, { ...next, token: C }, { now }), false);
      expect("of none", await store.update(C, DATA, { ...next, token: tokenOf("d") }, { now }), false);
      expect("of none onto a session", await store.update(C, DATA, { ...next, token: B }, { now }), false);
      await fixture.expectFound("where none was", C, undefined);
      for (const token of [A, B]) await fixture.expectIntact("the session", token);
    },
  },
  {
    name: "update() with the session's own token is no renewal, and leaves no mark",
    needs: ["atomic"],
    async check(fixture) {
      const { store, now, later } = fixture;
      await fixture.put(A);
      const mark = { data: bytesOf("mark"), expiry: now + 60 * SECOND };
      const next = { token: A, data: OTHER, expiry: later + 1, mark };
      expect("update()", await store.update(A, DATA, next, { now }), true);
      await fixture.expectFound("the session", A, { data: OTHER, expiry: later + 1 });
    },
  },
  {
    name: "create() and renewal to a token with a mark return false",
    needs: ["atomic", "exclusive"],
    async check(fixture) {
      const { store, now, later } = fixture;
      await fixture.put(A);
      await fixture.put(C);
      const mark = { data: bytesOf("mark"), expiry: now + 60 * SECOND };
      await store.update(A, DATA, { token: B, data: OTHER, expiry: later, mark }, { now });
      expect("create()", await store.create(A, DATA, later, { now }), false);
      expect("renewal", await store.update(C, DATA, { token: A, data: DATA, expiry: later }, { now }), false);
      await fixture.expectFound("the mark", A, mark);
      await fixture.expectIntact("the other session", C);
    },
  },
  {
    name: "a mark is purged when it expires, and the session stays",
    needs: ["atomic", "purging"],
    async check(fixture) {
      const { store, now, later } = fixture;
      await fixture.put(A);
      const mark = { data: bytesOf("mark"), expiry: now + 60 * SECOND };
      await store.update(A, DATA, { token: B, data: DATA, expiry: later, mark }, { now });
      expect("1 ms before it", await store.deleteExpired({ now: mark.expiry - 1 }), 0);
      expect("at it", await store.deleteExpired({ now: mark.expiry }), 1);
      await fixture.expectFound("the old token", A, undefined);
      await fixture.expectIntact("the new token", B);
      expect("create() under the old token", await store.create(A, OTHER, later, { now }), true);
    },
  },
  {
    name: "a mark has no subject: findBySubject() and deleteBySubject() ignore it",
    needs: ["atomic", "subjects"],
    async check(fixture) {
      const { store, now, later } = fixture;
      const mark = { data: bytesOf("mark"), expiry: now + 60 * SECOND };
      for (const subject of [undefined, ZOE]) {
        await fixture.put(A, { subject: ZOE });
        await store.update(A, DATA, { token: B, data: DATA, expiry: later, subject, mark }, { now });
        expect("the sessions", await tokensIn(store.findBySubject(ZOE, { now })), [B]);
        expect("deletion of the others", await store.deleteBySubject(ZOE, { except: B }), 0);
        await fixture.expectFound("the mark", A, mark);
        expect("deletion of all", await store.deleteBySubject(ZOE), 1);
        await fixture.expectOnly("the tokens that live", [A], [A, B]);
      }
    },
  },
  {
    name: "ten concurrent renewals leave the mark of the one that returned true",
    needs: ["atomic", "races"],
    async check(fixture) {
      const { store, now, later } = fixture;
      await fixture.put(A);
      const tokens = Array.from({ length: 10 }, (_, index) => tokenOf(`new${index}`));
      const markOf = (token: string) => ({ data: bytesOf(`mark of ${token}`), expiry: now + 60 * SECOND });
      const answers = await race(
        tokens.map((token) => () =>
          store.update(A, DATA, { token, data: OTHER, expiry: later, mark: markOf(token) }, { now })
        ),
      );
      expect("how many renewed it", countTrue(answers), 1);
      const winner = tokens[answers.indexOf(true)]!;
      await fixture.expectOnly("the tokens that live", [A, winner], [A, ...tokens]);
      await fixture.expectFound("the old token", A, markOf(winner));
    },
  },
  {
    name: "at no moment of a renewal are both tokens live",
    needs: ["atomic", "races"],
    async check(fixture) {
      const { store, now, later } = fixture;
      for (const mark of [undefined, { data: bytesOf("mark"), expiry: now + 60 * SECOND }]) {
        await fixture.put(A);
        let isDone = false;
        const renewing = store.update(A, DATA, { token: B, data: DATA, expiry: later, mark }, { now })
          .finally(() => isDone = true);
        const looking = (async () => {
          while (!isDone) {
            // The new token is read first. If it is found, the old one must be dead by the second read.
            const renewed = await store.find(B, { now });
            const old = await store.find(A, { now });
            const isSession = old !== undefined && old.data.length === DATA.length;
            expectThat(!(renewed && isSession), "the old token must be dead once the new one is found");
          }
        })();
        await Promise.allSettled([renewing, looking]);
        expect("update()", await renewing, true);
        await looking;
        await store.delete(B);
      }
    },
  },
];

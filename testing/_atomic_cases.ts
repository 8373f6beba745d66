import {
  bytesOf,
  type Case,
  countTrue,
  DATA,
  type Fixture,
  HOUR,
  inBothOrders,
  OTHER,
  race,
  ROUNDS,
  together,
  tokenOf,
} from "./_fixture.ts";
import { expect, expectThat } from "./_checks.ts";

const [A, B, C] = [tokenOf("a"), tokenOf("b"), tokenOf("c")];

/** Conditional writes: `create()` and `update()`. */
export const atomicCases: Case[] = [
  {
    name: "create() creates a session if there is none",
    needs: ["atomic"],
    async check(fixture) {
      const { store, now, later } = fixture;
      expect("create()", await store.create(A, DATA, later, { now }), true);
      await fixture.expectIntact("the session", A);
    },
  },
  {
    name: "create() returns false if the token exists, and leaves the session unchanged",
    needs: ["atomic", "exclusive"],
    async check(fixture) {
      const { store, now, later } = fixture;
      await fixture.put(A);
      for (const data of [OTHER, DATA]) {
        expect("create()", await store.create(A, data, later + HOUR, { now }), false);
        await fixture.expectIntact("the session", A);
      }
    },
  },
  {
    name: "create() returns false if the token exists but has expired",
    needs: ["atomic", "exclusive"],
    async check(fixture) {
      const { store, now, later } = fixture;
      await fixture.put(A, { expiry: now, now: now - HOUR });
      expect("create()", await store.create(A, OTHER, later, { now }), false);
      await fixture.expectFound("the session, then", A, undefined);
      await fixture.expectFound("an hour ago", A, { data: DATA, expiry: now }, now - HOUR);
    },
  },
  {
    name: "of twenty concurrent create() calls one returns true, and its data is stored",
    needs: ["atomic", "exclusive", "races"],
    async check(fixture) {
      const { store, now, later } = fixture;
      const data = Array.from({ length: 20 }, (_, index) => bytesOf(`writer ${index}`));
      const answers = await race(data.map((own) => () => store.create(A, own, later, { now })));
      expect("how many made it", countTrue(answers), 1);
      await fixture.expectFound("the session", A, { data: data[answers.indexOf(true)]!, expiry: later });
    },
  },
  {
    name: "update() replaces data and expiry if the row holds the expected bytes",
    needs: ["atomic"],
    async check(fixture) {
      const { store, now, later } = fixture;
      await fixture.put(A);
      const next = { token: A, data: OTHER, expiry: later + HOUR };
      expect("update()", await store.update(A, DATA, next, { now }), true);
      await fixture.expectFound("the session", A, { data: OTHER, expiry: later + HOUR });
      const sooner = { token: A, data: DATA, expiry: later - HOUR / 2 };
      expect("update() with an earlier expiry", await store.update(A, OTHER, sooner, { now }), true);
      await fixture.expectFound("the session then", A, { data: DATA, expiry: sooner.expiry });
    },
  },
  {
    name: "update() without an expiry keeps the current one, also after touch()",
    needs: ["atomic"],
    async check(fixture) {
      const { store, now, later } = fixture;
      await fixture.put(A);
      expect("update()", await store.update(A, DATA, { data: OTHER }, { now }), true);
      await fixture.expectFound("the session", A, { data: OTHER, expiry: later });
      await store.touch(A, later + HOUR, { now });
      expect("update() then", await store.update(A, OTHER, { data: DATA }, { now }), true);
      await fixture.expectFound("the session then", A, { data: DATA, expiry: later + HOUR });
      expect("renewal", await store.update(A, DATA, { token: B, data: OTHER }, { now }), true);
      await fixture.expectFound("the renewed session", B, { data: OTHER, expiry: later + HOUR });
      await fixture.expectFound("the old token", A, undefined);
    },
  },
  {
    name: "update() returns true even if it changes nothing",
    needs: ["atomic"],
    async check(fixture) {
      const { store, now, later } = fixture;
      await fixture.put(A);
      const same = { token: A, data: DATA, expiry: later };
      expect("update()", await store.update(A, DATA, same, { now }), true);
      await fixture.expectIntact("the session", A);
    },
  },
  {
    name: "update() returns false if the row holds other bytes, and leaves the session unchanged",
    needs: ["atomic"],
    async check(fixture) {
      const { store, now, later } = fixture;
      const data = bytesOf("Data");
      await fixture.put(A, { data });
      const others = [
        "data",
        "Date",
        "dAta",
        "Dat",
        "Data ",
        "Data\0",
        " Data",
        "DataData",
        "",
        "0",
        "%",
        "Dat_",
      ];
      for (const other of others) {
        for (const token of [A, B]) {
          const next = { token, data: OTHER, expiry: later + HOUR };
          const what = `update() that expects ${JSON.stringify(other)}`;
          expect(what, await store.update(A, bytesOf(other), next, { now }), false);
        }
      }
      await fixture.expectFound("the session", A, { data, expiry: later });
      await fixture.expectFound("the token of the renewals", B, undefined);
    },
  },
  {
    name: "update() returns false if a single byte differs, wherever it is",
    needs: ["atomic"],
    async check(fixture) {
      const { store, now, later } = fixture;
      const data = new Uint8Array(3_000).map((_, index) => index % 251);
      await fixture.put(A, { data });
      for (const place of [0, 7, 8, 100, 1_500, 2_900, 2_991, 2_992, 2_999]) {
        const other = data.slice();
        other[place]! ^= 1;
        for (const token of [A, B]) {
          const next = { token, data: OTHER, expiry: later };
          expect(`update() with another byte ${place}`, await store.update(A, other, next, { now }), false);
        }
      }
      await fixture.expectFound("the session", A, { data, expiry: later });
    },
  },
  {
    name: "update() returns false if there is no session, and creates none",
    needs: ["atomic"],
    async check(fixture) {
      const { store, now, later } = fixture;
      for (const expected of [DATA, OTHER, new Uint8Array()]) {
        const next = { token: A, data: OTHER, expiry: later };
        expect("update()", await store.update(A, expected, next, { now }), false);
        expect("renewal", await store.update(A, expected, { ...next, token: B }, { now }), false);
      }
      await fixture.expectOnly("afterwards", [], [A, B]);
    },
  },
  {
    name: "update() revives no deleted session",
    needs: ["atomic"],
    async check(fixture) {
      const { store, now, later } = fixture;
      for (const token of [A, B]) {
        await store.create(A, DATA, later, { now });
        await store.delete(A);
        expect(
          "update()",
          await store.update(A, DATA, { token, data: OTHER, expiry: later }, { now }),
          false,
        );
        await fixture.expectOnly("afterwards", [], [A, B]);
      }
    },
  },
  {
    name: "update() returns false from the expiry on, and revives no expired session",
    needs: ["atomic"],
    async check(fixture) {
      const { store, later } = fixture;
      for (const now of [later, later + 1, later + HOUR]) {
        await fixture.put(A);
        for (const token of [A, B]) {
          const next = { token, data: OTHER, expiry: later + 2 * HOUR };
          expect("update()", await store.update(A, DATA, next, { now }), false);
        }
        await fixture.expectFound("the old token, then", A, undefined, now);
        await fixture.expectFound("the new token, then", B, undefined, now);
      }
      const next = { token: A, data: OTHER, expiry: later + HOUR };
      expect("update() 1 ms before", await store.update(A, DATA, next, { now: later - 1 }), true);
    },
  },
  {
    name: "update() with a new token moves the session: the old token is dead, the new one lives",
    needs: ["atomic"],
    async check(fixture) {
      const { store, now, later } = fixture;
      await fixture.put(A);
      await fixture.put(C);
      const next = { token: B, data: OTHER, expiry: later + HOUR };
      expect("update()", await store.update(A, DATA, next, { now }), true);
      await fixture.expectFound("the old token", A, undefined);
      await fixture.expectFound("the new token", B, { data: OTHER, expiry: later + HOUR });
      await fixture.expectIntact("another session", C);
      expect("update() once more", await store.update(A, DATA, next, { now }), false);
      expect("update() of the old token", await store.update(A, OTHER, next, { now }), false);
      await store.touch(A, later + 2 * HOUR, { now });
      await fixture.expectFound("the old token after all that", A, undefined);
      await fixture.expectFound("the new token after all that", B, { data: OTHER, expiry: later + HOUR });
    },
  },
  {
    name: "update() with a new token can keep the bytes, and can move a session repeatedly",
    needs: ["atomic"],
    async check(fixture) {
      const { store, now, later } = fixture;
      await fixture.put(A);
      for (const [from, to] of [[A, B], [B, C], [C, A]] as const) {
        const moved = await store.update(from, DATA, { token: to, data: DATA, expiry: later }, { now });
        expect("update()", moved, true);
        await fixture.expectOnly("afterwards", [to], [A, B, C]);
      }
      await fixture.expectIntact("the session", A);
    },
  },
  {
    name: "update() to an existing token returns false, and both sessions stay unchanged",
    needs: ["atomic", "exclusive"],
    async check(fixture) {
      const { store, now, later } = fixture;
      await fixture.put(A);
      for (const data of [OTHER, DATA]) {
        await fixture.put(B, { data, expiry: later + 1 });
        const next = { token: B, data: bytesOf("renewed"), expiry: later + HOUR };
        expect("update()", await store.update(A, DATA, next, { now }), false);
        await fixture.expectIntact("the session that was to be renewed", A);
        await fixture.expectFound("the session in the way", B, { data, expiry: later + 1 });
      }
    },
  },
  {
    name: "update() to an existing token returns false even if that token has expired",
    needs: ["atomic", "exclusive"],
    async check(fixture) {
      const { store, now, later } = fixture;
      await fixture.put(A);
      await fixture.put(B, { data: OTHER, expiry: now, now: now - HOUR });
      const next = { token: B, data: DATA, expiry: later };
      expect("update()", await store.update(A, DATA, next, { now }), false);
      await fixture.expectIntact("the session that was to be renewed", A);
      await fixture.expectFound(
        "the one in the way, an hour ago",
        B,
        { data: OTHER, expiry: now },
        now - HOUR,
      );
    },
  },
  {
    name:
      "of twenty concurrent update() calls with the same expected bytes one returns true, and its data is stored",
    needs: ["atomic", "races"],
    async check(fixture) {
      const { store, now, later } = fixture;
      await fixture.put(A);
      const data = Array.from({ length: 20 }, (_, index) => bytesOf(`writer ${index}`));
      const answers = await race(
        data.map((own) => () => store.update(A, DATA, { token: A, data: own, expiry: later }, { now })),
      );
      expect("how many wrote", countTrue(answers), 1);
      await fixture.expectFound("the session", A, { data: data[answers.indexOf(true)]!, expiry: later });
    },
  },
  {
    name: "of ten concurrent renewals of one session one returns true, and only its token is live",
    needs: ["atomic", "races"],
    async check(fixture) {
      const { store, now, later } = fixture;
      await fixture.put(A);
      const tokens = Array.from({ length: 10 }, (_, index) => tokenOf(`new${index}`));
      const answers = await race(
        tokens.map((token) => () =>
          store.update(A, DATA, { token, data: bytesOf(token), expiry: later }, { now })
        ),
      );
      expect("how many renewed it", countTrue(answers), 1);
      const winner = tokens[answers.indexOf(true)]!;
      await fixture.expectOnly("the tokens that live", [winner], [A, ...tokens]);
      await fixture.expectFound("the session", winner, { data: bytesOf(winner), expiry: later });
    },
  },
  {
    name: "of two sessions that move to one new token at once one moves, and the other stays",
    needs: ["atomic", "exclusive", "races"],
    async check(fixture) {
      const { store, now, later } = fixture;
      const [old, data] = [[A, B], [DATA, OTHER]] as const;
      await together(old.map((token, index) => fixture.put(token, { data: data[index]! })));
      const answers = await race(
        old.map((token, index) => () =>
          store.update(token, data[index]!, { token: C, data: data[index]!, expiry: later }, { now })
        ),
      );
      expect("how many moved", countTrue(answers), 1);
      const winner = answers.indexOf(true);
      await fixture.expectFound("the moved session", C, { data: data[winner]!, expiry: later });
      await fixture.expectOnly("the tokens that live", [old[1 - winner]!, C], [...old, C]);
    },
  },
];

/** `touch()`. */
export const touchCases: Case[] = [
  {
    name: "touch() moves an expiry forward, to the millisecond, and keeps the data",
    needs: ["atomic"],
    async check(fixture) {
      const { store, now, later } = fixture;
      await fixture.put(A);
      await fixture.put(B);
      for (const expiry of [later + 1, later + HOUR + 1]) {
        await store.touch(A, expiry, { now });
        await fixture.expectFound("the session", A, { data: DATA, expiry });
        await fixture.expectFound("at its new expiry", A, undefined, expiry);
      }
      await fixture.expectIntact("another session", B);
    },
  },
  {
    name: "touch() never moves an expiry back",
    needs: ["atomic"],
    async check(fixture) {
      const { store, now, later } = fixture;
      await fixture.put(A);
      for (const expiry of [later, later - 1, now + 1, now, now - HOUR]) {
        await store.touch(A, expiry, { now });
        await fixture.expectIntact("the session", A);
      }
    },
  },
  {
    name: "touch() creates no session, and revives none that was deleted or renewed",
    needs: ["atomic"],
    async check(fixture) {
      const { store, now, later } = fixture;
      await store.touch(A, later, { now });
      await fixture.expectFound("where none was", A, undefined);
      await fixture.put(A);
      await store.delete(A);
      await store.touch(A, later, { now });
      await fixture.expectFound("where one was deleted", A, undefined);
      await fixture.put(A);
      await store.update(A, DATA, { token: B, data: OTHER, expiry: later }, { now });
      await store.touch(A, later + HOUR, { now });
      await fixture.expectFound("where one was renewed", A, undefined);
      await fixture.expectFound("the renewed one", B, { data: OTHER, expiry: later });
    },
  },
  {
    name: "touch() revives no expired session, not even at the millisecond of its expiry",
    needs: ["atomic"],
    async check(fixture) {
      const { store, later } = fixture;
      await fixture.put(A);
      for (const now of [later, later + 1, later + HOUR]) {
        await store.touch(A, now + HOUR, { now });
        await fixture.expectFound("then", A, undefined, now);
      }
      await fixture.expectIntact("at an earlier time", A);
      await store.touch(A, later + HOUR, { now: later - 1 });
      await fixture.expectFound("touched 1 ms before", A, { data: DATA, expiry: later + HOUR }, later);
    },
  },
  {
    name: "ten concurrent touch() calls leave the latest expiry",
    needs: ["atomic", "races"],
    async check(fixture) {
      const { store, now, later } = fixture;
      await fixture.put(A);
      const expiries = [3, 9, 1, 7, 10, 2, 8, 4, 6, 5].map((minutes) => later + minutes * 60_000);
      await race(expiries.map((expiry) => () => store.touch(A, expiry, { now })));
      await fixture.expectFound("the session", A, { data: DATA, expiry: Math.max(...expiries) });
    },
  },
];

/** Whether `delete()` compares the expected bytes, which is optional. If so, session A is left in the store. */
async function comparesOnDelete(fixture: Fixture): Promise<boolean> {
  const { store } = fixture;
  await fixture.put(A);
  if (!await store.delete(A, { expected: OTHER })) {
    await fixture.expectIntact("the session after delete() of other bytes", A);
    return true;
  }
  await fixture.expectFound("the session after delete()", A, undefined);
  return false;
}

/** `delete()` with expected bytes. */
export const deleteCases: Case[] = [
  {
    name: "delete() with expected bytes deletes only a session that still holds them",
    needs: ["atomic"],
    async check(fixture) {
      const { store } = fixture;
      if (await comparesOnDelete(fixture)) {
        const none = { expected: new Uint8Array() };
        expect("delete() of no bytes", await store.delete(A, none), false);
        await fixture.expectIntact("the session after that", A);
      } else await fixture.put(A);
      expect("delete() of its bytes", await store.delete(A, { expected: DATA }), true);
      await fixture.expectFound("the session", A, undefined);
      expect("delete() once more", await store.delete(A, { expected: DATA }), false);
    },
  },
  {
    name: "of a concurrent update() and delete() with expected bytes exactly one succeeds",
    needs: ["atomic", "races"],
    async check(fixture) {
      if (!await comparesOnDelete(fixture)) return;
      const { store, now } = fixture;
      for (let round = 0; round < ROUNDS; round++) {
        await fixture.put(A);
        const update = () => store.update(A, DATA, { data: OTHER }, { now });
        const end = () => store.delete(A, { expected: DATA });
        const [deleted, updated] = await inBothOrders(round, end, update);
        expectThat(deleted !== updated, "one of the two must have been first");
        await fixture.expectOnly("the tokens that live", updated ? [A] : [], [A]);
        await store.delete(A);
      }
    },
  },
];

/** Concurrent calls. The result must be that of one order of the calls. */
export const raceCases: Case[] = [
  {
    name: "delete() ends a session that is updated at the same time",
    needs: ["atomic", "races"],
    async check(fixture) {
      const { store, now, later } = fixture;
      for (let round = 0; round < ROUNDS; round++) {
        await fixture.put(A);
        const update = () => store.update(A, DATA, { token: A, data: OTHER, expiry: later }, { now });
        const [deleted] = await inBothOrders(round, () => store.delete(A), update);
        expect("delete()", deleted, true);
        await fixture.expectFound("the session", A, undefined);
      }
    },
  },
  {
    name: "delete() ends a session that is touched at the same time",
    needs: ["atomic", "races"],
    async check(fixture) {
      const { store, now, later } = fixture;
      for (let round = 0; round < ROUNDS; round++) {
        await fixture.put(A);
        const [deleted] = await inBothOrders(
          round,
          () => store.delete(A),
          () => store.touch(A, later + HOUR, { now }),
        );
        expect("delete()", deleted, true);
        await fixture.expectFound("the session", A, undefined);
      }
    },
  },
  {
    name:
      "delete() during a renewal ends the old token, and the new one is live if the renewal returned true",
    needs: ["atomic", "races"],
    async check(fixture) {
      const { store, now, later } = fixture;
      for (let round = 0; round < ROUNDS; round++) {
        await fixture.put(A);
        const renew = () => store.update(A, DATA, { token: B, data: OTHER, expiry: later }, { now });
        const [deleted, renewed] = await inBothOrders(round, () => store.delete(A), renew);
        expectThat(deleted || renewed, "a session that was neither deleted nor renewed must not be gone");
        await fixture.expectOnly("the tokens that live", renewed ? [B] : [], [A, B]);
        await store.delete(B);
      }
    },
  },
  {
    name: "touch() undoes nothing of a concurrent update()",
    needs: ["atomic", "races"],
    async check(fixture) {
      const { store, now, later } = fixture;
      for (let round = 0; round < ROUNDS; round++) {
        await fixture.put(A);
        const update = () => store.update(A, DATA, { token: A, data: OTHER, expiry: later + 1 }, { now });
        const [, updated] = await inBothOrders(round, () => store.touch(A, later + HOUR, { now }), update);
        expect("update()", updated, true);
        const found = await store.find(A, { now });
        expect("the data", found?.data, OTHER);
        expectThat(
          found?.expiry === later + 1 || found?.expiry === later + HOUR,
          `the expiry must be one of the two that were written, and is ${found?.expiry}`,
        );
      }
    },
  },
  {
    name: "touch() does not revive the old token of a concurrent renewal",
    needs: ["atomic", "races"],
    async check(fixture) {
      const { store, now, later } = fixture;
      for (let round = 0; round < ROUNDS; round++) {
        await fixture.put(A);
        const renew = () => store.update(A, DATA, { token: B, data: OTHER, expiry: later }, { now });
        const [, renewed] = await inBothOrders(round, () => store.touch(A, later + HOUR, { now }), renew);
        expect("the renewal", renewed, true);
        await fixture.expectOnly("the tokens that live", [B], [A, B]);
        await store.delete(B);
      }
    },
  },
  {
    name: "of a concurrent update() and renewal one succeeds, and one token is live",
    needs: ["atomic", "races"],
    async check(fixture) {
      const { store, now, later } = fixture;
      for (let round = 0; round < ROUNDS; round++) {
        await fixture.put(A);
        const [updated, renewed] = await inBothOrders(
          round,
          () => store.update(A, DATA, { token: A, data: OTHER, expiry: later }, { now }),
          () => store.update(A, DATA, { token: B, data: OTHER, expiry: later }, { now }),
        );
        expect("how many were made", countTrue([updated, renewed]), 1);
        await fixture.expectOnly("the tokens that live", [renewed ? B : A], [A, B]);
        await together([store.delete(A), store.delete(B)]);
      }
    },
  },
];

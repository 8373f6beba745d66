import {
  type Bench,
  bytesOf,
  type Case,
  countTrue,
  DATA,
  HOUR,
  inBothOrders,
  OTHER,
  race,
  ROUNDS,
  together,
  tokenOf,
} from "./_bench.ts";
import { expect, expectThat } from "./_checks.ts";

const [A, B, C] = [tokenOf("a"), tokenOf("b"), tokenOf("c")];

/** Writes that say what they expect. */
export const atomicCases: Case[] = [
  {
    name: "create() makes a session where there is none",
    needs: ["atomic"],
    async check(bench) {
      const { store, now, later } = bench;
      expect("create()", await store.create(A, DATA, later, { now }), true);
      await bench.expectIntact("the session", A);
    },
  },
  {
    name: "create() is false where the token exists, and leaves the session alone",
    needs: ["atomic", "exclusive"],
    async check(bench) {
      const { store, now, later } = bench;
      await bench.put(A);
      for (const data of [OTHER, DATA]) {
        expect("create()", await store.create(A, data, later + HOUR, { now }), false);
        await bench.expectIntact("the session", A);
      }
    },
  },
  {
    name: "create() is false where the token exists, also where it has expired",
    needs: ["atomic", "exclusive"],
    async check(bench) {
      const { store, now, later } = bench;
      await bench.put(A, { expiry: now, now: now - HOUR });
      expect("create()", await store.create(A, OTHER, later, { now }), false);
      await bench.expectFound("the session, then", A, undefined);
      await bench.expectFound("an hour ago", A, { data: DATA, expiry: now }, now - HOUR);
    },
  },
  {
    name: "create() by twenty at once is true for one of them, whose session it is",
    needs: ["atomic", "exclusive", "races"],
    async check(bench) {
      const { store, now, later } = bench;
      const data = Array.from({ length: 20 }, (_, index) => bytesOf(`writer ${index}`));
      const answers = await race(data.map((own) => () => store.create(A, own, later, { now })));
      expect("how many made it", countTrue(answers), 1);
      await bench.expectFound("the session", A, { data: data[answers.indexOf(true)]!, expiry: later });
    },
  },
  {
    name: "update() replaces data and expiry where the bytes are those expected",
    needs: ["atomic"],
    async check(bench) {
      const { store, now, later } = bench;
      await bench.put(A);
      const next = { token: A, data: OTHER, expiry: later + HOUR };
      expect("update()", await store.update(A, DATA, next, { now }), true);
      await bench.expectFound("the session", A, { data: OTHER, expiry: later + HOUR });
      const sooner = { token: A, data: DATA, expiry: later - HOUR / 2 };
      expect("update() with an earlier expiry", await store.update(A, OTHER, sooner, { now }), true);
      await bench.expectFound("the session then", A, { data: DATA, expiry: sooner.expiry });
    },
  },
  {
    name: "update() leaves the expiry alone where none is given, as touch() has left it too",
    needs: ["atomic"],
    async check(bench) {
      const { store, now, later } = bench;
      await bench.put(A);
      expect("update()", await store.update(A, DATA, { data: OTHER }, { now }), true);
      await bench.expectFound("the session", A, { data: OTHER, expiry: later });
      await store.touch(A, later + HOUR, { now });
      expect("update() then", await store.update(A, OTHER, { data: DATA }, { now }), true);
      await bench.expectFound("the session then", A, { data: DATA, expiry: later + HOUR });
      expect("renewal", await store.update(A, DATA, { token: B, data: OTHER }, { now }), true);
      await bench.expectFound("the renewed session", B, { data: OTHER, expiry: later + HOUR });
      await bench.expectFound("the old token", A, undefined);
    },
  },
  {
    name: "update() is true also where it changes nothing",
    needs: ["atomic"],
    async check(bench) {
      const { store, now, later } = bench;
      await bench.put(A);
      const same = { token: A, data: DATA, expiry: later };
      expect("update()", await store.update(A, DATA, same, { now }), true);
      await bench.expectIntact("the session", A);
    },
  },
  {
    name: "update() is false where the bytes are others, and leaves the session alone",
    needs: ["atomic"],
    async check(bench) {
      const { store, now, later } = bench;
      const data = bytesOf("Data");
      await bench.put(A, { data });
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
      await bench.expectFound("the session", A, { data, expiry: later });
      await bench.expectFound("the token of the renewals", B, undefined);
    },
  },
  {
    name: "update() is false where a single byte is another one, wherever it is",
    needs: ["atomic"],
    async check(bench) {
      const { store, now, later } = bench;
      const data = new Uint8Array(3_000).map((_, index) => index % 251);
      await bench.put(A, { data });
      for (const place of [0, 7, 8, 100, 1_500, 2_900, 2_991, 2_992, 2_999]) {
        const other = data.slice();
        other[place]! ^= 1;
        for (const token of [A, B]) {
          const next = { token, data: OTHER, expiry: later };
          expect(`update() with another byte ${place}`, await store.update(A, other, next, { now }), false);
        }
      }
      await bench.expectFound("the session", A, { data, expiry: later });
    },
  },
  {
    name: "update() is false where there is no session, and makes none",
    needs: ["atomic"],
    async check(bench) {
      const { store, now, later } = bench;
      for (const expected of [DATA, OTHER, new Uint8Array()]) {
        const next = { token: A, data: OTHER, expiry: later };
        expect("update()", await store.update(A, expected, next, { now }), false);
        expect("renewal", await store.update(A, expected, { ...next, token: B }, { now }), false);
      }
      await bench.expectOnly("afterwards", [], [A, B]);
    },
  },
  {
    name: "update() brings no deleted session back",
    needs: ["atomic"],
    async check(bench) {
      const { store, now, later } = bench;
      for (const token of [A, B]) {
        await store.create(A, DATA, later, { now });
        await store.delete(A);
        expect(
          "update()",
          await store.update(A, DATA, { token, data: OTHER, expiry: later }, { now }),
          false,
        );
        await bench.expectOnly("afterwards", [], [A, B]);
      }
    },
  },
  {
    name: "update() is false from the expiry on, and brings no expired session back",
    needs: ["atomic"],
    async check(bench) {
      const { store, later } = bench;
      for (const now of [later, later + 1, later + HOUR]) {
        await bench.put(A);
        for (const token of [A, B]) {
          const next = { token, data: OTHER, expiry: later + 2 * HOUR };
          expect("update()", await store.update(A, DATA, next, { now }), false);
        }
        await bench.expectFound("the old token, then", A, undefined, now);
        await bench.expectFound("the new token, then", B, undefined, now);
      }
      const next = { token: A, data: OTHER, expiry: later + HOUR };
      expect("update() 1 ms before", await store.update(A, DATA, next, { now: later - 1 }), true);
    },
  },
  {
    name: "update() with a new token moves the session: the old token is dead, the new one lives",
    needs: ["atomic"],
    async check(bench) {
      const { store, now, later } = bench;
      await bench.put(A);
      await bench.put(C);
      const next = { token: B, data: OTHER, expiry: later + HOUR };
      expect("update()", await store.update(A, DATA, next, { now }), true);
      await bench.expectFound("the old token", A, undefined);
      await bench.expectFound("the new token", B, { data: OTHER, expiry: later + HOUR });
      await bench.expectIntact("another session", C);
      expect("update() once more", await store.update(A, DATA, next, { now }), false);
      expect("update() of the old token", await store.update(A, OTHER, next, { now }), false);
      await store.touch(A, later + 2 * HOUR, { now });
      await bench.expectFound("the old token after all that", A, undefined);
      await bench.expectFound("the new token after all that", B, { data: OTHER, expiry: later + HOUR });
    },
  },
  {
    name: "update() with a new token can move the session with its bytes as they are, and more than once",
    needs: ["atomic"],
    async check(bench) {
      const { store, now, later } = bench;
      await bench.put(A);
      for (const [from, to] of [[A, B], [B, C], [C, A]] as const) {
        const moved = await store.update(from, DATA, { token: to, data: DATA, expiry: later }, { now });
        expect("update()", moved, true);
        await bench.expectOnly("afterwards", [to], [A, B, C]);
      }
      await bench.expectIntact("the session", A);
    },
  },
  {
    name: "update() onto a token that exists is false, and both sessions stay as they are",
    needs: ["atomic", "exclusive"],
    async check(bench) {
      const { store, now, later } = bench;
      await bench.put(A);
      for (const data of [OTHER, DATA]) {
        await bench.put(B, { data, expiry: later + 1 });
        const next = { token: B, data: bytesOf("renewed"), expiry: later + HOUR };
        expect("update()", await store.update(A, DATA, next, { now }), false);
        await bench.expectIntact("the session that was to be renewed", A);
        await bench.expectFound("the session in the way", B, { data, expiry: later + 1 });
      }
    },
  },
  {
    name: "update() onto a token that exists is false, also where it has expired",
    needs: ["atomic", "exclusive"],
    async check(bench) {
      const { store, now, later } = bench;
      await bench.put(A);
      await bench.put(B, { data: OTHER, expiry: now, now: now - HOUR });
      const next = { token: B, data: DATA, expiry: later };
      expect("update()", await store.update(A, DATA, next, { now }), false);
      await bench.expectIntact("the session that was to be renewed", A);
      await bench.expectFound("the one in the way, an hour ago", B, { data: OTHER, expiry: now }, now - HOUR);
    },
  },
  {
    name: "update() by twenty at once that expect the same bytes is true for one of them, whose data it is",
    needs: ["atomic", "races"],
    async check(bench) {
      const { store, now, later } = bench;
      await bench.put(A);
      const data = Array.from({ length: 20 }, (_, index) => bytesOf(`writer ${index}`));
      const answers = await race(
        data.map((own) => () => store.update(A, DATA, { token: A, data: own, expiry: later }, { now })),
      );
      expect("how many wrote", countTrue(answers), 1);
      await bench.expectFound("the session", A, { data: data[answers.indexOf(true)]!, expiry: later });
    },
  },
  {
    name: "update() by ten at once with tokens of their own is true for one of them, whose token alone lives",
    needs: ["atomic", "races"],
    async check(bench) {
      const { store, now, later } = bench;
      await bench.put(A);
      const tokens = Array.from({ length: 10 }, (_, index) => tokenOf(`new${index}`));
      const answers = await race(
        tokens.map((token) => () =>
          store.update(A, DATA, { token, data: bytesOf(token), expiry: later }, { now })
        ),
      );
      expect("how many renewed it", countTrue(answers), 1);
      const winner = tokens[answers.indexOf(true)]!;
      await bench.expectOnly("the tokens that live", [winner], [A, ...tokens]);
      await bench.expectFound("the session", winner, { data: bytesOf(winner), expiry: later });
    },
  },
  {
    name: "update() onto one new token by two sessions at once is true for one of them, and the other stays",
    needs: ["atomic", "exclusive", "races"],
    async check(bench) {
      const { store, now, later } = bench;
      const [old, data] = [[A, B], [DATA, OTHER]] as const;
      await together(old.map((token, index) => bench.put(token, { data: data[index] })));
      const answers = await race(
        old.map((token, index) => () =>
          store.update(token, data[index]!, { token: C, data: data[index]!, expiry: later }, { now })
        ),
      );
      expect("how many moved", countTrue(answers), 1);
      const winner = answers.indexOf(true);
      await bench.expectFound("the moved session", C, { data: data[winner]!, expiry: later });
      await bench.expectOnly("the tokens that live", [old[1 - winner]!, C], [...old, C]);
    },
  },
];

/** Moving an expiry. */
export const touchCases: Case[] = [
  {
    name: "touch() moves an expiry forward, to the millisecond, and leaves the data alone",
    needs: ["atomic"],
    async check(bench) {
      const { store, now, later } = bench;
      await bench.put(A);
      await bench.put(B);
      for (const expiry of [later + 1, later + HOUR + 1]) {
        await store.touch(A, expiry, { now });
        await bench.expectFound("the session", A, { data: DATA, expiry });
        await bench.expectFound("at its new expiry", A, undefined, expiry);
      }
      await bench.expectIntact("another session", B);
    },
  },
  {
    name: "touch() never moves an expiry back",
    needs: ["atomic"],
    async check(bench) {
      const { store, now, later } = bench;
      await bench.put(A);
      for (const expiry of [later, later - 1, now + 1, now, now - HOUR]) {
        await store.touch(A, expiry, { now });
        await bench.expectIntact("the session", A);
      }
    },
  },
  {
    name: "touch() makes no session, and brings none back that was deleted or renewed",
    needs: ["atomic"],
    async check(bench) {
      const { store, now, later } = bench;
      await store.touch(A, later, { now });
      await bench.expectFound("where none was", A, undefined);
      await bench.put(A);
      await store.delete(A);
      await store.touch(A, later, { now });
      await bench.expectFound("where one was deleted", A, undefined);
      await bench.put(A);
      await store.update(A, DATA, { token: B, data: OTHER, expiry: later }, { now });
      await store.touch(A, later + HOUR, { now });
      await bench.expectFound("where one was renewed", A, undefined);
      await bench.expectFound("the renewed one", B, { data: OTHER, expiry: later });
    },
  },
  {
    name: "touch() brings no expired session back, not even at the very millisecond of its expiry",
    needs: ["atomic"],
    async check(bench) {
      const { store, later } = bench;
      await bench.put(A);
      for (const now of [later, later + 1, later + HOUR]) {
        await store.touch(A, now + HOUR, { now });
        await bench.expectFound("then", A, undefined, now);
      }
      await bench.expectIntact("at an earlier time", A);
      await store.touch(A, later + HOUR, { now: later - 1 });
      await bench.expectFound("touched 1 ms before", A, { data: DATA, expiry: later + HOUR }, later);
    },
  },
  {
    name: "touch() by ten at once leaves the latest expiry",
    needs: ["atomic", "races"],
    async check(bench) {
      const { store, now, later } = bench;
      await bench.put(A);
      const expiries = [3, 9, 1, 7, 10, 2, 8, 4, 6, 5].map((minutes) => later + minutes * 60_000);
      await race(expiries.map((expiry) => () => store.touch(A, expiry, { now })));
      await bench.expectFound("the session", A, { data: DATA, expiry: Math.max(...expiries) });
    },
  },
];

/** Whether the store heeds the bytes that a deletion expects, which it need not. Leaves the session A there. */
async function comparesOnDelete(bench: Bench): Promise<boolean> {
  const { store } = bench;
  await bench.put(A);
  if (!await store.delete(A, { expected: OTHER })) {
    await bench.expectIntact("the session after delete() of other bytes", A);
    return true;
  }
  await bench.expectFound("the session after delete()", A, undefined);
  return false;
}

/** Deletions that say what they expect. */
export const deleteCases: Case[] = [
  {
    name: "delete() with expected bytes deletes only a session that still holds them",
    needs: ["atomic"],
    async check(bench) {
      if (!await comparesOnDelete(bench)) return;
      const { store } = bench;
      const none = { expected: new Uint8Array() };
      expect("delete() of no bytes", await store.delete(A, none), false);
      await bench.expectIntact("the session after that", A);
      expect("delete() of its bytes", await store.delete(A, { expected: DATA }), true);
      await bench.expectFound("the session", A, undefined);
      expect("delete() once more", await store.delete(A, { expected: DATA }), false);
    },
  },
  {
    name:
      "delete() with expected bytes that meets an update() of them ends the session, or leaves the update",
    needs: ["atomic", "races"],
    async check(bench) {
      if (!await comparesOnDelete(bench)) return;
      const { store, now } = bench;
      for (let round = 0; round < ROUNDS; round++) {
        await bench.put(A);
        const update = () => store.update(A, DATA, { data: OTHER }, { now });
        const end = () => store.delete(A, { expected: DATA });
        const [deleted, updated] = await inBothOrders(round, end, update);
        expectThat(deleted !== updated, "one of the two must have been first");
        await bench.expectOnly("the tokens that live", updated ? [A] : [], [A]);
        await store.delete(A);
      }
    },
  },
];

/** Calls that meet. Whichever comes first, what is left must be what one order of them leaves. */
export const raceCases: Case[] = [
  {
    name: "delete() that meets an update() ends the session",
    needs: ["atomic", "races"],
    async check(bench) {
      const { store, now, later } = bench;
      for (let round = 0; round < ROUNDS; round++) {
        await bench.put(A);
        const update = () => store.update(A, DATA, { token: A, data: OTHER, expiry: later }, { now });
        const [deleted] = await inBothOrders(round, () => store.delete(A), update);
        expect("delete()", deleted, true);
        await bench.expectFound("the session", A, undefined);
      }
    },
  },
  {
    name: "delete() that meets a touch() ends the session",
    needs: ["atomic", "races"],
    async check(bench) {
      const { store, now, later } = bench;
      for (let round = 0; round < ROUNDS; round++) {
        await bench.put(A);
        const [deleted] = await inBothOrders(
          round,
          () => store.delete(A),
          () => store.touch(A, later + HOUR, { now }),
        );
        expect("delete()", deleted, true);
        await bench.expectFound("the session", A, undefined);
      }
    },
  },
  {
    name: "delete() that meets a renewal ends the old token, and the new one lives if the renewal says so",
    needs: ["atomic", "races"],
    async check(bench) {
      const { store, now, later } = bench;
      for (let round = 0; round < ROUNDS; round++) {
        await bench.put(A);
        const renew = () => store.update(A, DATA, { token: B, data: OTHER, expiry: later }, { now });
        const [deleted, renewed] = await inBothOrders(round, () => store.delete(A), renew);
        expectThat(deleted || renewed, "a session that was neither deleted nor renewed must not be gone");
        await bench.expectOnly("the tokens that live", renewed ? [B] : [], [A, B]);
        await store.delete(B);
      }
    },
  },
  {
    name: "touch() that meets an update() undoes nothing of it",
    needs: ["atomic", "races"],
    async check(bench) {
      const { store, now, later } = bench;
      for (let round = 0; round < ROUNDS; round++) {
        await bench.put(A);
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
    name: "touch() that meets a renewal brings the old token not back",
    needs: ["atomic", "races"],
    async check(bench) {
      const { store, now, later } = bench;
      for (let round = 0; round < ROUNDS; round++) {
        await bench.put(A);
        const renew = () => store.update(A, DATA, { token: B, data: OTHER, expiry: later }, { now });
        const [, renewed] = await inBothOrders(round, () => store.touch(A, later + HOUR, { now }), renew);
        expect("the renewal", renewed, true);
        await bench.expectOnly("the tokens that live", [B], [A, B]);
        await store.delete(B);
      }
    },
  },
  {
    name: "an update() that meets a renewal: one of the two is made, and one token lives",
    needs: ["atomic", "races"],
    async check(bench) {
      const { store, now, later } = bench;
      for (let round = 0; round < ROUNDS; round++) {
        await bench.put(A);
        const [updated, renewed] = await inBothOrders(
          round,
          () => store.update(A, DATA, { token: A, data: OTHER, expiry: later }, { now }),
          () => store.update(A, DATA, { token: B, data: OTHER, expiry: later }, { now }),
        );
        expect("how many were made", countTrue([updated, renewed]), 1);
        await bench.expectOnly("the tokens that live", [renewed ? B : A], [A, B]);
        await together([store.delete(A), store.delete(B)]);
      }
    },
  },
];

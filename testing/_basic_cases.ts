import {
  bytesOf,
  type Case,
  countTrue,
  DATA,
  HOUR,
  OTHER,
  race,
  SECOND,
  together,
  tokenOf,
} from "./_fixture.ts";
import { expect, expectThat } from "./_checks.ts";
import { HOSTILE_TOKENS, SIMILAR_TOKENS, TOKEN } from "./_tokens.ts";

const [A, B] = [tokenOf("a"), tokenOf("b")];

/** The promises of SCS's three methods. */
export const basicCases: Case[] = [
  {
    name: "find() returns undefined if there is no session",
    needs: [],
    async check(fixture) {
      await fixture.expectFound("in an empty store", A, undefined);
      await fixture.put(B);
      await fixture.expectFound("beside another session", A, undefined);
    },
  },
  {
    name: "find() returns the data and expiry of commit(), on every call",
    needs: [],
    async check(fixture) {
      await fixture.put(A);
      await fixture.put(B, { data: OTHER, expiry: fixture.later + 1 });
      await fixture.expectFound("the first", A, { data: DATA, expiry: fixture.later });
      await fixture.expectFound("the second", B, { data: OTHER, expiry: fixture.later + 1 });
      await fixture.expectFound("the first again", A, { data: DATA, expiry: fixture.later });
    },
  },
  {
    name: "find() with primary: true returns what was last written",
    needs: [],
    async check({ store, now, later }) {
      const find = () => store.find(A, { now, primary: true });
      expect("before", await find(), undefined);
      for (const data of [DATA, OTHER]) {
        await store.commit(A, data, later, { now });
        expect("after a commit", (await find())?.data, data);
      }
      await store.delete(A);
      expect("after a deletion", await find(), undefined);
    },
  },
  {
    name: "commit() overwrites data and expiry, even with an earlier expiry or the same bytes",
    needs: [],
    async check(fixture) {
      const { later } = fixture;
      await fixture.put(A);
      for (
        const [data, expiry] of [[OTHER, later + HOUR], [DATA, later], [DATA, later], [
          DATA,
          later - 1,
        ]] as const
      ) {
        await fixture.put(A, { data, expiry });
        await fixture.expectFound("after commit()", A, { data, expiry });
      }
    },
  },
  {
    name: "commit() overwrites an expired session",
    needs: [],
    async check(fixture) {
      await fixture.put(A, { expiry: fixture.now - 1, now: fixture.now - HOUR });
      await fixture.put(A, { data: OTHER });
      await fixture.expectFound("after commit()", A, { data: OTHER, expiry: fixture.later });
    },
  },
  {
    name: "twenty concurrent commit() calls for one token leave one of them intact",
    needs: [],
    async check(fixture) {
      const written = Array.from({ length: 20 }, (_, index) => ({
        data: bytesOf(`${index} `.repeat(20)),
        expiry: fixture.later + index,
      }));
      await race(written.map((row) => () => fixture.put(A, row)));
      const found = await fixture.store.find(A, { now: fixture.now });
      const writer = written.findIndex(({ expiry }) => expiry === found?.expiry);
      expect("the data that belongs to the expiry", found?.data, written[writer]?.data);
      expectThat(writer >= 0, "one of the twenty must be found");
    },
  },
  {
    name: "delete() ends one session and returns whether it did",
    needs: [],
    async check(fixture) {
      const { store } = fixture;
      await fixture.put(A);
      await fixture.put(B);
      expect("delete() of a session", await store.delete(A), true);
      await fixture.expectFound("the deleted one", A, undefined);
      expect("delete() once more", await store.delete(A, {}), false);
      expect("delete() of one that never was", await store.delete(tokenOf("c")), false);
      await fixture.expectIntact("the other one", B);
    },
  },
  {
    name: "of twenty concurrent delete() calls one returns true",
    needs: ["races"],
    async check(fixture) {
      await fixture.put(A);
      const answers = await race(Array.from({ length: 20 }, () => () => fixture.store.delete(A)));
      expect("how many deleted it", countTrue(answers), 1);
    },
  },
  {
    name: "a deleted token can be used again",
    needs: [],
    async check(fixture) {
      await fixture.put(A);
      await fixture.store.delete(A);
      await fixture.put(A, { data: OTHER });
      await fixture.expectFound("after commit()", A, { data: OTHER, expiry: fixture.later });
    },
  },
];

/** When a session is live or dead. */
export const timeCases: Case[] = [
  {
    name: "a session is live up to the millisecond before its expiry, and dead from the expiry on",
    needs: [],
    async check(fixture) {
      for (const expiry of [fixture.later, fixture.later + 1, fixture.later + 999]) {
        await fixture.put(A, { expiry });
        await fixture.expectFound("1 ms before", A, { data: DATA, expiry }, expiry - 1);
        await fixture.expectFound("at the expiry", A, undefined, expiry);
        await fixture.expectFound("1 ms after", A, undefined, expiry + 1);
      }
    },
  },
  {
    name: "find() deletes nothing, not even what has expired",
    needs: [],
    async check(fixture) {
      await fixture.put(A);
      await fixture.expectFound("when it is dead", A, undefined, fixture.later + HOUR);
      await fixture.expectIntact("asked at an earlier time", A);
    },
  },
  {
    name: "the caller's clock decides, never the store's",
    needs: ["clock"],
    async check(fixture) {
      const past = Date.UTC(2001, 1, 3, 4, 5, 6, 7);
      await fixture.put(A, { expiry: past, now: past - HOUR });
      await fixture.expectFound("in 2001, before its expiry", A, { data: DATA, expiry: past }, past - 1);
      await fixture.expectFound("in 2001, at its expiry", A, undefined, past);
      await fixture.expectFound("today", A, undefined);
      expect("delete()", await fixture.store.delete(A), true);
      await fixture.expectFound("in 2001, after delete()", A, undefined, past - 1);
      await fixture.put(B);
      await fixture.expectFound("a session of today, in a year", B, undefined, fixture.now + 8_766 * HOUR);
    },
  },
  {
    name: "the caller's clock also decides for writes",
    needs: ["clock", "atomic"],
    async check(fixture) {
      const { store } = fixture;
      const now = Date.UTC(2001, 1, 3, 4, 5, 6, 7);
      const expiry = now + HOUR;
      expect("create() in 2001", await store.create(A, DATA, expiry, { now }), true);
      const next = { token: A, data: OTHER, expiry: expiry + 1 };
      expect("update() in 2001", await store.update(A, DATA, next, { now }), true);
      await store.touch(A, expiry + 2, { now });
      await fixture.expectFound("the session in 2001", A, { data: OTHER, expiry: expiry + 2 }, now);

      await fixture.put(B);
      const inAYear = { now: fixture.now + 8_766 * HOUR };
      const late = { token: B, data: OTHER, expiry: inAYear.now + HOUR };
      expect("update() a year late", await store.update(B, DATA, late, inAYear), false);
      await store.touch(B, late.expiry, inAYear);
      await fixture.expectIntact("the session of today", B);
    },
  },
  {
    name: "an expiry far in the future is kept to the millisecond, or refused if the store cannot hold it",
    needs: [],
    async check(fixture) {
      const { maxExpiry } = fixture.limits;
      const times = [
        Date.UTC(2038, 0, 19, 3, 14, 7, 999),
        Date.UTC(2038, 0, 19, 3, 14, 8, 1),
        Date.UTC(2040, 1, 29, 23, 59, 59, 999),
        Date.UTC(2100, 11, 31, 23, 59, 59, 123),
      ];
      for (const expiry of times) {
        const data = bytesOf(String(expiry));
        const refusal = await refusalOf(fixture.put(A, { data, expiry }));
        const held = refusal === undefined;
        if (!held && expiry <= maxExpiry) throw refusal;
        const found = held ? { data, expiry } : undefined;
        await fixture.expectFound(`an expiry of ${new Date(expiry).toISOString()}`, A, found);
        if (held) await fixture.expectFound("1 ms before it", A, found, expiry - 1);
        await fixture.expectFound("at it", A, undefined, expiry);
        await fixture.store.delete(A);
      }
    },
  },
  {
    name: "now may be far in the future, whatever the store can hold",
    needs: [],
    async check(fixture) {
      await fixture.put(A);
      for (const now of [Date.UTC(2040, 0, 1), Date.UTC(2100, 0, 1)]) {
        await fixture.expectFound(`in ${new Date(now).getUTCFullYear()}`, A, undefined, now);
      }
      await fixture.expectIntact("today", A);
    },
  },
  {
    name: "times that differ by a millisecond stay distinct throughout a day",
    needs: [],
    async check(fixture) {
      // Fractions of a day that a binary number does not hold exactly.
      const times = Array.from({ length: 12 }, (_, index) => fixture.now + HOUR + index * 7_200_001 + index);
      await together(times.map((expiry, index) => fixture.put(tokenOf(`t${index}`), { expiry })));
      for (const [index, expiry] of times.entries()) {
        const token = tokenOf(`t${index}`);
        await fixture.expectFound("1 ms before its expiry", token, { data: DATA, expiry }, expiry - 1);
        await fixture.expectFound("at its expiry", token, undefined, expiry);
      }
    },
  },
];

/** The answer for a token. The store may refuse a token that is empty or very long. */
async function answerTo<T>(token: string, answer: Promise<T>, refused: T): Promise<T> {
  const fits = token.length > 0 && token.length < 1_000;
  return fits ? await answer : await answer.catch(() => refused);
}

/** A token matches its own session only. */
export const tokenCases: Case[] = [
  {
    name: "a token finds and deletes its own session and no similar one",
    needs: [],
    async check(fixture) {
      await fixture.put(TOKEN);
      for (const other of HOSTILE_TOKENS) {
        const { store, now } = fixture;
        expect(
          `find(${JSON.stringify(other)})`,
          await answerTo(other, store.find(other, { now }), undefined),
          undefined,
        );
        expect(`delete(${JSON.stringify(other)})`, await answerTo(other, store.delete(other), false), false);
      }
      await fixture.expectIntact("the session itself", TOKEN);
    },
  },
  {
    name: "a token updates and touches its own session and no similar one",
    needs: ["atomic"],
    async check(fixture) {
      const { store, now, later } = fixture;
      await fixture.put(TOKEN);
      for (const other of HOSTILE_TOKENS) {
        const next = { token: other, data: OTHER, expiry: later + HOUR };
        const what = `update(${JSON.stringify(other)})`;
        expect(what, await answerTo(other, store.update(other, DATA, next, { now }), false), false);
        expect(
          `${what} with a new token`,
          await answerTo(other, store.update(other, DATA, { ...next, token: A }, { now }), false),
          false,
        );
        await answerTo(other, store.touch(other, later + HOUR, { now }), undefined);
      }
      await fixture.expectIntact("the session itself", TOKEN);
      await fixture.expectFound("the new token", A, undefined);
    },
  },
  {
    name: "a write under a similar or a hostile token harms no other session",
    needs: [],
    async check(fixture) {
      const rows = [TOKEN, A, B];
      for (const token of rows) await fixture.put(token);
      for (const other of HOSTILE_TOKENS) {
        // The store may accept or refuse it. The manager makes no such token.
        const refusal = await refusalOf(fixture.put(other, { data: OTHER }));
        if (refusal === undefined && bytesOf(other).length <= TOKEN.length) {
          const found = await fixture.store.find(other, { now: fixture.now });
          if (found !== undefined) expect(`find(${JSON.stringify(other)})`, found.data, OTHER);
        }
      }
      for (const token of rows) await fixture.expectIntact("another session", token);
    },
  },
  {
    name: "tokens that differ only in case are different sessions",
    needs: ["similarTokens"],
    async check(fixture) {
      const all = [TOKEN, ...SIMILAR_TOKENS];
      for (const token of all) await fixture.put(token, { data: bytesOf(token) });
      for (const token of all) {
        await fixture.expectFound(token, token, { data: bytesOf(token), expiry: fixture.later });
      }
      expect("delete() of one", await fixture.store.delete(TOKEN), true);
      await fixture.expectOnly("the others", SIMILAR_TOKENS, all);
    },
  },
  {
    name: "create() and renewal distinguish tokens that differ only in case",
    needs: ["similarTokens", "atomic"],
    async check(fixture) {
      const { store, now, later } = fixture;
      const [lower, upper] = [TOKEN.toLowerCase(), TOKEN.toUpperCase()];
      expect("create()", await store.create(TOKEN, DATA, later, { now }), true);
      expect("create() in lower case", await store.create(lower, DATA, later, { now }), true);
      const next = { token: upper, data: OTHER, expiry: later };
      expect("renewal into upper case", await store.update(lower, DATA, next, { now }), true);
      await fixture.expectIntact("the first", TOKEN);
      await fixture.expectFound("the renewed one", upper, { data: OTHER, expiry: later });
      await fixture.expectFound("the old token", lower, undefined);
    },
  },
];

/** Data is stored exactly. */
export const dataCases: Case[] = [
  {
    name: "any bytes are read back unchanged",
    needs: [],
    async check(fixture) {
      for (const [what, data] of hostileBytes()) {
        await fixture.put(A, { data });
        await fixture.expectFound(what, A, { data, expiry: fixture.later });
      }
    },
  },
  {
    name: "any bytes can be created, expected by update() and written by it",
    needs: ["atomic"],
    async check(fixture) {
      const { store, now, later } = fixture;
      for (const [what, data] of hostileBytes()) {
        expect(`create() of ${what}`, await store.create(A, data, later, { now }), true);
        const there = await store.update(A, data, { token: A, data: OTHER, expiry: later }, { now });
        expect(`update() that expects ${what}`, there, true);
        const back = await store.update(A, OTHER, { token: B, data, expiry: later }, { now });
        expect(`renewal that writes ${what}`, back, true);
        await fixture.expectFound(what, B, { data, expiry: later });
        await store.delete(B);
      }
    },
  },
  {
    name: "data up to the largest size that the store holds is read back whole",
    needs: [],
    async check(fixture) {
      const { maxBytes } = fixture.limits;
      for (const size of [1, 255, 256, maxBytes - 1, maxBytes]) {
        const data = patternOf(size);
        await fixture.put(A, { data });
        await fixture.expectFound(`${size} bytes`, A, { data, expiry: fixture.later });
      }
    },
  },
  {
    name: "larger data is stored whole or refused, never cut",
    needs: [],
    async check(fixture) {
      const { maxBytes } = fixture.limits;
      const sizes = [maxBytes + 1, 65_535, 65_536, 70_000, 300_000].filter((size) => size > maxBytes);
      for (const size of sizes) {
        const data = patternOf(size);
        const refusal = await refusalOf(fixture.put(A, { data }));
        await fixture.expectFound(`${size} bytes`, A, refusal ? undefined : { data, expiry: fixture.later });
        await fixture.store.delete(A);
      }
    },
  },
  {
    name: "larger data replaces other data whole, or is refused and the other data stays",
    needs: ["atomic"],
    async check(fixture) {
      const { store, now, later } = fixture;
      const large = patternOf(Math.max(70_000, fixture.limits.maxBytes + 1));
      const writes: [name: string, write: () => Promise<unknown>][] = [
        ["commit()", () => store.commit(A, large, later, { now })],
        ["update()", () => store.update(A, DATA, { token: A, data: large, expiry: later }, { now })],
        ["renewal", () => store.update(A, DATA, { token: B, data: large, expiry: later }, { now })],
      ];
      for (const [name, write] of writes) {
        await fixture.put(A);
        const refusal = await refusalOf(write());
        const [kept, gone] = name === "renewal" && !refusal ? [B, A] : [A, B];
        await fixture.expectFound(name, kept, { data: refusal ? DATA : large, expiry: later });
        await fixture.expectFound(`${name}, the other token`, gone, undefined);
        await store.delete(kept);
      }
    },
  },
  {
    name: "a view of a larger buffer is stored without the rest of the buffer",
    needs: [],
    async check(fixture) {
      const buffer = patternOf(300);
      const data = buffer.subarray(100, 200);
      await fixture.put(A, { data });
      await fixture.expectFound("the part", A, { data: buffer.slice(100, 200), expiry: fixture.later });
    },
  },
  {
    name: "the store keeps its own copy of the bytes, and returns copies",
    needs: [],
    async check(fixture) {
      const { store, now } = fixture;
      const given = DATA.slice();
      await fixture.put(A, { data: given });
      given.fill(0);
      await fixture.expectIntact("after a change of what was given", A);
      (await store.find(A, { now }))?.data.fill(0);
      await fixture.expectIntact("after a change of what was found", A);
      // A store may read every row into one buffer.
      await fixture.put(B, { data: OTHER });
      const first = await store.find(A, { now });
      await store.find(B, { now });
      expect("what was found before another session was read", first?.data, DATA);
    },
  },
  {
    name: "create() and update() keep their own copies of the bytes",
    needs: ["atomic"],
    async check(fixture) {
      const { store, now, later } = fixture;
      const given = OTHER.slice();
      await store.create(A, given, later, { now });
      given.fill(0);
      await fixture.expectFound("after create()", A, { data: OTHER, expiry: later });
      const [expected, next] = [OTHER.slice(), DATA.slice()];
      await store.update(A, expected, { token: A, data: next, expiry: later }, { now });
      expect("the bytes that were expected", expected, OTHER);
      expected.fill(0);
      next.fill(0);
      await fixture.expectIntact("after update()", A);
    },
  },
];

/** Stopping a store's own clean-up. */
export const cleanupCases: Case[] = [
  {
    name: "stopCleanup() may be called at any time and more than once, and the store still works",
    needs: ["cleanup"],
    async check(fixture) {
      const { store } = fixture;
      store.stopCleanup();
      await fixture.put(A);
      store.stopCleanup();
      store.stopCleanup();
      store[Symbol.dispose]?.();
      await fixture.put(B, { now: fixture.now + SECOND });
      await fixture.expectOnly("afterwards", [A, B], [A, B]);
      store.stopCleanup();
    },
  },
];

/** The error of a refused call; `undefined` if it succeeded. */
async function refusalOf(call: Promise<unknown>): Promise<Error | undefined> {
  try {
    await call;
  } catch (error) {
    return error instanceof Error ? error : new Error(String(error));
  }
}

/** Bytes that depend on their position, so that a missing part is noticed. */
function patternOf(size: number): Uint8Array {
  return Uint8Array.from({ length: size }, (_, index) => (index * 31 + (index >> 8)) & 0xff);
}

function hostileBytes(): [what: string, data: Uint8Array][] {
  return [
    ["all 256 values", Uint8Array.from({ length: 256 }, (_, index) => index)],
    ["all 256 values backwards", Uint8Array.from({ length: 256 }, (_, index) => 255 - index)],
    ["no byte at all", new Uint8Array()],
    ["one zero", Uint8Array.of(0)],
    ["zeros at both ends", Uint8Array.of(0, 0, 1, 0, 0)],
    ["blanks at both ends", bytesOf("  data \t\r\n ")],
    ["no UTF-8", Uint8Array.of(0xff, 0xfe, 0xc3, 0x28, 0xed, 0xa0, 0x80)],
    ["a byte order mark", Uint8Array.of(0xef, 0xbb, 0xbf, 0x7b, 0x7d)],
    ["SQL", bytesOf(`'; DROP TABLE sessions; -- \\' OR "1"="1" ? :a $1 %s`)],
    ["a number", bytesOf("0012.50")],
    ["a word of JSON", bytesOf("null")],
  ];
}

import {
  bytesOf,
  type Case,
  DATA,
  HOUR,
  OTHER,
  race,
  rowsIn,
  together,
  tokenOf,
  tokensIn,
} from "./_fixture.ts";
import { expect, expectThat } from "./_checks.ts";
import { SIMILAR_SUBJECTS, TOKEN } from "./_tokens.ts";

const [A, B, C, D] = [tokenOf("a"), tokenOf("b"), tokenOf("c"), tokenOf("d")];
const [ZOE, MAX] = ["zoe", "max"];
/** Of these one subject has more than a thousand, which is a common limit of one answer or one deletion. */
const MANY = 1_200;
/** One session in this many is ended during a listing. More than a thousand are left. */
const ENDED = 25;

/** `findBySubject()`, `deleteBySubject()`, and writes with a subject. */
export const subjectCases: Case[] = [
  {
    name: "findBySubject() yields the live sessions of the subject and no other",
    needs: ["subjects"],
    async check(fixture) {
      const { store, now, later } = fixture;
      expect("in an empty store", await tokensIn(store.findBySubject(ZOE, { now })), []);
      await fixture.put(A, { subject: ZOE });
      await fixture.put(B, { subject: ZOE, data: OTHER, expiry: later + 1 });
      await fixture.put(C, { subject: ZOE, expiry: now, now: now - HOUR });
      await fixture.put(D, { subject: MAX });
      await fixture.put(tokenOf("e"));
      expect("the sessions", await rowsIn(store.findBySubject(ZOE, { now })), [
        { token: A, data: DATA, expiry: later },
        { token: B, data: OTHER, expiry: later + 1 },
      ]);
    },
  },
  {
    name: "findBySubject() yields a session up to the millisecond before its expiry",
    needs: ["subjects", "clock"],
    async check(fixture) {
      const { store, later } = fixture;
      await fixture.put(A, { subject: ZOE });
      await fixture.put(B, { subject: ZOE, expiry: later + 1 });
      const at = async (now: number) => await tokensIn(store.findBySubject(ZOE, { now }));
      expect("1 ms before the first expires", await at(later - 1), [A, B]);
      expect("when it expires", await at(later), [B]);
      expect("when the second expires", await at(later + 1), []);
    },
  },
  {
    name: "findBySubject() uses the expiry that touch() and update() wrote",
    needs: ["subjects", "atomic"],
    async check(fixture) {
      const { store, now, later } = fixture;
      for (const token of [A, B]) await fixture.put(token, { subject: ZOE });
      await store.touch(A, later + HOUR, { now });
      await store.update(B, DATA, { token: B, data: OTHER, expiry: later + 2 * HOUR }, { now });
      expect("the sessions", await rowsIn(store.findBySubject(ZOE, { now: later })), [
        { token: A, data: DATA, expiry: later + HOUR },
        { token: B, data: OTHER, expiry: later + 2 * HOUR },
      ]);
    },
  },
  {
    name: "findBySubject() yields copies of the bytes",
    needs: ["subjects"],
    async check(fixture) {
      await fixture.put(A, { subject: ZOE });
      for await (const { data } of fixture.store.findBySubject(ZOE, { now: fixture.now })) data.fill(0);
      await fixture.expectIntact("the session", A);
    },
  },
  {
    name: "create() stores the subject",
    needs: ["subjects", "atomic"],
    async check({ store, now, later }) {
      await store.create(A, DATA, later, { now, subject: ZOE });
      await store.create(B, DATA, later, { now });
      expect("the sessions", await tokensIn(store.findBySubject(ZOE, { now })), [A]);
    },
  },
  {
    name: "a refused create() keeps the subject",
    needs: ["subjects", "atomic", "exclusive"],
    async check({ store, now, later }) {
      await store.create(A, DATA, later, { now, subject: ZOE });
      expect("create()", await store.create(A, DATA, later, { now, subject: MAX }), false);
      expect("the first subject's", await tokensIn(store.findBySubject(ZOE, { now })), [A]);
      expect("the second subject's", await tokensIn(store.findBySubject(MAX, { now })), []);
    },
  },
  {
    name: "commit() with a subject changes it, and without one keeps it",
    needs: ["subjects"],
    async check(fixture) {
      const { store, now } = fixture;
      await fixture.put(A, { subject: ZOE });
      await fixture.put(A, { data: OTHER });
      expect("without", await tokensIn(store.findBySubject(ZOE, { now })), [A]);
      await fixture.put(A, { subject: MAX });
      expect("with another", await tokensIn(store.findBySubject(ZOE, { now })), []);
      expect("the other's", await tokensIn(store.findBySubject(MAX, { now })), [A]);
    },
  },
  {
    name: "update() keeps the subject, changes it, or clears it with null",
    needs: ["subjects", "atomic"],
    async check({ store, now, later }) {
      // In place, and with a new token each time.
      for (const tokens of [[A, A, A, A, A], [A, B, C, D, tokenOf("e")]] as const) {
        await store.create(A, DATA, later, { now });
        const steps = [
          ["set", ZOE, [1, 0]],
          ["left alone", undefined, [1, 0]],
          ["set to another", MAX, [0, 1]],
          ["emptied", null, [0, 0]],
        ] as const;
        for (const [index, [what, subject, counts]] of steps.entries()) {
          const next = { token: tokens[index + 1]!, data: DATA, expiry: later };
          const given = subject === undefined ? next : { ...next, subject };
          expect(`update(), ${what}`, await store.update(tokens[index]!, DATA, given, { now }), true);
          const found = await together(
            [ZOE, MAX].map((name) => tokensIn(store.findBySubject(name, { now }))),
          );
          expect(`whose session it is when ${what}`, found.map(({ length }) => length), [...counts]);
        }
        await store.delete(tokens.at(-1)!);
      }
    },
  },
  {
    name: "a refused update() keeps the subject",
    needs: ["subjects", "atomic"],
    async check({ store, now, later }) {
      await store.create(A, DATA, later, { now, subject: ZOE });
      for (const token of [A, B]) {
        const next = { token, data: OTHER, expiry: later, subject: MAX };
        expect("update()", await store.update(A, OTHER, next, { now }), false);
      }
      expect("the subject's sessions", await tokensIn(store.findBySubject(ZOE, { now })), [A]);
      expect("the other's", await tokensIn(store.findBySubject(MAX, { now })), []);
    },
  },
  {
    name: "touch() keeps the subject",
    needs: ["subjects", "atomic"],
    async check({ store, now, later }) {
      await store.create(A, DATA, later, { now, subject: ZOE });
      await store.touch(A, later + HOUR, { now });
      expect("the sessions", await tokensIn(store.findBySubject(ZOE, { now })), [A]);
    },
  },
  {
    name: "deleteBySubject() ends the sessions of the subject and no other, and returns how many",
    needs: ["subjects"],
    async check(fixture) {
      const { store } = fixture;
      expect("where there is none", await store.deleteBySubject(ZOE), 0);
      for (const token of [A, B]) await fixture.put(token, { subject: ZOE });
      await fixture.put(C, { subject: MAX });
      await fixture.put(D);
      expect("deleteBySubject()", await store.deleteBySubject(ZOE, {}), 2);
      await fixture.expectOnly("what is left", [C, D], [A, B, C, D]);
      expect("deleteBySubject() once more", await store.deleteBySubject(ZOE), 0);
    },
  },
  {
    name: "deleteBySubject() also ends a session that is over by the store's own clock",
    needs: ["subjects", "clock"],
    async check(fixture) {
      const past = fixture.now - HOUR;
      await fixture.put(A, { subject: ZOE, expiry: past, now: past - HOUR });
      expect("deleteBySubject()", await fixture.store.deleteBySubject(ZOE), 1);
      await fixture.expectFound("before its expiry", A, undefined, past - 1);
    },
  },
  {
    name: "deleteBySubject() keeps the session of except, which may be nobody's or another subject's",
    needs: ["subjects"],
    async check(fixture) {
      const { store } = fixture;
      const all = [A, B, TOKEN, D];
      const putAll = async () => {
        for (const token of [A, B, TOKEN]) await fixture.put(token, { subject: ZOE });
        await fixture.put(D, { subject: MAX });
      };
      await putAll();
      expect("except one of them", await store.deleteBySubject(ZOE, { except: A }), 2);
      await fixture.expectOnly("what is left", [A, D], all);
      await putAll();
      expect("except another's", await store.deleteBySubject(ZOE, { except: D }), 3);
      await fixture.expectOnly("what is left then", [D], all);
      for (const except of [TOKEN.toLowerCase(), `${TOKEN} `, "", "%", "' OR '1'='1"]) {
        await putAll();
        expect(`except ${JSON.stringify(except)}`, await store.deleteBySubject(ZOE, { except }), 3);
        await fixture.expectOnly("what is left at the end", [D], all);
      }
    },
  },
  {
    name: "deleteBySubject() keeps the session of except even if it is the only one",
    needs: ["subjects"],
    async check(fixture) {
      await fixture.put(A, { subject: ZOE });
      expect("deleteBySubject()", await fixture.store.deleteBySubject(ZOE, { except: A }), 0);
      await fixture.expectIntact("the session", A);
    },
  },
  {
    name: "a lone surrogate matches no subject",
    needs: ["subjects"],
    async check(fixture) {
      const { store, now } = fixture;
      const subjects = ["\ufffd", "?", "\ufffd\ufffd\ufffd", "\u{10000}"];
      const tokens = subjects.map((_, index) => tokenOf(`s${index}`));
      for (const [index, subject] of subjects.entries()) await fixture.put(tokens[index]!, { subject });
      for (const half of ["\ud800", "\udc00", "\udc00\ud800"]) {
        // The store may also refuse it.
        expect("findBySubject()", await tokensIn(store.findBySubject(half, { now })).catch(() => []), []);
        expect("deleteBySubject()", await store.deleteBySubject(half).catch(() => 0), 0);
      }
      await fixture.expectOnly("the sessions", tokens, tokens);
    },
  },
  {
    name: "a subject matches only itself, not a similar one",
    needs: ["subjects"],
    async check(fixture) {
      const { store, now } = fixture;
      const tokens = SIMILAR_SUBJECTS.map((_, index) => tokenOf(`s${index}`));
      for (const [index, subject] of SIMILAR_SUBJECTS.entries()) {
        await fixture.put(tokens[index]!, { subject });
      }
      for (const [index, subject] of SIMILAR_SUBJECTS.entries()) {
        const found = await tokensIn(store.findBySubject(subject, { now }));
        expect(`findBySubject(${JSON.stringify(subject)})`, found, [tokens[index]]);
      }
      for (const [index, subject] of SIMILAR_SUBJECTS.entries()) {
        const what = `deleteBySubject(${JSON.stringify(subject)})`;
        expect(what, await store.deleteBySubject(subject), 1);
        await fixture.expectFound(`the session of ${JSON.stringify(subject)}`, tokens[index]!, undefined);
      }
    },
  },
  {
    name: `findBySubject() yields each of ${MANY} sessions once, even while some are deleted`,
    needs: ["subjects"],
    async check(fixture) {
      const { store, now } = fixture;
      const tokens = await fixture.fill(MANY, (index) => ({ subject: index % 9 === 4 ? MAX : ZOE }));
      const own = tokens.filter((_, index) => index % 9 !== 4).sort();
      expect("the sessions", await tokensIn(store.findBySubject(ZOE, { now })), own);
      const seen: string[] = [];
      for await (const { token } of store.findBySubject(ZOE, { now })) {
        seen.push(token);
        if (seen.length % ENDED === 0) await store.delete(token);
      }
      expect("the sessions while they are deleted", seen.sort(), own);
      const left = own.length - Math.floor(own.length / ENDED);
      expect("deleteBySubject() of the others", await store.deleteBySubject(ZOE), left);
      expect("what is left", await tokensIn(store.findBySubject(ZOE, { now })), []);
      const others = (await tokensIn(store.findBySubject(MAX, { now }))).length;
      expect("the other subject's sessions", others, MANY - own.length);
    },
  },
  {
    name: "findBySubject() ends, and yields no session twice, while each is updated",
    needs: ["subjects", "atomic"],
    async check(fixture) {
      const { store, now, later } = fixture;
      const tokens = await fixture.fill(30, () => ({ subject: ZOE }));
      const seen: string[] = [];
      for await (const { token, data } of store.findBySubject(ZOE, { now })) {
        seen.push(token);
        expectThat(seen.length <= tokens.length, "findBySubject() must not give a session twice");
        await store.update(token, data, { token, data: OTHER, expiry: later }, { now });
      }
      expect("the sessions", seen.sort(), tokens.sort());
    },
  },
  {
    name: "deleteBySubject() leaves no session of the subject during concurrent updates and renewals",
    needs: ["subjects", "atomic", "races"],
    async check(fixture) {
      const { store, now, later } = fixture;
      const olds = Array.from({ length: 6 }, (_, index) => tokenOf(`old${index}`));
      for (const token of olds) await fixture.put(token, { subject: ZOE });
      const news = olds.map((token, index) => index % 2 === 0 ? token : tokenOf(`new${index}`));
      const writes = news.map((token, index) => () => write(token, index));
      await race([...writes.slice(0, 3), () => store.deleteBySubject(ZOE), ...writes.slice(3)]);
      await fixture.expectOnly("the tokens that live", [], [...olds, ...news]);

      function write(token: string, index: number): Promise<boolean> {
        const next = { token, data: bytesOf(token), expiry: later, subject: ZOE };
        return store.update(olds[index]!, DATA, next, { now });
      }
    },
  },
];

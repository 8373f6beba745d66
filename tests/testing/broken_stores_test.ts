/** The contract finds each of these mistakes: a broken store fails the cases that are listed for it. */
import { type SessionStore, SessionStoreError, type StoredRow, type StoreErrorDetails } from "../../mod.ts";
import { MemoryStore } from "../../stores/memory.ts";
import { expect } from "../../testing/_checks.ts";
import { storeContract } from "../../testing/mod.ts";
import { assert, assertEquals, assertRejects, assertThrows } from "../assert.ts";
import { type Breakage, type Broken, broken, byToken, turn } from "./_broken.ts";
import { BROKEN_LISTINGS } from "./_broken_listings.ts";
import { BROKEN_MARKS } from "./_broken_marks.ts";
import { BROKEN_ROWS } from "./_broken_rows.ts";
import { BROKEN_WRITES } from "./_broken_writes.ts";

const BROKEN = [...BROKEN_ROWS, ...BROKEN_WRITES, ...BROKEN_MARKS, ...BROKEN_LISTINGS];

function casesOf(breakage: Breakage, options: Broken["options"] = {}): Map<string, () => Promise<void>> {
  const cases = storeContract({ name: "broken", open: () => broken(breakage), ...options });
  return new Map(cases.map(({ name, run }) => [name.replace(/^broken: /, ""), run]));
}

function threeMethods(): SessionStore {
  const { find, commit, delete: remove } = broken(() => ({}));
  return { find, commit, delete: remove };
}
for (const { name, breakage, found, options } of BROKEN) {
  Deno.test(`storeContract() finds a store where ${name}`, async () => {
    const cases = casesOf(breakage, options);
    for (const title of found) {
      const run = cases.get(title);
      assert(run !== undefined, `there is no case: ${title}`);
      const error = await assertRejects(run, Error, undefined, `passed although broken: ${title}`);
      // The failure must be the mistake, not a missing method.
      assert(!(error instanceof TypeError), `${title}: ${error.stack}`);
    }
  });
}

Deno.test("storeContract() passes the store that the broken ones are made from", async () => {
  for (const run of casesOf(() => ({})).values()) await run();
});

Deno.test("storeContract() passes a store whose delete() takes only a token", async () => {
  for (const run of casesOf((right) => ({ delete: (token) => right.delete(token) })).values()) await run();
});

Deno.test("storeContract() passes a store that gives more properties, lists in any order and holds no more than 32 KiB", async () => {
  const more = async function* (rows: AsyncIterable<StoredRow>) {
    for (const row of (await byToken(rows)).reverse()) yield { ...row, id: 1 };
  };
  const breakage: Breakage = (right) => ({
    async find(token, options) {
      const found = await right.find(token, options);
      return found && { ...found, id: 1 };
    },
    commit: (token, data, ...args) =>
      data.length > 32_768 ? Promise.reject(new Error("too large")) : right.commit(token, data, ...args),
    all: (options) => more(right.all(options)),
    findBySubject: (subject, options) => more(right.findBySubject(subject, options)),
  });
  for (const run of casesOf(breakage).values()) await run();
});

Deno.test("storeContract() stores rows one by one where concurrent calls may disturb each other", async () => {
  for (const [without, expected] of [[{}, 4], [{ races: "it locks nothing" }, 1]] as const) {
    let [running, most] = [0, 0];
    const breakage: Breakage = (right) => ({
      async commit(...args) {
        most = Math.max(most, ++running);
        await turn();
        await right.commit(...args);
        running--;
      },
    });
    const cases = storeContract({ name: "slow", open: () => broken(breakage), without });
    await cases.find(({ name }) => name.includes("each of 450"))!.run();
    assertEquals(most, expected);
  }
});

Deno.test("storeContract() passes a store that holds a later expiry than maxExpiry, or refuses it", async () => {
  const maxExpiry = Date.UTC(2038, 0, 19, 3, 14, 7, 999);
  const refuses: Breakage = (right) => ({
    commit: (token, data, expiry, options) =>
      expiry > maxExpiry
        ? Promise.reject(new Error("out of range"))
        : right.commit(token, data, expiry, options),
  });
  for (const breakage of [() => ({}), refuses]) {
    for (const run of casesOf(breakage, { maxExpiry }).values()) await run();
  }
});

Deno.test("storeContract() repeats a call of a race that the store refuses as busy, but not for ever", async () => {
  const name = "of twenty concurrent create() calls one returns true, and its data is stored";
  const busyFor = (most: number, details: Partial<StoreErrorDetails> = {}): Breakage => (right) => {
    const calls = new Map<Uint8Array, number>();
    return {
      create(token, data, ...args) {
        const call = (calls.get(data) ?? 0) + 1;
        calls.set(data, call);
        if (call > most) return right.create(token, data, ...args);
        return Promise.reject(
          new SessionStoreError("create", { reason: "busy", retryable: true, ...details }),
        );
      },
    };
  };
  await casesOf(busyFor(4)).get(name)!();
  const failing = [busyFor(5), busyFor(1, { retryable: false }), busyFor(1, { ambiguous: true })];
  for (const breakage of failing) {
    await assertRejects(casesOf(breakage).get(name)!, SessionStoreError);
  }
});

Deno.test("Every case of storeContract() fails for one of these broken stores", () => {
  const found = new Set(BROKEN.flatMap(({ found }) => found));
  assertEquals([...casesOf(() => ({})).keys()].filter((title) => !found.has(title)), []);
});

Deno.test("storeContract() gives each case a unique name and its own store, and closes the store", async () => {
  const [opened, closed] = [new Set<MemoryStore>(), new Set<MemoryStore>()];
  const cases = storeContract({
    name: "MemoryStore",
    open() {
      const store = new MemoryStore({ cleanup: "off" });
      opened.add(store);
      return store;
    },
    close: (store) => void closed.add(store),
  });
  assertEquals(opened.size, 0);
  assertEquals(new Set(cases.map(({ name }) => name)).size, cases.length);
  for (const { name, run } of cases.slice(0, 5)) {
    assert(name.startsWith("MemoryStore: "));
    await run();
  }
  assertEquals([opened.size, closed.size], [5, 5]);
});

Deno.test("storeContract() closes the store of a failed case, and reports the expected and the actual value", async () => {
  const closed: unknown[] = [];
  const [first] = storeContract({
    name: "broken",
    open: () => broken(() => ({ find: () => Promise.resolve({ data: Uint8Array.of(1, 255), expiry: 5 }) })),
    close: (store) => void closed.push(store),
  });
  const error = await assertRejects(first!.run, Error);
  assertEquals(
    error.message,
    "in an empty store: expected undefined, got { data: 2 bytes (01ff), expiry: 5 }",
  );
  assertEquals(closed.length, 1);
});

Deno.test("storeContract() waits for every call of a failed case before it closes the store", async () => {
  let running = 0;
  const cases = storeContract({
    name: "broken",
    open: () =>
      broken((right) => ({
        async delete(token) {
          if (++running === 1) throw new Error("on purpose");
          await new Promise((resolve) => setTimeout(resolve));
          const deleted = await right.delete(token);
          running--;
          return deleted;
        },
      })),
    // The call that failed is still counted.
    close: () => void assertEquals(running, 1),
  });
  const { run } = cases.find(({ name }) => name.includes("twenty concurrent delete()"))!;
  await assertRejects(run, Error, "on purpose");
});

Deno.test("expect() tells bytes from a list, and shows the begin of what is long", () => {
  const long = Array.from({ length: 25 }, (_, index) => index);
  for (const [a, b] of [[[1], Uint8Array.of(1)], [Uint8Array.of(1), [1]], [[1], { 0: 1 }]]) {
    assertThrows(() => expect("the value", a, b), Error, "the value: expected ");
  }
  const begin = long.slice(0, 24).join(", ");
  assertThrows(() => expect("it", long, [1]), Error, `it: expected [1], got [${begin}, ... 25 in all]`);
  assertThrows(() => expect("it", long.slice(1), 1), Error, ", 23, 24]");
  assertThrows(() => expect("it", new Uint8Array(25), 1), Error, `got 25 bytes (${"00".repeat(24)}...)`);
  assertThrows(() => expect("it", new Uint8Array(24), 1), Error, `got 24 bytes (${"00".repeat(24)})`);
});

Deno.test("storeContract() lists the cases of a missing ability as skipped, with the reason", async () => {
  const options = { name: "three methods", open: threeMethods };
  const reason = "it has three methods";
  const without = { atomic: reason, listing: reason, purging: reason, subjects: reason, cleanup: reason };
  const cases = storeContract({ ...options, without });
  assertEquals(cases.length, storeContract(options).length);
  const skipped = cases.filter(({ skipped }) => skipped !== undefined);
  assert(skipped.length > 30 && skipped.length < cases.length - 15);
  for (const { name, skipped: why, run } of skipped) {
    assert(name.endsWith(`(skipped: ${reason})`));
    assertEquals(why, reason);
    await run();
  }
  for (const { name, skipped } of cases) {
    if (/touch\(\)|all\(\)|BySubject|deleteExpired|stopCleanup/.test(name)) {
      assertEquals(skipped, reason, name);
    }
  }
});

Deno.test("storeContract() fails a store that lacks a method without a reason, and names method and ability", async () => {
  const cases = storeContract({ name: "three methods", open: threeMethods });
  const errors = new Set<string>();
  for (const { run } of cases) await run().catch((error) => errors.add(error.message));
  assertEquals([...errors].sort(), [
    "the store has no method all(): write it, or say in without.listing why not",
    "the store has no method create(): write it, or say in without.atomic why not",
    "the store has no method deleteExpired(): write it, or say in without.purging why not",
    "the store has no method findBySubject(): write it, or say in without.subjects why not",
    "the store has no method stopCleanup(): write it, or say in without.cleanup why not",
  ]);
});

Deno.test("storeContract() refuses a missing ability without a reason, and an invalid limit", () => {
  const open = () => new MemoryStore({ cleanup: "off" });
  for (const reason of ["", " "]) {
    assertThrows(
      () => storeContract({ name: "s", open, without: { atomic: reason } }),
      TypeError,
      "without.atomic must say why",
    );
  }
  const without = { foo: "why" } as Record<string, string>;
  assertThrows(
    () => storeContract({ name: "s", open, without }),
    TypeError,
    "without.foo is no ability; they are ",
  );
  for (const limit of ["maxBytes", "maxExpiry"]) {
    for (const value of [0, -1, NaN]) {
      assertThrows(
        () => storeContract({ name: "s", open, [limit]: value }),
        TypeError,
        `${limit} must be above 0, got ${value}`,
      );
    }
  }
});

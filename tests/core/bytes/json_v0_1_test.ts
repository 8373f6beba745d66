/**
 * Bytes of version 0.1 are in tables for as long as their sessions live. Every later version must read them.
 * @module
 */

import { isDeepStrictEqual } from "node:util";
import { jsonCodec, MemoryStore, sessions } from "../../../mod.ts";
import { assert, assertEquals } from "../../assert.ts";
import golden from "../../fixtures/json_v0_1.json" with { type: "json" };

const VALUES: Record<string, Record<string, unknown>> = {
  "plain JSON": {
    text: "Zoë 🍏 \ud800",
    number: -1.5e300,
    yes: true,
    no: false,
    nothing: null,
    list: [1, ["a"], {}],
    object: { a: { b: "c" } },
  },
  "kinds that JSON lacks": {
    date: new Date(1_700_000_000_000),
    bytes: Uint8Array.of(0, 1, 0xfe, 0xff),
    noBytes: new Uint8Array(),
    bigint: 2n ** 64n,
    negative: -1n,
    undefined: undefined,
    nan: NaN,
    infinity: Infinity,
    minusInfinity: -Infinity,
    minusZero: -0,
    map: new Map<unknown, unknown>([["a", 1], [{ key: 1 }, new Date(0)], [NaN, undefined]]),
    set: new Set<unknown>(["a", 1n, new Set()]),
  },
  "keys that look like kinds": {
    $date: 1,
    one: { $date: 1 },
    two: { $$date: 1 },
    three: { $: 1 },
    both: { $date: 1, $bytes: "" },
    deep: [{ $map: [{ $set: 1n }] }],
  },
  "keys with a meaning in JavaScript": Object.fromEntries<unknown>([
    ["__proto__", { polluted: true }],
    ["constructor", 1],
    ["a", Object.fromEntries([["__proto__", new Date(0)]])],
    ["", 2],
    ["\udc00", 3],
  ]),
  "no values": {},
};

Deno.test("The bytes of version 0.1 hold every kind of value", () => {
  assertEquals(golden.bytes.map(({ name }) => name), Object.keys(VALUES));
});

for (const { name, deadline, text } of golden.bytes) {
  Deno.test(`jsonCodec.decode() reads what version 0.1 wrote: ${name}`, () => {
    const decoded = jsonCodec.decode(new TextEncoder().encode(text));
    assertEquals(decoded.deadline, deadline);
    const { noDate, ...values } = decoded.values;
    assert(isDeepStrictEqual(values, VALUES[name]), Deno.inspect(values));
    if ("noDate" in decoded.values) assertEquals((noDate as Date).getTime(), NaN);
  });
}

Deno.test("SessionManager.load() reads the row of version 0.1, its subject included", async () => {
  const { token, storedToken, now, expiry, text } = golden.row;
  const store = new MemoryStore();
  await store.commit(storedToken, new TextEncoder().encode(text), expiry, { now });
  const manager = sessions({ store, now: () => now });

  const session = await manager.load(token);
  assertEquals(session.keys(), ["__rememberMe", "cart", "seen", "userId"]);
  assertEquals(session.get("userId"), 42);
  assertEquals(session.get("cart"), ["apple"]);
  assertEquals(session.getTime("seen"), new Date(1_800_000_000_000));
  assertEquals(session.getBool("__rememberMe"), true);
  assertEquals(session.subject, "zoë@example.com");
  assertEquals(session.deadline, 1_802_592_000_000);

  session.put("userId", 43);
  await session.commit();
  assertEquals((await manager.load(token)).get("userId"), 43);
});

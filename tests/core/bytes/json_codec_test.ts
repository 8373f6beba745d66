import { Buffer } from "node:buffer";
import fc from "../../fast_check.ts";
import { isDeepStrictEqual } from "node:util";
import { jsonCodec } from "../../../mod.ts";
import { assert, assertEquals, assertInstanceOf, assertThrows } from "../../assert.ts";
import { HOSTILE, survive } from "./_hostile_bytes.ts";
import { anyKey, anyValue, anyValues } from "../_session_values.ts";

const DEADLINE = 1_700_000_000_000;

function textOf(values: Record<string, unknown>): string {
  return new TextDecoder().decode(jsonCodec.encode(DEADLINE, values));
}

function decodeText(text: string): Record<string, unknown> {
  return jsonCodec.decode(new TextEncoder().encode(text)).values;
}

function roundTrip(value: unknown): unknown {
  return jsonCodec.decode(jsonCodec.encode(DEADLINE, { value })).values.value;
}

const KINDS: [value: unknown, json: string][] = [
  ["Zoë", '"Zoë"'],
  [1.5, "1.5"],
  [true, "true"],
  [null, "null"],
  [["a", 1], '["a",1]'],
  [{ a: { b: [] } }, '{"a":{"b":[]}}'],
  [undefined, '{"$undefined":true}'],
  [new Date(0), '{"$date":0}'],
  [new Date(-8.64e15), '{"$date":-8640000000000000}'],
  [Uint8Array.of(0, 1, 0xff), '{"$bytes":"AAH/"}'],
  [new Uint8Array(), '{"$bytes":""}'],
  [-(2n ** 70n), '{"$bigint":"-1180591620717411303424"}'],
  [new Map<unknown, unknown>([["a", 1], [{}, [2]]]), '{"$map":[["a",1],[{},[2]]]}'],
  [new Set(["a", undefined]), '{"$set":["a",{"$undefined":true}]}'],
  [NaN, '{"$number":"NaN"}'],
  [Infinity, '{"$number":"Infinity"}'],
  [-Infinity, '{"$number":"-Infinity"}'],
  [-0, '{"$number":"-0"}'],
  ["\ud800", '"\\ud800"'],
  [{ "\udc00": 1 }, '{"\\udc00":1}'],
  [{ $date: 0 }, '{"$$date":0}'],
  [{ $$date: 0 }, '{"$$$date":0}'],
  [{ $: 0 }, '{"$$":0}'],
  [{ $date: 0, other: 1 }, '{"$date":0,"other":1}'],
  [{ $date: new Date(1) }, '{"$$date":{"$date":1}}'],
  [{}, "{}"],
];

for (const [value, json] of KINDS) {
  Deno.test(`jsonCodec writes ${Deno.inspect(value, { compact: true })} as ${json} and reads it back`, () => {
    assertEquals(textOf({ value }), `{"deadline":${DEADLINE},"values":{"value":${json}}}`);
    assert(isDeepStrictEqual(roundTrip(value), value));
  });
}

Deno.test("jsonCodec keeps an invalid Date", () => {
  assertEquals(
    textOf({ value: new Date(NaN) }),
    `{"deadline":${DEADLINE},"values":{"value":{"$date":null}}}`,
  );
  const read = roundTrip(new Date(NaN));
  assertInstanceOf(read, Date);
  assertEquals(read.getTime(), NaN);
});

Deno.test("jsonCodec keeps value names that start with $", () => {
  assertEquals(textOf({ $date: 1 }), `{"deadline":${DEADLINE},"values":{"$date":1}}`);
  assertEquals(decodeText(textOf({ $date: 1 })), { $date: 1 });
});

Deno.test("jsonCodec keeps a view of a part of a buffer, and returns a copy of its bytes", () => {
  const view = Uint8Array.of(1, 2, 3, 4).subarray(1, 3);
  assertEquals(roundTrip(view), Uint8Array.of(2, 3));
});

Deno.test("jsonCodec keeps a megabyte of bytes", () => {
  const bytes = crypto.getRandomValues(new Uint8Array(60_000));
  assertEquals(roundTrip(bytes), bytes);
});

Deno.test("jsonCodec keeps an object that occurs twice as two objects", () => {
  const shared = { n: 1 };
  assertEquals(roundTrip([shared, shared, { shared }]), [{ n: 1 }, { n: 1 }, { shared: { n: 1 } }]);
});

Deno.test("jsonCodec keeps an object without a prototype, and one from another realm", () => {
  const bare = Object.assign(Object.create(null), { a: 1 });
  assertEquals(roundTrip(bare), { a: 1 });
  const foreign = Object.setPrototypeOf({ a: 1 }, Object.create(null));
  assertEquals(roundTrip(foreign), { a: 1 });
});

Deno.test("jsonCodec reads every session back exactly", () => {
  fc.assert(
    fc.property(fc.double({ noNaN: true, noDefaultInfinity: true }), anyValues, (deadline, values) => {
      const bytes = jsonCodec.encode(deadline, values);
      const decoded = jsonCodec.decode(bytes);
      // JSON has no -0, so it is replaced here.
      assertEquals(decoded.deadline, deadline + 0);
      assert(
        isDeepStrictEqual(decoded.values, values),
        Deno.inspect([decoded.values, values], { depth: 10 }),
      );
      assertEquals(jsonCodec.encode(deadline, decoded.values), bytes);
    }),
    { numRuns: 500 },
  );
});

Deno.test("jsonCodec does not change what it encodes", () => {
  fc.assert(
    fc.property(anyValue, (value) => {
      const clone = structuredClone(value);
      jsonCodec.encode(0, { value });
      assert(isDeepStrictEqual(value, clone));
    }),
    { numRuns: 100 },
  );
});

Deno.test("jsonCodec returns objects that share nothing with its input", () => {
  const cart = ["apple"];
  const bytes = jsonCodec.encode(0, { cart });
  cart.push("pear");
  assertEquals(jsonCodec.decode(bytes).values, { cart: ["apple"] });
});

const SECRET = "hunter2";

class Basket {
  secret = SECRET;
}

/** 31 arrays, which would be two thousand million values if each occurrence were written. */
const repeated = Array.from({ length: 30 }).reduce<unknown>((part) => [part, part], [SECRET]);
const cycle: unknown[] = [SECRET];
cycle.push({ deep: [cycle] });
const loop = new Map<unknown, unknown>([[SECRET, 1]]);
loop.set("self", new Set([loop]));

function nested(levels: number): unknown {
  let value: unknown = SECRET;
  for (let i = 0; i < levels; i++) value = i % 2 ? [value] : { value };
  return value;
}

/** As many properties as a list without holes. */
function hidden(list: unknown[]): unknown[] {
  return Object.defineProperty(list, SECRET, { value: SECRET });
}

const REFUSED: [what: string, value: unknown, message: string][] = [
  ["a function", () => SECRET, "it holds a function"],
  ["a method in an object", { [SECRET]: 1, f() {} }, "it holds a function"],
  ["an object with toJSON", { secret: SECRET, toJSON: () => 1 }, "it holds a function"],
  ["a symbol", Symbol(SECRET), "it holds a symbol"],
  ["a symbol in a list", [SECRET, Symbol(SECRET)], "it holds a symbol"],
  ["a symbol as a key", { [Symbol(SECRET)]: SECRET }, "it holds a symbol as a key"],
  [
    "a list with a key",
    Object.assign([1], { [SECRET]: SECRET }),
    "it holds an array with holes, or with properties of its own",
  ],
  [
    "the result of a match",
    SECRET.match(/h(u)/),
    "it holds an array with holes, or with properties of its own",
  ],
  ["a list that repeats its parts many times", repeated, "it holds more than a million values"],
  ["a list that holds itself", cycle, "it contains itself"],
  ["a map that holds itself", loop, "it contains itself"],
  ["a class instance", new Basket(), "it holds an instance of Basket; store what it is made from"],
  ["a class instance in a Map", new Map([[SECRET, new Basket()]]), "it holds an instance of Basket"],
  ["a class instance as a Map key", new Map([[new Basket(), 1]]), "it holds an instance of Basket"],
  [
    "a subclass of Map",
    new (class Named extends Map<number, string> {})([[1, SECRET]]),
    "it holds an instance of Named",
  ],
  ["a subclass of Date", new (class ZonedDate extends Date {})(0), "it holds an instance of ZonedDate"],
  [
    "a list with a hole and a key",
    Object.assign([, 1], { [SECRET]: 1 }),
    "it holds an array with holes, or with properties of its own",
  ],
  ["a subclass of Set", new (class Named extends Set<string> {})([SECRET]), "it holds an instance of Named"],
  ["an instance of a nameless class", new (class {})(), "it holds an instance of a class"],
  ["an error", new Error(SECRET), "it holds an instance of Error"],
  ["a pattern", new RegExp(SECRET), "it holds an instance of RegExp"],
  ["a URL", new URL(`https://u:${SECRET}@example.com`), "it holds an instance of URL"],
  ["a promise", Promise.resolve(SECRET), "it holds an instance of Promise"],
  ["a Buffer", Buffer.from(SECRET), "it holds an instance of Buffer; store new Uint8Array(buffer)"],
  ["a subclass of Uint8Array", new (class Key extends Uint8Array {})(1), "it holds an instance of Key"],
  ["a subclass of Array", (class List extends Array<string> {}).of(SECRET), "it holds an instance of List"],
  ["a list with another prototype", Object.setPrototypeOf([SECRET], null), "it holds an instance of Object"],
  ["a Map with a property", Object.assign(new Map(), { [SECRET]: 1 }), "it holds a Map with properties"],
  ["a Set with a property", Object.assign(new Set(), { [SECRET]: 1 }), "it holds a Set with properties"],
  ["a Date with a property", Object.assign(new Date(0), { [SECRET]: 1 }), "it holds a Date with properties"],
  [
    "bytes with a property",
    Object.assign(new Uint8Array(2), { [SECRET]: 1 }),
    "it holds a Uint8Array with properties",
  ],
  ["a Map with a symbol", Object.assign(new Map(), { [Symbol()]: SECRET }), "it holds a Map with properties"],
  [
    "a list with a symbol",
    Object.assign([1], { [Symbol()]: SECRET }),
    "it holds an array with holes, or with",
  ],
  ["a getter", {
    get secret() {
      return SECRET;
    },
  }, "it holds a getter"],
  [
    "a setter",
    Object.defineProperty({}, "a", { set: () => SECRET, enumerable: true }),
    "it holds a getter or a setter",
  ],
  ["a getter in a list", Object.defineProperty([1], 0, { get: () => SECRET, enumerable: true }), "a getter"],
  [
    "a property that is not enumerable",
    Object.defineProperty({}, SECRET, { value: SECRET }),
    "it holds a symbol as a key, or a property that is not enumerable",
  ],
  [
    "a list with an element that is not enumerable",
    Object.defineProperty([1, 2], 1, { enumerable: false }),
    "it holds an array with holes, or with properties of its own",
  ],
  ["a list with a hole", [SECRET, , 1], "it holds an array with holes, or with properties of its own"],
  [
    "a list with a hole, and a property in its place",
    hidden([SECRET, , 1]),
    "it holds an array with holes, or with",
  ],
  ["a list of holes", new Array(3), "it holds an array with holes, or with properties of its own"],
  ["another typed array", Uint16Array.of(1), "it holds an instance of Uint16Array"],
  ["an ArrayBuffer", new ArrayBuffer(1), "it holds an instance of ArrayBuffer"],
  ["a boxed string", new String(SECRET), "it holds an instance of String"],
  ["a WeakMap", new WeakMap(), "it holds an instance of WeakMap"],
  ["a request", new Request(`https://example.com/${SECRET}`), "it holds an instance of Request"],
  [
    "an instance with data as its own constructor",
    Object.assign(Object.create({}), { constructor: { name: SECRET } }),
    "it holds an instance of Object",
  ],
  ["201 levels", nested(201), "it is nested more than 200 levels deep"],
  ["100,000 levels", nested(100_000), "it is nested more than 200 levels deep"],
];

for (const [what, value, message] of REFUSED) {
  Deno.test(`jsonCodec.encode() refuses ${what}, and shows no value`, () => {
    const error = assertThrows(() => jsonCodec.encode(DEADLINE, { a: 1, value }), TypeError, message);
    assertEquals(error.message.includes(SECRET), false);
    assertEquals(error.cause, undefined);
  });
}

Deno.test("jsonCodec refuses a sparse list at once, however long it is", () => {
  const list: unknown[] = [];
  list[4_000_000_000] = 1;
  const started = performance.now();
  assertThrows(
    () => jsonCodec.encode(DEADLINE, { list }),
    TypeError,
    "it holds an array with holes, or with properties of its own",
  );
  assert(performance.now() - started < 1_000);
});

Deno.test("jsonCodec keeps a Date of a fake clock, which has an own property constructor", () => {
  const date = Object.defineProperty(new Date(5), "constructor", { value: Date });
  assertEquals(roundTrip(date), new Date(5));
});

Deno.test("jsonCodec accepts 200 levels", () => {
  assert(isDeepStrictEqual(roundTrip(nested(200)), nested(200)));
});

const bytes = (text: string) => new TextEncoder().encode(text);

const NOT_OURS: [what: string, bytes: Uint8Array][] = [
  ["no bytes", new Uint8Array()],
  ["random bytes", Uint8Array.of(0xde, 0xad, 0xbe, 0xef)],
  ["bytes of gob", Uint8Array.of(0x25, 0x7f, 0x03, 0x01, 0x02)],
  ["text that is not JSON", bytes("session")],
  ["null", bytes("null")],
  ["a number", bytes("1")],
  ["a text", bytes('"deadline"')],
  ["a list", bytes("[]")],
  ["an object without members", bytes("{}")],
  ["no deadline", bytes('{"values":{}}')],
  ["no values", bytes('{"deadline":1}')],
  ["a deadline that is text", bytes('{"deadline":"1","values":{}}')],
  ["a deadline that is null", bytes('{"deadline":null,"values":{}}')],
  ["values that are null", bytes('{"deadline":1,"values":null}')],
  ["values that are text", bytes('{"deadline":1,"values":"a"}')],
  ["values that are a list", bytes('{"deadline":1,"values":[1]}')],
  ["properties in the prototype", bytes('{"__proto__":{"deadline":1,"values":{}}}')],
  ["half of it", bytes('{"deadline":1,"values":{"a"')],
  ["something after it", bytes('{"deadline":1,"values":{}}{}')],
  ["a byte order mark", bytes('\ufeff{"deadline":1,"values":{}}')],
  [
    "bytes that are not UTF-8",
    Uint8Array.of(...bytes('{"deadline":1,"values":{"a":"'), 0xff, ...bytes('"}}')),
  ],
  ["UTF-16", new Uint8Array(Uint16Array.from('{"deadline":1,"values":{}}', (c) => c.charCodeAt(0)).buffer)],
];

for (const [what, data] of NOT_OURS) {
  Deno.test(`jsonCodec.decode() refuses ${what}`, () => {
    assertThrows(() => jsonCodec.decode(data), Error);
  });
}

const NO_TAGS = [
  '{"$date":"2030-01-01"}',
  '{"$date":{}}',
  '{"$date":true}',
  '{"$bytes":null}',
  '{"$bytes":5}',
  '{"$bytes":"*"}',
  '{"$bytes":[1,2]}',
  '{"$bigint":1}',
  '{"$bigint":true}',
  '{"$bigint":""}',
  '{"$bigint":"0x10"}',
  '{"$bigint":"1.5"}',
  '{"$map":null}',
  '{"$map":{}}',
  '{"$map":[1]}',
  '{"$map":[[1]]}',
  '{"$map":[[1,2,3]]}',
  '{"$map":{"$set":[[1,2]]}}',
  '{"$set":null}',
  '{"$set":"abc"}',
  '{"$set":{"$map":[]}}',
  '{"$undefined":false}',
  '{"$undefined":null}',
  '{"$number":1}',
  '{"$number":"5"}',
  '{"$number":null}',
  '{"$regexp":"a"}',
  '{"$":1}',
  '{"$__proto__":{}}',
  '{"$constructor":1}',
];

for (const json of NO_TAGS) {
  Deno.test(`jsonCodec.decode() refuses ${json}, which it never writes, at any depth`, () => {
    for (
      const value of [json, `[${json}]`, `{"a":${json}}`, `{"$set":[${json}]}`, `{"$map":[[0,${json}]]}`]
    ) {
      const error = assertThrows(() => decodeText(`{"deadline":1,"values":{"value":${value}}}`), Error);
      assertEquals(error.message.includes("2030"), false);
    }
  });
}

Deno.test("jsonCodec.decode() refuses 100,000 levels without a crash", () => {
  const levels = 100_000;
  const text = `{"deadline":1,"values":{"a":${'{"a":'.repeat(levels)}{"$date":0}${"}".repeat(levels)}}}`;
  assertThrows(() => decodeText(text), Error);
});

Deno.test("jsonCodec.decode() refuses arbitrary bytes, or returns values that can be encoded again", () => {
  const text = fc.tuple(anyKey, anyKey, fc.json()).map(([outer, inner, json]) => {
    return `{"deadline":1,"values":{${JSON.stringify(outer)}:{${JSON.stringify(inner)}:${json}}}}`;
  });
  const data = fc.oneof(fc.uint8Array({ maxLength: 60 }), fc.json().map(bytes), text.map(bytes));
  let decoded = 0;
  fc.assert(
    fc.property(data, (hostile) => {
      let session: ReturnType<typeof jsonCodec.decode>;
      try {
        session = jsonCodec.decode(hostile);
      } catch (error) {
        assertInstanceOf(error, Error);
        return;
      }
      decoded++;
      const again = jsonCodec.decode(jsonCodec.encode(session.deadline, session.values));
      assert(isDeepStrictEqual(again, session));
    }),
    { numRuns: 1_000 },
  );
  assert(decoded > 50);
});

Deno.test("jsonCodec.decode() does not change Object.prototype, whatever the keys", () => {
  HOSTILE.forEach(survive);
});

Deno.test("jsonCodec.decode() does not change Object.prototype on a runtime with a __proto__ accessor", async () => {
  const { code, stdout, stderr } = await new Deno.Command(Deno.execPath(), {
    args: [
      "run",
      "--no-prompt",
      "--no-check",
      "--cached-only",
      "--unstable-unsafe-proto",
      new URL("_hostile_bytes.ts", import.meta.url).pathname,
    ],
    cwd: new URL("../../../", import.meta.url),
  }).output();
  assertEquals(new TextDecoder().decode(stderr), "");
  assertEquals(new TextDecoder().decode(stdout), `survived ${HOSTILE.length}\n`);
  assertEquals(code, 0);
});

Deno.test("bytes of any length are read back, and many bytes take no longer than text", () => {
  for (const length of [0, 1, 2, 3, 12_287, 12_288, 12_289, 12_290, 24_577, 4_000_000]) {
    const bytes = Uint8Array.from({ length }, (_, index) => index * 7);
    const start = performance.now();
    const encoded = jsonCodec.encode(DEADLINE, { bytes });
    const elapsed = performance.now() - start;
    assert(elapsed < 4_000, `${length} bytes took ${elapsed} ms`);
    const { values } = jsonCodec.decode(encoded);
    assert(isDeepStrictEqual(values.bytes, bytes), `${length} bytes`);
  }
});

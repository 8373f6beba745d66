/**
 * Random values of every kind that a session may hold.
 * @module
 */

import fc from "../fast_check.ts";

/** Any text, lone surrogates included. */
export const anyText: fc.Arbitrary<string> = fc.oneof(
  fc.string({ unit: "grapheme" }),
  fc.array(fc.integer({ min: 0, max: 0xffff }), { maxLength: 8 }).map((units) =>
    String.fromCharCode(...units)
  ),
  fc.constantFrom("\ud800", "\udfff", "\ud83d\ude00", "\udc00\ud800", "\ufeff", "\0", '"$', "\u2028"),
);

const trickyKeys = [
  "__proto__",
  "constructor",
  "prototype",
  "toString",
  "hasOwnProperty",
  "length",
  "",
  "0",
  "1",
];
const taggedKeys = ["date", "bytes", "bigint", "map", "set", "undefined", "number", "x", ""];

/** Any key, with emphasis on keys that mean something to JavaScript or to the codec. */
export const anyKey: fc.Arbitrary<string> = fc.oneof(
  fc.constantFrom(...trickyKeys),
  fc.tuple(fc.constantFrom("$", "$$", "$$$"), fc.constantFrom(...taggedKeys)).map((parts) => parts.join("")),
  anyText,
);

const { value } = fc.letrec((tie) => ({
  value: fc.oneof(
    { depthSize: "small", withCrossShrink: true },
    fc.constantFrom(null, undefined, true, false, 0, -0, NaN, Infinity, -Infinity, "", 0n),
    fc.double(),
    fc.integer(),
    anyText,
    fc.bigInt(),
    fc.date({ noInvalidDate: true }),
    fc.uint8Array(),
    fc.array(tie("value"), { maxLength: 4 }),
    fc.array(fc.tuple(anyKey, tie("value")), { maxLength: 4 }).map((entries) => Object.fromEntries(entries)),
    fc.array(fc.tuple(tie("value"), tie("value")), { maxLength: 4 }).map((entries) => new Map(entries)),
    fc.array(tie("value"), { maxLength: 4 }).map((items) => new Set(items)),
  ),
}));

/** One value. */
export const anyValue: fc.Arbitrary<unknown> = value;

/** A whole session. */
export const anyValues: fc.Arbitrary<Record<string, unknown>> = fc
  .array(fc.tuple(anyKey, anyValue), { maxLength: 6 })
  .map((entries) => Object.fromEntries(entries));

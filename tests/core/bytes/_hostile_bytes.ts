/**
 * JSON that attacks `Object.prototype`, and a check for damage. This is also a program: run it with
 * `--unstable-unsafe-proto`. Without the flag Deno has no `__proto__` accessor, which hides such faults.
 * @module
 */

import { jsonCodec } from "../../../core/bytes/json_codec.ts";
import { decodeRecord, encodeRecord, isReserved } from "../../../core/state/record.ts";

/** The JSON under `values`. */
const ATTACKS = [
  '{"__proto__":{"polluted":true}}',
  '{"__proto__":null}',
  '{"__proto__":[]}',
  '{"constructor":{"prototype":{"polluted":true}}}',
  '{"prototype":{"polluted":true}}',
  '{"a":{"__proto__":{"polluted":true}}}',
  '{"a":{"__proto__":{"polluted":true},"b":1}}',
  '{"a":[{"__proto__":{"polluted":true}}]}',
  '{"a":{"constructor":{"prototype":{"polluted":true}}}}',
  '{"a":{"$$__proto__":{"polluted":true}}}',
  '{"a":{"$set":[{"__proto__":{"polluted":true}}]}}',
  '{"a":{"$map":[["__proto__",{"polluted":true}]]}}',
  '{"a":{"$map":[[{"__proto__":{"polluted":true}},1]]}}',
  '{"toString":1,"valueOf":2,"hasOwnProperty":3,"__defineGetter__":4}',
  '{"__subject":{"__proto__":{"polluted":true}},"__nonces":{"__proto__":["polluted"]}}',
];

/** Each attack, alone and with a `$` elsewhere. The `$` makes the decoder walk through every value. */
export const HOSTILE: string[] = ATTACKS.flatMap((values) => [
  `{"deadline":1,"values":${values}}`,
  `{"deadline":1,"values":${values.replace(/}$/, ',"walk":{"$date":0}}')}}`,
]);

/** Decodes hostile text in every way that a session does, and throws if it did harm. */
export function survive(text: string): void {
  const bytes = new TextEncoder().encode(text);
  const { deadline, values } = jsonCodec.decode(bytes);
  const again = new TextDecoder().decode(jsonCodec.encode(deadline, values));
  if (again !== text) throw new Error(`${text} became ${again}`);
  assertPlain(values);
  const record = decodeRecord(jsonCodec, bytes);
  encodeRecord(jsonCodec, record, 10_000);
  for (const [key, value] of Object.entries(record.values)) {
    if (!Object.hasOwn(values, key) && !isReserved(key)) throw new Error(`${text} holds no key ${key}`);
    assertPlain(value);
  }
  if ("polluted" in {} || "polluted" in [] || "walk" in {}) {
    throw new Error(`${text} changed Object.prototype`);
  }
}

function assertPlain(value: unknown): void {
  if (typeof value !== "object" || value === null) return;
  const prototypes: unknown[] = [
    Object.prototype,
    Array.prototype,
    Map.prototype,
    Set.prototype,
    Date.prototype,
  ];
  if (!prototypes.includes(Object.getPrototypeOf(value))) {
    throw new Error("A value has a foreign prototype");
  }
  const children = value instanceof Map
    ? [...value].flat()
    : value instanceof Set
    ? [...value]
    : Object.values(value);
  children.forEach(assertPlain);
}

if (import.meta.main) {
  if (!("__proto__" in {})) throw new Error("This runtime has no __proto__ accessor");
  HOSTILE.forEach(survive);
  console.log(`survived ${HOSTILE.length}`);
}

import { fromPlainProperties, toPlain } from "./plain_value.ts";
import { isObject, writeValue } from "./values.ts";

/** What a session's bytes hold. */
export interface DecodedSession {
  /** The absolute deadline, in milliseconds since the epoch. */
  deadline: number;
  /** The values by key. Keys such as `__proto__` are ordinary own properties. */
  values: Record<string, unknown>;
}

/**
 * Turns a session into bytes and back, as SCS's `Codec` does.
 *
 * `encode` throws for a value that it cannot represent; it never drops or changes one. `decode` throws for
 * bytes that it did not write.
 */
export interface Codec {
  /**
   * Gives the bytes of a session. They may differ each time, as those of an encryption do. For values that `jsonCodec` cannot
   * write they must not: a change in place is found by comparing them.
   *
   * @param deadline Milliseconds since the epoch.
   */
  encode(deadline: number, values: Record<string, unknown>): Uint8Array;
  /** Gives back what {@linkcode Codec.encode} was given, in an object that is the caller's own. */
  decode(bytes: Uint8Array): DecodedSession;
}

/**
 * JSON, with `Date`, `Uint8Array`, `bigint`, `Map`, `Set`, `undefined` and the numbers that JSON lacks as
 * objects of one key that starts with `$`, such as `{"$date":0}`. A user's object of that form gets one more `$`.
 *
 * @example Round trip
 * ```ts
 * import { assertEquals } from "@std/assert";
 * import { jsonCodec } from "@x/sessions";
 *
 * const bytes = jsonCodec.encode(1_700_000_000_000, { seen: new Date(0) });
 * assertEquals(new TextDecoder().decode(bytes), '{"deadline":1700000000000,"values":{"seen":{"$date":0}}}');
 * assertEquals(jsonCodec.decode(bytes).values.seen, new Date(0));
 * ```
 */
export const jsonCodec: Codec = {
  encode(deadline: number, values: Record<string, unknown>): Uint8Array {
    return encoder.encode(JSON.stringify({ deadline, values: toPlainValues(values) }));
  },

  decode(bytes: Uint8Array): DecodedSession {
    const text = decoder.decode(bytes);
    const { deadline, values } = JSON.parse(text) as DecodedSession;
    if (typeof deadline !== "number" || !isObject(values) || Array.isArray(values)) {
      throw new TypeError("Cannot decode session: it has no deadline or no values");
    }
    return { deadline, values: text.includes('"$') ? fromPlainProperties(values) : values };
  },
};

/** The values themselves if JSON can hold each one. They are no user's object: one `$` key among them gets no escape. */
function toPlainValues(values: Record<string, unknown>): Record<string, unknown> {
  let plain = values;
  for (const key of Object.keys(values)) {
    const value = toPlain(values[key]);
    if (value === values[key]) continue;
    if (plain === values) plain = { ...values };
    writeValue(plain, key, value);
  }
  return plain;
}

const encoder = new TextEncoder();
// A byte order mark would otherwise be dropped in silence; invalid UTF-8 would become U+FFFD.
const decoder = new TextDecoder("utf-8", { fatal: true, ignoreBOM: true });

/**
 * Sessions as the bytes that Go's SCS writes by default: for a table that a Go service and this package share.
 *
 * Pass it as `sessions({ codec: gobCodec })`, and with `hashTokenInStore: false` unless the Go service has set
 * `HashTokenInStore`. Where no Go service reads the table, `jsonCodec` is the better choice: it holds more kinds
 * of values, and it keeps each as it was.
 *
 * ```ts
 * import { assertEquals } from "@std/assert";
 * import { gobCodec } from "@x/sessions/codecs/gob";
 *
 * const deadline = Date.UTC(2030, 0, 2);
 * const bytes = gobCodec.encode(deadline, { userID: 42, roles: ["admin", "editor"] });
 * assertEquals(gobCodec.decode(bytes), { deadline, values: { userID: 42, roles: ["admin", "editor"] } });
 * ```
 *
 * What is written, and what Go then has:
 *
 * | JavaScript | Go |
 * |---|---|
 * | string | `string` |
 * | boolean | `bool` |
 * | integer from -(2^53 - 1) to 2^53 - 1 | `int` |
 * | any other number, also -0 and `NaN` | `float64` |
 * | bigint of at most 64 bits | `int64` |
 * | `Uint8Array` | `[]uint8`, which is `[]byte` |
 * | `Date` | `time.Time` in UTC; the Go service needs `gob.Register(time.Time{})` |
 * | array of strings, also an empty one | `[]string` |
 * | `null` | `nil` |
 *
 * Everything else is refused by a `TypeError` that names the key: text with lone surrogates, `undefined`, an
 * invalid `Date`, other arrays, plain objects, `Map`, `Set`, class instances. Store such a value as JSON text.
 *
 * What Go wrote, and what is read:
 *
 * | Go | JavaScript |
 * |---|---|
 * | `string` | string; one that is not UTF-8 is refused |
 * | `bool` | boolean |
 * | `int`, `uint` and their kin | number, or bigint beyond 2^53 - 1 |
 * | `float32`, `float64` | number |
 * | `[]byte` | `Uint8Array` |
 * | `time.Time` | `Date`, rounded down to the millisecond, without its zone |
 * | any other slice, any array | array |
 * | map with string keys | plain object |
 * | any other map | `Map` |
 * | struct | plain object; a field that gob left out has its zero value, `null` for a nil pointer to a struct or array |
 * | `nil` | `null` |
 *
 * Complex numbers are refused, and types that encode themselves (`GobEncoder` and the like) other than `time.Time`.
 *
 * So a session that is read and written again may change a Go type, and SCS's typed getters then give zero
 * values: a `float64` of 2 comes back to Go as an `int` of 2, an `int32` too. Use `int` and fractions in values
 * that both sides write, or bigint here for what Go has as `int64`: one up to 2^53 - 1 is read as a number, so
 * it has to be made a bigint before each time that it is written. A value of a kind that is read but not written,
 * such as a struct, has to be removed before the session can be saved from here.
 *
 * @module
 */
import type { Codec, DecodedSession } from "../core/bytes/json_codec.ts";
import { readSession } from "./_gob_reader.ts";
import { writeSession } from "./_gob_writer.ts";

/**
 * Reads and writes what SCS's `GobCodec` does. The module's comment lists which types become which.
 *
 * @example What Go has no type for
 * ```ts
 * import { assertThrows } from "@std/assert";
 * import { gobCodec } from "@x/sessions/codecs/gob";
 *
 * assertThrows(() => gobCodec.encode(0, { cart: { apples: 2 } }), TypeError, '"cart"');
 * ```
 */
export const gobCodec: Codec = {
  /**
   * Writes a session; a fraction of a millisecond in the deadline is dropped.
   *
   * @throws {TypeError} A value has no counterpart in Go. The message names its key.
   */
  encode(deadline: number, values: Record<string, unknown>): Uint8Array {
    return writeSession(deadline, values);
  },

  /**
   * Reads a session, whichever ids its types have.
   *
   * @throws {TypeError} The bytes are no session of SCS's, or hold a type that JavaScript cannot have.
   */
  decode(bytes: Uint8Array): DecodedSession {
    return readSession(bytes);
  },
};

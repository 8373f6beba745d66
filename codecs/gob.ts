/**
 * Encodes sessions as Go's SCS does by default, for a table that a Go service and this package share.
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
 * What is written, and the type that Go reads:
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
 * A `TypeError` that names the key refuses everything else: text with lone surrogates, `undefined`, an invalid
 * `Date`, other arrays, plain objects, `Map`, `Set`, class instances. Store such a value as JSON text.
 *
 * What Go has written, and what is read:
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
 * | struct | plain object; a field that gob left out gets its zero value, `null` for a nil pointer to a struct or array |
 * | `nil` | `null` |
 *
 * Complex numbers are refused. So is any type that encodes itself (`GobEncoder` and the like), except `time.Time`.
 *
 * The two tables show that a Go type may change when a session is read here and written again. A `float64` of 2 and an
 * `int32` of 2 come back to Go as an `int` of 2, and SCS's typed getters then give zero values. In values that both
 * sides write, use `int` and fractions. For an `int64` of Go write a bigint: one up to 2^53 - 1 is read as a number,
 * so make it a bigint before each write. A value that can be read but not written, such as a struct, has to be removed
 * before this side can save the session.
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
   * Writes a session. A fraction of a millisecond in the deadline is dropped.
   *
   * @throws {TypeError} Go has no type for a value. The message names its key.
   */
  encode(deadline: number, values: Record<string, unknown>): Uint8Array {
    return writeSession(deadline, values);
  },

  /**
   * Reads a session, whichever ids its types have.
   *
   * @throws {TypeError} The bytes are not a session of SCS's, or hold a type that is refused.
   */
  decode(bytes: Uint8Array): DecodedSession {
    return readSession(bytes);
  },
};

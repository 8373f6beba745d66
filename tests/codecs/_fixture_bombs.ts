/**
 * Decodes streams of 400 kB that claim to hold far more, in a process with little memory. Prints the outcome of each.
 * @module
 */

import { gobCodec } from "../../codecs/gob.ts";

const SIZE = 400_000;

const uint = (value: number): number[] => {
  if (value < 0x80) return [value];
  const bytes: number[] = [];
  for (let rest = value; rest > 0; rest = Math.floor(rest / 256)) bytes.unshift(rest & 255);
  return [256 - bytes.length, ...bytes];
};
const int = (value: number) => uint(value < 0 ? 2 * -value - 1 : 2 * value);
const text = (value: string) => [...uint(value.length), ...new TextEncoder().encode(value)];
const message = (bytes: number[]) => [...uint(bytes.length), ...bytes];

/** The definition of a type: its field in Go's `wireType`, its id, and the bytes that follow its `CommonType`. */
const definition = (kind: number, id: number, rest: number[]) =>
  message([...int(-id), kind + 1, 1, 1, ...text("T"), 1, ...int(id), 0, ...rest, 0, 0]);
const listOf = (id: number, elem: number) => definition(1, id, [1, ...int(elem)]);
const mapOf = (id: number, key: number, elem: number) => definition(3, id, [1, ...int(key), 1, ...int(elem)]);
const structOf = (id: number, ids: number[]) => {
  const fields = ids.flatMap((
    field,
    index,
  ) => [1, ...text(index === 0 ? "Deadline" : "A"), 1, ...int(field), 0]);
  return definition(2, id, [1, ...uint(ids.length), ...fields]);
};

const [UINT, FIRST, SECOND] = [3, 64, 65];
/** The types of fields that are left out. Their zero value is an object. */
const EMPTY_LISTS = Array.from({ length: 1_000 }, () => SECOND + 1);

/** A value of a struct with one field, padded with zeros. */
function streamOf(definitions: number[], value: number[]): Uint8Array {
  const bytes = new Uint8Array(SIZE);
  const body = [...int(FIRST), 1, ...value];
  bytes.set([...definitions, ...uint(SIZE - definitions.length - 4), ...body]);
  return bytes;
}

const level = uint(SIZE - 20_000);
const levels = Array.from({ length: 190 }, () => level).flat();
const BOMBS: Record<string, Uint8Array> = {
  "lists in lists": streamOf([...listOf(SECOND, SECOND), ...structOf(FIRST, [SECOND])], levels),
  "maps in maps": streamOf(
    [...mapOf(SECOND, UINT, SECOND), ...structOf(FIRST, [SECOND])],
    Array.from({ length: 190 }, () => [...level, 0]).flat(),
  ),
  "fields of a type": new Uint8Array(SIZE).fill(0).map((_, index) =>
    [...uint(SIZE - 10), ...int(-FIRST), 3, 2, ...level][index] ?? 0
  ),
  "structs without fields": streamOf(
    [
      ...listOf(SECOND, SECOND + 2),
      ...listOf(SECOND + 1, UINT),
      ...structOf(SECOND + 2, EMPTY_LISTS),
      ...structOf(
        FIRST,
        [SECOND],
      ),
    ],
    level,
  ),
};

for (const [name, bytes] of Object.entries(BOMBS)) {
  try {
    gobCodec.decode(bytes);
    console.log(`${name}: read`);
  } catch (error) {
    console.log(`${name}: ${(error as Error).message}`);
  }
}

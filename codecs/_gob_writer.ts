import { assertPlainArray, kindOf } from "../core/bytes/kind.ts";
import { Refusal } from "../core/bytes/refusal.ts";

/** The definitions that open Go's stream, one message a line: the session (64), `time.Time` (65), the map (66). */
const DEFINITIONS = latin1(
  "\x25\x7f\x03\x01\x02\xff\x80\x00\x01\x02\x01\x08Deadline\x01\xff\x82\x00\x01\x06Values\x01\xff\x84\x00\x00\x00" +
    "\x10\xff\x81\x05\x01\x01\x04Time\x01\xff\x82\x00\x00\x00" +
    "\x27\xff\x83\x04\x01\x01\x17map[string]interface {}\x01\xff\x84\x00\x01\x0c\x01\x10\x00\x00",
);
/** The definition of `[]string` (67). Go writes it before the first value of that type. */
const STRINGS_DEFINITION = latin1("\xff\x85\x02\x01\x02\xff\x86\x00\x01\x0c\x00\x00");

const BOOL_ID = 1;
const INT_ID = 2;
const FLOAT_ID = 4;
const BYTES_ID = 5;
const STRING_ID = 6;
const SESSION_ID = 64;
const TIME_ID = 65;
const STRINGS_ID = 67;

/** Go counts from the year 1. */
const SECONDS_BEFORE_1970 = 62_135_596_800;
/** The latest time that a `Date` can hold, and its negative is the earliest. */
const MAX_MILLISECONDS = 8.64e15;

/** A value as gob writes it for a Go interface. */
interface GoValue {
  /** The name under which Go has registered the type. */
  name: string;
  id: number;
  content: Uint8Array;
}

/** Writes a session as SCS's `GobCodec` does. Throws a `TypeError` for a value that Go has no type for. */
export function writeSession(deadline: number, values: Record<string, unknown>): Uint8Array {
  if (!(Math.abs(deadline) <= MAX_MILLISECONDS)) {
    throw new TypeError("Cannot encode session as gob: its deadline is no time");
  }
  const entries = Object.entries(values);
  const stream = [DEFINITIONS];
  // A field's number is written as the distance from the field before. Here it is 1 for both fields.
  let message = [int(SESSION_ID), uint(1), time(Math.floor(deadline)), uint(1), uint(entries.length)];
  let stringsAreDefined = false;
  for (const [key, value] of entries) {
    const goValue = entryToGo(key, value);
    message.push(string(key), string(goValue?.name ?? ""));
    if (goValue === null) continue;
    if (goValue.id === STRINGS_ID && !stringsAreDefined) {
      // A definition ends its message. The next message starts in the middle of this value.
      stream.push(withLength([...message, STRINGS_DEFINITION]));
      message = [];
      stringsAreDefined = true;
    }
    message.push(int(goValue.id), withLength([uint(0), goValue.content]));
  }
  stream.push(withLength([...message, uint(0)]));
  return concat(stream);
}

/** The value as gob writes it; `null` for `nil`. An error names the key. */
function entryToGo(key: string, value: unknown): GoValue | null {
  try {
    if (!key.isWellFormed()) throw new Refusal("its key has a lone surrogate, which UTF-8 lacks");
    return toGo(value);
  } catch (error) {
    if (!(error instanceof Refusal)) throw error;
    const { problem } = error;
    throw new Refusal(problem, `Cannot encode session value ${JSON.stringify(key)} as gob: ${problem}`);
  }
}

function toGo(value: unknown): GoValue | null {
  switch (typeof value) {
    case "string":
      return { name: "string", id: STRING_ID, content: text(value) };
    case "boolean":
      return { name: "bool", id: BOOL_ID, content: uint(value ? 1 : 0) };
    case "number":
      if (!Number.isSafeInteger(value) || Object.is(value, -0)) {
        return { name: "float64", id: FLOAT_ID, content: float(value) };
      }
      return { name: "int", id: INT_ID, content: int(value) };
    case "bigint":
      if (BigInt.asIntN(64, value) !== value) {
        throw new Refusal("it needs more than 64 bits; store it as text");
      }
      return { name: "int64", id: INT_ID, content: int(value) };
    case "object":
      return value === null ? null : objectToGo(value);
    case "undefined":
      throw new Refusal("it is undefined; store null, or remove the key");
  }
  throw new Refusal(`it is a ${typeof value}`);
}

function objectToGo(value: object): GoValue {
  const kind = kindOf(value);
  if (kind === "Uint8Array") {
    const bytes = value as Uint8Array;
    return { name: "[]uint8", id: BYTES_ID, content: concat([uint(bytes.length), bytes]) };
  }
  if (kind === "Date") {
    const milliseconds = (value as Date).getTime();
    if (Number.isNaN(milliseconds)) throw new Refusal("it is an invalid Date");
    return { name: "time.Time", id: TIME_ID, content: time(milliseconds) };
  }
  const instead = "store it as JSON text, or use jsonCodec";
  if (kind !== "Array") {
    throw new Refusal(`Go has no type for a ${kind === "Object" ? "plain object" : kind}; ${instead}`);
  }
  const items = Array.from(value as unknown[], (item) => {
    if (typeof item === "string") return text(item);
    throw new Refusal(`it is an array of more than strings; ${instead}`);
  });
  assertPlainArray(value as unknown[], Object.keys(value));
  return { name: "[]string", id: STRINGS_ID, content: concat([uint(items.length), ...items]) };
}

function text(value: string): Uint8Array {
  if (!value.isWellFormed()) throw new Refusal("it has a lone surrogate, which UTF-8 lacks");
  return string(value);
}

/** A number up to 127 is one byte. A larger one is the negated count of its bytes, and then the bytes, highest first. */
function uint(value: number | bigint): Uint8Array {
  if (value < 0x80) return Uint8Array.of(Number(value));
  const bytes: number[] = [];
  for (let rest = BigInt(value); rest > 0n; rest >>= 8n) bytes.unshift(Number(rest & 0xffn));
  return Uint8Array.of(0x100 - bytes.length, ...bytes);
}

/** The lowest bit is the sign. If it is set the others are inverted. */
function int(value: number | bigint): Uint8Array {
  const big = BigInt(value);
  return uint(big < 0n ? ~big << 1n | 1n : big << 1n);
}

/** The bytes of a float are written reversed: many floats end in zeros, and those get short. */
function float(value: number): Uint8Array {
  const view = new DataView(new ArrayBuffer(8));
  view.setFloat64(0, value);
  return uint(view.getBigUint64(0, true));
}

/** Writes what Go's `Time.MarshalBinary` does: version, seconds, nanoseconds, and -1 for UTC. Takes an integer. */
function time(milliseconds: number): Uint8Array {
  const seconds = Math.floor(milliseconds / 1000);
  const view = new DataView(new ArrayBuffer(15));
  view.setUint8(0, 1);
  view.setBigInt64(1, BigInt(seconds + SECONDS_BEFORE_1970));
  view.setInt32(9, (milliseconds - seconds * 1000) * 1_000_000);
  view.setInt16(13, -1);
  return withLength([new Uint8Array(view.buffer)]);
}

function string(value: string): Uint8Array {
  return withLength([encoder.encode(value)]);
}

function withLength(parts: Uint8Array[]): Uint8Array {
  return concat([uint(parts.reduce((sum, part) => sum + part.length, 0)), ...parts]);
}

function concat(parts: Uint8Array[]): Uint8Array {
  const bytes = new Uint8Array(parts.reduce((sum, part) => sum + part.length, 0));
  let position = 0;
  for (const part of parts) {
    bytes.set(part, position);
    position += part.length;
  }
  return bytes;
}

function latin1(text: string): Uint8Array {
  return Uint8Array.from(text, (char) => char.charCodeAt(0));
}

const encoder = new TextEncoder();

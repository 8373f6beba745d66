import { toPlain } from "../core/bytes/plain_value.ts";
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
    const goValue = toGo(key, value);
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

function toGo(key: string, value: unknown): GoValue | null {
  if (!key.isWellFormed()) throw refusal(key, "its key has a lone surrogate, which UTF-8 lacks");
  switch (typeof value) {
    case "string":
      return { name: "string", id: STRING_ID, content: textOf(key, value) };
    case "boolean":
      return { name: "bool", id: BOOL_ID, content: uint(value ? 1 : 0) };
    case "number":
      if (!Number.isSafeInteger(value) || Object.is(value, -0)) {
        return { name: "float64", id: FLOAT_ID, content: float(value) };
      }
      return { name: "int", id: INT_ID, content: int(value) };
    case "bigint":
      if (BigInt.asIntN(64, value) !== value) {
        throw refusal(key, "it needs more than 64 bits; store it as text");
      }
      return { name: "int64", id: INT_ID, content: int(value) };
    case "object":
      return value === null ? null : objectToGo(key, value);
    case "undefined":
      throw refusal(key, "it is undefined; store null, or remove the key");
  }
  throw refusal(key, `it is a ${typeof value}`);
}

function objectToGo(key: string, value: object): GoValue {
  if (value instanceof Uint8Array) {
    assertExact(key, value);
    return { name: "[]uint8", id: BYTES_ID, content: concat([uint(value.length), value]) };
  }
  if (value instanceof Date) {
    if (Number.isNaN(value.getTime())) throw refusal(key, "it is an invalid Date");
    assertExact(key, value);
    return { name: "time.Time", id: TIME_ID, content: time(value.getTime()) };
  }
  if (!Array.isArray(value)) {
    throw refusal(
      key,
      `it is ${nameOf(value)}, which has no type in Go; store it as JSON text, or use jsonCodec`,
    );
  }
  const items = Array.from(value, (item: unknown) => {
    if (typeof item === "string") return textOf(key, item);
    throw refusal(key, "it is an array of more than strings; store it as JSON text, or use jsonCodec");
  });
  assertExact(key, value);
  return { name: "[]string", id: STRINGS_ID, content: concat([uint(items.length), ...items]) };
}

/** Throws where Go would lose a part: the class of a `Buffer` or of another subclass, or properties of its own. */
function assertExact(key: string, value: object): void {
  try {
    toPlain(value);
  } catch (error) {
    throw error instanceof Refusal ? refusal(key, error.message) : error;
  }
}

function textOf(key: string, value: string): Uint8Array {
  if (!value.isWellFormed()) throw refusal(key, "it has a lone surrogate, which UTF-8 lacks");
  return string(value);
}

function refusal(key: string, problem: string): Refusal {
  return new Refusal(`Cannot encode session value ${JSON.stringify(key)} as gob: ${problem}`);
}

function nameOf(value: object): string {
  const name: unknown = value.constructor?.name;
  if (name === "Object" || typeof name !== "string" || name === "") return "an object";
  return `an instance of ${name}`;
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

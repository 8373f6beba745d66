import { assertPlainArray, kindOf } from "./kind.ts";
import { Refusal } from "./refusal.ts";
import { isObject } from "./values.ts";

/** The deepest nesting of a value. Deeper ones are a mistake, and walking them would exhaust the stack. */
const MAX_DEPTH = 200;

/** The most parts of a value. One that holds the same part many times over can have more parts than fit into memory. */
const MAX_PARTS = 1_000_000;
/** How many more parts the value that is being walked may have. */
let partsLeft = 0;

/**
 * A value as JSON can hold it; most are given back as they are. Throws a {@linkcode Refusal} for a value that JSON would drop
 * or change: a function, a symbol, a class instance, a cycle. Its message never shows the value.
 */
export function toPlain(value: unknown, ancestors: object[] = []): unknown {
  if (ancestors.length === 0) partsLeft = MAX_PARTS;
  if (partsLeft-- === 0) throw new Refusal("it holds more than a million values");
  if (value === undefined) return { $undefined: true };
  if (value === null || typeof value === "string" || typeof value === "boolean") return value;
  if (typeof value === "number") return numberToPlain(value);
  if (typeof value === "bigint") return { $bigint: `${value}` };
  if (typeof value !== "object") throw new Refusal(`it holds a ${typeof value}`);
  if (ancestors.includes(value)) throw new Refusal("it contains itself");
  if (ancestors.length >= MAX_DEPTH) throw new Refusal(`it is nested more than ${MAX_DEPTH} levels deep`);
  ancestors.push(value);
  const plain = objectToPlain(value, ancestors);
  ancestors.pop();
  return plain;
}

function objectToPlain(value: object, ancestors: object[]): unknown {
  const kind = kindOf(value);
  if (kind === "Object" || kind === "Array") return propertiesToPlain(value, ancestors);
  if (value instanceof Uint8Array) return { $bytes: bytesToBase64(value) };
  // JSON writes the time of an invalid date, NaN, as null.
  if (value instanceof Date) return { $date: value.getTime() };
  return { [kind === "Map" ? "$map" : "$set"]: toPlain([...value as Iterable<unknown>], ancestors) };
}

/** A plain object or an array; the same one if each of its properties is given back as it is. */
function propertiesToPlain(value: object, ancestors: object[]): unknown {
  const keys = Object.keys(value);
  const isArray = Array.isArray(value);
  if (isArray) assertPlainArray(value, keys);
  else if (Reflect.ownKeys(value).length !== keys.length) {
    throw new Refusal("it holds a symbol as a key, or a property that is not enumerable");
  }
  const escape = !isArray && keys.length === 1 && keys[0]!.startsWith("$") ? "$" : "";
  // With another prototype JSON might find a toJSON() there.
  const prototype = Object.getPrototypeOf(value) as object | null;
  let same = escape === "" &&
    (prototype === null || prototype === Object.prototype || prototype === Array.prototype);
  const parts: unknown[] = [];
  for (const key of keys) {
    const { get, set, value: part } = Object.getOwnPropertyDescriptor(value, key)!;
    // JSON would call a getter again, and may get another value.
    if (get !== undefined || set !== undefined) throw new Refusal("it holds a getter or a setter");
    const plain = toPlain(part, ancestors);
    same &&= plain === part;
    parts.push(plain);
  }
  if (same) return value;
  return isArray ? parts : Object.fromEntries(keys.map((key, index) => [escape + key, parts[index]]));
}

/** The value that {@linkcode toPlain} was given. Throws for a `$` key that it never writes. */
function fromPlain(value: unknown): unknown {
  if (!isObject(value)) return value;
  if (Array.isArray(value)) return value.map(fromPlain);
  const entries = Object.entries(value);
  if (entries.length === 1 && entries[0]![0].startsWith("$")) return fromTagged(...entries[0]!);
  return fromPlainProperties(value);
}

/** Every property as {@linkcode fromPlain} gives it. */
export function fromPlainProperties(values: object): Record<string, unknown> {
  return Object.fromEntries(Object.entries(values).map(([key, value]) => [key, fromPlain(value)]));
}

function fromTagged(key: string, content: unknown): unknown {
  if (key.startsWith("$$")) return { [key.slice(1)]: fromPlain(content) };
  if (key === "$undefined" && content === true) return undefined;
  if (key === "$date" && (content === null || typeof content === "number")) return new Date(content ?? NaN);
  if (typeof content === "string") {
    if (key === "$bytes") return Uint8Array.from(atob(content), (char) => char.charCodeAt(0));
    if (key === "$bigint" && /^-?\d+$/.test(content)) return BigInt(content);
    if (key === "$number" && /^(?:NaN|-?Infinity|-0)$/.test(content)) return Number(content);
  }
  if (Array.isArray(content)) {
    if (key === "$set") return new Set(content.map(fromPlain));
    if (key === "$map" && content.every(isPair)) {
      return new Map(content.map(([k, v]) => [fromPlain(k), fromPlain(v)]));
    }
  }
  throw new TypeError("Cannot decode session: unknown kind of value");
}

function isPair(value: unknown): value is [unknown, unknown] {
  return Array.isArray(value) && value.length === 2;
}

function numberToPlain(value: number): unknown {
  if (Object.is(value, -0)) return { $number: "-0" };
  return Number.isFinite(value) ? value : { $number: `${value}` };
}

/** A multiple of 3, so that base64 needs no padding in the middle. */
const BYTES_AT_ONCE = 3 * 4096;

function bytesToBase64(bytes: Uint8Array): string {
  // Byte by byte a megabyte takes seconds. All at once it has more arguments than a call may have.
  const parts: string[] = [];
  for (let start = 0; start < bytes.length; start += BYTES_AT_ONCE) {
    const some = bytes.subarray(start, start + BYTES_AT_ONCE);
    // Spreading the bytes into the call takes eight times as long.
    parts.push(btoa(String.fromCharCode.apply(null, some as unknown as number[])));
  }
  return parts.join("");
}

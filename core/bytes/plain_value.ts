import { Refusal } from "./refusal.ts";

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
  const prototype = Object.getPrototypeOf(value) as object | null;
  // By name, since another realm or a test runner has a Date, a Map or an Array of its own. A subclass has another name.
  const name = prototype === null ? "Object" : className(prototype);
  if (Array.isArray(value) && name === "Array") return arrayToPlain(value, ancestors);
  if (value instanceof Uint8Array && name === "Uint8Array") {
    if (value.length <= LONGEST_SEARCHED) assertPlainProperties(value, value.length, "Uint8Array");
    return { $bytes: bytesToBase64(value) };
  }
  if (value instanceof Date && name === "Date") {
    assertPlainProperties(value, 0, name);
    // JSON writes the time of an invalid date, NaN, as null.
    return { $date: value.getTime() };
  }
  if (value instanceof Map && name === "Map") {
    assertPlainProperties(value, 0, name);
    return { $map: Array.from(value, ([k, v]) => [toPlain(k, ancestors), toPlain(v, ancestors)]) };
  }
  if (value instanceof Set && name === "Set") {
    assertPlainProperties(value, 0, name);
    return { $set: Array.from(value, (item) => toPlain(item, ancestors)) };
  }
  if (Array.isArray(value) || (prototype !== null && Object.getPrototypeOf(prototype) !== null)) {
    const instead = name === "Buffer"
      ? "store new Uint8Array(buffer)"
      : "store a plain object, or what the instance is made from";
    throw new Refusal(`it holds an instance of ${name}; ${instead}`);
  }
  return propertiesToPlain(value, prototype, ancestors);
}

/**
 * Longer bytes are not searched for properties, and longer arrays not for properties that are not enumerable: that would take
 * longer than encoding them.
 */
const LONGEST_SEARCHED = 4096;

function propertiesToPlain(value: object, prototype: object | null, ancestors: object[]): unknown {
  const keys = Object.keys(value);
  if (Reflect.ownKeys(value).length !== keys.length) throw hiddenProperty(value);
  const escape = keys.length === 1 && keys[0]!.startsWith("$") ? "$" : "";
  // With another prototype JSON might find a toJSON() there.
  let same = escape === "" && (prototype === Object.prototype || prototype === null);
  const entries: [string, unknown][] = [];
  for (const key of keys) {
    const property = Object.getOwnPropertyDescriptor(value, key)!;
    const plain = propertyToPlain(property, ancestors);
    same &&= plain === property.value;
    entries.push([escape + key, plain]);
  }
  return same ? value : Object.fromEntries(entries);
}

/** JSON would call a getter again, and may get another value. */
function propertyToPlain({ get, set, value }: PropertyDescriptor, ancestors: object[]): unknown {
  if (get !== undefined || set !== undefined) throw new Refusal("it holds a getter or a setter");
  return toPlain(value, ancestors);
}

function hiddenProperty(value: object): Refusal {
  const hasSymbols = Object.getOwnPropertySymbols(value).length > 0;
  return new Refusal(`it holds ${hasSymbols ? "a symbol as a key" : "a property that is not enumerable"}`);
}

/** Throws for own properties beside `count` indices: the encoding has no place for them. */
function assertPlainProperties(value: object, count: number, kind: string): void {
  const keys = Reflect.ownKeys(value);
  // The Date of a fake clock may have a `constructor` of its own.
  if (keys.length === count || (keys.length === count + 1 && keys[count] === "constructor")) return;
  throw new Refusal(`it holds a ${kind} with properties of its own`);
}

/** Whether an array has keys beside its indices, as the match of a pattern has. Indices come first. */
export function hasNamedProperties(array: readonly unknown[]): boolean {
  const last = Object.keys(array).at(-1);
  return last !== undefined && !(Number(last) < array.length);
}

function arrayToPlain(value: unknown[], ancestors: object[]): unknown[] {
  // Both list only what is there, and not the holes of a sparse array. The first one has "length" too.
  const count = value.length <= LONGEST_SEARCHED
    ? Reflect.ownKeys(value).length - 1
    : Object.keys(value).length + Object.getOwnPropertySymbols(value).length;
  if (count !== value.length || hasNamedProperties(value)) throw unusualArray(value);
  let same = Object.getPrototypeOf(value) === Array.prototype;
  const plain: unknown[] = [];
  for (let index = 0; index < count; index++) {
    const property = Object.getOwnPropertyDescriptor(value, index);
    if (!property?.enumerable) throw unusualArray(value);
    const item = propertyToPlain(property, ancestors);
    same &&= item === property.value;
    plain.push(item);
  }
  return same ? value : plain;
}

function unusualArray(array: readonly unknown[]): Refusal {
  if (hasNamedProperties(array)) return new Refusal("it holds an array with named properties");
  if (Object.getOwnPropertySymbols(array).length > 0) return new Refusal("it holds a symbol as a key");
  const isSparse = Object.getOwnPropertyNames(array).length <= array.length;
  return new Refusal(`it holds an array with ${isSparse ? "holes" : "a property that is not enumerable"}`);
}

/** The value that {@linkcode toPlain} was given. Throws for a `$` key that it never writes. */
function fromPlain(value: unknown): unknown {
  if (typeof value !== "object" || value === null) return value;
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
  switch (key) {
    case "$date":
      if (content === null || typeof content === "number") return new Date(content ?? NaN);
      break;
    case "$bytes":
      if (typeof content === "string") return Uint8Array.from(atob(content), (char) => char.charCodeAt(0));
      break;
    case "$bigint":
      if (typeof content === "string" && /^-?\d+$/.test(content)) return BigInt(content);
      break;
    case "$map":
      if (Array.isArray(content) && content.every(isPair)) {
        return new Map(content.map(([k, v]) => [fromPlain(k), fromPlain(v)]));
      }
      break;
    case "$set":
      if (Array.isArray(content)) return new Set(content.map(fromPlain));
      break;
    case "$undefined":
      if (content === true) return undefined;
      break;
    case "$number":
      if (typeof content === "string" && NUMBERS.has(content)) return Number(content);
      break;
  }
  throw new TypeError("Cannot decode session: unknown kind of value");
}

const NUMBERS: ReadonlySet<string> = new Set(["NaN", "Infinity", "-Infinity", "-0"]);

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

// Of the prototype: the value's own `constructor` would be data.
function className(prototype: object): string {
  const { constructor } = prototype;
  return typeof constructor === "function" && constructor.name !== "" ? constructor.name : "a class";
}

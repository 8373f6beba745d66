import { Refusal } from "./refusal.ts";

/** Nested deeper than this a value is refused: no one means it, and walking it would exhaust the stack. */
const MAX_DEPTH = 200;

/**
 * A value as JSON can hold it: the value itself where JSON holds it as it is, which most are. Throws a {@linkcode Refusal}
 * that says what is wrong, and never shows the value, where JSON would drop or change it: a function, a symbol, a
 * class instance, a cycle.
 */
export function toPlain(value: unknown, ancestors: object[] = []): unknown {
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
  if (Array.isArray(value)) {
    if (hasNamedProperties(value)) throw new Refusal("it holds an array with named properties");
    return arrayToPlain(value, ancestors);
  }
  // By name as well: the clocks of test runners put a Date of their own in place of the platform's.
  if (value instanceof Date && className(Object.getPrototypeOf(value) as object) === "Date") {
    return { $date: dateToPlain(value) };
  }
  if (value instanceof Uint8Array) return { $bytes: bytesToBase64(value) };
  if (Object.getPrototypeOf(value) === Map.prototype && value instanceof Map) {
    return { $map: Array.from(value, ([k, v]) => [toPlain(k, ancestors), toPlain(v, ancestors)]) };
  }
  if (Object.getPrototypeOf(value) === Set.prototype && value instanceof Set) {
    return { $set: Array.from(value, (item) => toPlain(item, ancestors)) };
  }
  const prototype = Object.getPrototypeOf(value) as object | null;
  if (prototype !== null && Object.getPrototypeOf(prototype) !== null) {
    const name = className(prototype);
    throw new Refusal(
      `it holds an instance of ${name}; store a plain object, or what the instance is made from`,
    );
  }
  if (Object.getOwnPropertySymbols(value).length > 0) throw new Refusal("it holds a symbol as a key");
  const entries = Object.entries(value);
  const escape = entries.length === 1 && entries[0]![0].startsWith("$") ? "$" : "";
  // With another prototype JSON might find a toJSON() there.
  let same = escape === "" && (prototype === Object.prototype || prototype === null);
  for (const entry of entries) {
    const plain = toPlain(entry[1], ancestors);
    same &&= plain === entry[1];
    entry[0] = escape + entry[0];
    entry[1] = plain;
  }
  return same ? value : Object.fromEntries(entries);
}

/** Whether there are keys beside the places of an array, as a match of a pattern has them. Places come first. */
export function hasNamedProperties(array: readonly unknown[]): boolean {
  const last = Object.keys(array).at(-1);
  return last !== undefined && !(Number(last) < array.length);
}

function arrayToPlain(value: unknown[], ancestors: object[]): unknown[] {
  let same = Object.getPrototypeOf(value) === Array.prototype;
  // By Array.from, since a hole counts as undefined.
  const plain = Array.from(value, (item) => {
    const plainItem = toPlain(item, ancestors);
    same &&= plainItem === item;
    return plainItem;
  });
  return same ? value : plain;
}

/** The value that {@linkcode toPlain} was given. Throws for a `$` key that it does not write. */
export function fromPlain(value: unknown): unknown {
  if (typeof value !== "object" || value === null) return value;
  if (Array.isArray(value)) return value.map(fromPlain);
  const entries = Object.entries(value);
  if (entries.length === 1 && entries[0]![0].startsWith("$")) return fromTagged(...entries[0]!);
  return Object.fromEntries(entries.map(([key, item]) => [key, fromPlain(item)]));
}

function fromTagged(key: string, content: unknown): unknown {
  if (key.startsWith("$$")) return Object.fromEntries([[key.slice(1), fromPlain(content)]]);
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

function dateToPlain(date: Date): number | null {
  const time = date.getTime();
  return Number.isNaN(time) ? null : time;
}

function bytesToBase64(bytes: Uint8Array): string {
  let binary = "";
  for (const byte of bytes) binary += String.fromCharCode(byte);
  return btoa(binary);
}

// Of the prototype: the value's own `constructor` would be data.
function className(prototype: object): string {
  const { constructor } = prototype;
  return typeof constructor === "function" && constructor.name !== "" ? constructor.name : "a class";
}

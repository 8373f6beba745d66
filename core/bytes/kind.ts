import { Refusal } from "./refusal.ts";

/** The kinds of objects that a codec may keep as they are. */
type Kind = "Object" | "Array" | "Uint8Array" | "Date" | "Map" | "Set";

/**
 * The kind of an object. Throws a {@linkcode Refusal} where an encoding would lose a part of it: its class, or properties of
 * its own. The properties of an `Array` are for {@linkcode assertPlainArray}, and those of an `Object` are its content.
 */
export function kindOf(value: object): Kind {
  const prototype = Object.getPrototypeOf(value) as object | null;
  // By name, since a test runner has a Date, a Map or an Array of its own. A subclass has another name.
  const name = prototype === null ? "Object" : className(prototype);
  if (Array.isArray(value)) {
    if (name === "Array") return name;
  } else if (prototype === null || Object.getPrototypeOf(prototype) === null) {
    // The prototype of another realm's object is not `Object.prototype`, but has none of its own either.
    return "Object";
  }
  // Looked up each time: test frameworks replace `Date`.
  const isKnown = /^(?:Uint8Array|Date|Map|Set)$/.test(name) && value instanceof globalThis[name as "Date"];
  if (!isKnown) {
    const instead = name === "Buffer" ? "new Uint8Array(buffer)" : "what it is made from";
    throw new Refusal(`it holds an instance of ${name}; store ${instead}`);
  }
  assertPlain(value, name);
  return name as Kind;
}

/** Longer bytes are not searched for properties: that would take longer than encoding them. */
const LONGEST_SEARCHED = 4096;

/** Throws for own properties beside the indices of bytes: the encoding has no place for them. */
function assertPlain(value: object, name: string): void {
  const count = value instanceof Uint8Array ? value.length : 0;
  if (count > LONGEST_SEARCHED) return;
  const keys = Reflect.ownKeys(value);
  // The Date of a fake clock may have a `constructor` of its own.
  if (keys.length === count || (keys.length === count + 1 && keys[count] === "constructor")) return;
  throw new Refusal(`it holds a ${name} with properties of its own`);
}

/**
 * Throws for holes, and for own properties beside the indices.
 *
 * @param keys Its `Object.keys()`. Not `Reflect.ownKeys()`: for a long array that takes longer than encoding it.
 */
export function assertPlainArray(array: readonly unknown[], keys: readonly string[]): void {
  // Indices come first. The match of a pattern has other keys after them.
  const isPlain = keys.length === array.length && Number(keys.at(-1) ?? -1) < array.length &&
    Object.getOwnPropertySymbols(array).length === 0;
  if (!isPlain) throw new Refusal("it holds an array with holes, or with properties of its own");
}

// Of the prototype: the value's own `constructor` would be data.
function className(prototype: object): string {
  const { constructor } = prototype;
  return typeof constructor === "function" && constructor.name !== "" ? constructor.name : "a class";
}

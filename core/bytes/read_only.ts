import { SessionClosedError } from "../errors.ts";

/**
 * Freezes plain objects and arrays at any depth. Gives back each `Map`, `Set` and `Date`, which freezing does not protect: see
 * {@linkcode refuseChanges}. Nothing can protect bytes.
 */
export function freezeDeeply(value: unknown, found: object[] = []): object[] {
  if (typeof value !== "object" || value === null || Object.isFrozen(value)) return found;
  if (Array.isArray(value)) {
    Object.freeze(value);
    for (const item of value) freezeDeeply(item, found);
  } else if (value instanceof Map) {
    found.push(value);
    for (const [key, item] of value) freezeDeeply(item, freezeDeeply(key, found));
  } else if (value instanceof Set) {
    found.push(value);
    for (const item of value) freezeDeeply(item, found);
  } else if (value instanceof Date) {
    found.push(value);
  } else if (isPlain(value)) {
    Object.freeze(value);
    for (const key of Object.keys(value)) freezeDeeply((value as Record<string, unknown>)[key], found);
  }
  return found;
}

/** Freezes an object, but none that it holds. */
export function freezeAlone(value: object): object[] {
  if (value instanceof Map || value instanceof Set || value instanceof Date) return [value];
  if (Array.isArray(value) || isPlain(value)) Object.freeze(value);
  return [];
}

/** Makes the methods that change a `Map`, a `Set` or a `Date` throw. They cannot be encoded afterwards. */
export function refuseChanges(values: readonly object[]): void {
  for (const value of values) {
    const Kind = [Map, Set, Date].find((kind) => Object.getPrototypeOf(value) === kind.prototype);
    if (Kind !== undefined) Object.setPrototypeOf(value, readOnly(Kind));
  }
}

/** Instances of classes are left alone: freezing may break them. */
function isPlain(value: object): boolean {
  const prototype = Object.getPrototypeOf(value) as object | null;
  return prototype === null || prototype === Object.prototype;
}

const prototypes = new Map<object, object>();

/** A prototype whose changing methods throw. */
function readOnly({ prototype }: { prototype: object }): object {
  let made = prototypes.get(prototype);
  if (made === undefined) {
    made = Object.create(prototype) as object;
    for (const name of Object.getOwnPropertyNames(prototype)) {
      if (!/^(?:set|add|delete|clear)(?:$|[A-Z])/.test(name)) continue;
      Object.defineProperty(made, name, {
        value: () => {
          throw new SessionClosedError();
        },
      });
    }
    prototypes.set(prototype, made);
  }
  return made;
}

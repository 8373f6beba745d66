import { SessionClosedError } from "../errors.ts";
import { isObject } from "./values.ts";

/**
 * Freezes plain objects and arrays at any depth. Gives back each `Map`, `Set` and `Date`, which freezing does not protect: see
 * {@linkcode refuseChanges}. Nothing can protect bytes.
 */
export function freezeDeeply(value: unknown, found: object[] = []): object[] {
  if (!isObject(value) || Object.isFrozen(value)) return found;
  found.push(...freezeAlone(value));
  for (const part of partsOf(value)) freezeDeeply(part, found);
  return found;
}

/** Freezes an object, but none that it holds. */
export function freezeAlone(value: object): object[] {
  if (unfreezable().some((kind) => value instanceof kind)) return [value];
  if (Array.isArray(value) || isPlain(value)) Object.freeze(value);
  return [];
}

/** Looked up each time: test frameworks replace `Date`. */
const unfreezable = () => [Map, Set, Date];

function partsOf(value: object): Iterable<unknown> {
  if (value instanceof Map) return [...value].flat();
  if (value instanceof Set || Array.isArray(value)) return value;
  return isPlain(value) ? Object.values(value) : [];
}

/** Makes the methods that change a `Map`, a `Set` or a `Date` throw. They cannot be encoded afterwards. */
export function refuseChanges(values: readonly object[]): void {
  for (const value of values) {
    const Kind = unfreezable().find((kind) => Object.getPrototypeOf(value) === kind.prototype);
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

import { SessionClosedError } from "../errors.ts";
import { isObject } from "./values.ts";

/** Makes plain objects, arrays, `Map`, `Set` and `Date` refuse changes, at any depth. Nothing can protect bytes. */
export function freezeDeeply(value: unknown): void {
  if (!isObject(value) || Object.isFrozen(value)) return;
  freezeAlone(value);
  for (const part of partsOf(value)) freezeDeeply(part);
}

/** Freezes an object, but none that it holds. Instances of other classes are left alone: freezing may break them. */
export function freezeAlone(value: object): void {
  const prototype = Object.getPrototypeOf(value) as object | null;
  // Looked up each time: test frameworks replace `Date`.
  const hasMethods = [Map, Set, Date].some((kind) => prototype === kind.prototype);
  if (hasMethods) Object.setPrototypeOf(value, readOnly(prototype!));
  if (hasMethods || Array.isArray(value) || isPlain(value)) Object.freeze(value);
}

function partsOf(value: object): Iterable<unknown> {
  if (value instanceof Map) return [...value].flat();
  if (value instanceof Set || Array.isArray(value)) return value;
  return isPlain(value) ? Object.values(value) : [];
}

function isPlain(value: object): boolean {
  const prototype = Object.getPrototypeOf(value) as object | null;
  return prototype === null || prototype === Object.prototype;
}

const prototypes = new Map<object, object>();

/** A prototype whose changing methods throw. Freezing does not stop those of a `Map`, a `Set` and a `Date`. */
function readOnly(prototype: object): object {
  let made = prototypes.get(prototype);
  if (made === undefined) {
    made = Object.create(prototype) as object;
    for (const name of Object.getOwnPropertyNames(prototype)) {
      if (!/^(?:set|add|delete|clear|getOrInsert)(?:$|[A-Z])/.test(name)) continue;
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

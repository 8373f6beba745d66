import { isObject } from "./values.ts";

/** Whether two byte arrays hold the same. */
export function equalBytes(a: Uint8Array, b: Uint8Array): boolean {
  if (a.length !== b.length) return false;
  for (let i = 0; i < a.length; i++) if (a[i] !== b[i]) return false;
  return true;
}

/**
 * Whether two values hold the same plain objects and arrays. `false` also for a `Date` and the like, which only a codec can
 * compare.
 *
 * @param isOrdered Whether the order of an object's keys counts.
 */
export function equalPlain(one: unknown, other: unknown, isOrdered = true): boolean {
  if (!isObject(one) || !isObject(other)) return Object.is(one, other);
  const prototype: unknown = Object.getPrototypeOf(one);
  if (prototype !== Object.prototype && prototype !== Array.prototype) return false;
  if (prototype !== Object.getPrototypeOf(other)) return false;
  const keys = Reflect.ownKeys(one) as (keyof typeof one)[];
  const others = Reflect.ownKeys(other);
  return keys.length === others.length &&
    keys.every((key, index) =>
      (isOrdered ? key === others[index] : Object.hasOwn(other, key)) &&
      equalPlain(one[key], other[key], isOrdered)
    );
}

/** Values by key, in a plain object. `__proto__`, `constructor` and the like are keys like any other. */
export type Values = Record<string, unknown>;

/** The value under a key of its own; `undefined` where there is none. */
export function readValue(values: Values, key: string): unknown {
  return Object.hasOwn(values, key) ? values[key] : undefined;
}

/** Sets a value. */
export function writeValue(values: Values, key: string, value: unknown): void {
  if (key !== "__proto__") values[key] = value;
  // An assignment would change the prototype.
  else Object.defineProperty(values, key, { value, writable: true, enumerable: true, configurable: true });
}

/** Removes a value, if there is one. */
export function removeValue(values: Values, key: string): void {
  if (Object.hasOwn(values, key)) delete values[key];
}

export function isObject(value: unknown): value is object {
  return typeof value === "object" && value !== null;
}

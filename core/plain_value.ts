/** Nested deeper than this a value is refused: no one means it, and walking it would exhaust the stack. */
const MAX_DEPTH = 200;

/**
 * A value as JSON can hold it. Throws a `TypeError` that says what is wrong, and never shows the value, where
 * JSON would drop or change it: a function, a symbol, a class instance, a cycle.
 */
export function toPlain(value: unknown, ancestors: object[] = []): unknown {
  if (value === undefined) return { $undefined: true };
  if (value === null || typeof value === "string" || typeof value === "boolean") return value;
  if (typeof value === "number") return numberToPlain(value);
  if (typeof value === "bigint") return { $bigint: `${value}` };
  if (typeof value !== "object") throw new TypeError(`it holds a ${typeof value}`);
  if (ancestors.includes(value)) throw new TypeError("it contains itself");
  if (ancestors.length >= MAX_DEPTH) throw new TypeError(`it is nested more than ${MAX_DEPTH} levels deep`);
  return objectToPlain(value, [...ancestors, value]);
}

function objectToPlain(value: object, ancestors: object[]): unknown {
  if (Array.isArray(value)) return Array.from(value, (item) => toPlain(item, ancestors));
  if (value instanceof Date) return { $date: dateToPlain(value) };
  if (value instanceof Uint8Array) return { $bytes: bytesToBase64(value) };
  if (value instanceof Map) {
    return { $map: Array.from(value, ([k, v]) => [toPlain(k, ancestors), toPlain(v, ancestors)]) };
  }
  if (value instanceof Set) return { $set: Array.from(value, (item) => toPlain(item, ancestors)) };
  const prototype: unknown = Object.getPrototypeOf(value);
  if (prototype !== null && Object.getPrototypeOf(prototype) !== null) {
    throw new TypeError(
      `it holds an instance of ${className(value)}; store a plain object, or what the instance is made from`,
    );
  }
  const entries = Object.entries(value);
  const escape = entries.length === 1 && entries[0]![0].startsWith("$") ? "$" : "";
  return Object.fromEntries(entries.map(([key, item]) => [escape + key, toPlain(item, ancestors)]));
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
  switch (key) {
    case "$date":
      return new Date((content as number | null) ?? NaN);
    case "$bytes":
      return Uint8Array.from(atob(content as string), (char) => char.charCodeAt(0));
    case "$bigint":
      return BigInt(content as string);
    case "$map":
      return new Map(fromPlain(content) as [unknown, unknown][]);
    case "$set":
      return new Set(fromPlain(content) as unknown[]);
    case "$undefined":
      return undefined;
    case "$number":
      return Number(content);
  }
  if (!key.startsWith("$$")) throw new TypeError("Cannot decode session: unknown kind of value");
  return Object.fromEntries([[key.slice(1), fromPlain(content)]]);
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

function className(value: object): string {
  const name: unknown = (value.constructor as { name?: unknown } | undefined)?.name;
  return typeof name === "string" && name !== "" ? name : "a class";
}

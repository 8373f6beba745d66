/** A check failed: the store breaks its contract. */
export class ContractError extends Error {
  override readonly name = "ContractError";
}

/** Throws unless a value equals the expected one. Compares text, numbers, bytes, lists and plain objects. */
export function expect(what: string, actual: unknown, expected: unknown): void {
  if (same(actual, expected)) return;
  throw new ContractError(`${what}: expected ${show(expected)}, got ${show(actual)}`);
}

/** Throws unless a condition holds. */
export function expectThat(condition: boolean, what: string): void {
  if (!condition) throw new ContractError(what);
}

function same(a: unknown, b: unknown): boolean {
  if (Object.is(a, b)) return true;
  if (!isObject(a) || !isObject(b)) return false;
  const isBytes = a instanceof Uint8Array;
  if (isBytes !== b instanceof Uint8Array || Array.isArray(a) !== Array.isArray(b)) return false;
  const [own, other] = [Object.keys(a), Object.keys(b)];
  return own.length === other.length && own.every((key) => Object.hasOwn(b, key) && same(a[key], b[key]));
}

function isObject(value: unknown): value is Record<string, unknown> {
  return typeof value === "object" && value !== null;
}

/** How many items or bytes a message shows at most. */
const SHOWN = 24;

function show(value: unknown): string {
  if (value instanceof Uint8Array) {
    const hex = Array.from(value.subarray(0, SHOWN), (byte) => byte.toString(16).padStart(2, "0")).join("");
    return `${value.length} bytes (${hex}${value.length > SHOWN ? "..." : ""})`;
  }
  if (Array.isArray(value)) {
    const shown = value.slice(0, SHOWN).map(show);
    if (value.length > SHOWN) shown.push(`... ${value.length} in all`);
    return `[${shown.join(", ")}]`;
  }
  if (isObject(value)) {
    return `{ ${Object.entries(value).map(([key, entry]) => `${key}: ${show(entry)}`).join(", ")} }`;
  }
  return typeof value === "string" ? JSON.stringify(value) : String(value);
}

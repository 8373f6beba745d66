/** Text that identifies one write: 9 random bytes as 12 characters. */
export function newNonce(): string {
  return toBase64Url(randomBytes(9));
}

/** Unused random bytes of the platform's secure source. On Node a call for many costs as much as one for few. */
let pool = new Uint8Array();
/** How many bytes of the pool are used up. */
let used = 0;
const POOL_BYTES = 1_024;

/** Random bytes of the platform's secure source. */
export function randomBytes(count: number): Uint8Array {
  // Filled by the first call: Workers allow no random numbers at module scope.
  if (pool.length - used < count) {
    pool = crypto.getRandomValues(new Uint8Array(POOL_BYTES));
    used = 0;
  }
  return pool.subarray(used, used += count);
}

/** The digits of base64url as UTF-16 code units. */
const DIGITS = Array.from(
  "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-_",
  (digit) => digit.charCodeAt(0),
);

/** base64url without padding: RFC 4648, 5. By hand, since every request needs it and `btoa` takes five times as long. */
export function toBase64Url(bytes: Uint8Array): string {
  const digits: number[] = [];
  for (let start = 0; start < bytes.length; start += 3) {
    // Missing bytes at the end count as zeros, and their digits are left out.
    const bits = bytes[start]! << 16 | (bytes[start + 1] ?? 0) << 8 | (bytes[start + 2] ?? 0);
    const left = bytes.length - start;
    digits.push(DIGITS[bits >> 18]!, DIGITS[bits >> 12 & 63]!);
    if (left > 1) digits.push(DIGITS[bits >> 6 & 63]!);
    if (left > 2) digits.push(DIGITS[bits & 63]!);
  }
  // Made at once. V8 keeps a text that grows by `+=` in parts and joins them at the store's look-up, which costs more.
  return String.fromCharCode(...digits);
}

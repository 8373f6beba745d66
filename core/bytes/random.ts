/** Text that identifies one write: 9 random bytes as 12 characters. */
export function newNonce(): string {
  return toBase64Url(randomBytes(9));
}

/** Unused random bytes of the platform's secure source. On Node a call for many costs as much as one for few. */
let pool = new Uint8Array();
const POOL_BYTES = 1_024;

/** Random bytes of the platform's secure source. */
export function randomBytes(count: number): Uint8Array {
  // Filled by the first call: Workers allow no random numbers at module scope.
  if (pool.length < count) pool = crypto.getRandomValues(new Uint8Array(POOL_BYTES));
  const bytes = pool.subarray(0, count);
  pool = pool.subarray(count);
  return bytes;
}

const DIGITS = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-_";

/** base64url without padding: RFC 4648, 5. By hand, since every request needs it and `btoa` takes five times as long. */
export function toBase64Url(bytes: Uint8Array): string {
  let text = "";
  for (let start = 0; start < bytes.length; start += 3) {
    // Missing bytes at the end count as zeros, and their digits are left out.
    const bits = bytes[start]! << 16 | (bytes[start + 1] ?? 0) << 8 | (bytes[start + 2] ?? 0);
    const left = bytes.length - start;
    text += DIGITS[bits >> 18]! + DIGITS[bits >> 12 & 63]!;
    if (left > 1) text += DIGITS[bits >> 6 & 63]!;
    if (left > 2) text += DIGITS[bits & 63]!;
  }
  return text;
}

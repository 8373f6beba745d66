import { sha256 } from "@noble/hashes/sha2.js";

/**
 * A new session token: 32 bytes of the platform's secure random source as base64url, 43 characters.
 * (At least 128 bits of entropy: OWASP ASVS 5.0, 7.2.3.)
 */
export function newToken(): string {
  return toBase64Url(randomBytes(32));
}

/**
 * Whether text is base64url of 32 bytes; the last digit holds only 4 bits. All else is rejected before it reaches a store.
 */
export function isToken(text: unknown): text is string {
  return typeof text === "string" && text.length === 43 && /^[\w-]{42}[AEIMQUYcgkosw048]$/.test(text);
}

/** base64url(SHA-256(token)): what a store holds in place of the token, byte for byte SCS's `HashTokenInStore`. */
export function hashToken(token: string): string {
  return nativeHash === undefined
    ? toBase64Url(sha256(bytesOf(token)))
    : nativeHash("sha256", token, "base64url");
}

/**
 * A name for a session that is safe in forms and logs. It is one way from what the store holds, and its prefix
 * keeps it apart from {@linkcode hashToken}, so it finds nothing when sent as a token.
 */
export function publicId(storedToken: string): string {
  return toBase64Url(sha256(utf8.encode(`session-id:${storedToken}`)).subarray(0, 16));
}

/** A text that tells one write from all others: 9 random bytes as 12 characters. */
export function newNonce(): string {
  return toBase64Url(randomBytes(9));
}

/** Random bytes to come, of the platform's secure source: on Node a call of it costs as much for many as for few. */
let pool = new Uint8Array();
const POOL_BYTES = 1_024;

function randomBytes(count: number): Uint8Array {
  // Workers allow no random numbers at module scope: the first call fills it.
  if (pool.length < count) pool = crypto.getRandomValues(new Uint8Array(POOL_BYTES));
  const bytes = pool.subarray(0, count);
  pool = pool.subarray(count);
  return bytes;
}

/**
 * Node and Bun hash in native code, in a fifth of the time, on Bun in a young process a fiftieth. Deno has it as well, but
 * takes 50 ms to load it, and there `@noble/hashes` is nearly as fast.
 */
const nativeHash = (globalThis as GlobalWithProcess).Deno === undefined
  ? (globalThis as GlobalWithProcess).process?.getBuiltinModule?.("node:crypto")?.hash
  : undefined;

interface GlobalWithProcess {
  Deno?: unknown;
  process?: {
    getBuiltinModule?(name: string): {
      hash?(algorithm: string, text: string, encoding: string): string;
    } | undefined;
  };
}

const utf8 = new TextEncoder();
const TOKEN_BYTES = new Uint8Array(43);

/** The bytes of a token, in the same array each time: on Deno a new one takes longer than all else but the hash itself. */
function bytesOf(token: string): Uint8Array {
  if (token.length !== TOKEN_BYTES.length) return utf8.encode(token);
  const { read, written } = utf8.encodeInto(token, TOKEN_BYTES);
  return read === written && read === token.length ? TOKEN_BYTES : utf8.encode(token);
}

const DIGITS = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-_";

/** RFC 4648, 5, without padding. By hand, since it is in the way of every request: `btoa` takes five times as long. */
function toBase64Url(bytes: Uint8Array): string {
  let text = "";
  for (let start = 0; start < bytes.length; start += 3) {
    // What is missing at the end counts as zeros, and of it no digit is written.
    const bits = bytes[start]! << 16 | (bytes[start + 1] ?? 0) << 8 | (bytes[start + 2] ?? 0);
    const left = bytes.length - start;
    text += DIGITS[bits >> 18]! + DIGITS[bits >> 12 & 63]!;
    if (left > 1) text += DIGITS[bits >> 6 & 63]!;
    if (left > 2) text += DIGITS[bits & 63]!;
  }
  return text;
}

import { sha256 } from "@noble/hashes/sha2.js";

/**
 * A new session token: 32 bytes of the platform's secure random source as base64url, 43 characters.
 * (At least 128 bits of entropy: OWASP ASVS 5.0, 7.2.3.)
 */
export function newToken(): string {
  return toBase64Url(crypto.getRandomValues(new Uint8Array(32)));
}

/** Whether text has the form of a token. All else is rejected before it reaches a store. */
export function isToken(text: string | null | undefined): text is string {
  return typeof text === "string" && text.length === 43 && /^[\w-]+$/.test(text);
}

/** base64url(SHA-256(token)): what a store holds in place of the token, byte for byte SCS's `HashTokenInStore`. */
export function hashToken(token: string): string {
  return toBase64Url(sha256(utf8.encode(token)));
}

/**
 * A name for a session that is safe in forms and logs. It is one way from what the store holds, and its prefix
 * keeps it apart from {@linkcode hashToken}, so it finds nothing when sent as a token.
 */
export function publicId(storedToken: string): string {
  return toBase64Url(sha256(utf8.encode(`session-id:${storedToken}`)).subarray(0, 16));
}

/** A mark that tells one write from all others: 9 random bytes as 12 characters. */
export function newNonce(): string {
  if (nonces.length === 0) {
    // Many at a time: a call of the random source costs more than all the rest. They are no secret.
    const bytes = crypto.getRandomValues(new Uint8Array(NONCE_BYTES * NONCES));
    for (let start = 0; start < bytes.length; start += NONCE_BYTES) {
      nonces.push(toBase64Url(bytes.subarray(start, start + NONCE_BYTES)));
    }
  }
  return nonces.pop()!;
}

const NONCE_BYTES = 9;
const NONCES = 64;
/** Those to come; the first call fills it, since Workers allow no random numbers at module scope. */
const nonces: string[] = [];

const utf8 = new TextEncoder();

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

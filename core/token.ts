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
  return toBase64Url(crypto.getRandomValues(new Uint8Array(9)));
}

const utf8 = new TextEncoder();

function toBase64Url(bytes: Uint8Array): string {
  return btoa(String.fromCharCode(...bytes)).replaceAll("+", "-").replaceAll("/", "_").replaceAll("=", "");
}

import { sha256 } from "@noble/hashes/sha2.js";
import { randomBytes, toBase64Url } from "./random.ts";

/**
 * A new session token: 32 bytes of the platform's secure random source as base64url, 43 characters.
 * (At least 128 bits of entropy: OWASP ASVS 5.0, 7.2.3.)
 */
export function newToken(): string {
  return toBase64Url(randomBytes(32));
}

/**
 * Whether text is base64url of 32 bytes; the last digit holds only 4 bits. Nothing else reaches a store.
 */
export function isToken(text: unknown): text is string {
  return typeof text === "string" && /^[\w-]{42}[AEIMQUYcgkosw048]$/.test(text);
}

/** base64url(SHA-256(token)): what a store holds in place of the token, byte for byte SCS's `HashTokenInStore`. */
export function hashToken(token: string): string {
  return nativeHash === undefined
    ? toBase64Url(sha256Of(bytesOf(token)))
    : nativeHash("sha256", token, "base64url");
}

/**
 * A name for a session that is safe in forms and logs: a hash of the stored token. Its prefix makes it another hash than
 * {@linkcode hashToken}, so it finds nothing when sent as a token.
 */
export function publicId(storedToken: string): string {
  return toBase64Url(sha256Of(utf8.encode(`session-id:${storedToken}`)).subarray(0, 16));
}

/**
 * Native hashing on Node and Bun takes a fifth of the time, and on Bun a fiftieth just after the process has started. Deno has
 * it too, but takes 50 ms to load it, and `@noble/hashes` is nearly as fast there.
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

const BLANK = sha256.create();
const HASH = sha256.create();
const DIGEST = new Uint8Array(32);

/** SHA-256 of bytes, in the same array each time. A new hash object for each call would double what it costs. */
function sha256Of(bytes: Uint8Array): Uint8Array {
  BLANK._cloneInto(HASH).update(bytes).digestInto(DIGEST);
  return DIGEST;
}

const utf8 = new TextEncoder();
const TOKEN_BYTES = new Uint8Array(43);

/** The bytes of a token, in the same array each time. On Deno a new array costs more than all else but the hash. */
function bytesOf(token: string): Uint8Array {
  const { read, written } = utf8.encodeInto(token, TOKEN_BYTES);
  return read === token.length && written === TOKEN_BYTES.length ? TOKEN_BYTES : utf8.encode(token);
}

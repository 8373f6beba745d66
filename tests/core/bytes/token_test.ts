import { newNonce } from "../../../core/bytes/random.ts";
import { hashToken, isToken, newToken, publicId } from "../../../core/bytes/token.ts";
import { assert, assertEquals, assertMatch, assertNotEquals } from "../../assert.ts";
// Tokens, and their hashes by SCS with `HashTokenInStore`.
import rows from "../../fixtures/scs-sqlite3store.json" with { type: "json" };

const TOKEN = /^[A-Za-z0-9_-]{43}$/;

Deno.test("newToken() gives 32 random bytes as 43 characters of base64url", () => {
  const token = newToken();
  assertMatch(token, TOKEN);
  assertEquals(Uint8Array.fromBase64(token, { alphabet: "base64url" }).length, 32);
});

Deno.test("newToken() gives a different token each time, with every character in every place", () => {
  const tokens = Array.from({ length: 5_000 }, newToken);
  assertEquals(new Set(tokens).size, tokens.length);
  for (let i = 0; i < 42; i++) assertEquals(new Set(tokens.map((token) => token[i])).size, 64);
  // The last character holds only the last 4 of 256 bits.
  assertEquals(new Set(tokens.map((token) => token[42])).size, 16);
});

Deno.test("newToken() takes its bytes from the platform's secure source, and uses each byte once", () => {
  const original = crypto.getRandomValues;
  const drawn: Uint8Array[] = [];
  crypto.getRandomValues = <T extends ArrayBufferView | null>(array: T): T => {
    const bytes = original.call(crypto, array as unknown as Uint8Array<ArrayBuffer>);
    drawn.push(bytes as unknown as Uint8Array);
    return bytes as unknown as T;
  };
  let tokens: string[];
  try {
    while (drawn.length === 0) newToken();
    tokens = Array.from({ length: 100 }, newToken);
  } finally {
    crypto.getRandomValues = original;
  }
  const bytes = tokens.map((token) => Uint8Array.fromBase64(token, { alphabet: "base64url" }));
  const places = bytes.map((token) => {
    const found = drawn.findIndex((pool) => pool.toHex().includes(token.toHex()));
    return `${found}:${drawn[found]?.toHex().indexOf(token.toHex())}`;
  });
  assert(places.every((place) => !place.startsWith("-1")));
  assertEquals(new Set(places).size, tokens.length);
});

Deno.test("isToken() accepts 43 characters of base64url and nothing else", () => {
  for (const token of ["A".repeat(43), "-_".repeat(21) + "8", newToken()]) assert(isToken(token));
  const digits = [..."ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-_"];
  // In 32 bytes the last two bits of the last character are 0.
  assertEquals(digits.filter((digit) => isToken("A".repeat(42) + digit)).join(""), "AEIMQUYcgkosw048");
  const wrong = [
    "",
    "A".repeat(42),
    "A".repeat(44),
    "A".repeat(42) + "=",
    "A".repeat(42) + "+",
    "A".repeat(42) + "/",
  ];
  const lines = ["A".repeat(42) + "\n", "a".repeat(43) + "\n", "\n" + "A".repeat(42)];
  const foreign = [
    "é".repeat(43),
    "ａ".repeat(43),
    "A".repeat(42) + "\0",
    " ".repeat(43),
    "\u{1d7d8}".repeat(43),
  ];
  for (const text of [...wrong, ...lines, ...foreign]) assert(!isToken(text), JSON.stringify(text));
  const noText = [null, undefined, 43, Array(43).fill("a"), new String("a".repeat(43)), { length: 43 }];
  for (const value of noText) assert(!isToken(value as string));
});

for (const { token, storedToken } of rows.filter(({ hashed }) => hashed)) {
  Deno.test(`hashToken() hashes a token to ${storedToken}, as SCS does`, () => {
    assertEquals(hashToken(token), storedToken);
  });
}

Deno.test("hashToken() gives base64url of SHA-256, which is a well-formed token", async () => {
  const token = newToken();
  const digest = await crypto.subtle.digest("SHA-256", new TextEncoder().encode(token));
  const expected = new Uint8Array(digest).toBase64({ alphabet: "base64url", omitPadding: true });
  assertEquals(hashToken(token), expected);
  assert(isToken(hashToken(token)));
});

Deno.test("publicId() is neither the token nor its hash, nor a prefix of either", () => {
  for (let i = 0; i < 100; i++) {
    const token = newToken();
    const stored = hashToken(token);
    for (const held of [token, stored]) {
      const id = publicId(held);
      assertMatch(id, /^[A-Za-z0-9_-]{22}$/);
      assertEquals(isToken(id), false);
      for (const secret of [token, stored, hashToken(stored), hashToken(held)]) {
        assertNotEquals(id, secret.slice(0, id.length));
      }
    }
    assertNotEquals(publicId(token), publicId(stored));
  }
});

Deno.test("publicId() is the same for one session, and differs between sessions", () => {
  const tokens = Array.from({ length: 1_000 }, newToken);
  assertEquals(new Set(tokens.map(publicId)).size, tokens.length);
  assertEquals(tokens.map(publicId), tokens.map(publicId));
});

// Ids are in links that users keep, and in audit logs. They must not change between versions.
Deno.test("publicId() gives the same ids as version 0.1", () => {
  assertEquals(publicId("a".repeat(43)), "CDsuHlMtkzr_fIlOiRzwyg");
});

Deno.test("newNonce() gives 12 characters, different each time", () => {
  const nonces = Array.from({ length: 5_000 }, newNonce);
  for (const nonce of nonces) assertMatch(nonce, /^[A-Za-z0-9_-]{12}$/);
  assertEquals(new Set(nonces).size, nonces.length);
});

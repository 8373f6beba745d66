import fc from "../../fast_check.ts";
import { SessionCookie } from "../../../core/http/cookie.ts";
import { readOptions } from "../../../core/options/session_options.ts";
import { isToken, newToken } from "../../../core/bytes/token.ts";
import { type CookieOptions, MemoryStore } from "../../../mod.ts";
import { assert, assertEquals } from "../../assert.ts";

const [A, B, C] = ["A".repeat(43), "E".repeat(43), "c".repeat(43)];

function cookie(options: CookieOptions = {}, https = true): SessionCookie {
  const request = new Request(https ? "https://example.com" : "http://example.com");
  return new SessionCookie(request, readOptions({ cookie: options }, () => new MemoryStore()));
}

const plain = cookie({ secure: false }, false);

/** A session as {@linkcode SessionCookie.write} gets it. */
function saved(token: string, deadline = 0, remember = false) {
  return { token, deadline, remember };
}

/** A cookie text in two parts: name and value, and its attributes in one order. */
function split(text: string): { pair: string; attributes: string[] } {
  const [pair, ...attributes] = text.split("; ");
  return { pair: pair!, attributes: attributes.sort() };
}

const HEADERS: [what: string, header: string | null, tokens: string[]][] = [
  ["no header", null, []],
  ["an empty header", "", []],
  ["one cookie", `session=${A}`, [A]],
  ["spaces and tabs around", ` \tsession \t= \t${A}\t `, [A]],
  ["other cookies around it", `a=1; session=${A}; b=2`, [A]],
  ["no space after the semicolon", `a=1;session=${A};b=2`, [A]],
  ["another name with the same ending", `xsession=${A}`, []],
  ["another name with the same beginning", `sessions=${A}`, []],
  ["a name in another case", `Session=${A}; SESSION=${B}`, []],
  ["the prefixed name", `__Host-session=${A}`, []],
  ["a name without a value", "session", []],
  ["an empty value", "session=", []],
  ["quotes", `session="${A}"`, []],
  ["an escape", `session=%61${A.slice(1)}`, []],
  ["a value too short", `session=${A.slice(1)}`, []],
  ["a value too long", `session=${A}a`, []],
  ["a second equals sign", `session=${A}=`, []],
  ["a value with a space inside", `session=${A.slice(22)} ${A.slice(22)}`, []],
  ["a value with other characters", `session=${"é".repeat(43)}`, []],
  ["two cookies, in their order", `session=${B}; session=${A}`, [B, A]],
  ["the same twice", `session=${A}; session=${A}`, [A]],
  ["three cookies: the first and the last", `session=${A}; session=${B}; session=${C}`, [A, C]],
  ["a malformed cookie before", `session=x; session=${A}`, [A]],
  ["many malformed cookies before", `${"session=x; ".repeat(500)}session=${A}`, [A]],
  ["one token many times before another", `${`session=${A}; `.repeat(100)}session=${B}`, [A, B]],
  ["a comma in place of a semicolon", `a=1, session=${A}`, []],
  ["spaces and tabs around it", ` \t session \t=\t ${A} \t;`, [A]],
  // For a browser this is another name. If it matched the prefixed name, any site of the domain could set it.
  ...Array.from(
    "\u00a0\ufeff\u2000\u2028\u3000\v\f\r\n",
    (space): typeof HEADERS[0] => [
      `U+${space.charCodeAt(0).toString(16)} around name and value`,
      `${space}session=${A}; session${space}=${B}; session=${space}${C}`,
      [],
    ],
  ),
];

for (const [what, header, tokens] of HEADERS) {
  Deno.test(`SessionCookie.read() finds ${tokens.length} tokens in ${what}`, () => {
    assertEquals(plain.read(header), tokens);
  });
}

Deno.test("SessionCookie.read() finds only the cookie of its own scheme", () => {
  const header = `session=${A}; __Host-session=${B}; __Secure-session=${C}`;
  assertEquals(cookie({}, true).read(header), [B]);
  assertEquals(cookie({}, false).read(header), [A]);
  assertEquals(cookie({ path: "/app" }, true).read(header), [C]);
  assertEquals(cookie({ secure: true }, false).read(header), [B]);
  assertEquals(cookie({ secure: false }, true).read(header), [A]);
});

Deno.test("SessionCookie.read() matches a name literally, even if it has pattern characters", () => {
  const odd = cookie({ name: "s.+$|^*" });
  assertEquals(odd.read(`s.+$|^*=${A}; sxx=${B}; s.+$|^=${C}`), [A]);
});

for (
  const [what, unit] of [
    ["semicolons", ";"],
    ["equals signs", "="],
    ["blanks", " "],
    ["names without a value", "session="],
    ["values almost long enough", `session=${A.slice(1)};`],
    ["values a little too long", `session=${A}a;`],
    ["one pair without an end", "session=a"],
    ["quotes", '";'],
    ["control characters", "\x01\x02;"],
  ]
) {
  Deno.test(`SessionCookie.read() finds nothing in a header of 8 kB of ${what}, but finds what follows it`, () => {
    const junk = unit!.repeat(Math.ceil(8_192 / unit!.length));
    assertEquals(plain.read(junk), []);
    assertEquals(plain.read(`${junk};session=${A}`), [A]);
  });

  Deno.test(`SessionCookie.read() needs only twice the work for twice as many ${what}`, () => {
    const once = workOf(unit!.repeat(2_000));
    const twice = workOf(unit!.repeat(4_000));
    assert(twice <= 2 * once + 10, `${once} characters looked at, then ${twice}`);
  });
}

/** How many characters pass through string methods while a header is read. */
function workOf(header: string): number {
  let characters = 0;
  const originals = new Map<"indexOf" | "slice" | "trim" | "split", unknown>();
  for (const name of ["indexOf", "slice", "trim", "split"] as const) {
    const original = String.prototype[name] as (...args: unknown[]) => unknown;
    originals.set(name, original);
    Object.defineProperty(String.prototype, name, {
      configurable: true,
      writable: true,
      value(this: string, ...args: unknown[]) {
        characters += this.length;
        return Reflect.apply(original, this, args);
      },
    });
  }
  try {
    plain.read(header);
  } finally {
    for (const [name, value] of originals) {
      Object.defineProperty(String.prototype, name, { configurable: true, writable: true, value });
    }
  }
  return characters;
}

// Pieces that may confuse a cookie parser, and any text.
const header = fc.oneof(
  fc.string({ unit: "binary", maxLength: 300 }),
  fc.array(
    fc.constantFrom(
      `session=${A};`,
      `; session=${B}`,
      `;session = ${C} ;`,
      "session",
      "=",
      ";",
      " ",
      "\t",
      '"',
      A,
      B,
      C,
      A.slice(1),
      "__Host-session",
      "\0",
      "\ud800",
      ",",
    ),
    { maxLength: 60 },
  ).map((pieces) => pieces.join("")),
);

Deno.test("SessionCookie.read() gives at most two tokens, each well formed, whatever the header", () => {
  fc.assert(
    fc.property(header, (text) => {
      const tokens = plain.read(text);
      assert(tokens.length <= 2);
      assertEquals(new Set(tokens).size, tokens.length);
      for (const token of tokens) assert(isToken(token) && text.includes(token));
    }),
    { numRuns: 1_000 },
  );
});

Deno.test("SessionCookie.read() finds what write() wrote, whatever surrounds it", () => {
  fc.assert(
    fc.property(header, header, (before, after) => {
      const token = newToken();
      const { pair } = split(plain.write(saved(token, 1_000), 0));
      // Of several session cookies only the first and the last count.
      fc.pre(plain.read(before).length === 0 || plain.read(after).length === 0);
      assert(plain.read(`${before};${pair};${after}`).includes(token));
    }),
    { numRuns: 300 },
  );
});

// SCS: session=T; Path=/; Expires=...; Max-Age=86400; HttpOnly; SameSite=Lax
Deno.test("SessionCookie.write() writes the cookie text of SCS, except for the order", () => {
  const text = plain.write(saved(A, Date.UTC(2030, 0, 2, 3, 4, 5)), Date.UTC(2030, 0, 1, 3, 4, 5));
  assertEquals(split(text), {
    pair: `session=${A}`,
    attributes: [
      "Expires=Wed, 02 Jan 2030 03:04:05 GMT",
      "HttpOnly",
      "Max-Age=86400",
      "Path=/",
      "SameSite=Lax",
    ],
  });
});

Deno.test("SessionCookie.delete() writes SCS's text of a deleted cookie, except for the order", () => {
  assertEquals(split(plain.delete()), {
    pair: "session=",
    attributes: ["Expires=Thu, 01 Jan 1970 00:00:01 GMT", "HttpOnly", "Max-Age=0", "Path=/", "SameSite=Lax"],
  });
});

Deno.test("SessionCookie.write() adds Secure and the prefix over https", () => {
  assertEquals(
    cookie({ persist: false }).write(saved(A), 0),
    `__Host-session=${A}; Path=/; HttpOnly; SameSite=Lax; Secure`,
  );
});

for (
  const [deadline, now, maxAge, expires] of [
    [1_000, 0, 1, "00:00:01"],
    [1_001, 0, 2, "00:00:02"],
    [1_999, 0, 2, "00:00:02"],
    [2_000, 1, 2, "00:00:02"],
    [2_000, 999, 2, "00:00:02"],
    [2_000, 1_000, 1, "00:00:02"],
    [1, 0, 1, "00:00:01"],
    [1_000, 1_000, 0, "00:00:01"],
    [1_000, 5_000, 0, "00:00:01"],
  ] as const
) {
  Deno.test(`SessionCookie.write() rounds up to Max-Age=${maxAge} at ${now} for a deadline of ${deadline}`, () => {
    const { attributes } = split(plain.write(saved(A, deadline), now));
    assert(attributes.includes(`Max-Age=${maxAge}`));
    assert(attributes.includes(`Expires=Thu, 01 Jan 1970 ${expires} GMT`));
  });
}

Deno.test("SessionCookie.write() gives no expiry to a cookie that ends with the browser", () => {
  const closing = cookie({ secure: false, persist: false }, false);
  assertEquals(split(closing.write(saved(A, 1_000), 0)).attributes, ["HttpOnly", "Path=/", "SameSite=Lax"]);
  assertEquals(closing.write(saved(A, 1_000, true), 0), plain.write(saved(A, 1_000), 0));
});

const EVERY_OPTION: CookieOptions[] = [
  {},
  { domain: "example.com" },
  { path: "/app" },
  { httpOnly: false },
  { secure: true },
  { sameSite: "None" },
  { sameSite: "Strict" },
  { partitioned: true },
  { name: "sid", domain: ".example.com", path: "/a", httpOnly: false, sameSite: "None", partitioned: true },
];

for (const options of EVERY_OPTION) {
  Deno.test(`SessionCookie.delete() repeats every attribute that write() sends with ${Deno.inspect(options)}`, () => {
    for (const https of [true, false]) {
      const written = split(cookie({ ...options, persist: false }, https).write(saved(A), 0));
      const deleted = split(cookie(options, https).delete());
      assertEquals(deleted.pair, written.pair.replace(A, ""));
      assertEquals(
        deleted.attributes.filter((part) => !/^(Expires|Max-Age)=/.test(part)),
        written.attributes,
      );
    }
  });
}

Deno.test("SessionCookie.delete() repeats Partitioned", () => {
  assert(cookie({ partitioned: true }).delete().endsWith("; Secure; Partitioned"));
});

Deno.test("SessionCookie.valueIn() finds its own cookie, and none with another path or domain", () => {
  const own = cookie({ name: "sid", path: "/app" });
  const others = ["sid=1; Path=/", "sid=2", "sid=; Path=/app; Domain=example.com", "sid2=3; Path=/app"];
  const valueIn = (...texts: string[]) => {
    return own.valueIn(new Headers(texts.map((text): [string, string] => ["Set-Cookie", text])));
  };
  assertEquals(valueIn(...others), undefined);
  assertEquals(valueIn(own.write(saved(A), 0), own.write(saved(B), 0), ...others), B);
  assertEquals(valueIn(own.write(saved(A), 0), own.delete(), ...others), "");
  // The copy of a request may have another scheme.
  assertEquals(valueIn(cookie({ name: "sid", path: "/app" }, false).write(saved(C), 0)), C);
});

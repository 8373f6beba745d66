import { SessionCookie } from "../../../core/http/cookie.ts";
import { type CookieSettings, readCookieOptions } from "../../../core/options/cookie_options.ts";
import { OptionsReader } from "../../../core/options/reader.ts";
import { readOptions } from "../../../core/options/session_options.ts";
import { type CookieOptions, MemoryStore, sessions } from "../../../mod.ts";
import { assert, assertEquals } from "../../assert.ts";
import { documentedDefaults, sourceOf } from "./_documented_defaults.ts";
import { problemsOf } from "./_problems.ts";

function settings(cookie: CookieOptions = {}): CookieSettings {
  const reader = new OptionsReader(cookie);
  const read = readCookieOptions(reader);
  assertEquals(reader.problems, []);
  return read;
}

/** The mistakes in cookie options that TypeScript may not notice. */
function problemsIn(cookie: object): readonly string[] {
  return problemsOf(() => sessions({ cookie }));
}

/** The parts of the `Set-Cookie` over http or https, in one order. */
function parts(cookie: CookieOptions, https: boolean): string[] {
  const request = new Request(https ? "https://example.com" : "http://example.com");
  const options = readOptions({ cookie: { ...cookie, persist: false } }, () => new MemoryStore());
  const written = new SessionCookie(request, options).write({ token: "T", deadline: 0, remember: false }, 0);
  const [pair, ...attributes] = written.split("; ");
  return [pair!, ...attributes.sort()];
}

function nameOver(scheme: "http" | "https", cookie: CookieOptions): string {
  return parts(cookie, scheme === "https")[0]!.replace("=T", "");
}

function isSecureOver(scheme: "http" | "https", cookie: CookieOptions): boolean {
  return parts(cookie, scheme === "https").includes("Secure");
}

Deno.test("The cookie has the defaults that CookieOptions documents", () => {
  const defaults = documentedDefaults(sourceOf("core/options/cookie_options.ts"), "CookieOptions");
  const promised = (name: string) => JSON.parse(defaults.get(name)!);
  assertEquals([...defaults.values()].includes(undefined), false);

  assertEquals(defaults.get("domain"), "undefined");
  assertEquals(parts({}, true), [
    `${promised("name")}=T`,
    "HttpOnly",
    `Path=${promised("path")}`,
    `SameSite=${promised("sameSite")}`,
    "Secure",
  ]);
  assertEquals(promised("httpOnly"), true);
  assertEquals(promised("partitioned"), false);
  assertEquals(settings().secure, promised("secure"));
  assertEquals(settings().persist, promised("persist"));
});

for (const option of ["path", "httpOnly", "secure", "sameSite", "partitioned", "persist"] as const) {
  Deno.test(`The cookie is the same without ${option}, with undefined and with its default`, () => {
    const defaults = documentedDefaults(sourceOf("core/options/cookie_options.ts"), "CookieOptions");
    assertEquals(settings({ [option]: undefined }), settings());
    assertEquals(settings({ [option]: JSON.parse(defaults.get(option)!) }), settings());
  });
}

Deno.test("The cookie without options differs over http and https in its name and in Secure", () => {
  assertEquals(parts({}, true), ["__Host-session=T", "HttpOnly", "Path=/", "SameSite=Lax", "Secure"]);
  assertEquals(parts({}, false), ["session=T", "HttpOnly", "Path=/", "SameSite=Lax"]);
});

const NAMES: [cookie: CookieOptions, https: string, http: string][] = [
  [{ domain: "example.com" }, "__Secure-session", "session"],
  [{ path: "/app" }, "__Secure-session", "session"],
  [{ domain: "example.com", path: "/app" }, "__Secure-session", "session"],
  [{ secure: true }, "__Host-session", "__Host-session"],
  [{ secure: true, domain: "example.com" }, "__Secure-session", "__Secure-session"],
  [{ secure: true, path: "/app" }, "__Secure-session", "__Secure-session"],
  [{ secure: false }, "session", "session"],
  [{ secure: false, path: "/app" }, "session", "session"],
  [{ sameSite: "Strict" }, "__Host-session", "session"],
  [{ sameSite: "None" }, "__Host-session", "__Host-session"],
  [{ sameSite: "None", domain: "example.com" }, "__Secure-session", "__Secure-session"],
  [{ partitioned: true }, "__Host-session", "__Host-session"],
  [{ name: "sid" }, "sid", "sid"],
  [{ name: "sid", secure: true }, "sid", "sid"],
  [{ name: "__Host-sid" }, "__Host-sid", "__Host-sid"],
  [{ name: "__Secure-sid", domain: "example.com" }, "__Secure-sid", "__Secure-sid"],
];

for (const [cookie, https, http] of NAMES) {
  Deno.test(`The cookie is called ${https} over https and ${http} over http with ${Deno.inspect(cookie)}`, () => {
    assertEquals(nameOver("https", cookie), https);
    assertEquals(nameOver("http", cookie), http);
  });
}

const FORCED: CookieOptions[] = [
  { secure: true },
  { sameSite: "None" },
  { partitioned: true },
  { name: "__Host-sid" },
  { name: "__Secure-sid" },
  { name: "__HOST-sid" },
  { name: "__secure-sid" },
  { secure: "auto", sameSite: "None" },
];

for (const cookie of FORCED) {
  Deno.test(`The cookie is Secure even over http with ${Deno.inspect(cookie)}`, () => {
    assert(isSecureOver("http", cookie));
    assert(isSecureOver("https", cookie));
  });
}

Deno.test("The cookie is never Secure with secure: false", () => {
  assert(!isSecureOver("https", { secure: false }));
  assert(!isSecureOver("http", { secure: false }));
});

Deno.test("The cookie has exactly the attributes that were asked for", () => {
  assertEquals(
    parts(
      { domain: "example.com", path: "/a b", httpOnly: false, sameSite: "Strict", partitioned: true },
      true,
    ),
    ["__Secure-session=T", "Domain=example.com", "Partitioned", "Path=/a b", "SameSite=Strict", "Secure"],
  );
});

const NEEDS_SECURE =
  `"cookie.secure" must not be false with sameSite "None", partitioned or a "__" prefix of the name: got false`;

const MISTAKES: [cookie: object, problems: string[]][] = [
  [{ sameSite: "None", secure: false }, [NEEDS_SECURE]],
  [{ partitioned: true, secure: false }, [NEEDS_SECURE]],
  [{ name: "__Secure-s", secure: false }, [NEEDS_SECURE]],
  [
    { name: "__Host-s", partitioned: true, sameSite: "None", secure: false },
    [NEEDS_SECURE],
  ],
  [
    { name: "__Host-s", domain: "example.com" },
    [`"cookie.domain" must be absent with a "__Host-" name: got "example.com"`],
  ],
  [
    { name: "__hOST-s", domain: "example.com" },
    [`"cookie.domain" must be absent with a "__Host-" name: got "example.com"`],
  ],
  [{ name: "__Host-s", path: "/app" }, [`"cookie.path" must be "/" with a "__Host-" name: got "/app"`]],
  [{ sameSite: "lax" }, [`"cookie.sameSite" must be one of "Strict", "Lax", "None": got "lax"`]],
  [{ sameSite: false }, [`"cookie.sameSite" must be one of "Strict", "Lax", "None": got false`]],
  [{ sameSite: null }, [`"cookie.sameSite" must be one of "Strict", "Lax", "None": got null`]],
  [{ sameSite: ["None"] }, [`"cookie.sameSite" must be one of "Strict", "Lax", "None": got an object`]],
  [{ secure: "always" }, [`"cookie.secure" must be one of true, false, "auto": got "always"`]],
  [{ secure: 0 }, [`"cookie.secure" must be one of true, false, "auto": got 0`]],
  [{ secure: null }, [`"cookie.secure" must be one of true, false, "auto": got null`]],
  [{ httpOnly: "false" }, [`"cookie.httpOnly" must be one of true, false: got "false"`]],
  [{ name: "__Http-s", httpOnly: false }, [
    `"cookie.httpOnly" must be true with a "__Http-" name: got false`,
  ]],
  [{ name: "__Host-Http-s", httpOnly: false }, [
    `"cookie.httpOnly" must be true with a "__Http-" name: got false`,
  ]],
  [{ httpOnly: null }, [`"cookie.httpOnly" must be one of true, false: got null`]],
  [{ partitioned: 1 }, [`"cookie.partitioned" must be one of true, false: got 1`]],
  [{ partitioned: null }, [`"cookie.partitioned" must be one of true, false: got null`]],
  [{ persist: "no" }, [`"cookie.persist" must be one of true, false: got "no"`]],
  [{ persist: null }, [`"cookie.persist" must be one of true, false: got null`]],
  [
    { maxAge: 60, Secure: true },
    [
      `"cookie.maxAge" is no option`,
      `"cookie.Secure" is no option; the options are ` +
      "name, domain, path, httpOnly, secure, sameSite, partitioned, persist",
    ],
  ],
];

for (const [cookie, problems] of MISTAKES) {
  Deno.test(`sessions() refuses the cookie ${Deno.inspect(cookie, { breakLength: Infinity })}`, () => {
    assertEquals(problemsIn(cookie), problems);
  });
}

// Characters that end an attribute or a header, or are no text at all.
const POISON = [
  "a;b",
  "a; Secure",
  "a\r\nSet-Cookie: x=y",
  "a\nb",
  "a\0b",
  "a\x7fb",
  "a\tb",
  "a\u0080b",
  "é",
];

for (const [option, valid] of [["name", "a"], ["domain", "a"], ["path", "/a"]] as const) {
  Deno.test(`sessions() refuses a cookie.${option} that would end the attribute or the header`, () => {
    settings({ [option]: valid });
    for (const poison of POISON) {
      for (const value of [poison, `${valid}${poison}`, `${poison}${valid}`, `${valid}\n`, `\n${valid}`]) {
        assertEquals(problemsIn({ [option]: value }).length, 1, `${option}: ${JSON.stringify(value)}`);
      }
    }
  });

  Deno.test(`sessions() refuses a cookie.${option} that is no text`, () => {
    for (const value of [null, 5, true, [valid], { toString: () => valid }]) {
      assertEquals(problemsIn({ [option]: value }).length, 1, `${option}: ${Deno.inspect(value)}`);
    }
  });
}

Deno.test("sessions() refuses a cookie.name that is no RFC 6265 token", () => {
  for (
    const name of [
      "",
      " ",
      "a b",
      "a=b",
      "a,b",
      '"a"',
      "a/b",
      "(a)",
      "a@b",
      "[a]",
      "{a}",
      "a:b",
      "a\\b",
      "<a>",
      "a?",
    ]
  ) {
    assertEquals(problemsIn({ name }).length, 1, name);
  }
  for (const name of ["a", "SID", "a.b-c_d", "!#$%&'*+-.^_`|~09"]) settings({ name });
});

Deno.test("sessions() refuses a cookie.domain that is no host name", () => {
  const wrong = [
    "",
    ".",
    "..a",
    "a..b",
    "a.",
    "-a.com",
    "a-.com",
    "a_b.com",
    "a b.com",
    "a:80",
    "https://a",
    "a/b",
    "*",
  ];
  for (const domain of wrong) assertEquals(problemsIn({ domain }).length, 1, domain);
  for (
    const domain of [
      "localhost",
      "example.com",
      ".example.com",
      "a-b.example.co.uk",
      "127.0.0.1",
      "xn--e1afmkfd.com",
    ]
  ) {
    settings({ domain });
  }
});

Deno.test("sessions() refuses a cookie.path that does not start with a slash", () => {
  for (const path of ["", "a", "./a", " /", "a/b"]) assertEquals(problemsIn({ path }).length, 1, path);
  for (const path of ["/", "/a/b", "/a b", "/a,b=c", "/%20"]) settings({ path });
});

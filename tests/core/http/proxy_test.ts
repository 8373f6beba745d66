/** The forwarded schemes that `trustProxy` believes, and those that it does not. */
import { MemoryStore, SessionConfigError, sessions } from "../../../mod.ts";
import { assertEquals, assertThrows } from "../../assert.ts";

async function isSecure(headers: [string, string][], trustProxy?: { header: string; value: string }) {
  const manager = sessions<{ n: number }>({ store: new MemoryStore(), trustProxy, onEvent() {} });
  const current = manager.begin(new Request("http://shop.example/", { headers }));
  (await current.session()).put("n", 1);
  const cookie = (await current.finish(new Response())).headers.getSetCookie()[0]!;
  const secure = cookie.includes("; Secure");
  assertEquals(cookie.startsWith("__Host-session="), secure, cookie);
  return secure;
}

const PROTO = { header: "X-Forwarded-Proto", value: "https" };
const ROWS: [
  what: string,
  headers: [string, string][],
  trusted: { header: string; value: string },
  boolean,
][] = [
  ["the word", [["X-Forwarded-Proto", "https"]], PROTO, true],
  ["in upper case", [["X-Forwarded-Proto", "HTTPS"]], PROTO, true],
  ["the option in upper case", [["X-Forwarded-Proto", "https"]], { ...PROTO, value: "HTTPS" }, true],
  ["the header's name in another case", [["X-FORWARDED-PROTO", "https"]], PROTO, true],
  ["blanks around it", [["X-Forwarded-Proto", " \t https  "]], PROTO, true],
  ["http", [["X-Forwarded-Proto", "http"]], PROTO, false],
  ["nothing", [], PROTO, false],
  ["an empty value", [["X-Forwarded-Proto", ""]], PROTO, false],
  ["another header", [["X-Forwarded-Scheme", "https"]], PROTO, false],
  // It is unknown which entry of a list is the proxy's. A client may have sent the first one.
  ["a list that begins with it", [["X-Forwarded-Proto", "https, http"]], PROTO, false],
  ["a list that ends with it", [["X-Forwarded-Proto", "http, https"]], PROTO, false],
  ["a list of nothing else", [["X-Forwarded-Proto", "https,https"]], PROTO, false],
  ["the header twice", [["X-Forwarded-Proto", "https"], ["X-Forwarded-Proto", "https"]], PROTO, false],
  ["a word that begins with it", [["X-Forwarded-Proto", "https1"]], PROTO, false],
  ["the word in quotes", [["X-Forwarded-Proto", '"https"']], PROTO, false],
  ["wss", [["X-Forwarded-Proto", "wss"]], PROTO, false],
  ["a flag", [["X-Forwarded-Ssl", "on"]], { header: "X-Forwarded-Ssl", value: "on" }, true],
  ["a port", [["X-Forwarded-Port", "443"]], { header: "X-Forwarded-Port", value: "443" }, true],
  ["RFC 7239", [["Forwarded", "proto=https"]], { header: "Forwarded", value: "proto=https" }, true],
  [
    "RFC 7239 with more",
    [["Forwarded", "for=1.2.3.4;proto=https"]],
    { header: "Forwarded", value: "proto=https" },
    false,
  ],
  ["a JSON header", [["CF-Visitor", '{"scheme":"https"}']], {
    header: "CF-Visitor",
    value: '{"scheme":"https"}',
  }, true],
];

for (const [what, headers, trusted, secure] of ROWS) {
  Deno.test(`trustProxy: ${what} ${secure ? "means" : "does not mean"} https`, async () => {
    assertEquals(await isSecure(headers, trusted), secure);
    // Without the option no header is believed.
    assertEquals(await isSecure(headers), false);
  });
}

Deno.test("trustProxy ignores the header of a request over https, which needs none", async () => {
  const manager = sessions<{ n: number }>({ store: new MemoryStore(), trustProxy: PROTO });
  const headers = { "X-Forwarded-Proto": "http" };
  const current = manager.begin(new Request("https://shop.example/", { headers }));
  (await current.session()).put("n", 1);
  const response = await current.finish(new Response());
  assertEquals(response.headers.getSetCookie()[0]!.startsWith("__Host-session="), true);
});

Deno.test("trustProxy names the fields that are missing", () => {
  for (const [given, missing] of [[{}, ["header", "value"]], [{ header: "X-Scheme" }, ["value"]]] as const) {
    const { problems } = assertThrows(
      () => sessions({ trustProxy: given as { header: string; value: string } }),
      SessionConfigError,
    );
    assertEquals(
      problems.map((problem) => problem.split('"')[1]),
      missing.map((name) => `trustProxy.${name}`),
    );
  }
});

Deno.test("A proxy that nobody hears of by an event is named on the console, once", async () => {
  const warnings: string[] = [];
  const { warn } = console;
  console.warn = (text: string) => void warnings.push(text);
  try {
    for (const onEvent of [undefined, () => {}]) {
      const manager = sessions({ store: new MemoryStore(), onEvent });
      for (const _ of [1, 2]) {
        await manager.begin(
          new Request("http://shop.example/", { headers: { "X-Forwarded-Proto": "https" } }),
        ).session();
      }
    }
  } finally {
    console.warn = warn;
  }
  assertEquals(warnings.map((text) => text.includes("trustProxy")), [true]);
});

/** Options that an object inherits. */
import { type SessionOptions, sessions } from "../../../mod.ts";
import { assertEquals } from "../../assert.ts";

async function setCookieOf(options: SessionOptions): Promise<string> {
  const request = sessions<{ n: number }>(options).begin(new Request("https://example.com/"));
  (await request.session()).put("n", 1);
  return (await request.finish(new Response())).headers.getSetCookie()[0]!;
}

Deno.test("Options may be getters of a class", async () => {
  class Config {
    get lifetime(): "1h" {
      return "1h";
    }
    get cookie(): { name: string } {
      return new (class {
        get name(): string {
          return "mine";
        }
      })();
    }
  }
  const setCookie = await setCookieOf(new Config());
  assertEquals([/Max-Age=3600/.test(setCookie), setCookie.startsWith("mine=")], [true, true]);
});

Deno.test("A property of a polluted Object.prototype is no option", async () => {
  const polluted = { httpOnly: false, domain: "evil.example", lifetime: 1, hashTokenInStore: false };
  Object.assign(Object.prototype, polluted);
  let setCookie: string;
  try {
    setCookie = await setCookieOf({});
  } finally {
    for (const name of Object.keys(polluted)) delete (Object.prototype as Record<string, unknown>)[name];
  }
  assertEquals([/HttpOnly/.test(setCookie), /Domain/.test(setCookie), /Max-Age=86400/.test(setCookie)], [
    true,
    false,
    true,
  ]);
});

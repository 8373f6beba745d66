/** The responses of handlers: immutable and shared ones, and what caches are told. */

import { withSessions } from "../../middleware/fetch.ts";
import { MemoryStore, type Session, sessions } from "../../mod.ts";
import { assert, assertEquals } from "../assert.ts";
import { setCookies } from "../scenarios/_visits.ts";

interface Data {
  userId: number;
}

const URL = "https://example.com/";
const manager = sessions<Data>({ store: new MemoryStore({ cleanup: "off" }) });

const read = (session: Session<Data>) => void session.get("userId");
const write = (session: Session<Data>) => session.put("userId", 1);

/** The response to a request whose handler uses the session and returns this response. */
async function sent(response: () => Response | Promise<Response>, use = write): Promise<Response> {
  const handler = withSessions(manager, async (_request, getSession) => {
    use(await getSession());
    return await response();
  });
  return await handler(new Request(URL));
}

Deno.test("A response with immutable headers is sent with those of the session", async (t) => {
  await using server = Deno.serve({ hostname: "127.0.0.1", port: 0, onListen() {} }, () => {
    return new Response("from elsewhere", {
      headers: { "X-Own": "1", "Cache-Control": "public", Vary: "Origin" },
    });
  });
  const origin = `http://127.0.0.1:${server.addr.port}/`;
  await t.step("a proxied fetch", async () => {
    const response = await sent(() => fetch(origin));
    assertEquals(await response.text(), "from elsewhere");
    assertEquals(setCookies(response).length, 1);
    assertEquals(response.headers.get("X-Own"), "1");
    assertEquals(response.headers.get("Vary"), "Origin, Cookie");
    assertEquals(response.headers.get("Cache-Control"), 'private, no-cache="Set-Cookie"');
  });
  await t.step("a proxied fetch, with the session only read", async () => {
    const response = await sent(() => fetch(origin), read);
    assertEquals(await response.text(), "from elsewhere");
    assertEquals(setCookies(response), []);
    assertEquals(response.headers.get("Vary"), "Origin, Cookie");
    assertEquals(response.headers.get("Cache-Control"), "public");
  });
  await t.step("Response.redirect()", async () => {
    const response = await sent(() => Response.redirect("https://example.com/next", 302));
    assertEquals([response.status, response.headers.get("Location")], [302, "https://example.com/next"]);
    assertEquals(setCookies(response).length, 1);
  });
  await t.step("Response.error(), which is sent unchanged", async () => {
    assertEquals((await sent(() => Response.error())).type, "error");
  });
});

Deno.test("A module-level response for many users takes no cookie from any of them", async () => {
  const shared = new Response(null, { status: 204, headers: { "X-Own": "1" } });
  const tokens = new Set<string>();
  for (let user = 0; user < 3; user++) {
    const response = await sent(() => shared);
    assertEquals(response.headers.get("X-Own"), "1");
    const cookies = setCookies(response);
    assertEquals(cookies.length, 1);
    tokens.add(cookies[0]!.value);
  }
  assertEquals(tokens.size, 3);
  assertEquals(setCookies(shared), []);
  const response = await sent(() => shared, read);
  assertEquals(setCookies(response), []);
  assertEquals(response.headers.get("Vary"), "Cookie");
});

Deno.test("Vary is extended, and only once", async (t) => {
  const cases: [string | undefined, string][] = [
    [undefined, "Cookie"],
    ["Origin", "Origin, Cookie"],
    ["Accept-Encoding, Origin", "Accept-Encoding, Origin, Cookie"],
    ["cookie", "cookie"],
    ["Origin, COOKIE", "Origin, COOKIE"],
    ["X-Cookie", "X-Cookie, Cookie"],
    ["*", "*"],
  ];
  for (const [own, expected] of cases) {
    await t.step(`to ${own}`, async () => {
      for (const use of [read, write]) {
        const response = await sent(() => new Response(null, { headers: own ? { Vary: own } : {} }), use);
        assertEquals(response.headers.get("Vary"), expected);
      }
    });
  }
});

Deno.test("No shared cache stores a response with a cookie, whatever its handler says", async (t) => {
  const cases: [string | undefined, string][] = [
    [undefined, 'private, no-cache="Set-Cookie"'],
    ["public, max-age=60, s-maxage=600", 'private, no-cache="Set-Cookie", max-age=60'],
    ["PUBLIC,Max-Age=60", 'private, no-cache="Set-Cookie", Max-Age=60'],
    ["proxy-revalidate, must-revalidate", 'private, no-cache="Set-Cookie", must-revalidate'],
    ["no-store", 'private, no-cache="Set-Cookie", no-store'],
    // Naming one header would weaken a directive that covers all headers.
    ["no-cache", "private, no-cache"],
    ['no-cache="Set-Cookie"', 'private, no-cache="Set-Cookie"'],
    ['private="X-Own, X-Other", max-age=1', 'private, no-cache="Set-Cookie", max-age=1'],
    ['no-cache="X-Own, X-Other"', 'private, no-cache="Set-Cookie", no-cache="X-Own, X-Other"'],
    [",, ", 'private, no-cache="Set-Cookie"'],
  ];
  for (const [own, expected] of cases) {
    await t.step(String(own), async () => {
      const response = await sent(() => new Response(null, { headers: own ? { "Cache-Control": own } : {} }));
      assertEquals(response.headers.get("Cache-Control"), expected);
    });
  }
  await t.step("nor does a CDN with a header of its own", async () => {
    const headers = {
      "CDN-Cache-Control": "max-age=600",
      "Cloudflare-CDN-Cache-Control": "max-age=600",
      "Surrogate-Control": "max-age=600",
      "X-Own": "1",
    };
    const names = [...(await sent(() => new Response(null, { headers }))).headers.keys()];
    assertEquals(names, ["cache-control", "set-cookie", "vary", "x-own"]);
  });
});

Deno.test("A response that asked for the session is private unless its handler says otherwise", async () => {
  const header = async (headers: HeadersInit) => {
    return (await sent(() => new Response(null, { headers }), read)).headers.get("Cache-Control");
  };
  assertEquals(await header({}), "private");
  assertEquals(await header({ "Cache-Control": "public, max-age=60" }), "public, max-age=60");
});

Deno.test("A handler's own cookies stay beside the session's", async () => {
  const response = await sent(() =>
    new Response(null, { headers: [["Set-Cookie", "a=1"], ["Set-Cookie", "b=2"]] })
  );
  assertEquals(setCookies(response).map(({ name }) => name), ["a", "b", "__Host-session"]);
});

Deno.test("A failed commit keeps only the headers that a browser needs to read the error", async (t) => {
  const small = sessions<Data & { note: string }>({
    maxBytes: 1_000,
    onError: () =>
      new Response("page", { status: 500, headers: { Vary: "Accept", "Access-Control-Max-Age": "5" } }),
  });
  const handler = withSessions(small, async (_request, getSession) => {
    (await getSession()).put("note", "x".repeat(2_000));
    return new Response("never", {
      headers: {
        "Access-Control-Allow-Origin": "https://app.example",
        "Access-Control-Allow-Credentials": "true",
        "Access-Control-Max-Age": "600",
        Vary: "Origin",
        "Set-Cookie": "a=1",
        ETag: '"1"',
        "Content-Length": "5",
        "Content-Encoding": "gzip",
      },
    });
  });
  const response = await handler(new Request(URL));
  await t.step("and no other header", async () => {
    assertEquals([response.status, await response.text()], [500, "page"]);
    assertEquals(Object.fromEntries(response.headers), {
      "access-control-allow-credentials": "true",
      "access-control-allow-origin": "https://app.example",
      "access-control-max-age": "5",
      "cache-control": "private",
      "content-type": "text/plain;charset=UTF-8",
      vary: "Accept, Origin, Cookie",
    });
  });
  await t.step("and cancels the handler's body", async () => {
    let cancelled = false;
    const body = new ReadableStream({ cancel: () => void (cancelled = true) });
    const failing = withSessions(small, async (_request, getSession) => {
      (await getSession()).put("note", "x".repeat(2_000));
      return new Response(body);
    });
    assertEquals((await failing(new Request(URL))).status, 500);
    assert(cancelled);
  });
});

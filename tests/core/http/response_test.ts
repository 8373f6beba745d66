import { markPersonal, replaceResponse, withCookie } from "../../../core/http/response.ts";
import { MemoryStore, sessions } from "../../../mod.ts";
import { assertEquals, assertNotStrictEquals, assertStrictEquals } from "../../assert.ts";

const COOKIE = "__Host-session=T; Path=/";

function headersOf(response: Response): Record<string, string> {
  const { "content-type": _, ...headers } = Object.fromEntries(response.headers);
  return headers;
}

Deno.test("markPersonal() adds Vary and Cache-Control to the response object itself", () => {
  const response = new Response("body");
  assertStrictEquals(markPersonal(response, true), response);
  assertEquals(headersOf(response), { "cache-control": "private", "vary": "Cookie" });
});

Deno.test("markPersonal() does not change a response without a body, because an application may return it again", () => {
  const shared = new Response(null, { status: 204 });
  assertEquals(headersOf(markPersonal(shared, true)), { "cache-control": "private", "vary": "Cookie" });
  assertEquals(headersOf(shared), {});
});

Deno.test("markPersonal() returns a response that is marked already as it is, with a body and without", () => {
  for (const status of [200, 204]) {
    const headers = { "Cache-Control": "no-store", "Vary": "Cookie" };
    const response = new Response(null, { status, headers });
    assertStrictEquals(markPersonal(response, true), response);
  }
});

Deno.test("markPersonal() adds no Vary if no cookie was read", () => {
  assertEquals(headersOf(markPersonal(new Response(), false)), { "cache-control": "private" });
});

for (const own of ["public, max-age=60", "no-store", "max-age=0", "private", ""]) {
  Deno.test(`markPersonal() keeps the handler's own Cache-Control "${own}"`, () => {
    const response = markPersonal(new Response(null, { headers: { "Cache-Control": own } }), true);
    assertEquals(headersOf(response), { "cache-control": own, "vary": "Cookie" });
  });
}

for (
  const [own, expected] of [
    ["Cookie", "Cookie"],
    ["cookie", "cookie"],
    ["Origin, COOKIE", "Origin, COOKIE"],
    ["*", "*"],
    ["Origin, *", "Origin, *"],
    ["Origin", "Origin, Cookie"],
    ["Cookie2", "Cookie2, Cookie"],
    ["X-Cookie, Accept", "X-Cookie, Accept, Cookie"],
  ]
) {
  Deno.test(`markPersonal() and withCookie() make "${expected}" of Vary: ${own}`, () => {
    const make = () => new Response(null, { headers: { Vary: own! } });
    assertEquals(markPersonal(make(), true).headers.get("Vary"), expected);
    assertEquals(withCookie(make(), COOKIE).headers.get("Vary"), expected);
  });
}

Deno.test("withCookie() adds Vary, Set-Cookie and Cache-Control", () => {
  assertEquals(headersOf(withCookie(new Response(), COOKIE)), {
    "cache-control": 'private, no-cache="Set-Cookie"',
    "set-cookie": COOKIE,
    "vary": "Cookie",
  });
});

const CACHE_CONTROL: [own: string, expected: string][] = [
  ["", 'private, no-cache="Set-Cookie"'],
  ["public", 'private, no-cache="Set-Cookie"'],
  ["PUBLIC, max-age=60", 'private, no-cache="Set-Cookie", max-age=60'],
  ["private", 'private, no-cache="Set-Cookie"'],
  ['private="X-User"', 'private, no-cache="Set-Cookie"'],
  ["s-maxage=60, max-age=5", 'private, no-cache="Set-Cookie", max-age=5'],
  ["max-age=5,s-maxage=60,proxy-revalidate", 'private, no-cache="Set-Cookie", max-age=5'],
  ["no-store", 'private, no-cache="Set-Cookie", no-store'],
  ["must-revalidate, immutable", 'private, no-cache="Set-Cookie", must-revalidate, immutable'],
  ["publicity=1", 'private, no-cache="Set-Cookie", publicity=1'],
  // Already stricter than needed: no-cache covers every header, not only Set-Cookie.
  ["no-cache", "private, no-cache"],
  ["max-age=60, No-Cache", "private, max-age=60, No-Cache"],
  // Commas in quotes.
  ['private="A, B", max-age=5', 'private, no-cache="Set-Cookie", max-age=5'],
  ['ext="public, s-maxage=5"', 'private, no-cache="Set-Cookie", ext="public, s-maxage=5"'],
  ['no-cache="Set-Cookie"', 'private, no-cache="Set-Cookie"'],
  [" , ,max-age=5, ", 'private, no-cache="Set-Cookie", max-age=5'],
];

for (const [own, expected] of CACHE_CONTROL) {
  Deno.test(`withCookie() makes "${expected}" of Cache-Control: ${own}`, () => {
    const response = withCookie(new Response(null, { headers: { "Cache-Control": own } }), COOKIE);
    assertEquals(response.headers.get("Cache-Control"), expected);
  });
}

const CDN_HEADERS = [
  "CDN-Cache-Control",
  "Cloudflare-CDN-Cache-Control",
  "Vercel-CDN-Cache-Control",
  "Netlify-CDN-Cache-Control",
  "Surrogate-Control",
  "Edge-Control",
  "X-Accel-Expires",
];

for (const name of CDN_HEADERS) {
  Deno.test(`withCookie() removes ${name}, and markPersonal() keeps it`, () => {
    const make = () => new Response(null, { headers: { [name]: "max-age=60", "X-Other": "1" } });
    assertEquals(withCookie(make(), COOKIE).headers.has(name), false);
    assertEquals(withCookie(make(), COOKIE).headers.get("X-Other"), "1");
    assertEquals(markPersonal(make(), true).headers.get(name), "max-age=60");
  });
}

Deno.test("withCookie() keeps status, text, body and headers, and adds to the handler's own cookies", async () => {
  const own = new Response("body", {
    status: 201,
    statusText: "Made",
    headers: { "X-Own": "1", "Set-Cookie": "a=1" },
  });
  const response = withCookie(own, COOKIE);
  assertEquals([response.status, response.statusText], [201, "Made"]);
  assertEquals(response.headers.getSetCookie(), ["a=1", COOKIE]);
  assertEquals([response.headers.get("X-Own"), await response.text()], ["1", "body"]);
});

Deno.test("withCookie() replaces its own earlier cookie, and none with another path or domain", () => {
  const attributes = "; Path=/app; HttpOnly; SameSite=Lax";
  const others = [
    "sid=; Path=/; Max-Age=0",
    "sid=; Max-Age=0; Path=/app; Domain=example.com",
    // In the order of Hono and Express.
    `sid=; Max-Age=0; Domain=example.com${attributes}`,
  ];
  const response = new Response("text", {
    headers: [`sid=1; Max-Age=9${attributes}`, ...others].map((
      text,
    ): [string, string] => ["Set-Cookie", text]),
  });
  const cookie = `sid=2${attributes}`;
  assertEquals(withCookie(response, cookie).headers.getSetCookie(), [...others, cookie]);
});

Deno.test("withCookie() does not add the cookie to the response it was given", () => {
  const shared = new Response(null, { status: 204 });
  const responses = [withCookie(shared, "a=1"), withCookie(shared, "a=2")];
  assertEquals(headersOf(shared), {});
  assertEquals(responses.map((response) => response.headers.getSetCookie()), [["a=1"], ["a=2"]]);
});

const WITHOUT_BODY: [what: string, init: ResponseInit][] = [
  ["a 204", { status: 204 }],
  ["a redirect", { status: 303, headers: { Location: "/" } }],
  ["a redirect with a type", { status: 303, headers: { Location: "/", "Content-Type": "text/html" } }],
  ["a 200 with a type", { headers: { "Content-Type": "text/html" } }],
];

for (const [what, init] of WITHOUT_BODY) {
  Deno.test(`A response that an application returns many times never gets a cookie: ${what}`, async () => {
    const manager = sessions({ store: new MemoryStore() });
    const shared = new Response(null, init);
    const tokens = new Set<string>();
    for (let user = 0; user < 3; user++) {
      const current = manager.begin(new Request("https://example.com/"));
      (await current.session()).put("user", user);
      const response = await current.finish(shared);
      assertEquals(response.headers.getSetCookie().length, 1);
      tokens.add(response.headers.get("Set-Cookie")!);
      assertEquals(shared.headers.has("Set-Cookie"), false);
    }
    assertEquals(tokens.size, 3);
  });
}

Deno.test("withCookie() changes a response with a body and a type in place", () => {
  for (const body of ["text", new ReadableStream()]) {
    const response = new Response(body, { headers: { "Content-Type": "text/html" } });
    assertStrictEquals(withCookie(response, COOKIE), response);
  }
});

/** Responses with immutable headers. */
const IMMUTABLE: [what: string, make: () => Response | Promise<Response>, status: number][] = [
  ["a redirect", () => Response.redirect("https://example.com/next", 303), 303],
  ["a fetched response", () => fetch("data:text/plain,fetched"), 200],
];

for (const [what, make, status] of IMMUTABLE) {
  Deno.test(`markPersonal() and withCookie() copy ${what}`, async () => {
    const own = await make();
    const text = what === "a redirect" ? "" : "fetched";
    const location = own.headers.get("Location");
    const marked = markPersonal(own, true);
    assertNotStrictEquals(marked, own);
    assertEquals([marked.status, marked.headers.get("Vary")], [status, "Cookie"]);
    assertEquals(own.headers.has("Vary"), false);
    assertEquals(await marked.text(), text);

    const response = withCookie(await make(), COOKIE);
    assertEquals([response.status, response.headers.get("Set-Cookie")], [status, COOKIE]);
    assertEquals(response.headers.get("Location"), location);
    assertEquals(await response.text(), text);
  });
}

Deno.test("markPersonal() returns an immutable response unchanged if it needs no header", async () => {
  await using server = Deno.serve(
    { port: 0, hostname: "127.0.0.1", onListen() {} },
    () => new Response("ok", { headers: { Vary: "Cookie", "Cache-Control": "no-store" } }),
  );
  const own = await fetch(`http://127.0.0.1:${server.addr.port}/`);
  assertStrictEquals(markPersonal(own, true), own);
  assertEquals(await own.text(), "ok");
});

for (const status of [204, 205, 304]) {
  Deno.test(`withCookie() and markPersonal() accept a ${status}, which has no body`, () => {
    const response = withCookie(new Response(null, { status }), COOKIE);
    assertEquals([response.status, response.body], [status, null]);
    assertEquals(response.headers.get("Set-Cookie"), COOKIE);
    assertEquals(markPersonal(new Response(null, { status }), true).headers.get("Vary"), "Cookie");
  });
}

Deno.test("withCookie() and markPersonal() return a network error unchanged", () => {
  const response = Response.error();
  assertEquals(response.status, 0);
  assertStrictEquals(withCookie(response, COOKIE), response);
  assertStrictEquals(markPersonal(response, true), response);
});

Deno.test("withCookie() adds the cookie to an upgrade itself, which cannot be copied", () => {
  const upgrade = new Response(null, { status: 101 });
  assertStrictEquals(withCookie(upgrade, COOKIE), upgrade);
  assertEquals(upgrade.headers.get("Set-Cookie"), COOKIE);
  const other = new Response(null, { status: 101 });
  assertStrictEquals(markPersonal(other, true), other);
  assertEquals(other.headers.get("Vary"), "Cookie");
});

/** The body of a fetch handler, which reports whether it was cancelled. */
function watchedBody(): { body: ReadableStream; isCancelled: () => boolean } {
  let cancelled = false;
  const body = new ReadableStream({
    cancel() {
      cancelled = true;
    },
  });
  return { body, isCancelled: () => cancelled };
}

Deno.test("replaceResponse() keeps only Access-Control-* and Vary of the handler's response", async () => {
  const handlers = new Response("secret", {
    status: 201,
    headers: {
      "Access-Control-Allow-Origin": "https://app.example",
      "Access-Control-Allow-Credentials": "true",
      "Access-Control-Expose-Headers": "X-Own",
      "Vary": "Origin",
      "Set-Cookie": "a=1",
      "ETag": '"1"',
      "Cache-Control": "public, max-age=60",
      "Location": "/next",
      "Content-Type": "application/json",
      "X-Own": "1",
    },
  });
  const error = new Response("sorry", {
    status: 503,
    headers: { "Cache-Control": "no-store", "Content-Type": "text/plain" },
  });
  const response = replaceResponse(handlers, error);
  assertEquals(Object.fromEntries(response.headers), {
    "access-control-allow-credentials": "true",
    "access-control-allow-origin": "https://app.example",
    "access-control-expose-headers": "X-Own",
    "cache-control": "no-store",
    "content-type": "text/plain",
    "vary": "Origin",
  });
  assertEquals([response.status, await response.text()], [503, "sorry"]);
});

Deno.test("replaceResponse() prefers the error's own Access-Control-*, and does not change the error", () => {
  const handlers = new Response(null, { headers: { "Access-Control-Allow-Origin": "*", Vary: "Origin" } });
  const error = new Response(null, {
    status: 503,
    headers: { "Access-Control-Allow-Origin": "https://a.example" },
  });
  const response = replaceResponse(handlers, error);
  assertEquals(response.headers.get("Access-Control-Allow-Origin"), "https://a.example");
  assertEquals(error.headers.has("Vary"), false);
});

Deno.test("replaceResponse() returns the error itself if the handler gave no response", () => {
  const error = new Response(null, { status: 503 });
  assertStrictEquals(replaceResponse(undefined, error), error);
});

Deno.test("replaceResponse() cancels the handler's body, whoever holds it", async () => {
  const { body, isCancelled } = watchedBody();
  replaceResponse(new Response(body), new Response(null, { status: 503 }));
  assertEquals(isCancelled(), true);

  const locked = watchedBody();
  const response = new Response(locked.body);
  const reader = response.body!.getReader();
  replaceResponse(response, new Response(null, { status: 503 }));
  assertEquals(locked.isCancelled(), false);
  await reader.cancel();
});

/** The cookie of a login reaches the browser, and no cache, whatever the handler returns. */
import { withSessions } from "../../middleware/fetch.ts";
import { sessions } from "../../mod.ts";
import { assert, assertEquals } from "../assert.ts";

type Data = { user: string };

function login(answer: () => Response) {
  const manager = sessions<Data>({ onError() {} });
  const handler = withSessions(manager, async (_request, getSession) => {
    const session = await getSession();
    session.renewToken();
    session.put("user", "zoe");
    return answer();
  });
  return handler;
}

Deno.test("A response with the cookie carries no permission for the cache of LiteSpeed or Akamai", async () => {
  // LiteSpeed follows its header whatever Cache-Control says: docs.litespeedtech.com/lscache/devguide.
  const names = ["X-LiteSpeed-Cache-Control", "Akamai-Cache-Control", "CDN-Cache-Control"];
  const handler = login(() =>
    new Response("page", { headers: Object.fromEntries(names.map((name) => [name, "public, max-age=60"])) })
  );
  const { headers } = await handler(new Request("https://example.com/"));
  assert(headers.has("Set-Cookie"));
  assertEquals(names.filter((name) => headers.has(name)), []);
});

Deno.test("A login whose handler answers with a response that it has read keeps its cookie", async () => {
  const used = new Response("page");
  await used.text();
  const handler = login(() => used);
  await using server = Deno.serve({
    port: 0,
    onListen() {},
    onError: () => new Response(null, { status: 500 }),
  }, handler);
  const response = await fetch(`http://127.0.0.1:${server.addr.port}/`);
  await response.body?.cancel();
  assertEquals(response.status, 500);
  assert(response.headers.has("Set-Cookie"));
});

Deno.test("A request that takes no new properties has a session", async () => {
  const handler = login(() => new Response("page"));
  const { headers } = await handler(Object.preventExtensions(new Request("https://example.com/")));
  assert(headers.has("Set-Cookie"));
});

Deno.test("A redirect of Next to a location outside ASCII keeps the cookie", async () => {
  const redirect = Object.assign(new Error("NEXT_REDIRECT"), { digest: "NEXT_REDIRECT;replace;/日本;307;" });
  const handler = login(() => {
    throw redirect;
  });
  const { status, headers } = await handler(new Request("https://example.com/"));
  assertEquals([status, headers.get("Location")], [307, "/%E6%97%A5%E6%9C%AC"]);
  assert(headers.has("Set-Cookie"));
});

/** Hono's adapters for platforms that call with an event: the cookie of the session arrives, beside one of the handler's own. */

import { Hono } from "hono";
import { handle as handleLambda } from "hono/aws-lambda";
import { handle as handlePages } from "hono/cloudflare-pages";
import { handle as handleEdge } from "hono/lambda-edge";
import { handle as handleNetlify } from "hono/netlify";
import { handle as handleVercel } from "hono/vercel";
import { honoSessions } from "../../middleware/hono.ts";
import { sessions } from "../../mod.ts";
import { assertEquals, assertMatch } from "../assert.ts";

const app = new Hono()
  .use(honoSessions(sessions<{ visits: number }>()))
  .get("/", async (c) => {
    const session = await c.var.session();
    session.update("visits", (visits = 0) => visits + 1);
    c.header("Set-Cookie", "own=1", { append: true });
    return c.text(`visit ${session.get("visits")}`);
  });

interface Answer {
  body: string;
  setCookies: string[];
}
type Send = (cookies: string[]) => Promise<Answer>;

const lambda = handleLambda(app);
const edge = handleEdge(app);

function overFetch(handle: (request: Request) => Response | Promise<Response>): Send {
  return async (cookies) => {
    const response = await handle(
      new Request("https://example.com/", { headers: { Cookie: cookies.join("; ") } }),
    );
    return { body: await response.text(), setCookies: response.headers.getSetCookie() };
  };
}

const ADAPTERS: Record<string, Send> = {
  async "AWS Lambda behind a function URL or an HTTP API"(cookies) {
    const http = { method: "GET", path: "/" };
    const { body, cookies: setCookies } = await lambda(
      {
        version: "2.0",
        rawPath: "/",
        rawQueryString: "",
        cookies,
        headers: { host: "example.com" },
        requestContext: { domainName: "example.com", http },
        body: null,
        isBase64Encoded: false,
      } as unknown as Parameters<typeof lambda>[0],
    ) as unknown as { body: string; cookies: string[] };
    return { body, setCookies };
  },
  async "AWS Lambda behind a REST API"(cookies) {
    const { body, multiValueHeaders } = await lambda(
      {
        version: "1.0",
        path: "/",
        httpMethod: "GET",
        headers: { Host: "example.com", Cookie: cookies.join("; ") },
        multiValueHeaders: { Cookie: [cookies.join("; ")] },
        requestContext: { domainName: "example.com" },
        body: null,
        isBase64Encoded: false,
      } as unknown as Parameters<typeof lambda>[0],
    ) as {
      body: string;
      multiValueHeaders?: Record<string, string[]>;
    };
    return { body, setCookies: multiValueHeaders!["set-cookie"]! };
  },
  async "Lambda@Edge"(cookies) {
    const headers = {
      host: [{ key: "Host", value: "example.com" }],
      cookie: [{ key: "Cookie", value: cookies.join("; ") }],
    };
    const request = { clientIp: "127.0.0.1", method: "GET", uri: "/", querystring: "", headers };
    const config = { distributionDomainName: "example.cloudfront.net", eventType: "origin-request" };
    const { body, headers: answered } = await edge(
      { Records: [{ cf: { config, request } }] } as unknown as Parameters<typeof edge>[0],
    ) as unknown as { body: string; headers: Record<string, { value: string }[]> };
    return { body, setCookies: answered["set-cookie"]!.map(({ value }) => value) };
  },
  Vercel: overFetch(handleVercel(app)),
  Netlify: overFetch((request) => handleNetlify(app)(request, {} as never)),
  "Cloudflare Pages": overFetch((request) =>
    handlePages(app)({ request, env: {}, waitUntil() {}, passThroughOnException() {} } as never)
  ),
};

for (const [name, send] of Object.entries(ADAPTERS)) {
  Deno.test(`A visitor has a session on ${name}`, async () => {
    const first = await send([]);
    assertEquals(first.body, "visit 1");
    const [own, cookie, ...more] = first.setCookies;
    assertEquals([own, more], ["own=1", []]);
    assertMatch(cookie!, /^__Host-session=[\w-]{43}; .*Secure$/);
    const second = await send(["a=b", cookie!.split(";", 1)[0]!]);
    assertEquals(second, { body: "visit 2", setCookies: ["own=1"] });
  });
}

/** The request that `onError` gets from `nodeSessions()`. */
import { createServer } from "node:http";
import { type NodeRequest, type NodeResponse, nodeSessions } from "../../middleware/node.ts";
import { sessions } from "../../mod.ts";
import { assertEquals } from "../assert.ts";
import { storeWithoutServer } from "./_stores.ts";

/** What `onError` gets of a request, by its first line and its other lines. */
async function seenOf(lines: string[], change: (request: NodeRequest) => void = () => {}): Promise<Request> {
  const seen = Promise.withResolvers<Request>();
  const session = nodeSessions(sessions({
    store: storeWithoutServer(),
    onError: (_error, { request }) => seen.resolve(request!),
  }));
  const server = createServer((request, response) => {
    change(request);
    session(request, response as NodeResponse, async () => void await session.of(request));
  });
  await new Promise<void>((resolve) => server.listen(0, "127.0.0.1", resolve));
  const { port } = server.address() as { port: number };
  try {
    using connection = await Deno.connect({ hostname: "127.0.0.1", port });
    const cookie = `Cookie: session=${"A".repeat(43)}; __Host-session=${"A".repeat(43)}`;
    await connection.write(new TextEncoder().encode(
      [...lines, cookie, "Connection: close", "", ""].join("\r\n"),
    ));
    await new Response(connection.readable).text();
    return await seen.promise;
  } finally {
    await new Promise((resolve) => server.close(resolve));
  }
}

const URLS: Record<string, [url: string, ...lines: string[]]> = {
  "the path and the query": ["http://a.example/b?c=1", "GET /b?c=1 HTTP/1.1", "Host: a.example"],
  "the port": ["http://a.example:81/", "GET / HTTP/1.1", "Host: a.example:81"],
  "no host": ["http://localhost/b", "GET /b HTTP/1.0"],
  "a host with a password": ["http://localhost/", "GET /b HTTP/1.1", "Host: me:secret@a.example"],
  "a host that is none": ["http://localhost/", "GET /b HTTP/1.1", "Host: a<b"],
  "a path that would go on after the host": ["http://localhost/", "OPTIONS * HTTP/1.1", "Host: a.example"],
  "the address of a proxy": ["http://localhost/", "GET http://b.example/ HTTP/1.1", "Host: a.example"],
};

for (const [name, [url, ...lines]] of Object.entries(URLS)) {
  Deno.test(`nodeSessions() gives onError the URL ${url} of a request with ${name}`, async () => {
    assertEquals((await seenOf(lines)).url, url);
  });
}

Deno.test("nodeSessions() gives onError the path at which an Express router is mounted", async () => {
  const { url } = await seenOf(["GET /admin/users HTTP/1.1", "Host: a.example"], (request) => {
    Object.assign(request, { originalUrl: request.url, url: "/users" });
  });
  assertEquals(url, "http://a.example/admin/users");
});

Deno.test("nodeSessions() gives onError an https: URL if TLS ends in the process", async () => {
  const { url } = await seenOf(["GET / HTTP/1.1", "Host: a.example"], ({ socket }) => {
    Object.assign(socket, { encrypted: true });
  });
  assertEquals(url, "https://a.example/");
});

Deno.test("nodeSessions() gives onError the method and the headers", async () => {
  const request = await seenOf(["DELETE / HTTP/1.1", "Host: a.example", "X-Own: 1", "X-Own: 2"]);
  assertEquals([request.method, request.headers.get("X-Own")], ["DELETE", "1, 2"]);
});

Deno.test("nodeSessions() gives onError GET in place of a method that no Request has", async () => {
  assertEquals((await seenOf(["TRACE / HTTP/1.1", "Host: a.example"])).method, "GET");
});

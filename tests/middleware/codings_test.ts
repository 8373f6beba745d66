/** A response of `fetch()` that is passed on, in each content coding: Deno decodes some and not others. */
import { createServer } from "node:http";
import { brotliCompressSync, deflateSync, gzipSync } from "node:zlib";
import { withSessions } from "../../middleware/fetch.ts";
import { sessions } from "../../mod.ts";
import { assertEquals } from "../assert.ts";

const CODINGS: Record<string, (bytes: Uint8Array) => Uint8Array> = {
  gzip: gzipSync,
  GZIP: gzipSync,
  br: brotliCompressSync,
  deflate: deflateSync,
  "x-gzip": gzipSync,
  identity: (bytes) => bytes,
};

/** What a client gets that decodes nothing. */
async function rawResponse(port: number, path: string): Promise<{ head: string[]; body: string }> {
  const connection = await Deno.connect({ hostname: "127.0.0.1", port });
  const request = `GET ${path} HTTP/1.1\r\nHost: example.com\r\nConnection: close\r\n\r\n`;
  await connection.write(new TextEncoder().encode(request));
  const text = new TextDecoder("latin1").decode(await new Response(connection.readable).arrayBuffer());
  const end = text.indexOf("\r\n\r\n");
  const head = text.slice(0, end).toLowerCase().split("\r\n").filter((line) =>
    /^content-|^transfer-/.test(line)
  );
  return { head: head.sort(), body: text.slice(end) };
}

Deno.test("A response of fetch() in any content coding is passed on as without a session", async () => {
  const upstream = createServer((request, response) => {
    const coding = request.url!.slice(1);
    const body = CODINGS[coding]!(new TextEncoder().encode("hello ".repeat(50)));
    response.writeHead(200, {
      "Content-Encoding": coding,
      "Content-Type": "text/plain",
      "Content-Length": body.length,
    });
    response.end(body);
  });
  await new Promise<void>((resolve) => upstream.listen(0, "127.0.0.1", resolve));
  const { port } = upstream.address() as { port: number };
  const handler = withSessions(sessions<{ n: number }>(), async (request, getSession) => {
    const { pathname, search } = new URL(request.url);
    if (search === "?read") await getSession();
    if (search === "?write") (await getSession()).put("n", 1);
    return await fetch(`http://127.0.0.1:${port}${pathname}`);
  });
  {
    await using server = Deno.serve({ hostname: "127.0.0.1", port: 0, onListen() {} }, handler);
    for (const coding of Object.keys(CODINGS)) {
      const without = await rawResponse(server.addr.port, `/${coding}`);
      for (const use of ["read", "write"]) {
        assertEquals(await rawResponse(server.addr.port, `/${coding}?${use}`), without, `${coding}, ${use}`);
      }
    }
  }
  await new Promise((resolve) => upstream.close(resolve));
});

// The matrix's server on Node with a plain adapter, which does not replace the global `Response`.
import { createServer, type IncomingMessage, type ServerResponse, STATUS_CODES } from "node:http";
import type { AddressInfo } from "node:net";
import process from "node:process";
import { Readable } from "node:stream";
import { pipeline } from "node:stream/promises";
import { createApp } from "./_app.ts";
import { addTrailers, file } from "./_node.ts";
import { secondCopy } from "./_second_copy.ts";

const app = createApp({
  upstream: process.env.UPSTREAM!,
  file,
  addTrailers,
  secondCopy,
});

function requestOf(incoming: IncomingMessage): Request {
  const headers = Object.entries(incoming.headersDistinct).flatMap(([name, values]) =>
    values!.map((value): [string, string] => [name, value])
  );
  const hasBody = incoming.method !== "GET" && incoming.method !== "HEAD";
  const body = hasBody ? Readable.toWeb(incoming) as ReadableStream : null;
  const url = `http://${incoming.headers.host}${incoming.url}`;
  return new Request(url, { method: incoming.method!, headers, body, duplex: "half" } as RequestInit);
}

async function send(response: Response, incoming: IncomingMessage, outgoing: ServerResponse): Promise<void> {
  const { status, statusText, headers } = response;
  outgoing.writeHead(status, statusText || STATUS_CODES[status], [...headers].flat());
  if (response.body === null || incoming.method === "HEAD") {
    // Not awaited, because a clone's body ends only when the other one's does.
    response.body?.cancel();
    outgoing.end();
  } else {
    await pipeline(Readable.fromWeb(response.body as never), outgoing);
  }
}

const server = createServer(async (incoming, outgoing) => {
  try {
    await send(await app(requestOf(incoming), { outgoing }), incoming, outgoing);
  } catch (error) {
    console.error(error);
    if (outgoing.headersSent) outgoing.destroy();
    else outgoing.writeHead(500, { "Content-Type": "text/plain" }).end("the adapter's 500");
  }
});
server.listen(0, "127.0.0.1", () => console.log(`listening on ${(server.address() as AddressInfo).port}`));

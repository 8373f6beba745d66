/** Arrays and buffers that an application uses for every response. */

import { Buffer } from "node:buffer";
import { createServer, type IncomingMessage, type ServerResponse } from "node:http";
import { nodeSessions } from "../../middleware/node.ts";
import { MemoryStore, sessions } from "../../mod.ts";
import { assertEquals } from "../assert.ts";

const LISTS: Record<string, (common: string[], own: string) => unknown[]> = {
  "a list of pairs": (common, own) => [["Set-Cookie", common], ["Set-Cookie", own]],
  "a flat list": (common, own) => ["Set-Cookie", common, "Set-Cookie", own],
};

type Handler = (request: IncomingMessage, response: ServerResponse, visitor: string) => void;

/** Asks a server as both visitors, one after the other or at once. */
async function visits(handle: Handler, atOnce: boolean): Promise<Response[]> {
  const store = new MemoryStore();
  const create = store.create.bind(store);
  store.create = async (...given) => {
    await new Promise((resolve) => setTimeout(resolve, 20));
    return await create(...given);
  };
  const session = nodeSessions(sessions<{ visits: number }>({ store, cookie: { name: "id" } }));
  const server = createServer((request, response) =>
    session(request, response, async () => {
      (await session.of(request)).put("visits", 1);
      handle(request, response, request.url!.slice(1));
    })
  );
  await new Promise<void>((resolve) => server.listen(0, "127.0.0.1", resolve));
  const { port } = server.address() as { port: number };
  const responses: Promise<Response>[] = [];
  for (const visitor of ["ann", "ben"]) {
    responses.push(fetch(`http://127.0.0.1:${port}/${visitor}`));
    if (!atOnce) await responses.at(-1);
  }
  const read = await Promise.all(responses.map(async (response) => {
    const { headers } = await response;
    return new Response(await (await response).text(), { headers });
  }));
  await new Promise((resolve) => server.close(resolve));
  return read;
}

for (const [name, list] of Object.entries(LISTS)) {
  Deno.test(`nodeSessions() adds nothing to an array in ${name} of headers, which the next response has too`, async () => {
    const common = ["theme=dark"];
    const responses = await visits((_request, response, visitor) => {
      response.writeHead(200, list(common, `visitor=${visitor}`) as string[]);
      response.end();
    }, false);
    const cookies = responses.map(({ headers }) => headers.getSetCookie().slice(0, -1));
    assertEquals(cookies, [["theme=dark", "visitor=ann"], ["theme=dark", "visitor=ben"]]);
    assertEquals(common, ["theme=dark"]);
  });
}

const SENDERS: Record<string, (response: ServerResponse, page: Uint8Array) => void> = {
  "end()": (response, page) => void response.end(page),
  "write()": (response, page) => void response.write(page, () => response.end()),
};

for (const [name, send] of Object.entries(SENDERS)) {
  Deno.test(`nodeSessions() sends what a buffer held at ${name}, whatever another request puts into it`, async () => {
    const buffer = Buffer.alloc(100);
    const responses = await visits((_request, response, visitor) => {
      send(response, buffer.subarray(0, buffer.write(`Hello, ${visitor}`)));
    }, true);
    assertEquals(await Promise.all(responses.map((response) => response.text())), [
      "Hello, ann",
      "Hello, ben",
    ]);
  });
}

for (const how of ["setHeader()", "writeHead()"]) {
  Deno.test(`nodeSessions() sends what a list held at ${how}, whatever another request puts into it`, async () => {
    const list: string[] = [];
    const responses = await visits((_request, response, visitor) => {
      list.splice(0, 1, `visitor=${visitor}`);
      if (how === "setHeader()") response.setHeader("Set-Cookie", list);
      response.writeHead(200, how === "setHeader()" ? {} : { "Set-Cookie": list }).end();
    }, true);
    const cookies = responses.map(({ headers }) => headers.getSetCookie()[0]);
    assertEquals(cookies, ["visitor=ann", "visitor=ben"]);
  });
}

/**
 * The responses of the handlers in the matrix, one of each kind. The same functions serve with and without sessions.
 * @module
 */

import type { Visit } from "./_platform.ts";

/** Makes a response. */
export type Responder = (visit: Visit) => Response | Promise<Response>;

/** A text that the handler has compressed itself. */
const GZIP = Uint8Array.from(
  atob("H4sIAAAAAAAC/8tIzcnJV8igmAQAaLceSEgAAAA="),
  (character) => character.charCodeAt(0),
);

const TEXT = "Grüße & <b>hello</b>\n";

/** The headers that a browser would send to an upstream. Bodies are passed on unchanged. */
function passOn(visit: Visit, path: string, init?: RequestInit): Promise<Response> {
  return fetch(`${visit.platform.upstream}${path}?id=${visit.id}`, init);
}

/** A stream that waits before each chunk, except the first, until the client has received the previous one. */
function gated(visit: Visit, chunks: string[], init?: ResponseInit): Response {
  const encoder = new TextEncoder();
  let next = 0;
  const body = new ReadableStream<Uint8Array>({
    async pull(controller) {
      if (next > 0) await (await passOn(visit, `/gate/${next}`)).arrayBuffer();
      controller.enqueue(encoder.encode(chunks[next++]));
      if (next === chunks.length) controller.close();
    },
  }, { highWaterMark: 0 });
  return new Response(body, init);
}

/** A stream of this many chunks of 16 KiB. */
function large(chunks: number): ReadableStream<Uint8Array> {
  let sent = 0;
  return new ReadableStream<Uint8Array>({
    pull(controller) {
      controller.enqueue(new Uint8Array(16_384).fill(65 + sent % 26));
      if (++sent === chunks) controller.close();
    },
  });
}

function formData(): FormData {
  const form = new FormData();
  form.set("name", "Zoë");
  form.set("file", new Blob(["<p>"], { type: "text/html" }), "page.html");
  return form;
}

/** Five bytes of the file. On Bun it stays a part of a `Bun.file()`. */
async function partOfFile({ platform }: Visit): Promise<Blob> {
  const file = await platform.file!();
  return (file instanceof Blob ? file : await new Response(file).blob()).slice(5, 10);
}

/** Frameworks return subclasses, such as `NextResponse`. */
class Page extends Response {
  readonly renderedBy = "a framework";
}

/** Each kind of response, by its name in the URL. */
export const RESPONSES = {
  "text": () => new Response(TEXT),
  "text-typed": () => new Response("a,b\n", { headers: { "Content-Type": "text/csv; charset=utf-8" } }),
  "json": () => Response.json({ hello: "wörld", list: [1, 2, 3] }),
  "json-init": () => Response.json({ error: "no" }, { status: 422, headers: { "X-Own": "1" } }),
  "html": () => new Response("<!doctype html><p>hello", { headers: { "content-type": "text/html" } }),
  "blob": () => new Response(new Blob(["<svg/>"], { type: "image/svg+xml" })),
  "blob-untyped": () => new Response(new Blob(["bytes"])),
  "form-data": () => new Response(formData()),
  "url-search-params": () => new Response(new URLSearchParams({ a: "1", b: "ü" })),
  "bytes": () => new Response(new Uint8Array([0, 255, 128, 13, 10, 13, 10])),
  "array-buffer": () => new Response(new Uint8Array([1, 2, 3]).buffer),
  "bytes-large": () => new Response(new Uint8Array(100_000).fill(66)),
  "file": async ({ platform }) => new Response(await platform.file!()),
  "file-typed": async ({ platform }) =>
    new Response(await platform.file!(), { headers: { "Content-Type": "image/svg+xml" } }),
  "file-part": async (visit) =>
    new Response(await partOfFile(visit), {
      status: 206,
      headers: { "Content-Range": "bytes 5-9/*", "Content-Type": "image/svg+xml" },
    }),
  "file-part-bare": async (visit) => new Response(await partOfFile(visit)),
  "stream": (visit) => gated(visit, ["first ", "second ", "third"]),
  "stream-typed": (visit) => gated(visit, ["a,", "b\n"], { headers: { "Content-Type": "text/csv" } }),
  "stream-large": () => new Response(large(12)),
  "stream-with-length": () =>
    new Response(large(2), { headers: { "Content-Length": "32768", "Content-Type": "text/plain" } }),
  "stream-of-bytes": () =>
    new Response(
      new ReadableStream({
        type: "bytes",
        start(controller) {
          controller.enqueue(new Uint8Array([1, 2, 3]));
          controller.close();
        },
      }),
    ),
  "events": (visit) =>
    gated(visit, ["retry: 10\n\n", "data: one\n\n", "event: end\ndata: two\n\n"], {
      headers: { "Content-Type": "text/event-stream", "Cache-Control": "no-cache" },
    }),
  "empty": () => new Response(),
  "empty-null": () => new Response(null, { headers: { "X-Own": "1" } }),
  "empty-text": () => new Response(""),
  "201-empty": () => new Response(null, { status: 201, headers: { Location: "/new" } }),
  "204": () => new Response(null, { status: 204 }),
  "205": () => new Response(null, { status: 205 }),
  "206": () =>
    new Response(new Uint8Array([1, 2, 3]), {
      status: 206,
      headers: { "Content-Range": "bytes 1-3/10", "Content-Type": "application/pdf" },
    }),
  "304": () => new Response(null, { status: 304, headers: { ETag: '"1"' } }),
  "404": () => new Response("nothing here", { status: 404 }),
  "500": () => new Response("the handler's own", { status: 500 }),
  "status-text": () => new Response("short and stout", { status: 418, statusText: "Teapot" }),
  "redirect": () => Response.redirect("https://example.com/next", 303),
  "redirect-relative": () => new Response(null, { status: 302, headers: { Location: "/next?a=ü" } }),
  "error": () => Response.error(),
  "headers": () =>
    new Response("x", {
      headers: [["X-Own", "a"], ["x-own", "b"], ["X-Latin", "é"], ["Link", "</a>; rel=preload"]],
    }),
  "gzip-own": () =>
    new Response(GZIP, { headers: { "Content-Encoding": "gzip", "Content-Type": "text/plain" } }),
  "cache-public": () => new Response("x", { headers: { "Cache-Control": "public, max-age=60" } }),
  "cache-no-store": () => new Response("x", { headers: { "Cache-Control": "no-store" } }),
  "vary-own": () => new Response("x", { headers: { Vary: "Accept-Encoding, Origin" } }),
  "vary-cookie": () => new Response("x", { headers: { Vary: "cookie" } }),
  "vary-all": () => new Response("x", { headers: { Vary: "*" } }),
  "etag": () =>
    new Response("x", { headers: { ETag: 'W/"7"', "Last-Modified": "Mon, 02 Nov 2026 10:00:00 GMT" } }),
  "cookies": () =>
    new Response("x", {
      headers: [["Set-Cookie", "a=1; Path=/"], ["Set-Cookie", "b=2, 3"], ["Set-Cookie", "a=3; Path=/x"]],
    }),
  "subclass": () => new Page("<p>", { headers: { "Content-Type": "text/html" } }),

  "upstream-plain": (visit) => passOn(visit, "/plain"),
  "upstream-json": (visit) => passOn(visit, "/json"),
  "upstream-gzip": (visit) => passOn(visit, "/gzip"),
  "upstream-brotli": (visit) => passOn(visit, "/brotli"),
  "upstream-chunked": (visit) => passOn(visit, "/chunked"),
  "upstream-empty": (visit) => passOn(visit, "/empty"),
  "upstream-204": (visit) => passOn(visit, "/204"),
  "upstream-304": (visit) => passOn(visit, "/304", { headers: { "If-None-Match": '"1"' } }),
  "upstream-404": (visit) => passOn(visit, "/404"),
  "upstream-redirect": (visit) => passOn(visit, "/redirect", { redirect: "manual" }),
  "upstream-head": (visit) => passOn(visit, "/plain", { method: "HEAD" }),
  "upstream-head-gzip": (visit) => passOn(visit, "/gzip", { method: "HEAD" }),
  "upstream-cookies": (visit) => passOn(visit, "/cookies"),
  "upstream-cached": (visit) => passOn(visit, "/cached"),
  "upstream-trailers": (visit) => passOn(visit, "/trailers"),
  "upstream-events": (visit) => passOn(visit, "/events"),
  "upstream-copy": async (visit) => {
    const response = await passOn(visit, "/plain");
    return new Response(response.body, response);
  },
  "upstream-decoded": async (visit) => {
    const response = await passOn(visit, "/gzip");
    return new Response(await response.text(), { headers: { "Content-Type": "text/plain" } });
  },
  "upstream-clone": async (visit) => (await passOn(visit, "/plain")).clone(),

  "clone": () => new Response(TEXT).clone(),
  "clone-of-json": () => Response.json({ a: "ü" }).clone(),
  "cloned": () => {
    const response = new Response(TEXT);
    response.clone().body?.cancel();
    return response;
  },
  "headers-set-later": () => {
    const response = new Response(TEXT);
    response.headers.set("X-Own", "1");
    response.headers.append("Set-Cookie", "a=1");
    return response;
  },
  "shared-204": ({ shared }) => shared(() => new Response(null, { status: 204, headers: { "X-Own": "1" } })),
  "shared-redirect": ({ shared }) => shared(() => Response.redirect("https://example.com/", 302)),
  "shared-typed": ({ shared }) =>
    shared(() => new Response(null, { headers: { "Content-Type": "text/html" } })),
  "shared-text": ({ shared }) => shared(() => new Response("for everybody")),
  "shared-clone": ({ shared }) => shared(() => new Response("for everybody")).clone(),

  "websocket": ({ platform, request, env }) => platform.upgrade!(request, env),
  "trailers": ({ platform, env }) => {
    platform.addTrailers?.(env, { "X-Sum": "42" });
    return new Response(large(1), { headers: { Trailer: "X-Sum", "Content-Type": "text/plain" } });
  },
} satisfies Record<string, Responder>;

/** The name of a kind of response. */
export type ResponseName = keyof typeof RESPONSES;

/**
 * The responses of Hono's helpers, one of each kind.
 * @module
 */

import type { Context } from "hono";
import { setCookie } from "hono/cookie";
import { proxy } from "hono/proxy";
import { stream, streamSSE, streamText } from "hono/streaming";
import type { Visit } from "./_platform.ts";

/** Makes a response with Hono's context. */
export type HonoResponder = (c: Context, visit: Visit) => Response | Promise<Response>;

/** Each kind of response, by its name in the URL. */
export const HONO_RESPONSES = {
  "c.text": (c) => c.text("Grüße"),
  "c.json": (c) => c.json({ hello: "wörld" }),
  "c.json-status": (c) => c.json({ error: "no" }, 422, { "X-Own": "1" }),
  "c.html": (c) => c.html("<p>hello"),
  "c.body": (c) => c.body(new Uint8Array([0, 255, 128]), 200, { "Content-Type": "image/png" }),
  "c.body-null": (c) => c.body(null, 204),
  "c.body-text": (c) => c.body("no type"),
  "c.newResponse": (c) => c.newResponse("x", { status: 201, headers: { "X-Own": "1" } }),
  "c.redirect": (c) => c.redirect("/next", 303),
  "c.notFound": (c) => c.notFound(),
  "c.header": (c) => {
    c.header("X-Own", "1");
    c.header("Cache-Control", "public, max-age=60");
    c.header("Vary", "Origin");
    c.status(201);
    return c.text("x");
  },
  "c.header-response": (c) => {
    c.header("X-Own", "1");
    return new Response("<p>", { headers: { "Content-Type": "text/html" } });
  },
  "c.header-upstream": (c, visit) => {
    c.header("X-Own", "1");
    return fetch(`${visit.platform.upstream}/json?id=${visit.id}`);
  },
  "setCookie": (c) => {
    setCookie(c, "a", "1");
    setCookie(c, "b", "2", { path: "/x" });
    return c.text("x");
  },
  "setCookie-redirect": (c) => {
    setCookie(c, "flash", "saved");
    return c.redirect("/next");
  },
  "stream": (c, visit) =>
    stream(c, async (out) => {
      await out.write(new Uint8Array([65, 66, 10]));
      await gate(visit, 1);
      await out.write(new Uint8Array([67, 10]));
    }),
  "streamText": (c, visit) =>
    streamText(c, async (out) => {
      await out.writeln("first");
      await gate(visit, 1);
      await out.writeln("second");
    }),
  "streamSSE": (c, visit) =>
    streamSSE(c, async (out) => {
      await out.writeSSE({ data: "first", id: "1" });
      await gate(visit, 1);
      await out.writeSSE({ data: "second", event: "end" });
    }),
  "proxy": (_c, visit) => proxy(`${visit.platform.upstream}/plain?id=${visit.id}`),
  "proxy-gzip": (_c, visit) => proxy(`${visit.platform.upstream}/gzip?id=${visit.id}`),
} satisfies Record<string, HonoResponder>;

/** The name of a kind of response. */
export type HonoResponseName = keyof typeof HONO_RESPONSES;

/** Waits until the client has received what was sent before. */
async function gate(visit: Visit, number: number): Promise<void> {
  await (await fetch(`${visit.platform.upstream}/gate/${number}?id=${visit.id}`)).arrayBuffer();
}

/**
 * Requests and responses of Node as those of the web, and back.
 * @module
 */

import type { NodeRequest, NodeResponse } from "./_node_types.ts";

/** Under this symbol a Node request carries its `Request`, which several managers and middlewares share. */
const REQUEST = Symbol("@x/sessions");

/** The request without its body, for the session and for `onError`. */
export function requestOf(request: NodeRequest & { [REQUEST]?: Request }): Request {
  return request[REQUEST] ??= makeRequest(request);
}

function makeRequest(request: NodeRequest): Request {
  const scheme = (request.socket as { encrypted?: boolean }).encrypted === true ? "https" : "http";
  const host = request.headers.host ?? request.headers[":authority"] ?? "localhost";
  // In an Express router `url` lacks the path at which the router is mounted.
  const path = (request as { originalUrl?: string }).originalUrl ?? request.url ?? "/";
  const { method = "GET" } = request;
  const init = {
    // `Request` refuses these.
    method: /^(?:CONNECT|TRACE|TRACK)$/i.test(method) ? "GET" : method,
    headers: webHeaders(request.headers),
  };
  try {
    // Some runtimes refuse a URL with credentials, which a client may put into the header `Host`.
    if (path.startsWith("/") && !host.includes("@")) return new Request(`${scheme}://${host}${path}`, init);
  } catch {
    // It is no URL.
  }
  return new Request(`${scheme}://localhost/`, init);
}

/** The headers of a Node request, or those that a Node response has so far. */
export function webHeaders(own: object): Headers {
  const headers = new Headers();
  for (const [name, value] of Object.entries(own)) {
    // HTTP/2 has pseudo-headers such as `:path`.
    if (value === undefined || name.startsWith(":")) continue;
    for (const one of Array.isArray(value) ? value : [value]) headers.append(name, String(one));
  }
  return headers;
}

/** The head that a Node response has so far, as a response without a body. */
export function headOf(response: NodeResponse): Response {
  const { statusCode } = response;
  // `Response` refuses other statuses. Node reports them itself.
  const status = statusCode >= 200 && statusCode <= 599 ? statusCode : 500;
  return new Response(null, { status, headers: webHeaders(response.getHeaders()) });
}

/**
 * Sets the status and the headers that `writeHead()` was given, and removes the headers from its arguments. The session can
 * add to the headers then.
 */
export function applyHead(response: NodeResponse, given: unknown[]): void {
  const [status, second, third] = given;
  response.statusCode = Number(status);
  const headers = typeof second === "string" ? third : second ?? third;
  // An object, a list of pairs, or a flat list of names and values.
  if (Array.isArray(headers)) {
    const pairs: [string, unknown][] = Array.isArray(headers[0])
      ? headers
      : headers.flatMap((name, index) => index % 2 === 0 ? [[name, headers[index + 1]]] : []);
    for (const [name] of pairs) response.removeHeader(name);
    // Node adds later values to the array that it gets, so it gets a copy.
    for (const [name, value] of pairs) response.appendHeader(name, Array.isArray(value) ? [...value] : value);
  } else {
    for (const [name, value] of Object.entries(headers ?? {})) {
      if (value !== undefined) response.setHeader(name, value);
    }
  }
  given.splice(0, given.length, status, ...(typeof second === "string" ? [second] : []));
}

/** What is sent of a `Response` over a connection of Node. */
export interface Content {
  readonly status: number;
  readonly statusText: string;
  /** Without those that describe the connection over which the response came. */
  readonly headers: Headers;
  /** `undefined` where none is sent: Node may refuse even an empty one. */
  readonly body: Uint8Array | undefined;
}

/**
 * Reads a response to its end.
 *
 * @throws {TypeError} Its body was read before, or it is a network error.
 */
export async function contentOf(response: Response, method: string | undefined): Promise<Content> {
  const { status, statusText, url } = response;
  if (status < 200) throw new TypeError(`Cannot send the status ${status}`);
  const body = new Uint8Array(await response.arrayBuffer());
  const headers = new Headers(response.headers);
  const nominated = headers.get("Connection")?.toLowerCase().split(",").map((name) => name.trim()) ?? [];
  for (const name of [...headers.keys()]) {
    if (HOP_BY_HOP.test(name) || nominated.includes(name)) headers.delete(name);
  }
  if (isDecoded(headers.get("Content-Encoding")?.toLowerCase(), body, url)) {
    headers.delete("Content-Encoding");
    headers.delete("Content-Length");
  }
  // The response to HEAD may name the length of a body that it does not have.
  const hasLength = status !== 204 && status !== 304 && (method !== "HEAD" || body.length > 0);
  if (hasLength) headers.set("Content-Length", String(body.length));
  return { status, statusText, headers, body: method === "HEAD" || body.length === 0 ? undefined : body };
}

/** RFC 9110, 7.6.1. `Trailer` announces what is not sent here. */
const HOP_BY_HOP = /^(?:connection|keep-alive|proxy-connection|te|trailer|transfer-encoding|upgrade)$/;

/** The bytes with which a coded body begins. A body of `br` begins with any. */
const FIRST_BYTES: Record<string, readonly number[]> = {
  "gzip": [0x1f, 0x8b],
  "deflate": [0x78],
  "zstd": [0x28, 0xb5],
};

/**
 * Whether `fetch()` has decoded the body and kept the header that names its coding. The runtimes decode different codings,
 * and a response that was copied does not tell where it came from.
 */
function isDecoded(coding: string | undefined, body: Uint8Array, url: string): boolean {
  if (coding === "br") return url !== "";
  return coding !== undefined && FIRST_BYTES[coding]?.every((byte, index) => body[index] === byte) === false;
}

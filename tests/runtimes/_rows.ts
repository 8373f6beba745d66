/**
 * The list of behaviours. Each row of the table covers one or more responses of `_responses.ts` and its siblings.
 * @module
 */

import type { AccidentName } from "./_accidents.ts";
import type { HonoResponseName } from "./_hono_responses.ts";
import type { ResponseName } from "./_responses.ts";
import type { ThrownName } from "./_throws.ts";

/** What a runtime may lack. A row that needs it is empty there. */
export type Ability = "file" | "websocket" | "second copy" | "headers again";

/** What one row tests. */
export type RowContent =
  /** Responses of a handler, compared with those of the same handler without a session. */
  | { responses: ResponseName[]; method?: "HEAD" }
  /** The same for Hono's helpers. */
  | { helpers: HonoResponseName[]; method?: "HEAD" }
  /** One `Response` object for many requests that use the session in different ways. */
  | { shared: ResponseName[] }
  /** A WebSocket upgrade, then an echo. */
  | { socket: ResponseName }
  /** A thrown value that stands for a response: it is sent as if returned, and the session is saved. */
  | { thrownResponses: ThrownName[] }
  /** Any other thrown value: nothing is saved, and the platform or the framework gets it as usual. */
  | { thrown: ThrownName[] }
  /** A value that a framework's own functions throw. It must reach the framework unchanged. */
  | { thrownToFramework: ThrownName[] }
  /** A mistake in a handler or a hook that the process must survive. */
  | { accidents: AccidentName[]; answer?: RegExp };

/** One row of the table. */
export type Row = RowContent & {
  title: string;
  needs?: Ability;
  /** Runtimes that send a head of their own, without the session's headers. */
  ownHead?: readonly string[];
  /** Runtimes that answer a HEAD in Hono with the handler's headers and drop those of middleware. */
  handlersHeadInHono?: readonly string[];
  /** Runtimes on which a `Response` object keeps `Vary` and `private` of an earlier request. */
  keepsMarks?: readonly string[];
  /** Runtimes that make a 206 of a part of a file, but a 200 once the response's headers were read. */
  losesRange?: readonly string[];
};

/** Every row under its heading, in the order of the table. */
export const ROWS: Record<string, Row[]> = {
  "Responses that a handler makes": [
    { title: "text", responses: ["text", "text-typed", "404", "500"] },
    { title: "a custom status and status text", responses: ["status-text", "201-empty"] },
    { title: "JSON", responses: ["json", "json-init"] },
    { title: "HTML", responses: ["html", "subclass"] },
    { title: "`Blob`", responses: ["blob", "blob-untyped"] },
    { title: "`FormData`", responses: ["form-data"] },
    { title: "`URLSearchParams`", responses: ["url-search-params"] },
    { title: "bytes", responses: ["bytes", "array-buffer", "bytes-large"] },
    { title: "a body encoded by the handler", responses: ["gzip-own"] },
    { title: "a file", needs: "file", responses: ["file", "file-typed"] },
    {
      title: "a part of a file, with status 206 and `Content-Range` set by the handler",
      needs: "file",
      responses: ["file-part"],
    },
    {
      title: "a part of a file, without a status",
      needs: "file",
      responses: ["file-part-bare"],
      losesRange: ["Bun"],
    },
    {
      title: "a stream, each chunk sent when it is made",
      responses: ["stream", "stream-typed", "stream-large", "stream-with-length", "stream-of-bytes"],
    },
    { title: "server-sent events", responses: ["events"] },
    { title: "an empty body", responses: ["empty", "empty-null", "empty-text"] },
    { title: "204", responses: ["204"] },
    { title: "205", responses: ["205"] },
    { title: "206", responses: ["206"] },
    { title: "304", responses: ["304"] },
    { title: "`Response.redirect()` and other redirects", responses: ["redirect", "redirect-relative"] },
    { title: "`Response.error()`", responses: ["error"], ownHead: ["every runtime"] },
    {
      title: "custom headers, set at once or later",
      responses: ["headers", "etag", "headers-set-later"],
    },
    { title: "other `Set-Cookie` headers", responses: ["cookies"] },
    {
      title: "the handler's own `Cache-Control` and `Vary`",
      responses: ["cache-public", "cache-no-store", "vary-own", "vary-cookie", "vary-all"],
    },
    {
      title: "a clone, and the response that was cloned",
      responses: ["clone", "clone-of-json", "cloned"],
    },
    {
      title: "one `Response` object without a body for many requests",
      shared: ["shared-204", "shared-redirect"],
    },
    {
      title: "the same with the status 200",
      // Bun sends the headers of such an object once.
      needs: "headers again",
      shared: ["shared-typed"],
      keepsMarks: ["every runtime"],
    },
    {
      title: "one `Response` object with a body for many requests, where the runtime sends it more than once",
      shared: ["shared-text", "shared-clone"],
    },
    { title: "trailers", responses: ["trailers", "upstream-trailers"] },
    { title: "a WebSocket upgrade", needs: "websocket", socket: "websocket", ownHead: ["Bun"] },
  ],
  "A `fetch()` response passed on": [
    { title: "plain", responses: ["upstream-plain", "upstream-json", "upstream-404", "upstream-empty"] },
    { title: "gzip", responses: ["upstream-gzip"] },
    { title: "brotli", responses: ["upstream-brotli"] },
    { title: "chunked", responses: ["upstream-chunked", "upstream-events"] },
    { title: "of a HEAD", responses: ["upstream-head", "upstream-head-gzip"] },
    { title: "204 and 304", responses: ["upstream-204", "upstream-304"] },
    { title: "a redirect", responses: ["upstream-redirect"] },
    { title: "cookies and cache headers", responses: ["upstream-cookies", "upstream-cached"] },
    {
      title: "copied, cloned or decoded by the handler",
      responses: ["upstream-copy", "upstream-clone", "upstream-decoded"],
    },
  ],
  "HEAD requests": [
    {
      title: "of responses that a handler makes",
      method: "HEAD",
      handlersHeadInHono: ["@hono/node-server 1"],
      responses: [
        "text",
        "json",
        "html",
        "blob",
        "form-data",
        "url-search-params",
        "bytes",
        "stream",
        "stream-large",
        "stream-with-length",
        "events",
        "empty",
        "empty-text",
        "204",
        "206",
        "304",
        "404",
        "redirect",
        "headers",
        "gzip-own",
        "cookies",
        "cache-public",
        "clone",
      ],
    },
    {
      title: "of a file",
      needs: "file",
      method: "HEAD",
      handlersHeadInHono: ["@hono/node-server 1"],
      responses: ["file", "file-typed"],
    },
    {
      title: "of a `fetch()` response passed on",
      method: "HEAD",
      handlersHeadInHono: ["@hono/node-server 1"],
      responses: [
        "upstream-plain",
        "upstream-gzip",
        "upstream-chunked",
        "upstream-304",
        "upstream-head",
        "upstream-copy",
      ],
    },
    {
      title: "of Hono's helpers",
      method: "HEAD",
      handlersHeadInHono: ["@hono/node-server 1"],
      helpers: ["c.text", "c.json", "c.redirect", "streamText", "proxy"],
    },
  ],
  "Hono's helpers": [
    { title: "`c.text()`, `c.json()`, `c.html()`", helpers: ["c.text", "c.json", "c.json-status", "c.html"] },
    {
      title: "`c.body()`, `c.newResponse()`",
      helpers: ["c.body", "c.body-null", "c.body-text", "c.newResponse"],
    },
    { title: "`c.redirect()`, `c.notFound()`", helpers: ["c.redirect", "c.notFound"] },
    {
      title: "`c.header()` before a response of the handler, of `fetch()`, of a helper",
      helpers: ["c.header", "c.header-response", "c.header-upstream"],
    },
    { title: "`setCookie()`", helpers: ["setCookie", "setCookie-redirect"] },
    { title: "`stream()`, `streamText()`, `streamSSE()`", helpers: ["stream", "streamText", "streamSSE"] },
    { title: "`proxy()`", helpers: ["proxy", "proxy-gzip"] },
  ],
  "Handlers that throw": [
    { title: "a `Response` (Remix, React Router)", thrownResponses: ["response", "response-text"] },
    {
      title: "an object with a response (Hono's `HTTPException`)",
      thrownResponses: ["http-exception", "http-exception-response", "carries-response"],
    },
    { title: "an `Error`", thrown: ["error"] },
    { title: "nothing, a string, another object", thrown: ["undefined", "null", "string", "object"] },
    { title: "Next's `redirect()` and `notFound()`", thrownToFramework: ["next-redirect", "next-not-found"] },
    {
      title: "SvelteKit's `redirect()` and `error()`",
      thrownToFramework: ["sveltekit-redirect", "sveltekit-error"],
    },
  ],
  "Mistakes that the process survives": [
    {
      title: "a forgotten `await` on the request's session",
      accidents: [
        "forgotten-destroy",
        "forgotten-commit",
        "forgotten-merge",
        "forgotten-session",
        "forgotten-finish",
      ],
    },
    {
      title: "a `waitUntil` that handles rejections late, or throws",
      accidents: ["wait-until-fetch", "wait-until-hono", "wait-until-throws"],
      answer: /^500 /,
    },
    {
      title: "a hook that throws or rejects",
      accidents: ["on-error-throws", "on-error-rejects", "on-event-throws", "on-event-rejects"],
      answer: /^200 500 200$/,
    },
    {
      title: "a manager from another copy of the package",
      needs: "second copy",
      accidents: ["copy-fetch", "copy-hono", "copy-scheduled"],
      answer: /^200 (?:taken|refused by name)$/,
    },
  ],
};

/**
 * The list of behaviours: the rows of the table, each of one or more responses of `_responses.ts` and its siblings.
 * @module
 */

import type { AccidentName } from "./_accidents.ts";
import type { HonoResponseName } from "./_hono_responses.ts";
import type { ResponseName } from "./_responses.ts";
import type { ThrownName } from "./_throws.ts";

/** What a runtime may lack, so that a row is empty there. */
export type Ability = "file" | "websocket" | "second copy";

/** What one row is about. */
export type RowContent =
  /** Responses that a handler gives, compared with those of the same handler without a session. */
  | { responses: ResponseName[]; method?: "HEAD" }
  /** The same, of Hono's helpers. */
  | { helpers: HonoResponseName[]; method?: "HEAD" }
  /** One `Response` object given to many requests, of many uses. */
  | { shared: ResponseName[] }
  /** An upgrade, and an echo afterwards. */
  | { socket: ResponseName }
  /** What carries a response is thrown: it is sent as if it had been given, and the session is saved. */
  | { thrownResponses: ThrownName[] }
  /** Anything else is thrown: nothing is saved, and the platform or the framework hears of it as ever. */
  | { thrown: ThrownName[] }
  /** What a framework's own functions throw, which must come through to the framework as it is. */
  | { thrownToFramework: ThrownName[] }
  /** A mistake in a handler or a hook; the process lives on. */
  | { accidents: AccidentName[]; answer?: RegExp };

/** One row of the table. */
export type Row = RowContent & {
  title: string;
  needs?: Ability;
  /** Where the runtime sends a head of its own, which no header of the session can get into. */
  ownHead?: readonly string[];
  /** Where a HEAD in Hono is answered with the headers that its handler gave, whatever a middleware did to them. */
  handlersHeadInHono?: readonly string[];
  /** Where a `Response` object keeps `Vary` and `private` of an earlier visit. */
  keepsMarks?: readonly string[];
};

/** Every row under its heading, in the order of the table. */
export const ROWS: Record<string, Row[]> = {
  "Responses that a handler makes": [
    { title: "text", responses: ["text", "text-typed", "404", "500"] },
    { title: "a status and a status text of its own", responses: ["status-text", "201-empty"] },
    { title: "JSON", responses: ["json", "json-init"] },
    { title: "HTML", responses: ["html", "subclass"] },
    { title: "`Blob`", responses: ["blob", "blob-untyped"] },
    { title: "`FormData`", responses: ["form-data"] },
    { title: "`URLSearchParams`", responses: ["url-search-params"] },
    { title: "bytes", responses: ["bytes", "array-buffer", "bytes-large"] },
    { title: "a body encoded by the handler", responses: ["gzip-own"] },
    { title: "a file", needs: "file", responses: ["file", "file-typed"] },
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
      title: "headers of its own, set at once or later",
      responses: ["headers", "etag", "headers-set-later"],
    },
    { title: "several `Set-Cookie` of others", responses: ["cookies"] },
    {
      title: "`Cache-Control` and `Vary` of its own",
      responses: ["cache-public", "cache-no-store", "vary-own", "vary-cookie", "vary-all"],
    },
    {
      title: "a clone, and what was cloned",
      responses: ["clone", "clone-of-json", "cloned"],
    },
    {
      title: "one `Response` object without a body for many requests",
      shared: ["shared-204", "shared-redirect"],
      keepsMarks: ["@hono/node-server"],
    },
    {
      title: "one `Response` object with a body for many requests, where the runtime sends it more than once",
      shared: ["shared-text", "shared-clone"],
      keepsMarks: ["@hono/node-server"],
    },
    { title: "trailers", responses: ["trailers", "upstream-trailers"] },
    { title: "a WebSocket's upgrade", needs: "websocket", socket: "websocket", ownHead: ["Bun"] },
  ],
  "A `fetch()` passed on": [
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
      title: "of a `fetch()` passed on",
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
  "The process lives on": [
    {
      title: "a forgotten `await`",
      accidents: [
        "forgotten-destroy",
        "forgotten-commit",
        "forgotten-merge",
        "forgotten-session",
        "forgotten-finish",
      ],
    },
    {
      title: "an error given to a `waitUntil` that listens later, or throws",
      accidents: ["wait-until-fetch", "wait-until-hono", "wait-until-throws"],
      answer: /^500 /,
    },
    {
      title: "a hook that throws or rejects",
      accidents: ["on-error-throws", "on-error-rejects", "on-event-throws", "on-event-rejects"],
      answer: /^200 500 200$/,
    },
    {
      title: "a manager of another copy of the package",
      needs: "second copy",
      accidents: ["copy-fetch", "copy-hono", "copy-scheduled"],
      answer: /^200 (?:taken|refused by name)$/,
    },
  ],
};

/**
 * The values that handlers throw in the matrix, as their frameworks define them.
 * @module
 */

import { HTTPException } from "hono/http-exception";

/** An object with a response, like Hono's `HTTPException`. */
class CarriesResponse {
  getResponse(): Response {
    return new Response("carried", { status: 402, headers: { "X-Own": "1" } });
  }
}

/** `redirect()` and `notFound()` of Next throw errors with a `digest`. */
function nextError(digest: string): Error {
  return Object.assign(new Error(digest.split(";")[0]), { digest });
}

/** `redirect()` and `error()` of SvelteKit throw objects that are no `Error`. */
class Redirect {
  constructor(readonly status: number, readonly location: string) {}
}
class HttpError {
  constructor(readonly status: number, readonly body: { message: string }) {}
}

/** The thrown values, by their names in the URL. */
export const THROWN = {
  "response": () => new Response(null, { status: 303, headers: { Location: "/next" } }),
  "response-text": () => new Response("thrown", { status: 403 }),
  "http-exception": () => new HTTPException(401, { message: "who are you?" }),
  "http-exception-response": () =>
    new HTTPException(403, {
      res: new Response("<p>no", { status: 403, headers: { "Content-Type": "text/html" } }),
    }),
  "carries-response": () => new CarriesResponse(),
  "error": () => new RangeError("on purpose"),
  "string": () => "on purpose",
  "undefined": () => undefined,
  "null": () => null,
  "object": () => ({ status: 418 }),
  "next-redirect": () => nextError("NEXT_REDIRECT;replace;/next;307;"),
  "next-not-found": () => nextError("NEXT_HTTP_ERROR_FALLBACK;404"),
  "sveltekit-redirect": () => new Redirect(303, "/next"),
  "sveltekit-error": () => new HttpError(404, { message: "Not found" }),
} satisfies Record<string, () => unknown>;

/** The name of a thrown value. */
export type ThrownName = keyof typeof THROWN;

/** The response of a thrown value, if it has one. */
export function responseIn(thrown: unknown): Response | undefined {
  if (thrown instanceof Response) return thrown;
  const carrier = thrown as { getResponse?: () => Response } | null | undefined;
  return typeof carrier?.getResponse === "function" ? carrier.getResponse() : undefined;
}

/**
 * The response that Next and SvelteKit make of what their functions throw. They recognise the value by its identity
 * or its fields, so it must arrive unchanged.
 */
export function frameworkResponse(thrown: unknown): Response | undefined {
  const digest = (thrown as { digest?: unknown } | null | undefined)?.digest;
  if (typeof digest === "string") {
    const [kind, ...fields] = digest.split(";");
    if (kind === "NEXT_REDIRECT") {
      return new Response(null, { status: 307, headers: { Location: fields[1]! } });
    }
    if (kind === "NEXT_HTTP_ERROR_FALLBACK") return new Response(null, { status: Number(fields[0]) });
  }
  if (thrown instanceof Redirect) {
    return new Response(null, { status: thrown.status, headers: { Location: thrown.location } });
  }
  if (thrown instanceof HttpError) return Response.json(thrown.body, { status: thrown.status });
  return undefined;
}

import { isObject } from "../bytes/values.ts";
import { ignoreRejection, isResponse } from "../foreign.ts";

/**
 * The response that a thrown value stands for; `undefined` for any other value, such as an `Error`. It is `null` where the value
 * can no longer give its response, as an `HTTPException` whose `res` was read.
 *
 * Frameworks end a request by throwing: a `Response` (Remix, React Router), an object that makes one (Hono's
 * `HTTPException`, this package's errors), a redirect or an error page (SvelteKit, Next). The changes of such a handler are
 * saved.
 */
export function responseOf(thrown: unknown): Response | null | undefined {
  try {
    return responseIn(thrown);
  } catch {
    // The body was read, say, or the status is no status.
    return null;
  }
}

function responseIn(thrown: unknown): Response | undefined {
  if (!isObject(thrown)) return undefined;
  if (isResponse(thrown)) return thrown;
  const { getResponse, status, location, body, digest } = thrown as Thrown;
  if (typeof getResponse === "function") {
    const made: unknown = getResponse.call(thrown);
    ignoreRejection(made);
    return isResponse(made) ? made : undefined;
  }
  if (typeof digest === "string") return responseOfNext(digest);
  if (typeof status !== "number" || thrown instanceof Error) return undefined;
  if (typeof location === "string" && status >= 300 && status < 400) return redirect(status, location);
  // The body of SvelteKit's `error()` always has a message. Another error's body may not be meant for the visitor.
  const { message } = (body ?? {}) as { message?: unknown };
  if (typeof message === "string" && status >= 400 && status < 600) return Response.json(body, { status });
}

/** The properties by which frameworks mark such a value. */
interface Thrown {
  getResponse?: () => unknown;
  /** SvelteKit's `redirect()` and `error()` throw these. */
  status?: unknown;
  location?: unknown;
  body?: unknown;
  /** Next's `redirect()` and `notFound()` throw this. */
  digest?: unknown;
}

/** Such as `NEXT_REDIRECT;replace;/welcome;307;` and `NEXT_HTTP_ERROR_FALLBACK;404`. */
function responseOfNext(digest: string): Response | undefined {
  const parts = digest.split(";");
  if (parts[0] === "NEXT_NOT_FOUND") return new Response(null, { status: 404 });
  if (parts[0] === "NEXT_HTTP_ERROR_FALLBACK") return new Response(null, { status: Number(parts[1]) });
  // A location may hold semicolons of its own.
  if (parts[0] === "NEXT_REDIRECT") return redirect(Number(parts.at(-2)), parts.slice(2, -2).join(";"));
}

function redirect(status: number, location: string): Response {
  // A header holds Latin-1 alone.
  const ascii = /^[\x20-\x7e]*$/.test(location) ? location : encodeURI(location);
  return new Response(null, { status, headers: { Location: ascii } });
}

import {
  hasBody,
  isBun,
  isDeno,
  isNullBody,
  isReusable,
  isUnsendable,
  lightBodyOf,
  type ResponseBody,
} from "./body.ts";
import { isVaried } from "./caching.ts";
import { addCookie, keepCookies } from "./set_cookie.ts";
import { closeWebSocket, hasWebSocket, refuseUpgrade, upgradeWithHeaders } from "./upgrade.ts";
import { cookieSetterOf, markCookieSetter } from "./cookie_setter.ts";

/**
 * Marks a response that depends on the session, so that no shared cache gives it to someone else: `Vary: Cookie`, and
 * `private` unless the handler chose a `Cache-Control`. Some shared caches ignore `Vary`.
 */
export function markPersonal(response: Response, byCookie: boolean): Response {
  try {
    // Asked before, since a change may need a copy.
    const mustVary = byCookie && !isVaried(response.headers);
    const mustBePrivate = !response.headers.has("Cache-Control");
    if (!mustVary && !mustBePrivate) return response;
    return withHeaders(response, (headers) => {
      if (mustVary) headers.append("Vary", "Cookie");
      if (mustBePrivate) headers.set("Cache-Control", "private");
    });
  } catch {
    // It can only be sent as it is, if at all: its body was read, or its status is none that `Response` accepts.
    return response;
  }
}

/**
 * Adds a `Set-Cookie`. Where a handler may return the same object for many requests, the cookie goes into a copy: no other
 * visitor may get the token.
 *
 * @throws {TypeError} The response can only be sent as it is: its body was read, say.
 * @throws {RangeError} Its status is none that `Response` accepts.
 */
export function withCookie(response: Response, setCookie: string): Response {
  const change = (headers: Headers) => addCookie(headers, setCookie);
  if (isReusable(response)) {
    // On Bun a look at the body would make it a stream, which does not show that it is empty.
    return isBun() && response.status >= 200
      ? copyOf(response, null, change)
      : withNewHeaders(response, change);
  }
  if (isUnsendable(response)) throw new TypeError("its body was read");
  return withHeaders(response, change);
}

/**
 * A copy without these cookies, and with a body of its own.
 *
 * @throws {TypeError} The body was read.
 */
export function withoutCookies(response: Response, setCookies: readonly string[]): Response {
  const clone = response.clone();
  return copyOf(clone, clone.body, (headers) => keepCookies(headers, (text) => !setCookies.includes(text)));
}

/**
 * The response with bytes and headers of its own. A light one keeps those that it was made with, and the handler may use them
 * for the next visitor while the session is saved. Others have copied them.
 */
export function withOwnParts(response: Response): Response {
  const light = lightBodyOf(response);
  if (light === undefined) return response;
  return copyOf(response, light instanceof Uint8Array ? new Uint8Array(light) : light, () => {}, "");
}

/** The error in place of a handler's response. Keeps only the headers a browser needs to read it (CORS and `Vary`). */
export function replaceResponse(replaced: Response | undefined, error: Response): Response {
  if (replaced === undefined) return error;
  if (replaced.status === 101 && !hasWebSocket(replaced)) return refuseUpgrade(replaced);
  cancelBody(replaced);
  closeWebSocket(replaced);
  return withNewHeaders(error, (headers) => {
    for (const [name, value] of replaced.headers) {
      if (name.startsWith("access-control-") && !headers.has(name)) headers.set(name, value);
      if (name === "vary") headers.append(name, value);
    }
  });
}

/** Ends the source of a body that nobody reads. A body that the application may return again is left alone. */
function cancelBody(response: Response): void {
  const light = lightBodyOf(response);
  const body = light === undefined && hasBody(response) ? response.body : light;
  if (body instanceof ReadableStream) body.cancel().catch(() => {});
}

/** Changes the headers of a response, in place where that is possible. */
function withHeaders(response: Response, change: (headers: Headers) => void): Response {
  const { status } = response;
  // An application may return one such object for every request.
  const isRedirect = status >= 300 && status < 400;
  if (isNullBody(status) || (isRedirect && !hasBody(response))) return copyOf(response, null, change);
  try {
    // A light response may share its headers with others. When it is looked at, it loses what was added.
    if (lightBodyOf(response) === undefined) {
      change(response.headers);
      return response;
    }
  } catch {
    // Immutable: `Response.redirect()`, or a response of `fetch()`.
  }
  return withNewHeaders(response, change);
}

/** The same response with headers of its own. */
function withNewHeaders(response: Response, change: (headers: Headers) => void): Response {
  if (response.status === 101) return upgradeWithHeaders(response, change);
  const light = lightBodyOf(response);
  // Nothing else of it is looked at: that would make it a response that can be sent once.
  if (light !== undefined) return copyOf(response, light, change, "");
  // A network error (status 0) cannot be copied, and no header of it is ever sent.
  if (response.type === "error") return response;
  return copyOf(response, response.body, (headers) => {
    // Deno decodes gzip and br of what `fetch()` gave: the coding and the length are no longer those of the body. Other
    // runtimes pass it on as it came, whatever its headers say.
    if (response.url !== "" && isDeno() && /^(?:gzip|br)$/i.test(headers.get("Content-Encoding") ?? "")) {
      headers.delete("Content-Encoding");
      headers.delete("Content-Length");
    }
    change(headers);
  });
}

function copyOf(
  response: Response,
  body: ResponseBody,
  change: (headers: Headers) => void,
  statusText: string = response.statusText,
): Response {
  const { status } = response;
  const headers = new Headers(response.headers);
  change(headers);
  const copy = new Response(body, { status, statusText, headers });
  const setter = cookieSetterOf(response);
  if (setter !== undefined) markCookieSetter(copy, setter);
  return copy;
}

/**
 * Marks a response that was made with knowledge of the session, so that no shared cache gives it to someone
 * else: `Vary: Cookie`, and `private` unless the handler chose a `Cache-Control` itself, since some shared
 * caches pay no heed to `Vary`.
 */
export function markPersonal(response: Response, byCookie: boolean): Response {
  return withHeaders(response, (headers) => {
    if (byCookie) varyByCookie(headers);
    if (!headers.has("Cache-Control")) headers.set("Cache-Control", "private");
  });
}

/**
 * Adds a `Set-Cookie`. No shared cache may keep the response, whatever the handler said (RFC 9111, 7.3). A handler may
 * return one `Response` to many, and a token must not get into it: where it can be sent more than once, the cookie gets
 * into a copy.
 */
export function withCookie(response: Response, setCookie: string): Response {
  return (isShareable(response) ? withNewHeaders : withHeaders)(response, (headers) => {
    varyByCookie(headers);
    removeCookie(headers, setCookie);
    headers.append("Set-Cookie", setCookie);
    headers.set("Cache-Control", privateCacheControl(headers.get("Cache-Control")));
    // What CDNs and proxies obey before Cache-Control: RFC 9213 and its predecessors.
    for (const name of [...headers.keys()]) {
      if (/cdn-cache-control$|^(?:surrogate|edge)-control$|^x-accel-expires$/.test(name)) {
        headers.delete(name);
      }
    }
  });
}

/** The error in place of a handler's response. Keeps only the headers a browser needs to read it (CORS and `Vary`). */
export function replaceResponse(replaced: Response | undefined, error: Response): Response {
  if (replaced === undefined) return error;
  if (replaced.status === 101 && !hasWebSocket(replaced)) return refuseUpgrade(replaced);
  abandon(replaced);
  return withNewHeaders(error, (headers) => {
    for (const [name, value] of replaced.headers) {
      if (name.startsWith("access-control-") && !headers.has(name)) headers.set(name, value);
      if (name === "vary") headers.append(name, value);
    }
  });
}

/** Nobody is going to read it: what it comes from may end. */
function abandon(response: Response): void {
  response.body?.cancel().catch(() => {});
  if (!hasWebSocket(response)) return;
  try {
    response.webSocket.accept();
    response.webSocket.close(1011);
  } catch {
    // Taken or closed already.
  }
}

/** Changes the headers of a response, in place where that is possible. Its body is not looked at. */
function withHeaders(response: Response, change: (headers: Headers) => void): Response {
  // One without a body may be an application's only one of its kind, for every request.
  const { status } = response;
  if (NULL_BODY.includes(status) || (isRedirect(status) && !hasBody(response))) {
    return copyOf(response, null, change);
  }
  try {
    change(response.headers);
    return response;
  } catch {
    // Immutable: a redirect, or what fetch() gave.
    return withNewHeaders(response, change);
  }
}

function isRedirect(status: number): boolean {
  return status >= 300 && status < 400;
}

/** Statuses of a response that never has a body. */
const NULL_BODY: readonly number[] = [204, 205, 304];

/** The same response with headers of its own. */
function withNewHeaders(response: Response, change: (headers: Headers) => void): Response {
  if (response.status === 101) return upgrade(response, change);
  const light = lightBodyOf(response);
  // Without a look at anything that would turn it into a response that is sent once.
  if (light !== undefined) return copyOfLight(response, light, change);
  // A network error (status 0) cannot be copied, and no header of it is ever sent.
  if (response.type === "error") return response;
  const { body } = response;
  return copyOf(response, body, (headers) => {
    // What fetch() gave is decoded: the coding is no longer that of the body, nor is the length.
    if (response.url !== "" && headers.has("Content-Encoding") && isDeno()) {
      headers.delete("Content-Encoding");
      headers.delete("Content-Length");
    }
    change(headers);
  });
}

/** Other runtimes send what fetch() gave with the headers that it came with, whatever they say. */
function isDeno(): boolean {
  return (globalThis as GlobalWithRuntimes).Deno !== undefined;
}

function copyOf(response: Response, body: BodyInit | null, change: (headers: Headers) => void): Response {
  const { status, statusText } = response;
  const headers = new Headers(response.headers);
  change(headers);
  return new Response(body, { status, statusText, headers });
}

function copyOfLight(
  response: Response,
  body: BodyInit | null,
  change: (headers: Headers) => void,
): Response {
  const headers = new Headers(response.headers);
  change(headers);
  return new Response(body, { status: response.status, headers });
}

/** A WebSocket's answer cannot be made anew, except on Workers, where it carries the socket. */
function upgrade(response: Response, change: (headers: Headers) => void): Response {
  if (hasWebSocket(response)) {
    const headers = new Headers(response.headers);
    change(headers);
    const { webSocket } = response;
    return new Response(null, { status: 101, headers, webSocket } as ResponseInit);
  }
  try {
    change(response.headers);
  } catch {
    // The runtime sends a head of its own: the session is saved, and the browser cannot be told.
  }
  return response;
}

/** As Workers have it: the end of the client. */
interface UpgradeResponse extends Response {
  webSocket: { accept(): void; close(code: number): void };
}

function hasWebSocket(response: Response): response is UpgradeResponse {
  return Boolean((response as { webSocket?: unknown }).webSocket);
}

/**
 * Deno ends the whole server when the response of `Deno.upgradeWebSocket` is not the one that is returned. Without
 * `Upgrade` the client must fail the connection (RFC 6455, 4.1), which is all that there is to say.
 */
function refuseUpgrade(response: Response): Response {
  return upgrade(response, (headers) => headers.delete("Upgrade"));
}

/**
 * Whether a response may be an application's only one of its kind, for every request: it has no body, or one that can be sent
 * again.
 */
function isShareable(response: Response): boolean {
  return response.status === 101 || NULL_BODY.includes(response.status) || !hasBody(response) ||
    lightBodyOf(response) !== undefined;
}

/** Without a look at the body itself, which would turn it into a stream of unknown length and type. */
function hasBody(response: Response): boolean {
  // A body of text, a form or a Blob comes with a type.
  if (response.headers.has("Content-Type")) return true;
  const { Bun } = globalThis as GlobalWithRuntimes;
  // On Bun a clone loses the type of a text that is not ASCII.
  if (Bun !== undefined) return !/^Response \(0 KB\)(?!.*ReadableStream)/s.test(Bun.inspect(response));
  const light = lightBodyOf(response);
  if (light !== undefined) return light !== null;
  if (response.bodyUsed) return true;
  const { body } = response.clone();
  body?.cancel().catch(() => {});
  return body !== null;
}

/**
 * The body of a light `Response` of `@hono/node-server`, which keeps what it was made of under a symbol until somebody
 * looks at it, and can be sent again until then; `undefined` for every other response, and for a stream.
 */
function lightBodyOf(response: Response): BodyInit | null | undefined {
  const cache = Object.getOwnPropertySymbols(response).find(({ description }) => description === "cache");
  if (cache === undefined) return undefined;
  const made: unknown = (response as unknown as Record<symbol, unknown>)[cache];
  const body = Array.isArray(made) ? made[1] as BodyInit | null | undefined : undefined;
  return body instanceof ReadableStream ? undefined : body;
}

interface GlobalWithRuntimes {
  Bun?: { inspect(value: unknown): string };
  Deno?: unknown;
}

/** Whether two `Set-Cookie` are of one name. */
function isSameCookie(one: string, other: string): boolean {
  return one.startsWith(other.slice(0, other.indexOf("=") + 1));
}

/** Of two cookies of one name, set by one manager that is mounted twice, the later one counts. */
function removeCookie(headers: Headers, setCookie: string): void {
  const cookies = headers.getSetCookie();
  const others = cookies.filter((cookie) => !isSameCookie(cookie, setCookie));
  if (others.length === cookies.length) return;
  headers.delete("Set-Cookie");
  for (const text of others) headers.append("Set-Cookie", text);
}

function varyByCookie(headers: Headers): void {
  const vary = headers.get("Vary");
  const names = vary?.split(",").map((name) => name.trim().toLowerCase()) ?? [];
  if (!names.includes("cookie") && !names.includes("*")) headers.append("Vary", "Cookie");
}

/** Directives that speak to shared caches alone, or that are said anew. */
const REPLACED = /^(?:public|private|s-maxage|proxy-revalidate)(?:$|[\s=])|^no-cache="set-cookie"$/i;

function privateCacheControl(own: string | null): string {
  // A directive may hold a quoted list with commas of its own: RFC 9111, 5.2.
  const directives = own?.match(/(?:[^,"]|"[^"]*"?)+/g) ?? [];
  const kept = directives.map((part) => part.trim()).filter((part) => part !== "" && !REPLACED.test(part));
  // As it stands it covers every header: naming one beside it would weaken it.
  const covered = kept.some((part) => part.toLowerCase() === "no-cache");
  return ["private", ...(covered ? [] : ['no-cache="Set-Cookie"']), ...kept].join(", ");
}

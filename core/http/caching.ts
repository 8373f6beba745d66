/** Makes caches keep one response for each `Cookie` header. */
export function varyByCookie(headers: Headers): void {
  if (!isVaried(headers)) headers.append("Vary", "Cookie");
}

/** Whether caches keep one response for each `Cookie` header. */
export function isVaried(headers: Headers): boolean {
  return /(?:^|[\s,])(?:cookie|\*)(?:$|[\s,])/i.test(headers.get("Vary") ?? "");
}

/** Keeps a response from shared caches unless the handler chose a `Cache-Control`. */
export function preferPrivate(headers: Headers): void {
  if (!headers.has("Cache-Control")) headers.set("Cache-Control", "private");
}

/** Forbids shared caches to keep a response that sets a cookie, whatever the handler said (RFC 9111, 7.3). */
export function forbidSharedCaching(headers: Headers): void {
  headers.set("Cache-Control", privateCacheControl(headers.get("Cache-Control")));
  const others: string[] = [];
  // On Deno an iterator costs five times as much.
  headers.forEach((_, name) => {
    if (CDN_HEADER.test(name)) others.push(name);
  });
  for (const name of others) headers.delete(name);
}

/** Whether a shared cache may keep the response and give it to others. */
export function isShareable({ method }: Request, { headers, status }: Response): boolean {
  // No cache keeps an upgrade, or the answer to another method.
  if (status === 101 || (method !== "GET" && method !== "HEAD")) return false;
  return !/(?:^|[\s,])(?:private|no-store|no-cache)(?:$|[\s,])/i.test(headers.get("Cache-Control") ?? "");
}

/** CDNs and proxies obey these before `Cache-Control`: RFC 9213 and its predecessors. */
const CDN_HEADER = /-cache-control$|(?:^|-)(?:surrogate|edge)-control$|^x-accel-expires$/;

/** Directives for shared caches alone, and those that are set anew. */
const REPLACED = /^(?:public|private|s-maxage|proxy-revalidate)(?:$|[\s=])|^no-cache="set-cookie"$/i;

function privateCacheControl(own: string | null): string {
  // A directive may hold a quoted list with commas of its own: RFC 9111, 5.2.
  const directives = own?.match(/(?:[^,"]|"[^"]*"?)+/g) ?? [];
  const kept = directives.map((part) => part.trim()).filter((part) => part !== "" && !REPLACED.test(part));
  // A bare no-cache covers every header; one that names a header would weaken it.
  const isCovered = kept.some((part) => part.toLowerCase() === "no-cache");
  return ["private", ...(isCovered ? [] : ['no-cache="Set-Cookie"']), ...kept].join(", ");
}

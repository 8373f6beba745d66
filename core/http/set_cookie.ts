import { forbidSharedCaching, varyByCookie } from "./caching.ts";

/** Adds a `Set-Cookie` to the headers of a response, and keeps shared caches from giving it to others. */
export function addCookie(headers: Headers, setCookie: string): void {
  varyByCookie(headers);
  removeCookie(headers, setCookie);
  headers.append("Set-Cookie", setCookie);
  forbidSharedCaching(headers);
}

/** Removes an earlier cookie of the same name, which the same manager has set where it is mounted twice. */
function removeCookie(headers: Headers, setCookie: string): void {
  const start = setCookie.slice(0, setCookie.indexOf("=") + 1);
  const cookies = headers.getSetCookie();
  const others = cookies.filter((cookie) => !cookie.startsWith(start));
  if (others.length === cookies.length) return;
  headers.delete("Set-Cookie");
  for (const text of others) headers.append("Set-Cookie", text);
}

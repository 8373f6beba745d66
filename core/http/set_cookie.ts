import { forbidSharedCaching, varyByCookie } from "./caching.ts";

/** Adds a `Set-Cookie` to the headers of a response, and keeps shared caches from giving it to others. */
export function addCookie(headers: Headers, setCookie: string): void {
  varyByCookie(headers);
  removeCookie(headers, setCookie);
  headers.append("Set-Cookie", setCookie);
  forbidSharedCaching(headers);
}

/**
 * Removes an earlier cookie that the same manager has set where it is mounted twice: of the same name and attributes. With
 * another path or domain it is another cookie, such as one that the application deletes.
 */
function removeCookie(headers: Headers, setCookie: string): void {
  const start = setCookie.slice(0, setCookie.indexOf("=") + 1);
  const cookies = headers.getSetCookie();
  const others = cookies.filter((cookie) =>
    !cookie.startsWith(start) || attributesOf(cookie) !== attributesOf(setCookie)
  );
  if (others.length === cookies.length) return;
  headers.delete("Set-Cookie");
  for (const text of others) headers.append("Set-Cookie", text);
}

/** A cookie without its value and its expiry. */
function attributesOf(setCookie: string): string {
  return setCookie.replace(/^[^;]*|; (?:Expires|Max-Age)=[^;]*/g, "");
}

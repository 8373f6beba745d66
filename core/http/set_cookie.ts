import { forbidSharedCaching, varyByCookie } from "./caching.ts";

/** Adds a `Set-Cookie` to the headers of a response, and keeps shared caches from giving it to others. */
export function addCookie(headers: Headers, setCookie: string): void {
  varyByCookie(headers);
  // A manager that is mounted twice sets its cookie twice.
  keepCookies(headers, (cookie) => !isSameCookie(cookie, setCookie));
  headers.append("Set-Cookie", setCookie);
  forbidSharedCaching(headers);
}

/** Removes each `Set-Cookie` that is not to be kept. */
export function keepCookies(headers: Headers, isKept: (setCookie: string) => boolean): void {
  const cookies = headers.getSetCookie();
  const kept = cookies.filter(isKept);
  if (kept.length === cookies.length) return;
  headers.delete("Set-Cookie");
  for (const cookie of kept) headers.append("Set-Cookie", cookie);
}

/**
 * Whether two `Set-Cookie` are about one cookie. With another path or domain it is another one, such as an old cookie that the
 * application deletes.
 */
export function isSameCookie(one: string, other: string): boolean {
  return identityOf(one) === identityOf(other);
}

/** The parts by which browsers tell cookies apart: RFC 6265, 5.3, step 11; `Partitioned` by CHIPS. */
function identityOf(setCookie: string): string {
  return setCookie.match(/^[^=]*|; (?:(?:Path|Domain)=[^;]*|Partitioned)/g)!.join("");
}

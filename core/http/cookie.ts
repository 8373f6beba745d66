import type { CookieSettings } from "../options/cookie_options.ts";
import { isToken } from "../bytes/token.ts";

/** One request's session cookie: which variant its scheme calls for. */
export class SessionCookie {
  readonly #settings: CookieSettings;
  readonly #variant: "secure" | "plain";

  constructor(settings: CookieSettings, https: boolean) {
    this.#settings = settings;
    this.#variant = (settings.secure === "auto" ? https : settings.secure) ? "secure" : "plain";
  }

  get name(): string {
    return this.#settings.names[this.#variant];
  }

  /**
   * The distinct well-formed tokens in a `Cookie` header, in its order, at most two: a browser may send several
   * cookies of one name, and each one tried is a store call. Of more than two the first and the last: with equal paths the
   * one that was set first comes first (RFC 6265, 5.4). Never throws.
   */
  read(header: string | null): string[] {
    const tokens: string[] = [];
    if (header === null) return tokens;
    for (const pair of header.split(";")) {
      const equals = pair.indexOf("=");
      if (equals < 0 || withoutBlanks(pair.slice(0, equals)) !== this.name) continue;
      const value = withoutBlanks(pair.slice(equals + 1));
      if (!isToken(value) || tokens.includes(value)) continue;
      tokens[Math.min(tokens.length, 1)] = value;
    }
    return tokens;
  }

  /** `Set-Cookie` for a session. Without `keep` the cookie goes when the browser is closed. */
  write(token: string, deadline: number, now: number, keep: boolean): string {
    // Rounded up, so that the cookie never ends before the session.
    const maxAgeSeconds = Math.max(0, Math.ceil((deadline - now) / 1000));
    const expires = new Date(Math.ceil(deadline / 1000) * 1000).toUTCString();
    return this.#text(token, keep ? `; Expires=${expires}; Max-Age=${maxAgeSeconds}` : "");
  }

  /** `Set-Cookie` that deletes. It repeats every attribute, or browsers would keep a `Partitioned` cookie. */
  delete(): string {
    return this.#text("", "; Expires=Thu, 01 Jan 1970 00:00:01 GMT; Max-Age=0");
  }

  /** What a response gives the browser already; `undefined` where it gives it nothing. */
  valueIn(headers: Headers): string | undefined {
    if (!headers.has("Set-Cookie")) return undefined;
    const start = `${this.name}=`;
    const last = headers.getSetCookie().findLast((text) => text.startsWith(start));
    return last?.slice(start.length).split(";", 1)[0];
  }

  /** Whether a session cookie outlives the browser even without `rememberMe`. */
  get persists(): boolean {
    return this.#settings.persist;
  }

  #text(value: string, expiry: string): string {
    return `${this.name}=${value}${expiry}${this.#settings.attributes[this.#variant]}`;
  }
}

/**
 * Only what browsers take for blank (RFC 6265bis, 5.6), not all that `trim()` does: with a no-break space in front,
 * `__Host-session` is another name for a browser, which lets any site of the domain set it.
 */
function withoutBlanks(text: string): string {
  let [start, end] = [0, text.length];
  while (start < end && isBlank(text, start)) start++;
  while (start < end && isBlank(text, end - 1)) end--;
  return text.slice(start, end);
}

function isBlank(text: string, index: number): boolean {
  return text[index] === " " || text[index] === "\t";
}

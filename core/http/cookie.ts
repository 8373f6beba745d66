import { isToken } from "../bytes/token.ts";
import type { CookieSettings } from "../options/cookie_options.ts";
import type { SessionSettings } from "../options/session_options.ts";
import type { SessionState } from "../state/session_state.ts";
import { usesSecureCookie } from "./scheme.ts";
import { isSameCookie } from "./set_cookie.ts";

/** The session cookie of one request, in one of its two variants. */
export class SessionCookie {
  readonly #settings: CookieSettings;
  readonly #variant: "secure" | "plain";

  constructor(request: Request, settings: SessionSettings) {
    this.#settings = settings.cookie;
    this.#variant = usesSecureCookie(request, settings) ? "secure" : "plain";
  }

  get name(): string {
    return this.#settings.names[this.#variant];
  }

  /**
   * The distinct well-formed tokens in a `Cookie` header, in its order, at most two. A browser may send several cookies of one
   * name, and each one costs a store call. Of more than two these are the first and the last: of cookies with equal paths the
   * oldest comes first (RFC 6265, 5.4). Never throws.
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

  /**
   * `Set-Cookie` for a session. The browser forgets the cookie when it is closed, unless the options or `remember` say
   * otherwise.
   */
  write({ token, deadline, remember }: NonNullable<SessionState["cookieToSet"]>, now: number): string {
    if (!this.#settings.persist && !remember) return this.#text(token, "");
    // Rounded up, so that the cookie never ends before the session.
    const maxAgeSeconds = Math.max(0, Math.ceil((deadline - now) / 1000));
    const expires = new Date(Math.ceil(deadline / 1000) * 1000).toUTCString();
    return this.#text(token, `; Expires=${expires}; Max-Age=${maxAgeSeconds}`);
  }

  /** `Set-Cookie` that deletes the cookie. It repeats every attribute: browsers would keep a `Partitioned` cookie otherwise. */
  delete(): string {
    return this.#text("", "; Expires=Thu, 01 Jan 1970 00:00:01 GMT; Max-Age=0");
  }

  /** The value that the headers of a response set already; `undefined` where they set none. */
  valueIn(headers: Headers): string | undefined {
    const last = headers.getSetCookie().findLast((text) => isSameCookie(text, this.delete()));
    return last?.slice(`${this.name}=`.length).split(";", 1)[0];
  }

  #text(value: string, expiry: string): string {
    return `${this.name}=${value}${expiry}${this.#settings.attributes[this.#variant]}`;
  }
}

/**
 * Removes the blanks of RFC 6265bis, 5.6, and not all that `trim()` removes. For a browser `__Host-session` after a no-break
 * space is another name, which any site of the domain may set. By hand: for many blanks a pattern takes quadratic time.
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

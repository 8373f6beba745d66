import type { OptionsReader } from "./reader.ts";

/** How the session cookie is called and guarded. The defaults suit a site of one host on https. */
export interface CookieOptions {
  /**
   * The cookie's name. A prefix such as `__Host-` or `__Secure-` is enforced (RFC 6265bis, 4.1.3).
   *
   * @default {"__Host-session"} when secure, `"__Secure-session"` when secure with a `domain` or another
   * `path`, `"session"` when not secure
   */
  name?: string | undefined;
  /**
   * Sends the cookie to this host and all its subdomains. Each of them can then also overwrite it.
   *
   * @default {undefined} the host that set it, and no other
   */
  domain?: string | undefined;
  /**
   * Sends the cookie below this path. It is no protection: other paths of the host can read it.
   *
   * @default {"/"}
   */
  path?: string | undefined;
  /**
   * Hides the cookie from scripts.
   *
   * @default {true}
   */
  httpOnly?: boolean | undefined;
  /**
   * Sends the cookie over https only. `"auto"`: on for an `https:` request, off for an `http:` one. Behind a
   * proxy that ends TLS every request looks like `http:`; say `true` there.
   *
   * @default {"auto"}
   */
  secure?: boolean | "auto" | undefined;
  /**
   * Whether the cookie comes along with requests from other sites. With `"Strict"` a visitor who follows a link there, or comes
   * back from a sign-in (OAuth), has no session. With `"Lax"` only a POST from there has none (SAML, `form_post` of OAuth). If
   * such a request writes, its new session replaces the visitor's. `"None"` needs `Secure`.
   *
   * @default {"Lax"}
   */
  sameSite?: "Strict" | "Lax" | "None" | undefined;
  /**
   * Keeps one cookie for each site that embeds this one (CHIPS). Needs `Secure`.
   *
   * @default {false}
   */
  partitioned?: boolean | undefined;
  /**
   * Keeps the cookie when the browser is closed, until the session's deadline. With `false` only a session
   * with `rememberMe(true)` is kept.
   *
   * @default {true}
   */
  persist?: boolean | undefined;
}

/** Cookie options, checked. */
export interface CookieSettings {
  /** The name over https and over http. */
  readonly names: { readonly secure: string; readonly plain: string };
  readonly secure: boolean | "auto";
  readonly persist: boolean;
  /** Every attribute that does not change from response to response, in both variants. */
  readonly attributes: { readonly secure: string; readonly plain: string };
}

/**
 * A cookie-name is a token: RFC 6265, 4.1.1 and RFC 9110, 5.6.2. Browsers ignore a cookie whose name and value have more than
 * 4,096 bytes (RFC 6265bis, 5.7), and a session's token has 43.
 */
const NAME = /^[\w!#$%&'*+\-.^`|~]{1,4053}$/;
/** Browsers enforce these, without regard to case: RFC 6265bis, 4.1.3 and 5.4. */
const PREFIX = /^__(host-http|http|host|secure)-/i;
/** Browsers ignore an attribute whose value has more than 1,024 bytes (RFC 6265bis, 5.6). This also holds for the path. */
const DOMAIN = /^(?!.{1025})\.?[a-z\d](?:[a-z\d-]*[a-z\d])?(?:\.[a-z\d](?:[a-z\d-]*[a-z\d])?)*$/i;
/** A path-value holds no control character and no semicolon: RFC 6265, 4.1.1. */
const PATH = /^\/[\x20-\x3a\x3c-\x7e]{0,1023}$/;

/** Reads the options of a cookie and reports what is wrong with them. */
export function readCookieOptions(reader: OptionsReader): CookieSettings {
  const name = reader.text("name", NAME, "must be letters, digits and !#$%&'*+-.^_`|~, at most 4053 of them");
  const prefix = PREFIX.exec(name ?? "")?.[1]?.toLowerCase() ?? "";
  const hasHostPrefix = prefix.startsWith("host");

  const domain = reader.text("domain", DOMAIN, "must be a host name of at most 1024 characters");
  if (domain !== undefined && hasHostPrefix) reader.refuse("domain", 'must be absent with a "__Host-" name');
  const pathRule = 'must start with "/", with no ";" or control character, and at most 1024 characters';
  const path = reader.text("path", PATH, pathRule) ?? "/";
  if (path !== "/" && hasHostPrefix) reader.refuse("path", 'must be "/" with a "__Host-" name');
  const httpOnly = reader.flag("httpOnly", true);
  if (!httpOnly && prefix.endsWith("http")) reader.refuse("httpOnly", 'must be true with a "__Http-" name');
  const given = reader.oneOf<boolean | "auto">("secure", "auto", [true, false, "auto"]);
  const sameSite = reader.oneOf("sameSite", "Lax", ["Strict", "Lax", "None"]);
  const partitioned = reader.flag("partitioned", false);
  const needsSecure = sameSite === "None" || partitioned || prefix !== "";
  if (needsSecure && given === false) {
    reader.refuse(
      "secure",
      'must not be false with sameSite "None", partitioned or a "__" prefix of the name',
    );
  }
  const persist = reader.flag("persist", true);
  reader.reportUnknown();

  const plain = `; Path=${path}` + (domain === undefined ? "" : `; Domain=${domain}`) +
    (httpOnly ? "; HttpOnly" : "") + `; SameSite=${sameSite}`;
  const mayHaveHostPrefix = domain === undefined && path === "/";
  return Object.freeze({
    names: {
      secure: name ?? (mayHaveHostPrefix ? "__Host-session" : "__Secure-session"),
      plain: name ?? "session",
    },
    secure: needsSecure || given,
    persist,
    attributes: { secure: `${plain}; Secure${partitioned ? "; Partitioned" : ""}`, plain },
  });
}

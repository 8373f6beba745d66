import { reportUnknown, show } from "./config.ts";

/** How the session cookie is called and guarded. The defaults suit a site of one host on https. */
export interface CookieOptions {
  /**
   * The cookie's name. A `__Host-` or `__Secure-` prefix is enforced (RFC 6265bis, 4.1.3).
   *
   * @default {"__Host-session"} when secure, `"__Secure-session"` when secure with a `domain` or another
   * `path`, `"session"` when not secure
   */
  name?: string;
  /**
   * Sends the cookie to this host and all its subdomains. Each of them can then also overwrite it.
   *
   * @default {undefined} the host that set it, and no other
   */
  domain?: string;
  /**
   * Sends the cookie below this path. It is no protection: other paths of the host can read it.
   *
   * @default {"/"}
   */
  path?: string;
  /**
   * Hides the cookie from scripts.
   *
   * @default {true}
   */
  httpOnly?: boolean;
  /**
   * Sends the cookie over https only. `"auto"`: on for an `https:` request, off for an `http:` one. Behind a
   * proxy that ends TLS every request looks like `http:`; say `true` there.
   *
   * @default {"auto"}
   */
  secure?: boolean | "auto";
  /**
   * Whether the cookie comes along with requests from other sites. `"None"` needs `Secure`.
   *
   * @default {"Lax"}
   */
  sameSite?: "Strict" | "Lax" | "None";
  /**
   * Keeps one cookie for each site that embeds this one (CHIPS). Needs `Secure`.
   *
   * @default {false}
   */
  partitioned?: boolean;
  /**
   * Keeps the cookie when the browser is closed, until the session's deadline. With `false` only a session
   * with `rememberMe(true)` is kept.
   *
   * @default {true}
   */
  persist?: boolean;
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

const DEFAULTS = {
  path: "/",
  httpOnly: true,
  secure: "auto",
  sameSite: "Lax",
  partitioned: false,
  persist: true,
} as const satisfies CookieOptions;

const NAMES: Record<keyof CookieOptions, true> = {
  name: true,
  domain: true,
  path: true,
  httpOnly: true,
  secure: true,
  sameSite: true,
  partitioned: true,
  persist: true,
};

/** A cookie-name is a token: RFC 6265, 4.1.1 and RFC 9110, 5.6.2. */
const NAME = /^[\w!#$%&'*+\-.^`|~]+$/;
const DOMAIN = /^\.?[a-z\d](?:[a-z\d-]*[a-z\d])?(?:\.[a-z\d](?:[a-z\d-]*[a-z\d])?)*$/i;
/** A path-value holds no control character and no semicolon: RFC 6265, 4.1.1. */
const PATH = /^\/[\x20-\x3a\x3c-\x7e]*$/;

/** Adds what is wrong to `problems`, in the order of the options. */
export function readCookieOptions(problems: string[], given: CookieOptions): CookieSettings {
  if (typeof given !== "object" || given === null) {
    problems.push(`"cookie" must be an object: got ${show(given)}`);
    given = {};
  }
  reportUnknown(problems, given, NAMES, "cookie.");
  const {
    name,
    domain,
    path = DEFAULTS.path,
    httpOnly = DEFAULTS.httpOnly,
    sameSite = DEFAULTS.sameSite,
    partitioned = DEFAULTS.partitioned,
    persist = DEFAULTS.persist,
  } = given;
  let { secure = DEFAULTS.secure } = given;

  // Browsers compare the prefixes without regard to case: RFC 6265bis, 5.4.
  const prefix = typeof name === "string" && /^__(host|secure)-/i.exec(name)?.[1]?.toLowerCase();
  if (name !== undefined && !matches(NAME, name)) {
    problems.push(`"cookie.name" must be letters, digits and !#$%&'*+-.^_\`|~: got ${show(name)}`);
  }
  if (domain !== undefined && !matches(DOMAIN, domain)) {
    problems.push(`"cookie.domain" must be a host name: got ${show(domain)}`);
  }
  if (domain !== undefined && prefix === "host") {
    problems.push(`"cookie.domain" must be absent with a "__Host-" name: got ${show(domain)}`);
  }
  if (!matches(PATH, path)) {
    problems.push(
      `"cookie.path" must start with "/" and hold no ";" or control character: got ${show(path)}`,
    );
  }
  if (path !== "/" && prefix === "host") {
    problems.push(`"cookie.path" must be "/" with a "__Host-" name: got ${show(path)}`);
  }
  checkFlag(problems, "httpOnly", httpOnly);
  if (secure !== "auto" && typeof secure !== "boolean") {
    problems.push(`"cookie.secure" must be true, false or "auto": got ${show(secure)}`);
  }
  const needsSecure = [
    sameSite === "None" && `"cookie.sameSite" "None"`,
    partitioned && `"cookie.partitioned"`,
    prefix && `the prefix of "cookie.name"`,
  ].filter(Boolean);
  if (needsSecure.length > 0 && secure === false) {
    problems.push(`"cookie.secure" must not be false with ${needsSecure.join(" and ")}`);
  }
  if (needsSecure.length > 0 && secure === "auto") secure = true;
  if (!["Strict", "Lax", "None"].includes(sameSite)) {
    problems.push(`"cookie.sameSite" must be "Strict", "Lax" or "None": got ${show(sameSite)}`);
  }
  checkFlag(problems, "partitioned", partitioned);
  checkFlag(problems, "persist", persist);

  const common = `; Path=${path}` + (domain === undefined ? "" : `; Domain=${domain}`) +
    (httpOnly ? "; HttpOnly" : "") + `; SameSite=${sameSite}`;
  const hostOnly = domain === undefined && path === "/";
  return Object.freeze({
    names: { secure: name ?? (hostOnly ? "__Host-session" : "__Secure-session"), plain: name ?? "session" },
    secure,
    persist,
    attributes: {
      secure: `${common}; Secure${partitioned ? "; Partitioned" : ""}`,
      plain: common,
    },
  });
}

/** A pattern alone would take `null` for a host name. */
function matches(pattern: RegExp, value: unknown): boolean {
  return typeof value === "string" && pattern.test(value);
}

function checkFlag(problems: string[], name: keyof CookieOptions, value: unknown): void {
  if (typeof value !== "boolean") problems.push(`"cookie.${name}" must be true or false: got ${show(value)}`);
}

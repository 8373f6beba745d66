/**
 * Compares a response with a session with that of the same handler without sessions. Only the differences that
 * DESIGN.md names are allowed.
 * @module
 */

import { type Exchange, latin1 } from "./_raw_client.ts";

/** What the session adds to a response. */
export interface Expected {
  /** Whether it adds the caching headers of a personal response. */
  marked: boolean;
  /** What it does with the session's cookie. */
  cookie: "none" | "token" | "deletion";
  /**
   * Whether the session's headers may be missing, because the runtime makes the head. Those that are there must be
   * right.
   */
  ownHead?: boolean;
  /** Whether only the status and the session's headers are compared, because the library makes the rest. */
  statusOnly?: boolean;
}

/** The name of the session's cookie over `http:`. */
export const COOKIE = "session";

/** The token that a response sets: `""` if it deletes the cookie. */
export function tokenIn(exchange: Exchange): string | undefined {
  const cookies = valuesOf(exchange, "set-cookie").filter((value) => value.startsWith(`${COOKIE}=`));
  return cookies.at(-1)?.slice(COOKIE.length + 1).split(";")[0];
}

/** Every forbidden difference; empty if there is none. */
export function compare(bare: Exchange, seen: Exchange, expected: Expected): string[] {
  const problems: string[] = [];
  const differ = (what: string, was: unknown, is: unknown) => {
    if (was !== is) problems.push(`${what} is ${quote(is)} instead of ${quote(was)}`);
  };
  differ("status line", bare.statusLine, seen.statusLine);
  differ("end", bare.end, seen.end);
  if (!expected.statusOnly) {
    differ("framing", bare.framing, seen.framing);
    if (!sameBytes(bare.body, seen.body)) differ("body", bodyOf(bare), bodyOf(seen));
    differ("trailers", JSON.stringify(bare.trailers), JSON.stringify(seen.trailers));
    for (const name of new Set([...namesOf(bare), ...namesOf(seen)])) {
      if (/^(?:vary|cache-control|set-cookie)$/.test(name)) continue;
      if (bare.framing !== seen.framing && /^(?:content-length|transfer-encoding)$/.test(name)) continue;
      if (name === "content-type" && isTypeAfterAll(bare, seen)) continue;
      differ(name, headerOf(bare, name), headerOf(seen, name));
    }
  }
  problems.push(...cookieProblems(bare, seen, expected));
  // A head that accepted the cookie accepts the other headers as well.
  const marks = { ...expected, ownHead: expected.ownHead === true && tokenIn(seen) === undefined };
  problems.push(...varyProblems(bare, seen, marks));
  problems.push(...cacheProblems(bare, seen, marks));
  return problems;
}

/**
 * Whether a response has a type that the runtime omitted without a session. `@hono/node-server` adds the type of a
 * text, and Bun that of a HEAD response, only once its headers were read.
 */
function isTypeAfterAll(bare: Exchange, seen: Exchange): boolean {
  if (headerOf(bare, "content-type") !== "") return false;
  const isText = /^text\/plain; ?charset=utf-8$/i.test(headerOf(seen, "content-type"));
  return isText || (seen.framing === "none" && seen.status === 200);
}

/** Whether two exchanges are the same byte for byte, except for what changes with every response. */
export function isSame(one: Exchange, other: Exchange): boolean {
  return compare(one, other, { marked: false, cookie: "none" }).length === 0;
}

function cookieProblems(bare: Exchange, seen: Exchange, { cookie, ownHead, statusOnly }: Expected): string[] {
  const all = valuesOf(seen, "set-cookie");
  const own = all.filter((value) => value.startsWith(`${COOKIE}=`));
  const others = all.filter((value) => !value.startsWith(`${COOKIE}=`));
  const problems: string[] = [];
  const before = valuesOf(bare, "set-cookie");
  if (!statusOnly && before.join("\n") !== others.join("\n")) {
    problems.push(`others' cookies are ${quote(others)} instead of ${quote(before)}`);
  }
  if (ownHead && own.length === 0) return problems;
  const wanted = cookie === "none" ? 0 : 1;
  if (own.length !== wanted) {
    problems.push(`${own.length} cookies of the session instead of ${wanted}`);
  } else if (wanted === 1 && !isWellFormed(own[0]!, cookie)) {
    problems.push(`the session's cookie is ${quote(own[0])}, which is no ${cookie}`);
  }
  return problems;
}

/** Attributes in any order: always `Path`, `HttpOnly` and `SameSite`, and an expiry in the future or in the past. */
function isWellFormed(line: string, cookie: "none" | "token" | "deletion"): boolean {
  const [pair, ...attributes] = line.split("; ");
  const value = pair!.slice(COOKIE.length + 1);
  if (cookie === "token" ? !/^[\w-]{43}$/.test(value) : value !== "") return false;
  const names = attributes.map((attribute) => attribute.toLowerCase());
  if (!["path=/", "httponly", "samesite=lax"].every((name) => names.includes(name))) return false;
  const expires = attributes.find((attribute) => /^expires=/i.test(attribute));
  const maxAge = attributes.find((attribute) => /^max-age=/i.test(attribute));
  const ends = [
    ...(expires ? [Date.parse(expires.slice("expires=".length)) - Date.now()] : []),
    ...(maxAge ? [Number(maxAge.slice("max-age=".length))] : []),
  ];
  return ends.length > 0 && ends.every((end) => cookie === "token" ? end > 0 : end <= 0);
}

function varyProblems(bare: Exchange, seen: Exchange, { marked, ownHead, statusOnly }: Expected): string[] {
  const before = listOf(bare, "vary");
  const now = listOf(seen, "vary");
  const added = marked && !before.includes("cookie") && !before.includes("*") ? ["cookie"] : [];
  const same = (wanted: string[]) => now.join() === wanted.join();
  if (same([...before, ...added])) return [];
  if ((ownHead && same(before)) || (statusOnly && same(["cookie"]))) return [];
  return [`Vary is ${quote(now.join(", "))} instead of ${quote([...before, ...added].join(", "))}`];
}

/** Directives for shared caches, and those that a cookie adds. */
const OF_SHARED_CACHES = /^(?:public|private|s-maxage|proxy-revalidate)(?:$|[\s=])|^no-cache="set-cookie"$/;

function cacheProblems(bare: Exchange, seen: Exchange, expected: Expected): string[] {
  const { marked, cookie, ownHead, statusOnly } = expected;
  const before = headerOf(bare, "cache-control");
  const now = headerOf(seen, "cache-control");
  if (ownHead && now === before) return [];
  if (cookie === "none") {
    const wanted = marked ? before || "private" : before;
    return now === wanted ? [] : [`Cache-Control is ${quote(now)} instead of ${quote(wanted)}`];
  }
  const directives = listOf(seen, "cache-control");
  const kept = statusOnly ? [] : listOf(bare, "cache-control").filter((part) => !OF_SHARED_CACHES.test(part));
  const shared = directives.some((part) => /^(?:public|s-maxage)(?:$|[\s=])/.test(part));
  const isPrivate = directives.includes("private") || directives.includes("no-store");
  if (!shared && isPrivate && kept.every((part) => directives.includes(part))) return [];
  return [`Cache-Control is ${quote(now)}, with a cookie, instead of ${quote(before)}`];
}

/** In lower case. A copied response may spell names differently, which has no meaning (RFC 9110, 5.1). */
function namesOf({ headers }: Exchange): string[] {
  return headers.map(([name]) => name.toLowerCase());
}

function valuesOf({ headers }: Exchange, name: string): string[] {
  return headers.filter(([other]) => other.toLowerCase() === name).map(([, value]) => value);
}

/** The values of a name, in one line or in several (RFC 9110, 5.3). Replaces what differs with every response. */
function headerOf(exchange: Exchange, name: string): string {
  const value = valuesOf(exchange, name).join(", ");
  if (name === "date") return value === "" ? "" : "(a date)";
  const boundary = boundaryOf(exchange);
  return boundary ? value.replaceAll(boundary, "(boundary)") : value;
}

function listOf(exchange: Exchange, name: string): string[] {
  const parts = valuesOf(exchange, name).join(",").match(/(?:[^,"]|"[^"]*"?)+/g) ?? [];
  return parts.map((part) => part.trim().toLowerCase()).filter((part) => part !== "");
}

function sameBytes(one: Uint8Array, other: Uint8Array): boolean {
  return one.length === other.length && one.every((byte, index) => byte === other[index]);
}

function bodyOf(exchange: Exchange): string {
  const text = latin1(exchange.body);
  const boundary = boundaryOf(exchange);
  return boundary ? text.replaceAll(boundary, "(boundary)") : text;
}

/** The boundary of form data, which is random. */
function boundaryOf(exchange: Exchange): string | undefined {
  return /^multipart\/form-data;\s*boundary="?([^";]+)/i.exec(valuesOf(exchange, "content-type")[0] ?? "")
    ?.[1];
}

function quote(value: unknown): string {
  const text = JSON.stringify(value) ?? String(value);
  return text.length > 120 ? `${text.slice(0, 100)}... (${text.length} characters)` : text;
}

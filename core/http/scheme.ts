import type { SessionSettings } from "../options/session_options.ts";

/** The settings of the managers that have warned of a proxy. Each warns once. */
const warned = new WeakSet<SessionSettings>();

/** Whether the cookie of a request is the secure one. By default that is up to the scheme, also as a trusted proxy tells it. */
export function usesSecureCookie(request: Request, settings: SessionSettings): boolean {
  const { cookie: { secure }, trustProxy } = settings;
  if (secure !== "auto") return secure;
  if (request.url.startsWith("https:") || isForwarded(request.headers, trustProxy)) return true;
  noticeProxy(request, settings);
  return false;
}

function isForwarded(headers: Headers, trustProxy: SessionSettings["trustProxy"]): boolean {
  // The whole value: the client may have sent the first entries of a list.
  return trustProxy !== undefined && headers.get(trustProxy.header)?.toLowerCase() === trustProxy.value;
}

/** The header that most proxies set, and that of RFC 7239. */
function saysHttps(headers: Headers): boolean {
  return /^https\b/i.test(headers.get("X-Forwarded-Proto") ?? "") ||
    /\bproto="?https\b/i.test(headers.get("Forwarded") ?? "");
}

/** Warns once that a proxy ends TLS. Logins work without `Secure` too, so nobody would notice. */
function noticeProxy(request: Request, settings: SessionSettings): void {
  if (warned.has(settings) || !saysHttps(request.headers)) return;
  warned.add(settings);
  settings.hooks.event?.({ kind: "forwarded-proto" });
  if (settings.hooks.event === undefined) {
    console.warn(
      "A proxy says that it was asked by https, and the session cookie goes out without Secure: " +
        "set cookie.secure to true, or trustProxy",
    );
  }
}

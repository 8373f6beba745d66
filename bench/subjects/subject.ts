/**
 * The common interface of the libraries in the comparison.
 * @module
 */

/** The routes of each application, and what their handlers do. */
export const ROUTES = {
  /** The handler does not use the session. */
  untouched: "/",
  /** Reads one text. */
  read: "/read",
  /** Reads a list. */
  object: "/object",
  /** Adds 1 to a number. Without a session it creates one with {@linkcode VALUES}. */
  write: "/write",
} as const;

/** One of the routes. */
export type Route = keyof typeof ROUTES;

/** The values of a session, except for the number that `write` changes. */
export const VALUES: Readonly<{ name: string; cart: number[] }> = {
  name: "Zoë",
  cart: [1001, 1002, 1003, 1004],
};

/** The values of a session by key. */
export type Values = { name: string; cart: number[]; count: number };

/**
 * What the last handler found in its session. It proves that there was one, and keeps compilers from removing the
 * lookup.
 */
export const seen: { value: unknown } = { value: undefined };

/** The lifetime of a session in seconds, for libraries that need one. */
export const LIFETIME_SECONDS = 86_400;

/** The secret of libraries that sign or encrypt. */
export const SECRET = "a secret of at least thirty-two characters";

/** An application on one library. It takes a request, and is done when the response is complete. */
export interface Subject {
  /** The library, with any special settings. */
  name: string;
  /** Where its sessions are stored. A session in a cookie needs no store and cannot be ended. */
  kind: "base" | "ours" | "store" | "cookie";
  /** The application without sessions that it is based on. The base's time is subtracted. */
  base: "hono" | "express";
  /** Routes that the library does not support. */
  lacks?: readonly Route[];
  /** Sends a request with this cookie, and returns the names and values of the cookies in the response. */
  send(path: string, cookie: string | undefined): unknown;
  /** Signs in, and returns the `Cookie` header of a browser with a session. */
  signIn(): Promise<string>;
}

/** An application that takes a `Request` and returns a `Response`. */
export function fetchSubject(
  about: Omit<Subject, "send" | "signIn" | "base"> & Partial<Pick<Subject, "signIn">>,
  fetch: (request: Request) => Response | Promise<Response>,
): Subject {
  return {
    base: "hono",
    signIn: async () =>
      cookieHeader((await fetch(requestOf(ROUTES.write, undefined))).headers.getSetCookie()),
    ...about,
    send: (path, cookie) => fetch(requestOf(path, cookie)),
  };
}

function requestOf(path: string, cookie: string | undefined): Request {
  return new Request(
    `https://example.com${path}`,
    cookie === undefined ? undefined : { headers: { cookie } },
  );
}

/** The `Cookie` header of a browser that got these `Set-Cookie` headers. */
export function cookieHeader(setCookies: readonly string[]): string {
  return setCookies.map((text) => text.split(";")[0]).join("; ");
}

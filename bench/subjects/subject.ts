/**
 * What every library of the comparison is given to do.
 * @module
 */

/** The routes of each application, and what a handler does there. */
export const ROUTES = {
  /** Nothing to do with sessions. */
  untouched: "/",
  /** Reads one text. */
  read: "/read",
  /** Reads a list. */
  object: "/object",
  /** Adds 1 to a number; where there is no session yet, makes one that holds {@linkcode VALUES}. */
  write: "/write",
} as const;

/** One of the routes. */
export type Route = keyof typeof ROUTES;

/** What a session holds, beside the number that `write` changes. */
export const VALUES: Readonly<{ name: string; cart: number[] }> = {
  name: "Zoë",
  cart: [1001, 1002, 1003, 1004],
};

/** The values of a session by key. */
export type Values = { name: string; cart: number[]; count: number };

/** What the last handler found in its session: it shows that there was one, and no compiler leaves the look-up out. */
export const seen: { value: unknown } = { value: undefined };

/** How long a session lives, in seconds, where a library asks for it. */
export const LIFETIME_SECONDS = 86_400;

/** For libraries that sign or encrypt. */
export const SECRET = "a secret of at least thirty-two characters";

/** An application on one library, which takes a request and is done when the answer is complete. */
export interface Subject {
  /** The library, and what is special about its settings. */
  name: string;
  /** Where its sessions are. A session in a cookie costs no store and cannot be ended. */
  kind: "base" | "ours" | "store" | "cookie";
  /** The application without sessions that it stands on; its own time is taken off. */
  base: "hono" | "express";
  /** Routes that the library has no call for. */
  lacks?: readonly Route[];
  /** Sends a request with this cookie, and gives the names and values of the cookies in its answer. */
  send(path: string, cookie: string | undefined): unknown;
  /** Signs in: the `Cookie` header of a browser that has a session. */
  signIn(): Promise<string>;
}

/** A subject that speaks `Request` and `Response`. */
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

/** What a browser sends after it was given these `Set-Cookie` headers. */
export function cookieHeader(setCookies: readonly string[]): string {
  return setCookies.map((text) => text.split(";")[0]).join("; ");
}

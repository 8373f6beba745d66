import { SessionConfigError } from "../core/errors.ts";
import type { SessionManager } from "../core/manager.ts";
import { RawOptionsReader } from "../core/options/reader.ts";
import type { SessionKey } from "../core/session.ts";

/** Options of {@linkcode cookieFor}. */
export interface CookieForOptions {
  /**
   * The URL of the request, if the header is to have the cookie of its scheme alone: by default `__Host-session` with `https:`
   * and `session` with `http:`.
   *
   * @default {undefined} the cookies of both
   */
  url?: string | URL | undefined;
  /** The subject of the session, as `session.subject` sets it. */
  subject?: string | undefined;
}

/**
 * Creates a session with these values in the manager's store, and returns the `Cookie` header of a signed-in request. For tests
 * of applications.
 *
 * @param manager The application's manager, or one with the same options on the same store.
 * @param values The values of the session.
 * @returns A header such as `"__Host-session=Zk3...; session=Zk3..."`: a request over http finds the session too.
 * @throws {SessionConfigError} The first argument is not a manager, or there is no such option.
 * @throws {SessionStoreError} The store failed.
 * @throws {SessionEncodeError} A value cannot be stored.
 *
 * @example Test what only a signed-in user sees
 * ```ts
 * import { assertEquals } from "@std/assert";
 * import { sessions } from "@x/sessions";
 * import { withSessions } from "@x/sessions/middleware/fetch";
 * import { cookieFor } from "@x/sessions/testing";
 *
 * const manager = sessions<{ userId: number }>();
 * const handler = withSessions(manager, async (_request, session) => {
 *   const userId = (await session()).get("userId");
 *   return userId === undefined ? new Response("Who are you?", { status: 401 }) : new Response(`User ${userId}`);
 * });
 *
 * const url = "https://example.com/";
 * assertEquals((await handler(new Request(url))).status, 401);
 *
 * const request = new Request(url, { headers: { Cookie: await cookieFor(manager, { userId: 42 }) } });
 * assertEquals(await (await handler(request)).text(), "User 42");
 * ```
 */
export async function cookieFor<Data extends object>(
  manager: SessionManager<Data>,
  values: Partial<NoInfer<Data>> = {},
  options: CookieForOptions = {},
): Promise<string> {
  if (typeof (manager as Partial<SessionManager<Data>> | undefined)?.begin !== "function") {
    throw new SessionConfigError(["the first argument of cookieFor() must be a session manager"]);
  }
  const reader = new RawOptionsReader(options);
  const url = reader.read("url") as string | URL | undefined;
  const subject = reader.read("subject") as string | undefined;
  reader.finish();
  const request = manager.begin(new Request(url ?? "https://localhost/"));
  const session = await request.session();
  for (const [key, value] of Object.entries(values)) {
    session.put(key as SessionKey<Data>, value as Data[SessionKey<Data>]);
  }
  session.subject = subject;
  // finish() would turn an error into a response.
  await session.commit();
  const response = await request.finish(new Response());
  const pair = response.headers.getSetCookie()[0]!.split(";", 1)[0]!;
  // The request of a test is often over http, where the cookie has the name without the prefix.
  return url === undefined ? pair.replace(/^__\w+-(session=.*)/, "$&; $1") : pair;
}

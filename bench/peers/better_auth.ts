import { betterAuth } from "npm:better-auth@1.7.25";
import { memoryAdapter } from "npm:better-auth@1.7.25/adapters/memory";
import { Hono } from "hono";
import { cookieHeader, fetchSubject, ROUTES, SECRET, seen, type Subject } from "../subjects/subject.ts";

/**
 * Finds the session of a cookie on every request, in a middleware, as its page on Hono shows. Its session is the row
 * of a user's sign-in. A handler reads the user's name, and there are no custom values to write.
 */
function betterAuthPeer(name: string, cookieCache: boolean): Subject {
  const auth = betterAuth({
    baseURL: "https://example.com",
    secret: SECRET,
    database: memoryAdapter({ user: [], session: [], account: [], verification: [] }),
    emailAndPassword: { enabled: true },
    session: { cookieCache: { enabled: cookieCache, maxAge: 3_600 } },
    logger: { disabled: true },
    telemetry: { enabled: false },
  });
  type Found = typeof auth.$Infer.Session;
  const app = new Hono<{ Variables: { user: Found["user"] | null; session: Found["session"] | null } }>()
    .use("*", async (c, next) => {
      const found = await auth.api.getSession({ headers: c.req.raw.headers });
      c.set("user", found?.user ?? null);
      c.set("session", found?.session ?? null);
      await next();
    })
    .get(ROUTES.untouched, (c) => c.text("nothing"))
    .get(ROUTES.read, (c) => {
      seen.value = c.get("user")?.name;
      return c.text("read");
    });
  return fetchSubject({
    name,
    kind: "store",
    lacks: ["object", "write"],
    async signIn() {
      const { headers } = await auth.api.signUpEmail({
        body: { name: "Zoë", email: "zoe@example.com", password: "correct horse battery staple" },
        returnHeaders: true,
      });
      return cookieHeader(headers.getSetCookie());
    },
  }, app.fetch);
}

/**
 * With its defaults each request reads a row of its store. Its cookie cache is a signed copy of the session in a
 * second cookie, which is trusted for an hour here.
 */
export const subjects: readonly Subject[] = [
  betterAuthPeer("better-auth", false),
  betterAuthPeer("better-auth, cookie cache", true),
];

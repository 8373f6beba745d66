/**
 * Sessions on Cloudflare Workers, in the libSQL database at `LIBSQL_URL`; a cron trigger deletes expired ones.
 * @module
 */

import { createClient } from "@libsql/client/web";
import { type Context, Hono } from "hono";
import { csrf } from "hono/csrf";
import { sessions } from "@x/sessions";
import { honoSessions } from "@x/sessions/middleware/hono";
import { scheduledPurge } from "@x/sessions/middleware/scheduled";
import { fetchWithTimeout, LibSQLStore } from "@x/sessions/stores/libsql";

type Bindings = { LIBSQL_URL: string; LIBSQL_AUTH_TOKEN?: string };
type Data = { user: string; count: number; message: string };

/** Credentials arrive with the first request, and are the same for all requests of an instance. */
function managerOf({ LIBSQL_URL: url, LIBSQL_AUTH_TOKEN: authToken }: Bindings) {
  // No queue in the client: a request of a Worker must not wait for another one's.
  const client = createClient({ url, authToken, concurrency: Infinity, fetch: fetchWithTimeout(2_000) });
  const store = new LibSQLStore(client, { cleanup: "off" }); // the cron trigger does it
  return sessions<Data>({ store, lifetime: "7d", idleTimeout: "2h" });
}

const app = new Hono<{ Bindings: Bindings }>()
  .use(honoSessions((c: Context<{ Bindings: Bindings }>) => managerOf(c.env)))
  .use(csrf())
  .post("/login", async (c) => {
    const { user } = await c.req.parseBody();
    if (typeof user !== "string" || user === "") return c.text("Who are you?\n", 400);
    // Check a password here.
    const session = await c.var.session();
    session.renewToken();
    session.subject = user;
    session.put("user", user);
    return c.redirect("/", 303);
  })
  .post("/logout", async (c) => {
    await (await c.var.session()).destroy();
    return c.redirect("/", 303);
  })
  .post("/logout-everywhere", async (c) => {
    const session = await c.var.session();
    if (session.subject !== undefined) await managerOf(c.env).destroyAll(session.subject);
    await session.destroy(); // also deletes the cookie
    return c.redirect("/", 303);
  })
  .post("/count", async (c) => {
    const session = await c.var.session();
    session.update("count", (count = 0) => count + 1);
    return c.redirect("/", 303);
  })
  .get("/", async (c) => {
    const session = await c.var.session();
    return c.json({ user: session.get("user") ?? null, count: session.get("count") ?? 0 });
  })
  .get("/put", async (c) => {
    (await c.var.session()).put("message", "Hello from a session!");
    return c.text("Saved.\n");
  })
  .get("/get", async (c) => c.text(`${(await c.var.session()).getString("message")}\n`));

export default { fetch: app.fetch, scheduled: scheduledPurge(managerOf) };

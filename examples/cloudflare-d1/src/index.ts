/**
 * Sessions on Cloudflare Workers, in the D1 database `DB`; a cron trigger deletes expired ones.
 * @module
 */

import { type Context, Hono } from "hono";
import { csrf } from "hono/csrf";
import { sessions } from "@x/sessions";
import { honoSessions } from "@x/sessions/middleware/hono";
import { scheduledPurge } from "@x/sessions/middleware/scheduled";
import { type D1Database, D1Store } from "@x/sessions/stores/d1";

type Bindings = { DB: D1Database };
type Data = { user: string; count: number };

/** The binding arrives with the first request, and is the same for all requests of an instance. */
function managerOf({ DB }: Bindings) {
  const store = new D1Store(DB, { cleanup: "off" }); // the cron trigger does it
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
  });

// The free plan allows 50 queries in each run: what is left is for the next one.
export default { fetch: app.fetch, scheduled: scheduledPurge(managerOf, { maxStatements: 40 }) };

/**
 * Sessions on Node in the PlanetScale database at `DATABASE_URL`, over HTTP.
 * @module
 */

import { serve } from "@hono/node-server";
import { Client } from "@planetscale/database";
import { Hono } from "hono";
import { csrf } from "hono/csrf";
import { sessions } from "@x/sessions";
import { honoSessions } from "@x/sessions/middleware/hono";
import { fetchWithTimeout, PlanetScaleStore } from "@x/sessions/stores/planetscale";

const url = process.env.DATABASE_URL;
if (!url) throw new Error("DATABASE_URL is not set");
const client = new Client({ url, fetch: fetchWithTimeout(2_000) });
const store = new PlanetScaleStore(client, { cleanup: "timer" });

const manager = sessions({ store, lifetime: "7d", idleTimeout: "2h" });

const app = new Hono()
  .use(honoSessions(manager))
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
    if (session.subject !== undefined) await manager.destroyAll(session.subject);
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

serve({ fetch: app.fetch, port: Number(process.env.PORT ?? 8000) }, ({ port }) => {
  console.log(`listening on ${port}`);
});

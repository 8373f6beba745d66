/**
 * Sessions on Deno and Deno Deploy: in the libSQL database at `LIBSQL_URL`, or in memory without one.
 * @module
 */

/// <reference lib="deno.unstable" />

import { createClient } from "@libsql/client/web";
import { Hono } from "hono";
import { csrf } from "hono/csrf";
import { sessions } from "@x/sessions";
import { honoSessions } from "@x/sessions/middleware/hono";
import { scheduledPurge } from "@x/sessions/middleware/scheduled";
import { fetchWithTimeout, LibSQLStore } from "@x/sessions/stores/libsql";

type Data = { user: string; count: number; message: string };

const url = Deno.env.get("LIBSQL_URL");
const authToken = Deno.env.get("LIBSQL_AUTH_TOKEN");
const store = url
  ? new LibSQLStore(createClient({ url, authToken, fetch: fetchWithTimeout(2_000) }))
  : undefined;
await store?.createTable();

const manager = sessions<Data>({ store, lifetime: "7d", idleTimeout: "2h" });

// Missing without --unstable-cron. Stores also purge by themselves, now and then.
if (typeof Deno.cron === "function") {
  Deno.cron("purge expired sessions", "0 * * * *", scheduledPurge(manager));
}

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
  })
  .get("/put", async (c) => {
    (await c.var.session()).put("message", "Hello from a session!");
    return c.text("Saved.\n");
  })
  .get("/get", async (c) => c.text(`${(await c.var.session()).getString("message")}\n`));

export default { fetch: app.fetch } satisfies Deno.ServeDefaultExport;

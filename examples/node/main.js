/**
 * Sessions on Node in the SQLite file at `SESSIONS_DB`, by Node's own `node:sqlite`.
 * @module
 */

import { DatabaseSync } from "node:sqlite";
import { serve } from "@hono/node-server";
import { Hono } from "hono";
import { csrf } from "hono/csrf";
import { sessions } from "@x/sessions";
import { honoSessions } from "@x/sessions/middleware/hono";
import { SQLiteStore } from "@x/sessions/stores/sqlite";

const database = new DatabaseSync(process.env.SESSIONS_DB ?? "sessions.db");
// Readers and writers do not wait for each other, in this process or another.
database.exec("PRAGMA journal_mode = WAL; PRAGMA synchronous = NORMAL");

const store = new SQLiteStore(database, { cleanup: "timer", cleanupInterval: "10m" });
await store.createTable();

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

const server = serve({ fetch: app.fetch, port: Number(process.env.PORT ?? 8000) }, ({ port }) => {
  console.log(`listening on ${port}`);
});

process.on("SIGTERM", () => {
  server.close(() => {
    store.stopCleanup();
    database.close();
  });
});

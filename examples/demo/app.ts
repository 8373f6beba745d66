/**
 * What the demo does with a session: values, a flash message, log in and out, the user's other sessions.
 * @module
 */

import { Hono } from "hono";
import { csrf } from "hono/csrf";
import type { SessionManager } from "@x/sessions";
import { honoSessions } from "@x/sessions/middleware/hono";
import { page } from "./page.ts";

/** What the demo keeps in a session. */
export type Data = {
  counter: number;
  /** Shown once, on the next page. */
  flash: string;
  /** What `/put` stores for `/get`. */
  message: string;
  /** The browser that logged in. */
  device: string;
};

/** The demo, as one application on one session manager. */
export function demoApp(manager: SessionManager<Data>) {
  return new Hono()
    // SameSite=Lax alone lets other sites of the same domain send forms: this checks where a form comes from.
    .use(csrf())
    .use(honoSessions(manager))
    .get("/", async (c) => {
      const session = await c.var.session();
      const flash = session.pop("flash");
      const { subject } = session;
      const all = subject === undefined ? [] : await manager.sessionsOf(subject, { current: session });
      return c.html(page(session, flash, all));
    })
    .post("/count", async (c) => {
      const session = await c.var.session();
      // update(), not get() and put(): two tabs that count at once both count.
      session.update("counter", (counter = 0) => counter + 1);
      return c.redirect("/", 303);
    })
    .post("/flash", async (c) => {
      const session = await c.var.session();
      const { text } = await c.req.parseBody();
      if (typeof text === "string" && text !== "") session.put("flash", text.slice(0, 200));
      return c.redirect("/", 303);
    })
    .post("/login", async (c) => {
      const session = await c.var.session();
      const { name } = await c.req.parseBody();
      const subject = typeof name === "string" ? name.trim().slice(0, 60).toWellFormed() : "";
      if (subject === "") {
        session.put("flash", "Enter a name to log in.");
        return c.redirect("/", 303);
      }
      // Another user's values must not follow whoever logs in over a session that is still open.
      if (session.subject !== undefined && session.subject !== subject) session.clear();
      session.renewToken();
      session.subject = subject;
      session.put("device", browserOf(c.req.header("User-Agent") ?? "unknown"));
      session.put("flash", `Welcome, ${subject}. Your session has a new token.`);
      return c.redirect("/", 303);
    })
    .post("/logout", async (c) => {
      const session = await c.var.session();
      await session.destroy();
      return c.redirect("/", 303);
    })
    .post("/revoke", async (c) => {
      const session = await c.var.session();
      const { id } = await c.req.parseBody();
      if (session.subject !== undefined && typeof id === "string") {
        const ended = await manager.destroySession(session.subject, id);
        session.put("flash", ended ? "That session has ended." : "That session had already ended.");
      }
      return c.redirect("/", 303);
    })
    .post("/logout-everywhere", async (c) => {
      const session = await c.var.session();
      if (session.subject !== undefined) await manager.destroyAll(session.subject);
      await session.destroy();
      return c.redirect("/", 303);
    })
    // The two handlers of the example in SCS's README.
    .get("/put", async (c) => {
      const session = await c.var.session();
      session.put("message", "Hello from a session!");
      return c.body(null);
    })
    .get("/get", async (c) => {
      const session = await c.var.session();
      return c.text(session.getString("message"));
    });
}

/** What people call the browser. Most claim to be several. */
function browserOf(userAgent: string): string {
  const name = ["Edg", "OPR", "Firefox", "Chrome", "Safari"].find((known) => userAgent.includes(`${known}/`));
  return { Edg: "Edge", OPR: "Opera" }[name ?? ""] ?? name ?? userAgent.slice(0, 60);
}

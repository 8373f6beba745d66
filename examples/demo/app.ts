/**
 * The demo's routes: values, a flash message, login, logout, and the user's other devices.
 * @module
 */

import { Hono } from "hono";
import { getCookie } from "hono/cookie";
import { csrf } from "hono/csrf";
import { secureHeaders } from "hono/secure-headers";
import type { SessionManager } from "@x/sessions";
import { honoSessions } from "@x/sessions/middleware/hono";
import { showCosts } from "./costs.ts";
import { deviceOf } from "./devices.ts";
import type { EventLog } from "./log.ts";
import { accountPage, layout } from "./pages.ts";
import { isRace, run } from "./races.ts";
import { racesPage } from "./races_page.ts";
import base from "./assets/base.css" with { type: "text" };
import content from "./assets/content.css" with { type: "text" };
import foot from "./assets/foot.css" with { type: "text" };
import icon from "./assets/icon.svg" with { type: "text" };
import script from "./assets/script.js" with { type: "text" };

/** The values of a session. */
export type Data = {
  counter: number;
  /** Shown once, on the next page. */
  flash: string;
  /** What `/put` stores for `/get`. */
  message: string;
  /** The browser and system that signed in. */
  device: string;
};

/** The demo as one Hono application. */
export function demoApp(manager: SessionManager<Data>, log: EventLog) {
  return new Hono()
    // These routes never ask for the session, so they cost no store call and get no header.
    .get("/style.css", (c) => c.body(base + content + foot, 200, { "Content-Type": "text/css" }))
    .get("/script.js", (c) => c.body(script, 200, { "Content-Type": "text/javascript" }))
    .on("GET", ["/icon.svg", "/favicon.ico"], (c) => c.body(icon, 200, { "Content-Type": "image/svg+xml" }))
    .get("/log", (c) => log.stream(Number(c.req.header("Last-Event-ID") ?? c.req.query("after") ?? 0)))
    // Mounted outside of the sessions, so that it also sees their headers.
    .use(showCosts())
    .use(secureHeaders({ contentSecurityPolicy: { defaultSrc: ["'self'"] } }))
    // SameSite=Lax lets other sites of the same domain send forms. This checks the origin of a form.
    .use(csrf())
    .use(honoSessions(manager))
    .get("/", async (c) => {
      const session = await c.var.session();
      const flash = session.pop("flash");
      const { subject } = session;
      const all = subject === undefined ? [] : await manager.sessionsOf(subject, { current: session });
      const hasCookie = (getCookie(c, "session") ?? getCookie(c, "__Host-session")) !== undefined;
      return c.html(layout({ here: "/", log, main: accountPage({ session, flash, all, hasCookie }) }));
    })
    .post("/count", async (c) => {
      const session = await c.var.session();
      // update() rather than get() and put(): if two tabs count at once, both count.
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
        session.put("flash", "Enter a name to sign in.");
        return c.redirect("/", 303);
      }
      // If another user is still signed in, their values must not go to the next one.
      if (session.subject !== undefined && session.subject !== subject) session.clear();
      session.renewToken();
      session.subject = subject;
      session.put("device", deviceOf(c.req.header("User-Agent")));
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
        session.put("flash", ended ? "That device is signed out." : "That device had signed out already.");
      }
      return c.redirect("/", 303);
    })
    .post("/logout-others", async (c) => {
      const session = await c.var.session();
      if (session.subject !== undefined) {
        const count = await manager.destroyAll(session.subject, { except: session });
        session.put("flash", `Signed out elsewhere: ${count === 1 ? "1 device" : `${count} devices`}.`);
      }
      return c.redirect("/", 303);
    })
    .post("/logout-everywhere", async (c) => {
      const session = await c.var.session();
      if (session.subject !== undefined) await manager.destroyAll(session.subject);
      await session.destroy();
      return c.redirect("/", 303);
    })
    // These two routes never ask for the session either.
    .get("/races", (c) => c.html(layout({ here: "/races", log, main: racesPage() })))
    .post("/races", async (c) => {
      const { race } = await c.req.parseBody();
      if (typeof race !== "string" || !isRace(race)) return c.redirect("/races", 303);
      const result = await run(race, (event) => log.add("race", event));
      return c.html(layout({ here: "/races", log, main: racesPage({ race, result }) }));
    })
    // The two handlers of SCS's README.
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

/**
 * The app on iron-session.
 *
 * @module
 */

import { type Context, Hono } from "hono";
import { getIronSession, webCookies } from "iron-session";
import { type About, type App, type Controls, LAST_MODIFIED, LIST, run, serve } from "../../compare/_app.ts";
import { SECRET, versions } from "./_versions.ts";

type Values = { user: string; count: number; [LIST]: number[]; [key: string]: unknown };

const about: About = {
  name: "iron-session",
  packages: versions("iron-session", "hono"),
  store: "the cookie",
  pages: [
    {
      url: "https://github.com/vvo/iron-session#readme",
      says:
        '`webCookies()`, `save()`, `destroy()`; "How to invalidate sessions?" says that they cannot be ended at once',
    },
  ],
  notes: [
    "It has no store, by design: a session is the cookie, and whoever keeps the cookie keeps the session, until it expires.",
  ],
};

function start(controls: Controls): App {
  const app = new Hono()
    .get("/public", (c) => c.text("hello"))
    .get("/read", async (c) => {
      const { session } = await open(c);
      await controls.gate(c.req.query("gate"));
      return c.json({ user: session.user, values: { ...session } });
    })
    .get("/named", async (c) => {
      const { session } = await open(c);
      c.header("Last-Modified", LAST_MODIFIED);
      return c.json({ user: session.user });
    })
    .get("/landing", async (c) => {
      const { session, send } = await open(c);
      session.landed = "yes";
      await session.save();
      c.header("Cache-Control", "max-age=60");
      return send(c.text("welcome"));
    })
    .post("/write", async (c) => {
      const { session, send } = await open(c);
      await controls.gate(c.req.query("gate"));
      session[c.req.query("key")!] = c.req.query("value");
      await session.save();
      return send(c.text("written"));
    })
    .post("/count", async (c) => {
      const { session, send } = await open(c);
      await controls.gate(c.req.query("gate"));
      session.count = (session.count ?? 0) + 1;
      await session.save();
      return send(c.text("counted"));
    })
    .post("/list", async (c) => {
      const { session, send } = await open(c);
      session[LIST] = [1];
      await session.save();
      return send(c.text("made"));
    })
    .post("/push", async (c) => {
      const { session, send } = await open(c);
      session[LIST]!.push(2);
      await session.save();
      return send(c.text("pushed"));
    })
    .post("/login", async (c) => {
      const { session, send } = await open(c);
      await controls.gate(c.req.query("gate"));
      session.user = c.req.query("user")!;
      await session.save();
      return send(c.text("signed in"));
    })
    .post("/logout", async (c) => {
      const { session, send } = await open(c);
      session.destroy();
      return send(c.text("signed out"));
    })
    .post("/sign-out-everywhere", (c) => c.body(null, 501));
  return { port: serve(app.fetch) };
}

/** The session of a request, and a function that adds its cookies to the response. */
async function open(c: Context) {
  const headers = new Headers();
  const session = await getIronSession<Values>(webCookies(c.req.raw, headers), {
    password: SECRET,
    cookieName: "session",
    cookieOptions: { secure: false },
  });
  const send = (response: Response) => {
    for (const cookie of headers.getSetCookie()) response.headers.append("Set-Cookie", cookie);
    return response;
  };
  return { session, send };
}

await run(about, start);

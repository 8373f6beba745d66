import { type Context, Hono } from "hono";
import { getCookie, setCookie } from "hono/cookie";
import { getIronSession } from "npm:iron-session@9.0.1";
import {
  fetchSubject,
  ROUTES,
  SECRET,
  seen,
  type Subject,
  VALUES,
  type Values,
} from "../subjects/subject.ts";

/** Stores everything in the encrypted cookie, which a handler opens when it needs the session. */
function ironSessionPeer(): Subject {
  const open = (c: Context) =>
    getIronSession<Partial<Values>>({
      read: (name) => getCookie(c, name),
      write: (name, value, options) => setCookie(c, name, value, options as Parameters<typeof setCookie>[3]),
    }, { password: SECRET, cookieName: "session" });
  const app = new Hono()
    .get(ROUTES.untouched, (c) => c.text("nothing"))
    .get(ROUTES.read, async (c) => {
      const session = await open(c);
      seen.value = session.name;
      return c.text("read");
    })
    .get(ROUTES.object, async (c) => {
      const session = await open(c);
      seen.value = session.cart;
      return c.text("object");
    })
    .get(ROUTES.write, async (c) => {
      const session = await open(c);
      if (session.name === undefined) Object.assign(session, VALUES);
      session.count = (session.count ?? 0) + 1;
      seen.value = session.count;
      await session.save();
      return c.text("write");
    });
  return fetchSubject({ name: "iron-session", kind: "cookie" }, app.fetch);
}

export const subjects: readonly Subject[] = [ironSessionPeer()];

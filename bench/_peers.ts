/**
 * The same little application on each session library: a route that has nothing to do with sessions, one that reads and
 * one that writes. As each library is installed, with a store in memory where it has stores.
 * @module
 */

import { useSession, useSessionStorage } from "@hono/session";
import { type Context, Hono } from "hono";
import { getCookie, setCookie } from "hono/cookie";
import {
  MemoryStore as PeerMemoryStore,
  type Session as PeerSession,
  sessionMiddleware,
} from "hono-sessions";
import { getIronSession } from "iron-session";
import { honoSessions } from "../middleware/hono.ts";
import { sessions } from "../mod.ts";

/** An application; `/`, `/read` and `/write` are its routes. */
export interface Subject {
  name: string;
  /** Whom it is about: this library's name is the first column of the table. */
  fetch(request: Request): Response | Promise<Response>;
}

/** What a session holds, beside the count that `/write` changes. */
const VALUES = { name: "Zoë", cart: [1001, 1002, 1003, 1004] };
const SECRET = "a secret of at least thirty-two characters";

/** Without sessions: what all the others are held against. */
export const bare: Subject = {
  name: "bare Hono",
  fetch: new Hono()
    .get("/", (c) => c.text("nothing"))
    .get("/read", (c) => c.text("read"))
    .get("/write", (c) => c.text("write")).fetch,
};

function ours(): Subject {
  const manager = sessions<{ name: string; cart: number[]; count: number }>();
  const app = new Hono()
    .use(honoSessions(manager))
    .get("/", (c) => c.text("nothing"))
    .get("/read", async (c) => {
      (await c.var.session()).get("name");
      return c.text("read");
    })
    .get("/write", async (c) => {
      const session = await c.var.session();
      if (!session.exists("name")) {
        session.put("name", VALUES.name);
        session.put("cart", VALUES.cart);
      }
      session.update("count", (count = 0) => count + 1);
      return c.text("write");
    });
  return { name: "@x/sessions", fetch: app.fetch };
}

function honoSessionsPeer(): Subject {
  type Values = { name: string; cart: number[]; count: number };
  const app = new Hono<{ Variables: { session: PeerSession<Values>; session_key_rotation: boolean } }>()
    .use("*", sessionMiddleware({ store: new PeerMemoryStore(), expireAfterSeconds: 86_400 }))
    .get("/", (c) => c.text("nothing"))
    .get("/read", (c) => {
      c.get("session").get("name");
      return c.text("read");
    })
    .get("/write", (c) => {
      const session = c.get("session");
      if (!session.get("name")) {
        session.set("name", VALUES.name);
        session.set("cart", VALUES.cart);
      }
      session.set("count", (session.get("count") ?? 0) + 1);
      return c.text("write");
    });
  return { name: "hono-sessions", fetch: app.fetch };
}

function honoSessionPeer(): Subject {
  const rows = new Map<string, string>();
  const app = new Hono()
    .use(
      useSessionStorage({
        get: (id) => JSON.parse(rows.get(id) ?? "null"),
        set: (id, value) => void rows.set(id, JSON.stringify(value)),
        delete: (id) => void rows.delete(id),
      }),
      useSession({ secret: SECRET, duration: { absolute: 86_400 } }),
    )
    .get("/", (c) => c.text("nothing"))
    .get("/read", async (c) => {
      await c.var.session.get();
      return c.text("read");
    })
    .get("/write", async (c) => {
      const data = (await c.var.session.get()) as { count?: number } | null;
      await c.var.session.update({ ...VALUES, count: (data?.count ?? 0) + 1 });
      return c.text("write");
    });
  return { name: "@hono/session", fetch: app.fetch };
}

function ironSessionPeer(): Subject {
  const open = (c: Context) =>
    getIronSession<{ name?: string; cart?: number[]; count?: number }>({
      read: (name) => getCookie(c, name),
      write: (name, value, options) => setCookie(c, name, value, options as Parameters<typeof setCookie>[3]),
    }, { password: SECRET, cookieName: "session" });
  const app = new Hono()
    .get("/", (c) => c.text("nothing"))
    .get("/read", async (c) => {
      (await open(c)).name;
      return c.text("read");
    })
    .get("/write", async (c) => {
      const session = await open(c);
      Object.assign(session, VALUES, { count: (session.count ?? 0) + 1 });
      await session.save();
      return c.text("write");
    });
  return { name: "iron-session (in the cookie)", fetch: app.fetch };
}

/** This library first, then the others. */
export const subjects: readonly Subject[] = [
  ours(),
  honoSessionsPeer(),
  honoSessionPeer(),
  ironSessionPeer(),
];

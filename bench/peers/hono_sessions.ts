import { Hono } from "hono";
import { MemoryStore, type Session, sessionMiddleware } from "npm:hono-sessions@0.8.1";
import {
  fetchSubject,
  LIFETIME_SECONDS,
  ROUTES,
  seen,
  type Subject,
  VALUES,
  type Values,
} from "../subjects/subject.ts";

/** Its own in-memory store, which stores the object itself. It reads and writes on every request. */
function honoSessionsPeer(): Subject {
  const app = new Hono<{ Variables: { session: Session<Values>; session_key_rotation: boolean } }>()
    .use("*", sessionMiddleware({ store: new MemoryStore(), expireAfterSeconds: LIFETIME_SECONDS }))
    .get(ROUTES.untouched, (c) => c.text("nothing"))
    .get(ROUTES.read, (c) => {
      seen.value = c.get("session").get("name");
      return c.text("read");
    })
    .get(ROUTES.object, (c) => {
      seen.value = c.get("session").get("cart");
      return c.text("object");
    })
    .get(ROUTES.write, (c) => {
      const session = c.get("session");
      if (!session.get("name")) {
        session.set("name", VALUES.name);
        session.set("cart", VALUES.cart);
      }
      session.set("count", (session.get("count") ?? 0) + 1);
      seen.value = session.get("count");
      return c.text("write");
    });
  return fetchSubject({ name: "hono-sessions", kind: "store" }, app.fetch);
}

export const subjects: readonly Subject[] = [honoSessionsPeer()];

import { type SessionOptions, sessions } from "@x/sessions";
import { honoSessions } from "@x/sessions/middleware/hono";
import { Hono } from "hono";
import { fetchSubject, ROUTES, seen, type Subject, VALUES, type Values } from "./subject.ts";

function ours(name: string, options: SessionOptions): Subject {
  const manager = sessions<Values>(options);
  const app = new Hono()
    .use(honoSessions(manager))
    .get(ROUTES.untouched, (c) => c.text("nothing"))
    .get(ROUTES.read, async (c) => {
      const session = await c.var.session();
      seen.value = session.get("name");
      return c.text("read");
    })
    .get(ROUTES.object, async (c) => {
      const session = await c.var.session();
      seen.value = session.get("cart");
      return c.text("object");
    })
    .get(ROUTES.write, async (c) => {
      const session = await c.var.session();
      if (!session.exists("name")) {
        session.put("name", VALUES.name);
        session.put("cart", VALUES.cart);
      }
      session.update("count", (count = 0) => count + 1);
      seen.value = session.get("count");
      return c.text("write");
    });
  return fetchSubject({ name, kind: "ours" }, app.fetch);
}

/** This library with its defaults. */
export function oursAsInstalled(): Subject {
  return ours("@x/sessions", {});
}

/** This library with an idle timeout. Each request checks it, and none has to move it. */
export function oursWithIdleTimeout(): Subject {
  return ours("@x/sessions, idle timeout", { idleTimeout: "20m" });
}

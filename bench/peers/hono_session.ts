import { Hono } from "hono";
import { useSession, useSessionStorage } from "npm:@hono/session@0.2.1";
import {
  fetchSubject,
  LIFETIME_SECONDS,
  ROUTES,
  SECRET,
  seen,
  type Subject,
  VALUES,
  type Values,
} from "../subjects/subject.ts";

/** It has no store of its own. Here it stores text by id in a `Map`, as its documentation shows. */
function honoSessionPeer(): Subject {
  const rows = new Map<string, string>();
  const app = new Hono()
    .use(
      useSessionStorage({
        get: (id) => JSON.parse(rows.get(id) ?? "null"),
        set: (id, value) => void rows.set(id, JSON.stringify(value)),
        delete: (id) => void rows.delete(id),
      }),
      useSession({ secret: SECRET, duration: { absolute: LIFETIME_SECONDS } }),
    )
    .get(ROUTES.untouched, (c) => c.text("nothing"))
    .get(ROUTES.read, async (c) => {
      const data = await c.var.session.get() as Partial<Values> | null;
      seen.value = data?.name;
      return c.text("read");
    })
    .get(ROUTES.object, async (c) => {
      const data = await c.var.session.get() as Partial<Values> | null;
      seen.value = data?.cart;
      return c.text("object");
    })
    .get(ROUTES.write, async (c) => {
      const data = await c.var.session.get() as Partial<Values> | null;
      const count = (data?.count ?? 0) + 1;
      await c.var.session.update({ ...data ?? VALUES, count });
      seen.value = count;
      return c.text("write");
    });
  return fetchSubject({ name: "@hono/session", kind: "store" }, app.fetch);
}

export const subjects: readonly Subject[] = [honoSessionPeer()];

import { Hono } from "hono";
import { fetchSubject, ROUTES, type Subject } from "./subject.ts";

/** Hono without sessions: what the libraries for `Request` and `Response` are held against. */
export function bareHono(): Subject {
  const app = new Hono()
    .get(ROUTES.untouched, (c) => c.text("nothing"))
    .get(ROUTES.read, (c) => c.text("read"))
    .get(ROUTES.object, (c) => c.text("object"))
    .get(ROUTES.write, (c) => c.text("write"));
  return fetchSubject({ name: "bare Hono", kind: "base", signIn: () => Promise.resolve("") }, app.fetch);
}

import { Hono } from "hono";
import { fetchSubject, ROUTES, type Subject } from "./subject.ts";

/** Hono without sessions: the base of the libraries for `Request` and `Response`. */
export function bareHono(): Subject {
  const app = new Hono()
    .get(ROUTES.untouched, (c) => c.text("nothing"))
    .get(ROUTES.read, (c) => c.text("read"))
    .get(ROUTES.object, (c) => c.text("object"))
    .get(ROUTES.write, (c) => c.text("write"));
  return fetchSubject({ name: "bare Hono", kind: "base", signIn: () => Promise.resolve("") }, app.fetch);
}

/**
 * The app on @hono/session.
 *
 * @module
 */

import { useSession, useSessionStorage } from "@hono/session";
import { type Context, Hono } from "hono";
import { createStorage } from "unstorage";
import { type About, type App, type Controls, LAST_MODIFIED, LIST, run, serve } from "../../compare/_app.ts";
import { SECRET, versions } from "./_versions.ts";

type Values = { user?: string; count?: number; [LIST]?: number[]; [key: string]: unknown };

const about: About = {
  name: "@hono/session",
  packages: versions("@hono/session", "unstorage", "hono"),
  store: "unstorage, in memory",
  pages: [
    {
      url: "https://github.com/honojs/middleware/tree/main/packages/session#readme",
      says: "`duration`, `get()`, `update()` and `delete()`",
    },
    {
      url: "https://github.com/honojs/middleware/blob/main/packages/session/examples/unstorage.ts",
      says: "the store",
    },
  ],
  notes: [
    "Without a storage its sessions are in the cookie, as those of iron-session. The README has both.",
    "It has no call that renews a session's id.",
    "`update()` reads the session again just before it changes it. Two of them may still meet.",
    "It does not await `set` and `delete` of the storage, so that a rejection ends the process, on Deno as on Node. Whoever writes the storage has to catch it.",
  ],
};

function start(controls: Controls): App {
  const storage = createStorage<Values>();
  // deno-lint-ignore require-await -- a store that is down rejects
  const watched = async <T>(kind: "read" | "write", name: string, call: () => T) => {
    controls.storeCall(kind, name);
    return call();
  };

  /** `update()` reads the session itself. A handler with other work has read it before that. */
  const readBeforeGate = async (c: Context) => {
    const gate = c.req.query("gate");
    if (gate) await c.var.session.get();
    await controls.gate(gate);
  };

  const app = new Hono()
    .use(
      useSessionStorage({
        get: (id) => watched("read", "get", () => storage.get(id)),
        set: (id, values) => void watched("write", "set", () => storage.set(id, values)),
        delete: (id) => void watched("write", "remove", () => storage.remove(id)),
      }),
      useSession({ secret: SECRET, duration: { absolute: 86_400 } }),
    )
    .get("/public", (c) => c.text("hello"))
    .get("/read", async (c) => {
      const values = await c.var.session.get() as Values | null;
      await controls.gate(c.req.query("gate"));
      return c.json({ user: values?.user, values: values ?? {} });
    })
    .get("/named", async (c) => {
      const values = await c.var.session.get() as Values | null;
      c.header("Last-Modified", LAST_MODIFIED);
      return c.json({ user: values?.user });
    })
    .get("/landing", async (c) => {
      await c.var.session.update({ landed: "yes" });
      c.header("Cache-Control", "max-age=60");
      return c.text("welcome");
    })
    .post("/write", async (c) => {
      await readBeforeGate(c);
      await c.var.session.update((values) => ({ ...values, [c.req.query("key")!]: c.req.query("value") }));
      return c.text("written");
    })
    .post("/count", async (c) => {
      await readBeforeGate(c);
      await c.var.session.update((values) => ({
        ...values,
        count: ((values as Values | null)?.count ?? 0) + 1,
      }));
      return c.text("counted");
    })
    .post("/list", async (c) => {
      await c.var.session.update((values) => ({ ...values, [LIST]: [1] }));
      return c.text("made");
    })
    .post("/push", async (c) => {
      const values = await c.var.session.get() as Values;
      values[LIST]!.push(2);
      await c.var.session.update(values);
      return c.text("pushed");
    })
    .post("/login", async (c) => {
      await readBeforeGate(c);
      await c.var.session.update((values) => ({ ...values, user: c.req.query("user") }));
      return c.text("signed in");
    })
    .post("/logout", async (c) => {
      await c.var.session.get();
      c.var.session.delete();
      return c.text("signed out");
    })
    .post("/sign-out-everywhere", (c) => c.body(null, 501));

  return {
    port: serve(app.fetch),
    rows: async () =>
      await Promise.all(
        (await storage.getKeys()).map(async (id) => [id, JSON.stringify(await storage.get(id))]),
      ),
    spoil: async () => {
      for (const id of await storage.getKeys()) await storage.setItemRaw(id, "{{{ no row");
    },
  };
}

await run(about, start);

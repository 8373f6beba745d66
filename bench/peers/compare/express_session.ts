/**
 * The app on express-session.
 *
 * @module
 */

import type { AddressInfo } from "node:net";
// @ts-types="npm:@types/express@5.0.6"
import express from "express";
// @ts-types="npm:@types/express-session@1.19.0"
import session, { type Session } from "express-session";
import { type About, type App, type Controls, LAST_MODIFIED, LIST, run } from "../../compare/_app.ts";
import { SECRET, versions } from "./_versions.ts";

type Values = { user?: string | null; count?: number; [LIST]?: number[]; [key: string]: unknown };

const README = "https://github.com/expressjs/session#readme";

const about: About = {
  name: "express-session",
  packages: versions("express-session", "express"),
  store: "its `MemoryStore`",
  pages: [
    {
      url: README,
      says: '`resave: false`, `saveUninitialized: false`; login and logout as under "User login"',
    },
  ],
  notes: [
    "Its README says that `MemoryStore` is not for production. It keeps JSON by id. The stores for databases have the same four calls: `get`, `set`, `touch` and `destroy` of a whole session.",
    "A handler that calls `req.session.save(callback)` itself, as the login does, hears of a save that fails. Its README says that handlers typically need not.",
  ],
};

function start(controls: Controls): Promise<App> {
  const store = new session.MemoryStore();
  watch(store, controls);
  const app = express();
  app.use(session({
    secret: SECRET,
    resave: false,
    saveUninitialized: false,
    store,
  }));
  const valuesOf = (request: express.Request) => request.session as unknown as Session & Values;
  const query = (request: express.Request, name: string) => request.query[name] as string | undefined;

  app.get("/public", (_request, response) => void response.send("hello"));
  app.get("/read", async (request, response) => {
    await controls.gate(query(request, "gate"));
    const { cookie: _, ...values } = valuesOf(request);
    response.json({ user: values.user ?? undefined, values });
  });
  app.get("/named", (request, response) => {
    response.set("Last-Modified", LAST_MODIFIED);
    response.json({ user: valuesOf(request).user ?? undefined });
  });
  app.get("/landing", (request, response) => {
    valuesOf(request).landed = "yes";
    response.set("Cache-Control", "max-age=60");
    response.send("welcome");
  });
  app.post("/write", async (request, response) => {
    await controls.gate(query(request, "gate"));
    valuesOf(request)[query(request, "key")!] = query(request, "value");
    response.send("written");
  });
  app.post("/count", async (request, response) => {
    await controls.gate(query(request, "gate"));
    const values = valuesOf(request);
    values.count = (values.count ?? 0) + 1;
    response.send("counted");
  });
  app.post("/list", (request, response) => {
    valuesOf(request)[LIST] = [1];
    response.send("made");
  });
  app.post("/push", (request, response) => {
    valuesOf(request)[LIST]!.push(2);
    response.send("pushed");
  });
  app.post("/login", async (request, response, next) => {
    await controls.gate(query(request, "gate"));
    request.session.regenerate((error) => {
      if (error) return next(error);
      valuesOf(request).user = query(request, "user")!;
      request.session.save((error) => {
        if (error) return next(error);
        response.send("signed in");
      });
    });
  });
  app.post("/logout", (request, response, next) => {
    valuesOf(request).user = null;
    request.session.save((error) => {
      if (error) return next(error);
      request.session.regenerate((error) => {
        if (error) return next(error);
        response.send("signed out");
      });
    });
  });
  app.post("/sign-out-everywhere", (_request, response) => void response.status(501).end());
  // Express prints the stack of what a handler throws.
  app.set("env", "test");

  // Its types do not declare its fields.
  const kept = store as unknown as { sessions: Record<string, string> };
  return new Promise((resolve) => {
    const server = app.listen(0, "127.0.0.1", () => {
      resolve({
        port: (server.address() as AddressInfo).port,
        rows: () => Object.entries(kept.sessions).map(([id, text]) => [id, text]),
        spoil() {
          for (const id of Object.keys(kept.sessions)) kept.sessions[id] = "{{{ no row";
        },
      });
    });
  });
}

/** Counts the store calls, and lets them fail as a store does: through the callback. */
function watch(store: session.MemoryStore, controls: Controls): void {
  const kinds = { get: "read", set: "write", touch: "write", destroy: "write" } as const;
  const methods = store as unknown as Record<string, (...given: unknown[]) => void>;
  for (const [name, kind] of Object.entries(kinds)) {
    const method = methods[name]!.bind(store);
    methods[name] = (...given) => {
      try {
        controls.storeCall(kind, name);
      } catch (error) {
        const callback = given.at(-1) as ((error: unknown) => void) | undefined;
        setImmediate(() => callback?.(error));
        return;
      }
      method(...given);
    };
  }
}

await run(about, start);

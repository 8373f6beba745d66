/**
 * The app on @fastify/session.
 *
 * @module
 */

import type { AddressInfo } from "node:net";
import fastifyCookie from "@fastify/cookie";
import fastifySession from "@fastify/session";
import fastify, { type FastifyRequest } from "fastify";
import { type About, type App, type Controls, LAST_MODIFIED, LIST, run } from "../../compare/_app.ts";
import { SECRET, versions } from "./_versions.ts";

type Values = { user?: string; count?: number; [LIST]?: number[]; [key: string]: unknown };

const about: About = {
  name: "@fastify/session",
  packages: versions("@fastify/session", "@fastify/cookie", "fastify"),
  store: "its store in memory",
  pages: [
    {
      url: "https://github.com/fastify/session#readme",
      says:
        "the set-up, `saveUninitialized: false`, `rolling: false`, `regenerate()` at login, `destroy()` at logout",
    },
  ],
  notes: [
    "Its README says that the store in memory is not for production. It takes the stores of express-session.",
    "`rolling` is true as installed: then every answer to a user has the cookie, and every request is a write.",
  ],
};

async function start(controls: Controls): Promise<App> {
  const store = new fastifySession.MemoryStore();
  watch(store, controls);
  const app = fastify();
  await app.register(fastifyCookie);
  await app.register(fastifySession, {
    secret: SECRET,
    cookie: { secure: false },
    saveUninitialized: false,
    rolling: false,
    store,
  });
  type Query = { gate?: string; key: string; value: string; user: string };
  const query = (request: FastifyRequest) => request.query as Query;
  // Its types let an application extend a global interface. A cast affects no other file.
  const valuesOf = (request: FastifyRequest) => request.session as unknown as Values;
  const own = new Set(["cookie", "sessionId", "encryptedSessionId"]);

  app.get("/public", () => "hello");
  app.get("/read", async (request) => {
    await controls.gate(query(request).gate);
    const values = Object.fromEntries(Object.entries(request.session).filter(([key]) => !own.has(key)));
    return { user: valuesOf(request).user, values };
  });
  app.get("/named", (request, reply) => {
    reply.header("Last-Modified", LAST_MODIFIED);
    return { user: valuesOf(request).user };
  });
  app.get("/landing", (request, reply) => {
    valuesOf(request).landed = "yes";
    reply.header("Cache-Control", "max-age=60");
    return "welcome";
  });
  app.post("/write", async (request) => {
    await controls.gate(query(request).gate);
    valuesOf(request)[query(request).key] = query(request).value;
    return "written";
  });
  app.post("/count", async (request) => {
    await controls.gate(query(request).gate);
    const values = valuesOf(request);
    values.count = (values.count ?? 0) + 1;
    return "counted";
  });
  app.post("/list", (request) => {
    valuesOf(request)[LIST] = [1];
    return "made";
  });
  app.post("/push", (request) => {
    valuesOf(request)[LIST]!.push(2);
    return "pushed";
  });
  app.post("/login", async (request) => {
    await controls.gate(query(request).gate);
    await request.session.regenerate();
    valuesOf(request).user = query(request).user;
    return "signed in";
  });
  app.post("/logout", async (request) => {
    await request.session.destroy();
    return "signed out";
  });
  app.post("/sign-out-everywhere", (_request, reply) => {
    reply.status(501);
    return "";
  });
  await app.listen({ host: "127.0.0.1", port: 0 });

  // Its types do not declare its fields.
  const kept = store as unknown as { store: Map<string, object> };
  return {
    port: (app.server.address() as AddressInfo).port,
    rows: () => [...kept.store].map(([id, values]) => [id, JSON.stringify(values)]),
  };
}

/** Counts the store calls, and lets them fail as a store does: through the callback. */
function watch(store: InstanceType<typeof fastifySession.MemoryStore>, controls: Controls): void {
  const kinds = { get: "read", set: "write", destroy: "write" } as const;
  const methods = store as unknown as Record<string, (...given: unknown[]) => void>;
  for (const [name, kind] of Object.entries(kinds)) {
    const method = methods[name]!.bind(store);
    methods[name] = (...given) => {
      try {
        controls.storeCall(kind, name);
      } catch (error) {
        setImmediate(() => (given.at(-1) as (error: unknown) => void)(error));
        return;
      }
      method(...given);
    };
  }
}

await run(about, start);

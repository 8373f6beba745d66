/**
 * The app on hono-sessions.
 *
 * @module
 */

import { DatabaseSync } from "node:sqlite";
import { Hono } from "hono";
import { MemoryStore, type Session, sessionMiddleware } from "hono-sessions";
import { BunSqliteStore } from "hono-sessions/bun-sqlite-store";
import { type About, type App, type Controls, LAST_MODIFIED, LIST, run, serve } from "../../compare/_app.ts";
import { SECRET, versions } from "./_versions.ts";

// deno-lint-ignore no-explicit-any -- what a type of its own leaves open
type Values = { user: string; count: number; [LIST]: number[]; [key: string]: any };

const inMemory = Deno.args[0] === "memory";

const about: About = {
  name: inMemory ? "hono-sessions (memory)" : "hono-sessions (SQLite)",
  packages: versions("hono-sessions", "hono"),
  store: inMemory ? "its `MemoryStore`" : "its `BunSqliteStore`",
  pages: [
    {
      url: "https://github.com/jcs224/hono_sessions#readme",
      says: "the options of its example, and the store",
    },
    {
      url: "https://github.com/jcs224/hono_sessions/blob/main/test/deno/server_deno.ts",
      says: "`session_key_rotation` at login and `deleteSession()` at logout, in its test server",
    },
  ],
  notes: inMemory
    ? [
      "This store hands the same object to all requests of its process. Requests at the same time see each other's changes at once, saved or not.",
    ]
    : [
      "Its README starts with `CookieStore`, which keeps everything in the cookie as iron-session does. `BunSqliteStore` is given `node:sqlite` in the shape of `bun:sqlite`.",
    ],
};

function start(controls: Controls): App {
  const { store, ...rows } = inMemory ? memory() : sqlite();
  watch(store, controls);

  const app = new Hono<{ Variables: { session: Session<Values>; session_key_rotation: boolean } }>()
    .use(
      "*",
      sessionMiddleware({
        store,
        encryptionKey: SECRET,
        expireAfterSeconds: 86_400,
        autoExtendExpiration: true,
        cookieOptions: { sameSite: "Lax", path: "/", httpOnly: true },
      }),
    )
    .get("/public", (c) => c.text("hello"))
    .get("/read", async (c) => {
      await controls.gate(c.req.query("gate"));
      const session = c.get("session");
      const keys = Object.keys(session.getCache()._data);
      return c.json({
        user: session.get("user") ?? undefined,
        values: Object.fromEntries(keys.map((key) => [key, session.get(key)])),
      });
    })
    .get("/named", (c) => {
      c.header("Last-Modified", LAST_MODIFIED);
      return c.json({ user: c.get("session").get("user") ?? undefined });
    })
    .get("/landing", (c) => {
      c.get("session").set("landed", "yes");
      c.header("Cache-Control", "max-age=60");
      return c.text("welcome");
    })
    .post("/write", async (c) => {
      await controls.gate(c.req.query("gate"));
      c.get("session").set(c.req.query("key")!, c.req.query("value"));
      return c.text("written");
    })
    .post("/count", async (c) => {
      await controls.gate(c.req.query("gate"));
      const session = c.get("session");
      session.set("count", (session.get("count") || 0) + 1);
      return c.text("counted");
    })
    .post("/list", (c) => {
      c.get("session").set(LIST, [1]);
      return c.text("made");
    })
    .post("/push", (c) => {
      c.get("session").get(LIST)!.push(2);
      return c.text("pushed");
    })
    .post("/login", async (c) => {
      await controls.gate(c.req.query("gate"));
      c.get("session").set("user", c.req.query("user")!);
      c.set("session_key_rotation", true);
      return c.text("signed in");
    })
    .post("/logout", (c) => {
      c.get("session").deleteSession();
      return c.text("signed out");
    })
    .post("/sign-out-everywhere", (c) => c.body(null, 501));

  return { port: serve(app.fetch), ...rows };
}

function memory(): Pick<App, "rows"> & { store: MemoryStore } {
  const store = new MemoryStore();
  // Its types do not declare its fields.
  const { data } = store as unknown as { data: Map<string, object> };
  return { store, rows: () => [...data].map(([id, values]) => [id, JSON.stringify(values)]) };
}

function sqlite(): Pick<App, "rows" | "spoil"> & { store: BunSqliteStore } {
  const database = new DatabaseSync(":memory:");
  return {
    store: new BunSqliteStore(shapedLikeBun(database) as ConstructorParameters<typeof BunSqliteStore>[0]),
    rows: () =>
      database.prepare("SELECT id, data FROM sessions").all().map((row) => [row.id, row.data].map(String)),
    spoil: () => void database.exec("UPDATE sessions SET data = '{{{ no row'"),
  };
}

/** The part of `bun:sqlite` that the store calls. */
function shapedLikeBun(database: DatabaseSync): unknown {
  return {
    query(sql: string) {
      const statement = database.prepare(sql);
      return {
        get: (values: Record<string, string>) => statement.get(values) ?? null,
        run: (values?: Record<string, string>) => values ? statement.run(values) : statement.run(),
      };
    },
  };
}

/** Counts the store calls, and lets them fail. */
function watch(store: BunSqliteStore | MemoryStore, controls: Controls): void {
  const kinds = {
    getSessionById: "read",
    createSession: "write",
    deleteSession: "write",
    persistSessionData: "write",
  } as const;
  const methods = store as unknown as Record<string, (...given: unknown[]) => unknown>;
  for (const [name, kind] of Object.entries(kinds)) {
    const method = methods[name]!.bind(store);
    methods[name] = (...given) => {
      controls.storeCall(kind, name);
      return method(...given);
    };
  }
}

await run(about, start);

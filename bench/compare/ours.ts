/**
 * The app on this library.
 * @module
 */

import { createClient } from "@libsql/client";
import { sessions } from "@x/sessions";
import { honoSessions } from "@x/sessions/middleware/hono";
import { type LibSQLClient, LibSQLStore } from "@x/sessions/stores/libsql";
import { Hono } from "hono";
import config from "../../deno.json" with { type: "json" };
import { type About, type App, type Controls, LAST_MODIFIED, LIST, run, serve } from "./_app.ts";

type Data = { user: string; count: number; [LIST]: number[] } & { [key: string]: unknown };

const about: About = {
  name: "@x/sessions",
  packages: [
    `@x/sessions ${config.version}`,
    `@libsql/client ${config.imports["@libsql/client"].split("^").at(-1)}`,
  ],
  store: "`LibSQLStore`, a file",
  pages: [{ url: "../README.md", says: "the set-up, login and logout" }],
  notes: ["Cleanup is off, as for an app that purges from a scheduler."],
};

async function start(controls: Controls): Promise<App> {
  const directory = await Deno.makeTempDir({ prefix: "sessions_compare_" });
  const client = createClient({ url: `file:${directory}/sessions.db` });
  const store = new LibSQLStore(watched(client as LibSQLClient, controls), { cleanup: "off" });
  await store.createTable();
  const manager = sessions<Data>({ store, onError() {} });

  const app = new Hono()
    .use(honoSessions(manager))
    .get("/public", (c) => c.text("hello"))
    .get("/read", async (c) => {
      const session = await c.var.session();
      await controls.gate(c.req.query("gate"));
      const values = Object.fromEntries(session.keys().map((key) => [key, session.get(key)]));
      return c.json({ user: session.get("user"), values });
    })
    .get("/named", async (c) => {
      const session = await c.var.session();
      c.header("Last-Modified", LAST_MODIFIED);
      return c.json({ user: session.get("user") });
    })
    .get("/landing", async (c) => {
      const session = await c.var.session();
      session.put("landed", "yes");
      c.header("Cache-Control", "max-age=60");
      return c.text("welcome");
    })
    .post("/write", async (c) => {
      const session = await c.var.session();
      await controls.gate(c.req.query("gate"));
      session.put(c.req.query("key")!, c.req.query("value"));
      return c.text("written");
    })
    .post("/count", async (c) => {
      const session = await c.var.session();
      await controls.gate(c.req.query("gate"));
      session.update("count", (count = 0) => count + 1);
      return c.text("counted");
    })
    .post("/list", async (c) => {
      const session = await c.var.session();
      session.put(LIST, [1]);
      return c.text("made");
    })
    .post("/push", async (c) => {
      const session = await c.var.session();
      session.get(LIST)!.push(2);
      return c.text("pushed");
    })
    .post("/login", async (c) => {
      const session = await c.var.session();
      await controls.gate(c.req.query("gate"));
      const user = c.req.query("user")!;
      session.renewToken();
      session.subject = user;
      session.put("user", user);
      return c.text("signed in");
    })
    .post("/logout", async (c) => {
      const session = await c.var.session();
      await session.destroy();
      return c.text("signed out");
    })
    .post("/sign-out-everywhere", async (c) => {
      const session = await c.var.session();
      await manager.destroyAll(session.get("user")!);
      return c.text("signed out everywhere");
    });

  return {
    port: serve(app.fetch),
    async rows() {
      const { rows } = await client.execute("SELECT token, data, expiry, subject FROM sessions");
      return rows.map((row) =>
        [row.token, new TextDecoder().decode(row.data as ArrayBuffer), row.expiry, row.subject].map(String)
      );
    },
    async spoil() {
      await client.execute({
        sql: "UPDATE sessions SET data = ?",
        args: [new TextEncoder().encode("{{{ no row")],
      });
    },
  };
}

/** A client that counts its calls. Over HTTP each is one request. */
function watched(client: LibSQLClient, controls: Controls): LibSQLClient {
  const kindOf = (statements: { sql: string }[]) =>
    statements.every(({ sql }) => /^\s*select/i.test(sql)) ? "read" as const : "write" as const;
  return {
    protocol: client.protocol,
    // deno-lint-ignore require-await -- a store that is down rejects
    async execute(statement) {
      controls.storeCall(kindOf([statement]), "execute");
      return client.execute(statement);
    },
    // deno-lint-ignore require-await -- the same
    async batch(statements, mode) {
      controls.storeCall(kindOf(statements), "batch");
      return client.batch(statements, mode);
    },
    executeMultiple: (sql) => client.executeMultiple!(sql),
    reconnect: () => client.reconnect!(),
  };
}

await run(about, start);

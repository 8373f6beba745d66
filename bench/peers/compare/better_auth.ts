/**
 * The app on better-auth.
 *
 * @module
 */

import { DatabaseSync } from "node:sqlite";
import { betterAuth } from "better-auth";
import { getMigrations } from "better-auth/db/migration";
import { Hono } from "hono";
import { type About, type App, type Controls, LAST_MODIFIED, LIST, run, serve } from "../../compare/_app.ts";
import { SECRET, versions } from "./_versions.ts";

const about: About = {
  name: "better-auth",
  packages: versions("better-auth", "hono"),
  store: "SQLite, by `node:sqlite`",
  pages: [
    { url: "https://better-auth.com/docs/installation", says: "the set-up, with email and password" },
    { url: "https://better-auth.com/docs/adapters/sqlite", says: "the store" },
    {
      url: "https://better-auth.com/docs/concepts/session-management",
      says: "`getSession`, `revokeSessions`, and the cookie cache, which is off as installed",
    },
    { url: "https://better-auth.com/docs/concepts/typescript", says: "`additionalFields`, for the values" },
  ],
  notes: [
    "Only signed-in users have sessions. Your own values are declared columns, and `updateSession` writes them.",
    "Its store calls include those for the user, and at sign-in those for the password.",
    "Its row has a column for each value. For the garbage row all are overwritten but its id, its token and its user. It still says who this is, and no longer until when.",
  ],
};

const PASSWORD = "correct horse battery staple";

async function start(controls: Controls): Promise<App> {
  const database = new DatabaseSync(":memory:");
  watch(database, controls);
  const field = { type: "string", required: false } as const;
  const options = {
    baseURL: "http://127.0.0.1",
    secret: SECRET,
    database,
    emailAndPassword: { enabled: true },
    session: {
      additionalFields: {
        a: field,
        b: field,
        seen: field,
        count: { type: "number", required: false },
        [LIST]: { type: "number[]", required: false },
      },
    },
    logger: { disabled: true },
    telemetry: { enabled: false },
  } as const;
  const auth = betterAuth(options);
  await (await getMigrations(options)).runMigrations();
  const email = (user: string) => `${user}@example.com`;
  for (const user of ["zoe", "mallory"]) {
    await auth.api.signUpEmail({ body: { name: user, email: email(user), password: PASSWORD } });
  }
  database.exec("DELETE FROM session");

  /** Changes values of the session, if there is one. */
  const update = async (headers: Headers, body: Record<string, unknown>, text: string) => {
    const updated = await auth.api.updateSession({ headers, body, asResponse: true });
    if (!updated.ok) return new Response(null, { status: updated.status, headers: cookiesOf(updated) });
    return new Response(text, { headers: cookiesOf(updated) });
  };
  const found = (headers: Headers) => auth.api.getSession({ headers });

  const app = new Hono()
    .get("/public", (c) => c.text("hello"))
    .get("/read", async (c) => {
      const session = await found(c.req.raw.headers);
      await controls.gate(c.req.query("gate"));
      return c.json({ user: session?.user.name, values: session?.session ?? {} });
    })
    .get("/named", async (c) => {
      const session = await found(c.req.raw.headers);
      c.header("Last-Modified", LAST_MODIFIED);
      return c.json({ user: session?.user.name });
    })
    .get("/landing", (c) => c.body(null, 501))
    .post("/write", async (c) => {
      const { headers } = c.req.raw;
      const gate = c.req.query("gate");
      // `updateSession` reads the session itself. A handler with other work has read it before that.
      if (gate && await found(headers) === null) return c.body(null, 401);
      await controls.gate(gate);
      return await update(headers, { [c.req.query("key")!]: c.req.query("value") }, "written");
    })
    .post("/count", async (c) => {
      const session = await found(c.req.raw.headers);
      await controls.gate(c.req.query("gate"));
      return await update(c.req.raw.headers, { count: (session?.session.count ?? 0) + 1 }, "counted");
    })
    .post("/list", (c) => update(c.req.raw.headers, { [LIST]: [1] }, "made"))
    .post("/push", async (c) => {
      const session = await found(c.req.raw.headers);
      const list = session!.session[LIST]!;
      list.push(2);
      return await update(c.req.raw.headers, { [LIST]: list }, "pushed");
    })
    .post("/login", async (c) => {
      const { headers } = c.req.raw;
      const gate = c.req.query("gate");
      if (gate) await found(headers);
      await controls.gate(gate);
      const user = c.req.query("user")!;
      const signedIn = await auth.api.signInEmail({
        headers,
        body: { email: email(user), password: PASSWORD },
        asResponse: true,
      });
      return new Response("signed in", { status: signedIn.status, headers: cookiesOf(signedIn) });
    })
    .post("/logout", async (c) => {
      const signedOut = await auth.api.signOut({ headers: c.req.raw.headers, asResponse: true });
      return new Response("signed out", { status: signedOut.status, headers: cookiesOf(signedOut) });
    })
    .post("/sign-out-everywhere", async (c) => {
      const revoked = await auth.api.revokeSessions({ headers: c.req.raw.headers, asResponse: true });
      return new Response(null, { status: revoked.status, headers: cookiesOf(revoked) });
    });

  return {
    port: serve(app.fetch),
    rows: () => database.prepare("SELECT * FROM session").all().map((row) => Object.values(row).map(String)),
    spoil() {
      const keys = new Set(["id", "token", "userId"]);
      const columns = database.prepare("PRAGMA table_info(session)").all().map(({ name }) => name as string);
      const changes = columns.filter((name) => !keys.has(name)).map((name) => `"${name}" = '{{{ no row'`);
      database.exec(`UPDATE session SET ${changes.join(", ")}`);
    },
  };
}

/** The cookies of an endpoint, for the handler's own response. */
function cookiesOf(response: Response): Headers {
  return new Headers(
    response.headers.getSetCookie().map((cookie) => ["Set-Cookie", cookie] as [string, string]),
  );
}

/** Counts the statements when they run, and lets them fail. The app's own statements are not counted. */
function watch(database: DatabaseSync, controls: Controls): void {
  const prepare = database.prepare.bind(database);
  database.prepare = ((sql: string, ...rest: []) => {
    const statement = prepare(sql, ...rest);
    // The app's own access to its rows.
    if (sql === "SELECT * FROM session") return statement;
    const kind = /^\s*select/i.test(sql) ? "read" : "write";
    for (const name of ["all", "run", "get", "iterate"] as const) {
      const method = statement[name].bind(statement) as (...given: unknown[]) => unknown;
      Object.assign(statement, {
        [name](...given: unknown[]) {
          controls.storeCall(kind, sql.slice(0, 60));
          return method(...given);
        },
      });
    }
    return statement;
  }) as DatabaseSync["prepare"];
}

await run(about, start);

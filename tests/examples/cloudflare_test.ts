/**
 * `examples/cloudflare` copied into an empty directory and bundled there, in Cloudflare's own runtime, on a libSQL server.
 */

import { createClient } from "@libsql/client/web";
import { LibSQLStore } from "../../stores/libsql.ts";
import { assert, assertEquals, assertMatch, assertNotEquals, assertStringIncludes } from "../assert.ts";
import { setCookies } from "../scenarios/_visits.ts";
import { Visitor } from "../middleware/_visitor.ts";
import { typeReadme, visitExample } from "./_visit.ts";
import { type LibSQLServer, startLibSQL } from "../services/libsql.ts";
import { installExample, type PackedApp } from "../services/packed.ts";
import { type ScheduledResult, startWorker, type WorkerdServer } from "../services/workerd.ts";

const EXAMPLE = new URL("../../examples/cloudflare/", import.meta.url);
/** SQLite's Julian day of now, as the table has it. */
const NOW = "julianday('now')";

let server: LibSQLServer;
let app: PackedApp;
let worker: WorkerdServer;

Deno.test.beforeAll(async () => {
  app = await installExample(EXAMPLE);
  server = await startLibSQL({ auth: true });
  // As the example's README says.
  const statements = readmeSql(await Deno.readTextFile(new URL("README.md", EXAMPLE)));
  await (await client()).batch(statements, "write");
  worker = await startExample();
});
Deno.test.afterAll(async () => {
  await worker?.stop();
  await server?.stop();
  await app?.[Symbol.asyncDispose]();
});

async function client() {
  return createClient({ url: server.url, authToken: await server.token(), concurrency: Infinity });
}

/** Another instance of the Worker, on the same database. */
async function startExample({ url }: { url: string } = server): Promise<WorkerdServer> {
  const bindings = { LIBSQL_URL: url, LIBSQL_AUTH_TOKEN: await server.token() };
  return await startWorker({ entry: `${app.dir}/src/index.ts`, packages: app.dir, bindings });
}

function readmeSql(readme: string): string[] {
  const [, sql = ""] = /```sql\n(.*?)```/s.exec(readme) ?? [];
  return sql.split(";").map((statement) => statement.trim()).filter((statement) => statement !== "");
}

function visitorOf(instance: WorkerdServer): Visitor {
  return new Visitor((path, init) => instance.fetch(path, init));
}

/** Sends a form, as a page of the example's own would. */
async function submit(
  visitor: Visitor,
  path: string,
  fields: Record<string, string> = {},
  { url }: { url: string } = worker,
): Promise<Response> {
  const headers = { Origin: url };
  const response = await visitor.visit(path, { method: "POST", headers, body: new URLSearchParams(fields) });
  await response.body?.cancel();
  return response;
}

/** Sends a cron event, and another where the two seconds ran out that the example gives its database. */
async function purge(): Promise<ScheduledResult> {
  for (let attempt = 1;; attempt++) {
    const result = await worker.scheduled();
    if (result.ok || !result.error?.includes("(timeout)") || attempt === 5) return result;
  }
}

async function delay(ms: number): Promise<void> {
  await new Promise((resolve) => setTimeout(resolve, ms));
}

async function rows(): Promise<number> {
  const { rows } = await (await client()).execute("SELECT count(*) FROM sessions");
  return Number(rows[0]![0]);
}

Deno.test("The README of examples/cloudflare makes the table of the store", async () => {
  const store = new LibSQLStore(await client());
  assertEquals(readmeSql(await Deno.readTextFile(new URL("README.md", EXAMPLE))), store.schema());
});

Deno.test("examples/cloudflare logs in with a new token, counts, and logs out", async () => {
  const visitor = visitorOf(worker);
  const home = async () => JSON.parse(await visitor.text("/"));
  assertEquals(await home(), { user: null, count: 0 });
  assertEquals(visitor.cookies.size, 0);

  await submit(visitor, "/count");
  const anonymous = visitor.token;
  const response = await submit(visitor, "/login", { user: "zoe" });
  assertEquals([response.status, response.headers.get("Location")], [303, "/"]);
  const { token } = visitor;
  assertNotEquals(token, anonymous);
  assertEquals(setCookies(response)[0]!.attributes["Max-Age"], String(7 * 24 * 3_600));
  assertEquals(setCookies(await submit(visitor, "/count")), []);
  assertEquals(await home(), { user: "zoe", count: 2 });

  const thief = visitorOf(worker);
  thief.cookies.set("session", anonymous!);
  assertEquals(JSON.parse(await thief.text("/")), { user: null, count: 0 });

  await submit(visitor, "/logout");
  assertEquals(visitor.cookies.size, 0);
  assertEquals(await home(), { user: null, count: 0 });
  thief.cookies.set("session", token!);
  assertEquals(JSON.parse(await thief.text("/")), { user: null, count: 0 });
});

Deno.test("examples/cloudflare ends all sessions of a user", () => visitExample(worker.url));

Deno.test("examples/cloudflare answers what its README says", () => typeReadme(EXAMPLE, worker.url));

Deno.test("examples/cloudflare refuses a login without a name, and a form of another site", async () => {
  const visitor = visitorOf(worker);
  const response = await submit(visitor, "/login");
  assertEquals([response.status, setCookies(response)], [400, []]);
  const body = new URLSearchParams({ user: "eve" });
  const forged = await worker.fetch("/login", {
    method: "POST",
    headers: { Origin: "https://evil.example" },
    body,
  });
  assertEquals([forged.status, setCookies(forged)], [403, []]);
  await forged.body?.cancel();
});

Deno.test("examples/cloudflare keeps a message from /put for /get, on another instance too", async () => {
  const visitor = visitorOf(worker);
  assertEquals(await visitor.text("/put"), "Saved.\n");
  assertEquals(await visitor.text("/get"), "Hello from a session!\n");
  await using second = await startExample();
  const elsewhere = visitorOf(second);
  elsewhere.cookies.set("session", visitor.token!);
  assertEquals(await elsewhere.text("/get"), "Hello from a session!\n");
});

/** How many requests a client of the driver has under way unless told otherwise; others wait for them. */
const DEFAULT_CONCURRENCY = 20;

/** A way to the database that tells how many requests were on it at once; each waits a while for others. */
function startGate(): { url: string; most(): number } & AsyncDisposable {
  let [present, most] = [0, 0];
  const crowd = Promise.withResolvers<void>();
  const pass = async ({ method, headers, url }: Request, body: ArrayBuffer) => {
    // Less than the example gives its database.
    await Promise.race([crowd.promise, delay(1_000)]);
    const response = await fetch(server.url + new URL(url).pathname, { method, headers, body });
    const { status } = response;
    // Without the headers that tell how the bytes were packed on their way here.
    const type = response.headers.get("Content-Type") ?? "";
    return new Response(await response.arrayBuffer(), { status, headers: { "Content-Type": type } });
  };
  // Whoever does not wait for an answer any more needs none.
  const onError = () => new Response(null, { status: 502 });
  const gate = Deno.serve({ hostname: "127.0.0.1", port: 0, onListen() {}, onError }, async (request) => {
    const body = await request.arrayBuffer();
    most = Math.max(most, ++present);
    if (most > DEFAULT_CONCURRENCY) crowd.resolve();
    return await pass(request, body).finally(() => present--);
  });
  return {
    url: `http://127.0.0.1:${gate.addr.port}`,
    most: () => most,
    [Symbol.asyncDispose]: () => gate.shutdown(),
  };
}

/**
 * Sends a request, and again as long as it is answered by 503: on a machine that is busy otherwise time may run
 * out for some of many, who are told so.
 */
async function insist(send: () => Promise<Response>, onRefusal = () => {}): Promise<Response> {
  const deadline = performance.now() + 180_000;
  for (let attempt = 1;; attempt++) {
    const response = await send();
    if (response.status !== 503 || performance.now() > deadline) return response;
    await response.body?.cancel();
    onRefusal();
    await delay(Math.random() * 500 * 2 ** attempt);
  }
}

const homeOf = async (visitor: Visitor) => JSON.parse(await (await insist(() => visitor.visit("/"))).text());

Deno.test("examples/cloudflare serves 100 requests at once on one instance", async (t) => {
  await t.step("of 100 users who do not wait for each other", async () => {
    await using gate = startGate();
    await using instance = await startExample(gate);
    // A slow machine may not bring as many together at the first time.
    for (let round = 1; round <= 10 && gate.most() <= DEFAULT_CONCURRENCY; round++) {
      const visitors = Array.from({ length: 100 }, () => visitorOf(instance));
      const responses = await Promise.all(
        visitors.map((visitor) => insist(() => submit(visitor, "/count", {}, instance))),
      );
      assertEquals(responses.map(({ status }) => status), Array(100).fill(303));
      assertEquals(await Promise.all(visitors.map(homeOf)), Array(100).fill({ user: null, count: 1 }));
    }
    assert(gate.most() > DEFAULT_CONCURRENCY, `never more than ${gate.most()} at once`);
  });
  await t.step("of one user, and every one of them counts", async () => {
    const visitor = visitorOf(worker);
    await visitor.text("/put");
    let refusals = 0;
    const responses = await Promise.all(
      Array.from({ length: 100 }, () => insist(() => submit(visitor, "/count"), () => refusals++)),
    );
    assertEquals(responses.map(({ status }) => status), Array(100).fill(303));
    // Each that was answered counts once; one that was refused may have been counted, where its answer was late.
    const { user, count } = await homeOf(visitor);
    assertEquals(user, null);
    assert(count >= 100 && count <= 100 + refusals, `${count} with ${refusals} refused`);
  });
});

Deno.test("The scheduled handler of examples/cloudflare deletes what has expired, and nothing else", async () => {
  const database = await client();
  await database.execute("DELETE FROM sessions");
  const insert = "INSERT INTO sessions (token, data, expiry) VALUES (?, x'00', " + NOW;
  const batch = [
    ...Array.from({ length: 150 }, (_, i) => ({ sql: `${insert} - 1)`, args: [`expired ${i}`] })),
    { sql: `${insert} + 1)`, args: ["live"] },
  ];
  await database.batch(batch, "write");
  assertEquals(await purge(), { ok: true, outcome: "ok", noRetry: false });
  assertEquals((await database.execute("SELECT token FROM sessions")).rows.map((row) => row[0]), ["live"]);
});

Deno.test("A purge that fails is a failure for the platform, and the next one succeeds", async () => {
  await server.kill();
  const { ok, error = "" } = await worker.scheduled();
  assert(!ok);
  assertMatch(error, /Session store failed in deleteExpired\(\) \(unreachable\)/);
  await server.start();
  await (await client()).execute(
    `INSERT INTO sessions (token, data, expiry) VALUES ('late', x'00', ${NOW} - 1)`,
  );
  const before = await rows();
  assertEquals((await purge()).ok, true);
  assertEquals(await rows(), before - 1);
});

Deno.test("examples/cloudflare answers 503 while the database is away, and knows its users again afterwards", async () => {
  const visitor = visitorOf(worker);
  await visitor.text("/put");
  const { token } = visitor;
  await server.kill();
  const response = await visitor.visit("/get");
  assertEquals([response.status, setCookies(response)], [503, []]);
  await response.body?.cancel();
  await server.start();
  assertEquals(visitor.token, token);
  assertEquals(await visitor.text("/get"), "Hello from a session!\n");
});

Deno.test("examples/cloudflare is configured for a cron trigger and the entry that was tested", async () => {
  const text = await Deno.readTextFile(new URL("wrangler.jsonc", EXAMPLE));
  const config = JSON.parse(text.replace(/^\s*\/\/.*$/gm, ""));
  assertEquals([config.main, config.triggers], ["src/index.ts", { crons: ["0 * * * *"] }]);
  assertEquals(Object.keys(config.vars), ["LIBSQL_URL"]);
  assertStringIncludes(await Deno.readTextFile(new URL(config.main, EXAMPLE)), "LIBSQL_AUTH_TOKEN");
});

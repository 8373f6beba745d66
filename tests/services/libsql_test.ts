import { createClient, LibsqlError } from "@libsql/client/web";
import { assert, assertEquals, assertRejects, assertStringIncludes } from "../assert.ts";
import { countingFetch, type LibSQLServer, startLibSQL } from "./libsql.ts";
import { spawnGuarded } from "./_process.ts";

/** Seconds since 1970, for a token's `exp`. */
const seconds = (fromNow: number) => Math.floor(Date.now() / 1000) + fromNow;

Deno.test("startLibSQL() gives a server whose data survives kill() and start()", async () => {
  await using server = await startLibSQL();
  const client = createClient({ url: server.url });
  await client.batch(["CREATE TABLE t (n INTEGER)", "INSERT INTO t VALUES (42)"], "write");

  await server.kill();
  assertEquals(await server.responsive(1_000), false);
  await assertRejects(() => client.execute("SELECT n FROM t"), TypeError);

  await server.start();
  assertEquals(await server.responsive(), true);
  assertEquals((await client.execute("SELECT n FROM t")).rows[0]?.n, 42);
  await assertRejects(() => server.start(), Error, "it is running");
  client.close();
});

Deno.test("startLibSQL() gives every server an empty database and a port of its own", async () => {
  await using first = await startLibSQL();
  await using second = await startLibSQL();
  assert(first.url !== second.url);
  const [one, two] = [createClient({ url: first.url }), createClient({ url: second.url })];
  await one.execute("CREATE TABLE t (n INTEGER)");
  assertEquals((await two.execute("SELECT name FROM sqlite_schema")).rows.length, 0);
});

Deno.test("LibSQLServer.stop() ends the server for good, also when called twice", async () => {
  const server = await startLibSQL();
  await server.stop();
  await server.stop();
  assertEquals(await server.responsive(1_000), false);
  await assertRejects(() => server.start(), Error, "was stopped");
});

Deno.test("countingFetch() counts one request for execute() and one for batch()", async () => {
  await using server = await startLibSQL();
  const counter = countingFetch();
  const client = createClient({ url: server.url, fetch: counter.fetch });
  await client.execute("CREATE TABLE t (n INTEGER)");
  assertEquals(counter.count(), 1);
  await client.batch(["INSERT INTO t VALUES (1)", "SELECT n FROM t"], "write");
  assertEquals(counter.count(), 2);
  counter.reset();
  assertEquals(counter.count(), 0);
});

Deno.test("LibSQLServer with auth", async (t) => {
  await using server = await startLibSQL({ auth: true });
  const withToken = (authToken?: string) => createClient({ url: server.url, authToken });
  await withToken(await server.token()).batch(
    ["CREATE TABLE t (n INTEGER)", "INSERT INTO t VALUES (1)"],
    "write",
  );

  async function assertRefused(authToken?: string) {
    const error = await assertRejects(() => withToken(authToken).execute("SELECT n FROM t"), LibsqlError);
    assertStringIncludes(error.message, "401");
  }

  await t.step("refuses a request without a token", () => assertRefused());
  await t.step("refuses a token that was signed with another key", async () => {
    await assertRefused(await server.token({}, { wrongKey: true }));
  });
  await t.step("refuses an expired token", async () => {
    // Well in the past. The server has been seen to accept a token that expired 5 s ago, to allow for clock skew.
    await assertRefused(await server.token({ exp: seconds(-3_600) }));
  });
  await t.step("accepts a token that expires later", async () => {
    const client = withToken(await server.token({ exp: seconds(3_600) }));
    assertEquals((await client.execute("SELECT n FROM t")).rows.length, 1);
  });
  await t.step("lets a read-only token read but not write", async () => {
    const client = withToken(await server.token({ a: "ro" }));
    assertEquals((await client.execute("SELECT n FROM t")).rows.length, 1);
    await assertRejects(() => client.execute("INSERT INTO t VALUES (2)"), LibsqlError);
    assertEquals((await client.execute("SELECT n FROM t")).rows.length, 1);
  });
  await t.step("keeps its key when it is killed and started again", async () => {
    const token = await server.token();
    await server.kill();
    await server.start();
    assertEquals((await withToken(token).execute("SELECT n FROM t")).rows.length, 1);
  });
});

Deno.test("LibSQLServer.token() of a server without auth rejects", async () => {
  await using server = await startLibSQL();
  await assertRejects(() => server.token(), Error, "started without auth");
});

// The sanitizers must not report a server that was started outside the test that kills or replaces it.
let shared: LibSQLServer;
Deno.test.beforeAll(async () => {
  shared = await startLibSQL();
});
Deno.test.afterAll(() => shared?.stop());

Deno.test("A LibSQLServer started in beforeAll() can be killed and started again in a test", async () => {
  await createClient({ url: shared.url }).execute("CREATE TABLE t (n INTEGER)");
  await shared.kill();
  await shared.start();
});

Deno.test("A LibSQLServer started again in one test serves the next one", async () => {
  assertEquals((await createClient({ url: shared.url }).execute("SELECT n FROM t")).rows.length, 0);
});

Deno.test("spawnGuarded() reports why a command could not be run", async () => {
  const process = spawnGuarded("x-sessions-no-such-command", []);
  while (process.exitCode() === undefined) await new Promise((resolve) => setTimeout(resolve, 5));
  assertEquals(process.exitCode(), 127);
  assertStringIncludes(process.output(), "not found");
  await process.kill();
});

Deno.test("spawnGuarded() ends the process and removes its files when the test process is killed", async () => {
  const scratch = await Deno.makeTempDir();
  const module = new URL("./_process.ts", import.meta.url).href;
  const script = `import { spawnGuarded } from ${JSON.stringify(module)};
    console.log(spawnGuarded("sleep", ["60"], { scratch: ${JSON.stringify(scratch)} }).pid);
    Deno.kill(Deno.pid, "SIGKILL");`;
  const { stdout, signal } = await new Deno.Command(Deno.execPath(), {
    args: ["eval", script],
    stdout: "piped",
    stderr: "inherit",
  }).output();
  assertEquals(signal, "SIGKILL");
  const pid = Number(new TextDecoder().decode(stdout));
  assert(pid > 0);

  const deadline = performance.now() + 10_000;
  while (exists(`/proc/${pid}`) || exists(scratch)) {
    assert(performance.now() < deadline, "the process or its files are still there after 10 s");
    await new Promise((resolve) => setTimeout(resolve, 20));
  }
});

function exists(path: string): boolean {
  try {
    Deno.statSync(path);
    return true;
  } catch (error) {
    if (error instanceof Deno.errors.NotFound) return false;
    throw error;
  }
}

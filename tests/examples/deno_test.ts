/**
 * `examples/deno` as its README starts it, copied into an empty directory.
 */

import { assertEquals, assertMatch, assertNotEquals } from "../assert.ts";
import { setCookies } from "../scenarios/_visits.ts";
import { Visitor } from "../middleware/_visitor.ts";
import { until } from "../services/demo.ts";
import { copyInto } from "../services/packed.ts";
import { startLibSQL } from "../services/libsql.ts";
import { freePort } from "../services/_port.ts";
import { spawnGuarded } from "../services/_process.ts";
import { typeReadme, visitExample } from "./_visit.ts";

const EXAMPLE = new URL("../../examples/deno/", import.meta.url);
// At its first start it may have to download the database's driver.
const START_TIMEOUT = 60_000;
const START_ATTEMPTS = 3;

interface RunningExample extends AsyncDisposable {
  url: string;
  visitor(): Visitor;
  /** Sends a form, as a page of the example's own would. */
  submit(visitor: Visitor, path: string, fields?: Record<string, string>): Promise<Response>;
}

let directory: string;

Deno.test.beforeAll(async () => {
  directory = await Deno.makeTempDir({ prefix: "x-sessions-example-" });
  await copyInto(directory, decodeURIComponent(EXAMPLE.pathname));
  const config = JSON.parse(await Deno.readTextFile(`${directory}/deno.json`));
  // Not published yet: as the README says.
  config.links = [decodeURIComponent(new URL("../../", import.meta.url).pathname)];
  await Deno.writeTextFile(`${directory}/deno.json`, JSON.stringify(config));
});
Deno.test.afterAll(() => Deno.remove(directory, { recursive: true }));

/** Starts the example by the command of its task. */
async function start(env: Record<string, string>, ...flags: string[]): Promise<RunningExample> {
  const { tasks } = JSON.parse(await Deno.readTextFile(`${directory}/deno.json`));
  const [command, ...options] = tasks.start.split(" ");
  assertEquals([command, options[0], options.at(-1)], ["deno", "serve", "main.ts"]);
  let url = "";
  const spawn = () => {
    const port = freePort();
    url = `http://127.0.0.1:${port}`;
    const args = [...options.slice(0, -1), ...flags, "--host=127.0.0.1", `--port=${port}`, "main.ts"];
    return spawnGuarded(Deno.execPath(), args, { cwd: directory, env: { NO_COLOR: "1", ...env } });
  };
  let process = spawn();
  const listens = () => process.output().includes("Listening on");
  for (let attempt = 1;; attempt++) {
    await until(START_TIMEOUT, () => listens() || process.exitCode() !== undefined);
    if (listens()) break;
    // Another process may have taken the port meanwhile, and on a machine that stands still the two seconds that the
    // example gives its database may run out. Whoever runs it starts it again.
    const isBadLuck = /AddrInUse|failed to create the table \(timeout\)/.test(process.output());
    if (!isBadLuck || attempt === START_ATTEMPTS) {
      throw new Error(`The example ended early:\n${process.output()}`);
    }
    process = spawn();
  }
  return {
    url,
    visitor: () => new Visitor((path, init) => fetch(url + path, init)),
    async submit(visitor, path, fields = {}) {
      const body = new URLSearchParams(fields);
      const response = await visitor.visit(path, { method: "POST", headers: { Origin: url }, body });
      await response.body?.cancel();
      return response;
    },
    [Symbol.asyncDispose]: () => process.kill(),
  };
}

Deno.test("examples/deno keeps sessions in libSQL, over a restart too", async () => {
  await using server = await startLibSQL({ auth: true });
  const env = { LIBSQL_URL: server.url, LIBSQL_AUTH_TOKEN: await server.token() };
  const cookies = new Map<string, string>();
  {
    await using example = await start(env);
    const visitor = example.visitor();
    assertEquals(JSON.parse(await visitor.text("/")), { user: null, count: 0 });
    assertEquals(visitor.cookies.size, 0);
    assertEquals(await visitor.text("/put"), "Saved.\n");
    const anonymous = visitor.token;
    const response = await example.submit(visitor, "/login", { user: "zoe" });
    assertEquals([response.status, response.headers.get("Location")], [303, "/"]);
    assertNotEquals(visitor.token, anonymous);
    await example.submit(visitor, "/count");
    for (const [name, value] of visitor.cookies) cookies.set(name, value);
  }
  // Hourly purges are asked for where the runtime offers them.
  await using example = await start(env, "--unstable-cron");
  const visitor = example.visitor();
  for (const [name, value] of cookies) visitor.cookies.set(name, value);
  assertEquals(JSON.parse(await visitor.text("/")), { user: "zoe", count: 1 });
  assertEquals(await visitor.text("/get"), "Hello from a session!\n");
  await example.submit(visitor, "/logout");
  assertEquals(visitor.cookies.size, 0);
  for (const [name, value] of cookies) visitor.cookies.set(name, value);
  assertEquals(JSON.parse(await visitor.text("/")), { user: null, count: 0 });
});

Deno.test("examples/deno keeps sessions in memory without a database", async () => {
  await using example = await start({ LIBSQL_URL: "" });
  const visitor = example.visitor();
  await example.submit(visitor, "/login", { user: "max" });
  assertEquals(JSON.parse(await visitor.text("/")), { user: "max", count: 0 });
  assertMatch(visitor.token!, /^[\w-]{43}$/);
  await visitExample(example.url);
  await typeReadme(EXAMPLE, example.url);
  const refused = await example.submit(example.visitor(), "/login");
  assertEquals([refused.status, setCookies(refused)], [400, []]);
});

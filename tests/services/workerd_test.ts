import { createClient } from "@libsql/client/web";
import { assertEquals, assertRejects, assertStringIncludes } from "../assert.ts";
import { type LibSQLServer, startLibSQL } from "./libsql.ts";
import { startWorker, type WorkerdServer } from "./workerd.ts";

const entry = new URL("./_fixture_worker.ts", import.meta.url);
const greeting = 'quoted "\\" twice\r\n\tgrüß dich \u{1f36a}\u0085 $& ${x}';

let database: LibSQLServer;
let worker: WorkerdServer;
Deno.test.beforeAll(async () => {
  database = await startLibSQL();
  await createClient({ url: database.url }).execute(
    "CREATE TABLE events (cron TEXT, scheduled_time INTEGER)",
  );
  worker = await startWorker({ entry, bindings: { GREETING: greeting, LIBSQL_URL: database.url } });
});
Deno.test.afterAll(async () => {
  await worker?.stop();
  await database?.stop();
});

Deno.test("WorkerdServer.fetch() reaches the Worker, which sees its bindings unchanged", async () => {
  assertEquals(await (await worker.fetch("/greeting")).text(), greeting);
});

Deno.test("A Worker reaches a server on this machine", async () => {
  const server = Deno.serve({ hostname: "127.0.0.1", port: 0, onListen() {} }, () => new Response("pong"));
  const response = await worker.fetch(`/proxy?url=http://127.0.0.1:${server.addr.port}/`);
  assertEquals(await response.text(), "pong");
  await server.shutdown();
});

Deno.test("A Worker reaches no other server", async () => {
  // An address reserved for documentation (RFC 5737), and no name, so nothing is sent to the network even if this
  // fails.
  const response = await worker.fetch("/proxy?url=http://192.0.2.1/");
  assertEquals(response.status, 500);
  await response.body?.cancel();
});

Deno.test("WorkerdServer.scheduled() delivers the event, and the Worker writes to libSQL", async () => {
  const result = await worker.scheduled({ cron: "*/5 * * * *", scheduledTime: 1_700_000_000_000 });
  assertEquals(result, { ok: true, outcome: "ok", noRetry: false });
  assertEquals(await (await worker.fetch("/rows")).json(), [
    { cron: "*/5 * * * *", scheduled_time: 1_700_000_000_000 },
  ]);
  assertStringIncludes(worker.logs(), "Cron event */5 * * * *");
});

Deno.test("WorkerdServer.scheduled() reports what the handler threw", async () => {
  assertEquals(await worker.scheduled({ cron: "throw" }), {
    ok: false,
    outcome: "exception",
    noRetry: false,
    error: "TypeError: on purpose",
  });
  assertStringIncludes(worker.logs(), "Uncaught TypeError: on purpose");
});

Deno.test("WorkerdServer.scheduled() reports what was thrown in waitUntil, and whether the handler asked for no retry", async () => {
  // Sent at once, to see that each gets its own result.
  const [later, giveUp] = await Promise.all([
    worker.scheduled({ cron: "later" }),
    worker.scheduled({ cron: "give up" }),
  ]);
  assertEquals(later, { ok: false, outcome: "exception", noRetry: false, error: "RangeError: too late" });
  assertEquals(giveUp, { ok: false, outcome: "exception", noRetry: true, error: "Error: for good" });
});

Deno.test("startWorker() and stop() in one test leak nothing, and the bundle is used again", async () => {
  await using second = await startWorker({ entry, bindings: { GREETING: "hi" } });
  assertEquals(await (await second.fetch("/greeting")).text(), "hi");
});

Deno.test("startWorker() rejects with the runtime's reason", async (t) => {
  await t.step("when the module does something at its top level that Workers forbid", async () => {
    await using file = await temporaryModule(
      "crypto.randomUUID(); export default { fetch: () => new Response() };",
    );
    await assertRejects(() => startWorker({ entry: file.path }), Error, "Disallowed operation");
  });
  await t.step("when the compatibility date is in the runtime's future", async () => {
    await assertRejects(() => startWorker({ entry, compatibilityDate: "2999-01-01" }), Error, "2999-01-01");
  });
  await t.step("when the entry cannot be bundled", async () => {
    await using file = await temporaryModule('import "./missing.ts";');
    await assertRejects(() => startWorker({ entry: file.path }), Error, "Cannot bundle");
  });
});

async function temporaryModule(code: string): Promise<AsyncDisposable & { path: string }> {
  const path = await Deno.makeTempFile({ suffix: ".ts" });
  await Deno.writeTextFile(path, code);
  return { path, [Symbol.asyncDispose]: () => Deno.remove(path) };
}

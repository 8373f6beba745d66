/** A database that is down, hangs or refuses the credentials. Each test breaks its own libSQL server. */
import { createClient } from "@libsql/client/web";
import {
  type Session,
  type SessionError,
  type SessionManager,
  sessions,
  SessionStoreError,
} from "../../mod.ts";
import { fetchWithTimeout, LibSQLStore } from "../../stores/libsql.ts";
import { assertEquals, assertInstanceOf, assertRejects } from "../assert.ts";
import { until } from "../services/demo.ts";
import { type LibSQLServer, startLibSQL } from "../services/libsql.ts";
import { assertShowsNone } from "./_secrets.ts";
import { Browser } from "./_visits.ts";

const SECRET = "secret-value-of-the-session";

interface Application {
  manager: SessionManager;
  store: LibSQLStore;
  /** The errors of `onError`, with their phase. */
  errors: { error: SessionError; phase: string }[];
}

/** Longer than anything takes on a busy machine, so that a slow server is not taken for one that hangs. */
const PATIENCE = 30_000;

/** A manager on the server, set up like that of an application. */
function applicationOn({ url }: LibSQLServer, authToken?: string, timeout = PATIENCE): Application {
  const client = createClient({ url, authToken, concurrency: Infinity, fetch: fetchWithTimeout(timeout) });
  const store = new LibSQLStore(client, { cleanup: "off", timeout: PATIENCE });
  const errors: Application["errors"] = [];
  const manager = sessions({
    store,
    onError: (error, { phase }) => void errors.push({ error, phase }),
  });
  return { manager, store, errors };
}

/** A server with a table, and a signed-in browser. */
async function signedIn(server: LibSQLServer, authToken?: string) {
  const application = applicationOn(server, authToken);
  await application.store.createTable();
  const browser = new Browser(application.manager);
  await browser.visit((session) => session.put("user", SECRET));
  return { ...application, browser };
}

const tableOf = async (store: LibSQLStore) => await Array.fromAsync(store.all({ now: 0 }));

/** Checks that a response says only that the store failed. */
async function assertUnavailable(response: Response): Promise<void> {
  assertEquals([response.status, await response.text()], [503, "Service Unavailable\n"]);
  assertEquals([...response.headers], [
    ["cache-control", "no-store"],
    ["content-type", "text/plain; charset=utf-8"],
    ["vary", "Cookie"],
  ]);
}

Deno.test("A store that is down during a load: 503 without a cookie, and the same cookie works later", async () => {
  await using server = await startLibSQL();
  const { browser, errors, store } = await signedIn(server);
  const [rows, { token }] = [await tableOf(store), browser];

  await server.kill();
  const response = await browser.visit((session) => session.put("a", 1));
  await assertUnavailable(response);
  const [{ error, phase } = { error: undefined, phase: "" }] = errors;
  assertInstanceOf(error, SessionStoreError);
  assertEquals([error.operation, error.reason, error.retryable], ["find", "unreachable", true]);
  assertEquals([phase, errors.length], ["load", 1]);
  assertShowsNone(error, [SECRET, token!, rows[0]!.token, server.url]);

  // A handler may catch the error and answer without a session.
  const caught = await browser.request(async (_request, session) => {
    await session().catch(() => {});
    return new Response("the page without a name");
  });
  assertEquals([caught.status, await caught.text()], [200, "the page without a name"]);
  assertEquals(caught.headers.getSetCookie(), []);
  // A request that never asks does not notice.
  assertEquals((await browser.request(() => new Response("ok"))).status, 200);

  await server.start();
  assertEquals(browser.token, token);
  assertEquals(await tableOf(store), rows);
  await browser.visit((session) => assertEquals(session.keys(), ["user"]));
});

const CHANGES: Record<string, (session: Session) => unknown> = {
  "a write": (session) => session.put("a", SECRET),
  "a renewal": (session) => session.renewToken(),
  "a logout": (session) => session.destroy(),
};
for (const [what, change] of Object.entries(CHANGES)) {
  Deno.test(`A store that goes down before ${what} is saved: 503 instead of the response, and the old session stays`, async () => {
    await using server = await startLibSQL();
    const { browser, errors, store } = await signedIn(server);
    const [rows, { token }] = [await tableOf(store), browser];
    const response = await browser.request(async (_request, getSession) => {
      const session = await getSession();
      await server.kill();
      await change(session);
      return new Response("the handler's", { headers: { ETag: '"1"', "Set-Cookie": "own=1" } });
    });
    await assertUnavailable(response);
    assertEquals(errors.map(({ error: { code }, phase }) => [code, phase]), [[
      "ERR_SESSION_STORE",
      "commit",
    ]]);
    assertShowsNone(errors[0]!.error, [SECRET, token!, rows[0]!.token]);

    await server.start();
    assertEquals(browser.token, token);
    assertEquals(await tableOf(store), rows);
    await browser.visit((session) => assertEquals(session.keys(), ["user"]));
  });
}

Deno.test("A store that is down when a new session is saved: 503, no cookie, and no row later", async () => {
  await using server = await startLibSQL();
  const { manager, store } = await signedIn(server);
  const rows = await tableOf(store);
  const browser = new Browser(manager);
  await server.kill();
  await assertUnavailable(await browser.visit((session) => session.put("a", 1)));
  assertEquals(browser.token, undefined);
  await server.start();
  assertEquals(await tableOf(store), rows);
});

/** Stops every thread of a process. The signal takes effect later, and the server may still answer until then. */
async function suspend(pid: number): Promise<void> {
  Deno.kill(pid, "SIGSTOP");
  const tasks = `/proc/${pid}/task`;
  await until(PATIENCE, () => {
    try {
      const states = [...Deno.readDirSync(tasks)].map(({ name }) =>
        Deno.readTextFileSync(`${tasks}/${name}/stat`)
      );
      return states.every((state) => /\) T /.test(state));
    } catch {
      // A thread that has ended since it was listed.
      return false;
    }
  });
}

Deno.test("A store that hangs: 503 after the timeout, and the same cookie works later", async () => {
  await using server = await startLibSQL();
  const { browser, store } = await signedIn(server);
  const rows = await tableOf(store);
  const impatient = applicationOn(server, undefined, 100);
  const visitor = new Browser(impatient.manager);
  visitor.cookies.set("__Host-session", browser.token!);
  try {
    await suspend(server.pid);
    await assertUnavailable(await visitor.visit((session) => session.get("user")));
  } finally {
    Deno.kill(server.pid, "SIGCONT");
  }
  const { error } = impatient.errors[0]!;
  assertInstanceOf(error, SessionStoreError);
  assertEquals([error.operation, error.reason, error.retryable], ["find", "timeout", true]);
  assertEquals(await tableOf(store), rows);
  await browser.visit((session) => assertEquals(session.keys(), ["user"]));
});

Deno.test("A store without its table: a SessionStoreError that names the call to make, and no retry", async () => {
  await using server = await startLibSQL();
  const { manager } = applicationOn(server);
  const error = await assertRejects(() => manager.load("A".repeat(43)), SessionStoreError);
  assertEquals([error.reason, error.retryable, error.ambiguous], ["schema", false, false]);
  assertEquals(
    error.message,
    "Session store failed in find() (schema): there is no table sessions; run createTable()",
  );
});

Deno.test("Credentials that libSQL refuses", async (t) => {
  await using server = await startLibSQL({ auth: true });
  const { browser, store } = await signedIn(server, await server.token());
  const rows = await tableOf(store);
  const hourAgo = Math.floor(Date.now() / 1_000) - 3_600;
  const tokens = {
    "no token": undefined,
    "a wrong token": await server.token({}, { wrongKey: true }),
    "junk for a token": "junk",
    "an expired token": await server.token({ exp: hourAgo }),
  };

  for (const [what, authToken] of Object.entries(tokens)) {
    await t.step(`${what}: 503 for a read, a write and a new session, and a typed error`, async () => {
      const { manager, errors } = applicationOn(server, authToken);
      const visitor = new Browser(manager);
      visitor.cookies.set("__Host-session", browser.token!);
      await assertUnavailable(await visitor.visit((session) => session.get("user")));
      await assertUnavailable(await visitor.visit((session) => session.put("user", "other")));
      await assertUnavailable(await new Browser(manager).visit((session) => session.put("user", SECRET)));
      const operations = errors.map(({ error }) => {
        assertInstanceOf(error, SessionStoreError);
        assertEquals([error.reason, error.retryable, error.ambiguous], ["unauthorized", false, false]);
        assertShowsNone(error, [SECRET, browser.token!, rows[0]!.token, ...(authToken ? [authToken] : [])]);
        return error.operation;
      });
      assertEquals(operations, ["find", "find", "create"]);
      assertEquals(visitor.token, browser.token);
      assertEquals(await tableOf(store), rows);
    });
  }

  await t.step("a read-only token: reads work, each write is 503 and changes nothing", async () => {
    const authToken = await server.token({ a: "ro" });
    const { manager, errors } = applicationOn(server, authToken);
    const visitor = new Browser(manager);
    visitor.cookies.set("__Host-session", browser.token!);
    assertEquals((await visitor.visit((session) => assertEquals(session.keys(), ["user"]))).status, 200);
    await assertUnavailable(await visitor.visit((session) => session.put("user", "other")));
    await assertUnavailable(await visitor.visit((session) => session.renewToken()));
    await assertUnavailable(await visitor.visit((session) => session.destroy()));
    await assertUnavailable(await new Browser(manager).visit((session) => session.put("a", 1)));
    const operations = errors.map(({ error }) => {
      assertInstanceOf(error, SessionStoreError);
      assertEquals([error.reason, error.retryable, error.ambiguous], ["unauthorized", false, false]);
      assertShowsNone(error, [SECRET, browser.token!, rows[0]!.token, authToken]);
      return error.operation;
    });
    assertEquals(operations, ["update", "update", "delete", "create"]);
    assertEquals(visitor.token, browser.token);
    assertEquals(await tableOf(store), rows);
  });

  await t.step("the session is unchanged for a client with the right token", async () => {
    await browser.visit((session) => assertEquals(session.get("user"), SECRET));
  });
});

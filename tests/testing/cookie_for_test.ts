import { Hono } from "hono";
import {
  MemoryStore,
  SessionConfigError,
  SessionEncodeError,
  type SessionManager,
  sessions,
  SessionStoreError,
} from "../../mod.ts";
import { withSessions } from "../../middleware/fetch.ts";
import { honoSessions } from "../../middleware/hono.ts";
import { cookieFor } from "../../testing/mod.ts";
import { assertEquals, assertMatch, assertRejects } from "../assert.ts";
import { countingStore } from "../counting_store.ts";

type Data = { userId: number; cart: string[] };

/** The session that a request with this cookie gets. */
async function valuesSeen<D extends object>(
  manager: SessionManager<D>,
  cookie: string,
  url = "https://localhost/",
): Promise<{ values: unknown; subject?: string; setCookie: string[] }> {
  let subject: string | undefined;
  const handler = withSessions(manager, async (_request, getSession) => {
    const session = await getSession();
    subject = session.subject;
    return Response.json(Object.fromEntries(session.keys().map((key) => [key, session.get(key)])));
  });
  const response = await handler(new Request(url, { headers: { Cookie: cookie } }));
  const setCookie = response.headers.getSetCookie();
  return { values: await response.json(), subject, setCookie };
}

Deno.test("cookieFor() returns the cookie of a session with exactly these values", async () => {
  const manager = sessions<Data>();
  const cookie = await cookieFor(manager, { userId: 42, cart: ["tea"] });
  assertMatch(cookie, /^__Host-session=([\w-]{43}); session=\1$/);
  assertEquals(await valuesSeen(manager, cookie), {
    values: { cart: ["tea"], userId: 42 },
    subject: undefined,
    setCookie: [],
  });
});

Deno.test("cookieFor() without a URL signs in a request over http as well", async () => {
  const options = [{}, { path: "/app" }, { secure: true }, { secure: false }, { name: "sid" }, {
    name: "__Host-sid",
  }];
  for (const cookie of options) {
    const manager = sessions<Data>({ cookie });
    const header = await cookieFor(manager, { userId: 42 });
    for (const url of ["http://localhost/", "https://localhost/"]) {
      assertEquals((await valuesSeen(manager, header, url)).values, { userId: 42 });
    }
  }
});

Deno.test("cookieFor() creates a new session on each call, in one store call", async () => {
  const counting = countingStore(new MemoryStore({ cleanup: "off" }));
  const manager = sessions<Data>({ store: counting.store });
  const cookies = [await cookieFor(manager, { userId: 1 }), await cookieFor(manager, { userId: 2 })];
  assertEquals(counting.calls(), { create: 2 });
  const seen = await Promise.all(cookies.map((cookie) => valuesSeen(manager, cookie)));
  assertEquals(seen.map(({ values }) => values), [{ userId: 1 }, { userId: 2 }]);
});

Deno.test("cookieFor() without values creates an empty session", async () => {
  const store = new MemoryStore({ cleanup: "off" });
  await cookieFor(sessions({ store }));
  assertEquals(store.size, 1);
});

Deno.test("cookieFor() sets the subject", async () => {
  const manager = sessions<Data>();
  const cookie = await cookieFor(manager, {}, { subject: "zoe" });
  assertEquals((await valuesSeen(manager, cookie)).subject, "zoe");
  assertEquals((await manager.sessionsOf("zoe")).length, 1);
});

Deno.test("cookieFor() uses the cookie name of the manager for the URL", async () => {
  const http = { url: "http://localhost:8000/" };
  const https = { url: new URL("https://example.com/path") };
  const names = async (manager: SessionManager<Data>) =>
    await Promise.all([https, http].map(async (options) => {
      const cookie = await cookieFor(manager, { userId: 42 }, options);
      assertEquals((await valuesSeen(manager, cookie, String(options.url))).values, { userId: 42 });
      assertMatch(cookie, /^[\w-]+=[\w-]{43}$/);
      return cookie.split("=")[0];
    }));
  assertEquals(await names(sessions()), ["__Host-session", "session"]);
  assertEquals(await names(sessions({ cookie: { path: "/app" } })), ["__Secure-session", "session"]);
  assertEquals(await names(sessions({ cookie: { secure: false } })), ["session", "session"]);
  assertEquals(await names(sessions({ cookie: { name: "sid" } })), ["sid", "sid"]);
});

Deno.test("cookieFor() works for a Hono app, with a manager of the same options on the same store", async () => {
  const store = new MemoryStore({ cleanup: "off" });
  const app = new Hono().use(honoSessions(sessions<Data>({ store })))
    .get("/", async (c) => c.json((await c.var.session()).get("userId") ?? null));
  const cookie = await cookieFor(sessions<Data>({ store }), { userId: 42 });
  const response = await app.request("https://example.com/", { headers: { Cookie: cookie } });
  assertEquals(await response.json(), 42);
});

Deno.test("cookieFor() uses the manager's clock", async () => {
  let now = Date.UTC(2040, 0, 1);
  const manager = sessions<Data>({ now: () => now, lifetime: "1h" });
  const cookie = await cookieFor(manager, { userId: 42 });
  assertEquals((await valuesSeen(manager, cookie)).values, { userId: 42 });
  now += 3_600_000;
  assertEquals((await valuesSeen(manager, cookie)).values, {});
});

Deno.test("cookieFor() fails if the store fails, or if a value cannot be stored", async () => {
  const store = new MemoryStore({ cleanup: "off" });
  store.create = () =>
    Promise.reject(new SessionStoreError("create", { reason: "schema", retryable: false }));
  await assertRejects(() => cookieFor(sessions({ store })), SessionStoreError, "(schema)");
  const values = { userId: (() => 42) as unknown as number };
  await assertRejects(() => cookieFor(sessions<Data>(), values), SessionEncodeError, `"userId"`);
});

Deno.test("cookieFor() refuses what is no manager, and unknown options", async () => {
  const noManager = { userId: 42 } as unknown as SessionManager<Data>;
  await assertRejects(() => cookieFor(noManager), SessionConfigError, "must be a session manager");
  const options = { sub: "ann" } as object;
  await assertRejects(
    () => cookieFor(sessions<Data>(), {}, options),
    SessionConfigError,
    `"sub" is no option`,
  );
});

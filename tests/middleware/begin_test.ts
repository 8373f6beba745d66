/** `manager.begin()` as the author of another middleware uses it. */

import { Hono } from "hono";
import {
  MemoryStore,
  SessionClosedError,
  type SessionManager,
  sessions,
  SessionStoreError,
} from "../../mod.ts";
import {
  assert,
  assertEquals,
  assertNotEquals,
  assertRejects,
  assertStrictEquals,
  assertThrows,
} from "../assert.ts";
import { aroundCalls, countingStore } from "../counting_store.ts";
import { setCookies } from "../scenarios/_visits.ts";

interface Data {
  userId: number;
}

const URL = "https://example.com/";

function counted() {
  const counting = countingStore(new MemoryStore({ cleanup: "off" }));
  return { manager: sessions<Data>({ store: counting.store }), counting };
}

/** A middleware in ten lines, for a token in a header. */
function withHeaderSessions(
  manager: SessionManager<Data>,
  handler: (session: () => ReturnType<typeof manager.load>) => Promise<Response>,
): (request: Request) => Promise<Response> {
  return async (request) => {
    const current = manager.begin(request, { token: request.headers.get("X-Session") ?? "" });
    let response: Response | undefined;
    let error: unknown;
    try {
      response = await handler(() => current.session());
    } catch (thrown) {
      error = thrown;
    }
    return await current.finish(response, error);
  };
}

Deno.test("begin() calls no store before session(), and finish() without a session does not change the response", async () => {
  const { manager, counting } = counted();
  const current = manager.begin(
    new Request(URL, { headers: { Cookie: `__Host-session=${"A".repeat(43)}` } }),
  );
  const response = new Response("hello");
  assertStrictEquals(await current.finish(response), response);
  assertEquals([...response.headers], [["content-type", "text/plain;charset=UTF-8"]]);
  assertEquals(counting.calls(), {});
});

Deno.test("An outer middleware may change the session after an inner one: both changes are one write", async () => {
  const { manager, counting } = counted();
  const { token } = await (await manager.load()).commit();
  const request = new Request(URL, { headers: { Cookie: `__Host-session=${token}` } });
  const [outer, inner] = [manager.begin(request), manager.begin(request)];
  const session = await outer.session();
  (await inner.session()).put("userId", 1);
  counting.reset();
  const response = await inner.finish(new Response("done"));
  session.update("userId", (id = 0) => id + 1);
  await outer.finish(response);
  assertEquals(counting.calls(), { update: 1 });
  assertEquals((await manager.load(token)).get("userId"), 2);
});

Deno.test("A handler that fails while its session is still loaded saves nothing", async () => {
  const { manager } = counted();
  const { token } = await (await manager.load()).commit();
  const current = manager.begin(new Request(URL, { headers: { Cookie: `__Host-session=${token}` } }));
  const changing = current.session().then((session) => session.put("userId", 1));
  await current.finish(new Response("sorry"), new Error("the handler failed"));
  await changing.catch(() => {});
  assertEquals((await manager.load(token)).get("userId"), undefined);
});

Deno.test("What an error page changes in place is saved", async () => {
  const manager = sessions<{ list: number[] }>();
  const first = await manager.load();
  first.put("list", [1]);
  const { token } = await first.commit();
  const current = manager.begin(new Request(URL), { token });
  const session = await current.session();
  session.get("list")!.push(2);
  const error = new Error("the handler failed");
  current.fail(error);
  session.get("list")!.push(3);
  await current.finish(new Response("sorry"), error);
  assertEquals((await manager.load(token)).get("list"), [1, 3]);
});

Deno.test("finish() sends nothing again that a failed handler has left in doubt", async () => {
  const store = new MemoryStore({ cleanup: "off" });
  let isDown = true;
  const lossy = aroundCalls(store, (_method, call) => {
    if (isDown) {
      throw new SessionStoreError("create", { reason: "timeout", retryable: true, ambiguous: true });
    }
    return call();
  });
  const manager = sessions<Data>({ store: lossy, onError() {} });
  const current = manager.begin(new Request(URL));
  const session = await current.session();
  session.put("userId", 1);
  const error = await assertRejects(() => session.commit(), SessionStoreError);
  isDown = false;
  current.fail(error);
  const response = await current.finish(new Response("sorry"), error);
  assertEquals([store.size, setCookies(response)], [0, []]);
});

Deno.test("begin() shares the session of a request by its manager and its token", async () => {
  const [one, two] = [sessions<Data>(), sessions<Data>()];
  const { token } = await (await one.load()).commit();
  const request = new Request(URL);
  const given = await one.begin(request, { token }).session();
  const byCookie = await one.begin(request).session();
  const other = await two.begin(request).session();
  assertEquals(new Set([given, byCookie, other]).size, 3);
  assertStrictEquals(await one.begin(request, { token }).session(), given);
  assertStrictEquals(await one.begin(request).session(), byCookie);
  assertStrictEquals(await two.begin(request).session(), other);
});

Deno.test("A logout where there is no session emits no event and deletes no cookie", async () => {
  const events: string[] = [];
  const manager = sessions<Data>({ onEvent: ({ kind }) => void events.push(kind) });
  for (const headers of [new Headers(), new Headers({ Cookie: `__Host-session=${"A".repeat(43)}` })]) {
    const current = manager.begin(new Request(URL, { headers }));
    await (await current.session()).destroy();
    assertEquals(setCookies(await current.finish(new Response("bye"))), []);
  }
  assertEquals(events, ["unknown"]);
});

Deno.test("An outer middleware of a handler that has thrown may save a change of its own", async () => {
  const { manager } = counted();
  const request = new Request(URL);
  const [outer, inner] = [manager.begin(request), manager.begin(request)];
  const session = await outer.session();
  (await inner.session()).put("userId", 1);
  const error = new Error("the handler failed");
  await assertRejects(() => inner.finish(undefined, error), Error, "the handler failed");
  assertEquals(session.get("userId"), undefined);
  session.put("userId", 2);
  const [cookie] = setCookies(await outer.finish(new Response("sorry")));
  assertEquals((await manager.load(cookie!.value)).get("userId"), 2);
});

Deno.test("An outer middleware that asks only after its handler has thrown may save a change of its own", async () => {
  const { manager } = counted();
  const request = new Request(URL);
  const [outer, inner] = [manager.begin(request), manager.begin(request)];
  (await inner.session()).put("userId", 1);
  const error = new Error("the handler failed");
  await assertRejects(() => inner.finish(undefined, error), Error, "the handler failed");
  const session = await outer.session();
  assertEquals(session.keys(), []);
  session.put("userId", 2);
  const [cookie] = setCookies(await outer.finish(new Response("sorry")));
  assertEquals((await manager.load(cookie!.value)).get("userId"), 2);
});

Deno.test("finish() throws what a function of update() has thrown for the value of another request", async () => {
  const errors: string[] = [];
  const manager = sessions<Data>({ onError: ({ code }) => void errors.push(code) });
  const { token } = await (await manager.load()).commit();
  const request = new Request(URL, { headers: { Cookie: `__Host-session=${token}` } });
  const { session, finish } = manager.begin(request);
  const full = new RangeError("full");
  (await session()).update("userId", (userId) => {
    if (userId !== undefined) throw full;
    return 1;
  });
  const other = await manager.load(token);
  other.put("userId", 2);
  await other.commit();
  assertStrictEquals(await assertRejects(() => finish(new Response())), full);
  assertEquals(errors, []);
});

Deno.test("Of two middlewares one after the other in a request each saves what was changed in it", async () => {
  const { manager } = counted();
  const request = new Request(URL);
  const tokens: string[] = [];
  for (const userId of [1, 2]) {
    const { session, finish } = manager.begin(request);
    (await session()).put("userId", userId);
    tokens.push(...setCookies(await finish(new Response())).map(({ value }) => value));
  }
  assertEquals((await manager.load(tokens[0])).get("userId"), 2);
});

Deno.test("A failure of one manager leaves the browser the cookie of another one, without a response too", async () => {
  const admin = sessions<Data>({ cookie: { name: "admin" } });
  const { manager } = counted();
  const request = new Request(URL);
  const [outer, inner] = [manager.begin(request), admin.begin(request)];
  await outer.session();
  (await inner.session()).put("userId", 1);
  await inner.finish(new Response());
  const response = await outer.finish(undefined, new SessionClosedError());
  assertEquals([response.status, setCookies(response).map(({ name }) => name)], [500, ["admin"]]);
});

Deno.test("begin() with a token of null, as a missing header gives it, reads no cookie", async () => {
  const manager = sessions<{ n: number }>();
  const session = await manager.load();
  session.put("n", 1);
  const { token } = await session.commit();
  const request = new Request(URL, { headers: { Cookie: `__Host-session=${token}` } });
  const current = manager.begin(request, { token: request.headers.get("X-Session") as string });
  assertEquals((await current.session()).get("n"), undefined);
  assertEquals((await current.finish(new Response())).headers.get("Vary"), null);
});

Deno.test("begin() with a token reads no cookie, and finish() writes none", async (t) => {
  const { manager, counting } = counted();
  const login = withHeaderSessions(manager, async (getSession) => {
    const session = await getSession();
    session.renewToken();
    session.put("userId", 42);
    return new Response((await session.commit()).token);
  });
  const user = withHeaderSessions(manager, async (getSession) => {
    return new Response(String((await getSession()).get("userId")));
  });
  const logout = withHeaderSessions(manager, async (getSession) => {
    await (await getSession()).destroy();
    return new Response();
  });

  let response = await login(new Request(URL));
  const token = await response.text();
  await t.step("at login, when the handler sends the token", () => {
    assertEquals(setCookies(response), []);
    assertEquals(response.headers.get("Vary"), null);
    assertEquals(response.headers.get("Cache-Control"), "private");
  });
  await t.step("when the header has the token", async () => {
    counting.reset();
    response = await user(new Request(URL, { headers: { "X-Session": token } }));
    assertEquals(await response.text(), "42");
    assertEquals(counting.calls(), { find: 1 });
    assertEquals(response.headers.get("Vary"), null);
  });
  await t.step("when only a cookie has the token", async () => {
    counting.reset();
    response = await user(new Request(URL, { headers: { Cookie: `__Host-session=${token}` } }));
    assertEquals(await response.text(), "undefined");
    assertEquals(counting.calls(), {});
  });
  await t.step("when the header has no well-formed token", async () => {
    counting.reset();
    response = await user(new Request(URL, { headers: { "X-Session": `${token}x` } }));
    assertEquals(await response.text(), "undefined");
    assertEquals(counting.calls(), {});
  });
  await t.step("at logout", async () => {
    response = await logout(new Request(URL, { headers: { "X-Session": token } }));
    assertEquals(setCookies(response), []);
    assertEquals((await manager.load(token)).token, undefined);
  });
});

Deno.test("finish() with an error and a response sends the response, saves nothing new and keeps what was saved before", async () => {
  const { manager } = counted();
  const current = manager.begin(new Request(URL));
  const session = await current.session();
  session.put("userId", 1);
  const { token } = await session.commit();
  session.put("userId", 2);
  const response = await current.finish(new Response("page", { status: 500 }), new Error("on purpose"));
  assertEquals([response.status, await response.text()], [500, "page"]);
  assertEquals(setCookies(response)[0]?.value, token);
  assertEquals((await manager.load(token)).get("userId"), 1);
});

Deno.test("finish() waits for a commit that is under way", async () => {
  const { manager } = counted();
  const current = manager.begin(new Request(URL));
  const session = await current.session();
  session.put("userId", 1);
  const committed = session.commit();
  const response = await current.finish(new Response());
  const { token } = await committed;
  assertEquals(setCookies(response).map(({ value }) => value), [token]);
});

Deno.test("finish() waits for a session() that was not awaited, and saves its changes", async () => {
  const { manager } = counted();
  const stored = await manager.load();
  stored.put("userId", 1);
  const { token } = await stored.commit();
  const current = manager.begin(new Request(URL, { headers: { Cookie: `__Host-session=${token}` } }));
  current.session().then((session) => session.put("userId", 2));
  await current.finish(new Response());
  assertEquals((await manager.load(token)).get("userId"), 2);
});

Deno.test("finish() throws without a response and without an error", async () => {
  const { manager } = counted();
  const message = "Cannot finish the request: the handler gave no Response but a value of type undefined";
  for (const ask of [true, false]) {
    const current = manager.begin(new Request(URL));
    if (ask) await current.session();
    await assertRejects(() => current.finish(undefined), TypeError, message);
    await assertRejects(() => current.finish(undefined, null), TypeError, message);
  }
});

Deno.test("begin() tries two cookies of the name, and finish() writes the one that counts", async () => {
  const { manager, counting } = counted();
  const stored = await manager.load();
  stored.put("userId", 1);
  const { token } = await stored.commit();
  const Cookie = `__Host-session=${"A".repeat(43)}; __Host-session=${token}`;
  counting.reset();
  const current = manager.begin(new Request(URL, { headers: { Cookie } }));
  const session = await current.session();
  assertEquals([session.get("userId"), counting.calls()], [1, { find: 2 }]);
  session.renewToken();
  const response = await current.finish(new Response());
  const [cookie] = setCookies(response);
  assertNotEquals(cookie!.value, token);
  assert(cookie!.attributes.Secure !== undefined);
  assertEquals((await manager.load(cookie!.value)).get("userId"), 1);
});

Deno.test("finish() refuses what is no response, and saves nothing", async () => {
  for (const given of ["hello", { ok: true }, 200]) {
    const { manager, counting } = counted();
    const current = manager.begin(new Request(URL));
    (await current.session()).put("userId", 1);
    const error = await assertRejects(() => current.finish(given as unknown as Response), TypeError);
    assertEquals(
      error.message,
      `Cannot finish the request: the handler gave no Response but a value of type ${typeof given}`,
    );
    assertEquals(counting.calls(), {});
  }
});

Deno.test("finish() throws what the handler threw, also where the response made of it is none", async () => {
  for (const isFailed of [false, true]) {
    const current = counted().manager.begin(new Request(URL));
    await current.session();
    const thrown = new Error("the handler failed");
    if (isFailed) current.fail(thrown);
    const error = await assertRejects(() => current.finish("page" as unknown as Response, thrown));
    assertStrictEquals(error, thrown);
  }
});

Deno.test("After a failed handler a nested Map refuses changes", async () => {
  const manager = sessions<{ seats: { taken: Map<string, string> } }>();
  const created = await manager.load();
  created.put("seats", { taken: new Map([["1A", "zoe"]]) });
  const { token } = await created.commit();
  const current = manager.begin(new Request(URL, { headers: { Cookie: `__Host-session=${token}` } }));
  const { taken } = (await current.session()).get("seats")!;
  await current.finish(new Response("failed", { status: 500 }), new Error("the handler failed"));
  assertThrows(() => taken.set("1A", "max"), SessionClosedError);
});

Deno.test("SessionManager.begin() refuses a signal that is none", () => {
  const signal = new AbortController() as unknown as AbortSignal;
  assertThrows(
    () => counted().manager.begin(new Request(URL), { signal }),
    TypeError,
    "must be an AbortSignal",
  );
});

Deno.test("A response of onError to a touch in the background is not looked at", async () => {
  const store = Object.assign(new MemoryStore({ cleanup: "off" }), {
    touch: () => Promise.reject(new Error("the network is down")),
  });
  let [asked, looks] = [0, 0];
  class Watched extends Response {
    override get bodyUsed(): boolean {
      looks++;
      return super.bodyUsed;
    }
  }
  const onError = () => {
    asked++;
    return new Watched();
  };
  const clock = { time: Date.UTC(2026, 2, 4) };
  const manager = sessions<Data>({ store, idleTimeout: "20m", now: () => clock.time, onError });
  const created = await manager.load();
  created.put("userId", 1);
  const { token } = await created.commit();
  clock.time += 600_000;
  const current = manager.begin(new Request(URL, { headers: { Cookie: `__Host-session=${token}` } }));
  await current.session();
  assertEquals((await current.finish(new Response("page"))).status, 200);
  assertEquals([asked, looks], [1, 0]);
});

Deno.test("SessionManager.begin() says what to pass in place of another object", async () => {
  const given: unknown[] = [{ headers: { cookie: "a=b" }, url: "/" }];
  await new Hono().get("/", (c) => (given.push(c, c.req), c.text("ok"))).request("/");
  assertEquals(given.length, 3);
  for (const one of given) {
    const error = assertThrows(() => sessions().begin(one as Request), TypeError);
    assertEquals(
      error.message,
      "Cannot begin a request: begin() takes a Request, and got an object; " +
        "pass the c.req.raw of Hono, and on Node a new Request(), or use nodeSessions()",
    );
  }
});

Deno.test("SessionManager.begin() says that it takes a Request", () => {
  for (
    const [given, shown] of [[null, "null"], [undefined, "undefined"], [
      "https://a.example/",
      "a URL",
    ]]
  ) {
    const error = assertThrows(() => sessions().begin(given as unknown as Request), TypeError);
    assertEquals(error.message, `Cannot begin a request: begin() takes a Request, and got ${shown}`);
  }
});

Deno.test("finish() of an outer begin() saves, though one within it is not finished", async () => {
  const manager = sessions<Data>();
  const request = new Request("https://example.com/");
  const outer = manager.begin(request);
  (await outer.session()).put("userId", 42);
  const inner = manager.begin(request);
  await inner.session();
  const response = await outer.finish(new Response("done"));
  assertEquals(response.headers.getSetCookie().length, 1);
});

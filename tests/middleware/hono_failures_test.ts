/** The session in app.onError, and fail(): changes of a failed handler are discarded, and later changes are saved. */

import { Hono } from "hono";
import { HTTPException } from "hono/http-exception";
import { honoSessions, type SessionVariables } from "../../middleware/hono.ts";
import { type SessionManager, type SessionOptions, sessions } from "../../mod.ts";
import { assertEquals, assertRejects, assertThrows } from "../assert.ts";
import { setCookies } from "../scenarios/_visits.ts";

interface Data {
  n: number;
  flash: string;
  list: number[];
}

const URL = "https://example.com/";

async function signedIn(options: SessionOptions = {}) {
  const manager = sessions<Data>(options);
  const session = await manager.load();
  session.put("n", 1);
  session.put("list", [1]);
  const { token } = await session.commit();
  return { manager, token, headers: { Cookie: `__Host-session=${token}` } };
}

async function held(manager: SessionManager<Data>, token: string) {
  const session = await manager.load(token);
  return [session.get("n"), session.get("flash"), session.get("list")];
}

for (const times of [1, 2]) {
  Deno.test(`Changes of app.onError are saved, and the handler's are not, mounted ${times} times`, async () => {
    const { manager, token, headers } = await signedIn();
    const app = new Hono().use(honoSessions(manager)).get("/", async (c) => {
      const session = await c.var.session();
      session.put("n", 2);
      session.get("list")!.push(2);
      throw new Error("on purpose");
    });
    app.onError(async (_error, c) => {
      const session =
        await (c as unknown as typeof c & { var: { session(): ReturnType<typeof manager.load> } }).var
          .session();
      assertEquals([session.get("n"), session.get("list"), session.status], [1, [1], "unmodified"]);
      session.put("flash", "sorry");
      return c.redirect("/error");
    });
    const around = new Hono().use(honoSessions(manager)).use(async (c, next) => {
      await c.var.session();
      await next();
    }).route("/", app);
    const response = await (times === 1 ? app : around).request(URL, { headers });
    assertEquals([response.status, response.headers.get("Location")], [302, "/error"]);
    assertEquals(await held(manager, token), [1, "sorry", [1]]);
  });
}

Deno.test("Changes before an inner honoSessions() are discarded, though the handler that failed never asked", async () => {
  const { manager, token, headers } = await signedIn();
  const app = new Hono().use(honoSessions(manager))
    .use(async (c, next) => {
      (await c.var.session()).put("n", 2);
      await next();
    })
    .use(honoSessions(manager))
    .get("/", () => {
      throw new Error("on purpose");
    });
  app.onError(async (_error, c) => {
    const session = await (c as typeof c & { var: SessionVariables<Data> }).var.session();
    session.put("flash", "sorry");
    return c.text(`page ${session.get("n")}`, 500);
  });
  assertEquals(await (await app.request(URL, { headers })).text(), "page 1");
  assertEquals(await held(manager, token), [1, "sorry", [1]]);
});

Deno.test("Changes of app.onError are saved if the handler never asked, and create a session", async () => {
  const { manager } = await signedIn();
  const app = new Hono().use(honoSessions(manager)).get("/", () => {
    throw new Error("on purpose");
  }).onError(async (_error, c) => {
    (await c.var.session()).put("flash", "sorry");
    return c.text("page", 500);
  });
  const response = await app.request(URL);
  const [cookie] = setCookies(response);
  assertEquals([response.status, (await manager.load(cookie!.value)).get("flash")], [500, "sorry"]);
});

Deno.test("app.onError of an HTTPException keeps the handler's changes", async () => {
  const { manager, token, headers } = await signedIn();
  const app = new Hono().use(honoSessions(manager)).get("/", async (c) => {
    (await c.var.session()).put("n", 2);
    throw new HTTPException(422);
  }).onError(async (_error, c) => {
    (await c.var.session()).put("flash", "no");
    return c.text("page", 422);
  });
  await app.request(URL, { headers });
  assertEquals(await held(manager, token), [2, "no", [1]]);
});

Deno.test("app.onError that does not ask saves nothing, and the session cannot be committed later", async () => {
  const { manager, token, headers } = await signedIn();
  let late: Awaited<ReturnType<typeof manager.load>> | undefined;
  const app = new Hono().use(honoSessions(manager)).get("/", async (c) => {
    late = await c.var.session();
    late.put("n", 2);
    throw new Error("on purpose");
  }).onError((_error, c) => c.text("page", 500));
  await app.request(URL, { headers });
  assertThrows(() => late!.put("n", 3));
  await assertRejects(() => late!.commit());
  assertEquals(await held(manager, token), [1, undefined, [1]]);
});

Deno.test("app.onError keeps what the handler committed, and its cookie", async () => {
  const { manager, token, headers } = await signedIn();
  const app = new Hono().use(honoSessions(manager)).get("/", async (c) => {
    const session = await c.var.session();
    session.renewToken();
    session.put("n", 2);
    await session.commit();
    session.put("n", 3);
    throw new Error("on purpose");
  }).onError(async (_error, c) => {
    (await c.var.session()).put("flash", "sorry");
    return c.text("page", 500);
  });
  const [cookie] = setCookies(await app.request(URL, { headers }));
  assertEquals(await held(manager, cookie!.value), [2, "sorry", [1]]);
  assertEquals((await manager.load(token)).token, undefined);
});

Deno.test("fail() keeps a commit under way, and discards later changes", async () => {
  const { manager, token, headers } = await signedIn();
  const current = manager.begin(new Request(URL, { headers }));
  const session = await current.session();
  session.put("n", 2);
  const committed = session.commit();
  session.put("list", [5]);
  current.fail();
  session.put("flash", "sorry");
  await committed;
  await current.finish(new Response());
  assertEquals(await held(manager, token), [2, "sorry", [1]]);
});

Deno.test("fail() and finish() with the same error discard changes once", async () => {
  const { manager, token, headers } = await signedIn();
  const { fail, finish, session } = manager.begin(new Request(URL, { headers }));
  const error = new Error("on purpose");
  (await session()).put("n", 2);
  fail(error);
  (await session()).put("flash", "sorry");
  fail(error);
  const response = await finish(new Response("page", { status: 500 }), error);
  assertEquals([response.status, await held(manager, token)], [500, [1, "sorry", [1]]]);
});

Deno.test("A second finish() after an error saves nothing", async () => {
  const { manager, token, headers } = await signedIn();
  const { finish, session } = manager.begin(new Request(URL, { headers }));
  (await session()).put("n", 2);
  await finish(new Response("page"), new Error("on purpose"));
  await finish(new Response("page"));
  assertEquals((await held(manager, token))[0], 1);
});

for (const saveOnServerError of [true, false]) {
  for (const status of [200, 404, 499, 500, 503, 599]) {
    Deno.test(`A ${status} saves with saveOnServerError ${saveOnServerError}, unless it is a 5xx and that is off`, async () => {
      const { manager, token, headers } = await signedIn({ saveOnServerError });
      const { finish, session } = manager.begin(new Request(URL, { headers }));
      (await session()).put("n", 2);
      await finish(new Response(null, { status }));
      assertEquals((await held(manager, token))[0], saveOnServerError || status < 500 ? 2 : 1);
    });
  }
}

Deno.test("The cookie of a handler's own commit reaches the browser where the last commit throws a foreign error", async () => {
  const { manager, token, headers } = await signedIn();
  const app = new Hono().use(honoSessions(manager)).get("/", async (c) => {
    const session = await c.var.session();
    session.renewToken();
    const { token: renewed } = await session.commit();
    session.update("n", (n = 0) => {
      if (n > 1) throw new RangeError("full");
      return n + 1;
    });
    const other = await manager.load(renewed);
    other.put("n", 5);
    await other.commit();
    return c.text("done");
  });
  app.onError((error, c) => c.text(error.message, 500));
  const response = await app.request(URL, { headers });
  assertEquals([response.status, await response.text()], [500, "full"]);
  const [cookie] = setCookies(response);
  assertEquals(await held(manager, cookie!.value), [5, undefined, [1]]);
  assertEquals(await held(manager, token), [undefined, undefined, undefined]);
});

import { type Context, Hono, type MiddlewareHandler } from "hono";
import { createMiddleware } from "hono/factory";
import { honoSessions, type SessionVariables } from "../../middleware/hono.ts";
import {
  MemoryStore,
  type Session,
  SessionClosedError,
  SessionConfigError,
  type SessionManager,
  type SessionOptions,
  sessions,
} from "../../mod.ts";
import { assert, assertEquals, assertStrictEquals, assertThrows } from "../assert.ts";
import { countingStore } from "../counting_store.ts";
import { setCookies } from "../scenarios/_visits.ts";
import { visitorOf } from "./_visitor.ts";

interface Data {
  userId: number;
  cart: string[];
}

const URL = "https://example.com/";

function counted(options: SessionOptions = {}) {
  const counting = countingStore(new MemoryStore({ cleanup: "off" }));
  return { manager: sessions<Data>({ store: counting.store, ...options }), counting };
}

/** The `Cookie` header of a session with these values. */
async function signedIn(manager: SessionManager<Data>, userId = 42): Promise<{ Cookie: string }> {
  const session = await manager.load();
  session.put("userId", userId);
  return { Cookie: `__Host-session=${(await session.commit()).token}` };
}

Deno.test("honoSessions() makes no store call and adds no header if the session is not asked for", async (t) => {
  const { manager, counting } = counted();
  const cookie = await signedIn(manager);
  const app = new Hono().use(honoSessions(manager)).get("/", (c) => c.text("hello", 200, { "X-Own": "1" }));
  const bare = new Hono().get("/", (c) => c.text("hello", 200, { "X-Own": "1" }));
  const expected = [...(await bare.request(URL)).headers];
  const cookies = {
    "no cookie": {},
    "a live session's cookie": cookie,
    "a cookie that is not well formed": { Cookie: "__Host-session=%00;;=" },
  };
  counting.reset();
  for (const [name, headers] of Object.entries(cookies)) {
    await t.step(`with ${name}`, async () => {
      const response = await app.request(URL, { headers });
      assertEquals(await response.text(), "hello");
      assertEquals([...response.headers], expected);
      assertEquals(counting.calls(), {});
    });
  }
});

Deno.test("c.var.session() gives one session per request, and reads the store once", async () => {
  const { manager, counting } = counted();
  const headers = await signedIn(manager);
  const seen: Session<Data>[] = [];
  const app = new Hono()
    .use(honoSessions(manager))
    .use(async (c, next) => {
      seen.push(...await Promise.all([c.var.session(), c.var.session()]));
      await next();
    })
    .get("/", async (c) => {
      seen.push(await c.var.session());
      return c.text("ok");
    });
  counting.reset();
  const response = await app.request(URL, { headers });
  assertEquals(seen.length, 3);
  for (const session of seen) assertStrictEquals(session, seen[0]);
  assertEquals(counting.calls(), { find: 1 });
  assertEquals(response.headers.get("Vary"), "Cookie");
  assertEquals(response.headers.get("Cache-Control"), "private");
});

Deno.test("c.var.session() gives each request its own session", async () => {
  const { manager } = counted();
  const seen: Session<Data>[] = [];
  const app = new Hono().use(honoSessions(manager)).get("/", async (c) => {
    seen.push(await c.var.session());
    return c.text("ok");
  });
  const headers = await signedIn(manager);
  await Promise.all([app.request(URL, { headers }), app.request(URL, { headers })]);
  assert(seen[0] !== seen[1]);
});

Deno.test("honoSessions() types the session through chained use()", async () => {
  const { manager } = counted();
  const theme = sessions<{ dark: boolean }>({ cookie: { name: "theme" } });

  // A handler outside the chain.
  async function cart(c: Context<{ Variables: SessionVariables<Data> }>) {
    const items: string[] | undefined = (await c.var.session()).get("cart");
    return c.json(items ?? []);
  }

  const app = new Hono()
    .use(async (_c, next) => await next())
    .use(honoSessions(manager))
    .use(honoSessions(theme, { key: "theme" }))
    .get("/cart", cart)
    .get("/", async (c) => {
      const session = await c.var.session();
      const userId: number | undefined = session.get("userId");
      const dark: boolean | undefined = (await c.var.theme()).get("dark");
      // @ts-expect-error `userId` is a number
      session.put("userId", "42");
      // @ts-expect-error there is no such value
      session.get("user");
      // @ts-expect-error there is no such session
      assertEquals(c.var.thema, undefined);
      return c.json({ userId, dark });
    });
  assertEquals(await (await app.request(URL)).json(), {});
  assertEquals(await (await app.request(`${URL}cart`)).json(), []);
});

Deno.test("honoSessions() keeps two managers separate under two keys", async () => {
  const user = sessions<{ name: string }>({ cookie: { name: "user" } });
  const admin = sessions<{ name: string }>({ cookie: { name: "admin" } });
  const app = new Hono()
    .use(honoSessions(user), honoSessions(admin, { key: "admin" }))
    .post("/", async (c) => {
      (await c.var.session()).put("name", "Zoe");
      (await c.var.admin()).put("name", "root");
      return c.body(null, 204);
    })
    .post("/user-only", async (c) => {
      (await c.var.session()).put("name", "Max");
      return c.body(null, 204);
    })
    .get(
      "/",
      async (c) => c.text(`${(await c.var.session()).get("name")} ${(await c.var.admin()).get("name")}`),
    );
  const visitor = visitorOf(app);
  const response = await visitor.post("/");
  assertEquals(setCookies(response).map(({ name }) => name).sort(), ["admin", "user"]);
  assertEquals(response.headers.get("Vary"), "Cookie");
  await visitor.post("/user-only");
  assertEquals(await visitor.text("/"), "Max root");
});

Deno.test("honoSessions() mounted twice with one manager loads and commits once", async () => {
  const { manager, counting } = counted();
  const middleware = honoSessions(manager);
  const seen: Session<Data>[] = [];
  const app = new Hono()
    .use(middleware)
    .use(async (c, next) => {
      seen.push(await c.var.session());
      await next();
    })
    .use(middleware)
    .use(honoSessions(manager))
    .post("/", async (c) => {
      seen.push(await c.var.session());
      seen[1]!.put("userId", 1);
      return c.text("ok");
    });
  const response = await app.request(URL, { method: "POST" });
  assertStrictEquals(seen[0], seen[1]);
  assertEquals(setCookies(response).length, 1);
  assertEquals(counting.calls(), { create: 1 });
});

Deno.test("honoSessions() gives nested applications the session of the outer one", async () => {
  const { manager, counting } = counted();
  const middleware = honoSessions(manager);
  const inner = new Hono()
    .use(middleware)
    .onError((_error, c) => c.text("inner error page", 500))
    .post("/", async (c) => {
      (await c.var.session()).update("userId", (userId = 0) => userId + 1);
      return c.text("ok");
    })
    .get("/throws", async (c) => {
      (await c.var.session()).put("userId", 99);
      throw new Error("on purpose");
    });
  const outer = new Hono()
    .use(middleware)
    .use(async (c, next) => {
      (await c.var.session()).update("userId", (userId = 0) => userId + 10);
      await next();
    })
    .route("/inner", inner)
    .get("/", async (c) => c.text(String((await c.var.session()).get("userId"))));
  const visitor = visitorOf(outer);
  await visitor.post("/inner");
  assertEquals(counting.calls(), { create: 1 });
  assertEquals(await visitor.text("/inner/throws"), "inner error page");
  assertEquals(await visitor.text("/"), "21");
});

for (const form of ["a manager", "a function", "a function, without an environment"]) {
  Deno.test(`honoSessions() mounted twice with ${form}: what runs between them after next() is saved`, async () => {
    const { manager } = counted();
    // Some platforms pass none, such as Vercel.
    const env = form.endsWith("environment") ? undefined : {};
    const make = () => sessions<Data>();
    const mount = () => form === "a manager" ? honoSessions(manager) : honoSessions(make);
    const app = new Hono().use(mount())
      .use(async (c, next) => {
        await next();
        (await c.var.session()).update("userId", (id = 0) => id + 1);
      })
      .use(mount())
      .post("/", async (c) => {
        (await c.var.session()).put("userId", 20);
        return c.text("ok");
      })
      .get("/", async (c) => c.text(String((await c.var.session()).get("userId"))));
    const login = await app.request(URL, { method: "POST" }, env);
    const cookies = setCookies(login).map(({ name, value }) => `${name}=${value}`);
    assertEquals(cookies.length, 1);
    const page = await app.request(URL, { headers: { Cookie: cookies.join("; ") } }, env);
    assertEquals(await page.text(), "21");
  });
}

Deno.test("honoSessions() only in a nested application does not affect the others", async () => {
  const { manager } = counted();
  const inner = new Hono().use(honoSessions(manager)).post("/", async (c) => {
    (await c.var.session()).put("userId", 1);
    return c.text("ok");
  });
  const app = new Hono().route("/inner", inner).get("/", (c) => c.text("plain"));
  assertEquals(setCookies(await app.request(`${URL}inner`, { method: "POST" })).length, 1);
  assertEquals((await app.request(URL)).headers.get("Vary"), null);
});

Deno.test("honoSessions() calls a function once for each c.env object", async (t) => {
  type Env = { Bindings: { SUFFIX: string } };
  const made: string[] = [];
  const app = new Hono<Env>()
    .use(honoSessions((c: Context<Env>) => {
      made.push(c.env.SUFFIX);
      return sessions<Data>({ cookie: { name: `session_${c.env.SUFFIX}` } });
    }))
    .post("/", async (c) => {
      const session = await c.var.session();
      // @ts-expect-error `userId` is a number
      session.put("userId", c.env.SUFFIX);
      return c.text("ok");
    });
  const post = async (env: Env["Bindings"]) =>
    setCookies(await app.request(URL, { method: "POST" }, env))[0]?.name;
  const [first, second] = [{ SUFFIX: "a" }, { SUFFIX: "b" }];
  await t.step("and keeps the manager", async () => {
    assertEquals(await post(first), "session_a");
    assertEquals(await post(second), "session_b");
    assertEquals(await post(first), "session_a");
    assertEquals(made, ["a", "b"]);
  });
  await t.step("and once if there is no env", async () => {
    let calls = 0;
    const bare = new Hono().use(honoSessions(() => {
      calls++;
      return sessions();
    })).get("/", (c) => c.text("ok"));
    const fetch = (request: Request) => bare.fetch(request, undefined);
    await fetch(new Request(URL));
    await fetch(new Request(URL));
    assertEquals(calls, 1);
  });
  await t.step("and again after it threw", async () => {
    let calls = 0;
    const failing = new Hono<Env>().use(honoSessions((_c: Context<Env>): SessionManager => {
      calls++;
      throw new SessionConfigError(["no credentials"]);
    })).get("/", (c) => c.text("ok"));
    const logged = await loggedBy(async () => {
      assertEquals((await failing.request(URL, {}, first)).status, 500);
      assertEquals((await failing.request(URL, {}, first)).status, 500);
    });
    assertEquals(calls, 2);
    // Hono does not log an error that has a response of its own.
    assertEquals(logged, Array(2).fill("Cannot use these session options: no credentials"));
  });
  await t.step("and leaves it to Hono to log another error", async () => {
    const failing = new Hono<Env>().use(honoSessions((_c: Context<Env>): SessionManager => {
      throw new Error("no binding");
    })).get("/", (c) => c.text("ok"));
    const logged = await loggedBy(async () => {
      assertEquals((await failing.request(URL, {}, first)).status, 500);
    });
    assertEquals(logged, ["no binding"]);
  });
  await t.step("and refuses a result that is no manager", async () => {
    const wrong = {
      // A rejection must not end the process.
      "a promise: make the table beforehand": () => Promise.reject(new Error("no table")),
      undefined: () => undefined,
    };
    for (const [what, make] of Object.entries(wrong)) {
      const failing = new Hono<Env>().use(
        honoSessions((_c: Context<Env>) => make() as unknown as SessionManager),
      )
        .get("/", (c) => c.text("ok"));
      const logged = await loggedBy(async () => {
        assertEquals((await failing.request(URL, {}, first)).status, 500);
      });
      const problem = `the function must return a session manager, not ${what}`;
      assertEquals(logged, [`Cannot use these session options: ${problem}`]);
    }
  });
});

Deno.test("honoSessions() refuses an unknown option", () => {
  const options: object = { name: "admin" };
  const error = assertThrows(() => honoSessions(sessions(), options), SessionConfigError);
  assertEquals(error.problems, ['"name" is no option; the options are key']);
  for (const key of ["", 5, null]) {
    const wrong = { key } as unknown as { key: string };
    const { problems } = assertThrows(() => honoSessions(sessions(), wrong), SessionConfigError);
    assertEquals(problems, [`"key" must be a name: got ${JSON.stringify(key)}`]);
  }
});

Deno.test("honoSessions() throws without a manager", () => {
  const wrong: unknown = { load() {} };
  const error = assertThrows(() => honoSessions(wrong as SessionManager), SessionConfigError);
  assertEquals(error.problems, [
    "pass a session manager, or a function that makes one",
  ]);
});

Deno.test("honoSessions() passes a touch to executionCtx.waitUntil if there is one", async () => {
  let time = Date.UTC(2026, 0, 1);
  const { manager, counting } = counted({ idleTimeout: "20m", now: () => time });
  const headers = await signedIn(manager);
  const app = new Hono().use(honoSessions(manager)).get("/", async (c) => {
    await c.var.session();
    return c.text("ok");
  });
  const waiting: Promise<unknown>[] = [];
  const context = {
    waitUntil: (work: Promise<unknown>) => void waiting.push(work),
    passThroughOnException() {},
    props: {},
  };
  time += 10 * 60_000;
  await app.request(URL, { headers }, {}, context);
  assertEquals(waiting.length, 1);
  await Promise.all(waiting);
  time += 10 * 60_000;
  counting.reset();
  assertEquals((await app.request(URL, { headers })).status, 200);
  assertEquals(counting.calls(), { find: 1, touch: 1 });
});

Deno.test("honoSessions() sends the cookie with every kind of response", async (t) => {
  const { manager } = counted();
  const app = new Hono()
    .use(honoSessions(manager))
    .use(async (c, next) => {
      (await c.var.session()).put("userId", 7);
      await next();
    })
    .get("/page", (c) => c.text("page"))
    .get("/empty", (c) => c.body(null, 204))
    .get("/same", () => new Response(null, { status: 304, headers: { ETag: '"1"' } }))
    .get("/elsewhere", (c) => c.redirect("/page"))
    .get("/immutable", () => Response.redirect("https://example.com/page", 303));
  const cases: [string, string, number, string][] = [
    ["GET", "page", 200, "page"],
    ["HEAD", "page", 200, ""],
    ["GET", "empty", 204, ""],
    ["GET", "same", 304, ""],
    ["GET", "elsewhere", 302, ""],
    ["GET", "immutable", 303, ""],
    ["GET", "nowhere", 404, "404 Not Found"],
  ];
  for (const [method, path, status, body] of cases) {
    await t.step(`${method} ${path}, ${status}`, async () => {
      const response = await app.request(URL + path, { method });
      assertEquals(response.status, status);
      assertEquals(await response.text(), body);
      const [cookie, ...others] = setCookies(response);
      assertEquals(others, []);
      assertEquals((await manager.load(cookie!.value)).get("userId"), 7);
      assertEquals(response.headers.get("Vary"), "Cookie");
      assertEquals(response.headers.get("Cache-Control"), 'private, no-cache="Set-Cookie"');
      if (status === 303) assertEquals(response.headers.get("Location"), "https://example.com/page");
    });
  }
});

Deno.test("honoSessions() throws if the handler returns no response, and saves nothing", async () => {
  const { manager, counting } = counted();
  let message = "";
  const app = new Hono()
    .use(honoSessions(manager))
    .use(async (c, _next) => {
      (await c.var.session()).put("userId", 1);
    })
    .get("/", (c) => c.text("never reached"))
    .onError((error, c) => {
      message = error.message;
      return c.text("error page", 500);
    });
  const response = await app.request(URL);
  assertEquals([response.status, await response.text()], [500, "error page"]);
  assertEquals(message.includes("the handler gave no Response but"), true);
  assertEquals(setCookies(response), []);
  assertEquals(counting.calls(), {});
});

Deno.test("A middleware may make the response for a handler that returned none, within honoSessions()", async () => {
  const { manager } = counted();
  const envelope: MiddlewareHandler = async (c, next) => {
    await next();
    if (!c.finalized) return c.text("made");
  };
  const handler = createMiddleware<{ Variables: SessionVariables<Data> }>(async (c, _next) => {
    if (c.req.path === "/login") (await c.var.session()).put("userId", 1);
  });
  const within = visitorOf(new Hono().use(honoSessions(manager)).use(envelope).use(handler));
  assertEquals((await within.post("/login")).status, 200);
  assertEquals((await manager.load(within.token)).get("userId"), 1);

  const around = new Hono().use(envelope).use(honoSessions(manager)).use(handler);
  const visitor = visitorOf(around.onError((_error, c) => c.text("error page", 500)));
  assertEquals((await visitor.post("/login")).status, 500);
  assertEquals(await visitor.text("/news"), "made");
});

Deno.test("A session is read-only for a middleware outside honoSessions(), once the response is made", async (t) => {
  for (const asked of [true, false]) {
    await t.step(asked ? "asked for by the handler" : "asked for only then", async () => {
      const { manager } = counted();
      let failure: unknown;
      let userId: number | undefined;
      const app = new Hono<{ Variables: Partial<SessionVariables<Data>> }>()
        .use(async (c, next) => {
          await next();
          try {
            // First asked for now, it is refused, because the response is not private.
            const session = await c.var.session!();
            userId = session.get("userId");
            session.put("userId", 2);
          } catch (error) {
            failure = error;
          }
        })
        .use(honoSessions(manager))
        .get("/", async (c) => {
          if (asked) await c.var.session!();
          return c.text("ok");
        });
      assertEquals((await app.request(URL, { headers: await signedIn(manager) })).status, 200);
      assert(failure instanceof SessionClosedError, String(failure));
      assertEquals(userId, asked ? 42 : undefined);
    });
  }
});

/** The messages of the errors that are logged meanwhile. */
async function loggedBy(work: () => Promise<void>): Promise<string[]> {
  const { error: log } = console;
  const messages: string[] = [];
  console.error = (error: Error) => void messages.push(error.message);
  try {
    await work();
  } finally {
    console.error = log;
  }
  return messages;
}

import { Hono, type MiddlewareHandler } from "hono";
import { compress } from "hono/compress";
import { etag } from "hono/etag";
import { HTTPException } from "hono/http-exception";
import { honoSessions, type SessionVariables } from "../../middleware/hono.ts";
import {
  MemoryStore,
  type Session,
  type SessionError,
  type SessionErrorInfo,
  SessionGoneError,
  type SessionManager,
  type SessionOptions,
  sessions,
  SessionStoreError,
} from "../../mod.ts";
import { assert, assertEquals, assertNotEquals, assertRejects, assertStrictEquals } from "../assert.ts";
import { freshTable } from "../backends.ts";
import { countingStore } from "../counting_store.ts";
import { before, failUnsent, interleave } from "../scenarios/_interleaving.ts";
import { setCookies } from "../scenarios/_visits.ts";
import { until } from "../services/demo.ts";
import { startLibSQL } from "../services/libsql.ts";
import { quietly } from "./_quietly.ts";
import { libSQLStoreAt, storeWithoutServer } from "./_stores.ts";
import { visitorOf } from "./_visitor.ts";

interface Data {
  userId: number;
  note: string;
}

const URL = "https://example.com/";

/** The errors that `onError` got. */
class Reports {
  readonly all: { error: SessionError; info: SessionErrorInfo }[] = [];

  /** ¦@param answer The result of `onError`. */
  hook(answer?: () => Response): SessionOptions["onError"] {
    return (error, info) => {
      this.all.push({ error, info });
      return answer?.();
    };
  }

  get phases(): string[] {
    return this.all.map(({ error, info }) => `${error.name} ${info.phase}`);
  }
}

/** An application with its own error page, so that Hono logs no errors. */
function application(manager: SessionManager<Data>) {
  return new Hono()
    .use(honoSessions(manager))
    .onError((error, c) => {
      return error instanceof HTTPException ? error.getResponse() : c.text(`page of ${error.name}`, 500);
    })
    .post("/", async (c) => {
      const session = await c.var.session();
      session.put("userId", 42);
      return c.text("signed in");
    })
    .get("/", async (c) => {
      const session = await c.var.session();
      return c.text(`${session.get("userId")} ${session.get("note")}`);
    });
}

/** On Node and Bun an `HTTPException` cannot give its response again once the body was read. */
class SingleHTTPException extends HTTPException {
  #isGiven = false;

  override getResponse(): Response {
    if (this.#isGiven) throw new TypeError("Response body object should not be disturbed or locked");
    this.#isGiven = true;
    return super.getResponse();
  }
}

/** What reads the body of a response before `honoSessions()` sees it. */
const READERS: Record<string, MiddlewareHandler> = {
  "etag()": etag(),
  "compress()": compress({ threshold: 0 }),
  "a middleware that clones it": async (c, next) => {
    await next();
    await c.res.clone().text();
  },
  "app.onError": (_c, next) => next(),
};

for (const [name, reader] of Object.entries(READERS)) {
  Deno.test(`An HTTPException whose body was read by ${name} is a response: the session is saved`, async () => {
    const manager = sessions<Data>();
    const app = new Hono().use(honoSessions(manager)).use(reader).get("/", async (c) => {
      (await c.var.session()).put("userId", 1);
      // As basicAuth() and bearerAuth() do.
      throw new SingleHTTPException(401, { res: new Response("sign in first", { status: 401 }) });
    });
    app.onError(async (error, c) => {
      const response = (error as HTTPException).getResponse();
      if (name !== "app.onError") return response;
      const text = await response.text();
      (await (c as typeof c & { var: SessionVariables<Data> }).var.session()).put("note", text);
      return c.text(text, 401);
    });
    const headers = { "Accept-Encoding": "gzip" };
    const response = await app.request(URL, { headers });
    assertEquals(response.status, 401);
    const token = setCookies(response)[0]?.value;
    const session = await manager.load(token);
    assertEquals(session.get("userId"), 1);
    assertEquals(session.get("note"), name === "app.onError" ? "sign in first" : undefined);
    await response.body?.cancel();
  });
}

Deno.test("An HTTPException of a handler is a response: the session is saved", async (t) => {
  for (const page of ["Hono", "app.onError"]) {
    await t.step(`answered by ${page}`, async () => {
      const manager = sessions<Data>();
      const app = new Hono().use(honoSessions(manager)).get("/", async (c) => {
        (await c.var.session()).put("userId", 7);
        throw new HTTPException(401, { message: "sign in first" });
      });
      if (page === "app.onError") app.onError((error, c) => c.text(`page: ${error.message}`, 401));
      const response = await app.request(URL);
      assertEquals(response.status, 401);
      assertEquals(await response.text(), page === "Hono" ? "sign in first" : "page: sign in first");
      assertEquals((await manager.load(setCookies(response)[0]!.value)).get("userId"), 7);
    });
  }
});

Deno.test("Any other error of a handler saves nothing", async (t) => {
  const counting = countingStore(new MemoryStore({ cleanup: "off" }));
  const manager = sessions<Data>({ store: counting.store });
  const app = application(manager).get("/throws", async (c) => {
    const session = await c.var.session();
    session.put("userId", 1);
    session.renewToken();
    throw new RangeError("on purpose");
  });
  await t.step("of a new session", async () => {
    const response = await app.request(`${URL}throws`);
    assertEquals([response.status, await response.text()], [500, "page of RangeError"]);
    assertEquals(setCookies(response), []);
    assertEquals(counting.calls(), {});
    assertEquals(response.headers.get("Vary"), "Cookie");
    assertEquals(response.headers.get("Cache-Control"), "private");
  });
  await t.step("of an existing session", async () => {
    const visitor = visitorOf(app);
    await visitor.post("/");
    const { token } = visitor;
    counting.reset();
    assertEquals((await visitor.visit("/throws")).status, 500);
    assertEquals(counting.calls(), { find: 1 });
    assertEquals(visitor.token, token);
    assertEquals(await visitor.text("/"), "42 undefined");
  });
});

Deno.test("What the handler saved or ended itself stands if it throws, with its cookie", async (t) => {
  // No touch before the handler throws.
  const late = before(() => new Promise<void>((resolve) => setTimeout(resolve)));
  const store = interleave(new MemoryStore({ cleanup: "off" }), { update: [late] });
  const manager = sessions<Data>({ store });
  const app = application(manager)
    .get("/create", async (c) => {
      const session = await c.var.session();
      session.put("userId", 1);
      await session.commit();
      session.put("userId", 2);
      throw new Error("on purpose");
    })
    .get("/renew", async (c) => {
      const session = await c.var.session();
      session.renewToken();
      // Still running when the handler throws.
      await Promise.all([session.commit(), Promise.reject(new Error("on purpose"))]);
      return c.text("never");
    })
    .get("/destroy", async (c) => {
      await (await c.var.session()).destroy();
      throw new Error("on purpose");
    })
    .get("/destroy-and-put", async (c) => {
      const session = await c.var.session();
      await session.destroy();
      session.put("note", "dropped");
      throw new Error("on purpose");
    });
  await t.step("a commit of a new session", async () => {
    const visitor = visitorOf(app);
    assertEquals((await visitor.visit("/create")).status, 500);
    assertEquals(await visitor.text("/"), "1 undefined");
  });
  await t.step("a renewal", async () => {
    const visitor = visitorOf(app);
    await visitor.post("/");
    const { token } = visitor;
    assertEquals((await visitor.visit("/renew")).status, 500);
    assertNotEquals(visitor.token, token);
    assertEquals(await visitor.text("/"), "42 undefined");
    assertEquals((await manager.load(token)).get("userId"), undefined);
  });
  for (const path of ["/destroy", "/destroy-and-put"]) {
    await t.step(path.slice(1), async () => {
      const visitor = visitorOf(app);
      await visitor.post("/");
      const { token } = visitor;
      const response = await visitor.visit(path);
      assertEquals(response.status, 500);
      assertEquals(setCookies(response).map(({ value, attributes }) => [value, attributes["Max-Age"]]), [[
        "",
        "0",
      ]]);
      assertEquals((await manager.load(token)).token, undefined);
    });
  }
});

Deno.test("The cookie of an explicit commit is sent although saving later changes fails", async () => {
  const manager = sessions<Data>({ maxBytes: 1_000 });
  const visitor = visitorOf(
    application(manager).post("/login", async (c) => {
      const session = await c.var.session();
      session.put("userId", 7);
      await session.commit();
      session.put("note", "x".repeat(2_000));
      return c.text("never");
    }),
  );
  assertEquals((await visitor.post("/login")).status, 500);
  assertEquals(await visitor.text("/"), "7 undefined");
});

Deno.test("A thrown Response is a response, and the session is saved", async () => {
  const manager = sessions<Data>();
  const app = new Hono().use(honoSessions(manager)).get("/", async (c) => {
    (await c.var.session()).put("userId", 7);
    throw new Response("thrown", { status: 418 });
  });
  const response = await app.request(URL);
  assertEquals([response.status, await response.text()], [418, "thrown"]);
  assertEquals((await manager.load(setCookies(response)[0]!.value)).get("userId"), 7);
});

Deno.test("A thrown value that is no Error passes through, and nothing is saved", async (t) => {
  const store = countingStore(new MemoryStore({ cleanup: "off" }));
  const manager = sessions<Data>({ store: store.store });
  const thrown = { "a number": 42, "text": "text" };
  for (const [name, value] of Object.entries(thrown)) {
    await t.step(name, async () => {
      const app = new Hono().use(honoSessions(manager)).get("/", async (c) => {
        (await c.var.session()).put("userId", 1);
        throw value;
      });
      let caught: unknown;
      await Promise.resolve(app.request(URL)).catch((error: unknown) => caught = error);
      assertStrictEquals(caught, value);
      assertEquals(store.calls(), {});
    });
  }
});

Deno.test("An error of app.notFound(), which Hono throws through the middleware", async (t) => {
  const manager = sessions<Data>();
  const app = new Hono()
    .use(honoSessions(manager))
    .get("/", (c) => c.text("ok"))
    .onError((error, c) => c.text(`page of ${error.name}`, 500));
  await t.step("goes to app.onError if the session was not asked for", async () => {
    app.notFound(() => {
      throw new HTTPException(404, { message: "nothing here" });
    });
    const response = await app.request(`${URL}nowhere`);
    assertEquals([response.status, await response.text()], [500, "page of Error"]);
    assertEquals(response.headers.get("Vary"), null);
  });
  await t.step("saves nothing and goes to app.onError if it was", async () => {
    app.notFound(async (c) => {
      const accessor: () => Promise<Session<Data>> = c.var.session;
      (await accessor()).put("userId", 1);
      throw new RangeError("on purpose");
    });
    const response = await app.request(`${URL}nowhere`);
    assertEquals([response.status, await response.text()], [500, "page of RangeError"]);
    assertEquals(setCookies(response), []);
  });
  await t.step("keeps what it ended itself, with its cookie", async () => {
    const session = await manager.load();
    const { token } = await session.commit();
    app.notFound(async (c) => {
      const accessor: () => Promise<Session<Data>> = c.var.session;
      await (await accessor()).destroy();
      throw new RangeError("on purpose");
    });
    const response = await app.request(`${URL}nowhere`, { headers: { Cookie: `__Host-session=${token}` } });
    assertEquals([response.status, await response.text()], [500, "page of RangeError"]);
    assertEquals(setCookies(response).map(({ value }) => value), [""]);
    assertEquals(response.headers.get("Vary"), "Cookie");
    assertEquals(response.headers.get("Cache-Control"), 'private, no-cache="Set-Cookie"');
  });
  await t.step("saves the session if it is an HTTPException", async () => {
    app.notFound(async (c) => {
      const accessor: () => Promise<Session<Data>> = c.var.session;
      (await accessor()).put("userId", 1);
      throw new HTTPException(404, { message: "nothing here" });
    });
    const response = await app.request(`${URL}nowhere`);
    assertEquals([response.status, await response.text()], [404, "nothing here"]);
    assertEquals(setCookies(response).length, 1);
  });
});

Deno.test("A failed load", async (t) => {
  await using server = await startLibSQL();
  const store = libSQLStoreAt(server.url);
  await store.createTable();
  const reports = new Reports();
  const manager = sessions<Data>({ store, onError: reports.hook() });
  // Without the error page of application(), to see Hono's own response.
  const app = new Hono()
    .use(honoSessions(manager))
    .post("/", async (c) => {
      (await c.var.session()).put("userId", 42);
      return c.text("signed in");
    })
    .get("/", async (c) => c.text(String((await c.var.session()).get("userId"))))
    .get("/caught", async (c) => {
      try {
        await c.var.session();
        return c.text("signed in");
      } catch {
        return c.text("without a session");
      }
    })
    .get("/never-awaited", async (c) => {
      c.var.session();
      // Does other work until the failure is known, and a little longer.
      await until(10_000, () => reports.all.length > 0);
      await new Promise((resolve) => setTimeout(resolve));
      return c.text("ok");
    });
  const visitor = visitorOf(app);
  await visitor.post("/");
  const { token } = visitor;
  await server.kill();

  await t.step("is answered 503 if it is not caught, and sets no cookie", async () => {
    const response = await visitor.visit("/");
    assertEquals([response.status, await response.text()], [503, "Service Unavailable\n"]);
    assertEquals(setCookies(response), []);
    assertEquals(response.headers.get("Cache-Control"), "no-store");
    assertEquals(reports.phases, ["SessionStoreError load"]);
    const { request } = reports.all[0]!.info;
    assertEquals(request?.url, URL);
  });
  await t.step("leaves the response to a handler that catches it, and is reported once", async () => {
    reports.all.length = 0;
    const response = await visitor.visit("/caught");
    assertEquals([response.status, await response.text()], [200, "without a session"]);
    assertEquals(setCookies(response), []);
    assertEquals(response.headers.get("Vary"), "Cookie");
    assertEquals(reports.phases, ["SessionStoreError load"]);
  });
  await t.step("does not affect a handler that does not await it, and is reported once", async () => {
    reports.all.length = 0;
    const response = await visitor.visit("/never-awaited");
    assertEquals([response.status, await response.text()], [200, "ok"]);
    assertEquals(setCookies(response), []);
    assertEquals(reports.phases, ["SessionStoreError load"]);
  });
  await t.step("is over when the server is back: the same cookie works", async () => {
    await server.start();
    assertEquals(await visitor.text("/"), "42");
    assertEquals(visitor.token, token);
  });
});

Deno.test("A failed commit replaces the handler's whole response", async (t) => {
  await using server = await startLibSQL();
  const store = libSQLStoreAt(server.url, freshTable());
  await store.createTable();
  const reports = new Reports();
  const manager = sessions<Data>({ store, onError: reports.hook() });
  let cancelled = false;
  const app = application(manager).put("/", async (c) => {
    (await c.var.session()).put("note", "lost");
    await server.kill();
    c.header("Set-Cookie", "theme=dark");
    c.header("ETag", '"1"');
    c.header("Cache-Control", "public, max-age=60");
    c.header("X-Own", "1");
    return c.body(new ReadableStream({ cancel: () => void (cancelled = true) }), 201);
  });
  const visitor = visitorOf(app);
  await visitor.post("/");
  const response = await visitor.visit("/", { method: "PUT" });
  await t.step("with the error's response", async () => {
    assertEquals([response.status, await response.text()], [503, "Service Unavailable\n"]);
    assertEquals(Object.fromEntries(response.headers), {
      "cache-control": "no-store",
      "content-type": "text/plain; charset=utf-8",
      vary: "Cookie",
    });
  });
  await t.step("and cancels its stream", () => assert(cancelled));
  await t.step("and is reported once", () => assertEquals(reports.phases, ["SessionStoreError commit"]));
  await t.step("and nothing was saved", async () => {
    await server.start();
    assertEquals(await visitor.text("/"), "42 undefined");
  });
});

Deno.test("A session that ended during the request gives 409, and no cookie deletes the next one", async () => {
  const reports = new Reports();
  const manager = sessions<Data>({ onError: reports.hook() });
  const visitor = visitorOf(
    application(manager).put("/", async (c) => {
      const session = await c.var.session();
      session.put("note", "too late");
      await (await manager.load(session.token)).destroy();
      return c.text("never");
    }),
  );
  await visitor.post("/");
  const response = await visitor.visit("/", { method: "PUT" });
  assertEquals([response.status, await response.text()], [409, "Conflict\n"]);
  assertEquals(setCookies(response), []);
  assertEquals(reports.phases, ["SessionGoneError commit"]);
});

Deno.test("A Response of the manager's onError replaces any other, and each error is reported once", async (t) => {
  const page = () => new Response("the manager's page", { status: 599, headers: { "X-Page": "1" } });
  const reports = new Reports();
  const down = sessions<Data>({ store: storeWithoutServer(), onError: reports.hook(page) });
  const up = sessions<Data>({ onError: reports.hook(page) });
  const headers = { Cookie: `__Host-session=${"A".repeat(43)}` };
  const check = async (response: Response, phases: string[]) => {
    assertEquals([response.status, await response.text()], [599, "the manager's page"]);
    assertEquals(response.headers.get("X-Page"), "1");
    assertEquals(setCookies(response), []);
    assertEquals(reports.phases.splice(0), phases);
    assertEquals(reports.all.splice(0).every(({ info }) => info.request?.url === URL), true);
  };
  await t.step("for a load, without app.onError", async () => {
    const app = new Hono().use(honoSessions(down)).get("/", async (c) => c.json(await c.var.session()));
    await check(await app.request(URL, { headers }), ["SessionStoreError load"]);
  });
  await t.step("for a load, before that of app.onError", async () => {
    await check(await application(down).request(URL, { headers }), ["SessionStoreError load"]);
  });
  await t.step("for a commit", async () => {
    const app = application(down).put("/", async (c) => {
      (await c.var.session()).put("userId", 1);
      return c.text("never");
    });
    await check(await app.request(URL, { method: "PUT" }), ["SessionStoreError commit"]);
  });
  await t.step("for an explicit commit that the handler does not catch", async () => {
    const app = application(down).put("/", async (c) => {
      const session = await c.var.session();
      session.put("userId", 1);
      return c.json(await session.commit());
    });
    await check(await app.request(URL, { method: "PUT" }), ["SessionStoreError commit"]);
  });
  await t.step("for a value that cannot be stored", async () => {
    const app = application(up).put("/", async (c) => {
      (await c.var.session()).put("note", (() => {}) as unknown as string);
      return c.text("never");
    });
    await check(await app.request(URL, { method: "PUT" }), ["SessionEncodeError commit"]);
  });
  await t.step("even one Response object for several requests", async () => {
    const shared = new Response(null, { status: 599 });
    const manager = sessions<Data>({ onError: () => shared, maxBytes: 1_000 });
    const visitor = visitorOf(
      application(manager).put("/", async (c) => {
        const session = await c.var.session();
        session.put("userId", 1);
        await session.commit();
        session.put("note", "x".repeat(2_000));
        return c.text("never");
      }),
    );
    assertEquals(setCookies(await visitor.visit("/", { method: "PUT" })).length, 1);
    assertEquals(setCookies(await visitor.visit("/", { method: "PUT" })).length, 0);
    assertEquals(shared.headers.get("Set-Cookie"), null);
  });
});

Deno.test("A Response of onError that cannot be sent gives way to that of the error", async (t) => {
  const used = new Response("sorry", { status: 599 });
  await used.text();
  const answers: Record<string, () => Response> = {
    "one that was sent": () => used,
    "an error": Response.error,
  };
  for (const [name, answer] of Object.entries(answers)) {
    await t.step(name, async () => {
      const manager = sessions<Data>({ onError: answer, maxBytes: 1_000 });
      const app = application(manager).put("/", async (c) => {
        const session = await c.var.session();
        session.put("userId", 1);
        await session.commit();
        session.put("note", "x".repeat(2_000));
        return c.text("never");
      });
      const response = await quietly(async () => await app.request(URL, { method: "PUT" }));
      assertEquals([response.status, await response.text()], [500, "Internal Server Error\n"]);
      assertEquals(setCookies(response).length, 1);
    });
  }
});

Deno.test("A handler that returns no Response but a text fails, and nothing is saved", async () => {
  const store = new MemoryStore();
  const app = application(sessions<Data>({ store })).put("/", async (c) => {
    (await c.var.session()).put("userId", 1);
    return "text" as unknown as Response;
  });
  const response = await quietly(async () => await app.request(URL, { method: "PUT" }));
  assertEquals([response.status, store.size, setCookies(response)], [500, 0, []]);
});

Deno.test("A failed explicit commit or destroy() is reported although the handler catches it", async () => {
  const reports = new Reports();
  const inner = new MemoryStore({ cleanup: "off" });
  const failure = () => failUnsent(new SessionStoreError("delete", { reason: "rejected", retryable: false }));
  const store = interleave(inner, { delete: [failure()] });
  const manager = sessions<Data>({ store, onError: reports.hook() });
  const visitor = visitorOf(
    application(manager).post("/logout", async (c) => {
      const session = await c.var.session();
      await assertRejects(() => session.destroy(), SessionStoreError);
      return c.text("still signed in");
    }),
  );
  await visitor.post("/");
  const response = await visitor.post("/logout");
  assertEquals([await response.text(), setCookies(response)], ["still signed in", []]);
  assertEquals(reports.phases, ["SessionStoreError commit"]);
});

Deno.test("Of two managers only the one whose session failed reports, once", async (t) => {
  const reports = { user: new Reports(), admin: new Reports() };
  const user = sessions<Data>({ onError: reports.user.hook(), cookie: { name: "user" } });
  const admin = sessions<Data>({
    store: storeWithoutServer(),
    onError: reports.admin.hook(),
    cookie: { name: "admin" },
  });
  const headers = { Cookie: `admin=${"A".repeat(43)}` };
  for (const order of ["user first", "admin first"]) {
    for (const path of ["load", "commit"]) {
      await t.step(`${path}, ${order}`, async () => {
        const mounts = [honoSessions(user, { key: "user" }), honoSessions(admin, { key: "admin" })] as const;
        const app = (order === "user first"
          ? new Hono().use(mounts[0]).use(mounts[1])
          : new Hono().use(mounts[1]).use(mounts[0]))
          .get("/load", async (c) => {
            (await c.var.user()).put("userId", 1);
            await c.var.admin();
            return c.text("never");
          })
          .get("/commit", async (c) => {
            (await c.var.user()).put("userId", 1);
            const session = await c.var.admin();
            session.put("userId", 1);
            await session.commit();
            return c.text("never");
          });
        const response = await app.request(URL + path, { headers: path === "load" ? headers : {} });
        assertEquals(response.status, 503);
        assertEquals(setCookies(response), []);
        assertEquals(reports.admin.phases, [`SessionStoreError ${path}`]);
        assertEquals(reports.user.phases, []);
        reports.admin.all.length = 0;
      });
    }
  }
});

Deno.test("Of two managers the one that saved its session sends its cookie although the other one fails", async (t) => {
  const user = sessions<Data>({ cookie: { name: "user" } });
  const cart = sessions<Data>({ store: storeWithoutServer(), cookie: { name: "cart" }, onError() {} });
  const signedIn = async () => {
    const session = await user.load();
    session.put("userId", 1);
    return (await session.commit()).token;
  };
  const mounts = [honoSessions(user, { key: "user" }), honoSessions(cart, { key: "cart" })] as const;
  for (const order of ["user first", "cart first"]) {
    const app = (order === "user first"
      ? new Hono().use(mounts[0]).use(mounts[1])
      : new Hono().use(mounts[1]).use(mounts[0]))
      .get("/renew", async (c) => {
        (await c.var.cart()).put("userId", 1);
        const session = await c.var.user();
        session.renewToken();
        await session.commit();
        return c.text("never");
      })
      .get("/destroy", async (c) => {
        (await c.var.cart()).put("userId", 1);
        await (await c.var.user()).destroy();
        return c.text("never");
      });
    for (const path of ["renew", "destroy"]) {
      await t.step(`${path}, ${order}`, async () => {
        const response = await app.request(URL + path, { headers: { Cookie: `user=${await signedIn()}` } });
        const [cookie, ...more] = setCookies(response);
        assertEquals([response.status, cookie?.name, more], [503, "user", []]);
        const found = await user.load(cookie!.value);
        assertEquals(found.get("userId"), path === "renew" ? 1 : undefined);
      });
    }
  }
});

Deno.test("An error of another session keeps its class for app.onError", async () => {
  const manager = sessions<Data>();
  let seen: unknown;
  const app = new Hono().use(honoSessions(manager)).put("/", async (c) => {
    const other = await manager.load();
    other.put("userId", 1);
    const { token } = await other.commit();
    const again = await manager.load(token);
    again.put("userId", 2);
    await other.destroy();
    await again.commit();
    return c.text("never");
  }).onError((error, c) => {
    seen = error;
    return c.text("page", 418);
  });
  const response = await app.request(URL, { method: "PUT" });
  assert(seen instanceof SessionGoneError, String(seen));
  assertEquals(response.status, 418);
});

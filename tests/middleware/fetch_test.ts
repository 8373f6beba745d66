import { HTTPException } from "hono/http-exception";
import { withSessions } from "../../middleware/fetch.ts";
import {
  MemoryStore,
  type Session,
  SessionConfigError,
  type SessionManager,
  type SessionOptions,
  sessions,
} from "../../mod.ts";
import { assertEquals, assertRejects, assertStrictEquals, assertThrows } from "../assert.ts";
import { countingStore } from "../counting_store.ts";
import { ExecutionContext, setCookies } from "../scenarios/_visits.ts";
import { storeWithoutServer } from "./_stores.ts";
import { Visitor } from "./_visitor.ts";

interface Data {
  userId: number;
}

const URL = "https://example.com/";

function counted(options: SessionOptions = {}) {
  const counting = countingStore(new MemoryStore({ cleanup: "off" }));
  return { manager: sessions<Data>({ store: counting.store, ...options }), counting };
}

function visitorOf(handler: (request: Request) => Promise<Response>): Visitor {
  return new Visitor((path, init) => handler(new Request(`https://example.com${path}`, init)));
}

Deno.test("withSessions() makes no store call and adds no header if the session is not asked for", async () => {
  const { manager, counting } = counted();
  const handler = withSessions(manager, () => new Response("hello", { headers: { ETag: '"1"' } }));
  const headers = { Cookie: `__Host-session=${"A".repeat(43)}` };
  const response = await handler(new Request(URL, { headers }));
  assertEquals([...response.headers], [...new Response("hello", { headers: { ETag: '"1"' } }).headers]);
  assertEquals(counting.calls(), {});
});

Deno.test("withSessions() gives one session per request, and reads the store once", async () => {
  const { manager, counting } = counted();
  const seen: Session<Data>[] = [];
  const visitor = visitorOf(withSessions(manager, async (_request, getSession) => {
    seen.push(...await Promise.all([getSession(), getSession()]), await getSession());
    seen[0]!.update("userId", (userId = 0) => userId + 1);
    return new Response(String(seen[0]!.get("userId")));
  }));
  assertEquals(await visitor.text("/"), "1");
  counting.reset();
  seen.length = 0;
  assertEquals(await visitor.text("/"), "2");
  assertEquals(counting.calls(), { find: 1, update: 1 });
  for (const session of seen) assertStrictEquals(session, seen[0]);
});

Deno.test("withSessions() passes on the platform's arguments, with their types", async () => {
  interface Env {
    NAME: string;
  }
  interface Context {
    waitUntil(work: Promise<unknown>): void;
  }
  let made = 0;
  const handler = withSessions(
    (env: Env) => {
      made++;
      return sessions<Data>({ store: new MemoryStore({ cleanup: "off" }), cookie: { name: env.NAME } });
    },
    async (request, getSession, env: Env, context: Context) => {
      const session = await getSession();
      // @ts-expect-error `userId` is a number
      session.put("userId", "42");
      session.put("userId", 42);
      context.waitUntil(Promise.resolve());
      return new Response(`${request.method} ${env.NAME}`);
    },
  );
  const waiting: Promise<unknown>[] = [];
  const context: Context = { waitUntil: (work) => void waiting.push(work) };
  const [first, second] = [{ NAME: "a" }, { NAME: "b" }];
  for (const env of [first, second, first]) {
    const response = await handler(new Request(URL), env, context);
    assertEquals(await response.text(), `GET ${env.NAME}`);
    assertEquals(setCookies(response).map(({ name }) => name), [env.NAME]);
  }
  assertEquals([made, waiting.length], [2, 3]);
  // @ts-expect-error the handler needs an env and a context
  await assertRejects(() => handler(new Request(URL)));
});

Deno.test("withSessions() passes a touch to waitUntil if there is one", async () => {
  let time = Date.UTC(2026, 0, 1);
  const { manager, counting } = counted({ idleTimeout: "20m", now: () => time });
  const session = await manager.load();
  session.put("userId", 42);
  const { token } = await session.commit();
  const handler = withSessions(manager, async (_request, getSession) => {
    await getSession();
    return new Response();
  });
  const request = () => new Request(URL, { headers: { Cookie: `__Host-session=${token}` } });
  const context = new ExecutionContext();
  time += 10 * 60_000;
  await handler(request(), {}, context);
  assertEquals(context.work.length, 1);
  await Promise.all(context.work);
  for (const rest of [[], [{}, null], [{}, {}], [{}, { waitUntil: true }]]) {
    time += 10 * 60_000;
    counting.reset();
    await handler(request(), ...rest);
    assertEquals(counting.calls(), { find: 1, touch: 1 });
  }
});

Deno.test("withSessions() throws without a manager", () => {
  assertThrows(
    () => withSessions({} as unknown as SessionManager, () => new Response()),
    SessionConfigError,
    "pass a session manager",
  );
});

Deno.test("withSessions() throws without a handler", () => {
  const handler = undefined as unknown as () => Response;
  const problem = "the second argument must be a handler of requests";
  assertThrows(() => withSessions(sessions(), handler), SessionConfigError, problem);
});

Deno.test("If a handler throws, nothing is saved and the error is thrown again", async (t) => {
  const { manager, counting } = counted();
  const error = new RangeError("on purpose");
  const waiting: Promise<unknown>[] = [];
  const context = { waitUntil: (work: Promise<unknown>) => void waiting.push(work) };
  for (const [name, thrown] of Object.entries({ "an Error": error, "text": "on purpose" })) {
    for (const rest of [[], [{}, context]]) {
      await t.step(`${name}, ${rest.length === 0 ? "without" : "with"} waitUntil`, async () => {
        const handler = withSessions(manager, async (_request, getSession) => {
          (await getSession()).put("userId", 1);
          throw thrown;
        });
        let caught: unknown;
        await handler(new Request(URL), ...rest).catch((error: unknown) => caught = error);
        assertStrictEquals(caught, thrown);
        assertEquals([counting.calls(), waiting.length], [{}, 0]);
      });
    }
  }
  await t.step("even for a thrown undefined", async () => {
    const handler = withSessions(manager, () => {
      throw undefined;
    });
    await assertRejects(() => handler(new Request(URL)), Error, "The handler threw nothing");
  });
  await t.step("even if the session was not asked for", async () => {
    const handler = withSessions(manager, () => Promise.reject(error));
    assertStrictEquals(await assertRejects(() => handler(new Request(URL))), error);
  });
});

Deno.test("A thrown Response is a response: the session is saved", async () => {
  const { manager } = counted();
  const handler = withSessions(manager, async (_request, getSession) => {
    (await getSession()).put("userId", 7);
    throw new Response(null, { status: 303, headers: { Location: "/" } });
  });
  const response = await handler(new Request(URL));
  assertEquals([response.status, response.headers.get("Location")], [303, "/"]);
  assertEquals((await manager.load(setCookies(response)[0]!.value)).get("userId"), 7);
});

Deno.test("An error with a getResponse() is a response: the session is saved", async () => {
  const { manager } = counted();
  const handler = withSessions(manager, async (_request, getSession) => {
    (await getSession()).put("userId", 7);
    throw new HTTPException(401, { message: "sign in first" });
  });
  const response = await handler(new Request(URL));
  assertEquals([response.status, await response.text()], [401, "sign in first"]);
  assertEquals((await manager.load(setCookies(response)[0]!.value)).get("userId"), 7);
});

Deno.test("What a handler saved or ended itself stands if it throws", async (t) => {
  const error = new Error("on purpose");
  const actions = {
    async create(session: Session<Data>) {
      session.put("userId", 1);
      await session.commit();
    },
    async renew(session: Session<Data>) {
      session.renewToken();
      await session.commit();
    },
    async destroy(session: Session<Data>) {
      await session.destroy();
    },
  };
  for (const [name, action] of Object.entries(actions)) {
    const { manager } = counted();
    const handler = withSessions(manager, async (_request, getSession) => {
      const session = await getSession();
      await action(session);
      session.put("userId", 99);
      throw error;
    });
    const signIn = async (): Promise<{ Cookie: string }> => {
      const session = await manager.load();
      session.put("userId", 42);
      return { Cookie: `__Host-session=${(await session.commit()).token}` };
    };
    const headers = async () => new Headers(name === "create" ? {} : await signIn());

    await t.step(`${name}, with its cookie, and the error goes to waitUntil`, async () => {
      const waiting: Promise<unknown>[] = [];
      const context = { waitUntil: (work: Promise<unknown>) => void waiting.push(work) };
      const response = await handler(new Request(URL, { headers: await headers() }), {}, context);
      assertEquals([response.status, await response.text()], [500, "Internal Server Error\n"]);
      assertEquals(response.headers.get("Cache-Control"), 'private, no-cache="Set-Cookie", no-store');
      const userId = (await manager.load(setCookies(response)[0]?.value)).get("userId");
      assertEquals(userId, { create: 1, renew: 42, destroy: undefined }[name]);
      assertEquals(
        (await Promise.allSettled(waiting)).map((work) => work.status === "rejected" && work.reason),
        [error],
      );
    });
    await t.step(
      `${name}, with its cookie, and the error goes to the console without waitUntil`,
      async () => {
        const logged: unknown[] = [];
        const { error: log } = console;
        console.error = (...items: unknown[]) => void logged.push(...items);
        try {
          const response = await handler(new Request(URL, { headers: await headers() }));
          assertEquals(response.status, 500);
          const userId = (await manager.load(setCookies(response)[0]?.value)).get("userId");
          assertEquals(userId, { create: 1, renew: 42, destroy: undefined }[name]);
          assertEquals(setCookies(response).length, 1);
        } finally {
          console.error = log;
        }
        assertEquals(logged, [error]);
      },
    );
  }
});

Deno.test("withSessions() answers failures of the store", async (t) => {
  const phases: string[] = [];
  const manager = sessions<Data>({
    store: storeWithoutServer(),
    onError: (error, { phase, request }) => void phases.push(`${error.name} ${phase} ${request?.url}`),
  });
  const headers = { Cookie: `__Host-session=${"A".repeat(43)}` };
  const contexts = { "with waitUntil": [{}, { waitUntil() {} }], "without waitUntil": [] };
  for (const [name, rest] of Object.entries(contexts)) {
    await t.step(`503 for a failed load, ${name}`, async () => {
      const handler = withSessions(manager, async (_request, getSession) => {
        return Response.json(await getSession());
      });
      const response = await handler(new Request(URL, { headers }), ...rest);
      assertEquals([response.status, await response.text()], [503, "Service Unavailable\n"]);
      assertEquals(response.headers.get("Cache-Control"), "no-store");
      assertEquals(phases.splice(0), [`SessionStoreError load ${URL}`]);
    });
    await t.step(`503 for a failed commit, ${name}`, async () => {
      const handler = withSessions(manager, async (_request, getSession) => {
        (await getSession()).put("userId", 1);
        return new Response("never", { headers: { ETag: '"1"', "Access-Control-Allow-Origin": "*" } });
      });
      const response = await handler(new Request(URL), ...rest);
      assertEquals([response.status, await response.text()], [503, "Service Unavailable\n"]);
      assertEquals([...response.headers.keys()], [
        "access-control-allow-origin",
        "cache-control",
        "content-type",
        "vary",
      ]);
      assertEquals(phases.splice(0), [`SessionStoreError commit ${URL}`]);
    });
  }
  await t.step("nothing if the handler catches it", async () => {
    const handler = withSessions(manager, async (_request, getSession) => {
      return new Response(await getSession().then(() => "signed in", () => "without a session"));
    });
    assertEquals(await (await handler(new Request(URL, { headers }))).text(), "without a session");
    assertEquals(phases.splice(0).length, 1);
  });
  await t.step("nothing if the handler does not await it", async () => {
    const handler = withSessions(manager, (_request, getSession) => {
      getSession();
      return new Response("ok");
    });
    assertEquals(await (await handler(new Request(URL, { headers }))).text(), "ok");
    assertEquals(phases.splice(0).length, 1);
  });
});

Deno.test("withSessions() throws if the handler returns no response, and saves nothing", async () => {
  const { manager, counting } = counted();
  const handler = withSessions(manager, async (_request, getSession) => {
    (await getSession()).put("userId", 1);
    return undefined as unknown as Response;
  });
  await assertRejects(() => handler(new Request(URL)), TypeError, "the handler gave no Response but");
  assertEquals(counting.calls(), {});
});

Deno.test("What a handler saved itself stands if it returns no response", async () => {
  const { manager } = counted();
  const waiting: Promise<unknown>[] = [];
  const context = { waitUntil: (work: Promise<unknown>) => void waiting.push(work) };
  const handler = withSessions(manager, async (_request, getSession) => {
    const session = await getSession();
    session.put("userId", 1);
    await session.commit();
    return undefined as unknown as Response;
  });
  const response = await handler(new Request(URL), {}, context);
  assertEquals(response.status, 500);
  assertEquals((await manager.load(setCookies(response)[0]?.value)).get("userId"), 1);
  await assertRejects(() => Promise.all(waiting), TypeError, "the handler gave no Response but");
});

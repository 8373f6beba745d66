/**
 * One manager twice in a request, where the inner one gets a copy of the `Request`. Only the response links the two.
 */

import { Hono } from "hono";
import { withSessions } from "../../middleware/fetch.ts";
import { honoSessions } from "../../middleware/hono.ts";
import type { FindOptions } from "../../core/store.ts";
import { MemoryStore, type Session, type SessionManager, sessions, SessionStoreError } from "../../mod.ts";
import { assertEquals, assertNotStrictEquals } from "../assert.ts";
import { aroundCalls, countingStore } from "../counting_store.ts";
import { setCookies } from "../scenarios/_visits.ts";
import { Visitor } from "./_visitor.ts";

interface Data {
  visits: number;
  user: string;
  trace: string;
}

type GetSession = () => Promise<Session<Data>>;
type Use = (getSession: GetSession) => Promise<void>;
interface Uses {
  before?: Use;
  inner: Use;
  after?: Use;
}

/** Ways to mount one manager twice. */
const MOUNTS: Record<string, (manager: SessionManager<Data>, uses: Uses) => (request: Request) => unknown> = {
  "withSessions() within withSessions()": (manager, { before, inner, after }) => {
    const within = withSessions(manager, async (_request, getSession) => {
      await inner(getSession);
      return new Response("done");
    });
    return withSessions(manager, async (request, getSession) => {
      await before?.(getSession);
      const response = await within(new Request(request));
      await after?.(getSession);
      return response;
    });
  },
  "begin() within begin()": (manager, { before, inner, after }) => async (request) => {
    const outer = manager.begin(request);
    await before?.(outer.session);
    const current = manager.begin(new Request(request));
    await inner(current.session);
    const response = await current.finish(new Response("done"));
    await after?.(() => outer.session(response));
    return await outer.finish(response);
  },
  "app.mount()": (manager, { before, inner, after }) => {
    const within = new Hono().use(honoSessions(manager)).all("*", async (c) => {
      await inner(c.var.session);
      return c.text("done");
    });
    const app = new Hono().use(honoSessions(manager)).use(async (c, next) => {
      await before?.(c.var.session);
      await next();
      await after?.(c.var.session);
    }).mount("/", within.fetch);
    return (request) => app.fetch(request);
  },
};

const logIn: Use = async (getSession) => {
  const session = await getSession();
  session.renewToken();
  session.put("user", "zoe");
};
const logOut: Use = async (getSession) => await (await getSession()).destroy();
const trace: Use = async (getSession) => (await getSession()).put("trace", "seen");
const moveDeadline: Use = async (getSession) => {
  await trace(getSession);
  (await getSession()).setDeadline(Date.now() + 3_600_000);
};
const commit: Use = async (getSession) => {
  await trace(getSession);
  await (await getSession()).commit();
};
const read: Use = async (getSession) => void (await getSession()).get("user");

async function visit(mount: keyof typeof MOUNTS, uses: Uses, signedIn: boolean) {
  const errors: string[] = [];
  const manager = sessions<Data>({ store: new MemoryStore(), onError: ({ code }) => void errors.push(code) });
  const handler = MOUNTS[mount]!(manager, uses);
  const visitor = new Visitor(async (path, init) =>
    await handler(new Request(`https://example.com${path}`, init)) as Response
  );
  if (signedIn) {
    const session = await manager.load();
    session.put("visits", 1);
    visitor.cookies.set("__Host-session", (await session.commit()).token);
  }
  const response = await visitor.visit("/");
  const kept = await manager.load(visitor.token);
  const values = Object.fromEntries(kept.keys().map((key) => [key, kept.get(key as keyof Data)]));
  return { status: response.status, cookies: response.headers.getSetCookie().length, values, errors };
}

for (const mount of Object.keys(MOUNTS)) {
  Deno.test(`${mount}: the outer one continues with the session of an inner login`, async (t) => {
    const orders: Record<string, Omit<Uses, "inner">> = {
      "has changes of its own": { before: trace },
      "writes afterwards": { after: trace },
      "does both": { before: trace, after: trace },
      "read before, and writes afterwards": { before: read, after: trace },
      "moves the deadline": { before: moveDeadline },
    };
    for (const signedIn of [false, true]) {
      for (const [name, uses] of Object.entries(orders)) {
        await t.step(`${signedIn ? "of a known visitor" : "of a new visitor"}, it ${name}`, async () => {
          assertEquals(await visit(mount, { ...uses, inner: logIn }, signedIn), {
            status: 200,
            cookies: 1,
            values: { ...(signedIn ? { visits: 1 } : {}), user: "zoe", trace: "seen" },
            errors: [],
          });
        });
      }
    }
  });

  Deno.test(`${mount}: an outer one that only reads keeps the cookie of an inner login`, async () => {
    for (const uses of [{ before: read }, { after: read }, {}]) {
      assertEquals(await visit(mount, { ...uses, inner: logIn }, true), {
        status: 200,
        cookies: 1,
        values: { visits: 1, user: "zoe" },
        errors: [],
      });
    }
  });

  Deno.test(`${mount}: an inner login outlives what the outer one saved or ended itself before`, async (t) => {
    for (
      const [name, before, signedIn] of [
        ["a commit() of a new visitor", commit, false],
        ["a commit() of a known visitor", commit, true],
        ["a destroy()", logOut, true],
      ] as const
    ) {
      await t.step(name, async () => {
        const { status, cookies, values, errors } = await visit(mount, { before, inner: logIn }, signedIn);
        assertEquals({ status, cookies, user: values.user, errors }, {
          status: 200,
          cookies: 1,
          user: "zoe",
          errors: [],
        });
      });
    }
  });

  Deno.test(`${mount}: what the outer one writes after an inner logout creates a new session`, async () => {
    assertEquals(await visit(mount, { inner: logOut, after: trace }, true), {
      status: 200,
      cookies: 1,
      values: { trace: "seen" },
      errors: [],
    });
    // Its changes to the ended session are lost, as in a single request.
    assertEquals(await visit(mount, { inner: logOut, before: trace }, true), {
      status: 200,
      cookies: 1,
      values: {},
      errors: [],
    });
  });
}

Deno.test("app.mount(): an inner login that redirects outlives what the outer one saved before", async () => {
  const manager = sessions<Data>({ store: new MemoryStore() });
  const within = new Hono().use(honoSessions(manager)).all("*", async (c) => {
    await logIn(c.var.session);
    return c.redirect("/", 303);
  });
  const app = new Hono().use(honoSessions(manager)).use(async (c, next) => {
    await commit(c.var.session);
    await next();
  }).mount("/", within.fetch);
  const visitor = new Visitor((path, init) => app.request(`https://example.com${path}`, init));
  await visitor.visit("/");
  assertEquals((await manager.load(visitor.token)).get("user"), "zoe");
});

Deno.test("A commit() of an inner login outlives that of the outer one, though the response is a 500", async () => {
  const manager = sessions<Data>({ store: new MemoryStore(), saveOnServerError: false });
  const request = new Request("https://example.com/");
  const outer = manager.begin(request);
  await commit(outer.session);
  const inner = manager.begin(new Request(request));
  await logIn(inner.session);
  await (await inner.session()).commit();
  const visitor = new Visitor(async () =>
    await outer.finish(await inner.finish(new Response("failed", { status: 500 })))
  );
  await visitor.visit("/");
  assertEquals((await manager.load(visitor.token)).get("user"), "zoe");
});

/** A store whose calls fail, or whose replica knows nothing, from some time on. */
class FailingStore extends MemoryStore {
  failing: "find" | "write" | undefined;
  isLagging = false;

  override async find(token: string, options: FindOptions) {
    if (this.failing === "find") throw unreachable("find");
    return this.isLagging && !options.primary ? undefined : await super.find(token, options);
  }

  override async create(...args: Parameters<MemoryStore["create"]>) {
    if (this.failing === "write") throw unreachable("create");
    return await super.create(...args);
  }

  override async update(...args: Parameters<MemoryStore["update"]>) {
    if (this.failing === "write") throw unreachable("update");
    return await super.update(...args);
  }
}

const unreachable = (operation: "find" | "create" | "update") =>
  new SessionStoreError(operation, { reason: "unreachable", retryable: false });

/** The outer manager writes, the inner one logs in, and the outer one's store then has an accident. */
async function visitWithAccident(accident: Partial<FailingStore>, withinOther: boolean) {
  const store = new FailingStore({ cleanup: "off" });
  const manager = sessions<Data>({ store, onError() {} });
  const users = withinOther ? sessions<Data>({ cookie: { name: "users" }, onError() {} }) : manager;
  const name = withinOther ? "users" : "__Host-session";
  const known = await users.load();
  known.put("visits", 1);
  const { token } = await known.commit();

  const within = withSessions(users, async (_request, getSession) => {
    await logIn(getSession);
    return new Response("done", { headers: { "Set-Cookie": "theme=dark" } });
  });
  const handler = withSessions(manager, async (request, getSession) => {
    await trace(getSession);
    const response = await within(new Request(request));
    Object.assign(store, accident);
    return response;
  });
  const response = await handler(
    new Request("https://example.com/", { headers: { Cookie: `${name}=${token}` } }),
  );
  Object.assign(store, { failing: undefined, isLagging: false });
  const cookies = setCookies(response);
  const current = await users.load(cookies.find((cookie) => cookie.name === name)?.value);
  return { status: response.status, cookies: cookies.length, user: current.get("user") };
}

Deno.test("The outer one continues with an inner login that a lagging replica does not know", async () => {
  assertEquals(await visitWithAccident({ isLagging: true }, false), { status: 200, cookies: 2, user: "zoe" });
});

Deno.test("An error in place of an inner login's response keeps the login's cookie alone", async (t) => {
  for (const failing of ["find", "write"] as const) {
    await t.step(`${failing} fails for the same manager`, async () => {
      assertEquals(await visitWithAccident({ failing }, false), { status: 503, cookies: 1, user: "zoe" });
    });
  }
  await t.step("a write fails for another manager", async () => {
    assertEquals(await visitWithAccident({ failing: "write" }, true), {
      status: 503,
      cookies: 1,
      user: "zoe",
    });
  });
});

Deno.test("The cookie of an inner login has no deadline of an outer one that is not saved", async () => {
  const store = new MemoryStore({ cleanup: "off" });
  let isDown = false;
  const manager = sessions<Data>({
    store: aroundCalls(store, async (method, call) => {
      if (isDown && method === "update") {
        throw new SessionStoreError("update", { reason: "rejected", retryable: false });
      }
      return await call();
    }),
    onError() {},
  });
  const request = new Request("https://example.com/");
  const outer = manager.begin(request);
  (await outer.session()).setDeadline(Date.now() + 60_000);
  const inner = manager.begin(new Request(request));
  await logIn(inner.session);
  const response = await inner.finish(new Response("done"));
  isDown = true;
  const answer = await outer.finish(response);
  const [cookie] = answer.headers.getSetCookie();
  assertEquals([answer.status, cookie?.includes("Max-Age=86400")], [503, true]);
});

Deno.test("A 5xx that is not saved reads no session of an inner login", async () => {
  const { store, calls } = countingStore(new MemoryStore({ cleanup: "off" }));
  const manager = sessions<Data>({ store, saveOnServerError: false });
  const request = new Request("https://example.com/");
  const outer = manager.begin(request);
  await trace(outer.session);
  const inner = manager.begin(new Request(request));
  await logIn(inner.session);
  await (await inner.session()).commit();
  const response = await inner.finish(new Response("down", { status: 503 }));
  const answer = await outer.finish(response);
  assertEquals([setCookies(answer).length, calls()], [1, { create: 1 }]);
});

for (const mount of ["begin() within begin()", "app.mount()"]) {
  Deno.test(`${mount}: an outer one that has the response reads what an inner login wrote`, async () => {
    let user: string | undefined;
    await visit(mount, { inner: logIn, after: async (ask) => void (user = (await ask()).get("user")) }, true);
    assertEquals(user, "zoe");
  });
}

Deno.test("The session in another visitor's response is not followed", async () => {
  const manager = sessions<Data>({ store: new MemoryStore() });
  const victim = manager.begin(new Request("https://example.com/"));
  (await victim.session()).put("user", "zoe");
  const theirs = await victim.finish(new Response("hello zoe"));
  // That visit began earlier, and had another cookie.
  const other = manager.begin(
    new Request("https://example.com/", { headers: { Cookie: "__Host-session=" + "a".repeat(43) } }),
  );
  assertEquals((await other.session(theirs)).get("user"), undefined);
});

Deno.test("The outer one saves into a session of its own where that of an inner login was ended meanwhile", async () => {
  const manager = sessions<Data>({ store: new MemoryStore({ cleanup: "off" }) });
  const request = new Request("https://example.com/");
  const outer = manager.begin(request);
  (await outer.session()).put("trace", "seen");
  const inner = manager.begin(new Request(request));
  await logIn(inner.session);
  const response = await inner.finish(new Response("done"));
  await (await manager.load(setCookies(response)[0]!.value)).destroy();
  const answer = await outer.finish(response);
  const [cookie] = setCookies(answer);
  assertEquals([answer.status, (await manager.load(cookie!.value)).get("trace")], [200, "seen"]);
});

Deno.test("An inner login is followed where the outer one has seen the mark of another login", async () => {
  const manager = sessions<Data>();
  const { token } = await (await manager.load()).commit();
  const first = await manager.load(token);
  first.renewToken();
  await first.commit();
  const request = new Request("https://example.com/", { headers: { Cookie: `__Host-session=${token}` } });
  const outer = manager.begin(request);
  await trace(outer.session as GetSession);
  const inner = manager.begin(new Request(request));
  await logIn(inner.session as GetSession);
  const response = await outer.finish(await inner.finish(new Response("done")));
  const kept = await manager.load(setCookies(response)[0]!.value);
  assertEquals([response.status, kept.get("user"), kept.get("trace")], [200, "zoe", "seen"]);
});

Deno.test("An inner login is followed through another manager that marks a copy of the response", async () => {
  const manager = sessions<Data>({ store: new MemoryStore({ cleanup: "off" }) });
  const other = sessions<Data>({ cookie: { name: "other" } });
  const request = new Request("https://example.com/");
  const [outer, between] = [manager.begin(request), other.begin(request)];
  await trace(outer.session);
  await read(between.session);
  const inner = manager.begin(new Request(request));
  await logIn(inner.session);
  const response = await inner.finish(new Response(null, { status: 204 }));
  response.headers.delete("Vary");
  const marked = await between.finish(response);
  assertNotStrictEquals(marked, response);
  const [cookie] = setCookies(await outer.finish(marked));
  const session = await manager.load(cookie!.value);
  assertEquals([session.get("user"), session.get("trace")], ["zoe", "seen"]);
});

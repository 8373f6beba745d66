/**
 * One manager twice in a request, where the inner one gets a copy of the `Request`. Only the response links the two.
 */

import { Hono } from "hono";
import { withSessions } from "../../middleware/fetch.ts";
import { honoSessions } from "../../middleware/hono.ts";
import { MemoryStore, type Session, type SessionManager, sessions } from "../../mod.ts";
import { assertEquals } from "../assert.ts";
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
    const commit: Use = async (getSession) => {
      const session = await getSession();
      session.put("trace", "seen");
      await session.commit();
    };
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

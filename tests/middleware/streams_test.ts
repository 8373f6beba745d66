/**
 * Responses that continue after their head. The session can be read in them, and written only after it is loaded
 * again.
 */

import { Hono } from "hono";
import { stream, streamSSE } from "hono/streaming";
import { withSessions } from "../../middleware/fetch.ts";
import { honoSessions } from "../../middleware/hono.ts";
import { MemoryStore, type Session, SessionClosedError, type SessionManager, sessions } from "../../mod.ts";
import { assertEquals, assertInstanceOf, assertRejects, assertThrows } from "../assert.ts";
import { countingStore } from "../counting_store.ts";
import { setCookies } from "../scenarios/_visits.ts";
import { visitorOf } from "./_visitor.ts";

interface Data {
  userId: number;
  visits: number;
}

const URL = "https://example.com/";

async function signedIn(
  manager: SessionManager<Data>,
): Promise<{ token: string; headers: { Cookie: string } }> {
  const session = await manager.load();
  session.put("userId", 42);
  const { token } = await session.commit();
  return { token, headers: { Cookie: `__Host-session=${token}` } };
}

/** A response whose body is the result of `work`, which runs after the head was sent. */
function streamed(work: () => Promise<string>): Response {
  return new Response(
    new ReadableStream<Uint8Array>({
      async pull(controller) {
        controller.enqueue(new TextEncoder().encode(await work()));
        controller.close();
      },
      // No pull before the body is read.
    }, { highWaterMark: 0 }),
  );
}

const CHANGES: Record<string, (session: Session<Data>) => unknown> = {
  put: (session) => session.put("userId", 1),
  update: (session) => session.update("userId", () => 1),
  remove: (session) => session.remove("userId"),
  pop: (session) => session.pop("userId"),
  clear: (session) => session.clear(),
  setDeadline: (session) => session.setDeadline(Date.now()),
  rememberMe: (session) => session.rememberMe(true),
  renewToken: (session) => session.renewToken(),
  subject: (session) => session.subject = "zoe",
};

Deno.test("A session can be read in a stream, and every change throws SessionClosedError", async (t) => {
  const counting = countingStore(new MemoryStore({ cleanup: "off" }));
  const manager = sessions<Data>({ store: counting.store });
  const { token, headers } = await signedIn(manager);
  let late: Session<Data> | undefined;
  const handler = withSessions(manager, async (_request, getSession) => {
    const session = await getSession();
    return streamed(() => {
      late = session;
      return Promise.resolve(`user ${session.get("userId")}`);
    });
  });
  counting.reset();
  const response = await handler(new Request(URL, { headers }));
  assertEquals(await response.text(), "user 42");
  for (const [name, change] of Object.entries(CHANGES)) {
    await t.step(name, () => {
      const error = assertThrows(() => change(late!), SessionClosedError);
      assertEquals([error.code, error.status], ["ERR_SESSION_CLOSED", 500]);
    });
  }
  await t.step("destroy", async () => void await assertRejects(() => late!.destroy(), SessionClosedError));
  await t.step("mergeSession", async () => {
    await assertRejects(() => late!.mergeSession("A".repeat(43)), SessionClosedError);
  });
  await t.step("while commit() without a change gives the token", async () => {
    assertEquals((await late!.commit()).token, token);
  });
  assertEquals(counting.calls(), { find: 1 });
  assertEquals(late!.status, "unmodified");
});

Deno.test("A new session that was not saved cannot be committed in a stream, because no cookie could follow", async () => {
  const counting = countingStore(new MemoryStore({ cleanup: "off" }));
  const handler = withSessions(sessions<Data>({ store: counting.store }), async (_request, getSession) => {
    const session = await getSession();
    return streamed(async () => (await assertRejects(() => session.commit(), SessionClosedError)).code);
  });
  const response = await handler(new Request(URL));
  assertEquals(await response.text(), "ERR_SESSION_CLOSED");
  assertEquals(setCookies(response), []);
  assertEquals(counting.calls(), {});
});

Deno.test("Changes that a handler discarded by throwing cannot be committed later", async () => {
  const counting = countingStore(new MemoryStore({ cleanup: "off" }));
  let late: Session<Data> | undefined;
  const handler = withSessions(sessions<Data>({ store: counting.store }), async (_request, getSession) => {
    late = await getSession();
    late.put("userId", 1);
    throw new RangeError("on purpose");
  });
  await assertRejects(() => handler(new Request(URL)), RangeError);
  await assertRejects(() => late!.commit(), SessionClosedError);
  assertEquals(counting.calls(), {});
});

/** The result for a handler that first asks for its session in the stream. */
async function askedLate(init: ResponseInit, method = "GET"): Promise<[answer: string, reported: string[]]> {
  const reported: string[] = [];
  const manager = sessions<Data>({
    onError: ({ code }, { phase }) => void reported.push(`${phase} ${code}`),
  });
  const { headers } = await signedIn(manager);
  const handler = withSessions(manager, (_request, getSession) => {
    const { body } = streamed(async () => {
      try {
        const session = await getSession();
        assertThrows(() => session.put("userId", 1), SessionClosedError);
        return String(session.get("userId"));
      } catch (error) {
        assertInstanceOf(error, SessionClosedError);
        return error.message;
      }
    });
    return new Response(body, init);
  });
  const response = await handler(new Request(URL, { headers, method }));
  return [await response.text(), reported];
}

const ASKED_LATE =
  "Cannot load session: the response has started, and a shared cache may keep it for others; " +
  "ask for the session before, or answer with Cache-Control: private";

for (const own of [undefined, "public, max-age=60", "max-age=60", 'no-cache="X-Private"', "x-private"]) {
  Deno.test(`A session first asked for in a stream is refused after Cache-Control: ${own}`, async () => {
    const headers: Record<string, string> = own === undefined ? {} : { "Cache-Control": own };
    assertEquals(await askedLate({ headers }), [ASKED_LATE, ["load ERR_SESSION_CLOSED"]]);
  });
}

for (const own of ["private", "Private, max-age=5", "max-age=0,no-store", "no-cache"]) {
  Deno.test(`A session first asked for in a stream can be read, but not changed, after ${own}`, async () => {
    assertEquals(await askedLate({ headers: { "Cache-Control": own } }), ["42", []]);
  });
}

Deno.test("A session first asked for in a stream can be read if the request was no GET", async () => {
  assertEquals(await askedLate({}, "POST"), ["42", []]);
});

Deno.test("A refused session that is not awaited does not end the process", async () => {
  const manager = sessions<Data>({ onError() {} });
  const current = manager.begin(new Request(URL));
  await current.finish(new Response());
  current.session();
  await new Promise((resolve) => setTimeout(resolve, 5));
});

Deno.test("A session loaded again in a stream is saved, and sends no cookie", async () => {
  const manager = sessions<Data>();
  const count = async (token: string | undefined) => {
    const session = await manager.load(token);
    session.update("visits", (visits = 0) => visits + 1);
    await session.commit();
    return `${session.get("userId")} ${session.get("visits")}`;
  };
  const app = new Hono().use(honoSessions(manager))
    .post("/", async (c) => {
      const session = await c.var.session();
      session.put("userId", 42);
      // A new session has no token yet, and Hono starts the stream at once.
      await session.commit();
      return stream(c, async (body) => void await body.write(await count(session.token)));
    })
    .get("/", async (c) => {
      const session = await c.var.session();
      return streamed(() => count(session.token));
    });
  const visitor = visitorOf(app);
  const first = await visitor.post("/");
  assertEquals([await first.text(), setCookies(first).length], ["42 1", 1]);
  const second = await visitor.visit("/");
  assertEquals([await second.text(), setCookies(second).length], ["42 2", 0]);
  assertEquals((await manager.load(visitor.token)).get("visits"), 2);
});

Deno.test("A session serves server-sent events of Hono over HTTP", async () => {
  const manager = sessions<Data>({ cookie: { secure: false } });
  const failures: unknown[] = [];
  const app = new Hono().use(honoSessions(manager)).get("/", async (c) => {
    const session = await c.var.session();
    session.update("visits", (visits = 0) => visits + 1);
    return streamSSE(c, async (events) => {
      await started.promise;
      await events.writeSSE({ event: "visits", data: String(session.get("visits")) });
      try {
        session.put("userId", 1);
      } catch (error) {
        failures.push(error);
      }
      const again = await manager.load(session.token);
      again.put("userId", 2);
      await again.commit();
      await events.writeSSE({ event: "saved", data: session.token ?? "" });
    });
  });
  const started = Promise.withResolvers<void>();
  await using server = Deno.serve(
    { hostname: "127.0.0.1", port: 0, onListen() {} },
    (request) => app.fetch(request),
  );
  const response = await fetch(`http://127.0.0.1:${server.addr.port}/`);
  // The head has arrived, but no event yet.
  assertEquals(response.headers.get("Content-Type"), "text/event-stream");
  const token = setCookies(response)[0]!.value;
  started.resolve();
  const events = (await response.text()).trim().split("\n\n");
  assertEquals(events, ["event: visits\ndata: 1", `event: saved\ndata: ${token}`]);
  assertEquals(failures.length, 1);
  assertInstanceOf(failures[0], SessionClosedError);
  const session = await manager.load(token);
  assertEquals([session.get("visits"), session.get("userId")], [1, 2]);
});

/** Each row of the table "What a request costs": store calls before the response, and headers added to it. */
import { type Session, SessionStoreError } from "../../mod.ts";
import { PlanetScaleStore } from "../../stores/planetscale.ts";
import { assertEquals, assertNotEquals } from "../assert.ts";
import type { StoreCalls } from "../counting_store.ts";
import { type Bed, HOUR, MINUTE, onEachStore } from "./_bed.ts";
import { before, failUnsent, interleave } from "./_interleaving.ts";
import { Browser, ExecutionContext, setCookies, type VisitOptions } from "./_visits.ts";

/** Headers that a handler may set itself, to see that they stay and what is added. */
const OWN = { "Content-Type": "text/plain", "X-Own": "1" };
const PERSONAL = { "Vary": "Cookie", "Cache-Control": "private" };
const WITH_COOKIE = { "Vary": "Cookie", "Cache-Control": 'private, no-cache="Set-Cookie"' };

interface Cost {
  request: string;
  /** The cookie that the browser sends in place of an existing session's; `""` for none. */
  cookie?: string;
  /** Time since the session was created. */
  after?: number;
  /** What the handler does with the session; absent if it never asks for it. */
  use?: (session: Session) => unknown;
  calls: StoreCalls;
  /** Headers added, except `Set-Cookie`. */
  headers: Record<string, string>;
  setCookie?: "token" | "deletion";
  renews?: boolean;
}

const COSTS: Cost[] = [
  { request: "a session never asked for, with its cookie", calls: {}, headers: {} },
  { request: "a session never asked for, with no cookie", cookie: "", calls: {}, headers: {} },
  {
    request: "a session never asked for, with a junk cookie",
    cookie: "__Host-session=junk",
    calls: {},
    headers: {},
  },
  {
    request: "a session asked for, with no cookie",
    cookie: "",
    use: (session) => session.get("a"),
    calls: {},
    headers: PERSONAL,
  },
  {
    request: "a session asked for, with cookies that are not well formed",
    cookie: [
      "__Host-session=",
      "__Host-session=junk",
      `__Host-session=${"A".repeat(42)}`,
      `__Host-session=${"A".repeat(44)}`,
      `__Host-session="${"A".repeat(43)}"`,
      `session=${"A".repeat(43)}`,
    ].join("; "),
    use: (session) => session.get("a"),
    calls: {},
    headers: PERSONAL,
  },
  { request: "a session read", use: (session) => session.get("a"), calls: { find: 1 }, headers: PERSONAL },
  {
    request: "a session read, just before a touch is due",
    after: 2 * MINUTE - 1,
    use: (session) => session.get("a"),
    calls: { find: 1 },
    headers: PERSONAL,
  },
  {
    request: "a session read, idle timeout due for a touch",
    after: 2 * MINUTE,
    use: (session) => session.get("a"),
    calls: { find: 1, touch: 1 },
    headers: PERSONAL,
  },
  {
    request: "an unknown session",
    cookie: `__Host-session=${"A".repeat(43)}`,
    use: (session) => session.get("a"),
    calls: { find: 1 },
    headers: PERSONAL,
  },
  {
    request: "an expired session",
    after: 20 * MINUTE,
    use: (session) => session.get("a"),
    calls: { find: 1 },
    headers: PERSONAL,
  },
  {
    request: "a new session written",
    cookie: "",
    use: (session) => session.put("a", 1),
    calls: { create: 1 },
    headers: WITH_COOKIE,
    setCookie: "token",
  },
  {
    request: "a new session written in place of an unknown token",
    cookie: `__Host-session=${"A".repeat(43)}`,
    use: (session) => session.put("a", 1),
    calls: { find: 2, create: 1 },
    headers: WITH_COOKIE,
    setCookie: "token",
  },
  {
    request: "an existing session written",
    use: (session) => session.put("a", 2),
    calls: { find: 1, update: 1 },
    headers: PERSONAL,
  },
  {
    request: "an existing session written, idle timeout due for a touch",
    after: 2 * MINUTE,
    use: (session) => session.put("a", 2),
    calls: { find: 1, update: 1 },
    headers: PERSONAL,
  },
  {
    request: "a login of an existing session",
    use(session) {
      session.renewToken();
      session.put("userId", 42);
      session.subject = "42";
    },
    calls: { find: 1, update: 1 },
    headers: WITH_COOKIE,
    setCookie: "token",
    renews: true,
  },
  {
    request: "setDeadline",
    use: (session) => session.setDeadline(session.deadline + HOUR),
    calls: { find: 1, update: 1 },
    headers: WITH_COOKIE,
    setCookie: "token",
  },
  {
    request: "rememberMe",
    use: (session) => session.rememberMe(true),
    calls: { find: 1, update: 1 },
    headers: WITH_COOKIE,
    setCookie: "token",
  },
  {
    request: "a logout",
    use: (session) => session.destroy(),
    calls: { find: 1, delete: 1 },
    headers: WITH_COOKIE,
    setCookie: "deletion",
  },
];

/** A browser with a session, and no calls counted yet. */
async function browserWithSession(bed: Bed, options = {}): Promise<Browser> {
  const browser = new Browser(bed.manager({ idleTimeout: "20m", ...options }));
  await browser.visit((session) => {
    session.put("a", 1);
    session.put("nested", { list: [1] });
  });
  bed.resetCalls();
  return browser;
}

for (const { request, cookie, after = 0, use, calls, headers, setCookie, renews = false } of COSTS) {
  onEachStore(`Cost of ${request}`, async (bed) => {
    const browser = await browserWithSession(bed);
    bed.clock.advance(after);
    const options: VisitOptions = {};
    if (cookie === "") browser.cookies.clear();
    else if (cookie !== undefined) options.headers = { Cookie: cookie };
    const requests = bed.requests();
    const response = await browser.request(async (_request, session) => {
      if (use !== undefined) await use(await session());
      return new Response("ok", { headers: OWN });
    }, options);

    assertEquals(bed.calls(), calls);
    const sum = Object.values(calls).reduce((sum, count) => sum + count, 0);
    // PlanetScale has no statement that moves a row and leaves another, so the mark is another request.
    const marks = renews && bed.store instanceof PlanetScaleStore ? 1 : 0;
    if (requests !== undefined) assertEquals(bed.requests(), requests + sum + marks);

    const cookies = setCookies(response);
    response.headers.delete("Set-Cookie");
    assertEquals([...response.headers], [...new Headers({ ...OWN, ...headers })]);
    assertEquals(
      cookies.map(({ value }) => value === "" ? "deletion" : value === browser.token ? "token" : value),
      setCookie === undefined ? [] : [setCookie],
    );
  });
}

onEachStore(
  "Cost of a session read: a handler's own Cache-Control stays, and only Vary is added",
  async (bed) => {
    const browser = await browserWithSession(bed);
    const response = await browser.request(async (_request, session) => {
      await session();
      return new Response(null, { headers: { "Cache-Control": "public, max-age=60" } });
    });
    assertEquals([...response.headers], [["cache-control", "public, max-age=60"], ["vary", "Cookie"]]);
  },
);

const SILENT_CHANGES: Record<string, (session: Session) => void> = {
  "put()": (session) => session.put("a", 2),
  "update()": (session) => session.update("a", () => 2),
  "remove()": (session) => session.remove("a"),
  "pop()": (session) => session.pop("a"),
  "clear()": (session) => session.clear(),
  "subject": (session) => session.subject = "zoe",
  "a change in place": (session) => (session.get("nested") as { list: number[] }).list.push(2),
};
onEachStore("Set-Cookie: is not sent after any other change, which is saved", async (bed) => {
  for (const [change, use] of Object.entries(SILENT_CHANGES)) {
    for (const { token } of await bed.rows()) await bed.store.delete(token);
    const browser = await browserWithSession(bed);
    const { data } = await bed.row();
    const response = await browser.visit(use);
    assertEquals(response.headers.getSetCookie(), [], change);
    assertEquals(bed.calls(), { find: 1, update: 1 }, change);
    assertNotEquals((await bed.row()).data, data, change);
  }
});

onEachStore(
  "Set-Cookie: is not sent for a session that ended while the request changed it",
  async (bed) => {
    const browser = await browserWithSession(bed);
    const { token } = browser;
    const response = await browser.visit(async (session) => {
      session.put("a", 2);
      session.renewToken();
      await bed.store.delete((await bed.row()).token);
    });
    assertEquals([response.status, response.headers.getSetCookie()], [409, []]);
    assertEquals([browser.token, await bed.rows()], [token, []]);
  },
);

onEachStore("Touch: does not delay the response if there is a waitUntil", async (bed) => {
  const released = Promise.withResolvers<void>();
  const store = interleave(bed.store, { touch: [before(() => released.promise)] });
  const browser = await browserWithSession(bed, { store });
  const { expiry } = await bed.row();
  bed.clock.advance(10 * MINUTE);
  const work: Promise<unknown>[] = [];
  const waitUntil = (promise: Promise<unknown>) => void work.push(promise);
  const response = await browser.visit((session) => session.get("a"), { waitUntil });
  // The touch is under way and cannot end, so the response did not wait for it.
  assertEquals([response.status, work.length], [200, 1]);
  assertEquals((await bed.row()).expiry, expiry);
  released.resolve();
  await Promise.all(work);
  assertEquals((await bed.row()).expiry, bed.clock.time + 20 * MINUTE);
});

onEachStore(
  "Touch: calls waitUntil on its object, and is awaited if that fails",
  async (bed) => {
    const { token } = await browserWithSession(bed);
    const manager = bed.manager({ idleTimeout: "20m" });
    const [context, other] = [new ExecutionContext(), new ExecutionContext()];
    for (const given of [context, { waitUntil: other.waitUntil }]) {
      bed.clock.advance(10 * MINUTE);
      await (await manager.load(token!, given)).commit();
      await Promise.all(context.work);
      assertEquals((await bed.row()).expiry, bed.clock.time + 20 * MINUTE);
    }
    assertEquals([context.work.length, other.work.length], [1, 0]);
  },
);

onEachStore(
  "Touch: is repeated if there is a lock, and reported as failed after three times",
  async (bed) => {
    const { token } = await browserWithSession(bed);
    const busy = () => new SessionStoreError("touch", { reason: "busy", retryable: true });
    for (const refusals of [2, 3]) {
      const errors: unknown[] = [];
      const store = interleave(bed.store, {
        touch: Array.from({ length: refusals }, () => failUnsent(busy())),
      });
      const manager = bed.manager({
        idleTimeout: "20m",
        store,
        onError: (error) => void errors.push(error.code),
      });
      bed.clock.advance(10 * MINUTE);
      bed.resetCalls();
      await (await manager.load(token!)).commit();
      assertEquals(errors, refusals === 2 ? [] : ["ERR_SESSION_STORE"]);
    }
  },
);

onEachStore("Touch: is sent once per request, even with an explicit commit", async (bed) => {
  const browser = await browserWithSession(bed);
  bed.clock.advance(10 * MINUTE);
  bed.resetCalls();
  const work: Promise<unknown>[] = [];
  await browser.visit(async (session) => {
    const { expiry } = await session.commit();
    assertEquals(expiry, bed.clock.time + 20 * MINUTE);
  }, { waitUntil: (promise) => void work.push(promise) });
  await Promise.all(work);
  assertEquals(bed.calls(), { find: 1, touch: 1 });
});

onEachStore("Touch: is done before the response if there is no waitUntil", async (bed) => {
  const browser = await browserWithSession(bed);
  bed.clock.advance(10 * MINUTE);
  await browser.visit((session) => session.get("a"));
  assertEquals((await bed.row()).expiry, bed.clock.time + 20 * MINUTE);
});

onEachStore("Touch: follows touchInterval, and with 0 is sent with every use", async (bed) => {
  const rare = await browserWithSession(bed, { touchInterval: "15m" });
  bed.clock.advance(15 * MINUTE - 1);
  await rare.visit((session) => session.get("a"));
  assertEquals(bed.calls(), { find: 1 });
  bed.clock.advance(1);
  await rare.visit((session) => session.get("a"));
  assertEquals(bed.calls(), { find: 2, touch: 1 });

  const eager = await browserWithSession(bed, { touchInterval: 0 });
  bed.clock.advance(1);
  await eager.visit((session) => session.get("a"));
  assertEquals(bed.calls(), { find: 1, touch: 1 });
});

onEachStore("Touch: is not sent if the expiry would not move, at the deadline", async (bed) => {
  const browser = await browserWithSession(bed, { lifetime: "25m", touchInterval: 0 });
  bed.clock.advance(10 * MINUTE);
  await browser.visit((session) => session.get("a"));
  assertEquals(bed.calls(), { find: 1, touch: 1 });
  bed.clock.advance(10 * MINUTE);
  await browser.visit((session) => session.get("a"));
  assertEquals(bed.calls(), { find: 2, touch: 1 });
});

onEachStore("Touch: a request that does not ask for the session does not count as use", async (bed) => {
  const browser = await browserWithSession(bed);
  bed.clock.advance(10 * MINUTE);
  await browser.request(() => new Response("ok"));
  bed.clock.advance(10 * MINUTE);
  await browser.visit((session) => assertEquals(session.keys(), []));
});

onEachStore("Touch: a failure does not fail the request, and onError gets it", async (bed) => {
  const store = interleave(bed.store, { touch: [failUnsent(new Error("lost"))] });
  const browser = await browserWithSession(bed, { store });
  bed.clock.advance(10 * MINUTE);
  const response = await browser.visit((session) => assertEquals(session.get("a"), 1));
  assertEquals(response.status, 200);
  assertEquals(bed.errors.map(({ message }) => message), [
    "Session store failed in touch() (unknown)",
  ]);
});

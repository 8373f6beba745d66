/** SCS's manager, row by row: the cookie. */
import { jsonCodec, type Session } from "../../mod.ts";
import { assertEquals, assertNotEquals } from "../assert.ts";
import { HOUR, MINUTE, onEachStore } from "./_bed.ts";
import { Browser, setCookies } from "./_visits.ts";

onEachStore("New: the cookie is SCS's, with Secure and __Host- if the request is https", async (bed) => {
  const plain = {
    Path: "/",
    Expires: "Thu, 05 Mar 2026 05:06:08 GMT",
    "Max-Age": "86400",
    HttpOnly: "",
    SameSite: "Lax",
  };
  for (
    const [scheme, name, attributes] of [
      ["http", "session", plain],
      ["https", "__Host-session", { ...plain, Secure: "" }],
    ] as const
  ) {
    const browser = new Browser(bed.manager(), `${scheme}://example.com/deep/path`);
    const response = await browser.visit((session) => session.put("a", 1));
    assertEquals(setCookies(response), [{ name, value: browser.token!, attributes }]);
    await browser.visit((session) => assertEquals(session.get("a"), 1));
  }
});

onEachStore("WriteSessionCookie: comes with a Cache-Control that keeps it out of caches", async (bed) => {
  const browser = new Browser(bed.manager());
  const response = await browser.visit((session) => session.put("a", 1));
  assertEquals(response.headers.get("Cache-Control"), 'private, no-cache="Set-Cookie"');
  assertEquals(response.headers.get("Vary"), "Cookie");
});

onEachStore("WriteSessionCookie: begin() and finish() write it for any framework", async (bed) => {
  const manager = bed.manager();
  const lifecycle = manager.begin(new Request("https://example.com/"));
  const session = await lifecycle.session();
  session.put("a", 1);
  const response = await lifecycle.finish(new Response("ok"));
  assertEquals(setCookies(response).map(({ value }) => value), [session.token!]);
  assertEquals((await manager.load(session.token)).get("a"), 1);
});

onEachStore("cookie text: the expiry is rounded up to the second", async (bed) => {
  const browser = new Browser(bed.manager());
  await browser.visit((session) => session.put("a", 1));
  for (
    const [deadline, expires, maxAge] of [
      [Date.UTC(2026, 2, 4, 6, 0, 0, 0), "Wed, 04 Mar 2026 06:00:00 GMT", "3233"],
      [Date.UTC(2026, 2, 4, 6, 0, 0, 1), "Wed, 04 Mar 2026 06:00:01 GMT", "3233"],
      [Date.UTC(2026, 2, 4, 6, 0, 0, 891), "Wed, 04 Mar 2026 06:00:01 GMT", "3234"],
    ] as const
  ) {
    const response = await browser.visit((session) => session.setDeadline(deadline));
    const { attributes } = setCookies(response)[0]!;
    assertEquals([attributes.Expires, attributes["Max-Age"]], [expires, maxAge]);
  }
});

onEachStore("cookie text: a deletion has no value and the same attributes", async (bed) => {
  const manager = bed.manager({
    cookie: {
      name: "sid",
      domain: "example.com",
      path: "/app",
      httpOnly: false,
      sameSite: "None",
      partitioned: true,
    },
  });
  const browser = new Browser(manager);
  const attributes = {
    Path: "/app",
    Domain: "example.com",
    SameSite: "None",
    Secure: "",
    Partitioned: "",
  };
  const login = await browser.visit((session) => session.put("a", 1));
  assertEquals(setCookies(login), [{
    name: "sid",
    value: browser.token!,
    attributes: { ...attributes, Expires: "Thu, 05 Mar 2026 05:06:08 GMT", "Max-Age": "86400" },
  }]);
  const logout = await browser.visit((session) => session.destroy());
  assertEquals(setCookies(logout), [{
    name: "sid",
    value: "",
    attributes: { ...attributes, Expires: "Thu, 01 Jan 1970 00:00:01 GMT", "Max-Age": "0" },
  }]);
});

onEachStore(
  "RememberMe: decides whether the cookie outlives the browser, if Persist is off",
  async (bed) => {
    const browser = new Browser(bed.manager({ cookie: { persist: false } }));
    const keeps = (response: Response) =>
      setCookies(response).map(({ attributes }) => "Max-Age" in attributes);
    assertEquals(keeps(await browser.visit((session) => session.put("a", 1))), [false]);
    const { token } = browser;

    // No expiry moves here, but the browser still needs the cookie.
    assertEquals(keeps(await browser.visit((session) => session.rememberMe(true))), [true]);
    assertEquals(browser.token, token);
    assertEquals(jsonCodec.decode((await bed.row()).data).values.__rememberMe, true);

    // The setting stays with the session: a renewal repeats it.
    assertEquals(keeps(await browser.visit((session) => session.renewToken())), [true]);
    assertEquals(keeps(await browser.visit((session) => session.rememberMe(false))), [false]);
  },
);

onEachStore("RememberMe: sends the cookie whichever way the value changes", async (bed) => {
  const manager = bed.manager({ cookie: { persist: false } });
  const keeps = (response: Response) => setCookies(response).map(({ attributes }) => "Max-Age" in attributes);
  const remembered = await manager.load();
  remembered.rememberMe(true);
  const { token } = await remembered.commit();
  const ways: [(session: Session) => unknown, boolean[]][] = [
    [(session) => session.put("a", 1), [false]],
    [(session) => session.put("__rememberMe", true), [true]],
    [(session) => session.put("a", 2), []],
    [(session) => session.remove("__rememberMe"), [false]],
    [(session) => session.update("__rememberMe", () => true), [true]],
    [(session) => session.clear(), [false]],
    [(session) => session.clear(), []],
    [(session) => session.mergeSession(token), [true]],
  ];
  const browser = new Browser(manager);
  for (const [use, expected] of ways) assertEquals(keeps(await browser.visit(use)), expected, `${use}`);
});

onEachStore("RememberMe: changes nothing if Persist is on", async (bed) => {
  const browser = new Browser(bed.manager());
  const response = await browser.visit((session) => session.rememberMe(false));
  assertEquals(setCookies(response)[0]?.attributes["Max-Age"], "86400");
});

onEachStore("SetDeadline: moves the end of the cookie with that of the session", async (bed) => {
  const browser = new Browser(bed.manager());
  await browser.visit((session) => session.put("a", 1));
  const { token } = browser;
  const response = await browser.visit((session) => session.setDeadline(bed.clock.time + HOUR));
  assertEquals(setCookies(response)[0]?.attributes["Max-Age"], "3600");
  assertEquals(browser.token, token);
});

onEachStore("idle timeout: is only in the store, and the cookie lasts until the deadline", async (bed) => {
  const browser = new Browser(bed.manager({ idleTimeout: "20m" }));
  const first = await browser.visit((session) => session.put("a", 1));
  assertEquals(setCookies(first)[0]?.attributes["Max-Age"], "86400");
  bed.clock.advance(10 * MINUTE);
  const second = await browser.visit((session) => session.get("a"));
  assertEquals(second.headers.getSetCookie(), []);
  // A session that ended sends no deletion cookie, which could delete that of a concurrent login.
  bed.clock.advance(20 * MINUTE);
  const third = await browser.visit((session) => session.get("a"));
  assertEquals(third.headers.getSetCookie(), []);
  assertNotEquals(browser.token, undefined);
});

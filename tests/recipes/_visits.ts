/**
 * What every recipe must do, whatever the framework.
 * @module
 */

import { assert, assertEquals, assertMatch, assertNotEquals } from "../assert.ts";
import { Visitor } from "../middleware/_visitor.ts";
import type { RunningApp } from "./_apps.ts";

/** What a recipe may do otherwise. */
export interface Expectations {
  /** The status of a handler that throws. */
  failure?: number;
  /** Where visits are counted. */
  page?: string;
  /** Where forms are sent that a framework takes at a path of its own. */
  login?: string;
  logout?: string;
  /** What the framework takes for its own address. */
  origin?: (port: number) => string;
  /** What is sent with each form. */
  body?: string;
}

/** A browser of an application. */
export function visitorOf({ port }: Pick<RunningApp, "port">): Visitor {
  return new Visitor((path, init) => fetch(`http://127.0.0.1:${port}${path}`, init));
}

/** Goes through what the page promises. `/plain`, `/fail` and `/throw-redirect` are the test's own routes. */
export async function visitAll(app: RunningApp, expected: Expectations = {}): Promise<void> {
  const { login = "/login", logout = "/logout", failure = 500, body = "" } = expected;
  const origin = (expected.origin ?? ((port) => `http://127.0.0.1:${port}`))(app.port);
  const visitor = visitorOf(app);
  const post = async (path: string) => {
    const response = await visitor.visit(path, {
      method: "POST",
      body,
      headers: { Accept: "text/html", Origin: origin, "Content-Type": "application/x-www-form-urlencoded" },
    });
    await response.body?.cancel();
    return response;
  };
  const page = async () => {
    const response = await visitor.visit(expected.page ?? "/");
    const text = (await response.text()).replaceAll(/<!--.*?-->/g, "");
    const count = /Visit (\d+) of (\w+)/.exec(text);
    assert(count !== null, `${response.status}: ${text.slice(0, 2_000)}\n${app.process.output()}`);
    return { response, count: Number(count[1]), user: count[2] };
  };

  // Nobody asked: nothing is added.
  const plain = await visitor.visit("/plain");
  assertMatch(await plain.text(), /plain/);
  assertEquals([plain.headers.getSetCookie(), /cookie/i.test(plain.headers.get("Vary") ?? "")], [[], false]);

  // A session comes to be, and lasts.
  const first = await page();
  assertEquals([first.count, first.user, first.response.headers.getSetCookie().length], [1, "nobody", 1]);
  assertMatch(first.response.headers.get("Vary") ?? "", /cookie/i);
  assertMatch(first.response.headers.get("Cache-Control") ?? "", /private|no-store/);
  const second = await page();
  assertEquals([second.count, second.response.headers.getSetCookie()], [2, []]);

  // A login renews the token, and its redirect carries the cookie.
  const before = visitor.token;
  const loggedIn = await post(login);
  assert(loggedIn.status >= 300 && loggedIn.status < 400, `login: ${loggedIn.status}`);
  assertEquals(loggedIn.headers.getSetCookie().length, 1, "the login's redirect has no cookie");
  assertNotEquals(visitor.token, before);
  const third = await page();
  assertEquals([third.count, third.user], [3, "zoe"]);

  // A handler that throws saves nothing, and no cookie goes out.
  const failed = await visitor.visit("/fail");
  await failed.body?.cancel();
  assertEquals([failed.status, failed.headers.getSetCookie()], [failure, []], app.process.output());
  const fourth = await page();
  assertEquals([fourth.count, fourth.user], [4, "zoe"], "what a handler that threw had changed was saved");

  // A logout ends it in the browser and in the store.
  const [[name, stolen]] = [...visitor.cookies] as [[string, string]];
  const loggedOut = await post(logout);
  assert(loggedOut.status >= 300 && loggedOut.status < 400, `logout: ${loggedOut.status}`);
  assertEquals(visitor.token, undefined, "the browser still has a cookie");
  visitor.cookies.set(name, stolen);
  const last = await page();
  assertEquals([last.count, last.user], [1, "nobody"], "the old token still works");
}

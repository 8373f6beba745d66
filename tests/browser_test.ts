/**
 * What a real browser makes of the demo and of the cookies: which it takes, hides, sends and deletes.
 * @module
 */

import type { BrowserContext, BrowserContextOptions, Page } from "playwright-core";
import { sessions } from "../mod.ts";
import { withSessions } from "../middleware/fetch.ts";
import { assertAlmostEquals, assertEquals, assertNotEquals } from "./assert.ts";
import { type RunningBrowser, startChromium } from "./services/chromium.ts";
import { type Demo, startDemo } from "./services/demo.ts";

let directory: string;
let demo: Demo;
let chromium: RunningBrowser;

Deno.test.beforeAll(async () => {
  directory = await Deno.makeTempDir({ prefix: "sessions_browser_" });
  demo = await startDemo({ file: `${directory}/demo.db` });
  chromium = await startChromium();
});

Deno.test.afterAll(async () => {
  // What did not start shows why by itself.
  await chromium?.[Symbol.asyncDispose]();
  await demo?.kill();
  await Deno.remove(directory, { recursive: true });
});

/** A window with no cookies, as of another person. */
async function openWindow(
  options: BrowserContextOptions = {},
): Promise<{ page: Page; context: BrowserContext } & AsyncDisposable> {
  const context = await chromium.browser.newContext(options);
  context.setDefaultTimeout(30_000);
  return { context, page: await context.newPage(), [Symbol.asyncDispose]: () => context.close() };
}

/** Clicks on a button, and waits for the page that answers: a click alone returns before its form is sent. */
async function press(page: Page, button: string): Promise<void> {
  await Promise.all([page.waitForEvent("load"), page.getByRole("button", { name: button }).click()]);
}

async function logIn(page: Page, name: string): Promise<void> {
  await page.goto(demo.url);
  await page.getByLabel("Name").fill(name);
  await press(page, "Log in");
  await page.getByRole("heading", { name: `Sessions of ${name}` }).waitFor();
}

Deno.test("A browser logs in, counts, reloads and logs out", async () => {
  await using window = await openWindow();
  const { page, context } = window;
  await page.goto(demo.url);
  assertEquals(await context.cookies(), []);
  await press(page, "Count");
  const [first] = await context.cookies();

  await logIn(page, "zoe");
  assertEquals(
    await page.getByRole("status").first().textContent(),
    "Welcome, zoe. Your session has a new token.",
  );
  assertNotEquals((await context.cookies())[0]!.value, first!.value);
  await press(page, "Count");
  await page.reload();
  assertEquals(await page.locator("output").textContent(), "2");

  await press(page, "Log out");
  await page.getByRole("heading", { name: "Log in" }).waitFor();
  assertEquals(await context.cookies(), []);
  assertEquals(await page.locator("output").textContent(), "0");
});

Deno.test("A browser keeps the cookie from scripts, from other sites' requests, and until the deadline", async () => {
  await using window = await openWindow();
  const { page, context } = window;
  await logIn(page, "yan");
  const [cookie, ...others] = await context.cookies();
  assertEquals(others, []);
  const { name, domain, path, httpOnly, secure, sameSite } = cookie!;
  assertEquals(
    { name, domain, path, httpOnly, secure, sameSite },
    { name: "session", domain: "localhost", path: "/", httpOnly: true, secure: false, sameSite: "Lax" },
  );
  assertAlmostEquals(cookie!.expires, Date.now() / 1000 + 86_400, 60);
  assertEquals(await page.evaluate("document.cookie"), "");
});

Deno.test("A browser that is sent a form by another site stays as it was", async () => {
  await using window = await openWindow();
  const { page } = window;
  await logIn(page, "xia");
  // 127.0.0.1 is another site than localhost.
  await using evil = serve(() =>
    new Response(
      `<form method="post" action="${demo.url}/logout-everywhere"><button>Win a prize</button></form>`,
      { headers: { "Content-Type": "text/html" } },
    )
  );
  await page.goto(`http://127.0.0.1:${evil.port}/`);
  const [answer] = await Promise.all([
    page.waitForResponse(`${demo.url}/logout-everywhere`),
    // To its end: it would get in the way of the next one.
    press(page, "Win a prize"),
  ]);
  assertEquals(answer.status(), 403);
  assertEquals((await answer.request().allHeaders())["cookie"], undefined);
  await page.goto(demo.url);
  await page.getByRole("heading", { name: "Sessions of xia" }).waitFor();
});

Deno.test("A browser that signs out everywhere ends the session of another one", async () => {
  await using one = await openWindow();
  await using two = await openWindow();
  await logIn(one.page, "wim");
  await logIn(two.page, "wim");
  assertEquals(await two.page.getByRole("button", { name: /^Revoke the session of / }).count(), 1);
  await press(two.page, "Sign out everywhere");
  await one.page.reload();
  await one.page.getByRole("heading", { name: "Log in" }).waitFor();
});

Deno.test("A browser without scripts can use the demo", async () => {
  await using window = await openWindow({ javaScriptEnabled: false });
  const { page } = window;
  await logIn(page, "vera");
  await press(page, "Count");
  assertEquals(await page.locator("output").textContent(), "1");
});

// Browsers take localhost for as safe as https, so that what is kept for https can be tried without a certificate.
for (
  const [what, cookie, name] of [
    ["the default cookie of https", {}, "__Host-session"],
    ["a __Secure- cookie with a domain and a path", { domain: "localhost", path: "/a" }, "__Secure-session"],
    ["a partitioned cookie", { partitioned: true, sameSite: "None" }, "__Host-session"],
  ] as const
) {
  Deno.test(`A browser takes, sends and deletes ${what}`, async () => {
    const manager = sessions<{ visits: number }>({ cookie: { ...cookie, secure: true } });
    await using server = serve(withSessions(manager, async (request, getSession) => {
      const session = await getSession();
      if (request.url.endsWith("/logout")) await session.destroy();
      else session.update("visits", (visits = 0) => visits + 1);
      return new Response(`Visit ${session.get("visits")}`);
    }));
    await using window = await openWindow();
    const { page, context } = window;
    const url = `http://localhost:${server.port}/a`;
    await page.goto(url);
    await page.goto(url);
    assertEquals(await page.textContent("body"), "Visit 2");
    const [{ secure, httpOnly, ...kept }] = await context.cookies() as [
      Awaited<ReturnType<typeof context.cookies>>[0],
    ];
    assertEquals([kept.name, secure, httpOnly], [name, true, true]);
    await page.goto(`${url}/logout`);
    assertEquals(await context.cookies(), []);
  });
}

function serve(
  handler: (request: Request) => Response | Promise<Response>,
): { port: number } & AsyncDisposable {
  const server = Deno.serve({ hostname: "127.0.0.1", port: 0, onListen() {} }, handler);
  return {
    port: server.addr.port,
    async [Symbol.asyncDispose]() {
      await server.shutdown();
    },
  };
}

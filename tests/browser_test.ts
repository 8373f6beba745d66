/**
 * The demo and the cookies in a real browser: which cookies it accepts, hides, sends and deletes.
 * @module
 */

import type { BrowserContext, BrowserContextOptions, Page } from "playwright-core";
import { sessions } from "../mod.ts";
import { withSessions } from "../middleware/fetch.ts";
import {
  assertAlmostEquals,
  assertEquals,
  assertMatch,
  assertNotEquals,
  assertStringIncludes,
} from "./assert.ts";
import { type RunningBrowser, startChromium } from "./services/chromium.ts";
import { type Demo, startDemo } from "./services/demo.ts";

const IPHONE =
  "Mozilla/5.0 (iPhone; CPU iPhone OS 18_5 like Mac OS X) AppleWebKit/605.1.15 (KHTML, like Gecko) " +
  "Version/18.5 Mobile/15E148 Safari/604.1";
const FIREFOX = "Mozilla/5.0 (Windows NT 10.0; Win64; x64; rv:145.0) Gecko/20100101 Firefox/145.0";
const RACES = { basket: "Change it twice", logout: "Log out meanwhile", login: "Log in twice" };

/**
 * Runs in the page and returns its accessibility problems: horizontal scrolling, low contrast (WCAG 2.2, 1.4.3),
 * fields without a label, skipped headings, and buttons that are too small (2.5.8).
 */
const FIND_PROBLEMS = `(() => {
  const problems = [];
  const { scrollWidth, clientWidth } = document.documentElement;
  if (scrollWidth > clientWidth) problems.push("scrolls sideways: " + scrollWidth + " > " + clientWidth);

  const parse = (color) => {
    const [r, g, b, a = 1] = color.match(/[\\d.]+/g).map(Number);
    return { rgb: [r, g, b], a };
  };
  const luminance = (rgb) => rgb
    .map((value) => value / 255)
    .map((value) => value <= 0.04045 ? value / 12.92 : ((value + 0.055) / 1.055) ** 2.4)
    .reduce((sum, value, index) => sum + value * [0.2126, 0.7152, 0.0722][index], 0);
  const behind = (element) => {
    const { rgb, a } = parse(getComputedStyle(element).backgroundColor);
    return a === 1 ? rgb : behind(element.parentElement);
  };
  const texts = document.createTreeWalker(document.body, NodeFilter.SHOW_TEXT);
  let count = 0;
  while (texts.nextNode()) {
    const { parentElement: element, data } = texts.currentNode;
    if (data.trim() === "" || !element.checkVisibility()) continue;
    count++;
    const [low, high] = [luminance(parse(getComputedStyle(element).color).rgb), luminance(behind(element))]
      .sort((a, b) => a - b);
    const contrast = (high + 0.05) / (low + 0.05);
    if (contrast < 4.5) problems.push("contrast " + contrast.toFixed(2) + ": " + data.trim());
  }
  if (count < 10) problems.push("only " + count + " texts");

  for (const field of document.querySelectorAll("input:not([type=hidden])")) {
    if (field.labels.length === 0) problems.push("no label: " + field.name);
  }
  const levels = [...document.querySelectorAll("h1, h2, h3, h4")].map(({ tagName }) => Number(tagName[1]));
  levels.forEach((level, index) => {
    if (level > (levels[index - 1] ?? 0) + 1) problems.push("skips to h" + level);
  });
  for (const button of document.querySelectorAll("button, summary, nav a")) {
    if (!button.checkVisibility()) continue;
    const { width, height } = button.getBoundingClientRect();
    if (width < 24 || height < 24) problems.push("too small: " + button.textContent);
  }
  return problems;
})()`;

let directory: string;
let demo: Demo;
let chromium: RunningBrowser;

Deno.test.beforeAll(async () => {
  directory = await Deno.makeTempDir({ prefix: "sessions_browser_" });
  demo = await startDemo({ file: `${directory}/demo.db` });
  chromium = await startChromium();
});

Deno.test.afterAll(async () => {
  // A browser that did not start reports the reason itself.
  await chromium?.[Symbol.asyncDispose]();
  await demo?.kill();
  await Deno.remove(directory, { recursive: true });
});

/** A window without cookies, like that of another person. */
async function openWindow(
  options: BrowserContextOptions = {},
): Promise<{ page: Page; context: BrowserContext } & AsyncDisposable> {
  const context = await chromium.browser.newContext(options);
  context.setDefaultTimeout(30_000);
  return { context, page: await context.newPage(), [Symbol.asyncDispose]: () => context.close() };
}

/** Clicks a button and waits for the next page. A click alone returns before its form is sent. */
async function press(page: Page, button: string): Promise<void> {
  await Promise.all([
    page.waitForEvent("load"),
    page.getByRole("button", { name: button, exact: true }).click(),
  ]);
}

async function logIn(page: Page, name: string): Promise<void> {
  await page.goto(demo.url);
  await page.getByLabel("Name").fill(name);
  await press(page, "Sign in");
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

  await press(page, "Sign out");
  await page.getByRole("heading", { name: "Sign in" }).waitFor();
  assertEquals(await context.cookies(), []);
  assertEquals(await page.locator("output").textContent(), "0");
});

Deno.test("A browser hides the cookie from scripts and from requests of other sites, and keeps it until the deadline", async () => {
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

Deno.test("A form that another site sends changes nothing for a browser", async () => {
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
    // Waits for the end, because the message would disturb the next test.
    press(page, "Win a prize"),
  ]);
  assertEquals(answer.status(), 403);
  assertEquals((await answer.request().allHeaders())["cookie"], undefined);
  await page.goto(demo.url);
  await page.getByRole("heading", { name: "Sessions of xia" }).waitFor();
});

Deno.test("A visitor who comes back from a sign-in at another site has a session as sameSite says", async () => {
  const found: Record<string, unknown> = {};
  for (const sameSite of ["Strict", "Lax"] as const) {
    const manager = sessions<{ state: string }>({ cookie: { sameSite } });
    await using app = serve(withSessions(manager, async (request, getSession) => {
      const session = await getSession();
      if (new URL(request.url).pathname === "/start") session.put("state", "expected");
      return new Response(session.get("state") ?? "no session");
    }));
    const url = `http://localhost:${app.port}`;
    await using provider = serve(() =>
      new Response(
        `<form action="${url}/callback"><button>Allow</button></form>` +
          `<form action="${url}/callback" method="post"><button>Allow by POST</button></form>`,
        { headers: { "Content-Type": "text/html" } },
      )
    );
    for (const button of ["Allow", "Allow by POST"]) {
      await using window = await openWindow();
      const { page } = window;
      await page.goto(`${url}/start`);
      await page.goto(`http://127.0.0.1:${provider.port}/`);
      await press(page, button);
      found[`${sameSite}, ${button}`] = await page.textContent("body");
    }
  }
  assertEquals(found, {
    "Strict, Allow": "no session",
    "Strict, Allow by POST": "no session",
    "Lax, Allow": "expected",
    "Lax, Allow by POST": "no session",
  });
});

for (const javaScriptEnabled of [true, false]) {
  const how = javaScriptEnabled ? "with" : "without";
  Deno.test(`A browser ${how} scripts signs out everywhere after a confirmation, in another browser too`, async () => {
    await using one = await openWindow();
    await using two = await openWindow({ javaScriptEnabled });
    await logIn(one.page, "wim");
    await logIn(two.page, "wim");
    assertEquals(await two.page.getByRole("button", { name: /^End session 1, Chrome on / }).count(), 1);
    const confirm = two.page.getByRole("button", { name: "Yes, all 2, this one too" });
    assertEquals(await confirm.isVisible(), false);
    await two.page.getByText("Sign out everywhere…").click();
    await confirm.waitFor();
    await press(two.page, "Yes, all 2, this one too");
    await one.page.reload();
    await one.page.getByText("It has ended.").waitFor();
  });
}

Deno.test("A browser without scripts can use the demo, and sees that times are UTC", async () => {
  await using window = await openWindow({ javaScriptEnabled: false, timezoneId: "Asia/Tokyo" });
  const { page } = window;
  await logIn(page, "vera");
  await press(page, "Count");
  assertEquals(await page.locator("output").textContent(), "1");
  assertMatch(await page.locator("main time").first().textContent() ?? "", /^\d{4}-\d\d-\d\d \d\d:\d\d UTC$/);
  await page.getByText("Times are in UTC.").waitFor();
  assertStringIncludes(await page.getByRole("log").textContent() ?? "", "subject vera");
  await page.getByRole("link", { name: "Races" }).first().click();
  await press(page, "Change it twice");
  await page.getByText("Both changes are kept").waitFor();
});

Deno.test("A browser shows the demo's times in its own time zone", async () => {
  await using window = await openWindow({ timezoneId: "Asia/Tokyo", locale: "en-GB" });
  const { page } = window;
  await logIn(page, "uma");
  await page.getByText("Times are in Asia/Tokyo.").waitFor();
  const time = page.locator("main time").first();
  const format = {
    day: "numeric",
    month: "short",
    hour: "numeric",
    minute: "2-digit",
    timeZone: "Asia/Tokyo",
  };
  assertEquals(
    await time.textContent(),
    new Date(await time.getAttribute("datetime") ?? "").toLocaleString("en-GB", format as object),
  );
});

Deno.test("A browser shows session events of the demo as they happen", async () => {
  await using watching = await openWindow();
  await using acting = await openWindow();
  await watching.page.goto(demo.url);
  await watching.page.locator("#log-state", { hasText: "live" }).waitFor();
  await logIn(acting.page, "tess");
  const events = watching.page.getByRole("log").getByRole("listitem");
  await events.filter({ hasText: "created" }).filter({ hasText: "subject tess" }).waitFor();

  // A hidden tab closes its stream, and catches up when it is visible again.
  const turn = (hidden: boolean) =>
    watching.page.evaluate(`
      Object.defineProperty(document, "hidden", { value: ${hidden}, configurable: true });
      document.dispatchEvent(new Event("visibilitychange"));
    `);
  await turn(true);
  await press(acting.page, "Sign out");
  assertEquals(await events.filter({ hasText: "subject tess" }).count(), 1);
  await turn(false);
  await events.filter({ hasText: "destroyed" }).filter({ hasText: "subject tess" }).waitFor();
  assertEquals(await events.filter({ hasText: "subject tess" }).count(), 2);
});

Deno.test("Every page of the demo is readable on a wide screen, in dark mode and on a phone", async () => {
  const screenshots = new URL("../screenshots/", import.meta.url);
  await Deno.mkdir(screenshots, { recursive: true });
  const name = "ann";
  const longest = "w".repeat(60);
  for (const userAgent of [IPHONE, FIREFOX]) {
    await using other = await openWindow({ userAgent });
    await logIn(other.page, name);
  }
  for (
    const [kind, races, options] of [
      ["wide", ["basket", "logout", "login"], { viewport: { width: 1200, height: 800 } }],
      ["dark", ["logout"], { viewport: { width: 1200, height: 800 }, colorScheme: "dark" }],
      ["phone", ["login"], { viewport: { width: 360, height: 740 }, isMobile: true, deviceScaleFactor: 2 }],
    ] as const
  ) {
    await using window = await openWindow({ ...options, locale: "en-GB", reducedMotion: "reduce" });
    const { page } = window;
    const problems: string[] = [];
    page.on("console", (message) => void (message.type() === "error" && problems.push(message.text())));
    page.on("response", (response) => {
      if (response.status() >= 400) problems.push(`${response.status()} ${response.url()}`);
    });
    const show = async (what: string) => {
      await page.locator("#log-state", { hasText: "live" }).waitFor();
      problems.push(...await page.evaluate<string[]>(FIND_PROBLEMS));
      assertEquals(problems, [], `${kind}: ${what}`);
      await page.screenshot({ path: new URL(`${kind}-${what}.png`, screenshots).pathname, fullPage: true });
    };
    await page.goto(demo.url);
    await show("first-visit");
    await logIn(page, name);
    await page.getByText("Sign out everywhere…").click();
    await show("three-devices");
    await press(page, "Sign out");
    await page.goto(`${demo.url}/races`);
    for (const race of races) {
      await press(page, RACES[race]);
      await show(`race-${race}`);
    }
    await logIn(page, longest);
    await page.getByLabel("Show on the next page, once").fill("m".repeat(200));
    await press(page, "Leave it");
    await show("long-words");
    await press(page, "Sign out");
  }
  console.log(`Screenshots of the demo are in ${screenshots.pathname}`);
});

// Browsers treat localhost as secure, so cookies for https can be tested without a certificate.
for (
  const [what, cookie, name] of [
    ["the default cookie of https", {}, "__Host-session"],
    ["a __Secure- cookie with a domain and a path", { domain: "localhost", path: "/a" }, "__Secure-session"],
    ["a partitioned cookie", { partitioned: true, sameSite: "None" }, "__Host-session"],
  ] as const
) {
  Deno.test(`A browser accepts, sends and deletes ${what}`, async () => {
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

/** Hono's own middleware outside and inside of honoSessions(). */

import { type Context, Hono, type MiddlewareHandler } from "hono";
import { bodyLimit } from "hono/body-limit";
import { except } from "hono/combine";
import { compress } from "hono/compress";
import { contextStorage } from "hono/context-storage";
import { cors } from "hono/cors";
import { csrf } from "hono/csrf";
import { etag } from "hono/etag";
import { jsx } from "hono/jsx";
import { jsxRenderer } from "hono/jsx-renderer";
import { Suspense } from "hono/jsx/streaming";
import { languageDetector } from "hono/language";
import { logger } from "hono/logger";
import { methodOverride } from "hono/method-override";
import { poweredBy } from "hono/powered-by";
import { prettyJSON } from "hono/pretty-json";
import { requestId } from "hono/request-id";
import { secureHeaders } from "hono/secure-headers";
import { timeout } from "hono/timeout";
import { timing } from "hono/timing";
import { trimTrailingSlash } from "hono/trailing-slash";
import { honoSessions } from "../../middleware/hono.ts";
import { SessionClosedError, sessions } from "../../mod.ts";
import { assert, assertEquals, assertInstanceOf } from "../assert.ts";
import { setCookies } from "../scenarios/_visits.ts";
import { visitorOf } from "./_visitor.ts";

interface Data {
  userId: number;
  note: string;
}

const URL = "https://example.com/";
const LONG = "long enough to be compressed ".repeat(100);

/** An application with another middleware outside or inside of honoSessions(). */
function beside(other: MiddlewareHandler, place: "around" | "within") {
  const manager = sessions<Data>({ maxBytes: 1_000 });
  const ours = honoSessions(manager);
  const app = (place === "around" ? new Hono().use(other).use(ours) : new Hono().use(ours).use(other))
    .post("/", async (c) => {
      (await c.var.session()).put("userId", 42);
      return c.text("signed in");
    })
    .get("/", async (c) => c.text(`${(await c.var.session()).get("userId")} ${LONG}`))
    .get("/renew", async (c) => {
      const session = await c.var.session();
      session.renewToken();
      return c.text(`${session.get("userId")} ${LONG}`);
    })
    .get("/fails", async (c) => {
      (await c.var.session()).put("note", "x".repeat(2_000));
      c.header("ETag", '"own"');
      c.header("Cache-Control", "public, max-age=60");
      return c.text("never");
    })
    .get("/plain", (c) => c.text(LONG));
  return { manager, app };
}

const PLACES = ["around", "within"] as const;

for (const place of PLACES) {
  Deno.test(`cors() ${place} honoSessions()`, async (t) => {
    const { app } = beside(cors({ origin: "https://app.example", credentials: true }), place);
    const visitor = visitorOf(app);
    const headers = { Origin: "https://app.example" };
    await t.step("keeps its headers beside the cookie", async () => {
      const response = await visitor.visit("/", { method: "POST", headers });
      assertEquals(response.headers.get("Access-Control-Allow-Origin"), "https://app.example");
      assertEquals(response.headers.get("Access-Control-Allow-Credentials"), "true");
      assertEquals(setCookies(response).length, 1);
      assertEquals(response.headers.get("Vary")?.split(", ").sort(), ["Cookie", "Origin"]);
    });
    await t.step(
      "keeps its headers if the commit fails, and no other header of the handler stays",
      async () => {
        const response = await visitor.visit("/fails", { headers });
        assertEquals([response.status, await response.text()], [500, "Internal Server Error\n"]);
        const { vary, ...others } = Object.fromEntries(response.headers);
        assertEquals(vary?.split(", ").sort(), ["Cookie", "Origin"]);
        assertEquals(others, {
          "access-control-allow-credentials": "true",
          "access-control-allow-origin": "https://app.example",
          "cache-control": "no-store",
          "content-type": "text/plain; charset=utf-8",
        });
      },
    );
    await t.step("answers a preflight without a session", async () => {
      const response = await app.request(URL, { method: "OPTIONS", headers });
      assertEquals([response.status, response.headers.get("Vary")], [
        204,
        "Origin",
      ]);
      assertEquals(response.headers.get("Cache-Control"), null);
    });
  });

  Deno.test(`csrf() ${place} honoSessions() refuses before the session is asked for`, async () => {
    const { app } = beside(csrf(), place);
    const init = {
      method: "POST",
      headers: { "Content-Type": "text/plain", Origin: "https://evil.example" },
    };
    const response = await app.request(URL, init);
    assertEquals([response.status, setCookies(response), response.headers.get("Vary")], [403, [], null]);
    const same = await app.request(URL, {
      ...init,
      headers: { ...init.headers, Origin: "https://example.com" },
    });
    assertEquals([same.status, setCookies(same).length], [200, 1]);
  });

  Deno.test(`secureHeaders() ${place} honoSessions() adds its headers`, async () => {
    const { app } = beside(secureHeaders(), place);
    const response = await app.request(URL, { method: "POST" });
    assertEquals(response.headers.get("X-Content-Type-Options"), "nosniff");
    assertEquals(setCookies(response).length, 1);
  });

  Deno.test(`compress() ${place} honoSessions() compresses a response with a cookie`, async () => {
    const { app } = beside(compress(), place);
    const visitor = visitorOf(app);
    await visitor.post("/");
    const response = await visitor.visit("/renew", { headers: { "Accept-Encoding": "gzip" } });
    assertEquals(response.headers.get("Content-Encoding"), "gzip");
    assertEquals(response.headers.get("Vary")?.split(", ").sort(), ["Accept-Encoding", "Cookie"]);
    assertEquals(setCookies(response).length, 1);
    const text = await new Response(response.body!.pipeThrough(new DecompressionStream("gzip"))).text();
    assertEquals(text, `42 ${LONG}`);
  });

  Deno.test(`logger() ${place} honoSessions() logs the status that is sent`, async () => {
    const lines: string[] = [];
    const { app } = beside(logger((line) => void lines.push(line)), place);
    assertEquals((await app.request(`${URL}fails`)).status, 500);
    // Inside honoSessions() it logs before the commit.
    assert(lines.at(-1)?.includes(place === "around" ? "500" : "200"), lines.at(-1));
  });

  Deno.test(`etag() ${place} honoSessions()`, async (t) => {
    const { app, manager } = beside(etag(), place);
    const visitor = visitorOf(app);
    await visitor.post("/");
    const tag = (await visitor.visit("/")).headers.get("ETag")!;
    const headers = { "If-None-Match": tag };
    await t.step("answers 304 to the same page", async () => {
      const response = await visitor.visit("/", { headers });
      assertEquals([response.status, response.headers.get("Vary")], [304, "Cookie"]);
      assertEquals(response.headers.get("Cache-Control"), "private");
    });
    await t.step("does not give a failed commit the handler's tag", async () => {
      const response = await visitor.visit("/fails");
      assertEquals([response.status, response.headers.get("ETag")], [500, null]);
    });
    const kept = place === "within";
    await t.step(
      kept ? "keeps the cookie on a 304" : "loses the cookie on a 304, as honoSessions() says",
      async () => {
        const response = await visitor.visit("/renew", { headers });
        assertEquals([response.status, setCookies(response).length], [304, kept ? 1 : 0]);
        assertEquals((await manager.load(visitor.token)).get("userId"), kept ? 42 : undefined);
      },
    );
  });
}

Deno.test("All of them together serve a login, a page and a logout", async () => {
  const manager = sessions<Data>();
  const app = new Hono()
    .use(logger(() => {}), cors({ origin: URL.slice(0, -1) }), secureHeaders(), compress())
    .use(honoSessions(manager))
    .use(etag(), csrf())
    .post("/login", async (c) => {
      const session = await c.var.session();
      session.renewToken();
      session.put("userId", 42);
      return c.redirect("/", 303);
    })
    .post("/logout", async (c) => {
      await (await c.var.session()).destroy();
      return c.redirect("/", 303);
    })
    .get("/", async (c) => c.text(String((await c.var.session()).get("userId"))));
  const visitor = visitorOf(app);
  const form = { method: "POST", headers: { Origin: "https://example.com" } };
  assertEquals(await visitor.text("/"), "undefined");
  assertEquals((await visitor.visit("/login", form)).status, 303);
  assertEquals(await visitor.text("/"), "42");
  await visitor.visit("/logout", form);
  assertEquals(visitor.cookies.size, 0);
  assertEquals(await visitor.text("/"), "undefined");
});

const HARMLESS: Record<string, () => MiddlewareHandler> = {
  bodyLimit: () => bodyLimit({ maxSize: 1_000 }),
  contextStorage: () => contextStorage(),
  except: () => except("/plain", poweredBy()),
  languageDetector: () => languageDetector({ supportedLanguages: ["en", "de"], fallbackLanguage: "en" }),
  prettyJSON: () => prettyJSON(),
  requestId: () => requestId(),
  timing: () => timing(),
  trimTrailingSlash: () => trimTrailingSlash(),
};

for (const [name, make] of Object.entries(HARMLESS)) {
  for (const place of PLACES) {
    Deno.test(`${name}() ${place} honoSessions() changes nothing of a login and its pages`, async () => {
      const visitor = visitorOf(beside(make(), place).app);
      const plain = await visitor.visit("/plain");
      assertEquals([plain.headers.get("Vary"), plain.headers.get("Cache-Control")], [null, null]);
      assertEquals((await visitor.post("/", new URLSearchParams({ a: "b" }))).status, 200);
      assertEquals((await visitor.text("/")).slice(0, 3), "42 ");
      const before = visitor.token;
      const renewed = await visitor.visit("/renew");
      assertEquals([renewed.status, visitor.token === before], [200, false]);
      assertEquals((await visitor.visit("/fails")).status, 500);
      assertEquals((await visitor.text("/")).slice(0, 3), "42 ");
    });
  }
}

Deno.test("methodOverride(), which sends a new request through the app, around and within honoSessions()", async () => {
  for (const place of PLACES) {
    const manager = sessions<Data>();
    const app = new Hono();
    const [ours, override] = [honoSessions(manager), methodOverride({ app })];
    app.use(...(place === "around" ? [override, ours] : [ours, override]));
    const note = async (c: Context, note: string) => {
      (await c.get("session")()).put("note", note);
      return c.text(note);
    };
    app.post("/", (c) => note(c, "posted")).delete("/", (c) => note(c, "deleted"));
    const visitor = visitorOf(app);
    for (const [body, text] of [[{}, "posted"], [{ _method: "DELETE" }, "deleted"]] as const) {
      assertEquals(await (await visitor.post("/", new URLSearchParams(body))).text(), text);
      assertEquals((await manager.load(visitor.token)).get("note"), text);
    }
  }
});

Deno.test("A component that is streamed late reads a session that was asked for early, and cannot change it", async () => {
  const Late = async ({ c, write }: { c: Context; write: boolean }) => {
    await new Promise((resolve) => setTimeout(resolve, 5));
    const session = await c.get("session")();
    try {
      if (write) session.put("note", "late");
      return jsx("b", {}, `user ${session.get("userId")}`);
    } catch (error) {
      return jsx("b", {}, (error as Error).name);
    }
  };
  const app = new Hono()
    .use(honoSessions(sessions<Data>()))
    .use(jsxRenderer(({ children }) => jsx("main", {}, children as string), { stream: true }))
    .get("/:write", async (c) => {
      (await c.var.session()).put("userId", 42);
      const late = jsx(Late as never, { c, write: c.req.param("write") === "write" });
      return c.render(jsx(Suspense as never, { fallback: "wait" }, late) as never);
    });
  for (const [path, text] of [["/read", "user 42"], ["/write", "SessionClosedError"]] as const) {
    const response = await app.request(path);
    assertEquals(setCookies(response).length, 1);
    const page = await response.text();
    assert(page.includes("wait") && page.includes(`<b>${text}</b>`), page);
  }
});

Deno.test("A login before timeout() is saved with the 504, though the manager is mounted again after it", async () => {
  const manager = sessions<Data>();
  const slow = Promise.withResolvers<void>();
  const handled = Promise.withResolvers<unknown>();
  const app = new Hono().use(honoSessions(manager))
    .use(async (c, next) => {
      const session = await c.var.session();
      session.renewToken();
      session.put("userId", 42);
      await next();
    })
    .use(timeout(1))
    .use(honoSessions(manager))
    .get("/", async (c) => {
      const session = await c.var.session();
      await slow.promise;
      try {
        session.put("note", "late");
      } catch (error) {
        handled.resolve(error);
      }
      return c.text("slow");
    });
  const visitor = visitorOf(app);
  assertEquals((await visitor.visit("/")).status, 504);
  assertEquals((await manager.load(visitor.token)).get("userId"), 42);
  slow.resolve();
  assertInstanceOf(await handled.promise, SessionClosedError);
});

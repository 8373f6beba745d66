/** Hono's caches inside and outside the sessions: no visitor's page is stored for another one. */

import { Hono, type MiddlewareHandler } from "hono";
import { cache } from "hono/cache";
import { honoSessions } from "../../middleware/hono.ts";
import { sessions } from "../../mod.ts";
import { assertEquals } from "../assert.ts";

const URL = "https://example.com/account";

/** Ways in which handlers make a response. */
const PAGES: Record<string, (name: string) => Response | ((c: { text(t: string): Response }) => Response)> = {
  "c.text()": (name) => (c) => c.text(name),
  "a Response": (name) => new Response(name),
  "a Response with a Cache-Control of its own": (name) =>
    new Response(name, { headers: { "Cache-Control": "max-age=60, private" } }),
};

for (const order of ["within", "around"]) {
  for (const [what, page] of Object.entries(PAGES)) {
    Deno.test(`cache() ${order} honoSessions() stores no page made by ${what} with the session`, async () => {
      const manager = sessions<{ name: string }>();
      const visitor = async (name: string) => {
        const session = await manager.load();
        session.put("name", name);
        return { Cookie: `__Host-session=${(await session.commit()).token}` };
      };
      const kept = cache({ cacheName: crypto.randomUUID(), wait: true });
      const app = new Hono().use(order === "around" ? kept : pass).use(honoSessions(manager))
        .use(order === "within" ? kept : pass)
        .get("/account", async (c) => {
          const made = page((await c.var.session()).get("name")!);
          return typeof made === "function" ? made(c) : made;
        })
        .get("/public", (c) => c.text(String(++visits)));
      let visits = 0;
      const [zoe, max] = [await visitor("zoe"), await visitor("max")];
      assertEquals(await (await app.request(URL, { headers: zoe })).text(), "zoe");
      const response = await app.request(URL, { headers: max });
      assertEquals(await response.text(), "max");
      assertEquals(response.headers.get("Vary"), "Cookie");
      // A page that was made without the session is stored as usual.
      const open = "https://example.com/public";
      await (await app.request(open, { headers: zoe })).text();
      assertEquals(await (await app.request(open, { headers: max })).text(), "1");
    });
  }
}

const pass: MiddlewareHandler = (_c, next) => next();

Deno.test("A middleware inside sees the handler's response already marked, and its own changes stay", async () => {
  const manager = sessions();
  const seen: unknown[] = [];
  const app = new Hono().use(honoSessions(manager)).use(async (c, next) => {
    await next();
    seen.push(c.res.headers.get("Vary"), c.res.headers.get("Cache-Control"), c.res.status);
    c.res = new Response("other", c.res);
    c.res.headers.set("Cache-Control", "no-store");
  }).get("/:status", async (c) => {
    await c.var.session();
    return new Response(null, { status: Number(c.req.param("status")), headers: { Vary: "Origin" } });
  });
  for (const status of [200, 302]) {
    const response = await app.request(`https://example.com/${status}`);
    assertEquals(seen.splice(0), ["Origin, Cookie", "private", status]);
    assertEquals(response.headers.get("Vary"), "Origin, Cookie");
    assertEquals(response.headers.get("Cache-Control"), "no-store");
  }
});

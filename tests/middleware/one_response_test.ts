/**
 * One `Response` object with a body for two requests at once, as an application returns it that makes a page once for all
 * who wait for it. Neither visitor gets the cookie or the session of the other one.
 */

import { withSessions } from "../../middleware/fetch.ts";
import { MemoryStore, sessions } from "../../mod.ts";
import { assertEquals } from "../assert.ts";
import { quietly } from "./_quietly.ts";

type Use = "login" | "commit" | "read" | "none";

/** Two visits at once. For each one the status, and the visitor whose session it gets. */
async function visitAtOnce(uses: Use[], delays: number[], sending: number) {
  const manager = sessions<{ visitor: number }>({ store: new MemoryStore() });
  const page = new Response("page", { headers: { "Content-Type": "text/plain" } });
  const visit = async (use: Use, visitor: number): Promise<[status: number, visitor: number | undefined]> => {
    const handle = withSessions(manager, async (_request, getSession) => {
      if (use !== "none") await getSession();
      if (use === "login" || use === "commit") {
        const session = await getSession();
        session.renewToken();
        session.put("visitor", visitor);
        if (use === "commit") await session.commit();
      }
      await steps(delays[visitor]!);
      return page;
    });
    const response = await handle(new Request("https://example.com/"));
    // A middleware further out, which takes its time.
    await steps(sending);
    // No platform sends a body twice.
    if (response.bodyUsed) return [500, undefined];
    const { status, headers } = response;
    const token = /__Host-session=([\w-]{43})/.exec(headers.get("Set-Cookie") ?? "")?.[1];
    await response.text();
    return [status, token && (await manager.load(token)).get("visitor")] as [number, number | undefined];
  };
  return await quietly(() => Promise.all(uses.map(visit)));
}

async function steps(count: number): Promise<void> {
  for (let step = 0; step < count; step++) await null;
}

/** After the last one the other visitor's request is over. */
const DELAYS = [0, 1, 2, 60];

const PAIRS: [Use, Use][] = [
  ["login", "login"],
  ["login", "read"],
  ["read", "login"],
  ["login", "none"],
  ["none", "login"],
  ["commit", "none"],
  ["none", "commit"],
];

for (const uses of PAIRS) {
  Deno.test(`One Response for two visitors at once gives neither the other's session: ${uses}`, async () => {
    for (const delays of DELAYS.flatMap((first) => DELAYS.map((second) => [first, second]))) {
      const results = await visitAtOnce(uses, delays, 0);
      assertEquals(results.some(([status]) => status === 200), true, `${delays}`);
      for (const [visitor, [status, seen]] of results.entries()) {
        const hasSession = uses[visitor] === "login" || uses[visitor] === "commit";
        if (status === 200) assertEquals(seen, hasSession ? visitor : undefined, `${delays}`);
        else assertEquals([undefined, visitor].includes(seen), true, `${delays}: ${seen}`);
      }
    }
  });
}

Deno.test("A response with another visitor's cookie, and not sent yet, is sent without it", async () => {
  for (const later of ["login", "read", "none"] as const) {
    const results = await visitAtOnce(["login", later], [0, 40], 40);
    assertEquals(results, [[200, 0], [200, later === "login" ? 1 : undefined]]);
  }
});

Deno.test("A Response that a middleware clones for each visitor gives none the cookies of another", async () => {
  const page = new Response("page", { headers: { "Set-Cookie": "theme=dark" } });
  const manager = sessions<{ visitor: number }>();
  const other = sessions<{ visitor: number }>({ cookie: { name: "other" } });
  const handler = withSessions(other, async (request, getOther) => {
    if (request.url.endsWith("/login")) (await getOther()).put("visitor", 0);
    return await withSessions(manager, async (_request, getSession) => {
      if (request.url.endsWith("/read")) await getSession();
      if (request.url.endsWith("/login")) (await getSession()).put("visitor", 0);
      return page;
    })(request);
  });
  const seen: unknown[] = [];
  for (const path of ["none", "login", "none", "read", "login", "none"]) {
    const response = (await handler(new Request(`https://example.com/${path}`))).clone();
    const names = response.headers.getSetCookie().map((text) => text.split("=")[0]);
    seen.push([path, response.status, names.join(), await response.text()]);
  }
  assertEquals(seen, [
    ["none", 200, "theme", "page"],
    ["login", 200, "theme,__Host-session,other", "page"],
    ["none", 200, "theme", "page"],
    ["read", 200, "theme", "page"],
    ["login", 200, "theme,__Host-session,other", "page"],
    ["none", 200, "theme", "page"],
  ]);
});

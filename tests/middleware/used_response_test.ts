/** Responses that cannot be made anew: the session is saved, and its cookie must not get lost. */
import { createServer } from "node:http";
import { Hono } from "hono";
import { HTTPException } from "hono/http-exception";
import { honoSessions } from "../../middleware/hono.ts";
import { withSessions } from "../../middleware/fetch.ts";
import { type Session, sessions } from "../../mod.ts";
import { assertEquals } from "../assert.ts";
import { quietly } from "./_quietly.ts";

interface Data {
  user: string;
}

const ENDS: Record<string, (used: Response) => Response> = {
  "returns a response of fetch() whose body was read": (used) => used,
  "throws a response of fetch() whose body was read": (used) => {
    throw used;
  },
  "throws an HTTPException with such a response": (used) => {
    throw new HTTPException(502, { res: used });
  },
  "throws an object whose getResponse() throws": () => {
    throw {
      getResponse() {
        throw new Error("there is none");
      },
    };
  },
};

for (const [name, end] of Object.entries(ENDS)) {
  for (const mounted of ["withSessions()", "honoSessions()"]) {
    Deno.test(`${mounted}: a login that was committed keeps its cookie if the handler ${name}`, async () => {
      await using upstream = Deno.serve(
        { port: 0, onListen() {} },
        () => new Response("no", { status: 502 }),
      );
      const manager = sessions<Data>({ onError() {} });
      const work = async (session: Session<Data>) => {
        session.renewToken();
        session.put("user", "ann");
        await session.commit();
        const used = await fetch(`http://127.0.0.1:${upstream.addr.port}/`);
        await used.text();
        return end(used);
      };
      const app = new Hono().use(honoSessions(manager)).get("/", async (c) => work(await c.var.session()))
        .onError((_error, c) => c.text("error", 500));
      const handler = mounted === "honoSessions()"
        ? app.fetch
        : withSessions(manager, async (_request, getSession) => work(await getSession()));
      const before = await manager.load();
      before.put("user", "nobody");
      const headers = { Cookie: `__Host-session=${(await before.commit()).token}` };
      const response = await quietly(async () =>
        await handler(new Request("https://example.com/", { headers }))
      );
      const token = /=([^;]+)/.exec(response.headers.getSetCookie().at(-1) ?? "")?.[1];
      assertEquals((await manager.load(token)).get("user"), "ann");
      assertEquals(response.status >= 500, true);
    });
  }
}

Deno.test("A response of fetch() with a status above 599 is passed on, and takes no cookie with it", async () => {
  const upstream = createServer((_request, response) => void response.writeHead(999).end("denied"));
  await new Promise<void>((resolve) => upstream.listen(0, "127.0.0.1", resolve));
  const { port } = upstream.address() as { port: number };
  const manager = sessions<Data>();
  const handler = withSessions(manager, async (request, getSession) => {
    if (!request.url.endsWith("/none")) await getSession();
    if (request.url.endsWith("/write")) (await getSession()).put("user", "ann");
    return await fetch(`http://127.0.0.1:${port}/`);
  });
  const seen: unknown[] = [];
  for (const path of ["none", "read", "write"]) {
    const response = await quietly(() => handler(new Request(`https://example.com/${path}`)));
    await response.text();
    seen.push([path, response.status, response.headers.getSetCookie().length]);
  }
  await new Promise((resolve) => upstream.close(resolve));
  assertEquals(seen, [["none", 999, 0], ["read", 999, 0], ["write", 500, 1]]);
});

// `honoSessions()` on Node behind `@hono/node-server`, with a middleware around it that looks at the response. Version 1
// then makes a new response, of what the handler's one was made from.
import { Hono } from "hono";
import process from "node:process";
import { serve as serveBy1 } from "@hono/node-server-1";
import { serve as serveBy2 } from "@hono/node-server";
import { sessions } from "@x/sessions";
import { honoSessions } from "@x/sessions/middleware/hono";

const LOOKS: Record<string, (response: Response) => unknown> = {
  body: (response) => response.body,
  clone: (response) => response.clone(),
  copy: (response) => new Response(response.body, response),
};

const app = new Hono()
  .use(async (c, next) => {
    await next();
    const seen = LOOKS[c.req.query("look")!]!(c.res);
    if (c.req.query("look") === "copy") c.res = seen as Response;
  })
  .use(honoSessions(sessions<{ visits: number }>({ cookie: { name: "id" } })))
  .get("/:use/:kind", async (c) => {
    const session = await c.var.session();
    if (c.req.param("use") === "write") session.put("visits", 1);
    const headers = { "Content-Type": "text/plain" };
    const kinds: Record<string, () => Response | Promise<Response>> = {
      text: () => c.text("hello"),
      html: () => c.html("hello"),
      plain: () => new Response("hello", { headers }),
      headers: () => new Response("hello", { headers: new Headers(headers) }),
      bare: () => new Response("hello"),
      stream: () => new Response(new Blob(["hello"]).stream(), { headers }),
    };
    return await kinds[c.req.param("kind")]!();
  });

const serve = process.env.ADAPTER === "1" ? serveBy1 : serveBy2;
serve(
  { fetch: app.fetch, hostname: "127.0.0.1", port: 0 },
  ({ port }) => console.log(`listening on ${port}`),
);

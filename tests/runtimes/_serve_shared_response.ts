// One `Response` for all visitors, behind `@hono/node-server`, which can send it many times.
import { serve } from "@hono/node-server";
import { Hono } from "hono";
import { MemoryStore, sessions } from "@x/sessions";
import { withSessions } from "@x/sessions/middleware/fetch";
import { honoSessions } from "@x/sessions/middleware/hono";

type Data = { user: string; note: string };
type Asked = () => Promise<{
  renewToken(): void;
  put(key: keyof Data, value: string): void;
  get(key: keyof Data): string | undefined;
}>;

/** The platform's own, which `serve()` replaces. */
const Native = Response;
const MAKE: Record<string, () => Response> = {
  text: () => new Response("welcome"),
  redirect: () => new Response(null, { status: 303, headers: { Location: "/" } }),
  typed: () => new Response(null, { headers: { "Content-Type": "text/html" } }),
  native: () => new Native(null, { headers: { "Content-Type": "text/html" } }),
};
const made: Record<string, Response> = {};

/** New responses that share one `Headers` object. */
const HEADERS = new Headers({ "Content-Type": "text/plain" });
const FRESH: Record<string, () => Response> = {
  "text-with-shared-headers": () => new Response("welcome", { headers: HEADERS }),
  "stream-with-shared-headers": () => new Response(new Blob(["welcome"]).stream(), { headers: HEADERS }),
};

/** Created at the first request. Before `serve()` the global `Response` is still the platform's. */
function shared(kind: string): Response {
  return FRESH[kind]?.() ?? (made[kind] ??= MAKE[kind]!());
}

let open: () => void;
let gate: Promise<void>;
let held = 0;

function close(): void {
  gate = new Promise((resolve) => open = resolve);
  held = 0;
}
close();

async function handle(request: Request, session: Asked): Promise<Response> {
  const [, , what, kind] = new URL(request.url).pathname.split("/");
  if (what === "login") {
    const current = await session();
    current.renewToken();
    current.put("user", "alice");
    return shared(kind!);
  }
  if (what === "whoami") {
    const current = await session();
    return Response.json([current.get("user") ?? null, current.get("note") ?? null]);
  }
  if (what === "plain") return shared(kind!);
  if (what === "look" || what === "large") {
    const current = await session();
    // More than can be saved: an error takes the place of the response.
    if (what === "large") current.put("note", "x".repeat(40_000));
    return shared(kind!);
  }
  if (what === "read" || what === "write") await session();
  held++;
  await gate;
  if (what === "write") (await session()).put("note", "bob's");
  return shared(kind!);
}

/** The parts of a response that all requests use. */
const BUFFER = new Uint8Array(10);
const PAGE_HEADERS = new Headers();

async function handleParts(request: Request, session: Asked): Promise<Response> {
  const visitor = request.url.at(-1)!;
  (await session()).put("note", visitor);
  PAGE_HEADERS.set("X-Visitor", visitor);
  return new Response(BUFFER.fill(visitor.charCodeAt(0)).subarray(0, 5), { headers: PAGE_HEADERS });
}

class SlowStore extends MemoryStore {
  override async create(...given: Parameters<MemoryStore["create"]>): Promise<boolean> {
    await new Promise((resolve) => setTimeout(resolve, 20));
    return await super.create(...given);
  }
}

const slow = sessions<Data>({ store: new SlowStore(), cookie: { name: "slow" } });
const slowBare = withSessions(slow, (request, session) => handleParts(request, session as Asked));
const manager = sessions<Data>({ cookie: { name: "id" } });
const bare = withSessions(manager, (request, session) => handle(request, session as Asked));
const app = new Hono()
  .get("/open", (c) => {
    open();
    return c.text("");
  })
  .get("/close", (c) => {
    close();
    return c.text("");
  })
  .get("/held", (c) => c.text(`${held}`))
  .all("/parts/fetch/*", (c) => slowBare(c.req.raw))
  .use("/parts/hono/*", honoSessions(slow))
  .all("/parts/hono/*", (c) => handleParts(c.req.raw, c.var.session as Asked))
  .all("/fetch/*", (c) => bare(c.req.raw))
  .use("/hono/*", honoSessions(manager))
  .all("/hono/*", (c) => handle(c.req.raw, c.var.session as Asked));

serve(
  { fetch: app.fetch, hostname: "127.0.0.1", port: 0 },
  ({ port }) => console.log(`listening on ${port}`),
);

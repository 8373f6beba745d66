// Bun: one response without a body for all visitors, whose headers or status text hold the word "ReadableStream".
import { sessions } from "../../mod.ts";
import { withSessions } from "../../middleware/fetch.ts";

const manager = sessions<{ user: string }>({ onError() {} });
const shared: Record<string, Response> = {
  other: new Response(null, { status: 303, headers: { Location: "/docs/other" } }),
  header: new Response(null, { status: 303, headers: { Location: "/docs/ReadableStream" } }),
  statusText: new Response(null, { status: 303, statusText: "ReadableStream", headers: { Location: "/" } }),
  typed: new Response(null, { status: 303, headers: { Location: "/", "Content-Type": "text/html" } }),
};
const handler = withSessions(manager, async (request, getSession) => {
  const [, kind, what] = new URL(request.url).pathname.split("/");
  if (kind === "used") {
    const used = new Response("read", {
      status: 303,
      headers: { Location: "/", "Content-Type": "text/html" },
    });
    await used.text();
    if (what === "ask") await getSession();
    return used;
  }
  const session = await getSession();
  if (what === "whoami") return new Response(session.get("user") ?? "nobody");
  if (what === "login") {
    session.renewToken();
    session.put("user", "victim");
  }
  return shared[kind!]!;
});
// deno-lint-ignore no-explicit-any
const server = (globalThis as any).Bun.serve({
  port: 0,
  hostname: "127.0.0.1",
  fetch: (r: Request) => handler(r),
});
console.log(`listening on ${server.port}`);

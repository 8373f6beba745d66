// Bun: one response without a body for all visitors, also one whose headers or status text hold what Bun shows of a body.
import { sessions } from "../../mod.ts";
import { withSessions } from "../../middleware/fetch.ts";

const manager = sessions<{ user: string }>({ onError() {} });
const shared: Record<string, Response> = {
  other: new Response(null, { status: 303, headers: { Location: "/docs/other" } }),
  header: new Response(null, { status: 303, headers: { Location: "/docs/ReadableStream" } }),
  statusText: new Response(null, { status: 303, statusText: "ReadableStream", headers: { Location: "/" } }),
  last: new Response(null, { status: 303, headers: { Location: "/", "X-Last": "Blob (1 byte)\u007d" } }),
  empty: new Response(""),
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
  if (what === "login" || what === "slow") {
    session.renewToken();
    session.put("user", "victim");
  }
  return shared[kind!]!;
});
// deno-lint-ignore no-explicit-any
const server = (globalThis as any).Bun.serve({
  port: 0,
  hostname: "127.0.0.1",
  async fetch(request: Request) {
    const response = await handler(request);
    // A middleware further out that takes its time.
    const [, , what] = new URL(request.url).pathname.split("/");
    if (what === "wait") await new Promise((resolve) => setTimeout(resolve, 100));
    if (what === "slow") await new Promise((resolve) => setTimeout(resolve, 200));
    return response;
  },
});
console.log(`listening on ${server.port}`);

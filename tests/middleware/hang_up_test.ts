/** Clients that disconnect during a request, over a real port. */
import { Hono } from "hono";
import { withSessions } from "../../middleware/fetch.ts";
import { honoSessions } from "../../middleware/hono.ts";
import { MemoryStore, type Session, type SessionManager, sessions } from "../../mod.ts";
import { assertEquals } from "../assert.ts";

interface Data {
  n: number;
}

type Handle = (request: Request, getSession: () => Promise<Session<Data>>) => Promise<Response>;

const MOUNTS: Record<string, (manager: SessionManager<Data>, handle: Handle) => Deno.ServeHandler> = {
  "withSessions()": (manager, handle) => withSessions(manager, handle),
  "honoSessions()": (manager, handle) => {
    const app = new Hono().use(honoSessions(manager)).get("/", (c) => handle(c.req.raw, c.var.session));
    return (request) => app.fetch(request);
  },
};

/** Sends a request, and disconnects when the server says so. */
async function withClient(
  mount: string,
  manager: SessionManager<Data>,
  token: string,
  handle: (hangUp: () => void, gone: Promise<void>) => Handle,
): Promise<void> {
  const hungUp = Promise.withResolvers<void>();
  const gone = Promise.withResolvers<void>();
  const handled = Promise.withResolvers<void>();
  const served = MOUNTS[mount]!(manager, handle(hungUp.resolve, gone.promise));
  const server = Deno.serve({
    port: 0,
    hostname: "127.0.0.1",
    onListen() {},
    async handler(request, info) {
      request.signal.addEventListener("abort", () => gone.resolve());
      try {
        return await served(request, info);
      } finally {
        handled.resolve();
      }
    },
  });
  const client = await Deno.connect({ hostname: "127.0.0.1", port: server.addr.port });
  const head = `GET / HTTP/1.1\r\nHost: 127.0.0.1\r\nCookie: session=${token}\r\n\r\n`;
  await client.write(new TextEncoder().encode(head));
  await hungUp.promise;
  client.close();
  await handled.promise;
  await server.shutdown();
}

async function signedIn(manager: SessionManager<Data>): Promise<string> {
  const session = await manager.load();
  session.put("n", 1);
  return (await session.commit()).token;
}

for (const mount of Object.keys(MOUNTS)) {
  Deno.test(`${mount} saves what a handler changed although its client has disconnected`, async () => {
    const errors: string[] = [];
    const manager = sessions<Data>({
      store: new MemoryStore(),
      onError: ({ code }) => void errors.push(code),
    });
    const token = await signedIn(manager);
    await withClient(mount, manager, token, (hangUp, gone) => async (_request, getSession) => {
      const session = await getSession();
      hangUp();
      await gone;
      session.update("n", (n = 0) => n + 1);
      return new Response("nobody reads this");
    });
    assertEquals([(await manager.load(token)).get("n"), errors], [2, []]);
  });

  Deno.test(`${mount}: a logout counts although its client has disconnected`, async () => {
    const manager = sessions<Data>({ store: new MemoryStore() });
    const token = await signedIn(manager);
    await withClient(mount, manager, token, (hangUp, gone) => async (_request, getSession) => {
      hangUp();
      await gone;
      await (await getSession()).destroy();
      return new Response("nobody reads this");
    });
    assertEquals((await manager.load(token)).exists("n"), false);
  });

  Deno.test(`${mount}: a stream whose client has disconnected is cancelled, and its session stays saved`, async () => {
    const manager = sessions<Data>({ store: new MemoryStore() });
    const token = await signedIn(manager);
    const cancelled = Promise.withResolvers<void>();
    await withClient(mount, manager, token, (hangUp) => async (_request, getSession) => {
      (await getSession()).put("n", 5);
      const body = new ReadableStream({
        start: (controller) => controller.enqueue(new Uint8Array(1_000)),
        pull: () => {
          hangUp();
          return new Promise(() => {});
        },
        cancel: () => cancelled.resolve(),
      });
      return new Response(body);
    });
    await cancelled.promise;
    assertEquals((await manager.load(token)).get("n"), 5);
  });
}

Deno.test("begin() with the request's signal: a disconnected client saves nothing, and no logout is lost", async () => {
  const errors: string[] = [];
  const manager = sessions<Data>({ store: new MemoryStore(), onError: ({ code }) => void errors.push(code) });
  const request = (token: string, signal: AbortSignal) =>
    new Request("http://example.com/", { headers: { Cookie: `session=${token}` }, signal });

  const writer = await signedIn(manager);
  const first = new AbortController();
  const saves = manager.begin(request(writer, first.signal), { signal: first.signal });
  (await saves.session()).put("n", 2);
  first.abort();
  assertEquals((await saves.finish(new Response())).status, 503);
  assertEquals((await manager.load(writer)).get("n"), 1);

  const leaver = await signedIn(manager);
  const second = new AbortController();
  const leaves = manager.begin(request(leaver, second.signal), { signal: second.signal });
  const session = await leaves.session();
  second.abort();
  await session.destroy();
  assertEquals((await leaves.finish(new Response())).status, 200);
  assertEquals((await manager.load(leaver)).exists("n"), false);

  // Before the first store call.
  const third = new AbortController();
  third.abort();
  const late = manager.begin(request(leaver, third.signal), { signal: third.signal });
  const failed = await late.session().catch((error) => error.reason);
  assertEquals([failed, (await late.finish(new Response("without"))).status], ["aborted", 200]);
  assertEquals(errors, ["ERR_SESSION_STORE", "ERR_SESSION_STORE"]);
});

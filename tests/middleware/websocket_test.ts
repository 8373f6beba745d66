/** Sessions in a WebSocket upgrade, on a real server. The test for Workers is in tests/examples. */

import { Hono } from "hono";
import { cors } from "hono/cors";
import { upgradeWebSocket } from "hono/deno";
import { withSessions } from "../../middleware/fetch.ts";
import { honoSessions } from "../../middleware/hono.ts";
import { type Session, SessionClosedError, type SessionManager, sessions } from "../../mod.ts";
import { assertEquals, assertInstanceOf, assertNotEquals } from "../assert.ts";
import { storeWithoutServer } from "./_stores.ts";
import { type Handshake, handshake } from "./_handshake.ts";

interface Data {
  userId: number;
  note: string;
  messages: number;
}

/** What a handler does with the session at the upgrade, by path. */
const ACTIONS: Record<string, (session: Session<Data>) => unknown> = {
  "/read": (session) => session.get("userId"),
  "/modify": (session) => session.put("note", "at the upgrade"),
  "/create": (session) => session.put("userId", 7),
  "/renew": (session) => session.renewToken(),
  "/destroy": (session) => session.destroy(),
  "/too-large": (session) => session.put("note", "x".repeat(2_000)),
};

const errors: string[] = [];
const manager = sessions<Data>({
  maxBytes: 1_000,
  onError: (error, { phase }) => {
    errors.push(`${error.name} ${phase}`);
    return new Response("page", { status: 500 });
  },
});

/** Resolves when the server's side of the socket has ended in any way. */
let ended: PromiseWithResolvers<void>;

const withFetch = withSessions(manager, async (request, getSession) => {
  const action = ACTIONS[new URL(request.url).pathname];
  if (action === undefined) return new Response("still there");
  const session = await getSession();
  await action(session);
  const { socket, response } = Deno.upgradeWebSocket(request);
  socket.onopen = () => socket.send(`user ${session.get("userId")}`);
  socket.onmessage = async () => socket.send(await onMessage(session));
  socket.onclose = () => ended.resolve();
  return response;
});

const withHono = new Hono()
  .use(cors({ origin: "https://app.example" }))
  .use(honoSessions(manager))
  .get("/still-there", (c) => c.text("still there"))
  .get(
    "*",
    async (c, next) => {
      const action = ACTIONS[c.req.path]!;
      await action(await c.var.session());
      await next();
    },
    upgradeWebSocket(async (c) => {
      const session: Session<Data> = await c.var.session();
      return {
        onOpen: (_event, socket) => socket.send(`user ${session.get("userId")}`),
        onMessage: async (_event, socket) => socket.send(await onMessage(session)),
        onClose: () => ended.resolve(),
      };
    }),
  );

/**
 * A message handler that counts in the session: through the request's session, which is closed, and through one
 * loaded again.
 */
async function onMessage(session: Session<Data>): Promise<string> {
  try {
    session.put("messages", 99);
    return "nothing was thrown";
  } catch (error) {
    assertInstanceOf(error, SessionClosedError);
  }
  const again = await manager.load(session.token);
  again.update("messages", (messages = 0) => messages + 1);
  await again.commit();
  return `message ${again.get("messages")}`;
}

async function signedIn(owner: SessionManager<Data>): Promise<string> {
  const session = await owner.load();
  session.put("userId", 42);
  return (await session.commit()).token;
}

function tokenIn({ headers }: Handshake): string | undefined {
  return /^session=([^;]*)/.exec(headers.get("Set-Cookie") ?? "")?.[1];
}

const handlers = {
  "withSessions()": (request: Request) => withFetch(request),
  "honoSessions()": (request: Request) => withHono.fetch(request),
};
for (const [name, handler] of Object.entries(handlers)) {
  Deno.test(`${name} at a WebSocket upgrade under Deno.serve`, async (t) => {
    await using server = Deno.serve({ hostname: "127.0.0.1", port: 0, onListen() {} }, handler);
    const { port } = server.addr;

    async function upgrade(path: string, token?: string): Promise<Handshake> {
      ended = Promise.withResolvers();
      return await handshake(port, path, token ? { Cookie: `session=${token}` } : {});
    }

    async function end(connection: Handshake): Promise<void> {
      await connection.close();
      connection[Symbol.dispose]();
      await ended.promise;
    }

    await t.step("reads the session, and sends no cookie", async () => {
      const connection = await upgrade("/read", await signedIn(manager));
      assertEquals([connection.status, tokenIn(connection)], [101, undefined]);
      assertEquals(await connection.message(), "user 42");
      await end(connection);
    });
    await t.step("saves changes", async () => {
      const token = await signedIn(manager);
      const connection = await upgrade("/modify", token);
      assertEquals([connection.status, tokenIn(connection)], [101, undefined]);
      assertEquals((await manager.load(token)).get("note"), "at the upgrade");
      await end(connection);
    });
    await t.step("sends the cookie of a new session with the 101", async () => {
      const connection = await upgrade("/create");
      assertEquals(connection.status, 101);
      assertEquals((await manager.load(tokenIn(connection))).get("userId"), 7);
      await end(connection);
    });
    await t.step("sends the cookie of a renewed session with the 101", async () => {
      const token = await signedIn(manager);
      const connection = await upgrade("/renew", token);
      assertEquals(connection.status, 101);
      assertNotEquals(tokenIn(connection), token);
      assertEquals((await manager.load(tokenIn(connection))).get("userId"), 42);
      assertEquals((await manager.load(token)).token, undefined);
      await end(connection);
    });
    await t.step("deletes the cookie of an ended session with the 101", async () => {
      const connection = await upgrade("/destroy", await signedIn(manager));
      assertEquals([connection.status, tokenIn(connection)], [101, ""]);
      await end(connection);
    });
    await t.step("keeps the session readable in messages, and one loaded again can be written", async () => {
      const token = await signedIn(manager);
      const connection = await upgrade("/read", token);
      assertEquals(await connection.message(), "user 42");
      for (const text of ["message 1", "message 2"]) {
        await connection.send("hello");
        assertEquals(await connection.message(), text);
      }
      assertEquals((await manager.load(token)).get("messages"), 2);
      await end(connection);
    });
    await t.step("refuses the upgrade if the commit fails, and the server lives on", async () => {
      const token = await signedIn(manager);
      const connection = await upgrade("/too-large", token);
      // No client may continue after this response: RFC 6455, 4.1.
      assertEquals(connection.headers.get("Upgrade"), null);
      assertEquals(tokenIn(connection), undefined);
      assertEquals(errors.splice(0), ["SessionTooLargeError commit"]);
      await end(connection);
      assertEquals(await (await fetch(`http://127.0.0.1:${port}/still-there`)).text(), "still there");
    });
    await t.step("fails a real client's connection if the commit fails", async () => {
      ended = Promise.withResolvers();
      const client = new WebSocket(`ws://127.0.0.1:${port}/too-large`);
      const opened = await new Promise((resolve) => {
        client.onopen = () => resolve(true);
        client.onerror = () => resolve(false);
      });
      assertEquals(opened, false);
      assertEquals(errors.splice(0), ["SessionTooLargeError commit"]);
      await ended.promise;
    });
  });
}

Deno.test("An upgrade whose session cannot be loaded is answered 503", async () => {
  const down = sessions<Data>({ store: storeWithoutServer() });
  const handler = withSessions(down, async (request, getSession) => {
    await getSession();
    return Deno.upgradeWebSocket(request).response;
  });
  await using server = Deno.serve(
    { hostname: "127.0.0.1", port: 0, onListen() {} },
    (request) => handler(request),
  );
  using connection = await handshake(server.addr.port, "/", { Cookie: `session=${"A".repeat(43)}` });
  assertEquals(connection.status, 503);
});

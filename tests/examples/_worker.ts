// The Worker of workers_test.ts: manager and handler at module scope, a WebSocket, and handlers that throw.
import { type Session, sessions } from "@x/sessions";
import { withSessions } from "@x/sessions/middleware/fetch";

interface Data {
  userId: number;
  note: string;
}

/** What of the runtime's types is used here; they cannot be loaded beside Deno's. */
interface ServerSocket {
  accept(): void;
  send(text: string): void;
  addEventListener(type: "message", listener: () => void): void;
  addEventListener(type: "close", listener: (event: { code: number }) => void): void;
}
declare const WebSocketPair: { new (): [client: object, server: ServerSocket] };

const ACTIONS: Record<string, (session: Session<Data>) => unknown> = {
  read: () => {},
  create: (session) => session.put("userId", 7),
  renew: (session) => session.renewToken(),
  commit: (session) => {
    session.renewToken();
    return session.commit();
  },
  destroy: (session) => session.destroy(),
  "too-large": (session) => session.put("note", "x".repeat(2_000)),
};

const manager = sessions<Data>({ maxBytes: 1_000 });

export default {
  fetch: withSessions(manager, async (request, getSession) => {
    const session = await getSession();
    const [, what, how] = new URL(request.url).pathname.split("/");
    await ACTIONS[how ?? "read"]?.(session);
    if (what === "throw") throw new RangeError(`on purpose after ${how}`);
    if (what !== "socket") return new Response(String(session.get("userId")));

    const [client, server] = new WebSocketPair();
    server.accept();
    server.addEventListener("close", ({ code }) => console.log("closed with", code));
    server.addEventListener("message", async () => {
      const again = await manager.load(session.token);
      again.update("userId", (userId = 0) => userId + 1);
      await again.commit();
      server.send(`user ${again.get("userId")}`);
    });
    return new Response(null, { status: 101, webSocket: client } as ResponseInit);
  }),
};

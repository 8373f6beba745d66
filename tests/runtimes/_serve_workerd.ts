// The matrix's server on Workers.
import { createApp } from "./_app.ts";
import type { Server } from "./_platform.ts";

interface Env {
  UPSTREAM: string;
}

/** The part of the runtime's types that is used here. They cannot be loaded beside Deno's. */
interface ServerSocket {
  accept(): void;
  send(data: string): void;
  addEventListener(type: "message", listener: (event: { data: string }) => void): void;
}
declare const WebSocketPair: { new (): [client: object, server: ServerSocket] };

let app: Server | undefined;

export default {
  fetch(request: Request, env: Env, context: unknown): Response | Promise<Response> {
    // `env` arrives with the first request.
    app ??= createApp({ upstream: env.UPSTREAM, upgrade });
    return app(request, env, context);
  },
};

function upgrade(): Response {
  const [client, server] = new WebSocketPair();
  server.accept();
  server.addEventListener("message", ({ data }) => server.send(data));
  return new Response(null, { status: 101, webSocket: client } as ResponseInit);
}

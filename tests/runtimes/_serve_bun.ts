// The matrix's server on Bun.
import process from "node:process";
import { createApp } from "./_app.ts";
import { secondCopy } from "./_second_copy.ts";

/** The part of Bun's types that is used here. They cannot be loaded beside Deno's. */
interface BunServer {
  readonly port: number;
  upgrade(request: Request): boolean;
}
interface BunSocket {
  send(data: string): void;
}
declare const Bun: {
  file(path: string): Blob;
  serve(options: {
    hostname: string;
    port: number;
    development: boolean;
    fetch(request: Request, server: BunServer): Response | Promise<Response>;
    websocket: { message(socket: BunSocket, data: string): void };
  }): BunServer;
};

const app = createApp({
  upstream: process.env.UPSTREAM!,
  file: () => Bun.file(process.env.FILE!),
  // Bun sends the 101 itself, and ignores the returned response.
  upgrade(request, server) {
    const upgraded = (server as BunServer).upgrade(request);
    return new Response(null, { status: upgraded ? 200 : 400 });
  },
  secondCopy,
});

const server = Bun.serve({
  hostname: "127.0.0.1",
  port: 0,
  development: false,
  fetch: (request, server) => app(request, server),
  websocket: { message: (socket, data) => socket.send(data) },
});
console.log(`listening on ${server.port}`);

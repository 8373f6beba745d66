// The matrix's server on Node behind `@hono/node-server` 2, which replaces the global `Request` and `Response`.
import process from "node:process";
import { Hono } from "hono";
import { serve, upgradeWebSocket } from "@hono/node-server";
import { WebSocketServer } from "ws";
import { createApp } from "./_app.ts";
import { addTrailers, file } from "./_node.ts";
import type { Server } from "./_platform.ts";
import { secondCopy } from "./_second_copy.ts";

/** The upgrade is a Hono handler. Inside a plain handler it serves every mount. */
const sockets = new Hono().get(
  "*",
  upgradeWebSocket(() => ({ onMessage: ({ data }, socket) => socket.send(data as string) })),
);

const app: Server = createApp({
  upstream: process.env.UPSTREAM!,
  file,
  upgrade: (request, env) => sockets.fetch(request, env as object),
  addTrailers,
  secondCopy,
});

serve({
  fetch: (request, env) => app(request, env),
  hostname: "127.0.0.1",
  port: 0,
  websocket: { server: new WebSocketServer({ noServer: true }) },
}, ({ port }) => console.log(`listening on ${port}`));

// The matrix's server on Node behind `@hono/node-server`, which replaces the global `Request` and `Response`.
import { openAsBlob } from "node:fs";
import process from "node:process";
import { Hono } from "hono";
import { type HttpBindings, serve, upgradeWebSocket } from "@hono/node-server";
import { WebSocketServer } from "ws";
import { createApp } from "./_app.ts";
import { secondCopy } from "./_second_copy.ts";

/** The upgrade is a handler of Hono's; one within a plain handler serves every mount alike. */
const sockets = new Hono().get(
  "*",
  upgradeWebSocket(() => ({ onMessage: ({ data }, socket) => socket.send(data as string) })),
);

const app = createApp({
  upstream: process.env.UPSTREAM!,
  file: async () => await openAsBlob(process.env.FILE!, { type: "image/svg+xml" }) as Blob,
  upgrade: (request, env) => sockets.fetch(request, env as object),
  addTrailers: (env, trailers) => (env as HttpBindings).outgoing.addTrailers(trailers),
  secondCopy,
});

serve({
  fetch: app as (request: Request, env: unknown) => Response | Promise<Response>,
  hostname: "127.0.0.1",
  port: 0,
  websocket: { server: new WebSocketServer({ noServer: true }) },
}, ({ port }) => console.log(`listening on ${port}`));

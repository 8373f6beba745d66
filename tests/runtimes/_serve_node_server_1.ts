// The matrix's server on Node behind `@hono/node-server` 1. Its `Response`, made from a `fetch()` response, has
// immutable headers.
import process from "node:process";
import { serve } from "@hono/node-server-1";
import { createApp } from "./_app.ts";
import { addTrailers, file } from "./_node.ts";
import type { Server } from "./_platform.ts";
import { secondCopy } from "./_second_copy.ts";

const app: Server = createApp({ upstream: process.env.UPSTREAM!, file, addTrailers, secondCopy });

serve(
  { fetch: (request, env) => app(request, env), hostname: "127.0.0.1", port: 0 },
  ({ port }) => console.log(`listening on ${port}`),
);

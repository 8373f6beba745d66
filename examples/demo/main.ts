/**
 * Starts the demo: `deno task demo`, then http://localhost:8000. `PORT` sets the port, and `DEMO_DB` the file of the
 * sessions.
 * @module
 */

import { createClient } from "@libsql/client";
import { sessions } from "@x/sessions";
import { LibSQLStore } from "@x/sessions/stores/libsql";
import { type Data, demoApp } from "./app.ts";
import { EventLog } from "./log.ts";
import { countedClient, tracedStore } from "./trace.ts";

const file = Deno.env.get("DEMO_DB") || "demo.db";
const port = Number(Deno.env.get("PORT") || 8000);
if (!Number.isInteger(port) || port < 1 || port > 65_535) {
  exit(`PORT must be a number from 1 to 65535, and is ${Deno.env.get("PORT")}`);
}

const client = createClient({ url: `file:${file}` });
// A timer suits a long-running server. A lazy clean-up would count as the cost of a page.
const store = new LibSQLStore(countedClient(client), { cleanup: "timer" });
const log = new EventLog();

const manager = sessions<Data>({
  store: tracedStore(store),
  lifetime: "24h",
  idleTimeout: "20m",
  onError: (error, { phase }) => console.error(`Failed to ${phase}:`, error),
  onEvent: (event) => log.add("account", event),
});

await store.createTable();
const server = listen();
await server.finished;
store.stopCleanup();
client.close();

function listen(): Deno.HttpServer {
  const handler = demoApp(manager, log).fetch;
  try {
    // Signing in takes no password, so only this machine may reach the server.
    const server = Deno.serve({ hostname: "127.0.0.1", port, onListen: announce }, handler);
    const signals = Deno.build.os === "windows" ? ["SIGINT"] as const : ["SIGINT", "SIGTERM"] as const;
    for (const signal of signals) {
      Deno.addSignalListener(signal, () => {
        log.close();
        void server.shutdown();
      });
    }
    return server;
  } catch (error) {
    if (!(error instanceof Deno.errors.AddrInUse)) throw error;
    client.close();
    exit(`Port ${port} is taken. Choose another one: PORT=${port + 1} npx -y deno@2 task demo`);
  }
}

function announce(): void {
  console.log(`The demo is on http://localhost:${port}, its sessions are in ${file}.

In a shell:
  curl -s -c jar.txt -b jar.txt http://localhost:${port}/put
  curl -s -c jar.txt -b jar.txt http://localhost:${port}/get

Ctrl+C stops it; the sessions are still there at the next start.`);
}

function exit(reason: string): never {
  console.error(reason);
  Deno.exit(1);
}

/**
 * The runtimes. Each is a column of the table, with a function that starts its server.
 * @module
 */

import { BUN_INSTALLER, startBun } from "../services/bun.ts";
import { type NodeVersion, startNode } from "../services/node.ts";
import { bundleFor, installPacked, type PackedApp } from "../services/packed.ts";
import { oncePerRun } from "../services/_run.ts";
import { type ScriptServer, startScript } from "../services/_script.ts";
import { startWorker } from "../services/workerd.ts";
import type { RunningServer, Runtime } from "./_matrix.ts";
import { SECOND_COPY } from "./_second_copy.ts";

const here = (name: string) => new URL(name, import.meta.url);
const ROOT = decodeURIComponent(here("../../").pathname);

/** The packed package with the imports of the servers on Node, installed by npm once for all files of a test run. */
export async function installForNode(): Promise<PackedApp> {
  const dependencies = ["hono", "@hono/node-server", "@hono/node-server-1", "ws"];
  const dir = await oncePerRun("node-app", async (within) => {
    return (await installPacked({ dependencies, secondCopy: SECOND_COPY, within })).dir;
  });
  return { dir, [Symbol.asyncDispose]: () => Promise.resolve() };
}

/** The same on Bun, installed by Bun. */
export function installForBun(): Promise<PackedApp> {
  return installPacked({ dependencies: ["hono"], secondCopy: SECOND_COPY, installer: BUN_INSTALLER });
}

/** Deno, which runs the sources. */
export const DENO: Runtime = {
  name: "Deno",
  has: ["file", "websocket", "headers again"],
  async start({ upstream, file }) {
    const args = ["run", "--quiet", "--allow-all", "--no-check", "--config", `${ROOT}deno.json`];
    args.push(decodeURIComponent(here("_serve_deno.ts").pathname));
    return running(await startScript("Deno", Deno.execPath(), args, { env: environment(upstream, file) }));
  },
};

/** Workers, which run a bundle of the sources. */
export const WORKERD: Runtime = {
  name: "workerd",
  has: ["websocket", "headers again"],
  async start({ upstream }) {
    const worker = await startWorker({ entry: here("_serve_workerd.ts"), bindings: { UPSTREAM: upstream } });
    return {
      port: Number(new URL(worker.url).port),
      output: () => worker.logs(),
      exitCode: () => undefined,
      [Symbol.asyncDispose]: () => worker.stop(),
    };
  },
};

/** An adapter that lets Node's `http` serve a `fetch` handler: its script, and its abilities. */
const ADAPTERS = {
  "node:http": { script: "_serve_node_http.ts", has: ["file", "second copy", "headers again"] },
  "@hono/node-server 1": { script: "_serve_node_server_1.ts", has: ["file", "second copy", "headers again"] },
  "@hono/node-server 2": {
    script: "_serve_node_server_2.ts",
    has: ["file", "websocket", "second copy", "headers again"],
  },
} as const;

/** Node, which runs the packed package. */
export function node(
  version: NodeVersion,
  adapter: keyof typeof ADAPTERS,
  app: () => Promise<PackedApp>,
): Runtime {
  const { script, has } = ADAPTERS[adapter];
  return {
    name: `Node ${version}, ${adapter}`,
    has,
    async start({ upstream, file }) {
      const { dir, entry } = await built(app, script);
      return running(await startNode(version, entry, { cwd: dir, env: environment(upstream, file) }));
    },
  };
}

/** Bun, which runs the packed package. */
export function bun(app: () => Promise<PackedApp>): Runtime {
  return {
    name: "Bun",
    has: ["file", "websocket", "second copy"],
    async start({ upstream, file }) {
      const { dir, entry } = await built(app, "_serve_bun.ts");
      return running(await startBun(entry, { cwd: dir, env: environment(upstream, file) }));
    },
  };
}

/** The columns on Node, in the order of the table. */
export function nodeRuntimes(app: () => Promise<PackedApp>): Runtime[] {
  return [
    node(20, "node:http", app),
    node(20, "@hono/node-server 1", app),
    node(20, "@hono/node-server 2", app),
    node(26, "node:http", app),
    node(26, "@hono/node-server 2", app),
  ];
}

/** Every column, in the order of the table. */
export function allRuntimes(forNode: () => Promise<PackedApp>, forBun: () => Promise<PackedApp>): Runtime[] {
  return [DENO, ...nodeRuntimes(forNode), bun(forBun), WORKERD];
}

/** Calls a function once, when its result is first needed. */
export function once<T>(make: () => T): () => T {
  let made: { value: T } | undefined;
  return () => (made ??= { value: make() }).value;
}

const bundles = new Map<string, Promise<string>>();

/** Bundles a script once, for whichever version of a runtime. */
async function built(app: () => Promise<PackedApp>, script: string): Promise<{ dir: string; entry: string }> {
  const installed = await app();
  const bundle = bundles.get(script) ?? bundleFor(installed, here(script));
  bundles.set(script, bundle);
  return { dir: installed.dir, entry: await bundle };
}

function environment(upstream: string, file: string): Record<string, string> {
  return { UPSTREAM: upstream, FILE: file, NO_COLOR: "1" };
}

function running(server: ScriptServer): RunningServer {
  return {
    port: server.port,
    output: () => server.process.output(),
    exitCode: () => server.process.exitCode(),
    [Symbol.asyncDispose]: () => server[Symbol.asyncDispose](),
  };
}

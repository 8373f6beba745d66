/**
 * The runtimes: the columns of the table, each with what starts its server.
 * @module
 */

import { BUN_INSTALLER, startBun } from "../services/bun.ts";
import { type NodeVersion, startNode } from "../services/node.ts";
import { bundleFor, installPacked, type PackedApp } from "../services/packed.ts";
import { type ScriptServer, startScript } from "../services/_script.ts";
import { startWorker } from "../services/workerd.ts";
import type { RunningServer, Runtime } from "./_matrix.ts";
import { SECOND_COPY } from "./_second_copy.ts";

const here = (name: string) => new URL(name, import.meta.url);
const ROOT = decodeURIComponent(here("../../").pathname);

/** The packed package with what the servers on Node import, installed by npm. */
export function installForNode(): Promise<PackedApp> {
  return installPacked({ dependencies: ["hono", "@hono/node-server", "ws"], secondCopy: SECOND_COPY });
}

/** The same on Bun, installed by Bun. */
export function installForBun(): Promise<PackedApp> {
  return installPacked({ dependencies: ["hono"], secondCopy: SECOND_COPY, installer: BUN_INSTALLER });
}

/** Deno, which runs the sources. */
export const DENO: Runtime = {
  name: "Deno",
  has: ["file", "websocket"],
  async start({ upstream, file }) {
    const args = ["run", "--quiet", "--allow-all", "--no-check", "--config", `${ROOT}deno.json`];
    args.push(decodeURIComponent(here("_serve_deno.ts").pathname));
    return running(await startScript("Deno", Deno.execPath(), args, { env: environment(upstream, file) }));
  },
};

/** Workers, which run a bundle of the sources. */
export const WORKERD: Runtime = {
  name: "workerd",
  has: ["websocket"],
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

/** How Node's `http` is made to serve a handler of `fetch`. */
export type NodeAdapter = "node:http" | "@hono/node-server";

/** Node, which runs the packed package. */
export function node(version: NodeVersion, adapter: NodeAdapter, app: () => Promise<PackedApp>): Runtime {
  const script = adapter === "node:http" ? "_serve_node_http.ts" : "_serve_node_server.ts";
  return {
    name: `Node ${version}, \`${adapter}\``,
    has: adapter === "node:http" ? ["file", "second copy"] : ["file", "websocket", "second copy"],
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

/** Every column, in the order of the table. */
export function allRuntimes(forNode: () => Promise<PackedApp>, forBun: () => Promise<PackedApp>): Runtime[] {
  return [
    DENO,
    node(20, "node:http", forNode),
    node(20, "@hono/node-server", forNode),
    node(26, "node:http", forNode),
    node(26, "@hono/node-server", forNode),
    bun(forBun),
    WORKERD,
  ];
}

async function built(app: () => Promise<PackedApp>, script: string): Promise<{ dir: string; entry: string }> {
  const installed = await app();
  return { dir: installed.dir, entry: await bundleFor(installed, here(script)) };
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

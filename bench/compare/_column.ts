/**
 * A column: all results of one app.
 * @module
 */

import type { About } from "./_app.ts";
import { type Cost, KINDS } from "./costs.ts";
import { type Exchange, Peer, type Program } from "./_peer.ts";
import { type Cell, SITUATIONS } from "./situations.ts";

/** The results of one app. */
export interface Column {
  about: About;
  /** The path of its app in the repository. */
  app: string;
  /** By the id of the situation. */
  cells: Record<string, Cell>;
  /** By the id of the kind of request. */
  costs: Record<string, Cost>;
}

const ROOT = new URL("../../", import.meta.url);

/** This library's app. */
export const OURS: Program = {
  module: new URL("bench/compare/ours.ts", ROOT),
  config: new URL("deno.json", ROOT),
};

/** The other libraries' apps, in the order of their columns. */
export const PEERS: readonly Program[] = [
  ["better_auth"],
  ["express_session"],
  ["fastify_session"],
  ["hono_sessions", "sqlite"],
  ["hono_sessions", "memory"],
  ["hono_session"],
  ["iron_session"],
  ["react_router"],
  ["remix_session"],
].map(([name, ...args]) => ({
  module: new URL(`bench/peers/compare/${name}.ts`, ROOT),
  config: new URL("bench/peers/deno.json", ROOT),
  args,
}));

/** Starts an app, runs every situation, and ends it. */
export async function column(program: Program): Promise<{ column: Column; exchanges: Exchange[] }> {
  const peer = await Peer.start(program);
  try {
    const cells: Column["cells"] = {};
    for (const { id, run } of SITUATIONS) {
      peer.situation = id;
      cells[id] = await run(peer);
      if (peer.ended) await peer.restart();
    }
    const costs: Column["costs"] = {};
    for (const { id, run } of KINDS) {
      peer.situation = id;
      costs[id] = await run(peer);
    }
    const { name, packages, store, pages, notes } = peer.about;
    const app = program.module.href.slice(ROOT.href.length);
    return {
      column: { about: { name, packages, store, pages, notes }, app, cells, costs },
      exchanges: peer.exchanges,
    };
  } finally {
    await peer.stop();
  }
}

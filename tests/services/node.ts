/**
 * Real Node for tests: the oldest supported version and the newest one. The binaries come from npm.
 * @module
 */

import node20 from "node-20/package.json" with { type: "json" };
import node26 from "node-26/package.json" with { type: "json" };
import { type ScriptServer, startScript } from "./_script.ts";

// The static imports above make Deno download the packages.
const BINARIES = {
  20: { version: node20.version, url: new URL("bin/node", import.meta.resolve("node-20/package.json")) },
  26: { version: node26.version, url: new URL("bin/node", import.meta.resolve("node-26/package.json")) },
};

/** The available versions. */
export type NodeVersion = keyof typeof BINARIES;

/** The full version, such as `"20.19.0"`. */
export function nodeVersion(version: NodeVersion): string {
  return BINARIES[version].version.replace("v", "");
}

/** The program of a version, for scripts that are no servers. */
export function nodeBinary(version: NodeVersion): string {
  return decodeURIComponent(BINARIES[version].url.pathname);
}

/**
 * Runs a JavaScript file that prints `listening on PORT`.
 *
 * @throws {Error} It cannot be started.
 */
export function startNode(
  version: NodeVersion,
  file: string,
  options: { cwd?: string; env?: Record<string, string> } = {},
): Promise<ScriptServer> {
  return startScript(`Node ${BINARIES[version].version}`, nodeBinary(version), [file], options);
}

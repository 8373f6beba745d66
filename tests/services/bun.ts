/**
 * Real Bun for tests. Its binary comes from npm.
 * @module
 */

import bun from "@oven/bun-linux-x64/package.json" with { type: "json" };
import { type ScriptServer, startScript } from "./_script.ts";

/** Where the binary is. The static import above makes Deno download it. */
const BINARY = decodeURIComponent(
  new URL("bin/bun", import.meta.resolve("@oven/bun-linux-x64/package.json")).pathname,
);

/** The program, for what is no server that tells its port. */
export function bunBinary(): string {
  return BINARY;
}

/** What `installPacked` runs to install by `bun install`. */
export const BUN_INSTALLER = { name: "bun install", command: BINARY, args: ["install", "--ignore-scripts"] };

/**
 * Runs a file that writes `listening on PORT`.
 *
 * @throws {Error} It cannot be started.
 */
export function startBun(
  file: string,
  options: { cwd?: string; env?: Record<string, string> } = {},
): Promise<ScriptServer> {
  return startScript(`Bun ${bun.version}`, BINARY, ["run", file], options);
}

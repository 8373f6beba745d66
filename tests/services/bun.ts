/**
 * Real Bun for tests. Its binary comes from npm.
 * @module
 */

import bun from "@oven/bun-linux-x64/package.json" with { type: "json" };
import { type ScriptServer, startScript } from "./_script.ts";

/** The path of the binary. The static import above makes Deno download it. */
const BINARY = decodeURIComponent(
  new URL("bin/bun", import.meta.resolve("@oven/bun-linux-x64/package.json")).pathname,
);

/** The program, for scripts that are no servers. */
export function bunBinary(): string {
  return BINARY;
}

/** The installer for `installPacked` that runs `bun install`. */
export const BUN_INSTALLER = { name: "bun install", command: BINARY, args: ["install", "--ignore-scripts"] };

/**
 * Runs a file that prints `listening on PORT`.
 *
 * @throws {Error} It cannot be started.
 */
export function startBun(
  file: string,
  options: { cwd?: string; env?: Record<string, string> } = {},
): Promise<ScriptServer> {
  return startScript(`Bun ${bun.version}`, BINARY, ["run", file], options);
}

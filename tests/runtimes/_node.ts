/**
 * Common parts of the servers on Node.
 * @module
 */

import { openAsBlob } from "node:fs";
import type { ServerResponse } from "node:http";
import process from "node:process";

/** A file on Node. */
export async function file(): Promise<Blob> {
  return await openAsBlob(process.env.FILE!, { type: "image/svg+xml" }) as Blob;
}

/** Node's own response, in a platform's `env`, has trailers. */
export function addTrailers(env: unknown, trailers: Record<string, string>): void {
  (env as { outgoing: ServerResponse }).outgoing.addTrailers(trailers);
}

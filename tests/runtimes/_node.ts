/**
 * What the servers on Node have in common.
 * @module
 */

import { openAsBlob } from "node:fs";
import type { ServerResponse } from "node:http";
import process from "node:process";

/** What Node calls a file. */
export async function file(): Promise<Blob> {
  return await openAsBlob(process.env.FILE!, { type: "image/svg+xml" }) as Blob;
}

/** Node's own response has trailers; a platform's `env` holds it. */
export function addTrailers(env: unknown, trailers: Record<string, string>): void {
  (env as { outgoing: ServerResponse }).outgoing.addTrailers(trailers);
}

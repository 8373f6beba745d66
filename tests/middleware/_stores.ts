/**
 * Stores whose database is down: a real client, and an address where nobody listens.
 * @module
 */

import { createClient } from "@libsql/client/web";
import { fetchWithTimeout, LibSQLStore } from "../../stores/libsql.ts";
import { CLOSED_PORT } from "../services/_port.ts";

/** No test waits for a timeout here: a closed port refuses at once. */
const PATIENCE = 20_000;

/** A store on the libSQL server at an address. */
export function libSQLStoreAt(url: string, table?: string): LibSQLStore {
  const client = createClient({ url, concurrency: Infinity, fetch: fetchWithTimeout(PATIENCE) });
  return new LibSQLStore(client, { cleanup: "off", timeout: PATIENCE, ...(table && { table }) });
}

/** A store whose calls all fail. */
export function storeWithoutServer(): LibSQLStore {
  return libSQLStoreAt(`http://127.0.0.1:${CLOSED_PORT}`);
}

/**
 * Stores on a database that several processes and threads of a benchmark share.
 * @module
 */

import { type Client as LibSQLClient, createClient as createNativeClient } from "@libsql/client";
import { createClient } from "@libsql/client/web";
import { Client } from "@planetscale/database";
import { LibSQLStore } from "../stores/libsql.ts";
import { PlanetScaleStore } from "../stores/planetscale.ts";
import type { FullStore } from "../tests/backends.ts";
import { connect, type MySQLAddress } from "../tests/services/_mysql_connection.ts";

/** The address of a database, which can be sent to a thread. */
export type Place =
  & {
    url: string;
    table: string;
    /** The added round trip of a store's requests, in milliseconds. */
    way?: number;
  }
  & ({ kind: "libsql" } | { kind: "mysql"; direct: MySQLAddress });

/** No call times out before this, so that a stall is measured in full. */
const PATIENCE = "20m";

function openLibSQL(url: string, way = 0): LibSQLClient {
  return url.startsWith("file:")
    ? createNativeClient({ url }) as LibSQLClient
    : createClient({ url, concurrency: Infinity, fetch: farFetch(way) });
}

/** A `fetch` whose server is this many milliseconds away. */
function farFetch(way: number): (...request: Parameters<typeof fetch>) => Promise<Response> {
  return async (...request) => {
    if (way > 0) await new Promise((resolve) => setTimeout(resolve, way));
    return await fetch(...request);
  };
}

/** A new store, like one in another instance of the application. */
export function openStore(place: Place): FullStore {
  const { url, table, way = 0 } = place;
  const options = { table, cleanup: "off", timeout: PATIENCE } as const;
  return place.kind === "libsql"
    ? new LibSQLStore(openLibSQL(url, way), options)
    : new PlanetScaleStore(new Client({ url, fetch: farFetch(way) }), options);
}

/** Runs SQL on the database itself. */
export async function runSQL(place: Place, sql: string): Promise<Record<string, unknown>[]> {
  if (place.kind === "libsql") {
    const client = openLibSQL(place.url);
    try {
      const { rows } = await client.execute(sql);
      return rows.map((row) => ({ ...row }));
    } finally {
      client.close();
    }
  }
  const connection = await connect(place.direct);
  try {
    return await connection.rows(sql);
  } finally {
    await connection.close();
  }
}

/** SCS's own deletion statements. */
export function deleteOfSCS({ kind, table }: Place): string {
  return kind === "libsql"
    ? `DELETE FROM ${table} WHERE expiry < julianday('now')`
    : `DELETE FROM ${table} WHERE expiry < UTC_TIMESTAMP(6)`;
}

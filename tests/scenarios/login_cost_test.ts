/**
 * The cost of a login on each store, the mark included, as the databases count it. Checks the table in
 * `docs/guarantees.md`.
 * @module
 */

import { Client } from "@planetscale/database";
import { createClient } from "@libsql/client/web";
import { sessions, type SessionStore } from "../../mod.ts";
import { D1Store } from "../../stores/d1.ts";
import { LibSQLStore } from "../../stores/libsql.ts";
import { MemoryStore } from "../../stores/memory.ts";
import { type PlanetScaleClient, PlanetScaleStore } from "../../stores/planetscale.ts";
import { ShardedPlanetScaleStore } from "../../stores/planetscale_sharded.ts";
import { assertEquals } from "../assert.ts";
import { freshTable, sharedD1, sharedLibSQL, sharedMySQL } from "../backends.ts";
import { countingStore } from "../counting_store.ts";
import { startGateway } from "../services/planetscale_gateway.ts";

interface Cost {
  calls: number;
  requests: number;
  rows: number;
}

/** The cost of a login with the token of an anonymous session. */
async function login(store: SessionStore, counted: () => { requests: number; rows: number }): Promise<Cost> {
  const { store: counting, count, reset } = countingStore(store);
  const manager = sessions<{ n: number; user: string }>({ store: counting });
  const visit = await manager.load();
  visit.put("n", 1);
  const { token } = await visit.commit();
  reset();
  const before = counted();
  const session = await manager.load(token);
  session.renewToken();
  session.subject = "zoe";
  session.put("user", "zoe");
  await session.commit();
  const after = counted();
  return { calls: count(), requests: after.requests - before.requests, rows: after.rows - before.rows };
}

/** The rows that SQLite has written, index entries included, from a server's reply. */
function sumOf(value: unknown): number {
  if (typeof value !== "object" || value === null) return 0;
  return Object.entries(value).reduce(
    (sum, [key, item]) => sum + (key === "rows_written" ? Number(item) : sumOf(item)),
    0,
  );
}

async function onMySQL(
  Store: typeof PlanetScaleStore | typeof ShardedPlanetScaleStore,
  options: { sharded?: boolean },
): Promise<Cost> {
  const gateway = await startGateway(await sharedMySQL(), options);
  try {
    let rows = 0;
    const client: PlanetScaleClient = new Client(gateway.config());
    const counting: PlanetScaleClient = {
      async execute(...args) {
        const result = await client.execute(...args);
        // Also for a SELECT, where it is 0.
        rows += result.rowsAffected;
        return result;
      },
    };
    const store = new Store(counting, { cleanup: "off" });
    await store.createTable();
    return await login(store, () => ({ requests: gateway.requests(), rows }));
  } finally {
    await gateway.stop();
  }
}

const STORES: Record<string, () => Promise<Cost>> = {
  MemoryStore: () => login(new MemoryStore({ cleanup: "off" }), () => ({ requests: 0, rows: 0 })),
  async LibSQLStore() {
    const { url } = await sharedLibSQL();
    let [requests, rows] = [0, 0];
    const counting = async (request: Request): Promise<Response> => {
      requests++;
      const response = await fetch(request);
      rows += sumOf(await response.clone().json());
      return response;
    };
    const client = createClient({ url, fetch: counting });
    const store = new LibSQLStore(client, { cleanup: "off", table: freshTable() });
    await store.createTable();
    return await login(store, () => ({ requests, rows }));
  },
  async D1Store() {
    const database = (await sharedD1()).database();
    const store = new D1Store(database, { cleanup: "off", table: freshTable() });
    await store.createTable();
    return await login(store, () => ({ requests: database.calls, rows: database.rowsWritten }));
  },
  PlanetScaleStore: () => onMySQL(PlanetScaleStore, {}),
  ShardedPlanetScaleStore: () => onMySQL(ShardedPlanetScaleStore, { sharded: true }),
};

const GUARANTEES = new URL("../../docs/guarantees.md", import.meta.url);

for (const [name, measure] of Object.entries(STORES)) {
  Deno.test(`A login on ${name} costs what docs/guarantees.md says`, async () => {
    const { calls, requests, rows } = await measure();
    const line = Deno.readTextFileSync(GUARANTEES).split("\n").find((line) =>
      line.startsWith(`| \`${name}\``)
    );
    const cells = line?.split("|").slice(2, 5).map((cell) => Number(/\d+/.exec(cell)?.[0] ?? 0));
    assertEquals([calls, requests, rows], cells);
  });
}

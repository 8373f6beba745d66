/** A gateway, a table and stores on it, for the tests of `PlanetScaleStore`. */
import { Client } from "@planetscale/database";
import {
  fetchWithTimeout,
  PlanetScaleStore,
  type PlanetScaleStoreOptions,
} from "../../stores/planetscale.ts";
import { ShardedPlanetScaleStore } from "../../stores/planetscale_sharded.ts";
import { sharedMySQL } from "../backends.ts";
import { type Gateway, type GatewayOptions, startGateway } from "../services/planetscale_gateway.ts";

export interface PlanetScaleBench extends AsyncDisposable {
  gateway: Gateway;
  client: Client;
  store: PlanetScaleStore;
  /** Another store on the same table. */
  another(options?: PlanetScaleStoreOptions): PlanetScaleStore;
  /** Runs SQL beside the store, with every right. */
  query(sql: string): Promise<Record<string, unknown>[]>;
}

export interface PlanetScaleBenchOptions {
  /** How the gateway behaves. */
  gateway?: GatewayOptions;
  /** The options of the store. */
  store?: PlanetScaleStoreOptions;
  /** Whether the keyspace is sharded by token. The store is then a `ShardedPlanetScaleStore`. */
  sharded?: boolean;
  /** The statements that make the table, run with every right. By default the store's own schema. */
  table?: string[];
}

/** How long a store waits, in milliseconds. A busy machine needs less, so no test here meets this timeout. */
const PATIENCE = 30_000;

/** A gateway with an empty table. */
export async function openPlanetScale(options: PlanetScaleBenchOptions = {}): Promise<PlanetScaleBench> {
  const server = await sharedMySQL();
  const database = await server.database();
  const query = (sql: string) => server.query(sql, database);
  const schema = new PlanetScaleStore(new Client({ url: "mysql://user:password@127.0.0.1/" })).schema();
  const statements = options.table ?? schema;
  const { sharded } = options;
  if (!sharded) { for (const statement of statements) await query(statement); }
  const gateway = await startGateway(server, { database, sharded, ...options.gateway });
  const client = new Client({ ...gateway.config(), fetch: fetchWithTimeout(PATIENCE) });
  if (sharded) { for (const statement of statements) await client.execute(statement); }
  gateway.reset();
  const Store = sharded ? ShardedPlanetScaleStore : PlanetScaleStore;
  const another = (given?: PlanetScaleStoreOptions) =>
    new Store(client, { cleanup: "off", timeout: PATIENCE, ...options.store, ...given });
  return {
    gateway,
    client,
    store: another(),
    another,
    query,
    [Symbol.asyncDispose]: () => gateway.stop(),
  };
}

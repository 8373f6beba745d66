/** `PlanetScaleStore` passes the published contract, on every kind of table. */
import { Client } from "@planetscale/database";
import { fetchWithTimeout } from "../../stores/libsql.ts";
import { PlanetScaleStore } from "../../stores/planetscale.ts";
import { ShardedPlanetScaleStore } from "../../stores/planetscale_sharded.ts";
import { backends, sharedMySQL } from "../backends.ts";
import { type Gateway, type GatewayOptions, startGateway } from "../services/planetscale_gateway.ts";
import { NO_SUBJECTS, type Opened, passes, PATIENCE } from "./_contract.ts";
import { SCS_MYSQL_TABLE } from "./_scs_tables.ts";

passes("PlanetScaleStore", async () => {
  const { open } = backends.find(({ name }) => name === "PlanetScaleStore")!;
  const opened = await open({ timeout: PATIENCE });
  return { store: opened.store, close: () => opened[Symbol.asyncDispose]() };
});

// How many rows a statement may return is up to the interface, which is the same as above.
passes("PlanetScaleStore on a table of SCS's", () => onGateway(SCS_MYSQL_TABLE), {
  maxBytes: 65_535,
  maxExpiry: Date.UTC(2038, 0, 19, 3, 14, 7, 999),
  without: { ...NO_SUBJECTS, similarTokens: "SCS's collation takes them for one key" },
}, (name) => !name.includes("not only the first thousand"));

passes(
  "PlanetScaleStore on a table of SCS's with a column for subjects",
  () => onGateway([...SCS_MYSQL_TABLE, "ALTER TABLE sessions ADD COLUMN subject VARBINARY(255)"]),
  { maxBytes: 65_535, maxExpiry: Date.UTC(2038, 0, 19, 3, 14, 7, 999) },
  (name) => /subject/i.test(name.replace(/^.*?: /, "")),
);

passes(
  "PlanetScaleStore on a table of SCS's outside strict mode",
  () => onGateway(SCS_MYSQL_TABLE, PlanetScaleStore, { sqlMode: "" }),
  { maxBytes: 65_535, without: NO_SUBJECTS },
  // Not an expiry far in the future: there MySQL makes year 0 of a time that a TIMESTAMP cannot hold.
  (name) => /data|bytes/i.test(name.replace(/^.*?: /, "")),
);

passes(
  "ShardedPlanetScaleStore",
  () => onGateway(undefined, ShardedPlanetScaleStore, { sharded: true }),
);

async function onGateway(
  table: string[] | undefined,
  Store: typeof PlanetScaleStore = PlanetScaleStore,
  behaviour: GatewayOptions = {},
): Promise<Opened> {
  const gateway: Gateway = await startGateway(await sharedMySQL(), behaviour);
  const client = new Client({ ...gateway.config(), fetch: fetchWithTimeout(PATIENCE) });
  const store = new Store(client, { cleanup: "off", timeout: PATIENCE });
  for (const statement of table ?? store.schema()) await client.execute(statement);
  return { store, close: () => gateway.stop() };
}

/** Every store passes the published contract, on every kind of table. */
import { createClient } from "@libsql/client";
import { Client } from "@planetscale/database";
import { BasicStoreAdapter } from "../../core/store/basic_store.ts";
import type { SessionStore } from "../../mod.ts";
import { fetchWithTimeout, LibSQLStore } from "../../stores/libsql.ts";
import { MemoryStore } from "../../stores/memory.ts";
import { PlanetScaleStore } from "../../stores/planetscale.ts";
import { ShardedPlanetScaleStore } from "../../stores/planetscale_sharded.ts";
import { ShardedStore } from "../../stores/sharded.ts";
import { storeContract, type StoreContractOptions } from "../../testing/mod.ts";
import { backends, sharedMySQL } from "../backends.ts";
import { type Gateway, type GatewayOptions, startGateway } from "../services/planetscale_gateway.ts";
import { SCS_MYSQL_TABLE, SCS_SQLITE_TABLE } from "./_scs_tables.ts";

/** A store, and how to release what it uses. */
interface Opened {
  store: SessionStore;
  close?: () => unknown;
}

/** How long a store waits, in milliseconds. With twenty calls at once a busy machine exceeds the default. */
const PATIENCE = 30_000;

type Limits = Pick<StoreContractOptions, "maxBytes" | "maxExpiry" | "without">;

/**
 * One test for each case of the contract.
 *
 * @param only Which cases to run; all of them unless given.
 */
function passes(
  name: string,
  open: () => Opened | Promise<Opened>,
  limits: Limits = {},
  only: (name: string) => boolean = () => true,
): void {
  const closers = new WeakMap<SessionStore, Opened["close"]>();
  const cases = storeContract({
    name,
    async open() {
      const { store, close } = await open();
      closers.set(store, close);
      return store;
    },
    close: async (store) => void await closers.get(store)?.(),
    ...limits,
  });
  for (const { name, skipped, run } of cases) {
    if (only(name)) Deno.test({ name, ignore: skipped !== undefined, fn: run });
  }
}

// Without the one on a file, whose writes wait for the disk.
for (const { name, open } of backends.filter(({ name }) => name !== "LibSQLStore on a file")) {
  passes(name, async () => {
    const opened = await open({ timeout: PATIENCE });
    return { store: opened.store, close: () => opened[Symbol.asyncDispose]() };
  });
}

passes("LibSQLStore on a file", async () => {
  const directory = await Deno.makeTempDir({ prefix: "sessions_test_" });
  const client = createClient({ url: `file:${directory}/sessions.db` });
  const store = new LibSQLStore(client, { cleanup: "off", timeout: PATIENCE });
  await store.createTable();
  for (const pragma of ["synchronous = OFF", "journal_mode = MEMORY"]) {
    await client.execute(`PRAGMA ${pragma}`);
  }
  return {
    store,
    async close() {
      client.close();
      await Deno.remove(directory, { recursive: true });
    },
  };
});

passes("LibSQLStore in memory", async () => {
  const client = createClient({ url: ":memory:" });
  const store = new LibSQLStore(client, { cleanup: "off", timeout: PATIENCE });
  await store.createTable();
  return { store, close: () => client.close() };
});

const NO_SUBJECTS = { subjects: "SCS's table has no such column" };

passes("LibSQLStore on a table of SCS's", async () => {
  const client = createClient({ url: ":memory:" });
  for (const statement of SCS_SQLITE_TABLE) await client.execute(statement);
  return {
    store: new LibSQLStore(client, { cleanup: "off", timeout: PATIENCE }),
    close: () => client.close(),
  };
}, { without: NO_SUBJECTS });

passes("PlanetScaleStore on a table of SCS's", () => onGateway(SCS_MYSQL_TABLE), {
  maxBytes: 65_535,
  maxExpiry: Date.UTC(2038, 0, 19, 3, 14, 7, 999),
  without: { ...NO_SUBJECTS, similarTokens: "SCS's collation takes them for one key" },
});

passes(
  "PlanetScaleStore on a table of SCS's with a column for subjects",
  () => onGateway([...SCS_MYSQL_TABLE, "ALTER TABLE sessions ADD COLUMN subject VARBINARY(255)"]),
  { maxBytes: 65_535, maxExpiry: Date.UTC(2038, 0, 19, 3, 14, 7, 999) },
  (name) => /subject/i.test(name.replace(/^.*?: /, "")),
);

passes(
  "PlanetScaleStore on a table of SCS's outside strict mode",
  () => onGateway(SCS_MYSQL_TABLE, PlanetScaleStore, { sqlMode: "" }),
  { maxBytes: 65_535, maxExpiry: Date.UTC(2038, 0, 19, 3, 14, 7, 999), without: NO_SUBJECTS },
  (name) => /data|bytes|far in the future/i.test(name.replace(/^.*?: /, "")),
);

passes(
  "ShardedPlanetScaleStore",
  () => onGateway(undefined, ShardedPlanetScaleStore, { sharded: true }),
);

const memory = () => new MemoryStore({ cleanup: "off" });
passes(
  "ShardedStore on five MemoryStores",
  () => ({ store: new ShardedStore(Array.from({ length: 5 }, memory)) }),
);

passes("ShardedStore on five MemoryStores, two of them new", () => {
  const shards = Array.from({ length: 5 }, memory);
  return { store: new ShardedStore(shards, { also: shards.slice(0, 3) }) };
});

passes("A store with three methods", () => {
  const store = new MemoryStore({ cleanup: "off" });
  return {
    store: new BasicStoreAdapter({
      find: (token, options) => store.find(token, options),
      commit: (token, data, expiry, options) => store.commit(token, data, expiry, options),
      delete: (token) => store.delete(token),
    }),
  };
}, {
  without: {
    exclusive: "a commit writes over what is there",
    races: "it looks before it writes, and others may come in between",
    listing: "it has three methods",
    purging: "it has three methods",
    subjects: "it has three methods",
    cleanup: "it has three methods",
  },
});

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

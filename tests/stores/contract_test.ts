/** Every store passes the published contract, on every kind of table. */
import { createClient } from "@libsql/client";
import { BasicStoreAdapter } from "../../core/store/basic_store.ts";
import { LibSQLStore } from "../../stores/libsql.ts";
import { MemoryStore } from "../../stores/memory.ts";
import { ShardedStore } from "../../stores/sharded.ts";
import { backends } from "../backends.ts";
import { NO_SUBJECTS, passes, PATIENCE } from "./_contract.ts";
import { SCS_SQLITE_TABLE } from "./_scs_tables.ts";

// On a file writes wait for the disk. d1_test.ts runs the contract inside a Worker, and planetscale_contract_test.ts on
// MySQL.
const ELSEWHERE = ["LibSQLStore on a file", "D1Store", "PlanetScaleStore"];

for (const { name, open } of backends.filter(({ name }) => !ELSEWHERE.includes(name))) {
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

passes("LibSQLStore on a table of SCS's", async () => {
  const client = createClient({ url: ":memory:" });
  for (const statement of SCS_SQLITE_TABLE) await client.execute(statement);
  return {
    store: new LibSQLStore(client, { cleanup: "off", timeout: PATIENCE }),
    close: () => client.close(),
  };
}, { without: NO_SUBJECTS });

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

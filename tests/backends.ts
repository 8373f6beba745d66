/**
 * The stores that every behaviour of the manager is tested on, each with its own table on a real database.
 * @module
 */

import { createClient as createNativeClient } from "@libsql/client";
import { createClient as createWebClient } from "@libsql/client/web";
import { Client } from "@planetscale/database";
import { connect as openTurso } from "@tursodatabase/database";
import { connect } from "@tursodatabase/serverless";
import { DatabaseSync } from "node:sqlite";
import type { AtomicStore, IterableStore, PurgingStore, SubjectStore } from "../mod.ts";
import { D1Store } from "../stores/d1.ts";
import { fetchWithTimeout, LibSQLStore, type LibSQLStoreOptions } from "../stores/libsql.ts";
import { MemoryStore } from "../stores/memory.ts";
import { PlanetScaleStore } from "../stores/planetscale.ts";
import { ShardedStore } from "../stores/sharded.ts";
import { SQLiteStore } from "../stores/sqlite.ts";
import { sharedD1 } from "./services/d1.ts";
import { sharedMySQL } from "./services/mysql.ts";
import { startGateway } from "./services/planetscale_gateway.ts";
import { inTurns } from "./services/_in_turns.ts";
import { countingFetch, type LibSQLServer, startLibSQL } from "./services/libsql.ts";

export { sharedD1, sharedMySQL };

/** A store with every ability. */
export type FullStore = AtomicStore & IterableStore & PurgingStore & SubjectStore & { stopCleanup(): void };

/** A store with an empty table. */
export interface OpenStore extends AsyncDisposable {
  store: FullStore;
  /** Another store on the same table, like one in another instance of the application. */
  another(): FullStore;
  /** HTTP requests since the table was created; `undefined` without HTTP. */
  requests(): number | undefined;
}

/** How a test reaches a store, if it needs more control than an application. */
export interface Reach {
  /** The timeout of the store and its client, in milliseconds. */
  timeout?: number;
  /** How many HTTP requests are sent at once. The others wait. Turso's client sends one at a time by itself. */
  concurrency?: number;
}

/** One kind of store. */
export interface Backend {
  name: string;
  open(reach?: Reach): Promise<OpenStore>;
}

// Off, because a lazy purge would add a request to those that a test counts.
const OPTIONS = { cleanup: "off" } as const satisfies LibSQLStoreOptions;
const PATIENCE = 10_000;

let libSQL: Promise<LibSQLServer> | undefined;

/**
 * One libsql-server for all tests of a file. It starts fast, and has one writer at a time: the files would wait for each
 * other.
 */
export function sharedLibSQL(): Promise<LibSQLServer> {
  return libSQL ??= startLibSQL();
}
Deno.test.afterAll(async () => await (await libSQL)?.stop());

/** A table name that no other test has. */
export function freshTable(): string {
  return `sessions_${crypto.randomUUID().replaceAll("-", "_")}`;
}

const memory: Backend = {
  name: "MemoryStore",
  open() {
    const store = new MemoryStore(OPTIONS);
    return Promise.resolve({
      store,
      another: () => store,
      requests: () => undefined,
      [Symbol.asyncDispose]: () => Promise.resolve(),
    });
  },
};

const libSQLFile: Backend = {
  name: "LibSQLStore on a file",
  async open({ timeout } = {}) {
    const options = { ...OPTIONS, timeout };
    const directory = await Deno.makeTempDir({ prefix: "sessions_test_" });
    const clients = [createNativeClient({ url: `file:${directory}/sessions.db` })];
    const store = new LibSQLStore(clients[0]!, options);
    await store.createTable();
    return {
      store,
      another() {
        const client = createNativeClient({ url: `file:${directory}/sessions.db` });
        clients.push(client);
        return new LibSQLStore(client, options);
      },
      requests: () => undefined,
      async [Symbol.asyncDispose]() {
        for (const client of clients) client.close();
        await Deno.remove(directory, { recursive: true });
      },
    };
  },
};

const libSQLHttp: Backend = {
  name: "LibSQLStore over HTTP",
  async open({ timeout, concurrency = Infinity } = {}) {
    const { url } = await sharedLibSQL();
    const table = freshTable();
    const counting = countingFetch(fetchWithTimeout(timeout ?? PATIENCE));
    const another = () => {
      const client = createWebClient({ url, concurrency, fetch: counting.fetch });
      return new LibSQLStore(client, { ...OPTIONS, timeout, table });
    };
    const store = another();
    await store.createTable();
    counting.reset();
    return {
      store,
      another,
      requests: () => counting.count(),
      [Symbol.asyncDispose]: () => Promise.resolve(),
    };
  },
};

const planetScale: Backend = {
  name: "PlanetScaleStore",
  async open({ timeout, concurrency = Infinity } = {}) {
    const gateway = await startGateway(await sharedMySQL());
    const fetch = inTurns(concurrency, fetchWithTimeout(timeout ?? PATIENCE));
    const another = () => {
      const client = new Client({ ...gateway.config(), fetch });
      return new PlanetScaleStore(client, { ...OPTIONS, timeout });
    };
    const store = another();
    await store.createTable();
    gateway.reset();
    return {
      store,
      another,
      requests: () => gateway.requests(),
      [Symbol.asyncDispose]: () => gateway.stop(),
    };
  },
};

const d1Database: Backend = {
  name: "D1Store",
  async open({ timeout, concurrency } = {}) {
    const database = (await sharedD1()).database(concurrency);
    const table = freshTable();
    const another = () => new D1Store(database, { ...OPTIONS, timeout, table });
    const store = another();
    await store.createTable();
    database.calls = 0;
    return {
      store,
      another,
      requests: () => database.calls,
      [Symbol.asyncDispose]: () => Promise.resolve(),
    };
  },
};

const sqlite: Backend = {
  name: "SQLiteStore on node:sqlite",
  async open({ timeout } = {}) {
    const options = { ...OPTIONS, timeout };
    const directory = await Deno.makeTempDir({ prefix: "sessions_test_" });
    const databases: DatabaseSync[] = [];
    const another = () => {
      const database = new DatabaseSync(`${directory}/sessions.db`);
      database.exec("PRAGMA journal_mode = WAL; PRAGMA synchronous = OFF");
      databases.push(database);
      return new SQLiteStore(database, options);
    };
    const store = another();
    await store.createTable();
    return {
      store,
      another,
      requests: () => undefined,
      async [Symbol.asyncDispose]() {
        for (const database of databases) database.close();
        await Deno.remove(directory, { recursive: true });
      },
    };
  },
};

const shardedMemory: Backend = {
  name: "ShardedStore on three MemoryStores",
  open() {
    const shards = Array.from({ length: 3 }, () => new MemoryStore(OPTIONS));
    return Promise.resolve({
      store: new ShardedStore(shards),
      another: () => new ShardedStore(shards),
      requests: () => undefined,
      [Symbol.asyncDispose]: () => Promise.resolve(),
    });
  },
};

const shardedFiles: Backend = {
  name: "ShardedStore on three SQLite files",
  async open(reach) {
    const opened = await Promise.all([1, 2, 3].map(() => sqlite.open(reach)));
    return {
      store: new ShardedStore(opened.map(({ store }) => store)),
      another: () => new ShardedStore(opened.map(({ another }) => another())),
      requests: () => undefined,
      async [Symbol.asyncDispose]() {
        for (const shard of opened) await shard[Symbol.asyncDispose]();
      },
    };
  },
};

const tursoHttp: Backend = {
  name: "LibSQLStore on @tursodatabase/serverless",
  async open({ timeout } = {}) {
    const { url } = await sharedLibSQL();
    const table = freshTable();
    const another = () => new LibSQLStore(connect({ url }), { ...OPTIONS, timeout, table });
    const store = another();
    await store.createTable();
    return {
      store,
      another,
      requests: () => undefined,
      [Symbol.asyncDispose]: () => Promise.resolve(),
    };
  },
};

const tursoFile: Backend = {
  name: "LibSQLStore on @tursodatabase/database",
  async open({ timeout } = {}) {
    const directory = await Deno.makeTempDir({ prefix: "sessions_test_" });
    const database = await openTurso(`${directory}/sessions.db`);
    const another = () => new LibSQLStore(database, { ...OPTIONS, timeout });
    const store = another();
    await store.createTable();
    return {
      store,
      another,
      requests: () => undefined,
      async [Symbol.asyncDispose]() {
        await database.close();
        await Deno.remove(directory, { recursive: true });
      },
    };
  },
};

/** Every kind of store. */
export const backends: readonly Backend[] = [
  memory,
  libSQLFile,
  libSQLHttp,
  planetScale,
  d1Database,
  sqlite,
  shardedMemory,
  shardedFiles,
  tursoHttp,
  tursoFile,
];

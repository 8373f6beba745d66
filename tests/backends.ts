/**
 * The stores that every behaviour of the manager is tested on, each with a table of its own on a real database.
 * @module
 */

import { createClient as createNativeClient } from "@libsql/client";
import { createClient as createWebClient } from "@libsql/client/web";
import { Client } from "@planetscale/database";
import type { AtomicStore, IterableStore, PurgingStore, SubjectStore } from "../mod.ts";
import { fetchWithTimeout, LibSQLStore, type LibSQLStoreOptions } from "../stores/libsql.ts";
import { MemoryStore } from "../stores/memory.ts";
import { PlanetScaleStore } from "../stores/planetscale.ts";
import { type MySQLServer, startMySQL } from "./services/mysql.ts";
import { startGateway } from "./services/planetscale_gateway.ts";
import { countingFetch, type LibSQLServer, startLibSQL } from "./services/libsql.ts";

/** A store with every ability. */
export type FullStore = AtomicStore & IterableStore & PurgingStore & SubjectStore & { stopCleanup(): void };

/** A store with an empty table. */
export interface OpenStore extends AsyncDisposable {
  store: FullStore;
  /** Another store on the same table, as another instance of the application has it. */
  another(): FullStore;
  /** HTTP requests since the table was made; `undefined` where there is no HTTP. */
  requests(): number | undefined;
}

/** One kind of store. */
export interface Backend {
  name: string;
  open(): Promise<OpenStore>;
}

// Off, so that no lazy purge adds a request to those that a test counts.
const OPTIONS = { cleanup: "off" } as const satisfies LibSQLStoreOptions;

let libSQL: Promise<LibSQLServer> | undefined;

/** One libsql-server for all tests of a process; it ends with the process. */
export function sharedLibSQL(): Promise<LibSQLServer> {
  return libSQL ??= startLibSQL();
}

let mySQL: Promise<MySQLServer> | undefined;

/** One MySQL server for all tests of a process; it ends with the process. */
export function sharedMySQL(): Promise<MySQLServer> {
  return mySQL ??= startMySQL();
}

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
  async open() {
    const directory = await Deno.makeTempDir({ prefix: "sessions_test_" });
    const clients = [createNativeClient({ url: `file:${directory}/sessions.db` })];
    const store = new LibSQLStore(clients[0]!, OPTIONS);
    await store.createTable();
    return {
      store,
      another() {
        const client = createNativeClient({ url: `file:${directory}/sessions.db` });
        clients.push(client);
        return new LibSQLStore(client, OPTIONS);
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
  async open() {
    const { url } = await sharedLibSQL();
    const table = freshTable();
    const counting = countingFetch(fetchWithTimeout(10_000));
    const another = () => {
      const client = createWebClient({ url, concurrency: Infinity, fetch: counting.fetch });
      return new LibSQLStore(client, { ...OPTIONS, table });
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
  async open() {
    const gateway = await startGateway(await sharedMySQL());
    const another = () => {
      const client = new Client({ ...gateway.config(), fetch: fetchWithTimeout(10_000) });
      return new PlanetScaleStore(client, OPTIONS);
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

/** Every kind of store there is. */
export const backends: readonly Backend[] = [memory, libSQLFile, libSQLHttp, planetScale];

/**
 * The stores for tests of the clean-up, each with its own table. A test can fill and count the table, and intervene
 * between a statement and the server.
 * @module
 */

import { createClient } from "@libsql/client/web";
import { Client } from "@planetscale/database";
import type { CleanupOptions } from "../../../mod.ts";
import { fetchWithTimeout, LibSQLStore } from "../../../stores/libsql.ts";
import { MemoryStore } from "../../../stores/memory.ts";
import { PlanetScaleStore } from "../../../stores/planetscale.ts";
import { freshTable, type FullStore, sharedLibSQL, sharedMySQL } from "../../backends.ts";
import { type Gateway, type Interceptor, startGateway } from "../../services/planetscale_gateway.ts";

/** The current time of the tests. Not a whole second, so that rounding shows. */
export const NOW = Date.UTC(2026, 2, 4, 5, 6, 7, 890);

/** Longer than several concurrent purges take on a busy machine. No test waits for this timeout. */
const PATIENCE = 30_000;

/** How many rows of each kind. */
export interface RowCounts {
  expired: number;
  live: number;
}

/** A table with a store on it. */
export interface Table extends AsyncDisposable {
  store: FullStore;
  /** Another store on the same table, like one in another instance of the application. */
  another(options?: CleanupOptions): FullStore;
  /** Adds rows. Each expired row expired a second earlier than the one before it. Live rows have an hour left. */
  fill(rows: Partial<RowCounts>): Promise<void>;
  /** The rows in the table. */
  count(): Promise<RowCounts>;
  /** Intervenes between each statement and the server. `MemoryStore` has neither. */
  intercept: Interceptor | undefined;
}

/** A table on a server. */
export interface ServerTable extends Table {
  /** Runs SQL on a separate connection. */
  query(sql: string): Promise<unknown>;
  /** The table's name in statements. */
  name: string;
  /** The database's URL for a client, with credentials. */
  url: string;
  /** Another store on the table, whose client sends its requests through `send`. */
  through(send: (...request: Parameters<typeof fetch>) => Promise<Response>): FullStore;
  /** Runs `work` on a store whose statements form one transaction, and commits it. */
  transaction(work: (store: FullStore) => Promise<void>): Promise<void>;
}

/** One kind of store. */
export interface Kind<Opened extends Table = Table> {
  name: string;
  /** @param options `cleanup` is `"off"` unless given. */
  open(options?: CleanupOptions): Promise<Opened>;
}

const memory: Kind = {
  name: "MemoryStore",
  open(options) {
    const store = new MemoryStore({ cleanup: "off", ...options });
    return Promise.resolve({
      store,
      another: () => store,
      async fill(rows) {
        // At a time when no row has expired, so that a purge that is due finds nothing.
        for (const { token, expiry } of madeRows(rows)) await store.commit(token, DATA, expiry, { now: 0 });
      },
      count: () => count(store),
      intercept: undefined,
      [Symbol.asyncDispose]: () => Promise.resolve(store.stopCleanup()),
    });
  },
};

const libSQL: Kind<ServerTable> = {
  name: "LibSQLStore over HTTP",
  async open(options) {
    const { url } = await sharedLibSQL();
    const name = freshTable();
    const client = createClient({ url, concurrency: Infinity });
    const send = fetchWithTimeout(PATIENCE);
    const fetch = async (request: Request) => {
      if (table.intercept === undefined) return await send(request);
      const sql = await request.clone().text();
      return await table.intercept(sql, () => send(request));
    };
    const another = (given?: CleanupOptions) =>
      new LibSQLStore(createClient({ url, concurrency: Infinity, fetch }), {
        cleanup: "off",
        timeout: PATIENCE,
        table: name,
        ...given,
      });
    const store = another(options);
    const table: ServerTable = {
      store,
      another,
      async fill(rows) {
        const statements = madeRows(rows).map(({ token, expiry }) => ({
          sql: `INSERT INTO ${name} (token, data, expiry) VALUES (?, ?, (? + 210866760000000) / 86400000.0)`,
          args: [token, DATA, expiry],
        }));
        await client.batch(statements, "write");
      },
      count: () => count(store),
      intercept: undefined,
      query: async (sql) => (await client.execute(sql)).rows,
      name,
      url,
      through: (send) =>
        new LibSQLStore(createClient({ url, concurrency: Infinity, fetch: send }), {
          cleanup: "off",
          table: name,
        }),
      async transaction(work) {
        const transaction = await client.transaction("write");
        await work(new LibSQLStore(transaction, { cleanup: "off", table: name }));
        await transaction.commit();
      },
      [Symbol.asyncDispose]: () => Promise.resolve(store.stopCleanup()),
    };
    await store.createTable();
    return table;
  },
};

const planetScale: Kind<ServerTable> = {
  name: "PlanetScaleStore",
  async open(options) {
    const server = await sharedMySQL();
    const gateway: Gateway = await startGateway(server);
    const another = (given?: CleanupOptions) =>
      new PlanetScaleStore(new Client({ ...gateway.config(), fetch: fetchWithTimeout(PATIENCE) }), {
        cleanup: "off",
        timeout: PATIENCE,
        ...given,
      });
    const store = another(options);
    await store.createTable();
    return {
      store,
      another,
      async fill(rows) {
        const values = madeRows(rows).map(({ token, expiry }) =>
          `('${token}', 0x${DATA.toHex()}, '${new Date(expiry).toISOString().slice(0, -1)}')`
        );
        await server.query(
          `INSERT INTO sessions (token, data, expiry) VALUES ${values.join()}`,
          gateway.database,
        );
      },
      count: () => count(store),
      get intercept() {
        return gateway.intercept;
      },
      set intercept(interceptor) {
        gateway.intercept = interceptor;
      },
      query: (sql) => server.query(sql, gateway.database),
      name: "sessions",
      url: gateway.config().url,
      through: (send) =>
        new PlanetScaleStore(new Client({ ...gateway.config(), fetch: send }), { cleanup: "off" }),
      transaction: (work) =>
        new Client(gateway.config()).transaction((transaction) =>
          work(new PlanetScaleStore(transaction, { cleanup: "off" }))
        ),
      [Symbol.asyncDispose]() {
        store.stopCleanup();
        return gateway.stop();
      },
    };
  },
};

/** The kinds of stores with a server. */
export const serverKinds: readonly Kind<ServerTable>[] = [libSQL, planetScale];
/** Every kind of store. */
export const kinds: readonly Kind[] = [memory, ...serverKinds];

/** Declares one test for each kind of store. */
export function onEachKind(name: string, test: (kind: Kind) => Promise<void>): void {
  for (const kind of kinds) Deno.test(`${name} [${kind.name}]`, () => test(kind));
}

/** Declares one test for each kind of store with a server. */
export function onEachServer(name: string, test: (kind: Kind<ServerTable>) => Promise<void>): void {
  for (const kind of serverKinds) Deno.test(`${name} [${kind.name}]`, () => test(kind));
}

/** Whether a statement, or the request with it, deletes by expiry. */
export function isPurge(sql: string): boolean {
  return /DELETE FROM \S+ WHERE \+?expiry/.test(sql);
}

const DATA = new TextEncoder().encode('{"deadline":0,"values":{}}');

function madeRows({ expired = 0, live = 0 }: Partial<RowCounts>): { token: string; expiry: number }[] {
  const token = () => `t${crypto.randomUUID().replaceAll("-", "")}`;
  return [
    ...Array.from({ length: expired }, (_, index) => ({ token: token(), expiry: NOW - index * 1_000 })),
    ...Array.from({ length: live }, (_, index) => ({ token: token(), expiry: NOW + 3_600_000 + index })),
  ];
}

async function count(store: FullStore): Promise<RowCounts> {
  const counts = { expired: 0, live: 0 };
  for await (const { expiry } of store.all({ now: 0 })) counts[expiry <= NOW ? "expired" : "live"]++;
  return counts;
}

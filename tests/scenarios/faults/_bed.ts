/**
 * A manager whose database is behind a faulty network, and a direct connection to the database.
 * @module
 */

import { createClient } from "@libsql/client/web";
import { Client } from "@planetscale/database";
import { type SessionError, type SessionManager, sessions } from "../../../mod.ts";
import { fetchWithTimeout, LibSQLStore } from "../../../stores/libsql.ts";
import { PlanetScaleStore } from "../../../stores/planetscale.ts";
import { freshTable, type FullStore, sharedLibSQL, sharedMySQL } from "../../backends.ts";
import { Clock, HOUR, MINUTE } from "../_bed.ts";
import { type FaultProxy, type Fetch, startFaultProxy } from "../../services/fault_proxy.ts";
import { startGateway } from "../../services/planetscale_gateway.ts";

/** Texts that must never appear in an error, a log or an event. */
export const CANARY = { value: "canary-value-7f3a", password: "canary_password_91bc" } as const;

/** The timeout of one request, and the timeout of a whole operation, which is less than two requests. */
export const FETCH_TIMEOUT = 220;
export const STORE_TIMEOUT = 300;
/** The timeout for the database without faults, in milliseconds. The machine may be slow. */
const PATIENCE = 60_000;

export type Data = { n: number; secret: string };

/** Managers of one database. */
export interface FaultBed extends AsyncDisposable {
  /** The current fault. {@linkcode settle} ends it. */
  readonly proxy: FaultProxy;
  readonly clock: Clock;
  /** The store behind the proxy. */
  readonly manager: SessionManager<Data>;
  readonly store: FullStore;
  /** The same table over a direct connection. */
  readonly direct: SessionManager<Data>;
  readonly directStore: FullStore;
  /** The errors that `onError` of the manager behind the proxy got. */
  readonly errors: SessionError[];
  /** Everything that its hooks got. */
  readonly reported: unknown[];
  /**
   * Waits until the database has processed every request that reached it. Requests that did not reach it never will.
   */
  settle(): Promise<void>;
}

/** A database with an HTTP interface. */
export interface FaultServer {
  name: string;
  open(): Promise<FaultBed>;
}

/** A store that sends its requests through a `fetch`, with this timeout. */
type OpenStore = (fetch: typeof globalThis.fetch, timeout: number) => FullStore & {
  createTable(): Promise<void>;
};

async function openBed(url: string, open: OpenStore, stop: () => Promise<void>): Promise<FaultBed> {
  let proxy = startFaultProxy(url);
  const faulty: Fetch = (input, init) => proxy.through(fetchWithTimeout(FETCH_TIMEOUT))(input, init);
  const store = open(faulty as typeof fetch, STORE_TIMEOUT);
  const directStore = open(fetchWithTimeout(PATIENCE) as typeof fetch, PATIENCE);
  await directStore.createTable();
  const clock = new Clock();
  const errors: SessionError[] = [];
  const reported: unknown[] = [];
  const times = { now: clock.now, lifetime: HOUR, idleTimeout: 20 * MINUTE };
  return {
    get proxy() {
      return proxy;
    },
    clock,
    store,
    directStore,
    errors,
    reported,
    manager: sessions<Data>({
      ...times,
      store,
      onEvent: (event) => void reported.push(event),
      onError(error, info) {
        errors.push(error);
        reported.push(error, info.phase);
      },
    }),
    direct: sessions<Data>({ ...times, store: directStore }),
    async settle() {
      await proxy.stop();
      proxy = startFaultProxy(url);
    },
    async [Symbol.asyncDispose]() {
      await proxy.stop();
      await stop();
    },
  };
}

const OPTIONS = { cleanup: "off" } as const;

/** The databases for the matrix of faults. */
export const faultServers: readonly FaultServer[] = [
  {
    name: "LibSQLStore over HTTP",
    async open() {
      const { url } = await sharedLibSQL();
      const table = freshTable();
      return await openBed(url, (fetch, timeout) => {
        const client = createClient({ url, authToken: CANARY.password, concurrency: Infinity, fetch });
        return new LibSQLStore(client, { ...OPTIONS, table, timeout });
      }, () => Promise.resolve());
    },
  },
  {
    name: "PlanetScaleStore",
    async open() {
      const gateway = await startGateway(await sharedMySQL(), { password: CANARY.password });
      return await openBed(gateway.url, (fetch, timeout) => {
        const client = new Client({ ...gateway.config(), fetch });
        return new PlanetScaleStore(client, { ...OPTIONS, timeout });
      }, () => gateway.stop());
    },
  },
];

/**
 * Sessions in Cloudflare D1, for Workers. The table is that of SCS's `sqlite3store`, which a Go service may share.
 *
 * ```ts
 * import { Hono } from "hono";
 * import { sessions } from "@x/sessions";
 * import { honoSessions } from "@x/sessions/middleware/hono";
 * import { type D1Database, D1Store } from "@x/sessions/stores/d1";
 *
 * type Env = { DB: D1Database };
 *
 * const app = new Hono<{ Bindings: Env }>()
 *   .use(honoSessions((c) => sessions<{ visits: number }>({ store: new D1Store(c.env.DB) })))
 *   .get("/", async (c) => {
 *     const session = await c.var.session();
 *     session.update("visits", (visits = 0) => visits + 1);
 *     return c.text(`${session.get("visits")} visits`);
 *   });
 * export default app;
 * ```
 *
 * Make the table by a migration with the statements of `schema()`, or call `createTable()` once.
 *
 * @module
 */

import { hasMethods } from "../core/foreign.ts";
import { OptionsReader } from "../core/options/reader.ts";
import type { SqlStoreOptions } from "./_sql.ts";
import {
  type SQLiteDriver,
  type SQLiteStatement,
  SQLiteTableStore,
  type SQLiteValue,
} from "./_sqlite_store.ts";

export type { SqlStoreOptions } from "./_sql.ts";

/** A parameter of a statement. */
export type D1Value = SQLiteValue;

/** The calls that the store makes on a D1 statement. */
export interface D1Statement {
  /** Sets the parameters. */
  bind(...values: D1Value[]): D1Statement;
  /** Runs it. */
  all(): Promise<D1Result>;
}

/** The answer to a statement. */
export interface D1Result {
  /** Its rows, by the names of their columns. */
  readonly results: readonly object[];
}

/** The calls that the store makes on a D1 database, and on a D1 session. */
export interface D1Queryable {
  /** Makes a statement. */
  prepare(sql: string): D1Statement;
  /** Runs statements in one transaction. */
  batch(statements: D1Statement[]): Promise<D1Result[]>;
}

/** A D1 database: the binding of a Worker. */
export interface D1Database extends D1Queryable {
  /** Begins a D1 session. It reads its own writes even when replicas lag. */
  withSession?(constraint: "first-primary" | "first-unconstrained"): D1Queryable;
}

/** Options of {@linkcode D1Store}. */
export type D1StoreOptions = SqlStoreOptions;

/**
 * Keeps sessions in Cloudflare D1. Each call is one request to the database. A save of a session with a subject is two if the
 * column for subjects has to change, or if another request was first.
 *
 * With read replication a replica may answer a read, but only one that has every write of this store. The manager has the
 * primary asked after a conflict, and before it creates a session in place of a token that was not found.
 */
export class D1Store extends SQLiteTableStore {
  /**
   * Makes a store, and sends nothing yet.
   *
   * @param database The D1 binding.
   * @throws {SessionConfigError} An option is wrong.
   */
  constructor(database: D1Database, options: D1StoreOptions = {}) {
    const reader = new OptionsReader(options);
    if (!hasMethods<D1Database>(database, "prepare", "batch")) {
      reader.problems.push('"database" must be a D1 database: the binding of a Worker');
    }
    super(database, d1Driver(database), reader);
  }
}

function d1Driver(database: D1Database): SQLiteDriver {
  /** The D1 session of this store's last writes. */
  let session: D1Queryable | undefined;
  const prepare = (queryable: D1Queryable, { sql, args }: SQLiteStatement) =>
    queryable.prepare(sql).bind(...args);
  return {
    inProcess: false,
    async send(statements, kind) {
      if (kind === "transaction") {
        session = database.withSession?.("first-primary");
        const queryable = session ?? database;
        const results = await queryable.batch(statements.map((statement) => prepare(queryable, statement)));
        return results.map(toResult);
      }
      session ??= database.withSession?.("first-unconstrained");
      return [toResult(await prepare(session ?? database, statements[0]!).all())];
    },
  };
}

function toResult({ results }: D1Result): { rows: readonly object[] } {
  return { rows: results };
}

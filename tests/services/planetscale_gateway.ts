/**
 * PlanetScale's HTTP interface in front of a real MySQL server, for tests with the unmodified driver
 * `@planetscale/database`. In outline (not run as an example, because it lacks the server):
 * ```ts ignore
 * Deno.test("...", async () => {
 *   await using gateway = await startGateway(server);
 *   const client = new Client(gateway.config());
 *   await client.execute("SELECT 1");
 *   assertEquals(gateway.requests(), 1);
 * });
 * ```
 * Start one in each test that uses it, which takes a few milliseconds. It lives in the test process, and the leak
 * sanitizers report connections that one test opens and another closes.
 *
 * It is stricter and more talkative than MySQL on purpose:
 *
 * - Errors quote the statement with all its values, as Vitess does by default. PlanetScale replaces some of them by
 *   `{REDACTED}`.
 * - It refuses `RETURNING`, which MariaDB knows and Vitess does not.
 *
 * It does not imitate settings made by `SET`, which end with the request here, nor limits of time and size, except those
 * of transactions and rows.
 * @module
 */
import {
  connect,
  type MySQLAddress,
  type MySQLConnection,
  type MySQLError,
  type RawResult,
} from "./_mysql_connection.ts";
import {
  analyze,
  type ErrorContext,
  type QueryResult,
  resultOf,
  type RPCError,
  rpcError,
  tabletError,
  transactionError,
} from "./_planetscale_protocol.ts";
import { type Plan, plan } from "./_vitess_plan.ts";
import { MYSQL8_SQL_MODE, type MySQLAccess, randomName } from "./mysql.ts";

/** Options of {@linkcode startGateway}. */
export interface GatewayOptions {
  /**
   * The database for statements.
   *
   * @default a new one
   */
  database?: string;
  /**
   * The credentials of clients: letters, digits and `_`, because they become part of a URL.
   *
   * @default random ones
   */
  user?: string;
  /** See {@linkcode user}. */
  password?: string;
  /**
   * `time_zone` of each session; `null` keeps the server's.
   *
   * @default {"+00:00"}
   */
  timeZone?: string | null;
  /**
   * `sql_mode` of each session; `null` keeps the server's.
   *
   * @default the one of MySQL 8
   */
  sqlMode?: string | null;
  /**
   * The server's clock, in milliseconds since 1970. `NOW()` and the like stand still at that time. MariaDB before
   * 11.5 ends in January 2038, and a later time is refused.
   *
   * @default the real time
   */
  clock?: number;
  /**
   * The privileges of statements, such as `["SELECT", "INSERT"]` on the database or `["SELECT, DELETE ON sessions"]`
   * on a table, which must exist.
   *
   * @default everything
   */
  grants?: string[];
  /**
   * Whether statements are planned as Vitess plans them on two shards by `token`: split or refused. The shards are
   * partitions of the tables that are created through the gateway.
   *
   * @default {false}
   */
  sharded?: boolean;
  /**
   * The isolation level of transactions, such as `"READ COMMITTED"`.
   *
   * @default the server's own
   */
  isolation?: string;
  /**
   * How long a transaction may last, in milliseconds.
   * @default {20_000}
   */
  transactionTimeout?: number;
  /**
   * The `code` of errors. The known replies of the real service have `"UNKNOWN"` for all errors of MySQL. Vitess
   * itself sends the kind, such as `"ALREADY_EXISTS"`.
   *
   * @default {"UNKNOWN"}
   */
  errorCode?: "UNKNOWN" | "kind";
  /** See {@linkcode Gateway.intercept}. */
  intercept?: Interceptor;
}

/**
 * Intervenes between a request and its execution, to inject faults. `execute` runs the statement and returns the
 * reply. Without a call of it the request is lost. If its reply is not returned, the reply is lost. Throwing breaks
 * the connection.
 */
export type Interceptor = (sql: string, execute: () => Promise<Response>) => Promise<Response> | Response;

/** The part of the configuration for the driver's `new Client()` that is used. */
export interface URLConfig {
  url: string;
}

/** The same without the URL, as most applications have it. */
export interface HostConfig {
  host: string;
  username: string;
  password: string;
  /** The driver makes an `https:` URL of a host. This changes it to `http:`. */
  fetch(url: string, init?: RequestInit): Promise<Response>;
}

/** A running gateway. */
export interface Gateway extends AsyncDisposable {
  /** Such as `"http://127.0.0.1:8080"`. */
  readonly url: string;
  /** Such as `"127.0.0.1:8080"`. */
  readonly host: string;
  /** The database for statements. */
  readonly database: string;
  readonly user: string;
  readonly password: string;
  /** For `new Client()`. A new object each time, because the driver writes into it. */
  config(): URLConfig;
  /** Like `config()`, but by host, with a `fetch` that may be wrapped. */
  hostConfig(): HostConfig;
  /** How many requests arrived, whatever happened to them. */
  requests(): number;
  /** The statements that arrived, in order. */
  statements(): string[];
  /** Counts from 0 again, clears the statements and resets what was set here. */
  reset(): void;
  /** Called for each statement with the right credentials. May be set at any time. */
  intercept: Interceptor | undefined;
  /**
   * Called after a statement has run on one shard and before it runs on the next. May be set at any time. It gets the
   * statement for the shard.
   */
  betweenShards: ((sql: string) => Promise<void>) | undefined;
  /** Ends it and all its connections. A database that was given stays. */
  stop(): Promise<void>;
}

/** The most rows that a statement may return, as on PlanetScale. */
const MAX_ROWS = 100_000;
/** Connections to MySQL. Further statements wait for one. */
const MAX_CONNECTIONS = 64;

/** The state of a driver's connection, which the driver sends back with each statement. */
interface Session {
  signature: string;
  vitessSession: {
    autocommit: boolean;
    inTransaction?: boolean;
    options: { includedFields: string; clientFoundRows: boolean };
    DDLStrategy: string;
    SessionUUID: string;
    enableSystemSettings: boolean;
  };
}

interface ExecuteReply {
  session?: Session;
  result?: QueryResult;
  error?: RPCError;
  timing?: number;
}

interface Transaction {
  /** Its number in messages. */
  id: number;
  connection: MySQLConnection;
  timer?: ReturnType<typeof setTimeout>;
  /** How it ended before its client ended it, for messages. */
  end?: string;
}

/**
 * Starts a gateway on a free port of the loopback interface.
 *
 * @throws {Error} The server does not support the options, such as an unknown time zone.
 */
export async function startGateway(mysql: MySQLAccess, options: GatewayOptions = {}): Promise<Gateway> {
  const database = options.database ?? await mysql.database();
  // Without characters to escape, because the driver would not unescape them from a URL.
  const user = options.user ?? randomName("user");
  const password = options.password ?? randomName("pscale_pw_");
  const account: MySQLAddress = { ...addressOf(mysql), database };
  if (options.grants !== undefined) {
    account.user = randomName("restricted_");
    account.password = randomName("p");
    await createAccount(mysql, account, options.grants);
  }
  const pool = new ConnectionPool(account, setUpStatements(options), options.clock);
  // Options that the server refuses fail here, not in the first statement.
  await pool.release(await pool.acquire());

  const context: ErrorContext = {
    keyspace: database,
    callerId: user,
    kindAsCode: options.errorCode === "kind",
  };
  const transactionTimeout = options.transactionTimeout ?? 20_000;
  const transactions = new Map<string, Transaction>();
  const executing = new Set<Promise<ExecuteReply>>();
  const signature = crypto.getRandomValues(new Uint8Array(32)).toBase64();
  let lastTransaction = Date.now() * 1_000_000;
  let requests = 0;
  let statements: string[] = [];

  const aborter = new AbortController();
  const server = Deno.serve(
    { hostname: "127.0.0.1", port: 0, signal: aborter.signal, onListen() {} },
    respond,
  );
  const host = `127.0.0.1:${server.addr.port}`;
  const gateway: Gateway = {
    url: `http://${host}`,
    host,
    database,
    user,
    password,
    config: () => ({ url: `http://${user}:${password}@${host}` }),
    hostConfig: () => ({
      host,
      username: user,
      password,
      fetch: (url, init) => fetch(url.replace(/^https:/, "http:"), init),
    }),
    requests: () => requests,
    statements: () => [...statements],
    reset() {
      requests = 0;
      statements = [];
      gateway.intercept = undefined;
      gateway.betweenShards = undefined;
    },
    intercept: options.intercept,
    betweenShards: undefined,
    stop,
    [Symbol.asyncDispose]: stop,
  };
  return gateway;

  async function respond(request: Request): Promise<Response> {
    requests++;
    const body = await request.text();
    const { pathname } = new URL(request.url);
    const method = /^\/psdb\.v1alpha1\.Database\/(Execute|CreateSession)$/.exec(pathname)?.[1];
    if (method === undefined) return new Response("404 page not found\n", { status: 404 });
    if (request.method !== "POST") return new Response(null, { status: 405, headers: { allow: "POST" } });
    if (request.headers.get("authorization") !== `Basic ${btoa(`${user}:${password}`)}`) {
      return failure(401, "unauthenticated", "invalid credentials");
    }
    if (method === "CreateSession") {
      return Response.json({
        branch: "main",
        user: { username: user, psid: "planetscale-1" },
        session: newSession(),
      });
    }
    let parsed: { query?: unknown; session?: Session | null };
    try {
      parsed = JSON.parse(body);
    } catch {
      return failure(400, "invalid_argument", "cannot parse the request");
    }
    const { query, session } = parsed;
    if (typeof query !== "string") return failure(400, "invalid_argument", "the request has no query");
    statements.push(query);
    const run = async () => {
      const reply = execute(query, session ?? newSession());
      executing.add(reply);
      return Response.json(await reply.finally(() => executing.delete(reply)));
    };
    if (gateway.intercept === undefined) return await run();
    try {
      return await gateway.intercept(query, run);
    } catch {
      // A body shorter than announced looks like a server whose connection was lost.
      const body = new ReadableStream({ start: (controller) => controller.close() });
      return new Response(body, { headers: { "content-length": "1" } });
    }
  }

  async function execute(sql: string, session: Session): Promise<ExecuteReply> {
    const started = performance.now();
    const analysis = analyze(sql);
    const refusal = refused(analysis);
    if (refusal !== undefined) return { session, error: refusal };
    try {
      const [word] =
        analysis.bare.trim().toLowerCase().match(/^(begin|start\s+transaction|commit|rollback)\b/) ?? [];
      switch (word) {
        case undefined:
          break;
        case "commit":
        case "rollback":
          return await endTransaction(word, session);
        default:
          return await beginTransaction(session);
      }
      const result = session.vitessSession.inTransaction
        ? await inTransaction(sql, session)
        : await outsideTransaction(sql);
      return { session, result, timing: (performance.now() - started) / 1000 };
    } catch (error) {
      return { session, error: bodyOf(error, sql) };
    }
  }

  /** Statements that Vitess refuses although MariaDB accepts them. */
  function refused(analysis: ReturnType<typeof analyze>): RPCError | undefined {
    const returning = /\breturning\b/i.exec(analysis.bare);
    if (returning === null) return undefined;
    const message = `syntax error at position ${returning.index + 10} near '${returning[0]}'`;
    return rpcError("InvalidArgument", message, context);
  }

  async function outsideTransaction(sql: string): Promise<QueryResult> {
    return limited(options.sharded ? await onShards(plan(sql)) : await once(sql));
  }

  async function once(sql: string): Promise<RawResult> {
    const connection = await pool.acquire();
    try {
      return await connection.raw(sql);
    } finally {
      // No other request may see the settings of SET.
      if (/^\s*(set|use)\b/i.test(sql)) await connection.close();
      await pool.release(connection);
    }
  }

  async function inTransaction(sql: string, session: Session): Promise<QueryResult> {
    const transaction = transactions.get(session.vitessSession.SessionUUID);
    assertAlive(transaction);
    if (options.sharded) throw new Error("The gateway does not imitate transactions of clients on shards");
    try {
      return limited(await transaction.connection.raw(sql));
    } catch (error) {
      // The transaction was ended while the statement ran, or its connection was lost.
      assertAlive(transaction);
      throw error;
    }
  }

  async function onShards(planned: Plan): Promise<RawResult> {
    switch (planned.kind) {
      case "whole":
        return await once(planned.sql);
      case "refused":
        throw new GatewayError(rpcError("Unimplemented", planned.message, context));
      case "read":
        return await readFromShards(planned);
      case "write":
        return await writeToShards(planned.parts);
      case "delete-found": {
        const found = await readFromShards(planned.look);
        const keys = found.rows.map(([token]) => new TextDecoder().decode(token!));
        await gateway.betweenShards?.(planned.look.parts[0]!);
        if (keys.length === 0) return { rows: [], affectedRows: 0, insertId: "0" };
        return await onShards(planned.remove(keys));
      }
    }
  }

  async function readFromShards({ parts, order, limit }: Plan & { kind: "read" }): Promise<RawResult> {
    const results: RawResult[] = [];
    for (const [index, part] of parts.entries()) {
      if (index > 0) await gateway.betweenShards?.(parts[index - 1]!);
      results.push(await once(part));
    }
    const rows = results.flatMap(({ rows }) => rows);
    if (order !== undefined) {
      const keyOf = (row: RawResult["rows"][number]) => new TextDecoder("latin1").decode(row[order.column]!);
      rows.sort((a, b) => (keyOf(a) < keyOf(b) ? -1 : 1) * (order.descending ? -1 : 1));
    }
    return { ...results[0]!, rows: rows.slice(0, limit) };
  }

  /** A transaction on each shard. A committed one stays, whatever happens to the next. */
  async function writeToShards(parts: string[]): Promise<RawResult> {
    const connections: MySQLConnection[] = [];
    let affectedRows = 0;
    try {
      for (const [index, part] of parts.entries()) {
        if (index > 0) await gateway.betweenShards?.(parts[index - 1]!);
        const connection = await pool.acquire();
        connections.push(connection);
        await connection.raw("BEGIN");
        affectedRows += (await connection.raw(part)).affectedRows;
      }
      for (const [index, connection] of connections.entries()) {
        if (index > 0) await gateway.betweenShards?.("COMMIT");
        await connection.raw("COMMIT");
      }
      return { rows: [], affectedRows, insertId: "0" };
    } finally {
      for (const connection of connections) {
        // Has no effect after a COMMIT.
        await connection.raw("ROLLBACK").catch(() => {});
        await pool.release(connection);
      }
    }
  }

  function limited(raw: RawResult): QueryResult {
    if (raw.rows.length <= MAX_ROWS) return resultOf(raw);
    const message = `target: ${database}.-.primary: vttablet: rpc error: code = Aborted desc = ` +
      `Row count exceeded ${MAX_ROWS} (CallerID: ${user})`;
    throw new GatewayError(rpcError("Aborted", message, context));
  }

  async function beginTransaction(session: Session): Promise<ExecuteReply> {
    const { SessionUUID } = session.vitessSession;
    // A second BEGIN commits the first.
    if (transactions.has(SessionUUID)) await endTransaction("commit", session);
    const connection = await pool.acquire();
    const transaction: Transaction = { id: ++lastTransaction, connection };
    try {
      await connection.raw("BEGIN");
    } catch (error) {
      await pool.release(connection);
      throw error;
    }
    transaction.timer = setTimeout(() => {
      const now = new Date().toISOString().replace("T", " ").replace("Z", " UTC");
      transaction.end = `${transaction.id}: ended at ${now} (exceeded timeout: ${
        transactionTimeout / 1000
      }s)`;
      pool.release(connection.close().then(() => connection));
    }, transactionTimeout);
    transactions.set(SessionUUID, transaction);
    const begun = structuredClone(session);
    begun.vitessSession.inTransaction = true;
    return { session: begun, result: {} };
  }

  async function endTransaction(how: "commit" | "rollback", session: Session): Promise<ExecuteReply> {
    const { SessionUUID, inTransaction } = session.vitessSession;
    const ended = structuredClone(session);
    delete ended.vitessSession.inTransaction;
    if (!inTransaction) return { session: ended, result: {} };
    const transaction = transactions.get(SessionUUID);
    transactions.delete(SessionUUID);
    clearTimeout(transaction?.timer);
    try {
      assertAlive(transaction);
      await transaction.connection.raw(how);
    } catch (error) {
      // Nothing is left to roll back, so it succeeds.
      if (how === "commit") return { session: ended, error: bodyOf(error, how) };
    } finally {
      // The timeout has released it already.
      if (transaction !== undefined && transaction.end === undefined) {
        await pool.release(transaction.connection);
      }
    }
    return { session: ended, result: {} };
  }

  function bodyOf(error: unknown, sql: string): RPCError {
    if (error instanceof GatewayError) return error.body;
    if (isMySQLError(error)) return tabletError(error, sql, context);
    throw error;
  }

  function assertAlive(transaction: Transaction | undefined): asserts transaction is Transaction {
    if (transaction === undefined) {
      throw new GatewayError(transactionError(`${lastTransaction}: not found`, context));
    }
    if (transaction.end !== undefined) throw new GatewayError(transactionError(transaction.end, context));
    if (transaction.connection.open) return;
    throw new GatewayError(transactionError(`${transaction.id}: not found`, context));
  }

  function newSession(): Session {
    return {
      signature,
      vitessSession: {
        autocommit: true,
        options: { includedFields: "ALL", clientFoundRows: true },
        DDLStrategy: "direct",
        SessionUUID: crypto.randomUUID(),
        enableSystemSettings: true,
      },
    };
  }

  async function stop(): Promise<void> {
    if (aborter.signal.aborted) return;
    aborter.abort();
    await server.finished;
    await pool.close();
    // All fail now that their connections are closed, and none may continue in the next test.
    await Promise.allSettled(executing);
    for (const { timer } of transactions.values()) clearTimeout(timer);
    if (options.grants !== undefined) {
      // The server may have been killed or stopped before.
      await mysql.query(`DROP USER IF EXISTS '${account.user}'@'%'`).catch(() => {});
    }
  }
}

/** An error that is not MySQL's. */
class GatewayError extends Error {
  readonly body: RPCError;
  constructor(body: RPCError) {
    super(body.message);
    this.body = body;
  }
}

function isMySQLError(error: unknown): error is MySQLError {
  return error instanceof Error && "errno" in error && "sqlState" in error;
}

function failure(status: number, code: string, message: string): Response {
  return Response.json({ error: { code, message } }, { status });
}

function addressOf({ host, port, user, password }: MySQLAccess): MySQLAddress {
  return { host, port, user, password };
}

async function createAccount(mysql: MySQLAccess, account: MySQLAddress, grants: string[]): Promise<void> {
  const grantee = `'${account.user}'@'%'`;
  await mysql.query(`CREATE USER ${grantee} IDENTIFIED BY '${account.password}'`);
  for (const grant of grants) {
    const [privileges, table] = grant.split(/\s+on\s+/i);
    await mysql.query(`GRANT ${privileges} ON \`${account.database}\`.${table ?? "*"} TO ${grantee}`);
  }
}

function setUpStatements(
  { timeZone = "+00:00", sqlMode = MYSQL8_SQL_MODE, clock, isolation }: GatewayOptions,
): string[] {
  const settings: string[] = [];
  if (timeZone !== null) settings.push(`time_zone = '${timeZone}'`);
  if (sqlMode !== null) settings.push(`sql_mode = '${sqlMode}'`);
  if (clock !== undefined) settings.push(`timestamp = ${clock / 1000}`);
  const statements = settings.length === 0 ? [] : [`SET ${settings.join(", ")}`];
  if (isolation !== undefined) statements.push(`SET SESSION TRANSACTION ISOLATION LEVEL ${isolation}`);
  return statements;
}

/** Connections that are kept for later statements. */
class ConnectionPool {
  readonly #address: MySQLAddress;
  readonly #setUp: string[];
  readonly #clock: number | undefined;
  readonly #all = new Set<MySQLConnection>();
  readonly #idle: MySQLConnection[] = [];
  readonly #opening = new Set<Promise<MySQLConnection>>();
  readonly #waiting: (() => void)[] = [];
  #taken = 0;
  #closed = false;

  constructor(address: MySQLAddress, setUp: string[], clock: number | undefined) {
    this.#address = address;
    this.#setUp = setUp;
    this.#clock = clock;
  }

  async acquire(): Promise<MySQLConnection> {
    if (this.#taken >= MAX_CONNECTIONS) await new Promise<void>((resolve) => this.#waiting.push(resolve));
    else this.#taken++;
    try {
      for (;;) {
        if (this.#closed) throw new GatewayError({ code: "UNAVAILABLE", message: "The gateway was stopped" });
        const connection = this.#idle.pop();
        if (connection === undefined) {
          const opening = this.#open();
          this.#opening.add(opening);
          return await opening.finally(() => this.#opening.delete(opening));
        }
        if (connection.open) return connection;
        await this.#discard(connection);
      }
    } catch (error) {
      this.#passOn();
      throw error;
    }
  }

  /** Returns a connection, or only its place if it was closed. */
  async release(connection: MySQLConnection | Promise<MySQLConnection>): Promise<void> {
    const returned = await connection;
    if (returned.open && !this.#closed) this.#idle.push(returned);
    else await this.#discard(returned);
    this.#passOn();
  }

  async close(): Promise<void> {
    this.#closed = true;
    for (const next of this.#waiting.splice(0)) next();
    await Promise.allSettled(this.#opening);
    await Promise.all([...this.#all].map((connection) => this.#discard(connection)));
  }

  async #open(): Promise<MySQLConnection> {
    const connection = await connect(this.#address);
    this.#all.add(connection);
    try {
      for (const statement of this.#setUp) await connection.raw(statement);
      if (this.#clock !== undefined) await this.#checkClock(connection);
      return connection;
    } catch (error) {
      await this.#discard(connection);
      throw error;
    }
  }

  async #checkClock(connection: MySQLConnection): Promise<void> {
    const [row] = await connection.rows("SELECT @@timestamp AS seconds");
    if (Math.abs(Number(row?.seconds) * 1000 - Number(this.#clock)) < 1) return;
    throw new Error(`Cannot set the server's clock to ${this.#clock} ms: it stops at ${row?.seconds} s`);
  }

  async #discard(connection: MySQLConnection): Promise<void> {
    this.#all.delete(connection);
    await connection.close();
  }

  #passOn(): void {
    const next = this.#waiting.shift();
    if (next === undefined) this.#taken--;
    else next();
  }
}

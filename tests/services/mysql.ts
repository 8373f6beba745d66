/**
 * A real MariaDB or MySQL server for tests. It is private: a free port of the loopback interface, its own data in a
 * temporary directory, no service and no configuration of the machine. In outline (not run as an example, because it
 * lacks the test):
 * ```ts ignore
 * let server: MySQLServer;
 * Deno.test.beforeAll(async () => {
 *   server = await startMySQL();
 * });
 * Deno.test.afterAll(() => server?.stop());
 * Deno.test("...", async () => {
 *   const database = await server.database();
 *   await server.query("CREATE TABLE sessions (...)", database);
 * });
 * ```
 * A start takes about half a second, and a new database a few milliseconds. So a test that needs no server of its own
 * takes a database of `sharedMySQL()`. The leak sanitizers do not see the server (see `_process.ts`), and `query()` leaves no connection open.
 *
 * The server is `mariadbd` or `mysqld` if installed, else MariaDB unpacked from Debian's packages. With `MYSQL_URL`
 * (`mysql://user:password@host:port`) the tests use a running server instead, in databases of their own.
 * @module
 */
import { findMySQL, isFile, type MySQLBinary } from "./_mysql_binary.ts";
import { connect, type MySQLAddress, type MySQLError } from "./_mysql_connection.ts";
import { zoneStatements } from "./_mysql_zones.ts";
import { freePort } from "./_port.ts";
import { type GuardedProcess, spawnGuarded } from "./_process.ts";
import { oncePerRun } from "./_run.ts";

/** Options of {@linkcode startMySQL}. With any of them the server is a private one, whatever `MYSQL_URL` says. */
export interface MySQLOptions {
  /** Whether it must be a private server, as for a test that kills it. */
  own?: true;
  /**
   * `time_zone` of sessions that do not set it: an offset, or one of the names in `_mysql_zones.ts`.
   * @default {"+00:00"}
   */
  timeZone?: string;
  /**
   * `sql_mode` of sessions that do not set it.
   * @default the one of MySQL 8, and so of PlanetScale
   */
  sqlMode?: string;
}

/** What a test needs of a server that others use too. */
export interface MySQLAccess {
  readonly host: string;
  readonly port: number;
  /** An account with all privileges. */
  readonly user: string;
  readonly password: string;
  /** Creates an empty database and returns its name. It is dropped with the server. */
  database(): Promise<string>;
  /**
   * Runs one statement as {@linkcode user}, in `database` if given, on its own connection.
   *
   * @returns Rows as objects, with dates as text and binary values as `Uint8Array`; empty for other statements.
   */
  query(sql: string, database?: string): Promise<Record<string, unknown>[]>;
}

/** A running server. */
export interface MySQLServer extends MySQLAccess, AsyncDisposable {
  /** The server's output so far, at most the last 64 KiB. */
  output(): string;
  /** Kills it at once, like a crash. The data stays. */
  kill(): Promise<void>;
  /** Starts it again after `kill()`, on the same port with the same data. */
  start(): Promise<void>;
  /** Kills it and removes its data. On the server of `MYSQL_URL` it drops the databases of the tests. */
  stop(): Promise<void>;
}

/** `sql_mode` of MySQL 8 as installed. */
export const MYSQL8_SQL_MODE = "ONLY_FULL_GROUP_BY,STRICT_TRANS_TABLES,NO_ZERO_IN_DATE,NO_ZERO_DATE," +
  "ERROR_FOR_DIVISION_BY_ZERO,NO_ENGINE_SUBSTITUTION";

/** How long a server may take until it is ready. Usually it takes 0.2 s. A busy machine gets a lot more. */
const START_TIMEOUT = 60_000;
const PORT_ATTEMPTS = 3;

/**
 * Starts a server, or connects to the one of `MYSQL_URL`.
 *
 * @throws {Error} There is no server program (the message says what to install), or it does not start (the message
 * ends with its output). Tests that need it must then fail, not skip.
 */
export async function startMySQL(options: MySQLOptions = {}): Promise<MySQLServer> {
  const url = Deno.env.get("MYSQL_URL");
  if (url && Object.keys(options).length === 0) return existingServer(url);

  const binary = await findMySQL();
  const dir = await Deno.makeTempDir({ prefix: "x-sessions-mysql-" });
  const user = "admin";
  const password = randomName("p");
  const args = [
    "--no-defaults",
    `--basedir=${binary.prefix}`,
    `--datadir=${dir}/data`,
    // On its start a server removes the temporary tables that it finds, even those of other servers.
    `--tmpdir=${dir}/tmp`,
    // Debian's MySQL needs a directory that only the full package creates.
    `--secure-file-priv=${dir}/tmp`,
    "--bind-address=127.0.0.1",
    `--socket=${dir}/socket`,
    `--pid-file=${dir}/pid`,
    // Accounts are created here, because neither server can do it while it creates a data directory.
    `--init-file=${dir}/accounts.sql`,
    "--skip-name-resolve",
    "--skip-log-bin",
    "--character-set-server=utf8mb4",
    `--default-time-zone=${options.timeZone ?? "+00:00"}`,
    `--sql-mode=${options.sqlMode ?? MYSQL8_SQL_MODE}`,
    "--max-connections=1000",
    "--max-allowed-packet=64M",
    ...SMALL,
    // A commit survives the death of the process, which tests cause, but not that of the machine.
    "--innodb-flush-log-at-trx-commit=2",
    "--loose-mysqlx=OFF",
    ...userArgs(),
  ];
  let port = 0;
  let current: GuardedProcess | undefined;
  try {
    await Deno.writeTextFile(
      `${dir}/accounts.sql`,
      `CREATE USER IF NOT EXISTS '${user}'@'%' IDENTIFIED BY '${password}';\n` +
        `GRANT ALL ON *.* TO '${user}'@'%' WITH GRANT OPTION;\n`,
    );
    await Deno.mkdir(`${dir}/tmp`);
    await makeDataDirectory(binary, dir);
    for (let attempt = 1; current === undefined; attempt++) {
      port = freePort();
      try {
        current = await launch(binary, args, { host: "127.0.0.1", port, user, password }, dir);
      } catch (error) {
        // Another process may have taken the port meanwhile. Other failures are rare enough to be retried too.
        if (attempt === PORT_ATTEMPTS) throw error;
      }
    }
  } catch (error) {
    await Deno.remove(dir, { recursive: true });
    throw error;
  }

  const address: MySQLAddress = { host: "127.0.0.1", port, user, password };
  let running = current;
  let stopped = false;
  return {
    ...accessMySQL(address),
    output: () => running.output(),
    kill: () => running.kill(),
    async start() {
      if (stopped) throw new Error("Cannot start MySQL server: it was stopped and its data is removed");
      if (running.exitCode() === undefined) throw new Error("Cannot start MySQL server: it is running");
      running = await launch(binary, args, address, dir);
    },
    stop,
    [Symbol.asyncDispose]: stop,
  };

  async function stop(): Promise<void> {
    if (stopped) return;
    stopped = true;
    await running.kill();
    await Deno.remove(dir, { recursive: true });
  }
}

let shared: Promise<MySQLAccess> | undefined;

/** One server for all files of a test run, which ends with it. Each test has a database of its own. */
export function sharedMySQL(): Promise<MySQLAccess> {
  return shared ??= oncePerRun("mysql", async () => {
    const { host, port, user, password } = await startMySQL();
    return { host, port, user, password };
  }).then(accessMySQL);
}

function accessMySQL(address: MySQLAddress): MySQLAccess {
  return {
    ...address,
    database: () => makeDatabase(address),
    query: (sql, database) => runOnce({ ...address, database }, sql),
  };
}

/** Settings of a small server that starts fast. Not every version knows the `loose` ones. */
const SMALL = [
  "--innodb-buffer-pool-size=32M",
  "--loose-innodb-log-file-size=8M",
  "--loose-innodb-redo-log-capacity=16M",
  "--loose-innodb-buffer-pool-dump-at-shutdown=OFF",
  "--loose-innodb-buffer-pool-load-at-startup=OFF",
  "--loose-aria-pagecache-buffer-size=8M",
  "--loose-performance-schema=OFF",
  "--table-open-cache=200",
  // What is written survives the death of the process without it, and each new table waits for the disk several times.
  "--innodb-flush-method=nosync",
  // Several servers at once would exceed an ordinary user's io_uring limit.
  "--innodb-use-native-aio=OFF",
];

function userArgs(): string[] {
  // Both servers refuse to run as root by default.
  return Deno.uid() === 0 ? ["--user=root"] : [];
}

/** Creates `${dir}/data`: system tables, no accounts, and named time zones. */
async function makeDataDirectory(binary: MySQLBinary, dir: string): Promise<void> {
  const common = [
    "--no-defaults",
    `--basedir=${binary.prefix}`,
    `--datadir=${dir}/data`,
    `--tmpdir=${dir}/tmp`,
    `--secure-file-priv=${dir}/tmp`,
    ...SMALL,
    ...userArgs(),
  ];
  const input = `${dir}/bootstrap.sql`;
  if (binary.flavour === "mysql") {
    await Deno.writeTextFile(input, zoneStatements().join("\n") + "\n");
    // It creates the directory itself, and fails if it exists.
    await runOrThrow(binary, [...common, "--initialize-insecure", `--init-file=${input}`], "/dev/null");
    return;
  }
  await Deno.mkdir(`${dir}/data`);
  const statements = [
    "CREATE DATABASE mysql;",
    "USE mysql;",
    // Otherwise the tables have accounts without a password, open to every user of the machine.
    "SET @auth_root_socket='root';",
    await systemTables(binary, "system_tables.sql"),
    await systemTables(binary, "system_tables_data.sql"),
    ...zoneStatements(),
  ];
  await Deno.writeTextFile(input, statements.join("\n") + "\n");
  await runOrThrow(binary, [...common, "--bootstrap", "--skip-log-bin"], input);
}

async function systemTables(binary: MySQLBinary, name: string): Promise<string> {
  // Named after MySQL up to MariaDB 10.11, and after MariaDB later.
  const places = ["share/mysql", "share/mariadb", "share"].flatMap((dir) =>
    ["mysql", "mariadb"].map((prefix) => `${binary.prefix}/${dir}/${prefix}_${name}`)
  );
  for (const place of places) {
    if (await isFile(place)) return await Deno.readTextFile(place);
  }
  throw new Error(`Cannot set up MariaDB: its system tables are in none of ${places.join(", ")}`);
}

async function runOrThrow(binary: MySQLBinary, args: string[], input: string): Promise<void> {
  const { success, stderr } = await new Deno.Command("sh", {
    args: ["-c", 'exec "$@" <"$0"', input, binary.command, ...args],
    env: binary.env,
    stdin: "null",
    stdout: "null",
  }).output();
  if (success) return;
  throw new Error(`Cannot set up a MySQL server:\n${new TextDecoder().decode(stderr).slice(-4096)}`);
}

/** Starts the process and waits until it accepts its account. */
async function launch(
  binary: MySQLBinary,
  args: string[],
  address: MySQLAddress,
  scratch: string,
): Promise<GuardedProcess> {
  const server = spawnGuarded(binary.command, [...args, `--port=${address.port}`], {
    env: binary.env,
    scratch,
  });
  try {
    const deadline = performance.now() + START_TIMEOUT;
    // Its own message comes first, because another server that took the port may accept connections and never answer.
    while (!server.output().includes("ready for connections")) {
      const code = server.exitCode();
      if (code !== undefined) throw new Error(`it ended with exit code ${code}`);
      if (performance.now() > deadline) throw new Error(`it was not ready after ${START_TIMEOUT} ms`);
      await new Promise((resolve) => setTimeout(resolve, 5));
    }
    await (await connect(address)).close();
    return server;
  } catch (error) {
    await server.kill();
    const reason = error instanceof Error ? error.message : String(error);
    const where = `${address.host}:${address.port}`;
    throw new Error(`Cannot start MySQL server on ${where}: ${reason}\n${server.output()}`, { cause: error });
  }
}

/** The server of `MYSQL_URL`. It is not ours, so it is neither killed nor configured. */
function existingServer(text: string): MySQLServer {
  const url = new URL(text);
  const address: MySQLAddress = {
    host: url.hostname,
    port: url.port === "" ? 3306 : Number(url.port),
    user: decodeURIComponent(url.username),
    password: decodeURIComponent(url.password),
  };
  const databases: string[] = [];
  const notOurs = () =>
    Promise.reject(new Error("Cannot kill or start the MySQL server of MYSQL_URL: it is not ours"));
  return {
    ...address,
    async database() {
      const name = await makeDatabase(address);
      databases.push(name);
      return name;
    },
    query: (sql, database) => runOnce({ ...address, database }, sql),
    output: () => "",
    kill: notOurs,
    start: notOurs,
    stop,
    [Symbol.asyncDispose]: stop,
  };

  async function stop(): Promise<void> {
    for (const name of databases.splice(0)) await runOnce(address, `DROP DATABASE IF EXISTS ${name}`);
  }
}

async function makeDatabase(address: MySQLAddress): Promise<string> {
  const name = randomName("x_sessions_");
  await runOnce(address, `CREATE DATABASE ${name} CHARACTER SET utf8mb4`);
  return name;
}

async function runOnce(address: MySQLAddress, sql: string): Promise<Record<string, unknown>[]> {
  const connection = await connect(address);
  try {
    return await connection.rows(sql);
  } finally {
    await connection.close();
  }
}

/** A name that needs no quoting in SQL, such as `"x_sessions_4f2a..."`. */
export function randomName(prefix: string): string {
  return prefix + crypto.getRandomValues(new Uint8Array(8)).toHex();
}

export type { MySQLError };

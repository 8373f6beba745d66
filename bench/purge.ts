/**
 * How a purge affects an application under load, with a million expired rows and a hundred thousand live ones. It compares
 * one purger, four purgers and SCS's single `DELETE` on the same data, on an SQLite file, a real libsql-server and a real MySQL
 * server.
 *
 *     deno run --allow-all bench/purge.ts
 *
 * - `ROWS` (1000000) and `LIVE` (100000) scale it.
 * - `IDLE` (30) is how many seconds without a purge are measured before each purge.
 * - `DATABASE` (`file,libsql,mysql`) and `PURGERS` (`1,4,SCS`) choose.
 * - With a million rows it takes about half an hour, and 3 GB in `TMPDIR`. A disk with slow syncs shows in every figure.
 *
 * `LATENCY=0,15,30,60,120` measures something else: how many rows a purge of 25 s deletes if the round trip to the server takes
 * this many milliseconds, without other traffic. It fails if that is less than 100,000, or if a statement takes the server more
 * than 200 ms. `ROWS` should be about 400000.
 *
 * @module
 */

import { startLibSQL } from "../tests/services/libsql.ts";
import { spawnGuarded } from "../tests/services/_process.ts";
import { startMySQL } from "../tests/services/mysql.ts";
import type { PurgerReport, PurgerTask } from "./_purger.ts";
import { openStore, type Place, runSQL } from "./_stores.ts";
import { DATA, Traffic, type TrafficReport } from "./_traffic.ts";

const EXPIRED = Number(Deno.env.get("ROWS") ?? 1_000_000);
const LIVE = Number(Deno.env.get("LIVE") ?? 100_000);
const IDLE = Number(Deno.env.get("IDLE") ?? 30);
const DATABASES = (Deno.env.get("DATABASE") ?? "file,libsql,mysql").split(",");
const LATENCIES = Deno.env.get("LATENCY")?.split(",").map(Number);
const PURGERS = (Deno.env.get("PURGERS") ?? "1,4,SCS").split(",");

/** The least that a purge must delete, wherever its database is. */
const WANTED = { rows: 100_000, longest: 200 };
/** Rows per statement when a table is filled. */
const CHUNK = 50_000;
const HOUR = 3_600_000;
/** A database that answers no read or no write for this many milliseconds has come to a standstill. */
const SILENCE = 120_000;
const HEX = new TextEncoder().encode(DATA).toHex();

interface Scenario {
  name: string;
  purgers: number;
  how: PurgerTask["how"];
}

const SCENARIOS: readonly Scenario[] = [
  { name: "1 purger", purgers: 1, how: "batches" },
  { name: "4 purgers", purgers: 4, how: "batches" },
  { name: "SCS's single DELETE", purgers: 1, how: "one statement" },
];

/** A server that can create tables. */
interface Database extends AsyncDisposable {
  name: string;
  place(table: string): Place;
  /** Adds rows from the first to the last. They expire in that order, from `first` to `last` milliseconds. */
  fill(place: Place, rows: { count: number; first: number; last: number }): Promise<void>;
  countLive(place: Place): Promise<number>;
  liveTokens(place: Place): Promise<string[]>;
}

async function openFile(): Promise<Database> {
  const directory = await Deno.makeTempDir({ prefix: "sessions_bench_" });
  const url = `file:${directory}/sessions.db`;
  // As in libsql-server: readers and writers do not wait for one another.
  await runSQL({ kind: "libsql", url, table: "" }, "PRAGMA journal_mode = WAL");
  return openSQLite("SQLite file", url, () => Deno.remove(directory, { recursive: true }));
}

async function openLibSQL(): Promise<Database> {
  const server = await startLibSQL();
  return openSQLite("libsql-server over HTTP", server.url, () => server.stop());
}

function openSQLite(name: string, url: string, close: () => Promise<void>): Database {
  const day = (ms: number) => `(${ms} + 210866760000000) / 86400000.0`;
  return {
    name,
    place: (table) => ({ kind: "libsql", url, table }),
    async fill(place, { count, first, last }) {
      for (let start = 0; start < count; start += CHUNK) {
        const end = Math.min(count, start + CHUNK);
        const expiry = `${first} + i * ${(last - first) / count} + random() % 60000`;
        await runSQL(
          place,
          `WITH RECURSIVE n(i) AS (SELECT ${start} UNION ALL SELECT i + 1 FROM n WHERE i < ${end - 1}) ` +
            `INSERT INTO ${place.table} (token, data, expiry) ` +
            `SELECT substr(hex(randomblob(22)), 1, 43), x'${HEX}', (${expiry} + 210866760000000) / 86400000.0 FROM n`,
        );
      }
    },
    async countLive(place) {
      const sql = `SELECT count(*) AS n FROM ${place.table} WHERE expiry > ${day(Date.now())}`;
      return Number((await runSQL(place, sql))[0]!.n);
    },
    async liveTokens(place) {
      const sql = `SELECT token FROM ${place.table} WHERE expiry > ${day(Date.now())} LIMIT 10000`;
      return (await runSQL(place, sql)).map(({ token }) => String(token));
    },
    [Symbol.asyncDispose]: close,
  };
}

async function openMySQL(): Promise<Database> {
  const server = await startMySQL();
  const database = await server.database();
  // The tests' server is small. This one keeps its indexes in memory, as suits such a table.
  for (const setting of ["innodb_buffer_pool_size = 1073741824", "innodb_log_file_size = 268435456"]) {
    await server.query(`SET GLOBAL ${setting}`).catch(() => console.log(`  (not set: ${setting})`));
  }
  const { host, port, user, password } = server;
  const args = [
    "run",
    "--quiet",
    "--no-check",
    "--allow-all",
    new URL("./_gateway.ts", import.meta.url).href,
  ];
  const gateway = spawnGuarded(Deno.execPath(), args, {
    env: { MYSQL_URL: `mysql://${user}:${password}@${host}:${port}`, DATABASE: database },
  });
  const url = await waitForOutput(gateway, /GATEWAY (\S+) /);
  const time = (ms: number) => `'${new Date(ms).toISOString().slice(0, -1)}'`;
  const digits =
    "(SELECT 0 d UNION ALL SELECT 1 UNION ALL SELECT 2 UNION ALL SELECT 3 UNION ALL SELECT 4 UNION ALL " +
    "SELECT 5 UNION ALL SELECT 6 UNION ALL SELECT 7 UNION ALL SELECT 8 UNION ALL SELECT 9)";
  return {
    name: "MySQL server through the PlanetScale driver",
    place: (table) => ({ kind: "mysql", url, table, direct: { host, port, user, password, database } }),
    async fill(place, { count, first, last }) {
      for (let start = 0; start < count; start += CHUNK) {
        const size = Math.min(CHUNK, count - start);
        const step = (last - first) / count;
        const expiry = `(${first} + (${start} + n.i) * ${step} + RAND() * 120000 - 60000) / 1000`;
        await runSQL(
          place,
          `INSERT INTO ${place.table} (token, data, expiry) SELECT LEFT(CONCAT(MD5(RAND()), MD5(RAND())), 43), ` +
            `x'${HEX}', FROM_UNIXTIME(${expiry}) FROM (SELECT a.d + 10 * b.d + 100 * c.d + 1000 * d.d + ` +
            `10000 * e.d AS i FROM ${digits} a, ${digits} b, ${digits} c, ${digits} d, ${digits} e ` +
            `HAVING i < ${size} ORDER BY i) n`,
        );
      }
    },
    async countLive(place) {
      const sql = `SELECT count(*) AS n FROM ${place.table} WHERE expiry > ${time(Date.now())}`;
      return Number((await runSQL(place, sql))[0]!.n);
    },
    async liveTokens(place) {
      const sql = `SELECT token FROM ${place.table} WHERE expiry > ${time(Date.now())} LIMIT 10000`;
      return (await runSQL(place, sql)).map(({ token }) => String(token));
    },
    async [Symbol.asyncDispose]() {
      await gateway.kill();
      await server.stop();
    },
  };
}

async function waitForOutput(process: ReturnType<typeof spawnGuarded>, pattern: RegExp): Promise<string> {
  while (true) {
    const found = pattern.exec(process.output())?.[1];
    if (found !== undefined) return found;
    if (process.exitCode() !== undefined) throw new Error(`It ended early:\n${process.output()}`);
    await wait(20);
  }
}

/** A thread with a purger. */
class Purger implements Disposable {
  readonly #worker = new Worker(new URL("./_purger.ts", import.meta.url), { type: "module" });

  run(task: PurgerTask): Promise<PurgerReport> {
    const { promise, resolve, reject } = Promise.withResolvers<PurgerReport>();
    this.#worker.onmessage = ({ data }: MessageEvent<PurgerReport>) => resolve(data);
    this.#worker.onerror = (event) => {
      event.preventDefault();
      reject(new Error(event.message));
    };
    this.#worker.postMessage(task);
    return promise;
  }

  [Symbol.dispose](): void {
    this.#worker.terminate();
  }
}

/** The database does not answer any more. */
class Stall extends Error {}

async function stallOf(traffic: Traffic, signal: AbortSignal): Promise<never> {
  while (!signal.aborted) {
    await wait(1_000);
    if (traffic.silence() > SILENCE) throw new Stall();
  }
  return await new Promise(() => {});
}

interface Outcome {
  scenario: Scenario;
  idle: TrafficReport;
  busy: TrafficReport;
  elapsed: number;
  reports: PurgerReport[];
  liveDeleted: number;
}

async function run(database: Database, scenario: Scenario, index: number): Promise<Outcome> {
  const place = database.place(`sessions_${index}`);
  const store = openStore(place);
  await (store as unknown as { createTable(): Promise<void> }).createTable();
  const now = Date.now();
  await database.fill(place, { count: EXPIRED, first: now - 24 * HOUR, last: now - HOUR });
  await database.fill(place, { count: LIVE, first: now + 3 * HOUR, last: now + 24 * HOUR });
  const tokens = await database.liveTokens(place);
  const before = await database.countLive(place);

  const quiet = await Traffic.start(store, tokens);
  await wait(IDLE * 1_000);
  const idle = await quiet.stop();

  const traffic = await Traffic.start(store, tokens);
  const started = performance.now();
  using purgers = new DisposableStack();
  const work = Array.from({ length: scenario.purgers }, () => {
    return purgers.use(new Purger()).run({ place, how: scenario.how });
  });
  const watching = new AbortController();
  const reports = await Promise.race([Promise.all(work), stallOf(traffic, watching.signal)])
    .catch((error) => {
      traffic.abandon();
      throw error;
    })
    .finally(() => watching.abort());
  const elapsed = performance.now() - started;
  const busy = await traffic.stop();
  const liveDeleted = before + idle.created + busy.created - await database.countLive(place);
  await runSQL(place, `DROP TABLE ${place.table}`);
  return { scenario, idle, busy, elapsed, reports, liveDeleted };
}

function print({ scenario, idle, busy, elapsed, reports, liveDeleted }: Outcome): void {
  const longest = Math.max(...reports.map((report) => report.longest));
  const sum = (figure: (report: PurgerReport) => number) =>
    reports.reduce((total, report) => total + figure(report), 0);
  const deleted = scenario.how === "batches" ? sum(({ deleted }) => deleted) : EXPIRED;
  const errors = reports.flatMap((report) => report.errors);
  console.log(
    `    rows deleted            ${count(deleted)} in ${ms(elapsed)}, ${
      count(deleted / elapsed * 1000)
    } a second`,
  );
  const statements = sum((report) => report.statements);
  console.log(
    `    statements              ${count(statements)}, ${
      ms(sum(({ worked }) => worked) / statements)
    } on average`,
  );
  console.log(`    longest statement       ${ms(longest)}`);
  for (const kind of ["reads", "writes"] as const) {
    const [calm, loaded] = [idle[kind], busy[kind]];
    console.log(
      `    ${kind.padEnd(24)}p50 ${ms(loaded.p50)}, p99 ${ms(loaded.p99)}, longest ${ms(loaded.longest)}`,
    );
    console.log(
      `      before the purge      p50 ${ms(calm.p50)}, p99 ${ms(calm.p99)}, longest ${ms(calm.longest)}`,
    );
  }
  console.log(`    held back behind it     ${count(busy.heldBack)} operations`);
  console.log(`    live rows deleted       ${count(liveDeleted)}`);
  console.log(`    errors of purgers       ${errors.length} ${[...new Set(errors)].join("; ")}`);
  const failed = [...idle.errors, ...busy.errors];
  console.log(`    errors of the traffic   ${failed.length} ${[...new Set(failed)].slice(0, 3).join("; ")}`);
  if (scenario.how !== "batches") return;
  console.log(`    turns ended by a lock   ${sum(({ busyTurns }) => busyTurns)}`);
  const wanted = [
    ...(scenario.purgers === 1 ? [[longest <= 200, "longest statement at most 200 ms"] as const] : []),
    [busy.reads.p99 <= 3 * idle.reads.p99, "p99 of reads at most 3 times that before the purge"],
    [
      busy.writes.p99 <= idle.writes.p99 + longest,
      "p99 of writes at most that before, and the longest statement",
    ],
    [liveDeleted === 0 && errors.length === 0, "no live row deleted, no error"],
  ] as const;
  for (const [held, what] of wanted) {
    console.log(`    ${held ? "holds " : "MISSED"}                  ${what}`);
  }
}

function ms(value: number): string {
  return value < 10_000 ? `${value.toFixed(value < 10 ? 1 : 0)} ms` : `${(value / 1000).toFixed(1)} s`;
}

function count(value: number): string {
  return value.toLocaleString("en", { maximumFractionDigits: 0 });
}

function wait(ms: number): Promise<void> {
  return new Promise((resolve) => setTimeout(resolve, ms));
}

/** One purge with a server this many milliseconds away. Returns a row of the table. */
async function purgeFrom(database: Database, way: number): Promise<string[]> {
  const place = { ...database.place(`far_${way}`), way };
  const store = openStore({ ...place, way: 0 });
  await (store as unknown as { createTable(): Promise<void> }).createTable();
  const now = Date.now();
  await database.fill(place, { count: EXPIRED, first: now - 24 * HOUR, last: now - HOUR });
  await database.fill(place, { count: LIVE, first: now + 3 * HOUR, last: now + 24 * HOUR });
  using purger = new Purger();
  const { deleted, statements, longest, worked, errors } = await purger.run({ place, how: "one turn" });
  await runSQL(place, `DROP TABLE ${place.table}`);
  const isFast = deleted >= WANTED.rows && longest - way <= WANTED.longest && errors.length === 0;
  if (!isFast) Deno.exitCode = 1;
  return [
    database.name,
    `${way} ms`,
    count(deleted),
    count(statements),
    ms(worked / statements - way),
    ms(longest - way),
    isFast ? "yes" : `NO ${errors.join("; ")}`,
  ];
}

const OPENERS = { file: openFile, libsql: openLibSQL, mysql: openMySQL };

if (LATENCIES !== undefined) {
  console.log(`${count(EXPIRED)} expired rows, ${count(LIVE)} live ones; a turn of 25 s\n`);
  console.log("| database | the way | rows deleted | statements | on average | longest | as wanted |");
  console.log("| --- | ---: | ---: | ---: | ---: | ---: | --- |");
  for (const [kind, open] of Object.entries(OPENERS)) {
    if (kind === "file" || !DATABASES.includes(kind)) continue;
    await using database = await open();
    for (const way of LATENCIES) console.log(`| ${(await purgeFrom(database, way)).join(" | ")} |`);
  }
  Deno.exit();
}

console.log(`${count(EXPIRED)} expired rows, ${count(LIVE)} live ones, 100 operations a second`);
for (const [kind, open] of Object.entries(OPENERS)) {
  if (!DATABASES.includes(kind)) continue;
  for (const [index, scenario] of SCENARIOS.entries()) {
    if (!PURGERS.includes(scenario.name.split(/\W/)[0]!)) continue;
    await using database = await open();
    try {
      const outcome = await run(database, scenario, index);
      console.log(`\n${database.name}, ${scenario.name}`);
      print(outcome);
    } catch (error) {
      if (!(error instanceof Stall)) throw error;
      // Seen with libsql-server and eight writers on two cores: they spin while they wait for a writer that ended
      // long ago.
      console.log(`\n${database.name}, ${scenario.name}: NO RESULT, the server came to a standstill`);
    }
  }
}

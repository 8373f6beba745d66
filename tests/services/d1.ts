/**
 * A real D1 database for tests: workerd's, started by Miniflare in its own process, which the leak sanitizers do not
 * see. Tests use the binding over HTTP, through an object with its methods. The contract of stores also runs inside
 * the Worker, on the binding itself.
 * @module
 */
import type { D1Database, D1Result, D1Statement, D1Value } from "../../stores/d1.ts";
import type { D1Query, D1Reply } from "./_d1_worker.ts";
import { inTurns } from "./_in_turns.ts";
import { type GuardedProcess, spawnGuarded } from "./_process.ts";
import { oncePerRun } from "./_run.ts";

/** A D1 database that other files of the tests use too. */
export interface D1Access {
  /** A database over HTTP that counts its calls, and sends at most so many at once. All have the same tables. */
  database(concurrency?: number): CountingD1;
  /** The cases of the contract. Each runs inside the Worker. */
  contract(): Promise<{ name: string; skipped?: string; run(): Promise<void> }[]>;
}

/** A running D1 database. */
export interface D1Server extends D1Access, AsyncDisposable {
  /** Its address. */
  readonly origin: string;
}

/** A database that counts the calls and the rows written. SQLite reports these rows, and D1 bills them. */
export interface CountingD1 extends D1Database {
  calls: number;
  rowsWritten: number;
}

const START_TIMEOUT = 120_000;

/** Starts workerd with an empty D1 database. */
export async function startD1(): Promise<D1Server> {
  const directory = await Deno.makeTempDir({ prefix: "x-sessions-d1-" });
  const code = `${directory}/worker.js`;
  await bundleWorker({ entry: pathOf("_d1_worker.ts"), output: code, args: ["--config", CONFIG] });
  const { origin, server } = await startMiniflare([code], directory);
  return {
    origin,
    ...accessD1(origin),
    async [Symbol.asyncDispose]() {
      await server.kill();
      await Deno.remove(directory, { recursive: true });
    },
  };
}

let shared: Promise<D1Access> | undefined;

/** One database for all files of a test run, which ends with it. Each test has a table of its own. */
export function sharedD1(): Promise<D1Access> {
  return shared ??= oncePerRun("d1", async () => (await startD1()).origin).then(accessD1);
}

function accessD1(origin: string): D1Access {
  const ask = async (path: string, init?: RequestInit) => await (await fetch(origin + path, init)).text();
  return {
    database(concurrency = Infinity) {
      const send = async (query: D1Query): Promise<D1Reply> =>
        JSON.parse(await ask("/query", { method: "POST", body: JSON.stringify(query) }));
      return remoteDatabase(inTurns(concurrency, send));
    },
    async contract() {
      const cases: { name: string; skipped?: string }[] = JSON.parse(await ask("/cases"));
      return cases.map((one, index) => ({
        ...one,
        async run() {
          const failure = await ask(`/run?case=${index}`);
          if (failure !== "") throw new Error(failure);
        },
      }));
    },
  };
}

/** A Worker that was copied into an application's directory, with its own D1 database. */
export interface D1Worker extends AsyncDisposable {
  /** Such as `"http://127.0.0.1:8787"`. */
  readonly url: string;
  /** Sends it a cron event, and returns how that ended. */
  scheduled(): Promise<string>;
}

/**
 * Bundles the Worker of an application and starts it in workerd.
 *
 * @param dir The application's directory, with its packages in `node_modules`.
 * @param files Its entry, and the migration that creates its table.
 */
export async function startD1Worker(
  dir: string,
  files: { entry: string; migration: string },
): Promise<D1Worker> {
  const code = `${dir}/worker.js`;
  const args = ["--no-config", "--no-lock", "--node-modules-dir=manual"];
  await bundleWorker({ entry: `${dir}/${files.entry}`, output: code, args, cwd: dir });
  const { origin, server } = await startMiniflare([code, `${dir}/${files.migration}`]);
  return {
    url: origin,
    scheduled: async () => await (await fetch(`${origin}/cdn-cgi/handler/scheduled`)).text(),
    [Symbol.asyncDispose]: () => server.kill(),
  };
}

const pathOf = (name: string) => decodeURIComponent(new URL(name, import.meta.url).pathname);
const CONFIG = pathOf("../../deno.json");

async function bundleWorker(
  { entry, output, args, cwd }: { entry: string; output: string; args: string[]; cwd?: string },
): Promise<void> {
  const bundling = new Deno.Command(Deno.execPath(), {
    args: [
      "bundle",
      "--quiet",
      ...args,
      "--external=cloudflare:workers",
      "--platform=browser",
      entry,
      "-o",
      output,
    ],
    cwd,
    stderr: "piped",
  });
  const { success, stderr } = await bundling.output();
  if (!success) throw new Error(`Cannot bundle the Worker of D1:\n${new TextDecoder().decode(stderr)}`);
}

/** @param scratch A directory to remove if the test process dies. */
async function startMiniflare(
  files: string[],
  scratch?: string,
): Promise<{ origin: string; server: GuardedProcess }> {
  // A shell that stays. Killing it ends the process; see there.
  const command = '"$0" run -A --quiet --no-check --no-lock --config "$@"; exit $?';
  const args = ["-c", command, Deno.execPath(), CONFIG, pathOf("_d1_server.ts"), ...files];
  const server = spawnGuarded("sh", args, { scratch });
  const deadline = performance.now() + START_TIMEOUT;
  while (true) {
    const origin = /listening on (\S+)/.exec(server.output())?.[1];
    if (origin !== undefined) return { origin, server };
    if (server.exitCode() !== undefined || performance.now() > deadline) {
      await server.kill();
      throw new Error(`Cannot start D1:\n${server.output()}`);
    }
    await new Promise((resolve) => setTimeout(resolve, 20));
  }
}

type Prepared = D1Statement & { query: D1Query["statements"][number] };

function remoteDatabase(ask: (query: D1Query) => Promise<D1Reply>): CountingD1 {
  const queryable = (session?: string) => {
    let bookmark = session;
    const send = async (statements: D1Query["statements"], isBatch: boolean): Promise<D1Result[]> => {
      counting.calls++;
      const reply = await ask({ session: bookmark, statements, isBatch });
      if (reply.results === undefined) throw new Error(reply.error);
      // Like the binding: later reads see at least this state.
      if (session !== undefined) bookmark = reply.bookmark;
      for (const { meta } of reply.results) counting.rowsWritten += meta.rows_written;
      return reply.results;
    };
    const prepare = (sql: string, args: D1Query["statements"][number]["args"] = []): Prepared => ({
      query: { sql, args },
      bind: (...values) => prepare(sql, values.map(toJSON)),
      all: async () => (await send([{ sql, args }], false))[0]!,
    });
    return {
      prepare: (sql: string) => prepare(sql),
      batch: async (statements: D1Statement[]) =>
        await send(statements.map((statement) => (statement as Prepared).query), true),
    };
  };
  const counting: CountingD1 = { ...queryable(), withSession: queryable, calls: 0, rowsWritten: 0 };
  return counting;
}

function toJSON(value: D1Value): string | number | number[] | null {
  return value instanceof Uint8Array ? Array.from(value) : value;
}

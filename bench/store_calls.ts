/**
 * What a store costs beyond its client. Each call is measured beside the statements that it has sent, which the bare
 * client sends again for another row. Last comes an `update` of one value in a file of many rows, beside the client's
 * `UPDATE ... SET data`.
 *
 *     deno run --allow-all --no-lock bench/store_calls.ts
 *
 * `STORES` (`memory,file,libsql,planetscale`) chooses. `CALLS` (2000 without HTTP, 300 with) is how many of each call are made,
 * and `ROWS` (300000) how many rows the file has. Medians.
 *
 * @module
 */

import { createClient as createNativeClient } from "@libsql/client";
import { createClient as createWebClient } from "@libsql/client/web";
import { Client as PlanetScaleClient } from "@planetscale/database";
import type { AtomicStore, NextRow } from "@x/sessions";
import { LibSQLStore } from "@x/sessions/stores/libsql";
import { MemoryStore } from "@x/sessions/stores/memory";
import { PlanetScaleStore } from "@x/sessions/stores/planetscale";
import { spawnGuarded } from "../tests/services/_process.ts";
import { startLibSQL } from "../tests/services/libsql.ts";
import { startMySQL } from "../tests/services/mysql.ts";
import { quantile } from "./_measure.ts";
import { chosenBy, circumstances, figure, markdownTable, numberSetting } from "./_report.ts";

const isChosen = chosenBy("STORES");
const ROWS = numberSetting("ROWS", 300_000);
const LIVE = Date.now() + 86_400_000;
const data = (count: number) =>
  new TextEncoder().encode(
    JSON.stringify({
      deadline: LIVE,
      values: { name: "Zoë", cart: [1001, 1002, 1003, 1004], count: 1_000 + count },
    }),
  );
const [EVEN, ODD] = [data(0), data(1)];
const token = (kind: string, index: number) => `${kind}${index}`.padEnd(43, "_");

/** One call of a client: the method and its arguments. */
interface Sent {
  method: string;
  given: unknown[];
}

/** A store, what its client has sent last, and a way to send that for another row. */
interface Bench {
  store: AtomicStore;
  calls: number;
  sent: Sent[];
  resend(sent: readonly Sent[], from: string, to: string): Promise<void>;
}

/** Records the calls of a client's methods. */
function recording<Client extends object>(client: Client, methods: readonly string[], sent: Sent[]): Client {
  return new Proxy(client, {
    get(target, name) {
      const value: unknown = Reflect.get(target, name, target);
      if (typeof value !== "function") return value;
      if (!methods.includes(String(name))) return value.bind(target);
      return (...given: unknown[]) => {
        sent.push({ method: String(name), given });
        return value.apply(target, given);
      };
    },
  });
}

/** Replaces a row's token by another row's, wherever it is. */
function exchange(value: unknown, from: string, to: string): unknown {
  if (value === from) return to;
  if (Array.isArray(value)) return value.map((item) => exchange(item, from, to));
  if (value instanceof Uint8Array || typeof value !== "object" || value === null) return value;
  return Object.fromEntries(Object.entries(value).map(([key, item]) => [key, exchange(item, from, to)]));
}

function benchOf<Client extends object>(
  client: Client,
  methods: readonly string[],
  makeStore: (client: Client) => AtomicStore,
  calls: number,
): Bench {
  const sent: Sent[] = [];
  return {
    store: makeStore(recording(client, methods, sent)),
    calls: numberSetting("CALLS", calls),
    sent,
    async resend(sent, from, to) {
      for (const { method, given } of sent) {
        const call = (client as Record<string, unknown>)[method] as (...given: unknown[]) => Promise<unknown>;
        await call.apply(client, exchange(given, from, to) as unknown[]);
      }
    },
  };
}

/** The store in memory has no client. It is measured beside a `Map` whose bytes are copied, as the store must. */
function memoryBench(): Bench {
  const rows = new Map<string, { data: Uint8Array; expiry: number }>();
  const sent: Sent[] = [];
  const store = new MemoryStore({ cleanup: "off" });
  const note = (method: string, ...given: unknown[]) => void sent.push({ method, given });
  return {
    store: new Proxy(store, {
      get(target, name) {
        const value: unknown = Reflect.get(target, name, target);
        if (typeof value !== "function") return value;
        return (...given: unknown[]) => {
          note(String(name), ...given);
          return value.apply(target, given);
        };
      },
    }),
    calls: numberSetting("CALLS", 20_000),
    sent,
    // deno-lint-ignore require-await
    async resend(sent, _from, to) {
      const [{ method, given }] = sent as [Sent];
      const row = rows.get(to);
      if (method === "find" && row !== undefined) copied = new Uint8Array(row.data);
      else if (method === "create") {
        rows.set(to, { data: new Uint8Array(given[1] as Uint8Array), expiry: LIVE });
      } else if (method === "update") {
        rows.set(to, { data: new Uint8Array((given[2] as NextRow).data), expiry: LIVE });
      } else if (method === "touch" && row !== undefined) row.expiry = given[1] as number;
      else if (method === "delete") rows.delete(to);
    },
  };
}
/** Uses the copy, so that the compiler does not leave it out. */
let copied: Uint8Array | undefined;

/** Microseconds at the median, of the store and of its client. */
async function compare(name: string, bench: Bench): Promise<string[][]> {
  const { store, calls, sent, resend } = bench;
  const operations: Record<string, (row: string, index: number) => Promise<unknown>> = {
    create: (row) => store.create(row, EVEN, LIVE, { now: Date.now() }),
    find: (row) => store.find(row, { now: Date.now() }),
    update: (row, index) =>
      index % 2 === 0
        ? store.update(row, EVEN, { data: ODD }, { now: Date.now() })
        : store.update(row, ODD, { data: EVEN }, { now: Date.now() }),
    touch: (row, index) => store.touch(row, LIVE + 1 + index, { now: Date.now() }),
    delete: (row) => store.delete(row, { now: Date.now() } as Parameters<AtomicStore["delete"]>[1]),
  };
  const rows: string[][] = [];
  for (const [operation, run] of Object.entries(operations)) {
    const times = { store: [] as number[], client: [] as number[] };
    // `create` makes a new row each time, and `delete` deletes those rows.
    const each = operation === "create" || operation === "delete";
    // Two calls of the store, then two of the client: each follows one of its own kind as often as one of the other.
    for (let pair = 0; pair < calls; pair += 2) {
      const statements: Sent[][] = [];
      for (const index of [pair, pair + 1]) {
        sent.length = 0;
        const started = performance.now();
        const result = await run(token("a", each ? index : 0), index);
        const time = performance.now() - started;
        if (result === false) throw new Error(`${name}: ${operation} did nothing`);
        statements.push(sent.slice());
        if (pair >= calls / 5) times.store.push(time * 1_000);
      }
      for (const index of [pair, pair + 1]) {
        const row = each ? index : 0;
        const started = performance.now();
        await resend(statements[index - pair]!, token("a", row), token("b", row));
        const time = performance.now() - started;
        if (pair >= calls / 5) times.client.push(time * 1_000);
      }
    }
    const [own, bare] = [quantile(times.store, 0.5), quantile(times.client, 0.5)];
    rows.push([`${name}, \`${operation}\``, figure(own, 1), figure(bare, 1), figure(own / bare, 2)]);
  }
  return rows;
}

/** Calls that are not measured. A server's calls are compiled code too. */
const WARM_UP = 20_000;

/**
 * The same for one value in a file of many rows. The client's statement is the shortest that does it. The two sides write
 * rows far apart: the second write to a page is faster than the first.
 */
async function updateInLargeFile(): Promise<string[]> {
  const directory = await Deno.makeTempDir({ prefix: "sessions_bench_" });
  try {
    const client = createNativeClient({ url: `file:${directory}/sessions.db` });
    const store = new LibSQLStore(client, { cleanup: "off" });
    await store.createTable();
    await client.execute("PRAGMA journal_mode = WAL");
    await client.execute("PRAGMA synchronous = NORMAL");
    await fill(client, ROWS);
    const rowAt = (place: number) => `t${String(place % ROWS).padStart(42, "0")}`;
    const calls = numberSetting("CALLS", 2_000);
    const step = Math.floor(ROWS / calls);
    const times = { store: [] as number[], client: [] as number[] };
    for (let index = -WARM_UP; index < calls; index++) {
      // The first calls are for the compiler, and change the same two rows back and forth.
      const place = index < 0 ? 1 : step * index;
      const [from, to] = index < 0 && index % 2 !== 0 ? [ODD, EVEN] : [EVEN, ODD];
      const [ours, theirs] = [rowAt(place), rowAt(place + Math.floor(ROWS / 2 + step / 2))];
      const sides = {
        store: () => store.update(ours, from, { data: to }, { now: Date.now() }),
        client: () =>
          client.execute({ sql: "UPDATE sessions SET data = ? WHERE token = ?", args: [to, theirs] }),
      };
      // Each side goes first every second time.
      const order = index % 2 === 0 ? ["store", "client"] as const : ["client", "store"] as const;
      for (const side of order) {
        const started = performance.now();
        const result = await sides[side]();
        const time = performance.now() - started;
        if (result === false) throw new Error("update did nothing");
        if (index >= 0) times[side].push(time * 1_000);
      }
    }
    client.close();
    const [own, bare] = [quantile(times.store, 0.5), quantile(times.client, 0.5)];
    return [
      `file of ${ROWS.toLocaleString("en")} rows, \`update\` beside \`UPDATE ... SET data\``,
      figure(own, 1),
      figure(bare, 1),
      figure(own / bare, 2),
    ];
  } finally {
    await Deno.remove(directory, { recursive: true });
  }
}

async function fill(client: { execute(sql: string): Promise<unknown> }, count: number): Promise<void> {
  await client.execute(
    `WITH RECURSIVE n(i) AS (SELECT 0 UNION ALL SELECT i + 1 FROM n WHERE i < ${count - 1})
     INSERT INTO sessions (token, data, expiry, subject)
     SELECT 't' || printf('%042d', i), x'${EVEN.toHex()}', ${LIVE} / 86400000.0 + 2440587.5, 'user-' || (i / 5) FROM n`,
  );
}

const rows: string[][] = [];
if (isChosen("memory")) rows.push(...await compare("memory", memoryBench()));
if (isChosen("file")) {
  const directory = await Deno.makeTempDir({ prefix: "sessions_bench_" });
  try {
    const client = createNativeClient({ url: `file:${directory}/sessions.db` });
    await client.execute("PRAGMA journal_mode = WAL");
    await client.execute("PRAGMA synchronous = NORMAL");
    const bench = benchOf(
      client,
      ["execute", "batch"],
      (used) => new LibSQLStore(used, { cleanup: "off" }),
      2_000,
    );
    await (bench.store as LibSQLStore).createTable();
    rows.push(...await compare("file", bench));
    client.close();
  } finally {
    await Deno.remove(directory, { recursive: true });
  }
  rows.push(await updateInLargeFile());
}
if (isChosen("libsql")) {
  await using server = await startLibSQL();
  const client = createWebClient({ url: server.url, concurrency: Infinity });
  const bench = benchOf(
    client,
    ["execute", "batch"],
    (used) => new LibSQLStore(used, { cleanup: "off" }),
    300,
  );
  await (bench.store as LibSQLStore).createTable();
  rows.push(...await compare("libsql-server", bench));
}
if (isChosen("planetscale")) {
  const mysql = await startMySQL();
  const { host, port, user, password } = mysql;
  const database = await mysql.database();
  // In a process of its own, so that its work is not measured.
  const gateway = spawnGuarded(Deno.execPath(), [
    "run",
    "--allow-all",
    "--quiet",
    decodeURIComponent(new URL("./_gateway.ts", import.meta.url).pathname),
  ], { env: { MYSQL_URL: `mysql://${user}:${password}@${host}:${port}`, DATABASE: database } });
  try {
    let url: string | undefined;
    for (let waited = 0; url === undefined; waited++) {
      url = / *GATEWAY (\S+) \./.exec(gateway.output())?.[1];
      if (gateway.exitCode() !== undefined || waited > 3_000) {
        throw new Error(`No gateway:\n${gateway.output()}`);
      }
      await new Promise((resolve) => setTimeout(resolve, 10));
    }
    const client = new PlanetScaleClient({ url });
    const bench = benchOf(client, ["execute"], (used) => new PlanetScaleStore(used, { cleanup: "off" }), 300);
    await (bench.store as PlanetScaleStore).createTable();
    rows.push(...await compare("PlanetScale", bench));
  } finally {
    await gateway.kill();
  }
}
if (copied?.length === 0) throw new Error("The rows are empty");
console.log(`${circumstances()}; microseconds at the median\n`);
console.log(markdownTable(["call", "store", "its client alone", "times"], rows));

/**
 * Whether calls stay fast as the number of sessions grows: `find`, `sessionsOf` and `destroyAll` with 1,000, 100,000 and
 * 1,000,000 sessions. Each user has five. They run in memory and in an SQLite file. Also the memory that a session takes.
 *
 *     deno run --allow-all --no-lock --v8-flags=--expose-gc bench/growth.ts
 *
 * `SIZES` and `STORES` (`memory,file`) choose. Medians of `CALLS` (300) calls.
 *
 * @module
 */

import { createClient } from "@libsql/client";
import { jsonCodec, sessions, type SessionStore } from "@x/sessions";
import { LibSQLStore } from "@x/sessions/stores/libsql";
import { MemoryStore } from "@x/sessions/stores/memory";
import process from "node:process";
import { quantile } from "./_measure.ts";
import { chosenBy, circumstances, figure, markdownTable, numberSetting, setting } from "./_report.ts";

const SIZES = (setting("SIZES") ?? "1000,100000,1000000").split(",").map(Number);
const isChosen = chosenBy("STORES");
const CALLS = numberSetting("CALLS", 300);
const PER_USER = 5;
const LIVE = Date.now() + 86_400_000;

const token = (index: number) => `t${String(index).padStart(42, "0")}`;
const user = (index: number) => `user-${Math.floor(index / PER_USER)}`;
const bytes = (index: number) =>
  jsonCodec.encode(LIVE, {
    name: "Zoë",
    cart: [1001, 1002, 1003, 1004],
    count: 7,
    __subject: user(index),
    __createdAt: LIVE,
    __nonces: "abcdefghijkl",
  });

/** Median in microseconds. */
async function timed(work: (index: number) => Promise<unknown>): Promise<number> {
  const times: number[] = [];
  for (let index = 0; index < CALLS; index++) {
    const started = performance.now();
    await work(index);
    times.push((performance.now() - started) * 1_000);
  }
  return quantile(times, 0.5);
}

async function measureStore(store: SessionStore, size: number): Promise<number[]> {
  const manager = sessions({ store, hashTokenInStore: false });
  const at = (index: number) => Math.floor(size / CALLS * index) % size;
  const now = Date.now();
  const find = await timed(async (index) => {
    if (await store.find(token(at(index)), { now }) === undefined) throw new Error("find() found nothing");
  });
  const sessionsOf = await timed(async (index) => {
    const { length } = await manager.sessionsOf(user(at(index)));
    if (length !== PER_USER) throw new Error(`sessionsOf() found ${length}`);
  });
  // Each call uses other users, as long as there are enough.
  const users = Math.min(CALLS, Math.floor(size / PER_USER));
  let next = 0;
  const destroyAll = await timed(async () => {
    const count = await manager.destroyAll(`user-${Math.floor(size / PER_USER / users) * next}`);
    if (next < users && count !== PER_USER) throw new Error(`destroyAll() ended ${count}`);
    next++;
  });
  return [find, sessionsOf, destroyAll];
}

/** Bytes in use after garbage collection. */
function inUse(): number {
  (globalThis as { gc?: () => void }).gc?.();
  const { heapUsed, external } = process.memoryUsage();
  return heapUsed + external;
}

const rows: string[][] = [];
for (const size of SIZES) {
  if (!isChosen("memory")) break;
  const store = new MemoryStore({ cleanup: "off", maxSessions: 2 * size });
  const before = inUse();
  const now = Date.now();
  for (let index = 0; index < size; index++) {
    await store.create(token(index), bytes(index), LIVE + index % 1_000, { now, subject: user(index) });
  }
  const perSession = (inUse() - before) / size;
  const times = await measureStore(store, size);
  rows.push([
    "memory",
    size.toLocaleString("en"),
    ...times.map((time) => figure(time, 1)),
    figure(perSession, 0),
  ]);
}
for (const size of SIZES) {
  if (!isChosen("file")) break;
  const directory = await Deno.makeTempDir({ prefix: "sessions_bench_" });
  try {
    const client = createClient({ url: `file:${directory}/sessions.db` });
    const store = new LibSQLStore(client, { cleanup: "off" });
    await store.createTable();
    await client.execute("PRAGMA journal_mode = WAL");
    await client.execute("PRAGMA synchronous = NORMAL");
    const sample = new TextDecoder().decode(bytes(0)).split(user(0));
    if (sample.length !== 2) throw new Error("The data names its user once");
    await client.execute({
      sql: `WITH RECURSIVE n(i) AS (SELECT 0 UNION ALL SELECT i + 1 FROM n WHERE i < ?1)
        INSERT INTO sessions (token, data, expiry, subject)
        SELECT 't' || printf('%042d', i), CAST(?2 || 'user-' || (i / ?3) || ?4 AS BLOB),
          (?5 + i % 1000) / 86400000.0 + 2440587.5, 'user-' || (i / ?3) FROM n`,
      args: [BigInt(size - 1), sample[0]!, BigInt(PER_USER), sample[1]!, LIVE],
    });
    const { rows: [space] } = await client.execute(
      "SELECT page_count * page_size AS bytes FROM pragma_page_count, pragma_page_size",
    );
    const times = await measureStore(store, size);
    client.close();
    rows.push([
      "SQLite file",
      size.toLocaleString("en"),
      ...times.map((time) => figure(time, 1)),
      figure(Number(space!.bytes) / size, 0),
    ]);
  } finally {
    await Deno.remove(directory, { recursive: true });
  }
}
console.log(`${circumstances()}; microseconds at the median of ${CALLS} calls\n`);
console.log(
  markdownTable(["store", "sessions", "find", "sessionsOf", "destroyAll", "bytes a session"], rows),
);

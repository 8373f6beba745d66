/**
 * The cost of single steps that a request may consist of, on each runtime. It shows which ones to avoid first.
 *
 *     deno run --allow-all --no-lock bench/primitives.ts
 *     deno run --allow-all --no-lock bench/run_on.ts node bench/primitives.ts
 *     deno run --allow-all --no-lock bench/run_on.ts bun bench/primitives.ts
 *
 * Figures are in nanoseconds, without the cost of an empty step: the lower quartile of `ROUNDS` (30) alternating rounds.
 *
 * @module
 */

import { sha256 } from "@noble/hashes/sha2.js";
import { Buffer } from "node:buffer";
import process from "node:process";
import { type Context, Hono } from "hono";
import { clock, measure, type Round } from "./_measure.ts";
import { circumstances, markdownTable, numberSetting } from "./_report.ts";

const ROUNDS = numberSetting("ROUNDS", 30);
const STEPS = numberSetting("STEPS", 1_000);

/** The results of steps go here, so that no compiler removes them. */
const kept: unknown[] = new Array(64).fill(undefined);
const sync = (step: (index: number) => unknown): Round => () => {
  const started = clock();
  for (let index = 0; index < STEPS; index++) kept[index & 63] = step(index);
  return Promise.resolve((clock() - started) * 1e6 / STEPS);
};
const async = (step: (index: number) => unknown): Round => async () => {
  const started = clock();
  for (let index = 0; index < STEPS; index++) kept[index & 63] = await step(index);
  return (clock() - started) * 1e6 / STEPS;
};
/** The input of a step is created before the clock starts. */
const prepared = <T>(make: () => T, step: (made: T) => unknown): Round => () => {
  const made = Array.from({ length: STEPS }, make);
  const started = clock();
  for (let index = 0; index < STEPS; index++) kept[index & 63] = step(made[index]!);
  return Promise.resolve((clock() - started) * 1e6 / STEPS);
};

const TOKEN = "3mGXnkGs4Sp2zmM8jWbXZ1Yw9uRoVKqxhE0tFLgdC7A";
const COOKIE = `session=${TOKEN}`;
const URL_TEXT = "https://example.com/read";
const VALUES = {
  name: "Zoë",
  cart: [1001, 1002, 1003, 1004],
  count: 7,
  __createdAt: 1_790_000_000_000,
  __nonces: "abcdefghijkl",
};
const TEXT = JSON.stringify({ deadline: 1_790_000_000_000, values: VALUES });
const encoder = new TextEncoder();
const decoder = new TextDecoder();
const strictDecoder = new TextDecoder("utf-8", { fatal: true, ignoreBOM: true });
const BYTES = encoder.encode(TEXT);
const OTHER = encoder.encode(TEXT);
const HASH = sha256(encoder.encode(TOKEN));
const weak = new WeakMap<object, unknown>();
const nodeCrypto = (process as unknown as { getBuiltinModule?(name: string): typeof import("node:crypto") })
  .getBuiltinModule?.("node:crypto");
const bun = (globalThis as {
  Bun?: { CryptoHasher: new (name: string) => { update(data: string): { digest(as: string): string } } };
}).Bun;

class Fields {
  a: unknown;
  b: unknown = 1;
  c: unknown = undefined;
  d: unknown = false;
  e: unknown = 2;
  f: unknown = 3;
  constructor(a: unknown) {
    this.a = a;
  }
  one() {
    return this.b;
  }
  two() {
    return this.one();
  }
}
class Private {
  readonly #a: unknown;
  #b: unknown = 1;
  #c: unknown = undefined;
  #d: unknown = false;
  #e: unknown = 2;
  #f: unknown = 3;
  constructor(a: unknown) {
    this.#a = a;
  }
  one() {
    return this.#b;
  }
  two() {
    return this.one();
  }
  use() {
    return [this.#a, this.#c, this.#d, this.#e, this.#f];
  }
}
class PrivateMethods {
  readonly #a: unknown;
  #b: unknown = 1;
  #c: unknown = undefined;
  #d: unknown = false;
  #e: unknown = 2;
  #f: unknown = 3;
  constructor(a: unknown) {
    this.#a = a;
  }
  one() {
    return this.#two();
  }
  #two() {
    return this.#three();
  }
  #three() {
    return this.#b;
  }
  #four() {
    return this.#a;
  }
  #five() {
    return this.#c;
  }
  #six() {
    return this.#d;
  }
  use() {
    return [this.#four(), this.#five(), this.#six(), this.#e, this.#f];
  }
}
const closures = (a: unknown) => {
  let b = 1;
  return { one: () => b, two: () => a, three: () => b++, four: () => [a, b], five: () => a };
};
class WithGetter {
  readonly context: unknown;
  constructor(context: unknown) {
    this.context = context;
  }
  get waitUntil() {
    return this.context;
  }
}

const layer0 = () => 1;
// deno-lint-ignore require-await
const layer1 = async () => 1;
const layer2 = async () => await layer1();
const layer4 = async () => await (async () => await layer2())();
const layer8 = async () => await (async () => await (async () => await (async () => await layer4())())())();
const passed4 = () => (() => (() => layer1())())();
const waitFor = async <T>(work: Promise<T>): Promise<T> => {
  let timer: ReturnType<typeof setTimeout> | undefined;
  const late = new Promise<never>((_, reject) =>
    void (timer = setTimeout(() => reject(new Error("late")), 5_000))
  );
  work.catch(() => {});
  try {
    return await Promise.race([work, late]);
  } finally {
    clearTimeout(timer);
  }
};

const DIGITS = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-_";
function base64url(bytes: Uint8Array): string {
  let text = "";
  for (let start = 0; start < bytes.length; start += 3) {
    const bits = bytes[start]! << 16 | (bytes[start + 1] ?? 0) << 8 | (bytes[start + 2] ?? 0);
    const left = bytes.length - start;
    text += DIGITS[bits >> 18]! + DIGITS[bits >> 12 & 63]!;
    if (left > 1) text += DIGITS[bits >> 6 & 63]!;
    if (left > 2) text += DIGITS[bits & 63]!;
  }
  return text;
}
const equal = (a: Uint8Array, b: Uint8Array) => {
  if (a.length !== b.length) return false;
  for (let i = 0; i < a.length; i++) if (a[i] !== b[i]) return false;
  return true;
};

const request = () => new Request(URL_TEXT, { headers: { cookie: COOKIE } });
const text = () => new Response("read", { headers: { "content-type": "text/plain;charset=UTF-8" } });
/** As `c.text()` makes it. */
let context!: Context;
const grab = new Hono().get("/read", (c) => {
  context = c;
  return c.text("read");
});
await grab.fetch(request());
const viaHono = new Hono().get("/read", (c) => c.text("read"));
const withMiddleware = new Hono().use(async (_c, next) => {
  await next();
}).get("/read", (c) => c.text("read"));
const withThis = (change: (c: Context) => unknown) => {
  const app = new Hono().use(async (c, next) => {
    await next();
    change(c);
  }).get("/read", (c) => c.text("read"));
  return async(() => app.fetch(request()));
};

const STEPS_BY_NAME: Record<string, Round> = {
  "(empty step)": sync((index) => index),
  "(empty awaited step)": async((index) => index),

  "OBJECTS": sync((index) => index),
  "object literal, 6 properties": sync((index) => ({ a: index, b: 1, c: undefined, d: false, e: 2, f: 3 })),
  "class, 6 public fields": sync((index) => new Fields(index)),
  "class, 6 #fields": sync((index) => new Private(index)),
  "class, 6 #fields, 5 #methods": sync((index) => new PrivateMethods(index)),
  "object of 5 closures": sync(closures),
  "class, public fields, and one call": sync((index) => new Fields(index).two()),
  "class, #fields, and one call": sync((index) => new Private(index).two()),
  "class, #methods, and one call of three": sync((index) => new PrivateMethods(index).one()),
  "class with a getter": sync((index) => new WithGetter(index)),
  "object literal with a getter": sync((index) => ({
    get waitUntil() {
      return index;
    },
  })),
  "new Map()": sync(() => new Map()),
  "new Map(), one set, one get": sync((index) => new Map().set("name", index).get("name")),
  "new Set()": sync(() => new Set()),
  "spread of an object, 6 properties": sync((index) => ({ ...VALUES, index })),

  "PROMISES": sync((index) => index),
  "await of a plain value": async(layer0),
  "one async function": async(layer1),
  "two, each with await": async(layer2),
  "four, each with await": async(layer4),
  "eight, each with await": async(layer8),
  "four that hand the promise on": async(passed4),
  "Promise.resolve().then(work)": async(() => Promise.resolve().then(layer1)),
  "…then(work), and .catch() beside it": async(() => {
    const run = Promise.resolve().then(layer1);
    run.catch(() => {});
    return run;
  }),
  "race with a timer, cleared": async(() => waitFor(layer1())),
  "setTimeout and clearTimeout": sync(() => clearTimeout(setTimeout(() => {}, 5_000))),

  "LOOKING UP": sync((index) => index),
  "WeakMap: set of a new key": sync((index) => weak.set({}, index)),
  "WeakMap: set and get of a new key": sync((index) => {
    const key = {};
    weak.set(key, index);
    return weak.get(key);
  }),
  "WeakMap: set of a Request, less making it": prepared(request, (made) => weak.set(made, 1)),
  "WeakMap: get of an unknown Request": prepared(request, (made) => weak.get(made)),
  "c.executionCtx, which throws": sync(() => {
    try {
      return context.executionCtx;
    } catch {
      return undefined;
    }
  }),
  "new Error() thrown and caught": sync(() => {
    try {
      throw new Error("no");
    } catch (error) {
      return error;
    }
  }),
  "performance.now()": sync(() => performance.now()),
  "Date.now()": sync(() => Date.now()),

  "REQUEST": sync((index) => index),
  "new Request() with a cookie": sync(request),
  "request.url": prepared(request, (made) => made.url),
  'request.headers.get("cookie"), first': prepared(request, (made) => made.headers.get("cookie")),
  "…and a second header": prepared(request, (made) => {
    made.headers.get("cookie");
    return made.headers.get("x-forwarded-proto");
  }),
  "request.signal, first": prepared(request, (made) => made.signal),
  "new AbortController()": sync(() => new AbortController()),
  "…and its signal": sync(() => new AbortController().signal),
  "AbortSignal.timeout()": sync(() => AbortSignal.timeout(1)),
  "new Headers()": sync(() => new Headers()),
  'header.split(";"), indexOf, slice': sync(() => {
    for (const pair of COOKIE.split(";")) {
      const equals = pair.indexOf("=");
      if (pair.slice(0, equals) === "session") return pair.slice(equals + 1);
    }
  }),
  "/^[\\w-]+$/ of a token": sync(() => /^[\w-]+$/.test(TOKEN)),

  "RESPONSE": sync((index) => index),
  "new Response(text)": sync(() => new Response("read")),
  "new Response(text, { headers })": sync(text),
  "response.headers, first": prepared(text, (made) => made.headers),
  "headers.has()": prepared(text, (made) => made.headers.has("cache-control")),
  "headers.get()": prepared(text, (made) => made.headers.get("vary")),
  "headers.set()": prepared(text, (made) => made.headers.set("cache-control", "private")),
  "headers.append()": prepared(text, (made) => made.headers.append("vary", "Cookie")),
  "get, append, has, set (Vary and Cache-Control)": prepared(text, (made) => {
    const { headers } = made;
    if (headers.get("vary") === null) headers.append("vary", "Cookie");
    if (!headers.has("cache-control")) headers.set("cache-control", "private");
  }),
  "append and set alone": prepared(text, (made) => {
    made.headers.append("vary", "Cookie");
    made.headers.set("cache-control", "private");
  }),
  "response.body !== null": prepared(text, (made) => made.body !== null),
  "response.status": prepared(text, (made) => made.status),
  "new Response(body, response)": prepared(text, (made) => new Response(made.body, made)),

  "BYTES": sync((index) => index),
  "encode 43 characters": sync(() => encoder.encode(TOKEN)),
  "encode the session": sync(() => encoder.encode(TEXT)),
  "Buffer.from() of the session": sync(() => Buffer.from(TEXT)),
  "decode the session": sync(() => decoder.decode(BYTES)),
  "decode, fatal": sync(() => strictDecoder.decode(BYTES)),
  "Buffer toString() of the session": sync(() =>
    Buffer.from(BYTES.buffer, BYTES.byteOffset, BYTES.byteLength).toString()
  ),
  "new Uint8Array(bytes)": sync(() => new Uint8Array(BYTES)),
  "bytes.slice()": sync(() => BYTES.slice()),
  "equal bytes, by hand": sync(() => equal(BYTES, OTHER)),
  "JSON.parse": sync(() => JSON.parse(TEXT)),
  "JSON.stringify": sync(() => JSON.stringify(VALUES)),
  "new Map(Object.entries())": sync(() => new Map(Object.entries(VALUES))),
  "Map by a for-in loop": sync(() => {
    const map = new Map<string, unknown>();
    for (const key in VALUES) map.set(key, VALUES[key as keyof typeof VALUES]);
    return map;
  }),
  "Object.fromEntries(map)": sync(() => Object.fromEntries(new Map(Object.entries(VALUES)))),
  "text.includes('\"$')": sync(() => TEXT.includes('"$')),

  "RANDOM AND HASH": sync((index) => index),
  "getRandomValues, 32 bytes": sync(() => crypto.getRandomValues(new Uint8Array(32))),
  "getRandomValues, 2,048 bytes": sync(() => crypto.getRandomValues(new Uint8Array(2_048))),
  "crypto.randomUUID()": sync(() => crypto.randomUUID()),
  "base64url of 32 bytes, by hand": sync(() => base64url(HASH)),
  "base64url of 32 bytes, Buffer": sync(() =>
    Buffer.from(HASH.buffer, HASH.byteOffset, HASH.byteLength).toString("base64url")
  ),
  'toBase64({ alphabet: "base64url" })': sync(() =>
    (HASH as unknown as { toBase64?(options: object): string }).toBase64?.({
      alphabet: "base64url",
      omitPadding: true,
    })
  ),
  "btoa(String.fromCharCode(...))": sync(() => btoa(String.fromCharCode(...HASH))),
  "sha256 of noble": sync(() => sha256(encoder.encode(TOKEN))),
  "sha256 of noble, base64url by hand": sync(() => base64url(sha256(encoder.encode(TOKEN)))),
  'node:crypto createHash().digest("base64url")': sync(() =>
    nodeCrypto?.createHash("sha256").update(TOKEN).digest("base64url")
  ),
  'node:crypto hash(…, "base64url")': sync(() => nodeCrypto?.hash?.("sha256", TOKEN, "base64url")),
  "Bun.CryptoHasher": sync(() => bun && new bun.CryptoHasher("sha256").update(TOKEN).digest("base64url")),
  "crypto.subtle.digest": async(() => crypto.subtle.digest("SHA-256", encoder.encode(TOKEN))),
  "new Date().toUTCString()": sync((index) => new Date(1_790_000_000_000 + index * 1_000).toUTCString()),

  "HONO": sync((index) => index),
  "one route": async(() => viaHono.fetch(request())),
  "…with an empty async middleware": async(() => withMiddleware.fetch(request())),
  '…that reads c.req.raw.headers.get("cookie")': withThis((c) => c.req.raw.headers.get("cookie")),
  "…that calls c.set(), c.get()": withThis((c) => {
    c.set("session" as never, 1 as never);
    return c.get("session" as never);
  }),
  "…that looks at c.res": withThis((c) => c.res),
  "…that does append and set on c.res.headers": withThis((c) => {
    c.res.headers.append("vary", "Cookie");
    c.res.headers.set("cache-control", "private");
  }),
  "…that calls c.header() twice": withThis((c) => {
    c.header("vary", "Cookie", { append: true });
    c.header("cache-control", "private");
  }),
  "…that looks at c.res.body": withThis((c) => c.res.body),
};

const absent: Record<string, boolean> = {
  'node:crypto hash(…, "base64url")': nodeCrypto?.hash === undefined,
  'node:crypto createHash().digest("base64url")': nodeCrypto === undefined,
  "Bun.CryptoHasher": bun === undefined,
  'toBase64({ alphabet: "base64url" })': !("toBase64" in Uint8Array.prototype),
};

const times = await measure(new Map(Object.entries(STEPS_BY_NAME)), { rounds: ROUNDS, warmUp: 10 });
const [empty, awaited] = [times.get("(empty step)")!, times.get("(empty awaited step)")!];
const PROMISES = /await|async|then|race|hand the promise|four|eight|subtle|one route|^…(with an|that)/;
console.log(
  `${circumstances()}; nanoseconds, less an empty step (${empty.toFixed(0)}, awaited ${
    awaited.toFixed(0)
  })\n`,
);
console.log(markdownTable(
  ["step", "ns"],
  [...times].map(([name, time]) => {
    if (/^[A-Z ]+$/.test(name)) return [`**${name.toLowerCase()}**`, ""];
    if (absent[name]) return [name, "–"];
    return [name, Math.max(0, time - (PROMISES.test(name) ? awaited : empty)).toFixed(0)];
  }),
));
if (kept.length === 0) console.log();

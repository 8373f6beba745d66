/**
 * Handlers of `node:http`, Connect and Express, each without a session and with one. They are in JavaScript that Node 20,
 * Bun and Deno run as it is.
 *
 * The path of a request is `/FRAMEWORK/USE/SCENARIO`. `GET /notes` gives what the handlers and the log have noted since the
 * last time, by path.
 */
import { AsyncLocalStorage } from "node:async_hooks";
import compression from "compression";
import oldCompression from "compression-old";
import connect from "connect";
import express from "express";
import express4 from "express4";
import expressSession from "express-session";
import { once } from "node:events";
import { createServer } from "node:http";
import process from "node:process";
import { pipeline, Readable } from "node:stream";
import { brotliCompressSync, deflateSync, gzipSync } from "node:zlib";
import onHeaders from "on-headers";
import { MemoryStore, sessions, SessionStoreError } from "@x/sessions";
import { nodeSessions } from "@x/sessions/middleware/node";

const pause = (ms) => new Promise((resolve) => setTimeout(resolve, ms));

/** A store that takes its time, so that a response is held while its handler goes on. */
class SlowStore extends MemoryStore {
  timeout = 5_000;
  async create(...given) {
    await pause(20);
    return await super.create(...given);
  }
}

class DownStore extends MemoryStore {
  async find() {
    await pause(5);
    throw new SessionStoreError("find", { reason: "unauthorized", retryable: false });
  }
  async create() {
    await pause(5);
    throw new SessionStoreError("create", { reason: "unauthorized", retryable: false });
  }
}

let notes = {};
const paths = new AsyncLocalStorage();
const note = (value) => void (notes[paths.getStore() ?? "elsewhere"] ??= []).push(value);
/** How a call ends: its result, or the code of its error. */
const outcome = (call) => {
  try {
    const result = call();
    return typeof result === "boolean" ? result : "done";
  } catch (error) {
    return error.code ?? String(error);
  }
};
const nameOf = (error) =>
  error?.code ?? /^Error(?: \[ERR_\w+\])?: (.*)$/m.exec(error)?.[1] ?? error?.message ?? typeof error;
console.error = (error) => note(`logged: ${nameOf(error)}`);

const busy = new Response("Busy.", { status: 503 });
const MANAGERS = {
  "down": sessions({ store: new DownStore(), onError() {} }),
  "reused": sessions({ store: new DownStore(), onError: () => busy }),
  "network-error": sessions({ store: new DownStore(), onError: () => Response.error() }),
  "fetched-error": sessions({ store: new DownStore(), onError: () => fetch(`${upstream}/gzip`) }),
  "slow": sessions({ store: new SlowStore() }),
};
const SESSIONS = Object.fromEntries(
  Object.entries(MANAGERS).map(([name, manager]) => [name, nodeSessions(manager)]),
);

const LATE_CALLS = {
  setHeader: (res) => res.setHeader("X-Late", "1"),
  appendHeader: (res) => res.appendHeader("X-Late", "1"),
  removeHeader: (res) => res.removeHeader("X-Early"),
  setHeaders: (res) => res.setHeaders(new Map([["X-Late", "1"]])),
  writeHead: (res) => res.writeHead(500, { "X-Late": "1" }),
  flushHeaders: (res) => res.flushHeaders(),
  state: (res) => note([res.headersSent, res.writableEnded]),
};
const tryLateCalls = (res) => {
  for (const [name, call] of Object.entries(LATE_CALLS)) note([name, outcome(() => call(res))]);
};

const chunks = (size, count) => Array.from({ length: count }, (_, index) => String(index % 10).repeat(size));

/** A middleware that sets a header when the head is written, as `express-cache-controller` does. */
const atHead = (...headers) => (_req, res, next) => {
  onHeaders(res, () => {
    for (const [name, value] of headers) res.setHeader(name, value);
  });
  next();
};
const PUBLIC = atHead(["Cache-Control", "public, max-age=60"]);

/** What the handlers fetch. */
const CODED = { gzip: gzipSync, deflate: deflateSync, br: brotliCompressSync };
const upstreamServer = createServer((req, res) => {
  const name = req.url.slice(1);
  if (name === "chunks") {
    res.writeHead(502, { "Content-Type": "text/plain", "Connection": "X-Hop", "X-Hop": "1", "X-Own": "1" });
    res.write("upstream ");
    return res.end("says no");
  }
  if (name === "cut") {
    res.writeHead(200, { "Content-Length": 100 });
    res.write("a part");
    return setTimeout(() => res.destroy(), 10);
  }
  const body = CODED[name]("upstream says no");
  res.writeHead(502, {
    "Content-Type": "text/plain",
    "Content-Encoding": name,
    "Content-Length": body.length,
    "Keep-Alive": "timeout=99",
  });
  res.end(body);
});
await new Promise((resolve) => upstreamServer.listen(0, "127.0.0.1", resolve));
const upstream = `http://127.0.0.1:${upstreamServer.address().port}`;

/** `before` and `within` are middlewares around the session's, for Connect and Express. */
const SCENARIOS = {
  "late-calls-after-end": {
    handle: (res) => {
      res.setHeader("X-Early", "1");
      res.end("first");
      tryLateCalls(res);
    },
  },
  "late-calls-after-write": {
    handle: async (res) => {
      res.write("first");
      tryLateCalls(res);
      await pause(40);
      tryLateCalls(res);
      res.end();
    },
  },
  "late-calls-after-write-head": {
    handle: (res) => {
      res.writeHead(201, { "X-Early": "1" });
      tryLateCalls(res);
      res.end("first");
    },
  },
  "late-calls-after-flush": {
    handle: (res) => {
      res.flushHeaders();
      tryLateCalls(res);
      res.end("first");
    },
  },
  "two-ends": {
    handle: (res) => {
      res.end("first");
      res.end(() => note("ended"));
    },
  },
  "late-status": {
    handle: async (res) => {
      res.statusCode = 201;
      res.end("paid");
      await pause(1);
      res.statusCode = 500;
      res.statusMessage = "Broken";
    },
  },
  "late-status-of-stream": {
    handle: async (res) => {
      res.statusMessage = "Fine";
      res.write("paid");
      await pause(1);
      res.statusCode = 500;
      res.statusMessage = "Broken";
      await pause(40);
      res.end();
    },
  },
  "writes": {
    handle: (res) => {
      note([res.write("a little"), res.writableNeedDrain]);
      res.end();
    },
  },
  "drain-awaited": {
    handle: async (res) => {
      for (const chunk of chunks(7_000, 60)) {
        if (res.write(chunk)) continue;
        await pause(1);
        if (res.writableNeedDrain) await once(res, "drain");
      }
      res.end();
    },
  },
  "drain-awaited-late": {
    handle: async (res) => {
      for (let line = 0; line < 3; line++) {
        if (res.write("a little\n")) continue;
        await pause(40);
        await once(res, "drain");
      }
      res.end();
    },
  },
  "writes-much": {
    handle: async (res) => {
      if (!res.write("x".repeat(400_000))) await once(res, "drain");
      res.end("end");
    },
  },
  "much-drained": {
    handle: async (res) => {
      const needed = [];
      res.on("drain", () => needed.push(res.writableNeedDrain));
      note([res.write("x".repeat(4_000_000)), res.writableNeedDrain]);
      await once(res, "drain");
      await pause(20);
      note(needed);
      res.end("end");
    },
  },
  "pipe": { handle: (res) => void Readable.from(chunks(5_000, 40)).pipe(res) },
  "pipe-little": { handle: (res) => void Readable.from(["a", "b", "c"]).pipe(res) },
  "pipeline": {
    handle: (res) =>
      void pipeline(Readable.from(chunks(5_000, 40)), res, (error) => note(error?.code ?? "piped")),
  },
  "pipeline-of-iterator": {
    handle: (res) =>
      void pipeline(
        async function* () {
          yield* chunks(5_000, 40);
        },
        res,
        (error) => note(error?.code ?? "piped"),
      ),
  },
  "public": {
    within: [PUBLIC],
    handle: (res) => res.end("page"),
  },
  "public-of-write-head": {
    within: [PUBLIC],
    handle: (res) => res.writeHead(200, { "Cache-Control": "no-cache" }).end("page"),
  },
  "public-around": {
    before: [PUBLIC],
    handle: (res) => res.end("page"),
  },
  "cookie-around": {
    before: [atHead(["Set-Cookie", "other=1"])],
    handle: (res) => res.end("page"),
  },
  "cookie-within": {
    within: [atHead(["Set-Cookie", "other=1"])],
    handle: (res) => res.end("page"),
  },
  "events": {
    handle: async (res) => {
      for (let count = 1; count <= 3; count++) {
        res.write(`data: ${count}\n\n`);
        res.flush?.();
        // Longer than the first one is held.
        await pause(60);
      }
      res.end();
    },
  },
  "send-file": {
    handle: (res) => res.sendFile(new URL("package-lock.json", import.meta.url).pathname),
  },
  "redirect-then-send": {
    handle: (res) => {
      res.redirect("/login");
      res.send("page");
    },
  },
  "send-twice": {
    handle: (res) => {
      res.send("first");
      res.json({ second: true });
    },
  },
};

const fail = (_req, _res, next) => next(new Error("on purpose"));

/** What no handler without a session can do, or what would end its process. */
const FAILURES = {
  "write-after-end": (res) => {
    res.end("first");
    note(outcome(() => res.write("second", (error) => note(error?.code))));
  },
  "end-after-end": (res) => {
    res.end("first");
    res.end("second", (error) => note(error?.code));
  },
  "end-after-end-listened": (res) => {
    res.on("error", (error) => note(`emitted: ${error.code}`));
    res.end("first");
    res.end("second");
  },
  "throws": () => {
    throw new Error("on purpose");
  },
  "throws-nothing": () => {
    throw undefined;
  },
  "throws-after-a-part": async (res) => {
    res.write("a part");
    await pause(60);
    throw new Error("on purpose");
  },
  "throws-after-a-part-at-once": async (res) => {
    res.write("a part");
    throw new Error("on purpose");
  },
  "throws-fetched": async () => {
    throw await fetch(`${upstream}/chunks`);
  },
  "throws-read": async () => {
    const answer = await fetch(`${upstream}/chunks`);
    await answer.text();
    throw answer;
  },
  "throws-cut": async () => {
    throw await fetch(`${upstream}/cut`);
  },
  "throws-gzip": async () => {
    throw await fetch(`${upstream}/gzip`, { headers: { "Accept-Encoding": "gzip" } });
  },
  "throws-deflate": async () => {
    throw await fetch(`${upstream}/deflate`, { headers: { "Accept-Encoding": "deflate" } });
  },
  "throws-br": async () => {
    throw await fetch(`${upstream}/br`, { headers: { "Accept-Encoding": "br" } });
  },
  "throws-encoded": () => {
    throw new Response(gzipSync("made here"), { headers: { "Content-Encoding": "gzip" } });
  },
  "throws-network-error": () => {
    throw Response.error();
  },
  "throws-redirect": () => {
    throw Response.redirect("http://a.example/", 303);
  },
  "throws-refused-header": () => {
    throw new Response("text", { headers: { "X-Own": "a\u0001b" } });
  },
  "throws-failing": () => {
    throw {
      getResponse() {
        throw new Error("no response");
      },
    };
  },
  "trailers": (res) => {
    res.setHeader("Trailer", "X-Sum");
    res.write("body");
    res.addTrailers({ "X-Sum": "7" });
    res.end();
  },
  "refused-chunk": (res) => res.end(["a list"]),
  "refused-chunk-before-others": async (res) => {
    res.write(["a list"]);
    for (let count = 0; count < 200 && !res.closed; count++) {
      await pause(0);
      res.write("another");
    }
  },
  "refused-after-a-part": async (res) => {
    res.setHeader("X-List", ["a", "b"]);
    res.write("a part");
    res.write(["a list"]);
    await once(res, "close");
    res.write("late", () => note("called back"));
  },
};

/** Handlers of a session whose store is down. */
const STORE_FAILURES = {
  "never-awaited": async (req, res, session) => {
    void session.of(req);
    await pause(20);
    res.end("done");
  },
  "awaited-later": async (req, res, session) => {
    const loading = session.of(req);
    await pause(20);
    await loading.catch((error) => note(error.code));
    res.end("done");
  },
  "awaited": async (req, res, session) => {
    await session.of(req);
    res.end("done");
  },
  "late": async (req, res, session) => {
    res.setHeader("Cache-Control", "private");
    res.write("head, ");
    void session.of(req);
    await pause(20);
    res.end("done");
  },
  "save": async (req, res, session) => {
    delete req.headers.cookie;
    (await session.of(req)).put("n", 1);
    res.end("done");
  },
  "save-with-callbacks": async (req, res, session) => {
    delete req.headers.cookie;
    (await session.of(req)).put("n", 1);
    res.write("half", "latin1", () => note("written"));
    res.end(() => note("ended"));
  },
  "save-much": async (req, res, session) => {
    delete req.headers.cookie;
    (await session.of(req)).put("n", 1);
    if (!res.write("x".repeat(400_000))) await once(res, "drain");
    note(outcome(() => res.setHeader("X-Late", "1")));
    res.end("done", () => note("ended"));
  },
};

const use = {
  bare: async () => {},
  never: async () => {},
  read: async (req) => void await SESSIONS.slow.of(req),
  written: async (req) => (await SESSIONS.slow.of(req)).put("n", 1),
};

const compressed = () => compression({ threshold: 0 });
const otherSession = expressSession({ name: "other", secret: "s", resave: false, saveUninitialized: false });

const FRAMEWORKS = {
  "connect": connect,
  "express-4": express4,
  "express-5": express,
  "compression-before": () => express().use(compressed()),
  "compression-within": express,
  "old-compression-before": () =>
    // Its stream has room when a held response has none.
    express().use(oldCompression({ threshold: 0, highWaterMark: 1_000_000 })),
  "old-compression-within": express,
  "express-session-before": () => express().use(otherSession),
  "express-session-within": express,
};
/** What `framework` has within the session's middleware. */
const WITHIN = {
  "compression-within": compressed(),
  "old-compression-within": oldCompression({ threshold: 0 }),
  "express-session-within": otherSession,
};

const apps = new Map();
function appOf(framework, kind, name) {
  const key = `${framework}/${kind}/${name}`;
  let app = apps.get(key);
  if (app === undefined) {
    app = makeApp(framework, kind, name);
    apps.set(key, app);
  }
  return app;
}

function makeApp(framework, kind, name) {
  const { before = [], within = [], handle = FAILURES[name] } = SCENARIOS[name] ?? {};
  if (name === "fails-before") before.push(fail);
  const handler = async (req, res) => {
    await use[kind](req);
    return await handle(res);
  };
  const session = SESSIONS.slow;
  if (framework === "http") {
    if (kind === "bare") return handler;
    return (req, res) => session(req, res, () => handler(req, res));
  }
  const app = FRAMEWORKS[framework]();
  for (const one of before) app.use(one);
  if (kind !== "bare") app.use(session);
  if (framework in WITHIN) app.use(WITHIN[framework]);
  for (const one of within) app.use(one);
  app.use((req, res, next) => {
    // Without a type nothing is compressed.
    if (framework.includes("compression")) res.setHeader("Content-Type", "text/plain");
    // Only Express 5 hears of a promise that rejects.
    const done = handler(req, res);
    return framework === "express-5" ? done : void done.catch(next);
  });
  if (kind !== "bare") app.use(session.handleError);
  app.use((error, _req, res, next) => {
    note(`passed on: ${nameOf(error)}`);
    if (res.headersSent) return next(error);
    res.statusCode = 500;
    res.end("error page");
  });
  return app;
}

// Node refuses a body in a response to HEAD then.
const server = createServer({ rejectNonStandardBodyWrites: true }, (req, res) => {
  const [, framework, kind, name] = req.url.split("/");
  paths.run(req.url, async () => {
    if (framework === "notes") {
      // Until those of callbacks are there.
      await pause(40);
      res.end(JSON.stringify(notes));
      notes = {};
    } else if (framework === "store") {
      const session = SESSIONS[kind];
      session(req, res, () => STORE_FAILURES[name](req, res, session));
    } else appOf(framework, kind, name)(req, res);
  });
});
server.listen(0, "127.0.0.1", () => console.log(`listening on ${server.address().port}`));

for (const event of ["unhandledRejection", "uncaughtException"]) {
  process.on(event, (error) => {
    console.log(event, error);
    process.exit(3);
  });
}

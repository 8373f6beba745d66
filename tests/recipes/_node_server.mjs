/**
 * Handlers of `node:http`, each without a session and with one, in JavaScript that Node 20 runs as it is.
 */
import { createServer } from "node:http";
import { Readable } from "node:stream";
import { MemoryStore, sessions, SessionStoreError } from "@x/sessions";
import { nodeSessions } from "@x/sessions/middleware/node";

const pause = (ms) => new Promise((resolve) => setTimeout(resolve, ms));

/** A store that takes its time, so that what a handler sends meanwhile has to wait. */
class SlowStore extends MemoryStore {
  timeout = 5_000;
  async create(...given) {
    await pause(30);
    return await super.create(...given);
  }
  async update(...given) {
    await pause(30);
    if (failing) throw new SessionStoreError("update", { reason: "unreachable", retryable: false });
    return await super.update(...given);
  }
}
let failing = false;

const logged = [];
console.error = (...given) => logged.push(given.map(String).join(" "));

const manager = sessions({
  store: new SlowStore(),
  onError({ code }) {
    logged.push(code);
    // So long that the handler writes while it is being sent.
    if (code === "ERR_SESSION_STORE") return new Response("x".repeat(4_000_000), { status: 503 });
  },
});
const session = nodeSessions(manager);

const HANDLERS = {
  "text": (res) => res.end("text"),
  "empty": (res) => res.end(),
  "set-header": (res) => {
    res.setHeader("Content-Type", "text/html; charset=utf-8");
    res.setHeader("X-Own", ["a", "b"]);
    res.end("<p>");
  },
  "status": (res) => {
    res.statusCode = 404;
    res.statusMessage = "Nowhere";
    res.end("none");
  },
  "write-head": (res) => res.writeHead(201, { "Content-Type": "text/plain", "X-Own": "1" }).end("made"),
  "write-head-message": (res) => res.writeHead(202, "Fine", { "Content-Length": 2 }).end("ok"),
  "write-head-list": (res) =>
    res.writeHead(200, ["X-One", "1", "Set-Cookie", "a=1", "Set-Cookie", "b=2"]).end("list"),
  "write-head-after-set": (res) => {
    res.setHeader("X-Own", "first");
    res.writeHead(200, { "X-Own": "second" });
    res.end("text");
  },
  "cookies": (res) => {
    res.setHeader("Set-Cookie", ["a=1; Path=/", "b=2"]);
    res.end("cookies");
  },
  "cache": (res) => {
    res.setHeader("Cache-Control", "public, max-age=60");
    res.setHeader("Vary", "Accept");
    res.end("cached");
  },
  "204": (res) => res.writeHead(204).end(),
  "304": (res) => res.writeHead(304, { ETag: '"x"' }).end(),
  "redirect": (res) => res.writeHead(303, { Location: "/elsewhere" }).end(),
  "chunks": async (res) => {
    res.write("one");
    await pause(60);
    res.write("two");
    await pause(60);
    res.end("three");
  },
  "flush": async (res) => {
    res.setHeader("Content-Type", "text/event-stream");
    res.flushHeaders();
    await pause(60);
    res.end("data: 1\n\n");
  },
  "encodings": (res) => {
    res.write("aGVsbG8=", "base64");
    res.end("20ac", "hex", () => {});
  },
  "pipe": (res) => void Readable.from(Array.from({ length: 64 }, () => Buffer.alloc(65_536, 97))).pipe(res),
  "pipe-little": (res) => void Readable.from(["one", "two", "three"]).pipe(res),
  "trailers": (res) => {
    res.setHeader("Trailer", "X-Sum");
    res.write("body");
    res.addTrailers({ "X-Sum": "7" });
    res.end();
  },
  "callbacks": (res) => {
    const seen = [];
    res.on("finish", () => seen.push("finish"));
    res.write("a", () => seen.push("write"));
    res.end("b", () => {
      seen.push("end");
      // Which of them is first differs from version to version.
      setTimeout(() => logged.push(seen.sort().join()), 20);
    });
  },
};

const FAILURES = {
  "throws": () => {
    throw new Error("on purpose");
  },
  "rejects": async () => {
    await pause(1);
    throw new Error("on purpose");
  },
  "throws-response": () => {
    throw Object.assign(new Error("teapot"), {
      getResponse: () => new Response("short and stout", { status: 418 }),
    });
  },
  "head-refused": (res) => void res.writeHead(303, { Location: "/a\nb" }).end(),
  "chunk-refused": (res) => void res.end(["a list"]),
  "status-refused": (res) => void Object.assign(res, { statusCode: 9999 }).end("text"),
  "throws-after-end": (res) => {
    res.end("whole");
    throw new Error("on purpose");
  },
  "throws-in-the-middle": async (res) => {
    res.write("half");
    await pause(60);
    throw new Error("on purpose");
  },
  "store-fails": (res) => {
    failing = true;
    setTimeout(() => failing = false, 60);
    res.setHeader("X-Own", "gone");
    res.setHeader("Access-Control-Allow-Origin", "*");
    res.setHeader("Content-Type", "text/html");
    res.writeHead(200, "Great");
    const until = Date.now() + 100;
    const more = () => {
      res.write("more");
      if (Date.now() < until) setImmediate(more);
    };
    setTimeout(more, 1);
  },
  "update-throws": async (res, current) => {
    const other = await manager.load(current.token);
    other.put("m", "text");
    await other.commit();
    current.update("m", (m) => m === undefined ? 1 : m.toFixed(0));
    res.end("never");
  },
};

const USES = {
  never: async () => {},
  read: async (req) => (await session.of(req)).get("n"),
  written: async (req) => (await session.of(req)).put("n", 7),
  renewed: async (req) => {
    (await session.of(req)).renewToken();
    (await session.of(req)).put("n", 7);
  },
  destroyed: async (req) => await (await session.of(req)).destroy(),
};

const server = createServer((req, res) => {
  const [, kind, use, name] = (req.headers["x-test"] ?? req.url).split("?")[0].split("/");
  if (kind === "session") {
    return void manager.load().then(async (made) => {
      made.put("n", 1);
      res.end((await made.commit()).token);
    });
  }
  if (kind === "value") return void manager.load(use).then((made) => res.end(`${made.get("n")}`));
  if (kind === "logged") return res.end(JSON.stringify(logged.splice(0)));
  if (kind === "bare") return HANDLERS[name](res);
  if (kind === "late") {
    return session(req, res, async () => {
      if (use === "private") res.setHeader("Cache-Control", "private");
      res.write("head");
      const found = await session.of(req).catch((error) => error);
      res.end(` ${found.code ?? found.get("n")}`);
    });
  }
  // Twice, as a router within an application may have it.
  session(req, res, () =>
    session(req, res, async () => {
      await USES[use](req);
      if (kind === "with") return await HANDLERS[name](res);
      const current = await session.of(req);
      return await FAILURES[name](res, current);
    }));
});
server.listen(0, "127.0.0.1", () => console.log(`listening on ${server.address().port}`));

process.on("unhandledRejection", (error) => {
  console.log(error);
  process.exit(3);
});

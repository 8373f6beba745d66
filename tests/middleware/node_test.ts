// deno-lint-ignore-file no-explicit-any no-import-prefix
/** What `nodeSessions()` does to handlers that work without it. */
import { createServer, get, type IncomingMessage, type ServerResponse } from "node:http";
import { assertEquals } from "../assert.ts";
import { MemoryStore, sessions, SessionStoreError } from "@x/sessions";
import { nodeSessions } from "@x/sessions/middleware/node";

class FarStore extends MemoryStore {
  override readonly timeout: number = 5_000;
  override async create(...given: Parameters<MemoryStore["create"]>): Promise<boolean> {
    await new Promise((resolve) => setTimeout(resolve, 10));
    return await super.create(...given);
  }
}

class DownStore extends MemoryStore {
  override find(): never {
    throw new SessionStoreError("find", { reason: "unauthorized", retryable: false });
  }
}

type Handler = (request: IncomingMessage, response: ServerResponse) => unknown;

async function serve(handler: Handler) {
  const server = createServer(handler as any);
  await new Promise<void>((resolve) => server.listen(0, "127.0.0.1", resolve));
  const { port } = server.address() as { port: number };
  const url = `http://127.0.0.1:${port}`;
  return {
    url,
    [Symbol.asyncDispose]: async () => void await new Promise((resolve) => server.close(resolve)),
  };
}

/** Rejections that nobody handles: each would end a process of Node. */
function unhandled() {
  const seen: string[] = [];
  const listener = (event: PromiseRejectionEvent) => {
    event.preventDefault();
    seen.push(String(event.reason));
  };
  globalThis.addEventListener("unhandledrejection", listener);
  return { seen, [Symbol.dispose]: () => globalThis.removeEventListener("unhandledrejection", listener) };
}

const wait = (ms: number) => new Promise((resolve) => setTimeout(resolve, ms));
const cookie = { Cookie: `session=${"A".repeat(43)}` };

Deno.test("setHeader() after end() throws while the session is being saved, as it does without a session", async () => {
  const seen: Record<string, string> = {};
  const session = nodeSessions(sessions<{ n: number }>({ store: new FarStore() }));
  await using server = await serve((request, response) =>
    session(request as any, response as any, async () => {
      if (request.url === "/with") (await session.of(request as any)).put("n", 1);
      response.end("first");
      try {
        response.setHeader("X-Late", "1");
        seen[request.url!] = "taken";
      } catch (error) {
        seen[request.url!] = (error as { code: string }).code;
      }
    })
  );
  for (const path of ["/bare", "/with"]) {
    const response = await fetch(server.url + path);
    assertEquals([await response.text(), response.headers.get("X-Late")], ["first", null], path);
  }
  assertEquals(seen, { "/bare": "ERR_HTTP_HEADERS_SENT", "/with": "ERR_HTTP_HEADERS_SENT" });
});

Deno.test("a status that is set after end() is not sent", async () => {
  const session = nodeSessions(sessions<{ n: number }>({ store: new FarStore() }));
  await using server = await serve((request, response) =>
    session(request as any, response as any, async () => {
      if (request.url === "/with") (await session.of(request as any)).put("n", 1);
      response.end("paid");
      await wait(1);
      response.statusCode = 500;
    })
  );
  for (const path of ["/bare", "/with"]) {
    const response = await fetch(server.url + path);
    assertEquals([response.status, await response.text()], [200, "paid"], path);
  }
});

Deno.test("a session that is asked for and not awaited at once ends no process", async () => {
  using rejections = unhandled();
  const session = nodeSessions(sessions({ store: new DownStore(), onError() {} }));
  await using server = await serve((request, response) =>
    session(request as any, response as any, async () => {
      const loading = session.of(request as any);
      await wait(5);
      if (request.url === "/later") await loading.catch(() => {});
      response.end("done");
    })
  );
  for (const path of ["/never", "/later"]) await (await fetch(server.url + path, { headers: cookie })).text();
  await wait(20);
  assertEquals(rejections.seen, []);
});

Deno.test("one Response of onError's, given twice, ends no process", async () => {
  using rejections = unhandled();
  const busy = new Response("Busy.", { status: 503 });
  const session = nodeSessions(sessions({ store: new DownStore(), onError: () => busy }));
  await using server = await serve((request, response) =>
    session(request as any, response as any, async () => {
      await session.of(request as any);
      response.end("done");
    })
  );
  const statuses: unknown[] = [];
  for (let visit = 1; visit <= 2; visit++) {
    const answer = fetch(server.url, { headers: cookie, signal: AbortSignal.timeout(500) });
    statuses.push(await answer.then(async (response) => (await response.text(), response.status), String));
  }
  assertEquals(rejections.seen, []);
  assertEquals(statuses.map((status) => Number(status) >= 500), [true, true]);
});

Deno.test({
  name: "compression() mounted before: a stream that is piped comes to its end",
  sanitizeOps: false,
  sanitizeResources: false,
  async fn() {
    const { default: express } = await import("npm:express@5.3.0") as any;
    const { default: compression } = await import("npm:compression@1") as any;
    const { Readable } = await import("node:stream");
    const session = nodeSessions(sessions<{ n: number }>({ store: new FarStore() }));
    const app = express();
    app.use(compression({ threshold: 0 }));
    app.use(session);
    app.get("/:kind", async (request: any, response: any) => {
      if (request.params.kind === "with") (await session.of(request)).put("n", 1);
      response.type("text");
      Readable.from(["a".repeat(5_000), "b".repeat(5_000), "c"]).pipe(response);
    });
    const server = createServer(app);
    await new Promise<void>((resolve) => server.listen(0, "127.0.0.1", resolve));
    const { port } = server.address() as { port: number };
    const ended: Record<string, boolean> = {};
    for (const kind of ["bare", "with"]) {
      ended[kind] = await new Promise<boolean>((resolve) => {
        const request = get(
          { port, path: `/${kind}`, headers: { "Accept-Encoding": "gzip" } },
          (response) => {
            response.on("data", () => {});
            response.on("end", () => resolve(true));
          },
        );
        setTimeout(() => {
          request.destroy();
          resolve(false);
        }, 1_000);
      });
    }
    server.closeAllConnections();
    server.close();
    assertEquals(ended, { bare: true, with: true });
  },
});

Deno.test({
  name: "a Cache-Control that a middleware within sets by on-headers keeps no cookie in a shared cache",
  sanitizeOps: false,
  sanitizeResources: false,
  async fn() {
    const { default: express } = await import("npm:express@5.3.0") as any;
    // As express-cache-controller does it.
    const { default: onHeaders } = await import("npm:on-headers@1") as any;
    const session = nodeSessions(sessions<{ n: number }>({ store: new FarStore() }));
    const app = express();
    app.use(session);
    app.use((_request: any, response: any, next: () => void) => {
      onHeaders(response, () => response.setHeader("Cache-Control", "public, max-age=60"));
      next();
    });
    app.get("/", async (request: any, response: any) => {
      (await session.of(request)).put("n", 1);
      response.send("hello");
    });
    const server = createServer(app);
    await new Promise<void>((resolve) => server.listen(0, "127.0.0.1", resolve));
    const response = await fetch(`http://127.0.0.1:${(server.address() as { port: number }).port}/`);
    await response.text();
    server.closeAllConnections();
    server.close();
    assertEquals(response.headers.getSetCookie().length, 1);
    assertEquals(
      /private/.test(response.headers.get("Cache-Control")!),
      true,
      response.headers.get("Cache-Control")!,
    );
  },
});

for (const isUsed of [true, false]) {
  Deno.test(`a handler may throw a response of fetch() ${isUsed ? "whose body it has read" : "as it is"}`, async () => {
    using rejections = unhandled();
    await using upstream = await serve((_request, response) => {
      response.writeHead(502, { "Content-Type": "text/plain" });
      response.write("upstream ");
      response.end("says no");
    });
    const session = nodeSessions(sessions());
    await using server = await serve((request, response) =>
      session(request as any, response as any, async () => {
        const answer = await fetch(upstream.url);
        if (isUsed) await answer.text();
        throw answer;
      })
    );
    const logged = console.error;
    console.error = () => {};
    const { port } = new URL(server.url);
    using connection = await Deno.connect({ hostname: "127.0.0.1", port: Number(port) });
    await connection.write(
      new TextEncoder().encode("GET / HTTP/1.1\r\nHost: a.example\r\nConnection: close\r\n\r\n"),
    );
    // What has come within half a second, whether the connection is closed or not.
    const bytes = new Uint8Array(10_000);
    let length = 0;
    const reading = (async () => {
      for (let n = await connection.read(bytes); n; n = await connection.read(bytes.subarray(length))) {
        length += n;
      }
    })().catch(() => {});
    await Promise.race([reading, wait(500)]);
    const text = new TextDecoder().decode(bytes.subarray(0, length));
    console.error = logged;
    assertEquals(rejections.seen, []);
    assertEquals(/^HTTP\/1.1 (?:500|502) /.test(text), true, text);
    // RFC 9112, 6.2: a sender must not send both.
    assertEquals(/^content-length:/im.test(text) && /^transfer-encoding:/im.test(text), false, text);
    if (!isUsed) assertEquals(text.includes("upstream says no"), true, text);
  });
}

Deno.test("write() of little says that there is room, as without a session", async () => {
  const session = nodeSessions(sessions<{ n: number }>({ store: new FarStore() }));
  const seen: Record<string, boolean> = {};
  await using server = await serve((request, response) =>
    session(request as any, response as any, async () => {
      if (request.url === "/with") (await session.of(request as any)).put("n", 1);
      // Whoever is told false, does something else and then waits for "drain", waits for ever.
      seen[request.url!] = response.write("line 1\n");
      response.end();
    })
  );
  for (const path of ["/bare", "/with"]) await (await fetch(server.url + path)).text();
  assertEquals(seen, { "/bare": true, "/with": true });
});

/** What a client gets of `nodeSessions()` where a handler, another middleware or the store fails. */

import { createServer, get, type IncomingMessage, type ServerResponse } from "node:http";
import { nodeSessions } from "../../middleware/node.ts";
import {
  MemoryStore,
  SessionConfigError,
  type SessionManager,
  sessions,
  SessionStoreError,
} from "../../mod.ts";
import { assertEquals, assertRejects, assertThrows } from "../assert.ts";

type Handler = (request: IncomingMessage, response: ServerResponse) => unknown;
type Session = ReturnType<typeof nodeSessions<{ n: number }>>;

/** Asks a server once. Errors that are logged are noted, and none may be uncaught. */
async function visit(
  handle: (session: Session) => Handler,
  store = new MemoryStore(),
): Promise<{ status: number; statusText: string; rawHeaders: string[]; body: string; logged: string[] }> {
  const logged: string[] = [];
  const { error: log } = console;
  console.error = (error) => void logged.push(error.message);
  const session = nodeSessions(sessions<{ n: number }>({ store, onError() {} }));
  const server = createServer(handle(session));
  try {
    await new Promise<void>((resolve) => server.listen(0, "127.0.0.1", resolve));
    const { port } = server.address() as { port: number };
    const response = await new Promise<IncomingMessage>((resolve, reject) => {
      get({ port, host: "127.0.0.1", agent: false, signal: AbortSignal.timeout(5_000) }, resolve).on(
        "error",
        reject,
      );
    });
    let body = "";
    for await (const chunk of response) body += chunk;
    const { statusCode, statusMessage, rawHeaders } = response;
    return { status: statusCode!, statusText: statusMessage!, rawHeaders, body, logged };
  } catch (error) {
    throw Object.assign(error as Error, { logged });
  } finally {
    console.error = log;
    await new Promise((resolve) => server.close(resolve));
  }
}

Deno.test("nodeSessions() leaves the names and the lines of other headers as they were written", async () => {
  const { rawHeaders } = await visit((session) => (request, response) =>
    session(request, response, async () => {
      (await session.of(request)).put("n", 1);
      response.setHeader("x-LOWER", "1");
      response.setHeader("Link", ["<a>", "<b>"]);
      response.end();
    })
  );
  assertEquals(rawHeaders.filter((name) => name === "x-LOWER" || name === "Link"), [
    "x-LOWER",
    "Link",
    "Link",
  ]);
});

Deno.test("nodeSessions() sends an error in place of a response without the response's status text", async () => {
  class DownStore extends MemoryStore {
    override create(): Promise<boolean> {
      throw new SessionStoreError("create", { reason: "unauthorized", retryable: false });
    }
  }
  const { status, statusText } = await visit(
    (session) => (request, response) =>
      session(request, response, async () => {
        (await session.of(request)).put("n", 1);
        response.statusMessage = "Fine";
        response.end("saved");
      }),
    new DownStore(),
  );
  assertEquals([status, statusText], [503, "Service Unavailable"]);
});

Deno.test("nodeSessions() answers a handler that throws at once, and lets a middleware add to that answer", async () => {
  const { status, rawHeaders, logged } = await visit((session) => (request, response) => {
    const writeHead = response.writeHead.bind(response);
    response.writeHead = (status: number) => {
      response.setHeader("X-At-Head", "1");
      return writeHead(status);
    };
    session(request, response, () => {
      throw new Error("on purpose");
    });
  });
  assertEquals([status, rawHeaders.includes("X-At-Head"), logged], [500, true, ["on purpose"]]);
});

Deno.test("nodeSessions() closes the connection if not even an error can be sent", async () => {
  const visiting = visit((session) => (request, response) => {
    response.writeHead = () => {
      throw new Error("no head");
    };
    session(request, response, async () => {
      await session.of(request);
      response.end("page");
    });
  });
  const { logged } = await assertRejects(() => visiting, Error) as Error & { logged: string[] };
  assertEquals(logged, ["no head", "no head"]);
});

for (const asks of [true, false]) {
  Deno.test(`nodeSessions() sends the whole of a response that had ended before its handler threw, session: ${asks}`, async () => {
    const page = "x".repeat(20_000_000);
    const { body, logged } = await visit((session) => (request, response) =>
      session(request, response, async () => {
        if (asks) await session.of(request);
        response.end(page);
        throw new Error("on purpose");
      })
    );
    assertEquals([body.length, logged], [page.length, ["on purpose"]]);
  });
}

Deno.test("handleError() passes an error on once a response without a session has begun", async () => {
  const { body, logged } = await visit((session) => (request, response) =>
    session(request, response, () => {
      response.write("a part, ");
      session.handleError(new Response(), request, response, () => response.end("passed on"));
    })
  );
  assertEquals([body, logged], ["a part, passed on", []]);
});

Deno.test("handleError() sends a Response that was thrown", async () => {
  const { status, statusText, body } = await visit((session) => (request, response) =>
    session(request, response, () => {
      const teapot = new Response("teapot", { status: 418, statusText: "Short and stout" });
      session.handleError(teapot, request, response, () => response.end());
    })
  );
  assertEquals([status, statusText, body], [418, "Short and stout", "teapot"]);
});

Deno.test("nodeSessions() refuses a value that is no manager", () => {
  const none = {} as SessionManager<{ n: number }>;
  assertThrows(() => nodeSessions(none), SessionConfigError, "pass a session manager");
});

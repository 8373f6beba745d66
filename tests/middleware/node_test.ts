/**
 * `nodeSessions()` around handlers that work without it, on every runtime and under every framework that takes
 * `(request, response)`. `tests/recipes/node_test.ts` has the plain responses.
 */
import { sessions } from "../../mod.ts";
import { nodeSessions } from "../../middleware/node.ts";
import { assert, assertEquals, assertMatch, assertNotEquals, assertThrows } from "../assert.ts";
import { compare, COOKIE, type Expected, tokenIn } from "../runtimes/_compare.ts";
import { type Exchange, latin1, RawClient } from "../runtimes/_raw_client.ts";
import { startBun } from "../services/bun.ts";
import { nodeBinary, type NodeVersion, startNode } from "../services/node.ts";
import { installPacked, type PackedApp } from "../services/packed.ts";
import { type ScriptServer, startScript } from "../services/_script.ts";

const SCRIPT = await Deno.readTextFile(new URL("_node_server.mjs", import.meta.url));

const DEPENDENCIES: [string, string][] = [
  ["compression", "1.8.2"],
  // It looks at properties of Node that are not documented.
  ["compression-old", "npm:compression@1.7.4"],
  ["connect", "3.7.0"],
  ["express", "5.3.0"],
  ["express4", "npm:express@4.22.3"],
  ["express-session", "1.19.0"],
  ["on-headers", "1.1.0"],
];

const DENO_ARGS = ["run", "--quiet", "--allow-all", "--node-modules-dir=manual"];
const RUNTIMES: Record<string, (cwd: string, file: string) => Promise<ScriptServer>> = {
  "Node 20": (cwd, file) => startNode(20, file, { cwd }),
  "Node 26": (cwd, file) => startNode(26, file, { cwd }),
  "Bun": (cwd, file) => startBun(file, { cwd }),
  "Deno": (cwd, file) => startScript("Deno", Deno.execPath(), [...DENO_ARGS, file], { cwd }),
};

/** The names of the scenarios in the script. */
const SCENARIOS = Array.from(
  SCRIPT.slice(SCRIPT.indexOf("const SCENARIOS = {"), SCRIPT.indexOf("const FAILURES = {"))
    .matchAll(/^ {2}"([\w-]+)": \{/gm),
  ([, name]) => name!,
);

const FRAMEWORKS = ["http", "connect", "express-4", "express-5"];
const COMPRESSED = [
  "compression-before",
  "compression-within",
  "old-compression-before",
  "old-compression-within",
];
const OTHER_SESSION = ["express-session-before", "express-session-within"];

function frameworksOf(scenario: string): string[] {
  if (/^(?:redirect|send-twice)/.test(scenario)) return ["express-4", "express-5"];
  if (scenario === "send-file") return ["express-4", "express-5", ...COMPRESSED];
  if (/^(?:public|cookie)/.test(scenario)) return ["connect", "express-4", "express-5", ...COMPRESSED];
  return /^(?:pipe|writes|drain|events)/.test(scenario)
    ? [...FRAMEWORKS, ...COMPRESSED, ...OTHER_SESSION]
    : FRAMEWORKS;
}

const USES: Record<"read" | "written", Expected> = {
  read: { marked: true, cookie: "none" },
  written: { marked: true, cookie: "token" },
};

/** What a failing handler is answered with, and what it and the log have noted. */
interface Answer {
  status: number;
  body: string | RegExp;
  notes: (string | RegExp | boolean)[];
  headers?: Record<string, string>;
  end?: Exchange["end"];
  /** Whether the new session is saved and its cookie sent. */
  saved?: boolean;
}

/** What the runtimes say of a body that was read before. */
const USED_BODY = /^logged: .*(?:used|unusable|disturbed|consumed)/i;
const ERROR: Omit<Answer, "notes"> = { status: 500, body: "Internal Server Error\n" };
const UPSTREAM: Answer = {
  status: 502,
  body: "upstream says no",
  headers: { "transfer-encoding": "", "keep-alive": "" },
  saved: true,
  notes: [],
};
const AFTER_END = "ERR_STREAM_WRITE_AFTER_END";

const FAILURES: Record<string, Answer> = {
  "write-after-end": {
    status: 200,
    body: "first",
    saved: true,
    notes: [false, AFTER_END, `logged: ${AFTER_END}`],
  },
  "end-after-end": { status: 200, body: "first", saved: true, notes: [AFTER_END, `logged: ${AFTER_END}`] },
  "end-after-end-listened": {
    status: 200,
    body: "first",
    saved: true,
    notes: [`emitted: ${AFTER_END}`, `logged: ${AFTER_END}`],
  },
  "throws": { ...ERROR, notes: ["logged: on purpose"] },
  "throws-nothing": { ...ERROR, notes: ["logged: The handler threw nothing"] },
  "throws-fetched": {
    ...UPSTREAM,
    headers: { ...UPSTREAM.headers, "content-length": "16", "x-own": "1", "x-hop": "" },
  },
  "throws-read": { ...ERROR, notes: [USED_BODY] },
  "throws-cut": { ...ERROR, notes: [/^logged: /] },
  "throws-gzip": UPSTREAM,
  "throws-deflate": UPSTREAM,
  "throws-br": UPSTREAM,
  "throws-encoded": {
    status: 200,
    body: "made here",
    headers: { "content-encoding": "gzip" },
    saved: true,
    notes: [],
  },
  "throws-network-error": {
    ...ERROR,
    saved: true,
    notes: ["logged: Cannot send the status 0"],
  },
  "throws-redirect": {
    status: 303,
    body: "",
    headers: { location: "http://a.example/", "content-length": "0" },
    saved: true,
    notes: [],
  },
  "throws-refused-header": { ...ERROR, saved: true, notes: ["logged: ERR_INVALID_CHAR"] },
  "throws-failing": { ...ERROR, notes: ["logged: object"] },
  "refused-chunk": { ...ERROR, saved: true, notes: ["logged: ERR_INVALID_ARG_TYPE"] },
  "refused-chunk-before-others": { ...ERROR, saved: true, notes: ["logged: ERR_INVALID_ARG_TYPE"] },
};

const DONE: Answer = { status: 200, body: "done", notes: [] };
const UNAVAILABLE: Answer = { status: 503, body: "Service Unavailable\n", notes: [] };
/** That of the error itself, since `onError` gave one that cannot be sent. */
const OWN: Answer = {
  ...UNAVAILABLE,
  notes: ["logged: string"],
};

/** By what `onError` answers and the handler, to two visits. */
const STORE_FAILURES: Record<string, Answer[]> = {
  "down/never-awaited": [DONE, DONE],
  "down/awaited-later": [{ ...DONE, notes: ["ERR_SESSION_STORE"] }],
  "down/late": [{ ...DONE, body: "head, done" }],
  "down/awaited": [UNAVAILABLE],
  "down/save": [UNAVAILABLE],
  "down/save-with-callbacks": [{ ...UNAVAILABLE, notes: ["written", "ended"] }],
  "down/save-much": [{ ...UNAVAILABLE, notes: ["ERR_HTTP_HEADERS_SENT", "ended"] }],
  // One Response serves one request.
  "reused/awaited": [{ status: 503, body: "Busy.", notes: [] }, OWN],
  "reused/save": [OWN],
  "network-error/awaited": [OWN],
  "network-error/save": [OWN],
  "fetched-error/awaited": [{ ...UPSTREAM, saved: false }],
  "fetched-error/save": [{ ...UPSTREAM, saved: false }],
};

class Visitor implements Disposable {
  readonly #raw: RawClient;
  constructor(port: number) {
    this.#raw = new RawClient(port);
  }
  async visit(path: string, headers: Record<string, string> = {}, method = "GET"): Promise<Exchange> {
    const exchange = await this.#raw.exchange({ path, method, headers: { ...headers, Connection: "close" } });
    exchange.body = await decoded(exchange);
    return exchange;
  }
  async notes(): Promise<Record<string, unknown[] | undefined>> {
    return JSON.parse(latin1((await this.#raw.exchange({ path: "/notes" })).body));
  }
  [Symbol.dispose](): void {
    this.#raw[Symbol.dispose]();
  }
}

/** The body as a client sees it. */
async function decoded(exchange: Exchange): Promise<Uint8Array<ArrayBuffer>> {
  const bytes = Uint8Array.from(exchange.body);
  const coding = headerOf(exchange, "content-encoding");
  if (coding === "" || bytes.length === 0) return bytes;
  const stream = new Response(bytes).body!.pipeThrough(new DecompressionStream(coding as CompressionFormat));
  return new Uint8Array(await new Response(stream).arrayBuffer());
}

/** A middleware around the session may add to `Vary` after it. */
function sortVary(exchange: Exchange): Exchange {
  const headers = exchange.headers.map(([name, value]): [string, string] =>
    /^vary$/i.test(name) ? [name, value.split(/, */).sort().join(", ")] : [name, value]
  );
  return { ...exchange, headers };
}

/**
 * The sizes of the first two events. The head of gzip may be sent with the first one or before it. On a busy machine the last
 * event arrives with the end.
 */
function eventsIn({ chunks }: Exchange): number[] {
  const [head = 0, next = 0, ...others] = chunks;
  return (head === 10 ? [head + next, ...others] : chunks).slice(0, 2);
}

function headerOf({ headers }: Exchange, name: string): string {
  return headers.filter(([other]) => other.toLowerCase() === name).map(([, value]) => value).join();
}

function assertAnswer(seen: Exchange, notes: unknown[] = [], expected: Answer, where: string): void {
  assertEquals([seen.status, seen.end], [expected.status, expected.end ?? "whole"], where);
  assertLike(latin1(seen.body), expected.body, where);
  for (const [name, value] of Object.entries(expected.headers ?? {})) {
    assertEquals(headerOf(seen, name), value, `${where}: ${name}`);
  }
  assertEquals(notes.length, expected.notes.length, `${where}: ${JSON.stringify(notes)}`);
  for (const [index, note] of expected.notes.entries()) assertLike(notes[index], note, where);
}

function assertLike(seen: unknown, expected: unknown, where: string): void {
  if (expected instanceof RegExp) assertMatch(String(seen), expected, where);
  else assertEquals(seen, expected, where);
}

let app: PackedApp;

Deno.test.beforeAll(async () => {
  app = await installPacked({ dependencies: DEPENDENCIES });
  await Deno.writeTextFile(`${app.dir}/server.mjs`, SCRIPT);
});

Deno.test.afterAll(async () => await app[Symbol.asyncDispose]());

for (const [runtime, start] of Object.entries(RUNTIMES)) {
  Deno.test(`nodeSessions() on ${runtime}`, async (t) => {
    await using server = await start(app.dir, "server.mjs");
    using visitor = new Visitor(server.port);

    for (const scenario of SCENARIOS) {
      await t.step(`${scenario} goes as without a session`, async () => {
        const visits = frameworksOf(scenario).flatMap((framework) =>
          ["bare", ...Object.keys(USES)].map(async (use) => {
            const path = `/${framework}/${use}/${scenario}`;
            const headers = COMPRESSED.includes(framework) ? { "Accept-Encoding": "gzip" } : undefined;
            return [path, sortVary(await visitor.visit(path, headers))] as const;
          })
        );
        const seen = Object.fromEntries(await Promise.all(visits));
        const notes = await visitor.notes();
        for (const framework of frameworksOf(scenario)) {
          const bare = `/${framework}/bare/${scenario}`;
          assertEquals([seen[bare]!.status < 500, seen[bare]!.end], [true, "whole"], bare);
          for (const [use, expected] of Object.entries(USES)) {
            const path = `/${framework}/${use}/${scenario}`;
            assertEquals(compare(seen[bare]!, seen[path]!, expected), [], path);
            assertEquals(notes[path], notes[bare], path);
            if (scenario === "events") assertEquals(eventsIn(seen[path]!), eventsIn(seen[bare]!), path);
          }
        }
      });
    }

    for (const [failure, expected] of Object.entries(FAILURES)) {
      // Bun has sent a head when it refuses the chunk.
      const isCutOff = runtime === "Bun" && failure.startsWith("refused-chunk");
      await t.step(`${failure} is answered with ${expected.status}`, async () => {
        for (const use of Object.keys(USES)) {
          const path = `/http/${use}/${failure}`;
          const seen = await visitor.visit(path);
          const notes = (await visitor.notes())[path];
          if (isCutOff) {
            assertNotEquals(seen.end, "whole", path);
            continue;
          }
          assertAnswer(seen, notes, expected, path);
          const token = tokenIn(seen);
          assertEquals(token !== undefined, use === "written" && expected.saved === true, path);
          const cacheControl = headerOf(seen, "cache-control");
          if (token !== undefined) assertMatch(cacheControl, /^private, no-cache="Set-Cookie"/, path);
        }
      });
    }

    for (const [failure, answers] of Object.entries(STORE_FAILURES)) {
      await t.step(`${failure} is answered with ${answers.map(({ status }) => status).join()}`, async () => {
        const path = `/store/${failure}`;
        for (const expected of answers) {
          const seen = await visitor.visit(path, { Cookie: `${COOKIE}=${"A".repeat(43)}` });
          assertAnswer(seen, (await visitor.notes())[path], expected, path);
          assertEquals(tokenIn(seen), undefined, path);
        }
      });
    }

    await t.step("a handler that fails after a part of its response is cut off", async () => {
      for (const framework of ["http", "express-4", "express-5"]) {
        for (const failure of ["throws-after-a-part", "throws-after-a-part-at-once"]) {
          const seen = await visitor.visit(`/${framework}/written/${failure}`);
          // Node drops what it has not sent yet when the connection is closed.
          const parts = failure === "throws-after-a-part" ? ["a part"] : ["", "a part"];
          assert(parts.includes(latin1(seen.body)), `${framework} ${failure}`);
          assertEquals(seen.end, "cut off", `${framework} ${failure}`);
        }
      }
      await visitor.notes();
    });

    await t.step(
      "a chunk that is refused after a part cuts off the response, and later writes call back",
      async () => {
        const path = "/http/written/refused-after-a-part";
        assertNotEquals((await visitor.visit(path)).end, "whole");
        await new Promise((resolve) => setTimeout(resolve, 50));
        const notes = (await visitor.notes())[path];
        assertEquals(notes, ["logged: ERR_INVALID_ARG_TYPE", "called back"]);
      },
    );

    await t.step(
      "an error of an Express handler is passed on, and what it changed is not saved",
      async () => {
        for (const framework of ["express-4", "express-5"]) {
          for (const use of ["never", ...Object.keys(USES)]) {
            const path = `/${framework}/${use}/throws`;
            const seen = await visitor.visit(path);
            assertEquals(
              [seen.status, latin1(seen.body), tokenIn(seen)],
              [500, "error page", undefined],
              path,
            );
            assertEquals(await visitor.notes(), { [path]: ["passed on: on purpose"] });
          }
        }
      },
    );

    await t.step("an error before the session's middleware is passed on", async () => {
      const seen = await visitor.visit("/express-5/read/fails-before");
      assertEquals([seen.status, latin1(seen.body)], [500, "error page"]);
      assertEquals(await visitor.notes(), { "/express-5/read/fails-before": ["passed on: on purpose"] });
    });

    await t.step("HEAD is answered without a body", async () => {
      for (const failure of ["throws", "throws-fetched", "throws-encoded", "throws-redirect"]) {
        const path = `/http/written/${failure}`;
        const seen = await visitor.visit(path, {}, "HEAD");
        const { status, notes } = FAILURES[failure]!;
        assertAnswer(seen, (await visitor.notes())[path], { status, body: "", notes }, path);
      }
    });

    await t.step("trailers that the runtime refuses are answered with 500", async () => {
      for (const use of Object.keys(USES)) {
        const seen = await visitor.visit(`/http/${use}/trailers`, {}, "HEAD");
        assertEquals([seen.status, seen.end, headerOf(seen, "trailer")], [500, "whole", ""], use);
      }
    });

    await visitor.notes();
    assertEquals(server.process.exitCode(), undefined, server.process.output());
  });
}

for (const version of [20, 26] as NodeVersion[]) {
  Deno.test(`nodeSessions() over HTTP/2 on Node ${version}`, async () => {
    const name = "_node_http2.mjs";
    await Deno.copyFile(new URL(name, import.meta.url), `${app.dir}/${name}`);
    const { stdout } = await new Deno.Command(nodeBinary(version), { args: [name], cwd: app.dir }).output();
    assertEquals(JSON.parse(new TextDecoder().decode(stdout)), {
      "late-calls": [200, "first", 1, "ERR_HTTP_HEADERS_SENT"],
      "write-head-list": [201, "list", 3],
      "drain": [200, `${"x".repeat(17)}, room: false`, 1],
      "throws": [500, "Internal Server Error\n", 0, "on purpose"],
      "throws-response": [418, "teapot", 1],
    });
  });
}

Deno.test("of() says that the request must pass through the same nodeSessions()", () => {
  const request = {} as Parameters<ReturnType<typeof nodeSessions>>[0];
  const { message } = assertThrows(() => nodeSessions(sessions()).of(request), TypeError);
  assertMatch(message, /did not pass through this nodeSessions\(\); mount what it returns, and use that/);
});

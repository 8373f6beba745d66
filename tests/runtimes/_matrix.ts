/**
 * Runs the list of behaviours on one runtime. For each way of mounting and each use of the session, it compares the
 * response with that of the same handler without sessions.
 * @module
 */

import type { AccidentName } from "./_accidents.ts";
import type { Mount, UseName } from "./_app.ts";
import { compare, COOKIE, type Expected, isSame, tokenIn } from "./_compare.ts";
import { type Ask, type Exchange, latin1, RawClient, RawConnection } from "./_raw_client.ts";
import type { Ability, Row } from "./_rows.ts";
import type { Upstream } from "./_upstream.ts";

/** A server that runs the application of `_app.ts`. */
export interface RunningServer extends AsyncDisposable {
  readonly port: number;
  /** The end of what it has written. */
  output(): string;
  /** Its exit code; `undefined` while it runs. */
  exitCode(): number | undefined;
}

/** One column of the table. */
export interface Runtime {
  name: string;
  /** The abilities that the runtime has. */
  has: readonly Ability[];
  /** Starts its server. */
  start(environment: { upstream: string; file: string }): Promise<RunningServer>;
}

/** The result of one cell of the table. */
export interface CellResult {
  /** How many responses were compared, or mistakes made. */
  checks: number;
  /** The problems. Each begins with the request that showed it. */
  problems: string[];
}

/** One runtime with its server running. */
export interface Matrix extends AsyncDisposable {
  readonly runtime: Runtime;
  /** Runs one cell. */
  cell(row: Row): Promise<CellResult>;
}

/** Whether a runtime lacks an ability that a row needs. */
export function isMissing(row: Row, runtime: Pick<Runtime, "has">): boolean {
  return row.needs !== undefined && !runtime.has.includes(row.needs);
}

/** Whether a runtime is among those that a row names. A name may be a part of the runtime's name. */
export function isAmong(names: readonly string[] | undefined, runtime: Pick<Runtime, "name">): boolean {
  return names?.some((name) => name === "every runtime" || runtime.name.includes(name)) ?? false;
}

/** A use of the session, by a visitor with or without a session. */
interface Variant {
  name: string;
  use: UseName;
  signedIn: boolean;
  expected: Expected;
  /** The value in the offered session afterwards; `null` if it is gone. */
  after?: number | null;
  /** The same, if the handler's end saves nothing. */
  afterFailure?: number | null;
}

const NOTHING: Expected = { marked: false, cookie: "none" };
const MARKED: Expected = { marked: true, cookie: "none" };
const NEW_TOKEN: Expected = { marked: true, cookie: "token" };
const DELETION: Expected = { marked: true, cookie: "deletion" };

const VARIANTS: Variant[] = [
  { name: "never asked", use: "never", signedIn: false, expected: NOTHING },
  {
    name: "never asked, with a cookie",
    use: "never",
    signedIn: true,
    expected: NOTHING,
    after: 1,
    afterFailure: 1,
  },
  { name: "read, without a session", use: "read", signedIn: false, expected: MARKED },
  { name: "read", use: "read", signedIn: true, expected: MARKED, after: 1, afterFailure: 1 },
  { name: "created", use: "written", signedIn: false, expected: NEW_TOKEN },
  { name: "written", use: "written", signedIn: true, expected: MARKED, after: 7, afterFailure: 1 },
  { name: "created by a login", use: "renewed", signedIn: false, expected: NEW_TOKEN },
  { name: "renewed", use: "renewed", signedIn: true, expected: NEW_TOKEN, after: null, afterFailure: 1 },
  {
    name: "destroyed",
    use: "destroyed",
    signedIn: true,
    expected: DELETION,
    after: null,
    afterFailure: null,
  },
];

/** Leaves out variants that hardly differ from others. The row of texts runs all variants. */
const COMMON_VARIANTS = VARIANTS.filter(({ name }) =>
  name !== "never asked" && name !== "created by a login"
);

/** The variants for a HEAD: one for each header that may be added. */
const HEAD_VARIANTS = VARIANTS.filter(({ name }) =>
  /^(?:never asked, with|read$|created$|destroyed)/.test(name)
);

/** At most this many sessions are offered to one handler in one cell. */
const VISITORS = 8;

/** The visits to one shared `Response` object. No visit may leave anything in it for the next. */
const SHARED_VISITS = [
  "created",
  "never asked",
  "read",
  "renewed",
  "never asked",
  "destroyed",
  "never asked",
];

/** A way of mounting, and its handler without sessions. */
interface Family {
  mount: Mount;
  bare: Mount;
}
const FETCH: Family = { mount: "fetch", bare: "bare" };
const HONO: Family = { mount: "hono", bare: "bare-hono" };
const BEGIN: Family = { mount: "begin", bare: "bare-begin" };
const FAMILIES = [FETCH, HONO, BEGIN];

/** How many requests of a cell run at once. */
const CONCURRENCY = 8;

/** How long a chunk may be delayed before its stream continues. */
const HELD_BACK = 3_000;

/** How long an unhandled rejection may take to end a process. */
const AFTERMATH = 120;

let lastId = 0;

/** Starts a runtime's server, for any number of cells. */
export async function openMatrix(runtime: Runtime, upstream: Upstream, file: string): Promise<Matrix> {
  const environment = { upstream: upstream.url, file };
  let server = await runtime.start(environment);

  /** The tools of a cell, with its own connections. */
  function bed(): Bed {
    return new Bed(server.port, upstream, runtime);
  }

  async function restart(): Promise<void> {
    await server[Symbol.asyncDispose]();
    server = await runtime.start(environment);
  }

  /** Whether the server still works, a while after an accident. */
  async function livesOn(): Promise<string | undefined> {
    await new Promise((resolve) => setTimeout(resolve, AFTERMATH));
    if (server.exitCode() !== undefined) return `ended with exit code ${server.exitCode()}`;
    try {
      using connection = await RawConnection.open(server.port);
      const { status } = await connection.exchange({ path: "/health" });
      return status === 200 ? undefined : `answers ${status}`;
    } catch (error) {
      return `no longer answers: ${error instanceof Error ? error.message : error}`;
    }
  }

  async function accidents(names: AccidentName[], answer?: RegExp): Promise<CellResult> {
    const run = async (name: AccidentName) => {
      try {
        using connection = await RawConnection.open(server.port);
        const exchange = await connection.exchange({ path: `/accident/-/-/${name}` });
        const seen = `${exchange.status} ${latin1(exchange.body)}`;
        if (exchange.end !== "whole") return [`${name}: the response is ${exchange.end}`];
        return answer && !answer.test(seen) ? [`${name}: the answer is ${JSON.stringify(seen)}`] : [];
      } catch (error) {
        return [`${name}: no answer, ${error instanceof Error ? error.message : error}`];
      }
    };
    let problems = (await Promise.all(names.map(run))).flat();
    if (await livesOn() !== undefined) {
      // One of them ended the server. They are repeated one at a time, to find out which.
      problems = [];
      for (const name of names) {
        await restart();
        const own = await run(name);
        const end = await livesOn();
        problems.push(
          ...own,
          ...(end === undefined ? [] : [`${name}: the server ${end}\n${tail(server.output())}`]),
        );
      }
      await restart();
    }
    return { checks: names.length, problems };
  }

  return {
    runtime,
    async cell(row) {
      const result = "accidents" in row ? await accidents(row.accidents, row.answer) : await bed().run(row);
      const end = server.exitCode();
      if (end !== undefined) {
        result.problems.push(`the server ended with exit code ${end}\n${tail(server.output())}`);
        await restart();
      }
      return result;
    },
    [Symbol.asyncDispose]: () => server[Symbol.asyncDispose](),
  };
}

/** What is known about a session after a response. */
interface Effect {
  at: string;
  token: string;
  holds: number | null;
}

/** How the responses of a handler are compared. */
interface Comparison {
  /** Part of the path after the use, such as `give/text`. */
  what: string;
  bareWhat?: string;
  method?: "HEAD" | undefined;
  families: Family[];
  ownHead: boolean;
  /** Whether the handler ends in an error, so that nothing is saved. */
  fails?: boolean;
  /** Whether the framework decides what such an end means. Then the session is saved or not, but never in part. */
  open?: boolean;
}

/** One cell that is running. */
class Bed {
  readonly #client: RawClient;
  readonly #upstream: Upstream;
  readonly #runtime: Runtime;
  readonly #problems: string[] = [];
  readonly #effects: Effect[] = [];
  readonly #limit = limiter(CONCURRENCY);
  #tokens: string[] = [];
  #checks = 0;
  #handlersHeadInHono = false;
  #keepsMarks = false;
  #losesRange = false;

  constructor(port: number, upstream: Upstream, runtime: Runtime) {
    this.#client = new RawClient(port);
    this.#upstream = upstream;
    this.#runtime = runtime;
  }

  async run(row: Exclude<Row, { accidents: unknown }>): Promise<CellResult> {
    const ownHead = isAmong(row.ownHead, this.#runtime);
    this.#handlersHeadInHono = isAmong(row.handlersHeadInHono, this.#runtime);
    this.#keepsMarks = isAmong(row.keepsMarks, this.#runtime);
    this.#losesRange = isAmong(row.losesRange, this.#runtime);
    try {
      const comparisons = this.#comparisons(row, ownHead);
      const path = `/sign-in/-/-/${comparisons.length * FAMILIES.length * VISITORS}`;
      this.#tokens = JSON.parse(latin1((await this.#client.exchange({ path })).body));
      await Promise.all(comparisons.map((run) => run()));
      await this.#checkEffects();
    } finally {
      this.#client[Symbol.dispose]();
    }
    return { checks: this.#checks, problems: this.#problems };
  }

  /** The comparisons of a row. Each runs once its sessions exist. */
  #comparisons(row: Exclude<Row, { accidents: unknown }>, ownHead: boolean): (() => Promise<void>)[] {
    const compare = (comparison: Comparison) => () => this.#compare(comparison);
    if ("responses" in row) {
      const { responses, method } = row;
      return responses.map((name) =>
        compare({ what: `response/${name}`, method, families: FAMILIES, ownHead })
      );
    }
    if ("helpers" in row) {
      const { helpers, method } = row;
      return helpers.map((name) => compare({ what: `helper/${name}`, method, families: [HONO], ownHead }));
    }
    if ("shared" in row) return row.shared.map((name) => () => this.#compareShared(name));
    if ("socket" in row) return [compare({ what: `response/${row.socket}`, families: FAMILIES, ownHead })];
    if ("thrownResponses" in row) {
      return row.thrownResponses.map((name) =>
        compare({ what: `throw/${name}`, bareWhat: `give/${name}`, families: FAMILIES, ownHead })
      );
    }
    if ("thrown" in row) {
      return row.thrown.map((name) =>
        compare({ what: `throw/${name}`, families: FAMILIES, ownHead: true, fails: true })
      );
    }
    return row.thrownToFramework.flatMap((name) => [
      compare({ what: `throw/${name}`, families: [FETCH], ownHead: true, open: true }),
      compare({ what: `throw/${name}`, families: [BEGIN], ownHead: false }),
    ]);
  }

  /** Every mount and use of one response. */
  async #compare(comparison: Comparison): Promise<void> {
    const { what, bareWhat = what, method } = comparison;
    // `@hono/node-server` 1 answers a HEAD with the original response, without later changes.
    const ignoresChanges = method === "HEAD" && this.#runtime.name.endsWith("@hono/node-server 1");
    const families = comparison.families.filter((family) => !(ignoresChanges && family === HONO));
    if (families.length === 0) this.#checks++;
    await Promise.all(families.map(async (family) => {
      const bare = await this.#bare(`${family.bare}/never/${bareWhat}`, method);
      // Hono answers some thrown values itself, and not quite as it answers returned ones.
      const thrown = bareWhat === what ? bare : await this.#bare(`${family.bare}/never/${what}`, method);
      const common = method === "HEAD" ? HEAD_VARIANTS : COMMON_VARIANTS;
      const variants = /\/(?:text|c\.text|response|error)$/.test(what) ? VARIANTS : common;
      await Promise.all(variants.map(async (variant) => {
        const token = variant.signedIn ? this.#tokens.pop()! : undefined;
        const seen = await this.#visit({ path: `${family.mount}/${variant.use}/${what}`, method, token });
        // The adapter fails for some responses that were not read before.
        if (family === HONO && this.#handlersHeadInHono && bare.status === 500 && seen.status === 200) return;
        const asThrown = thrown.status < 500 || variant.use === "never";
        const wanted = this.#losesRange && variant.use !== "never" ? this.#withoutRange(bare) : bare;
        this.#judge(
          `${method ?? "GET"} ${family.mount}/${what}, ${variant.name}`,
          asThrown ? [wanted, thrown] : [wanted],
          seen,
          variant,
          family === HONO && this.#handlersHeadInHono ? { ...comparison, ownHead: true } : comparison,
          token,
        );
      }));
    }));
  }

  /** What Bun sends in place of its own 206, once the headers were read. */
  #withoutRange(bare: Exchange): Exchange {
    const headers = bare.headers.filter(([name]) => !/^content-range$/i.test(name));
    if (bare.status !== 206 || headers.length === bare.headers.length) {
      this.#problems.push(`without a session it is no 206 with a range, but ${bare.statusLine}`);
    }
    return { ...bare, status: 200, statusLine: bare.statusLine.replace(/206.*/, "200 OK"), headers };
  }

  /** The response without a session, requested twice. If it differs from itself, it cannot be compared. */
  async #bare(path: string, method?: "HEAD"): Promise<Exchange> {
    const [one, other] = await Promise.all([this.#visit({ path, method }), this.#visit({ path, method })]);
    if (!isSame(one, other)) {
      this.#problems.push(`${path}: differs from itself: ${compare(one, other, NOTHING).join("; ")}`);
    }
    return one;
  }

  /** One shared object through several visits. Each is compared with the same visit of an object without sessions. */
  async #compareShared(name: string): Promise<void> {
    await Promise.all(FAMILIES.map(async ({ mount, bare }) => {
      const cell = `${mount}-${name}-${++lastId}`;
      let first: Exchange | undefined;
      for (const [index, variantName] of SHARED_VISITS.entries()) {
        let variant = VARIANTS.find((other) => other.name === variantName)!;
        const token = variant.signedIn || variantName === "renewed" ? this.#tokens.pop()! : undefined;
        const what = `response/${name}`;
        const was = await this.#visit({ path: `${bare}/never/${what}`, cell: `bare-${cell}` });
        first ??= was;
        const seen = await this.#visit({ path: `${mount}/${variant.use}/${what}`, cell, token });
        const isKept = seen.headers.some(([name, value]) => /^vary$/i.test(name) && /cookie/i.test(value));
        if (this.#keepsMarks && isKept && variant.expected === NOTHING) {
          variant = { ...variant, expected: MARKED };
        }
        const at = `${mount}/${what}, visit ${index + 1}, ${variantName}`;
        // Bun sends the headers of an object once, or on each visit.
        if (was.end === "whole" && was.status !== 500) {
          const before = this.#problems.length;
          this.#judge(at, [was, first], seen, variant, { what, families: FAMILIES, ownHead: false }, token);
          if (variantName === "never asked") this.#forgiveMarks(before);
          continue;
        }
        // The runtime refuses to send a body twice. It may do so here too, or send the first body.
        this.#checks++;
        if (seen.status === 500 || seen.end === was.end && was.end !== "whole") continue;
        for (const problem of compare(first, seen, { ...variant.expected, ownHead: true })) {
          this.#problems.push(`${at}: ${problem}`);
        }
      }
    }));
  }

  /** An object that was marked for one visitor is private for the next one too, which is harmless. */
  #forgiveMarks(from: number): void {
    if (!this.#runtime.name.includes("@hono/node-server")) return;
    const others = this.#problems.splice(from);
    this.#problems.push(
      ...others.filter((problem) => !/: (?:Vary|Cache-Control) is "(?:cookie|private)/.test(problem)),
    );
  }

  #judge(
    at: string,
    bares: Exchange[],
    seen: Exchange,
    variant: Variant,
    { ownHead, fails, open, what }: Comparison,
    token: string | undefined,
  ): void {
    this.#checks++;
    const announced = tokenIn(seen);
    let expected: Expected = { ...variant.expected, ownHead };
    if (fails && variant.expected.cookie === "token") expected = { ...MARKED, ownHead };
    // An awaited logout stands, and the browser gets its cookie although the handler failed.
    if (fails && variant.use === "destroyed") expected = { ...DELETION, statusOnly: true };
    // If nothing was thrown, Hono's own error handler may have an error to answer.
    if (fails && /(?:undefined|null)$/.test(what)) expected = { ...expected, statusOnly: true };
    if (open && announced === undefined) expected = { ...expected, cookie: "none" };
    const gated = /\/(?:stream|stream-typed|events|streamText|streamSSE)$/.test(what);
    const verdicts = bares.map((bare) => {
      const problems = compare(bare, seen, expected);
      if (gated && bare.chunks.join() !== seen.chunks.join()) {
        problems.push(`chunks are of ${seen.chunks.join()} bytes instead of ${bare.chunks.join()}`);
      }
      return problems;
    });
    if (verdicts.every((problems) => problems.length > 0)) {
      for (const problem of verdicts[0]!) this.#problems.push(`${at}: ${problem}`);
    }

    const after = fails ? variant.afterFailure : variant.after;
    if (token !== undefined && after !== undefined && !open) this.#effects.push({ at, token, holds: after });
    if (announced && variant.expected.cookie === "token") {
      this.#effects.push({ at, token: announced, holds: 7 });
    }
    // The library decides whether a framework's end saves. A session with a new token must keep its browser.
    if (open && token !== undefined && variant.use === "renewed") {
      this.#effects.push({ at, token, holds: announced ? null : 1 });
    }
  }

  /** The values of the sessions, at the end. */
  async #checkEffects(): Promise<void> {
    const body = JSON.stringify(this.#effects.map(({ token }) => token));
    const answer = await this.#client.exchange({ method: "POST", path: "/sessions", body });
    if (answer.status !== 200) {
      throw new Error(`Cannot look at sessions: ${answer.statusLine}, ${answer.end}`);
    }
    const held = JSON.parse(latin1(answer.body)) as (number | null)[];
    for (const [index, { at, holds }] of this.#effects.entries()) {
      if (held[index] !== holds) {
        this.#problems.push(`${at}: afterwards the session holds ${held[index]} instead of ${holds}`);
      }
    }
  }

  #visit({ path, method, token, cell }: Visiting): Promise<Exchange> {
    return this.#limit(async () => {
      const id = String(++lastId);
      const headers: Record<string, string> = token === undefined ? {} : { Cookie: `${COOKIE}=${token}` };
      // Without any session, Node and Bun send a decoded body with the headers of the encoded one, or a length
      // without a body. Extra or missing bytes must not delay the next response.
      if (/upstream-(?:gzip|brotli|head)|proxy-gzip/.test(path)) headers.Connection = "close";
      const ask: Ask = { path: `/${path}?id=${id}${cell ? `&cell=${cell}` : ""}`, headers };
      if (method !== undefined) ask.method = method;
      if (path.endsWith("/websocket")) return await upgrade(this.#client.port, ask);
      // A stream waits until its client has received the previous chunk. The client of a HEAD receives none.
      const openAll = () => [1, 2, 3].forEach((gate) => this.#upstream.open(id, gate));
      if (method === "HEAD") openAll();
      let seen = 0;
      ask.onBody = () => this.#upstream.open(id, ++seen);
      let heldBack = false;
      const timer = setTimeout(() => {
        heldBack = true;
        openAll();
      }, HELD_BACK);
      try {
        const exchange = await this.#client.exchange(ask);
        return heldBack ? { ...exchange, end: "held back" } : exchange;
      } finally {
        clearTimeout(timer);
      }
    });
  }
}

interface Visiting {
  path: string;
  method?: "HEAD" | undefined;
  token?: string | undefined;
  cell?: string;
}

/** Requests an upgrade. The echo is compared like a body. */
async function upgrade(port: number, ask: Ask): Promise<Exchange> {
  using connection = await RawConnection.open(port);
  const headers = {
    ...ask.headers,
    Upgrade: "websocket",
    Connection: "Upgrade",
    "Sec-WebSocket-Version": "13",
    "Sec-WebSocket-Key": "dGhlIHNhbXBsZSBub25jZQ==",
  };
  const exchange = await connection.exchange({ ...ask, headers });
  if (exchange.status !== 101) return exchange;
  // A client masks what it sends. A mask of zeros changes nothing (RFC 6455, 5.3).
  let echo = latin1(await connection.raw(FRAME));
  while (echo.length < 7) echo += latin1(await connection.raw(new Uint8Array()));
  return { ...exchange, body: Uint8Array.from(echo, (character) => character.charCodeAt(0)) };
}

/** A text message, "hello". */
const FRAME = Uint8Array.from("\x81\x85\0\0\0\0hello", (character) => character.charCodeAt(0));

function tail(text: string): string {
  return text.split("\n").slice(-12).join("\n");
}

/** Runs at most this many at once. */
function limiter(most: number): <T>(work: () => Promise<T>) => Promise<T> {
  const waiting: (() => void)[] = [];
  let running = 0;
  return async (work) => {
    if (running >= most) await new Promise<void>((resolve) => waiting.push(resolve));
    running++;
    try {
      return await work();
    } finally {
      running--;
      waiting.shift()?.();
    }
  };
}

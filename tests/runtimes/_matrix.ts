/**
 * Runs the list of behaviours on one runtime: for each way of mounting and each use of the session, what is sent is
 * compared with what the same handler sends without a session.
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
  /** What it has written, at its end. */
  output(): string;
  /** Its exit code, once it has ended. */
  exitCode(): number | undefined;
}

/** One column of the table. */
export interface Runtime {
  name: string;
  /** What of the rows' needs it has. */
  has: readonly Ability[];
  /** Starts its server. */
  start(environment: { upstream: string; file: string }): Promise<RunningServer>;
}

/** How one cell of the table went. */
export interface CellResult {
  /** How many responses were compared, or mistakes made. */
  checks: number;
  /** What was wrong; each begins with what it was seen at. */
  problems: string[];
}

/** One runtime with its server running. */
export interface Matrix extends AsyncDisposable {
  readonly runtime: Runtime;
  /** Runs one cell. */
  cell(row: Row): Promise<CellResult>;
}

/** Whether a runtime lacks what a row is about. */
export function isMissing(row: Row, runtime: Pick<Runtime, "has">): boolean {
  return row.needs !== undefined && !runtime.has.includes(row.needs);
}

/** Whether a runtime is among those that a row names, each by a part of its name. */
export function isAmong(names: readonly string[] | undefined, runtime: Pick<Runtime, "name">): boolean {
  return names?.some((name) => name === "every runtime" || runtime.name.includes(name)) ?? false;
}

/** A use of the session, by a visitor with a session or without. */
interface Variant {
  name: string;
  use: UseName;
  signedIn: boolean;
  expected: Expected;
  /** What the offered session holds afterwards; `null` where it is gone. */
  after?: number | null;
  /** The same, where the handler's end saves nothing. */
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

/** Without what hardly differs from another one; a text is seen with all of them. */
const COMMON_VARIANTS = VARIANTS.filter(({ name }) =>
  name !== "never asked" && name !== "created by a login"
);

/** What differs for a HEAD: one variant for each thing that may be added. */
const HEAD_VARIANTS = VARIANTS.filter(({ name }) =>
  /^(?:never asked, with|read$|created$|destroyed)/.test(name)
);

/** At most so many sessions are offered to one handler in one cell. */
const VISITORS = 8;

/** What one `Response` object goes through that is given to many: each visit must leave nothing in it for the next. */
const SHARED_VISITS = [
  "created",
  "never asked",
  "read",
  "renewed",
  "never asked",
  "destroyed",
  "never asked",
];

/** A way of mounting, and its handler without a session. */
interface Family {
  mount: Mount;
  bare: Mount;
}
const FETCH: Family = { mount: "fetch", bare: "bare" };
const HONO: Family = { mount: "hono", bare: "bare-hono" };
const BEGIN: Family = { mount: "begin", bare: "bare-begin" };
const FAMILIES = [FETCH, HONO, BEGIN];

/** How many requests of a cell are under way at once. */
const CONCURRENCY = 8;

/** How long a chunk may be held back before its stream is let go on. */
const HELD_BACK = 3_000;

/** How long a rejection that nobody listens to may take to end a process. */
const AFTERMATH = 120;

let lastId = 0;

/** Starts a runtime's server, for any number of cells. */
export async function openMatrix(runtime: Runtime, upstream: Upstream, file: string): Promise<Matrix> {
  const environment = { upstream: upstream.url, file };
  let server = await runtime.start(environment);

  /** What a cell needs, with connections that no other cell has used. */
  function bed(): Bed {
    return new Bed(server.port, upstream, runtime);
  }

  async function restart(): Promise<void> {
    await server[Symbol.asyncDispose]();
    server = await runtime.start(environment);
  }

  /** Whether the server is as it was, a while after something happened to it. */
  async function livesOn(): Promise<string | undefined> {
    await new Promise((resolve) => setTimeout(resolve, AFTERMATH));
    if (server.exitCode() !== undefined) return `ended with exit code ${server.exitCode()}`;
    try {
      using connection = await RawConnection.open(server.port);
      const { status } = await connection.exchange({ path: "/health" });
      return status === 200 ? undefined : `answers ${status}`;
    } catch (error) {
      return `answers no more: ${error instanceof Error ? error.message : error}`;
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
      // One of them ended it. Once more, one at a time, to tell which.
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

/** How what a handler does is compared. */
interface Comparison {
  /** Part of the path after the use, such as `give/text`. */
  what: string;
  bareWhat?: string;
  method?: "HEAD" | undefined;
  families: Family[];
  ownHead: boolean;
  /** Whether the handler ends in an error that saves nothing. */
  fails?: boolean;
  /** Whether it is a framework's to say what such an end means: then nothing is lost half. */
  open?: boolean;
}

/** One cell on its way. */
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

  constructor(port: number, upstream: Upstream, runtime: Runtime) {
    this.#client = new RawClient(port);
    this.#upstream = upstream;
    this.#runtime = runtime;
  }

  async run(row: Exclude<Row, { accidents: unknown }>): Promise<CellResult> {
    const ownHead = isAmong(row.ownHead, this.#runtime);
    this.#handlersHeadInHono = isAmong(row.handlersHeadInHono, this.#runtime);
    this.#keepsMarks = isAmong(row.keepsMarks, this.#runtime);
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

  /** The comparisons of a row. Each runs once its sessions have been made. */
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
    // It makes the answer to a HEAD of the response as it was made, without what was changed since.
    const ignoresChanges = method === "HEAD" && this.#runtime.name.endsWith("@hono/node-server 1");
    const families = comparison.families.filter((family) => !(ignoresChanges && family === HONO));
    if (families.length === 0) this.#checks++;
    await Promise.all(families.map(async (family) => {
      const bare = await this.#bare(`${family.bare}/never/${bareWhat}`, method);
      // Hono answers some of what is thrown itself, and does not answer just as it would what is given.
      const thrown = bareWhat === what ? bare : await this.#bare(`${family.bare}/never/${what}`, method);
      const common = method === "HEAD" ? HEAD_VARIANTS : COMMON_VARIANTS;
      const variants = /\/(?:text|c\.text|response|error)$/.test(what) ? VARIANTS : common;
      await Promise.all(variants.map(async (variant) => {
        const token = variant.signedIn ? this.#tokens.pop()! : undefined;
        const seen = await this.#visit({ path: `${family.mount}/${variant.use}/${what}`, method, token });
        // The adapter fails at some of what is not read before.
        if (family === HONO && this.#handlersHeadInHono && bare.status === 500 && seen.status === 200) return;
        const asThrown = thrown.status < 500 || variant.use === "never";
        this.#judge(
          `${method ?? "GET"} ${family.mount}/${what}, ${variant.name}`,
          asThrown ? [bare, thrown] : [bare],
          seen,
          variant,
          family === HONO && this.#handlersHeadInHono ? { ...comparison, ownHead: true } : comparison,
          token,
        );
      }));
    }));
  }

  /** What is sent without a session, asked for twice: what is not steady by itself can be compared with nothing. */
  async #bare(path: string, method?: "HEAD"): Promise<Exchange> {
    const [one, other] = await Promise.all([this.#visit({ path, method }), this.#visit({ path, method })]);
    if (!isSame(one, other)) {
      this.#problems.push(`${path}: differs from itself: ${compare(one, other, NOTHING).join("; ")}`);
    }
    return one;
  }

  /** One object through several visits, each compared with the same visit of an object without sessions. */
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
        // Bun sends the headers of an object once. They may come with each visit.
        if (was.end === "whole" && was.status !== 500) {
          const before = this.#problems.length;
          this.#judge(at, [was, first], seen, variant, { what, families: FAMILIES, ownHead: false }, token);
          if (variantName === "never asked") this.#forgiveMarks(before);
          continue;
        }
        // The runtime refuses to send a body twice. It may do so here too, or send what it sent at first.
        this.#checks++;
        if (seen.status === 500 || seen.end === was.end && was.end !== "whole") continue;
        for (const problem of compare(first, seen, { ...variant.expected, ownHead: true })) {
          this.#problems.push(`${at}: ${problem}`);
        }
      }
    }));
  }

  /** An object that was marked for one visitor is private for the next one, too, which harms nobody. */
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
    // A logout that was awaited stands, and the browser hears of it although the handler failed.
    if (fails && variant.use === "destroyed") expected = { ...DELETION, statusOnly: true };
    // Where nothing was thrown, Hono's own handler of errors may be given an error to answer.
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
    // Whether a framework's end saves is for the library to say. A session that moved must not lose its browser.
    if (open && token !== undefined && variant.use === "renewed") {
      this.#effects.push({ at, token, holds: announced ? null : 1 });
    }
  }

  /** What the sessions hold, after all. */
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
      // Node and Bun send a decoded body under the headers of the encoded one, and no body under a length, without any
      // session. Neither what they send beyond an end nor what they do not send may hold up the next response.
      if (/upstream-(?:gzip|brotli|head)|proxy-gzip/.test(path)) headers.Connection = "close";
      const ask: Ask = { path: `/${path}?id=${id}${cell ? `&cell=${cell}` : ""}`, headers };
      if (method !== undefined) ask.method = method;
      if (path.endsWith("/websocket")) return await upgrade(this.#client.port, ask);
      // A stream waits until its client has seen the chunk before. A client of a HEAD sees none.
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

/** Asks for an upgrade; what comes back of an echo stands for the body. */
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
  // A client masks what it sends; a mask of zeros changes nothing (RFC 6455, 5.3).
  let echo = latin1(await connection.raw(FRAME));
  while (echo.length < 7) echo += latin1(await connection.raw(new Uint8Array()));
  return { ...exchange, body: Uint8Array.from(echo, (character) => character.charCodeAt(0)) };
}

/** A text message, "hello". */
const FRAME = Uint8Array.from("\x81\x85\0\0\0\0hello", (character) => character.charCodeAt(0));

function tail(text: string): string {
  return text.split("\n").slice(-12).join("\n");
}

/** Runs at most so many at once. */
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

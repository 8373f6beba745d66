/**
 * An app of the comparison from the program's side: a process, browsers that visit it, and its controls.
 * @module
 */

import type { About, Outage, StoreCall } from "./_app.ts";

/** A response. */
export interface Answer {
  /** 0 if the connection broke. */
  status: number;
  headers: Headers;
  body: string;
}

/** A request and its response, for the file of responses. */
export interface Exchange {
  situation: string;
  method: string;
  path: string;
  cookie: string;
  status: number;
  headers: Record<string, string[]>;
  body: string;
}

const READY_TIMEOUT_MS = 60_000;

/** How to start an app. */
export interface Program {
  module: URL;
  /** The configuration with its imports. */
  config: URL;
  /** Its arguments. */
  args?: readonly string[];
}

/** A running app. */
export class Peer {
  readonly exchanges: Exchange[] = [];
  /** The situation that is being run. */
  situation = "";
  about!: About & { hasStore: boolean; canSpoil: boolean };
  readonly #program: Program;
  #child: Deno.ChildProcess | undefined;
  #ended = false;
  #app = "";
  #controls = "";
  /** Where the process creates its files. It is killed, so it cannot clean up. */
  #scratch = "";

  private constructor(program: Program) {
    this.#program = program;
  }

  /** Starts an app and waits until it listens. */
  static async start(program: Program): Promise<Peer> {
    const peer = new Peer(program);
    await peer.#start();
    peer.about = await peer.#control("/about") as Peer["about"];
    return peer;
  }

  /** Whether the process has ended by itself. */
  get ended(): boolean {
    return this.#ended;
  }

  /** Whether the process ends because of the request just before. */
  async ends(): Promise<boolean> {
    await Promise.race([this.#child?.status, new Promise((resolve) => setTimeout(resolve, 300))]);
    return this.#ended;
  }

  /** A new process in place of one that ended. */
  async restart(): Promise<void> {
    await this.stop();
    await this.#start();
  }

  /** Ends the process. */
  async stop(): Promise<void> {
    const child = this.#child;
    this.#child = undefined;
    if (child === undefined) return;
    if (!this.#ended) child.kill("SIGKILL");
    await child.status;
    await Deno.remove(this.#scratch, { recursive: true });
  }

  /** Sends a request. Never throws, whatever the app does. */
  async send(method: string, path: string, cookie = ""): Promise<Answer> {
    let answer: Answer;
    try {
      const response = await fetch(this.#app + path, {
        method,
        redirect: "manual",
        // Compression adds headers of its own.
        headers: { "accept-encoding": "identity", ...cookie && { cookie } },
      });
      answer = { status: response.status, headers: response.headers, body: await response.text() };
    } catch {
      answer = { status: 0, headers: new Headers(), body: "" };
    }
    const headers: Record<string, string[]> = {};
    for (const [name, value] of answer.headers) (headers[name] ??= []).push(value);
    const { status, body } = answer;
    this.exchanges.push({
      situation: this.situation,
      method,
      path,
      cookie,
      status,
      headers,
      body: body.slice(0, 300),
    });
    return answer;
  }

  /** Waits until this many handlers are at a gate, or until their requests were answered without reaching it. */
  async waitAtGate(gate: string, requests: readonly Promise<unknown>[]): Promise<void> {
    let answered = 0;
    for (const request of requests) request.then(() => answered++);
    while (answered + (await this.#control(`/waiting?gate=${gate}`) as number) < requests.length) {
      await new Promise((resolve) => setTimeout(resolve, 5));
    }
  }

  /** Opens a gate for the handlers that wait. */
  async open(gate: string): Promise<void> {
    await this.#control(`/open?gate=${gate}`);
  }

  /** Sets which store calls fail. */
  async outage(of: Outage): Promise<void> {
    await this.#control(`/outage?of=${encodeURIComponent(of)}`);
  }

  /** The store calls since the last call of this method. */
  async calls(): Promise<StoreCall[]> {
    return await this.#control("/calls") as StoreCall[];
  }

  /** Every text in the store, row by row. */
  async rows(): Promise<string[][]> {
    return await this.#control("/rows") as string[][];
  }

  /** Makes every row unreadable. */
  async spoil(): Promise<void> {
    await this.#control("/spoil");
  }

  async #control(path: string): Promise<unknown> {
    try {
      const response = await fetch(this.#controls + path);
      if (!response.ok) throw new Error(`${path} answered ${response.status}: ${await response.text()}`);
      return await response.json();
    } catch (error) {
      // The end of the process shows in the next request of a situation.
      if (await this.ends()) return null;
      throw error;
    }
  }

  async #start(): Promise<void> {
    this.#scratch = await Deno.makeTempDir({ prefix: "sessions_compare_" });
    const child = new Deno.Command(Deno.execPath(), {
      args: [
        "run",
        "--quiet",
        "--allow-all",
        "--no-check",
        "--config",
        this.#program.config.pathname,
        this.#program.module.pathname,
        ...this.#program.args ?? [],
      ],
      env: { NO_COLOR: "1", TMPDIR: this.#scratch },
      stdin: "null",
      stdout: "piped",
      stderr: "piped",
    }).spawn();
    this.#child = child;
    this.#ended = false;
    child.status.then(() => this.#child === child && (this.#ended = true));
    // Libraries print their failures. They are shown only if the app does not start.
    let printed = "";
    const reading = child.stderr.pipeThrough(new TextDecoderStream()).pipeTo(
      new WritableStream({ write: (text) => void (printed = (printed + text).slice(-4_000)) }),
    );
    const ports = Promise.withResolvers<{ app: number; controls: number }>();
    const timeout = setTimeout(() => ports.reject(new Error("it did not listen in time")), READY_TIMEOUT_MS);
    let out = "";
    child.stdout.pipeThrough(new TextDecoderStream()).pipeTo(
      new WritableStream({
        write(text) {
          out += text;
          const line = out.split("\n").find((line) => line.startsWith('{"app":'));
          if (line !== undefined) ports.resolve(JSON.parse(line));
        },
        close: () => ports.reject(new Error("it ended before it listened")),
      }),
    ).catch(() => {});
    try {
      const { app, controls } = await ports.promise;
      this.#app = `http://127.0.0.1:${app}`;
      this.#controls = `http://127.0.0.1:${controls}`;
    } catch (cause) {
      await this.stop();
      await reading.catch(() => {});
      throw new Error(`${this.#program.module.pathname} did not start:\n${printed}`, { cause });
    } finally {
      clearTimeout(timeout);
    }
  }
}

/** A browser. It stores cookies as they arrive, and sends all of them. */
export class Browser {
  readonly #peer: Peer;
  readonly #cookies: Map<string, string>;

  constructor(peer: Peer, cookies: Iterable<[string, string]> = []) {
    this.#peer = peer;
    this.#cookies = new Map(cookies);
  }

  /** Sends a request with the current cookies, and stores those of the response when it arrives. */
  async send(method: string, path: string): Promise<Answer> {
    const answer = await this.#peer.send(method, path, this.cookie);
    this.take(answer);
    return answer;
  }

  /** Stores the cookies of a response. */
  take({ headers }: Answer): void {
    for (const line of headers.getSetCookie()) {
      const [pair = "", ...attributes] = line.split(";").map((text) => text.trim());
      const at = pair.indexOf("=");
      const [name, value] = [pair.slice(0, at), pair.slice(at + 1)];
      const attribute = (wanted: string) =>
        attributes.find((text) => text.toLowerCase().startsWith(`${wanted}=`))?.slice(wanted.length + 1);
      const maxAge = attribute("max-age");
      const gone = maxAge !== undefined
        ? Number(maxAge) <= 0
        : Date.parse(attribute("expires") ?? "") <= Date.now();
      if (gone) this.#cookies.delete(name);
      else this.#cookies.set(name, value);
    }
  }

  /** The `Cookie` header of the next request. */
  get cookie(): string {
    return [...this.#cookies].map(([name, value]) => `${name}=${value}`).join("; ");
  }

  /** Its cookies, by name. */
  get cookies(): ReadonlyMap<string, string> {
    return this.#cookies;
  }

  /** Another browser with the same cookies, such as a thief's. */
  copy(): Browser {
    return new Browser(this.#peer, this.#cookies);
  }

  /** The user that the app sees in this browser, and the values of its session. */
  async look(path = "/read"): Promise<{ status: number; user?: string; values: Record<string, unknown> }> {
    const { status, body } = await this.send("GET", path);
    if (status !== 200) return { status, values: {} };
    const { user, values = {} } = JSON.parse(body);
    return { status, user: user ?? undefined, values };
  }
}

/**
 * The real Cloudflare runtime (`workerd`) for tests. A Worker is bundled as its author would bundle it, started with text
 * bindings, and called over HTTP and by cron events. In outline (not run as an example, because it lacks the test):
 * ```ts ignore
 * Deno.test("...", async () => {
 *   await using worker = await startWorker({
 *     entry: new URL("./_fixture_worker.ts", import.meta.url),
 *     bindings: { LIBSQL_URL: server.url },
 *   });
 *   assertEquals((await worker.fetch("/")).status, 200);
 *   assertEquals((await worker.scheduled()).ok, true);
 * });
 * ```
 * The Worker can reach only servers on this machine. The leak sanitizers do not see the runtime (see
 * `_process.ts`), so one Worker may serve a whole file, from `Deno.test.beforeAll` to `Deno.test.afterAll`.
 * @module
 */
import workerd from "@cloudflare/workerd-linux-64/package.json" with { type: "json" };
import { spawnGuarded } from "./_process.ts";

/** Options of {@linkcode startWorker}. */
export interface WorkerOptions {
  /** TypeScript module, path or file URL, whose default export has `fetch` and perhaps `scheduled`. */
  entry: string | URL;
  /**
   * The directory of an application with `node_modules`, in which the entry finds its packages. This repository by
   * default.
   */
  packages?: string;
  /** Variables and secrets of the Worker: its `env`. */
  bindings?: Record<string, string>;
  /**
   * The compatibility date, as in `wrangler.toml`.
   *
   * @default {"2026-01-01"}
   */
  compatibilityDate?: string;
  /**
   * Such as `["nodejs_compat"]`.
   * @default {[]}
   */
  compatibilityFlags?: string[];
}

/** How a cron event ended. */
export interface ScheduledResult {
  /** Whether the handler and everything it gave to `waitUntil` succeeded. */
  ok: boolean;
  /** The runtime's word for the result: `"ok"`, `"exception"` and others. */
  outcome: string;
  /** Whether the handler asked for no retry. */
  noRetry: boolean;
  /** Everything that was thrown, such as `"TypeError: ..."`, one per line. */
  error?: string;
}

/** A running Worker. */
export interface WorkerdServer extends AsyncDisposable {
  /** Such as `"http://127.0.0.1:8080"`. */
  readonly url: string;
  /** Sends a request to it, with all options of the global `fetch`. */
  fetch(path: string, init?: RequestInit): Promise<Response>;
  /**
   * Sends a cron event to it, and waits for the end of the handler and of its `waitUntil`.
   *
   * @param options `scheduledTime` is in milliseconds, now by default.
   */
  scheduled(options?: { cron?: string; scheduledTime?: number }): Promise<ScheduledResult>;
  /** The output of the Worker and the runtime, at most the last 64 KiB. */
  logs(): string;
  /** Ends it. */
  stop(): Promise<void>;
}

/** How long the runtime may take until it listens. Usually it takes 0.1 s. A busy machine gets a lot more. */
const START_TIMEOUT = 60_000;

/**
 * Bundles a Worker with this repository's import map, and starts it on a free port of the loopback interface.
 *
 * @throws {Error} It cannot be bundled or started. The message ends with the tool's output.
 */
export async function startWorker(options: WorkerOptions): Promise<WorkerdServer> {
  const binary = new URL("bin/workerd", import.meta.resolve("@cloudflare/workerd-linux-64/package.json"));
  const code = await bundle(options.entry, options.packages);
  const dir = await Deno.makeTempDir({ prefix: "x-sessions-workerd-" });
  await Deno.writeTextFile(`${dir}/worker.js`, code);
  await Deno.writeTextFile(`${dir}/harness.js`, HARNESS);
  await Deno.writeTextFile(`${dir}/config.capnp`, config(options));

  const runtime = spawnGuarded(
    decodeURIComponent(binary.pathname),
    ["serve", "--experimental", "--control-fd=1", `${dir}/config.capnp`],
    { scratch: dir, env: { NO_COLOR: "1" } },
  );
  let ports: Map<string, number>;
  try {
    const deadline = performance.now() + START_TIMEOUT;
    while ((ports = listening(runtime.output())).size < 2) {
      const exitCode = runtime.exitCode();
      if (exitCode !== undefined) throw new Error(`it ended with exit code ${exitCode}`);
      if (performance.now() > deadline) throw new Error(`it was not ready after ${START_TIMEOUT} ms`);
      await new Promise((resolve) => setTimeout(resolve, 5));
    }
  } catch (error) {
    await stop();
    const reason = error instanceof Error ? error.message : String(error);
    throw new Error(`Cannot start workerd ${workerd.version}: ${reason}\n${runtime.output()}`, {
      cause: error,
    });
  }

  const url = `http://127.0.0.1:${ports.get("main")}`;
  const harnessUrl = `http://127.0.0.1:${ports.get("harness")}`;
  // One event at a time, because the harness takes the next trace for that of its own event.
  let last: Promise<unknown> = Promise.resolve();
  return {
    url,
    fetch: (path, init) => fetch(new URL(path, url), init),
    scheduled({ cron = "* * * * *", scheduledTime = Date.now() } = {}) {
      const result = last.then(async () => {
        const response = await fetch(harnessUrl, {
          method: "POST",
          body: JSON.stringify({ cron, scheduledTime }),
          headers: { "content-type": "application/json" },
        });
        if (!response.ok) {
          throw new Error(`Cannot send cron event: ${await response.text()}\n${runtime.output()}`);
        }
        return await response.json() as ScheduledResult;
      });
      last = result.catch(() => {});
      return result;
    },
    logs: () =>
      runtime.output().split("\n").filter((line) => !line.startsWith('{"event":"listen",')).join("\n"),
    stop,
    [Symbol.asyncDispose]: stop,
  };

  async function stop(): Promise<void> {
    await runtime.kill();
    await Deno.remove(dir, { recursive: true }).catch((error) => {
      if (!(error instanceof Deno.errors.NotFound)) throw error;
    });
  }
}

/** Ports by socket name, from the lines that `--control-fd=1` adds to the output. */
function listening(output: string): Map<string, number> {
  const ports = new Map<string, number>();
  for (const [, socket, port] of output.matchAll(/^\{"event":"listen","socket":"(\w+)","port":(\d+)\}$/gm)) {
    ports.set(socket!, Number(port));
  }
  return ports;
}

// workerd tells the sender of a cron event only that it failed. What was thrown goes to the tail worker, as at
// Cloudflare, so the sender is its own tail worker.
const HARNESS = `
const traces = [];
export default {
  async fetch(request, env) {
    const event = await request.json();
    traces.length = 0;
    const { outcome, noRetry } = await env.MAIN.scheduled(event);
    for (let waits = 0; traces.length === 0 && waits < 400; waits++) await scheduler.wait(5);
    if (traces.length === 0) return new Response("no trace after 2 s", { status: 500 });
    const error = traces[0].length > 0 ? traces[0].join("\\n") : undefined;
    return Response.json({ ok: outcome === "ok", outcome, noRetry, error });
  },
  tail(items) {
    for (const item of items) {
      const errors = item.exceptions.map(({ name, message }) => name + ": " + message);
      for (const error of errors) console.error("Uncaught " + error);
      if (item.event?.scheduledTime !== undefined) traces.push(errors);
    }
  },
};
`;

function config(options: WorkerOptions): string {
  const bindings = Object.entries(options.bindings ?? {}).map(([name, text]) =>
    `(name = ${quote(name)}, text = ${quote(text)})`
  );
  const date = options.compatibilityDate ?? "2026-01-01";
  return `using Workerd = import "/workerd/workerd.capnp";
const config :Workerd.Config = (
  services = [
    (name = "main", worker = (
      modules = [(name = "worker.js", esModule = embed "worker.js")],
      compatibilityDate = ${quote(date)},
      compatibilityFlags = [${(options.compatibilityFlags ?? []).map(quote).join(", ")}],
      bindings = [${bindings.join(", ")}],
      tails = ["harness"],
    )),
    (name = "harness", worker = (
      modules = [(name = "harness.js", esModule = embed "harness.js")],
      compatibilityDate = "2026-01-01",
      compatibilityFlags = ["service_binding_extra_handlers"],
      bindings = [(name = "MAIN", service = "main")],
    )),
    (name = "internet", network = (allow = ["local"])),
  ],
  sockets = [
    (name = "main", address = "127.0.0.1:0", http = (), service = "main"),
    (name = "harness", address = "127.0.0.1:0", http = (), service = "harness"),
  ],
);
`;
}

/** A text literal of Cap'n Proto, which knows `\xNN` for a byte but not the `\uNNNN` of JSON. */
function quote(text: string): string {
  const hex = (char: string) => new TextEncoder().encode(char).toHex().replace(/../g, "\\x$&");
  return `"${text.replace(/["\\]|\p{Cc}/gu, hex)}"`;
}

const bundles = new Map<string, Promise<string>>();

/** Bundles an entry once, however many Workers are started from it. */
function bundle(entry: string | URL, packages?: string): Promise<string> {
  const path = entry instanceof URL ? decodeURIComponent(entry.pathname) : Deno.realPathSync(entry);
  let code = bundles.get(path);
  if (code === undefined) {
    code = runBundler(path, packages);
    bundles.set(path, code);
    code.catch(() => bundles.delete(path));
  }
  return code;
}

async function runBundler(path: string, packages: string | undefined): Promise<string> {
  // Given explicitly, because the entry may be in a temporary directory.
  const configFile = decodeURIComponent(new URL("../../deno.json", import.meta.url).pathname);
  const resolution = packages === undefined
    ? ["--config", configFile]
    : ["--no-config", "--no-lock", "--node-modules-dir=manual"];
  const { success, stdout, stderr } = await new Deno.Command(Deno.execPath(), {
    args: ["bundle", "--quiet", ...resolution, "--platform=browser", path],
    cwd: packages,
    env: { NO_COLOR: "1" },
    stdin: "null",
    stdout: "piped",
    stderr: "piped",
  }).output();
  const decoder = new TextDecoder();
  if (!success) throw new Error(`Cannot bundle ${path}:\n${decoder.decode(stderr)}`);
  return decoder.decode(stdout);
}

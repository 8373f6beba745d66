/**
 * The demo of `examples/demo`, started with the command of its task, as `deno task demo` does.
 * @module
 */

import config from "../../deno.json" with { type: "json" };
import { freePort } from "./_port.ts";
import { type GuardedProcess, spawnGuarded } from "./_process.ts";

/** Where the demo listens and stores its sessions. */
export interface DemoOptions {
  /** A free one by default. */
  port?: number | string;
  /** `DEMO_DB`: the file of its sessions. */
  file: string;
}

/** A running demo. */
export interface Demo extends AsyncDisposable {
  /** Such as `"http://localhost:8123"`. */
  readonly url: string;
  /** Its output so far. */
  output(): string;
  /** Ends it like Ctrl+C, waits for the end, and returns the exit code. */
  stop(signal?: "SIGINT" | "SIGTERM"): Promise<number>;
  /** Ends it like a crash. */
  kill(): Promise<void>;
}

const ROOT = decodeURIComponent(new URL("../../", import.meta.url).pathname);
// On its first start it may have to download the database's driver.
const START_TIMEOUT = 60_000;
const PORT_ATTEMPTS = 3;

/** Starts the demo's process without waiting for it. */
export function spawnDemo(
  { port = freePort(), file }: DemoOptions,
): GuardedProcess & { port: number | string } {
  const [deno, ...args] = config.tasks.demo.command.split(" ");
  if (deno !== "deno") throw new Error(`Cannot start the demo: its task runs ${deno}`);
  const env = { PORT: String(port), DEMO_DB: file, NO_COLOR: "1" };
  return { ...spawnGuarded(Deno.execPath(), args, { cwd: ROOT, env }), port };
}

/** Starts the demo and waits until it prints its address. */
export async function startDemo(options: DemoOptions): Promise<Demo> {
  let process = spawnDemo(options);
  for (let attempt = 1; !(await isListening(process)); attempt++) {
    // Another process may have taken the port meanwhile.
    const isTaken = process.output().includes(`Port ${process.port} is taken.`);
    if (!isTaken || options.port !== undefined || attempt === PORT_ATTEMPTS) {
      throw new Error(`The demo ended early:\n${process.output()}`);
    }
    process = spawnDemo(options);
  }
  return {
    url: `http://localhost:${process.port}`,
    output: process.output,
    async stop(signal = "SIGTERM") {
      Deno.kill(process.pid, signal);
      await until(30_000, () => process.exitCode() !== undefined);
      return process.exitCode()!;
    },
    kill: process.kill,
    [Symbol.asyncDispose]: process.kill,
  };
}

/** Waits until the demo prints its address; `false` if it ended. */
async function isListening(process: GuardedProcess): Promise<boolean> {
  const listens = () => process.output().includes("The demo is on ");
  await until(START_TIMEOUT, () => listens() || process.exitCode() !== undefined);
  return listens();
}

/** Waits for a condition, and throws after the timeout. */
export async function until(ms: number, isSo: () => boolean): Promise<void> {
  const deadline = performance.now() + ms;
  while (!isSo()) {
    if (performance.now() > deadline) throw new Error(`It was still not so after ${ms} ms: ${isSo}`);
    await new Promise((resolve) => setTimeout(resolve, 5));
  }
}

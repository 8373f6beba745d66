import { type GuardedProcess, spawnGuarded } from "./_process.ts";

/** A program that serves on a port of its own choice. */
export interface ScriptServer extends AsyncDisposable {
  readonly port: number;
  /** Its process. */
  readonly process: GuardedProcess;
}

/** How long a program may take until it listens. Usually it takes 0.2 s. A busy machine gets a lot more. */
const START_TIMEOUT = 60_000;

/**
 * Starts a program that prints `listening on PORT`.
 *
 * @throws {Error} It ended, or did not listen in time. The message ends with its output.
 */
export async function startScript(
  name: string,
  command: string,
  args: string[],
  options: { cwd?: string; env?: Record<string, string> },
): Promise<ScriptServer> {
  const process = spawnGuarded(command, args, options);
  const deadline = performance.now() + START_TIMEOUT;
  for (;;) {
    const port = /^listening on (\d+)$/m.exec(process.output())?.[1];
    if (port !== undefined) {
      return { port: Number(port), process, [Symbol.asyncDispose]: () => process.kill() };
    }
    const exitCode = process.exitCode();
    if (exitCode !== undefined) {
      throw new Error(`Cannot start ${name}: it ended with exit code ${exitCode}\n${process.output()}`);
    }
    if (performance.now() > deadline) {
      await process.kill();
      throw new Error(
        `Cannot start ${name}: it was not ready after ${START_TIMEOUT} ms\n${process.output()}`,
      );
    }
    await new Promise((resolve) => setTimeout(resolve, 5));
  }
}

/**
 * Starts a real server for a test and makes sure that it does not outlive the test process.
 *
 * The server is not a child of the test process but of a small shell that watches over it. That has two reasons.
 * A child of Deno is a resource and a pending operation, so a server started by one test and ended or replaced by
 * another would be reported by Deno's leak sanitizers; this way a server may be started, shared, killed and replaced
 * anywhere. And if the test process is killed, nobody else would be left to end the server: the shell notices within
 * a second, kills it and removes its files.
 *
 * Not run as an example, since it stands for any server:
 * ```ts ignore
 * const server = spawnGuarded("sqld", ["--http-listen-addr", "127.0.0.1:8080"]);
 * while (!(await isHealthy())) {
 *   if (server.exitCode() !== undefined) throw new Error(`sqld ended early:\n${server.output()}`);
 *   await delay(5);
 * }
 * // ...
 * await server.kill();
 * ```
 * @module
 */

/** What {@linkcode spawnGuarded} can be told beside the command. */
export interface GuardedOptions {
  /** Variables set in addition to those of the test process. */
  env?: Record<string, string>;
  /** Working directory. */
  cwd?: string;
  /** A directory to remove if the test process dies; otherwise it is left alone, whoever made it removes it. */
  scratch?: string;
}

/** A server that runs beside the tests. */
export interface GuardedProcess {
  /** Process id of the server itself, as for `Deno.kill(pid, "SIGSTOP")`. */
  readonly pid: number;
  /** The end (at most 64 KiB) of what it has written to stdout and stderr, also after it has ended. */
  output(): string;
  /** Its exit code (128 + n after signal n), or `undefined` while it runs. Reading it starts no operation. */
  exitCode(): number | undefined;
  /** Kills it with SIGKILL and resolves when it is gone; resolves at once if it has already ended. */
  kill(): Promise<void>;
}

// $1 directory for log and exit code, $2 process id of the test process, $3 directory to remove with it (or "").
// The supervising shell must ignore what a terminal sends to the whole group, and only after the server was started,
// since ignored signals are inherited. Everything it starts is detached from stdout: the caller waits for its end.
const SUPERVISOR = `
dir=$1 owner=$2 scratch=$3; shift 3
(
  "$@" </dev/null >"$dir/log" 2>&1 &
  child=$!
  trap '' INT TERM HUP
  echo "$child"
  exec </dev/null >/dev/null 2>&1
  (while kill -0 "$owner"; do sleep 1; done; kill -9 "$child") &
  watcher=$!
  wait "$child"
  echo $? >"$dir/code.part" && mv "$dir/code.part" "$dir/code"
  kill -9 "$watcher"
  kill -0 "$owner" || rm -rf "$dir" \${scratch:+"$scratch"}
) &
`;

const OUTPUT_LIMIT = 64 * 1024;

/**
 * Starts `cmd` with `args`, stdin empty, output captured. A command that cannot be run ends with exit code 126 or 127
 * and the reason in `output()`.
 *
 * @throws {Error} The supervising shell could not be started.
 */
export function spawnGuarded(cmd: string, args: string[], options: GuardedOptions = {}): GuardedProcess {
  const dir = Deno.makeTempDirSync({ prefix: "x-sessions-process-" });
  const { success, stdout, stderr } = new Deno.Command("sh", {
    args: ["-c", SUPERVISOR, "sh", dir, String(Deno.pid), options.scratch ?? "", cmd, ...args],
    env: options.env,
    cwd: options.cwd,
    stdin: "null",
    stdout: "piped",
    stderr: "piped",
  }).outputSync();
  const decoder = new TextDecoder();
  const pid = Number.parseInt(decoder.decode(stdout), 10);
  if (!success || !(pid > 0)) {
    Deno.removeSync(dir, { recursive: true });
    throw new Error(`Cannot start ${cmd}: ${decoder.decode(stderr).trim()}`);
  }

  let lastOutput: string | undefined;
  let lastCode: number | undefined;

  function output(): string {
    return lastOutput ?? readTail(`${dir}/log`, OUTPUT_LIMIT);
  }

  function exitCode(): number | undefined {
    if (lastCode !== undefined) return lastCode;
    const text = readText(`${dir}/code`);
    if (text === undefined) return undefined;
    lastCode = Number.parseInt(text, 10);
    lastOutput = output();
    Deno.removeSync(dir, { recursive: true });
    return lastCode;
  }

  async function kill(): Promise<void> {
    // Never signal an id whose process has ended: another process may have got it.
    if (exitCode() !== undefined) return;
    try {
      Deno.kill(pid, "SIGKILL");
    } catch (error) {
      // It ended just now, or the supervisor has yet to say so.
      if (!(error instanceof Deno.errors.NotFound)) throw error;
    }
    const deadline = performance.now() + 60_000;
    while (exitCode() === undefined) {
      if (performance.now() > deadline) {
        throw new Error(`Cannot end ${cmd}: process ${pid} survived SIGKILL for 60 s`);
      }
      await new Promise((resolve) => setTimeout(resolve, 2));
    }
  }

  return { pid, output, exitCode, kill };
}

function readText(path: string): string | undefined {
  try {
    return Deno.readTextFileSync(path);
  } catch (error) {
    if (error instanceof Deno.errors.NotFound) return undefined;
    throw error;
  }
}

function readTail(path: string, limit: number): string {
  let file: Deno.FsFile;
  try {
    file = Deno.openSync(path);
  } catch (error) {
    if (error instanceof Deno.errors.NotFound) return "";
    throw error;
  }
  try {
    const { size } = file.statSync();
    file.seekSync(Math.max(0, size - limit), Deno.SeekMode.Start);
    const bytes = new Uint8Array(Math.min(size, limit));
    let filled = 0;
    while (filled < bytes.length) {
      const count = file.readSync(bytes.subarray(filled));
      if (count === null) break;
      filled += count;
    }
    return new TextDecoder().decode(bytes.subarray(0, filled));
  } finally {
    file.close();
  }
}

/**
 * Starts a real server for a test and makes sure that it does not outlive the test process.
 *
 * The server is not a child of the test process but of a small supervising shell, for two reasons:
 *
 * - Deno's leak sanitizers report a child that one test starts and another test ends or replaces. With the shell a server
 *   may be started, shared, killed and replaced anywhere.
 * - If the test process is killed, the shell notices within a second, kills the server and removes its files.
 *
 * In outline (not run as an example, because it stands for any server):
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

/** Options of {@linkcode spawnGuarded}. */
export interface GuardedOptions {
  /** Environment variables, in addition to those of the test process. */
  env?: Record<string, string>;
  /** Working directory. */
  cwd?: string;
  /** A directory to remove if the test process dies. Otherwise its owner removes it. */
  scratch?: string;
}

/** A server that runs beside the tests. */
export interface GuardedProcess {
  /** Process id of the server itself, as for `Deno.kill(pid, "SIGSTOP")`. */
  readonly pid: number;
  /** The end (at most 64 KiB) of its stdout and stderr, also after it has ended. */
  output(): string;
  /** Its exit code (128 + n after signal n), or `undefined` while it runs. Reading it starts no operation. */
  exitCode(): number | undefined;
  /** Kills it with SIGKILL and resolves when it has ended, or at once if it already had. */
  kill(): Promise<void>;
}

// $1 is the directory for log and exit code, $2 the process id of the test process, $3 a directory to remove with it
// (or ""). The supervising shell must ignore signals that a terminal sends to the whole group. It does so only after
// it started the server, because ignored signals are inherited. Everything it starts is detached from stdout, because
// the caller waits for the end of stdout.
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
 * Starts `cmd` with `args`, with an empty stdin and captured output. If the command cannot be run, the exit code is
 * 126 or 127 and `output()` has the reason.
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
    // Never signal the id of a process that has ended, because another process may have it now.
    if (exitCode() !== undefined) return;
    try {
      Deno.kill(pid, "SIGKILL");
    } catch (error) {
      // It has just ended, or the supervisor has not reported it yet.
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

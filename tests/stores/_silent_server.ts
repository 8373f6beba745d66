/** How long a test waits, in milliseconds. What it waits for takes far less. */
const PATIENCE = 10_000;

/** A server that takes requests and never completes an answer. It notices when a connection is closed. */
export interface SilentServer extends AsyncDisposable {
  /** Such as `"127.0.0.1:8080"`. */
  host: string;
  /** Waits for the next request. */
  asked(): Promise<void>;
  /** Waits until the client has closed the next connection. */
  closed(): Promise<void>;
  /** How many connections are open. */
  open(): number;
}

/** A test with a silent server. It ends even if the client never gives up. */
export function onSilentServer(
  name: string,
  test: (server: SilentServer) => Promise<void>,
  start?: string,
): void {
  Deno.test({
    name,
    timeout: 2 * PATIENCE,
    async fn() {
      await using server = silentServer(start);
      await test(server);
    },
  });
}

/** @param start The beginning of an answer, which is sent for each request. */
function silentServer(start = ""): SilentServer {
  const listener = Deno.listen({ hostname: "127.0.0.1", port: 0 });
  const connections = new Set<Deno.TcpConn>();
  const [asked, closed] = [new Turnstile(), new Turnstile()];
  const serving: Promise<void>[] = [];
  const accepting = (async () => {
    for await (const connection of listener) {
      connections.add(connection);
      serving.push(serve(connection));
    }
  })();
  return {
    host: `127.0.0.1:${listener.addr.port}`,
    asked: () => asked.pass(),
    closed: () => closed.pass(),
    open: () => connections.size,
    async [Symbol.asyncDispose]() {
      listener.close();
      for (const connection of connections) connection.close();
      await accepting;
      await Promise.all(serving);
    },
  };

  async function serve(connection: Deno.TcpConn): Promise<void> {
    const buffer = new Uint8Array(65_536);
    try {
      for (let first = true; await connection.read(buffer) !== null; first = false) {
        if (!first) continue;
        await connection.write(new TextEncoder().encode(start));
        asked.open();
      }
    } catch {
      // Reset by the client, or closed from this side.
    }
    // A connection that is no longer listed was closed by this server.
    if (connections.delete(connection)) {
      try {
        connection.close();
      } catch {
        return;
      }
      closed.open();
    }
  }
}

/** Each `open()` lets one `pass()` through, whichever is called first. */
class Turnstile {
  #free = 0;
  readonly #waiting: (() => void)[] = [];

  open(): void {
    const next = this.#waiting.shift();
    if (next === undefined) this.#free++;
    else next();
  }

  async pass(): Promise<void> {
    if (this.#free > 0) this.#free--;
    else {
      const { promise, resolve, reject } = Promise.withResolvers<void>();
      this.#waiting.push(resolve);
      const timer = setTimeout(() => reject(new Error("No request came")), PATIENCE);
      await promise.finally(() => clearTimeout(timer));
    }
  }
}

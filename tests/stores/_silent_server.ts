/** What is waited for takes milliseconds: a test that waits longer has failed. */
const PATIENCE = 10_000;

/** A server that takes requests and never answers, or never to the end; it knows when a connection is closed. */
export interface SilentServer extends AsyncDisposable {
  /** Such as `"127.0.0.1:8080"`. */
  host: string;
  /** Waits for one more request than it was waited for before. */
  asked(): Promise<void>;
  /** Waits for one more connection to be closed by the client. */
  closed(): Promise<void>;
  /** How many connections are open. */
  open(): number;
}

/** A test with a server that is silent. Where nobody gives up waiting for it, the test ends all the same. */
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

/** @param start What is sent back for each request: the beginning of an answer. */
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
    // Closed already where this server ended it.
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

/** As many pass as it was opened times. */
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

/**
 * The upstream server, whose responses handlers pass on. It writes each byte itself, so nothing depends on a runtime.
 * It also has the gates at which streams wait for their client.
 * @module
 */

/** A running upstream. */
export interface Upstream extends AsyncDisposable {
  /** Such as `"http://127.0.0.1:8080"`. */
  readonly url: string;
  /** Opens a gate, for what waits there now or later. */
  open(id: string, gate: number): void;
}

const encoder = new TextEncoder();
const HELLO = "hello ".repeat(100);

/** The body `HELLO` in a coding that the client must not decode. */
const GZIP = new Uint8Array(
  await new Response(new Blob([HELLO]).stream().pipeThrough(new CompressionStream("gzip"))).arrayBuffer(),
);
/** `HELLO` by `brotliCompress`. Not every runtime's `CompressionStream` has brotli. */
const BROTLI = Uint8Array.from(atob("G1cC+I2Ubt5EVYaWbCBvUVscgEEc"), (character) => character.charCodeAt(0));

/** What is sent, by path. */
const ANSWERS: Record<string, Uint8Array> = {
  "/plain": response("200 OK", ["Content-Type: text/plain; charset=iso-8859-1", "X-Upstream: 1"], "plain"),
  "/json": response("200 OK", ["Content-Type: application/json"], '{"ok":true}'),
  "/gzip": response("200 OK", ["Content-Type: text/plain", "Content-Encoding: gzip", 'ETag: "g"'], GZIP),
  "/brotli": response("200 OK", ["Content-Type: text/plain", "Content-Encoding: br"], BROTLI),
  "/chunked": chunked(["Content-Type: text/csv"], ["a,", "b\n"]),
  "/empty": response("200 OK", ["X-Upstream: 1"], ""),
  "/204": head("204 No Content", ["X-Upstream: 1"]),
  "/304": head("304 Not Modified", ['ETag: "1"', "Cache-Control: max-age=5"]),
  "/404": response("404 Not Found", ["Content-Type: text/html"], "<p>no"),
  "/redirect": response("302 Found", ["Location: /plain"], ""),
  "/cookies": response("200 OK", ["Set-Cookie: up=1; Path=/", "Set-Cookie: down=2; HttpOnly"], "x"),
  "/cached": response("200 OK", ["Cache-Control: public, max-age=60", "Vary: Origin", "Age: 3"], "x"),
  "/trailers": chunked(["Trailer: X-Sum"], ["one", "two"], ["X-Sum: 42"]),
  "/events": chunked(["Content-Type: text/event-stream"], ["data: 1\n\n", "data: 2\n\n"]),
};

/** Starts an upstream on a free port. */
export function startUpstream(): Upstream {
  const listener = Deno.listen({ hostname: "127.0.0.1", port: 0 });
  const connections = new Set<Deno.Conn>();
  const gates = new Map<string, PromiseWithResolvers<void>>();

  const gate = (name: string) => {
    let found = gates.get(name);
    if (found === undefined) gates.set(name, found = Promise.withResolvers());
    return found;
  };

  const serving = (async () => {
    const served: Promise<void>[] = [];
    for await (const connection of listener) served.push(serve(connection));
    await Promise.all(served);
  })();

  async function serve(connection: Deno.Conn): Promise<void> {
    connections.add(connection);
    try {
      for await (const { method, path, id } of requests(connection)) {
        const gated = /^\/gate\/(\d+)$/.exec(path);
        if (gated) await gate(`${id} ${gated[1]}`).promise;
        const whole = gated ? response("200 OK", [], "go") : ANSWERS[path];
        if (whole === undefined) throw new Error(`Upstream has no ${path}`);
        await write(connection, method === "HEAD" ? headOf(whole) : whole);
      }
    } catch (error) {
      // The client disconnected, or the test ended.
      const gone = [
        Deno.errors.ConnectionReset,
        Deno.errors.BrokenPipe,
        Deno.errors.BadResource,
        Deno.errors.Interrupted,
      ];
      if (!gone.some((kind) => error instanceof kind)) throw error;
    } finally {
      connections.delete(connection);
      try {
        connection.close();
      } catch {
        // Closed by `stop`.
      }
    }
  }

  return {
    url: `http://127.0.0.1:${(listener.addr as Deno.NetAddr).port}`,
    open: (id, number) => gate(`${id} ${number}`).resolve(),
    async [Symbol.asyncDispose]() {
      listener.close();
      for (const { resolve } of gates.values()) resolve();
      for (const connection of connections) connection.close();
      await serving;
    },
  };
}

interface UpstreamRequest {
  method: string;
  path: string;
  id: string;
}

/** The requests on a connection. They have no bodies. */
async function* requests(connection: Deno.Conn): AsyncGenerator<UpstreamRequest> {
  const buffer = new Uint8Array(16_384);
  let received = "";
  for (let size; (size = await connection.read(buffer)) !== null;) {
    received += new TextDecoder().decode(buffer.subarray(0, size));
    for (let end; (end = received.indexOf("\r\n\r\n")) >= 0;) {
      const [method, target] = received.split(" ", 2);
      received = received.slice(end + 4);
      const url = new URL(target!, "http://upstream");
      yield { method: method!, path: url.pathname, id: url.searchParams.get("id") ?? "" };
    }
  }
}

function head(status: string, lines: string[]): Uint8Array {
  return encoder.encode([`HTTP/1.1 ${status}`, ...lines, "", ""].join("\r\n"));
}

function response(status: string, lines: string[], body: string | Uint8Array): Uint8Array {
  const bytes = typeof body === "string" ? encoder.encode(body) : body;
  return new Uint8Array([...head(status, [...lines, `Content-Length: ${bytes.length}`]), ...bytes]);
}

function chunked(lines: string[], chunks: string[], trailers: string[] = []): Uint8Array {
  const body = chunks.map((chunk) => `${chunk.length.toString(16)}\r\n${chunk}\r\n`).join("");
  const end = ["0", ...trailers, "", ""].join("\r\n");
  return new Uint8Array([
    ...head("200 OK", [...lines, "Transfer-Encoding: chunked"]),
    ...encoder.encode(body + end),
  ]);
}

function headOf(whole: Uint8Array): Uint8Array {
  const text = new TextDecoder("latin1").decode(whole);
  return whole.subarray(0, text.indexOf("\r\n\r\n") + 4);
}

async function write(connection: Deno.Conn, bytes: Uint8Array): Promise<void> {
  for (let at = 0; at < bytes.length;) at += await connection.write(bytes.subarray(at));
}

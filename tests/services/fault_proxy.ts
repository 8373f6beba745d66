/**
 * A proxy in front of a real database's HTTP server, which injects faults of networks and servers. In outline (not run as
 * an example, because it lacks the server):
 * ```ts ignore
 * await using proxy = startFaultProxy(server.url);
 * const client = createClient({ url: server.url, fetch: proxy.through(fetchWithTimeout(100)) });
 * proxy.faults = (request) => request === 0 ? "resetAfter" : "none";
 * ```
 * It speaks bare TCP, because an HTTP server could not break off a request halfway.
 * @module
 */
import { CLOSED_PORT } from "./_port.ts";

/**
 * The fault of a request: whether it reaches the database, how often, and what the client gets.
 *
 * `refused`: nobody listens. `resetBefore`, `resetAfter`: the connection breaks before the request is read, or after
 * the database has run it. `resetInBody`: it breaks in the middle of the reply. `truncated`: the reply ends too
 * early. `html`, `empty`: a reply that is not the database's, with status 200. `error`: an error in the database's
 * protocol. `status...`: an HTTP error of the server, or of a proxy; `badGatewayAfter` although the database has run
 * it. `drip`: the reply arrives byte by byte. `hang`: no reply. `twice`: delivered twice.
 */
export const FAULTS = {
  refused: { applied: 0 },
  resetBefore: { applied: 0 },
  resetAfter: { applied: 1 },
  resetInBody: { applied: 1 },
  truncated: { applied: 1 },
  html: { applied: 0 },
  empty: { applied: 0 },
  error: { applied: 0 },
  status401: { applied: 0 },
  status429: { applied: 0 },
  status500: { applied: 0 },
  status502: { applied: 0 },
  status503: { applied: 0 },
  badGatewayAfter: { applied: 1 },
  drip: { applied: 1 },
  hang: { applied: 0 },
  twice: { applied: 2 },
} as const satisfies Record<string, { applied: 0 | 1 | 2 }>;

/** See {@linkcode FAULTS}. */
export type ProxyFault = keyof typeof FAULTS;

/**
 * Further faults. `none`: no fault. `vanish`: the connection breaks when the database has run the request, and nobody
 * listens afterwards.
 */
export type Treatment = ProxyFault | "none" | "vanish";

/** The `fetch` that both drivers call. */
export type Fetch = (input: Request | string, init?: RequestInit) => Promise<Response>;

/** A running proxy. */
export interface FaultProxy extends AsyncDisposable {
  /** The fault of a request, by its number since {@linkcode reset}. */
  faults: (request: number) => Treatment;
  /** How many requests were sent since {@linkcode reset}. */
  requests(): number;
  /** Counts from 0 again, and passes everything on. */
  reset(): void;
  /** A `fetch` that sends its requests through the proxy, whatever their host. */
  through(inner: Fetch): Fetch;
  /** Ends it and all its connections. */
  stop(): Promise<void>;
}

/** Sets the fault of a request. The database never sees this header. */
const HEADER = "x-fault";

/**
 * Starts a proxy.
 *
 * @param target The URL of the database's server, such as `"http://127.0.0.1:8080"`.
 * @param options `keepAlive`: a connection is reused after a reply without a fault. `fetch` may then send a request
 * again by itself when the connection breaks.
 */
export function startFaultProxy(target: string, { keepAlive = false } = {}): FaultProxy {
  const listener = Deno.listen({ hostname: "127.0.0.1", port: 0 });
  const connections = new Set<Deno.TcpConn>();
  const serving = new Set<Promise<void>>();
  let requests = 0;

  const accepting = (async () => {
    for await (const connection of listener) {
      connections.add(connection);
      const served = serveAll(connection).catch(() => {}).finally(() => {
        connections.delete(connection);
        serving.delete(served);
        close(connection);
      });
      serving.add(served);
    }
  })();

  const proxy: FaultProxy = {
    faults: () => "none",
    requests: () => requests,
    reset() {
      requests = 0;
      proxy.faults = () => "none";
    },
    through: (inner) => async (input, init) => {
      const meant = new Request(input, init);
      const fault = proxy.faults(requests++);
      const { pathname, search } = new URL(meant.url);
      const port = fault === "refused" ? CLOSED_PORT : listener.addr.port;
      const headers = new Headers(meant.headers);
      headers.set(HEADER, fault);
      const body = await meant.arrayBuffer();
      const url = `http://127.0.0.1:${port}${pathname}${search}`;
      return await inner(new Request(url, { method: meant.method, headers, body }));
    },
    stop,
    [Symbol.asyncDispose]: stop,
  };
  return proxy;

  async function serveAll(connection: Deno.TcpConn): Promise<void> {
    while (await serve(connection, target, keepAlive, () => close(listener)) && keepAlive);
  }

  async function stop(): Promise<void> {
    close(listener);
    for (const connection of connections) close(connection);
    await accepting;
    await Promise.all(serving);
  }
}

function close(resource: { close(): void }): void {
  try {
    resource.close();
  } catch (error) {
    if (!(error instanceof Deno.errors.BadResource)) throw error;
  }
}

/** Reads and answers one request. Returns whether the connection can be used for another one. */
async function serve(
  connection: Deno.TcpConn,
  target: string,
  keepAlive: boolean,
  vanish: () => void,
): Promise<boolean> {
  const request = await readRequest(connection, (fault) => fault === "resetBefore");
  // Unread data at the close makes the system reset the connection.
  if (request === undefined) return false;
  const { fault } = request;
  if (fault === "hang") {
    await untilClosed(connection);
    return false;
  }
  const copies = isFault(fault) ? FAULTS[fault].applied : 1;
  let reply: Reply | undefined;
  for (let copy = 0; copy < copies; copy++) reply = await forward(request, target);
  if (fault === "vanish") vanish();
  if (fault === "vanish" || fault === "resetAfter") return false;
  const bytes = toBytes(answer(request, reply), keepAlive);
  if (fault === "drip") {
    await drip(connection, bytes);
    return false;
  }
  const half = Math.ceil((reply?.body.length ?? 0) / 2);
  await write(connection, fault === "resetInBody" ? bytes.subarray(0, -half) : bytes);
  return fault !== "resetInBody";
}

/** The reply for the client, or its beginning. */
function answer(request: RequestRead, reply: Reply | undefined): Reply {
  const { fault, body } = request;
  switch (fault) {
    case "truncated":
      return { ...reply!, body: reply!.body.slice(0, -2) };
    case "html":
      return html(200, "Log in to the network");
    case "empty":
      return json(200, {});
    case "error":
      return errorInside(body);
    case "status401":
      return json(401, failure("unauthenticated", request));
    case "status429": {
      const refusal = json(429, failure("resource_exhausted", request));
      refusal.headers.set("retry-after", "1");
      return refusal;
    }
    case "status500":
      return json(500, failure("internal", request));
    case "status502":
    case "badGatewayAfter":
      return html(502, `Bad gateway: ${body}`);
    case "status503":
      return html(503, `Unavailable: ${body}`);
  }
  return reply!;
}

function isFault(name: string): name is ProxyFault {
  return Object.hasOwn(FAULTS, name);
}

interface RequestRead {
  method: string;
  path: string;
  headers: Headers;
  body: string;
  fault: string;
}

/** Reads a request, or only its head if that is enough. */
async function readRequest(
  connection: Deno.TcpConn,
  isEnough: (fault: string) => boolean,
): Promise<RequestRead | undefined> {
  let bytes = new Uint8Array();
  const more = async (size: number) => {
    const chunk = new Uint8Array(size);
    const count = await connection.read(chunk);
    if (count === null) throw new Error("the client has gone");
    bytes = new Uint8Array([...bytes, ...chunk.subarray(0, count)]);
  };
  let end = -1;
  // In small pieces at first, so that something stays unread.
  while ((end = latin1.decode(bytes).indexOf("\r\n\r\n")) < 0) await more(16);
  const [first = "", ...lines] = latin1.decode(bytes.subarray(0, end)).split("\r\n");
  const [method = "", path = ""] = first.split(" ");
  const headers = new Headers(lines.map((line): [string, string] => {
    const colon = line.indexOf(":");
    return [line.slice(0, colon), line.slice(colon + 1).trim()];
  }));
  const fault = headers.get(HEADER) ?? "none";
  if (isEnough(fault)) return undefined;
  const length = Number(headers.get("content-length") ?? 0);
  while (bytes.length < end + 4 + length) await more(65_536);
  headers.delete(HEADER);
  const body = new TextDecoder().decode(bytes.subarray(end + 4));
  return { method, path, headers, body, fault };
}

const latin1 = new TextDecoder("latin1");

interface Reply {
  status: number;
  headers: Headers;
  body: Uint8Array;
}

async function forward({ method, path, headers, body }: RequestRead, target: string): Promise<Reply> {
  const kept = new Headers(headers);
  for (const name of ["host", "connection", "content-length", "accept-encoding"]) kept.delete(name);
  const response = await fetch(target + path, {
    method,
    headers: kept,
    body: method === "GET" ? undefined : body,
  });
  return {
    status: response.status,
    headers: new Headers({ "content-type": response.headers.get("content-type") ?? "text/plain" }),
    body: await response.bytes(),
  };
}

function toBytes({ status, headers, body }: Reply, keepAlive: boolean): Uint8Array {
  const fields = [...headers].map(([name, value]) => `${name}: ${value}\r\n`).join("");
  const ending = keepAlive ? "" : "connection: close\r\n";
  const head = `HTTP/1.1 ${status} Fault\r\n${fields}content-length: ${body.length}\r\n${ending}\r\n`;
  return new Uint8Array([...new TextEncoder().encode(head), ...body]);
}

function html(status: number, text: string): Reply {
  const body = new TextEncoder().encode(`<!doctype html><title>${status}</title><p>${text}`);
  return { status, headers: new Headers({ "content-type": "text/html" }), body };
}

function json(status: number, value: unknown): Reply {
  const body = new TextEncoder().encode(JSON.stringify(value));
  return { status, headers: new Headers({ "content-type": "application/json" }), body };
}

/** As talkative as possible: with the credentials, the statement and its values. */
function failure(code: string, { headers, body }: RequestRead) {
  return { error: { code, message: `${code}: ${headers.get("authorization")} may not ${body}` } };
}

/** An internal database error in the protocol of the request. */
function errorInside(body: string): Reply {
  const { requests } = JSON.parse(body) as { requests?: unknown[] };
  if (requests === undefined) {
    const message = `target: main.-.primary: vttablet: rpc error: code = Unavailable desc = lost ${body}`;
    return json(200, { session: null, error: { code: "UNAVAILABLE", message } });
  }
  const error = { message: `SQLITE_IOERR: disk I/O error in ${body}`, code: "SQLITE_IOERR" };
  return json(200, {
    baton: null,
    base_url: null,
    results: requests.map(() => ({ type: "error", error })),
  });
}

async function write(connection: Deno.TcpConn, bytes: Uint8Array): Promise<void> {
  for (let written = 0; written < bytes.length;) written += await connection.write(bytes.subarray(written));
}

/** Slower than any timeout. */
async function drip(connection: Deno.TcpConn, bytes: Uint8Array): Promise<void> {
  for (const byte of bytes) {
    await write(connection, new Uint8Array([byte]));
    await new Promise((resolve) => setTimeout(resolve, 10));
  }
}

async function untilClosed(connection: Deno.TcpConn): Promise<void> {
  while (await connection.read(new Uint8Array(1)) !== null);
}

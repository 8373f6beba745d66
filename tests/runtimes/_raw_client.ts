/**
 * An HTTP/1.1 client on a bare TCP connection. It records every line of the head, the framing, the undecoded body and
 * the trailers.
 * @module
 */

/** How the end of a body is marked. */
export type Framing = "none" | "length" | "chunked" | "until close";

/** The response to one request, as it was sent. */
export interface Exchange {
  /** Such as `"HTTP/1.1 200 OK"`. */
  statusLine: string;
  status: number;
  /** Names and values as they were sent, in order. */
  headers: [name: string, value: string][];
  framing: Framing;
  /** The body, dechunked but not decoded. */
  body: Uint8Array;
  /** The size of each chunk. */
  chunks: number[];
  trailers: [name: string, value: string][];
  /** `"whole"`, or what was wrong: delayed chunks, more bytes than announced, no HTTP at all. */
  end: "whole" | "cut off" | "timed out" | "held back" | "overrun" | "garbled";
}

/** A request. */
export interface Ask {
  method?: string;
  path: string;
  headers?: Record<string, string>;
  body?: string;
  /** Called with the size of the body so far, whenever more of it arrives. */
  onBody?: (size: number) => void;
}

/** How long a server may send nothing. */
const PATIENCE = 10_000;

/** A connection for several exchanges. */
export class RawConnection implements Disposable {
  readonly #connection: Deno.Conn;
  #received: Uint8Array = new Uint8Array();
  #ended = false;
  /** Whether another exchange may follow. */
  reusable = true;

  private constructor(connection: Deno.Conn) {
    this.#connection = connection;
  }

  /** Connects to a port of the loopback interface. */
  static async open(port: number): Promise<RawConnection> {
    return new RawConnection(await Deno.connect({ hostname: "127.0.0.1", port }));
  }

  /** Sends a request and reads its response to the end. */
  async exchange({ method = "GET", path, headers = {}, body, onBody }: Ask): Promise<Exchange> {
    const lines = [`${method} ${path} HTTP/1.1`, "Host: 127.0.0.1"];
    for (const [name, value] of Object.entries(headers)) lines.push(`${name}: ${value}`);
    if (body !== undefined) lines.push(`Content-Length: ${new TextEncoder().encode(body).length}`);
    await this.#write(`${lines.join("\r\n")}\r\n\r\n${body ?? ""}`);
    const exchange: Exchange = {
      statusLine: "",
      status: 0,
      headers: [],
      framing: "none",
      body: new Uint8Array(),
      chunks: [],
      trailers: [],
      end: "whole",
    };
    try {
      await this.#read(exchange, method, onBody);
    } catch (error) {
      this.reusable = false;
      if (!(error instanceof Broken)) throw error;
      exchange.end = error.end;
    }
    if (exchange.status === 101) return exchange;
    if (headers.Connection === "close") {
      // Bytes that a server sends beyond the announced length.
      while (await this.#more());
      if (this.#received.length > 0) exchange.end = "overrun";
      exchange.body = concat([exchange.body, this.#received]);
    } else if (this.#received.length > 0 && exchange.end === "whole") {
      exchange.end = "overrun";
      this.reusable = false;
    }
    return exchange;
  }

  /** The next bytes of an upgraded connection, at least one. */
  async raw(sent: Uint8Array): Promise<Uint8Array> {
    for (let at = 0; at < sent.length;) at += await this.#connection.write(sent.subarray(at));
    if (this.#received.length === 0) await this.#more();
    const received = this.#received;
    this.#received = new Uint8Array();
    return received;
  }

  [Symbol.dispose](): void {
    this.reusable = false;
    this.#connection.close();
  }

  async #read(exchange: Exchange, method: string, onBody?: (size: number) => void): Promise<void> {
    exchange.statusLine = await this.#line();
    exchange.status = Number(/^HTTP\/1\.1 (\d{3})(?: |$)/.exec(exchange.statusLine)?.[1]);
    if (!(exchange.status > 0)) throw new Broken("garbled");
    exchange.headers = await this.#fields();
    const header = (name: string) => exchange.headers.find(([other]) => other.toLowerCase() === name)?.[1];
    // Servers close a connection on which they failed, with or without saying so.
    if (header("connection")?.toLowerCase() === "close" || exchange.status >= 500) this.reusable = false;

    const { status } = exchange;
    const parts: Uint8Array[] = [];
    let size = 0;
    const take = (part: Uint8Array) => {
      parts.push(part);
      size += part.length;
      if (part.length > 0) onBody?.(size);
    };
    try {
      if (method === "HEAD" || status < 200 || status === 204 || status === 304) return;
      if (header("transfer-encoding")?.toLowerCase() === "chunked") {
        exchange.framing = "chunked";
        for (;;) {
          const length = Number.parseInt(await this.#line(), 16);
          if (length === 0) break;
          take(await this.#bytes(length));
          exchange.chunks.push(length);
          await this.#line();
        }
        exchange.trailers = await this.#fields();
        return;
      }
      const length = header("content-length");
      if (length !== undefined) {
        exchange.framing = "length";
        for (let left = Number(length); left > 0;) {
          const part = await this.#some(left);
          take(part);
          left -= part.length;
        }
        return;
      }
      // Servers may omit the length of a 205, which has no body (RFC 9110, 15.3.6).
      if (status === 205) return;
      exchange.framing = "until close";
      this.reusable = false;
      while (this.#received.length > 0 || await this.#more()) take(await this.#some(Infinity));
    } finally {
      exchange.body = concat(parts);
    }
  }

  async #fields(): Promise<[string, string][]> {
    const fields: [string, string][] = [];
    for (let line; (line = await this.#line()) !== "";) {
      const colon = line.indexOf(":");
      fields.push([line.slice(0, colon), line.slice(colon + 1).trim()]);
    }
    return fields;
  }

  async #line(): Promise<string> {
    let end: number;
    while ((end = this.#received.indexOf(10)) < 0) await this.#need();
    const line = latin1(this.#received.subarray(0, end)).replace(/\r$/, "");
    this.#received = this.#received.subarray(end + 1);
    return line;
  }

  async #bytes(length: number): Promise<Uint8Array> {
    while (this.#received.length < length) await this.#need();
    return this.#take(length);
  }

  /** At least one byte, and at most this many. */
  async #some(most: number): Promise<Uint8Array> {
    if (this.#received.length === 0) await this.#need();
    return this.#take(Math.min(most, this.#received.length));
  }

  #take(length: number): Uint8Array {
    const taken = this.#received.subarray(0, length);
    this.#received = this.#received.subarray(length);
    return taken;
  }

  async #need(): Promise<void> {
    if (!await this.#more()) throw new Broken("cut off");
  }

  async #more(): Promise<boolean> {
    if (this.#ended) return false;
    const buffer = new Uint8Array(65_536);
    let timer: ReturnType<typeof setTimeout> | undefined;
    const late = new Promise<never>((_resolve, reject) => {
      timer = setTimeout(() => reject(new Broken("timed out")), PATIENCE);
    });
    let size: number | null;
    try {
      size = await Promise.race([this.#connection.read(buffer), late]);
    } catch (error) {
      if (!(error instanceof Deno.errors.ConnectionReset)) throw error;
      size = null;
    } finally {
      clearTimeout(timer);
    }
    if (size === null) {
      this.#ended = true;
      this.reusable = false;
      return false;
    }
    this.#received = concat([this.#received, buffer.subarray(0, size)]);
    return true;
  }

  async #write(text: string): Promise<void> {
    const bytes = new TextEncoder().encode(text);
    for (let at = 0; at < bytes.length;) at += await this.#connection.write(bytes.subarray(at));
  }
}

/** The connections to one server. Each serves one exchange at a time, and is reused where possible. */
export class RawClient implements Disposable {
  readonly port: number;
  readonly #free: RawConnection[] = [];

  constructor(port: number) {
    this.port = port;
  }

  /** Sends a request on a free connection, or on a new one. */
  async exchange(ask: Ask): Promise<Exchange> {
    const connection = this.#free.pop() ?? await RawConnection.open(this.port);
    let done = false;
    try {
      const exchange = await connection.exchange(ask);
      done = true;
      return exchange;
    } finally {
      if (done && connection.reusable) this.#free.push(connection);
      else connection[Symbol.dispose]();
    }
  }

  [Symbol.dispose](): void {
    for (const connection of this.#free.splice(0)) connection[Symbol.dispose]();
  }
}

/** A response that ended too early. */
class Broken extends Error {
  constructor(readonly end: "cut off" | "timed out" | "garbled") {
    super(end);
  }
}

/** Each byte as the character with its number. */
export function latin1(bytes: Uint8Array): string {
  let text = "";
  for (let at = 0; at < bytes.length; at += 8_192) {
    text += String.fromCharCode(...bytes.subarray(at, at + 8_192));
  }
  return text;
}

function concat(parts: Uint8Array[]): Uint8Array {
  const whole = new Uint8Array(parts.reduce((size, part) => size + part.length, 0));
  let at = 0;
  for (const part of parts) {
    whole.set(part, at);
    at += part.length;
  }
  return whole;
}

/**
 * The parts of Node's requests and responses that are used.
 * @module
 */

/** The part of a request of `node:http`, `node:http2` or Express that is used. */
export interface NodeRequest {
  /** Such as `"GET"`. */
  readonly method?: string | undefined;
  /** The path and the query. */
  url?: string | undefined;
  /** The headers, with names in lower case. */
  readonly headers: Record<string, string | string[] | undefined>;
  /** The connection. Its `encrypted` is `true` if TLS ends in this process. */
  readonly socket: object;
}

/** The part of a response of `node:http`, `node:http2` or Express that is used. */
export interface NodeResponse {
  /** The status to send. */
  statusCode: number;
  /** Whether the head was sent. */
  readonly headersSent: boolean;
  /** Whether `end()` was called. */
  readonly writableEnded: boolean;
  /** Sends the head. */
  writeHead(...given: unknown[]): unknown;
  /** Sends the head, if it was not sent, and a part of the body. */
  write(...given: unknown[]): boolean;
  /** Sends the rest of the response. */
  end(...given: unknown[]): unknown;
  /** Sends the head now. */
  flushHeaders?(): void;
  /** The headers so far. */
  getHeaders(): object;
  /** Sets a header. */
  setHeader(name: string, value: unknown): unknown;
  /** Adds a value to a header. */
  appendHeader(name: string, value: unknown): unknown;
  /** Removes a header. */
  removeHeader(name: string): void;
  /** Sets what is sent after the body. */
  addTrailers?(trailers: Record<string, string>): void;
  /** From how many bytes on `write()` asks to wait. */
  readonly writableHighWaterMark?: number;
  /** Adds a listener of an event. */
  on(event: string, listener: (...given: unknown[]) => void): unknown;
  /** Calls the listeners of an event. */
  emit(event: string, ...given: unknown[]): unknown;
  /** Closes the connection. */
  destroy(error?: Error): unknown;
}

import { applyHead, type Content, webHeaders } from "./_node_translation.ts";
import type { NodeResponse } from "./_node_types.ts";

/** The methods that send the head of a response or a part of its body, and `flush()` of the package `compression`. */
const SENDERS = ["writeHead", "write", "end", "flushHeaders", "flush"] as const;
type Sender = typeof SENDERS[number];

/** The methods that change headers. */
const SETTERS = ["setHeader", "appendHeader", "removeHeader"] as const;
type Setter = typeof SETTERS[number];

type Method = (...given: unknown[]) => unknown;

interface HeldCall {
  method: Sender;
  given: unknown[];
}

interface Emitter {
  emit(event: string): unknown;
}

/** Node's default, in bytes. */
const HIGH_WATER_MARK = 16_384;

/**
 * A response of Node whose sending can be held. For the handler a held response is one whose head was sent: its calls
 * succeed or throw as they would then. They are kept, and made when the response is released.
 *
 * The methods of the response are replaced by functions of this class. What was there before, Node's own or those of a
 * middleware mounted before, is called in turn.
 */
export class HoldableResponse {
  /** Whether the response is held when the handler starts it. */
  mustHold = false;
  /** Adds headers to a response that was held, also after a middleware has changed them at the last moment. */
  addHeaders: ((headers: Headers) => void) | undefined;
  readonly #response: NodeResponse & {
    statusMessage?: string | undefined;
    getRawHeaderNames?(): string[];
  };
  readonly #onHeld: () => void;
  readonly #own: Partial<Record<Sender | Setter, Method>> = {};
  #state: "open" | "held" | "released" | "replaced" = "open";
  /** What the handler has called while the response was held. */
  #calls: HeldCall[] = [];
  #heldBytes = 0;
  /** What is put on the response while it is held. */
  #properties: PropertyDescriptorMap | undefined;
  #hasEnded = false;
  /** The status when the handler started the response. One that is set afterwards is not sent. */
  #status: [code: number, message: string | undefined] = [200, undefined];
  /**
   * @param onHeld Called when the handler has started a response that must be held. It calls {@linkcode hold}.
   */
  constructor(response: NodeResponse, onHeld: () => void) {
    this.#response = response;
    this.#onHeld = onHeld;
    this.#replaceMethods(SENDERS, (method, given) => this.#intercept(method, given));
  }

  /** Whether the head was sent, or is held. */
  get isStarted(): boolean {
    return this.#state !== "open" || this.#response.headersSent;
  }

  /** Keeps the calls of the handler from now on. */
  hold(): void {
    this.#state = "held";
    const response = this.#response;
    if (this.#own.setHeader === undefined) {
      this.#replaceMethods(SETTERS, (method, given) => this.#change(method, given));
    }
    // The head is out if Node has refused what came after it.
    if (!response.headersSent) this.#copyLists();
    this.#status = [response.statusCode, this.#hasStatusMessage ? response.statusMessage : undefined];
    const property = (get: () => unknown) => ({ configurable: true, get });
    this.#properties = {
      headersSent: property(() => true),
      writableEnded: property(() => this.#hasEnded),
      writableNeedDrain: property(() => this.#isFull),
      // Other middlewares send the head by this method of Node.
      _implicitHeader: property(() => () => {}),
    };
    Object.defineProperties(response, this.#properties);
  }

  /**
   * Sends the handler's response.
   *
   * @throws {unknown} Node refuses what the handler has sent, such as a chunk that is no text.
   */
  release(): void {
    const response = this.#response;
    const { calls, wasFull } = this.#stopHolding();
    this.#setStatus(...this.#status);
    this.#addToHead();
    // Node emits an error for what is sent after the end. It would end the process where nobody listens.
    const end = calls.findIndex(({ method }) => method === "end");
    if (end >= 0 && end < calls.length - 1) response.on("error", (error) => console.error(error));
    let hasRoom = true;
    for (const { method, given } of calls) {
      const result = this.#own[method]!.apply(response, given);
      if (method === "write") hasRoom = result !== false;
    }
    // Otherwise Node emits it.
    if (wasFull && hasRoom) this.#emitDrain();
  }

  /**
   * Sends another response in place of the handler's. Further calls of the handler are ignored.
   *
   * @throws {unknown} Node refuses it.
   */
  replace({ status, statusText, headers, body }: Content): void {
    const response = this.#response;
    const { calls, wasFull } = this.#stopHolding();
    // The client must not take a part of a response for the whole.
    if (response.headersSent) return void response.destroy();
    response.addTrailers?.({});
    this.#setHeaders(Object.keys(response.getHeaders()), new Headers());
    this.#setHeaders(new Set(headers.keys()), headers);
    this.#setStatus(status, statusText || undefined);
    this.#own.end!.call(response, body);
    // Only now: over HTTP/2 end() calls write().
    this.#state = "replaced";
    for (const { given } of calls) callBack(given);
    if (wasFull) this.#emitDrain();
  }

  get #isFull(): boolean {
    return this.#heldBytes >= (this.#response.writableHighWaterMark ?? HIGH_WATER_MARK);
  }

  #replaceMethods<Name extends Sender | Setter>(
    names: readonly Name[],
    call: (method: Name, given: unknown[]) => unknown,
  ): void {
    const response = this.#response as unknown as Record<Name, Method | undefined>;
    for (const name of names) {
      const own = response[name];
      if (!own) continue;
      this.#own[name] = own;
      response[name] = (...given) => call(name, given);
    }
  }

  /** A call of the handler that sends something. */
  #intercept(method: Sender, given: unknown[]): unknown {
    const response = this.#response;
    if (this.#state === "held") {
      if (method === "writeHead") throw headersSentError();
      return this.#keep(method, given);
    }
    if (this.#state === "replaced" && (method === "write" || method === "end")) {
      callBack(given);
      return method === "write" ? true : response;
    }
    const mustHold = this.mustHold && !this.isStarted && method !== "flush";
    // Throws, as Node does, for headers that cannot be sent. The response is not started then.
    if (method === "writeHead" && (mustHold || this.addHeaders) && !response.headersSent) {
      applyHead(response, given);
    }
    if (!mustHold) return this.#own[method]!.apply(response, given);
    const result = this.#keep(method, given);
    this.#onHeld();
    return result;
  }

  #keep(method: Sender, given: unknown[]): unknown {
    const isLate = this.#hasEnded;
    // Without a session Node has written the bytes by now, and the handler may use its buffer for another visitor.
    const [chunk, ...others] = given;
    if (chunk instanceof Uint8Array) given = [Uint8Array.prototype.slice.call(chunk), ...others];
    this.#calls.push({ method, given });
    if (method === "end") this.#hasEnded = true;
    if (method !== "write") return this.#response;
    this.#heldBytes += sizeOf(given[0]);
    return !isLate && !this.#isFull;
  }

  /** A call of a handler, or of a middleware, that changes a header. */
  #change(method: Setter, given: unknown[]): unknown {
    if (this.#state === "held") throw headersSentError();
    const result = this.#own[method]!.apply(this.#response, given);
    this.#addToHead();
    return result;
  }

  /** Gives the response lists of its own: the handler may use its lists again once the head is sent. */
  #copyLists(): void {
    const response = this.#response;
    const lists = Object.entries(response.getHeaders()).filter(([, value]) => Array.isArray(value));
    for (const [name, value] of lists) {
      // As it was written, which HTTP/2 does not keep.
      const written = response.getRawHeaderNames?.().find((other) => other.toLowerCase() === name);
      this.#own.setHeader!.call(response, written ?? name, [...value]);
    }
  }

  #addToHead(): void {
    if (this.addHeaders === undefined) return;
    const before = webHeaders(this.#response.getHeaders());
    const after = new Headers(before);
    this.addHeaders(after);
    const names = new Set([...before.keys(), ...after.keys()]);
    for (const name of names) if (before.get(name) === after.get(name)) names.delete(name);
    this.#setHeaders(names, after);
  }

  #setHeaders(names: Iterable<string>, headers: Headers): void {
    const { setHeader, removeHeader } = this.#own;
    for (const name of names) {
      const value = name === "set-cookie" ? headers.getSetCookie() : headers.get(name);
      if (!value?.length) removeHeader!.call(this.#response, name);
      else setHeader!.call(this.#response, name.replace(/\b[a-z]/g, (letter) => letter.toUpperCase()), value);
    }
  }

  /** Gives the response its own properties back. */
  #stopHolding(): { calls: HeldCall[]; wasFull: boolean } {
    this.#state = "released";
    const wasFull = this.#isFull;
    for (const name in this.#properties) Reflect.deleteProperty(this.#response, name);
    const calls = this.#calls;
    this.#calls = [];
    return { calls, wasFull };
  }

  #setStatus(code: number, message: string | undefined): void {
    this.#response.statusCode = code;
    if (this.#hasStatusMessage) this.#response.statusMessage = message;
  }

  /** HTTP/2 has no status messages, and warns whoever reads or sets one. Its responses have a stream. */
  get #hasStatusMessage(): boolean {
    return !("stream" in this.#response);
  }

  /** Tells whoever was refused that there is room. */
  #emitDrain(): void {
    const response = this.#response;
    // `compression` puts listeners on a stream of its own, which on() returns.
    const emitter = (response.on("drain", () => {}) ?? response) as Emitter;
    emitter.emit("drain");
  }
}

/** As Node's own. */
function headersSentError(): Error {
  const error = new Error("Cannot set headers after they are sent to the client");
  return Object.assign(error, { code: "ERR_HTTP_HEADERS_SENT" });
}

function sizeOf(chunk: unknown): number {
  const { length, byteLength } = (chunk ?? {}) as { length?: number; byteLength?: number };
  return byteLength ?? length ?? 0;
}

/** Calls the callback of a `write()` or `end()` that was ignored. */
function callBack(given: unknown[]): void {
  const callback = given.at(-1);
  if (typeof callback === "function") queueMicrotask(callback as VoidFunction);
}

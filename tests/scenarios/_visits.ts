/**
 * Helpers for tests that read as request 1, 2, 3. The next request sends the cookies that a response set.
 * @module
 */

import type { Session, SessionManager } from "../../mod.ts";
import { type SessionHandler, withSessions } from "../../middleware/fetch.ts";

/** A parsed `Set-Cookie` header. */
export interface SetCookie {
  name: string;
  value: string;
  /** By name; `""` for attributes without a value. */
  attributes: Record<string, string>;
}

/** Every `Set-Cookie` of a response. */
export function setCookies(response: Response): SetCookie[] {
  return response.headers.getSetCookie().map((text) => {
    const [[name, value], ...attributes] = text.split("; ").map(splitPair) as [Pair, ...Pair[]];
    return { name, value, attributes: Object.fromEntries(attributes) };
  });
}

/** The differences of a request from a plain GET. */
export interface VisitOptions {
  /** Added to the browser's own `Cookie`, or in its place. */
  headers?: Record<string, string>;
  /** As on Workers. */
  waitUntil?: (work: Promise<unknown>) => void;
}

/** An execution context like that of Workers. Its method fails on any other object. */
export class ExecutionContext {
  readonly #work: Promise<unknown>[] = [];

  waitUntil(work: Promise<unknown>): void {
    this.#work.push(work);
  }

  get work(): readonly Promise<unknown>[] {
    return this.#work;
  }
}

/** A browser of one application, which keeps cookies from response to request. */
export class Browser<Data extends object = Record<string, unknown>> {
  readonly cookies = new Map<string, string>();
  readonly #manager: SessionManager<Data>;
  readonly #url: string;

  constructor(manager: SessionManager<Data>, url = "https://example.com/") {
    this.#manager = manager;
    this.#url = url;
  }

  /** The `Cookie` header of the next request. */
  get cookie(): string {
    return [...this.cookies].map(([name, value]) => `${name}=${value}`).join("; ");
  }

  /** The value of the only cookie; `undefined` without one. */
  get token(): string | undefined {
    return [...this.cookies.values()][0];
  }

  /** Sends one request to a handler. */
  async request(handler: SessionHandler<Data, unknown[]>, options: VisitOptions = {}): Promise<Response> {
    const request = new Request(this.#url);
    if (this.cookies.size > 0) request.headers.set("Cookie", this.cookie);
    for (const [name, value] of Object.entries(options.headers ?? {})) request.headers.set(name, value);
    const { waitUntil } = options;
    const response = await withSessions(this.#manager, handler)(request, {}, waitUntil && { waitUntil });
    for (const { name, value, attributes } of setCookies(response)) {
      if (attributes["Max-Age"] === "0") this.cookies.delete(name);
      else this.cookies.set(name, value);
    }
    return response;
  }

  /** Sends one request to a handler that uses the session and answers `ok`. */
  async visit(use: (session: Session<Data>) => unknown, options: VisitOptions = {}): Promise<Response> {
    return await this.request(async (_request, session) => {
      await use(await session());
      return new Response("ok");
    }, options);
  }
}

type Pair = [string, string];

function splitPair(text: string): Pair {
  const equals = text.indexOf("=");
  return equals < 0 ? [text, ""] : [text.slice(0, equals), text.slice(equals + 1)];
}

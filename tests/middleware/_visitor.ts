/**
 * A visitor of a whole application, for tests that read as request 1, 2, 3. The next request sends the cookies that a
 * response set.
 * @module
 */

import { setCookies } from "../scenarios/_visits.ts";

/** How a request reaches the application. */
export type Send = (path: string, init: RequestInit) => Response | Promise<Response>;

/** A browser: it keeps cookies, and follows no redirect. */
export class Visitor {
  readonly cookies = new Map<string, string>();
  readonly #send: Send;

  constructor(send: Send) {
    this.#send = send;
  }

  /** The `Cookie` header of the next request. */
  get cookie(): string {
    return [...this.cookies].map(([name, value]) => `${name}=${value}`).join("; ");
  }

  /** The value of the only cookie; `undefined` without one. */
  get token(): string | undefined {
    return [...this.cookies.values()][0];
  }

  async visit(path: string, init: RequestInit = {}): Promise<Response> {
    const headers = new Headers(init.headers);
    if (this.cookies.size > 0) headers.set("Cookie", this.cookie);
    const response = await this.#send(path, { redirect: "manual", ...init, headers });
    for (const { name, value, attributes } of setCookies(response)) {
      if (attributes["Max-Age"] === "0") this.cookies.delete(name);
      else this.cookies.set(name, value);
    }
    return response;
  }

  async post(path: string, body?: BodyInit): Promise<Response> {
    return await this.visit(path, { method: "POST", body });
  }

  /** The body of the response to a GET. */
  async text(path: string): Promise<string> {
    return await (await this.visit(path)).text();
  }
}

/** A visitor of a Hono application, over https. */
export function visitorOf(app: { request: Send }): Visitor {
  return new Visitor((path, init) => app.request(`https://example.com${path}`, init));
}

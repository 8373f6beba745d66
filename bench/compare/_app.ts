/**
 * The common parts of the apps in the comparison: gates that hold handlers, a store that can be observed and broken,
 * and a second port through which the program controls both.
 *
 * Each app is a process of its own, so that a crash affects no other app.
 * @module
 */

/** A page of a library's documentation, and what the app uses of it. */
export interface Page {
  url: string;
  says: string;
}

/** The description of an app's set-up. */
export interface About {
  /** The name of the column. */
  name: string;
  /** Its packages, each with its version. */
  packages: readonly string[];
  /** Where its sessions are stored. */
  store: string;
  pages: readonly Page[];
  /** Notes for the reader on the set-up, in whole sentences. */
  notes: readonly string[];
}

/** A store call. */
export interface StoreCall {
  kind: "read" | "write";
  name: string;
}

/** Which store calls fail: none, all, every write, or only the next read. */
export type Outage = "none" | "all" | "writes" | "one read";

/** The controls of an app that listens. */
export interface App {
  port: number;
  /** Every text in the store, row by row, as an attacker could read it. Absent without a store. */
  rows?(): string[][] | Promise<string[][]>;
  /** Makes every row unreadable. Absent if rows are not text. */
  spoil?(): void | Promise<void>;
}

/** The part of the program that an app uses. */
export class Controls {
  outage: Outage = "none";
  calls: StoreCall[] = [];
  readonly #gates = new Map<string, (() => void)[]>();

  /** Called before each store call. Throws if the store is down. */
  storeCall(kind: StoreCall["kind"], name: string): void {
    this.calls.push({ kind, name });
    const fails = this.outage === "all" || this.outage === "writes" && kind === "write" ||
      this.outage === "one read" && kind === "read";
    if (this.outage === "one read" && kind === "read") this.outage = "none";
    if (fails) throw new Error("the store is down");
  }

  /**
   * Stands for other work of a handler. A handler waits here between loading and changing its session, if the request
   * names a gate.
   */
  gate(name: string | null | undefined): Promise<void> {
    if (!name) return Promise.resolve();
    return new Promise((resolve) => {
      this.#gates.set(name, [...this.#gates.get(name) ?? [], resolve]);
    });
  }

  /** How many handlers wait at a gate. */
  waitingAt(name: string): number {
    return this.#gates.get(name)?.length ?? 0;
  }

  /** Opens a gate for the handlers that wait. */
  open(name: string): void {
    const waiting = this.#gates.get(name) ?? [];
    this.#gates.delete(name);
    for (const goOn of waiting) goOn();
  }
}

/** The key of the nested value in the handlers. */
export const LIST = "list";

/** When the page without caching headers was last changed. Caches guess a freshness from it. */
export const LAST_MODIFIED = "Wed, 01 Jan 2025 00:00:00 GMT";

/** Starts an app, and prints the ports of the app and its controls as JSON on one line. */
export async function run(about: About, start: (controls: Controls) => App | Promise<App>): Promise<void> {
  const controls = new Controls();
  const app = await start(controls);
  controls.calls = [];
  const server = Deno.serve({ hostname: "127.0.0.1", port: 0, onListen() {} }, async (request) => {
    const { pathname, searchParams } = new URL(request.url);
    switch (pathname) {
      case "/about":
        return Response.json({
          ...about,
          hasStore: app.rows !== undefined,
          canSpoil: app.spoil !== undefined,
        });
      case "/waiting":
        return Response.json(controls.waitingAt(searchParams.get("gate") ?? ""));
      case "/open":
        controls.open(searchParams.get("gate") ?? "");
        break;
      case "/outage":
        controls.outage = searchParams.get("of") as Outage;
        break;
      case "/calls": {
        const { calls } = controls;
        controls.calls = [];
        return Response.json(calls);
      }
      case "/rows":
        return Response.json(await app.rows?.() ?? []);
      case "/spoil":
        await app.spoil?.();
        break;
      default:
        return new Response(null, { status: 404 });
    }
    return Response.json(null);
  });
  console.log(JSON.stringify({ app: app.port, controls: server.addr.port }));
}

/** Serves a handler of `Request` and `Response` on a free port. */
export function serve(handler: (request: Request) => Response | Promise<Response>): number {
  return Deno.serve({ hostname: "127.0.0.1", port: 0, onListen() {} }, handler).addr.port;
}

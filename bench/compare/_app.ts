/**
 * What the apps of the comparison share: gates that hold a handler, a store that can be watched and stopped, and the
 * second port by which the program reaches both.
 *
 * An app is a process of its own, so that one that ends takes no other with it.
 *
 * @module
 */

/** A page of a library's documentation, and what the app took from it. */
export interface Page {
  url: string;
  says: string;
}

/** What the comparison says of an app's set-up. */
export interface About {
  /** The name of the column. */
  name: string;
  /** The packages it is made of, each with its version. */
  packages: readonly string[];
  /** Where its sessions are. */
  store: string;
  pages: readonly Page[];
  /** What a reader has to know of the set-up, in whole sentences. */
  notes: readonly string[];
}

/** A call of a store. */
export interface StoreCall {
  kind: "read" | "write";
  name: string;
}

/** What of a store fails: nothing, each call, each write, or the next read alone. */
export type Outage = "none" | "all" | "writes" | "one read";

/** What an app gives, once it listens. */
export interface App {
  port: number;
  /** Every text in the store, row by row: what somebody has who can read it. Absent where there is no store. */
  rows?(): string[][] | Promise<string[][]>;
  /** Makes what a row says unreadable, in every row. Absent where a row is no text. */
  spoil?(): void | Promise<void>;
}

/** What an app sees of the program that drives it. */
export class Controls {
  outage: Outage = "none";
  calls: StoreCall[] = [];
  readonly #gates = new Map<string, (() => void)[]>();

  /** For each call of the store, before it. Throws where the store is down. */
  storeCall(kind: StoreCall["kind"], name: string): void {
    this.calls.push({ kind, name });
    const fails = this.outage === "all" || this.outage === "writes" && kind === "write" ||
      this.outage === "one read" && kind === "read";
    if (this.outage === "one read" && kind === "read") this.outage = "none";
    if (fails) throw new Error("the store is down");
  }

  /**
   * Stands for a handler's other work. Handlers wait here after they have their session and before they change it, where
   * the request names a gate.
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

  /** Lets the handlers at a gate go on. */
  open(name: string): void {
    const waiting = this.#gates.get(name) ?? [];
    this.#gates.delete(name);
    for (const goOn of waiting) goOn();
  }
}

/** The name that a handler of the comparison gives for the nested value. */
export const LIST = "list";

/** When the page that says nothing of caching was last changed: what a cache guesses from. */
export const LAST_MODIFIED = "Wed, 01 Jan 2025 00:00:00 GMT";

/** Starts an app, and prints the ports of the app and of its controls as JSON on one line. */
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

/**
 * What the handlers of the matrix need of the runtime that they run on. Each runtime's server hands one over.
 * @module
 */

/** What differs between runtimes. What one does not have is left out, and its row is empty there. */
export interface Platform {
  /** Where the other server listens, such as `"http://127.0.0.1:8080"`. */
  upstream: string;
  /** What the runtime calls a file: `Bun.file()`, `fs.openAsBlob()`, the stream of an open file. */
  file?: () => BodyInit | Promise<BodyInit>;
  /** Answers a WebSocket's upgrade with an echo. */
  upgrade?: (request: Request, env: unknown) => Response | Promise<Response>;
  /** Announces trailers, sent after the body. `Response` has none. */
  addTrailers?: (env: unknown, trailers: Record<string, string>) => void;
  /** The entry points of a second copy of the package, as a monorepo may install one. */
  secondCopy?: () => Promise<SecondCopy>;
}

/** What the matrix uses of a second copy. */
export interface SecondCopy {
  withSessions: typeof import("@x/sessions/middleware/fetch").withSessions;
  honoSessions: typeof import("@x/sessions/middleware/hono").honoSessions;
  scheduledPurge: typeof import("@x/sessions/middleware/scheduled").scheduledPurge;
}

/** One request, as a handler of the matrix sees it. */
export interface Visit {
  request: Request;
  /** Different with every request; the other server uses it to know a request again. */
  id: string;
  platform: Platform;
  env: unknown;
  /** Makes a response once and gives the same object to every request of this cell. */
  shared(make: () => Response): Response;
}

/** What every platform calls: `env` and `context` as far as it has them. */
export type Server = (request: Request, env?: unknown, context?: unknown) => Response | Promise<Response>;

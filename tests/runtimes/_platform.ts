/**
 * The parts of a runtime that the handlers of the matrix need. Each runtime's server passes them.
 * @module
 */

/** The differences between runtimes. What a runtime lacks is left out, and its row is empty there. */
export interface Platform {
  /** The address of the upstream server, such as `"http://127.0.0.1:8080"`. */
  upstream: string;
  /** The runtime's files: `Bun.file()`, `fs.openAsBlob()`, the stream of an open file. */
  file?: () => BodyInit | Promise<BodyInit>;
  /** Answers a WebSocket upgrade with an echo. */
  upgrade?: (request: Request, env: unknown) => Response | Promise<Response>;
  /** Announces trailers, which are sent after the body. `Response` has none. */
  addTrailers?: (env: unknown, trailers: Record<string, string>) => void;
  /** The entry points of a second copy of the package, as a monorepo may install one. */
  secondCopy?: () => Promise<SecondCopy>;
}

/** The parts of a second copy that the matrix uses. */
export interface SecondCopy {
  withSessions: typeof import("@x/sessions/middleware/fetch").withSessions;
  honoSessions: typeof import("@x/sessions/middleware/hono").honoSessions;
  scheduledPurge: typeof import("@x/sessions/middleware/scheduled").scheduledPurge;
}

/** One request, as a handler of the matrix sees it. */
export interface Visit {
  request: Request;
  /** Different with every request. The upstream server uses it to recognise a request. */
  id: string;
  platform: Platform;
  env: unknown;
  /** Makes a response once, and returns the same object for every request of this cell. */
  shared(make: () => Response): Response;
}

/** The entry point of every platform, with `env` and `context` if it has them. */
export type Server = (request: Request, env?: unknown, context?: unknown) => Response | Promise<Response>;

/**
 * Server-side HTTP sessions for Deno, Cloudflare Workers, Bun and Node. The browser holds one random token in a
 * cookie; the data lives in a store. A request that never asks for its session costs nothing; no update is
 * lost; no logout is undone; tokens are hashed at rest.
 *
 * ```ts
 * import { assertEquals } from "@std/assert";
 * import { sessions } from "@x/sessions";
 * import { withSessions } from "@x/sessions/middleware/fetch";
 *
 * const manager = sessions<{ visits: number }>({ lifetime: "24h", idleTimeout: "20m" });
 *
 * const handler = withSessions(manager, async (_request, getSession) => {
 *   const session = await getSession();
 *   session.update("visits", (visits = 0) => visits + 1);
 *   return new Response(`Visit ${session.get("visits")}`);
 * });
 *
 * const response = await handler(new Request("https://example.com/"));
 * assertEquals(await response.text(), "Visit 1");
 * ```
 *
 * @module
 */

import type { SessionOptions } from "./core/options/session_options.ts";
import { SessionManager } from "./core/manager.ts";
import { MemoryStore } from "./stores/memory.ts";

/**
 * Makes a session manager. It starts nothing and opens nothing, so it may be made at module scope.
 *
 * @typeParam Data The values of a session by key.
 * @throws {SessionConfigError} Options are wrong; `problems` names every mistake.
 *
 * @example With its defaults: in memory, for a day
 * ```ts
 * import { assertEquals } from "@std/assert";
 * import { sessions } from "@x/sessions";
 *
 * const manager = sessions<{ userId: number }>();
 * const session = await manager.load();
 * session.put("userId", 42);
 * const { token } = await session.commit();
 * assertEquals((await manager.load(token)).get("userId"), 42);
 * ```
 */
export function sessions<Data extends object = Record<string, unknown>>(
  options: SessionOptions = {},
): SessionManager<Data> {
  return new SessionManager<Data>(options, () => new MemoryStore());
}

export { MemoryStore, type MemoryStoreOptions } from "./stores/memory.ts";
export type { SessionManager, SubjectSession } from "./core/manager.ts";
export type { SessionOptions } from "./core/options/session_options.ts";
export type { CookieOptions } from "./core/options/cookie_options.ts";
export type { Duration } from "./core/options/duration.ts";
export type { CommitResult, Session, SessionKey } from "./core/session.ts";
export type { SessionStatus } from "./core/state/session_state.ts";
export type { SessionContext } from "./core/store/operation.ts";
export type { RequestSession } from "./core/http/request.ts";
export type { PurgeOptions, PurgeResult } from "./core/store/purge.ts";
export type { CleanupMode, CleanupOptions } from "./core/store/cleanup.ts";
export { type Codec, type DecodedSession, jsonCodec } from "./core/bytes/json_codec.ts";
export type {
  SessionErrorHook,
  SessionErrorInfo,
  SessionEvent,
  SessionEventHook,
  SessionPhase,
} from "./core/events.ts";
export {
  type AnySessionError,
  SessionClosedError,
  SessionConfigError,
  SessionConflictError,
  SessionEncodeError,
  SessionError,
  type SessionErrorCode,
  SessionGoneError,
  SessionStoreError,
  SessionTooLargeError,
  type StoreErrorDetails,
  type StoreFailure,
  type StoreOperation,
} from "./core/errors.ts";
export type {
  AtomicStore,
  DeleteExpiredOptions,
  DeleteOptions,
  FindOptions,
  IterableStore,
  NextRow,
  PurgingStore,
  SessionStore,
  StoredRow,
  StoredSession,
  StoreOptions,
  SubjectStore,
  TimedOptions,
  WriteOptions,
} from "./core/store.ts";

import type { AnySessionError, SessionError } from "./errors.ts";
import { isResponse, tryCall } from "./foreign.ts";
import { waitFor } from "./wait.ts";

/**
 * Something worth an audit log. `id` names a session without being of use as its token: the same one that
 * `sessionsOf` gives.
 *
 * - `created`: a session was stored for the first time.
 * - `renewed`: it got a new token; `previousId` is dead.
 * - `destroyed`: it was ended by its token, such as by a logout.
 * - `revoked`: one session or all of a subject were ended; `count` says how many.
 * - `unknown`: a well-formed token was offered that no live session has.
 * - `undecodable`: the codec cannot read a row, which counts as no session and is left as it is.
 * - `conflict`: another request changed the session first; this one tries again.
 * - `purged`: expired rows were deleted.
 * - `evicted`: a full memory store dropped a live session.
 * - `forwarded-proto`: an `http:` request says that it was `https:` in front of a proxy; set `secure: true`.
 * - `missing-index`: a purge would read the whole table; `statement` adds the index.
 */
export type SessionEvent =
  | { kind: "created"; id: string; subject?: string | undefined }
  | { kind: "renewed"; id: string; previousId: string; subject?: string | undefined }
  | { kind: "destroyed"; id: string; subject?: string | undefined }
  | { kind: "revoked"; subject: string; count: number; id?: string }
  | { kind: "unknown"; id: string }
  | { kind: "undecodable"; id: string }
  | { kind: "conflict"; id: string; attempt: number }
  | { kind: "purged"; deleted: number }
  | { kind: "evicted"; id: string }
  | { kind: "forwarded-proto" }
  | { kind: "missing-index"; statement: string };

/** Hears of {@linkcode SessionEvent}s. What it throws is ignored. */
export type SessionEventHook = (event: SessionEvent) => void;

/** Where an error came up: while loading, while committing, or in a clean-up that nobody waits for. */
export type SessionPhase = "load" | "commit" | "cleanup";

/** What {@linkcode SessionErrorHook} gets beside the error. */
export interface SessionErrorInfo {
  /** The request that failed, where there is one. */
  request?: Request;
  /** Where the error came up. */
  phase: SessionPhase;
}

/**
 * Hears of every error of a request, and of a touch or a clean-up in the background. Errors of `manager.load()` and the like
 * go to their caller alone. A `Response` that it returns is sent in place of the default one: make a new one each time, since
 * one that was sent is ignored. What it throws is ignored, and a response waits for it for a second at most.
 */
export type SessionErrorHook = (
  error: AnySessionError,
  info: SessionErrorInfo,
) => Response | void | Promise<Response | void>;

/** How long a response waits for `onError`, in milliseconds. */
const LONGEST_HOOK = 1_000;

/** Calls the user's hooks. Whatever they throw or return, the library goes on. */
export class Hooks {
  /**
   * `undefined` if nobody listens. Call it with `?.`: then an event, whose ids cost a hash each, is made only for a listener. A
   * store may skip looking for what it would report.
   */
  readonly event: SessionEventHook | undefined;
  readonly #onError: SessionErrorHook;

  constructor(onError: SessionErrorHook = log, onEvent?: SessionEventHook) {
    this.event = onEvent && ((event) => void tryCall(() => onEvent(event)));
    this.#onError = onError;
  }

  /** Calls `onError` and gives its answer. Never rejects, and waits for {@linkcode LONGEST_HOOK} at most. */
  readonly error = async (error: SessionError, info: SessionErrorInfo): Promise<Response | undefined> => {
    try {
      const response = await waitFor(this.#onError(error as AnySessionError, info), LONGEST_HOOK);
      return isResponse(response) ? response : undefined;
    } catch {
      return undefined;
    }
  };
}

/** The default of `onError`. Frameworks answer an error that has a response without logging it. */
function log(error: SessionError, { phase }: SessionErrorInfo): void {
  console.error(`Session error (${phase}):`, error);
}

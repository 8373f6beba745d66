/** The stable `code` of every error of this package. Compare this rather than the class: it survives bundling. */
export type SessionErrorCode =
  | "ERR_SESSION_CONFIG"
  | "ERR_SESSION_STORE"
  | "ERR_SESSION_CONFLICT"
  | "ERR_SESSION_GONE"
  | "ERR_SESSION_TOO_LARGE"
  | "ERR_SESSION_ENCODE"
  | "ERR_SESSION_CLOSED";

/**
 * What every error of this package extends.
 *
 * No error carries a token, a session's value, SQL with values or a password, in its message or its `cause`.
 */
export abstract class SessionError extends Error {
  /** Tells the errors apart; released codes keep their meaning. */
  abstract readonly code: SessionErrorCode;
  /** The HTTP status that answers a request which failed with this error. */
  readonly status: number;

  constructor(message: string, status: number, options?: ErrorOptions) {
    super(message, options);
    this.status = status;
  }

  /** The response that a middleware sends where `onError` gave none. It says nothing about the cause. */
  getResponse(): Response {
    return errorResponse(this.status);
  }
}

/** A response that says no more than the status. */
export function errorResponse(status: number): Response {
  return new Response(`${REASON_PHRASES[status] ?? "Internal Server Error"}\n`, {
    status,
    headers: { "Content-Type": "text/plain; charset=utf-8", "Cache-Control": "no-store" },
  });
}

const REASON_PHRASES: Record<number, string> = { 409: "Conflict", 503: "Service Unavailable" };

/** Options are wrong. Thrown at construction, with every mistake in {@linkcode SessionConfigError.problems}. */
export class SessionConfigError extends SessionError {
  override readonly name = "SessionConfigError";
  override readonly code = "ERR_SESSION_CONFIG";
  /** One sentence for each mistake, in the order of the options. Names that are no option come last. */
  readonly problems: readonly string[];

  constructor(problems: readonly string[], options?: ErrorOptions) {
    super(`Cannot use these session options: ${problems.join("; ")}`, 500, options);
    this.problems = problems;
  }
}

/** What the store was asked to do when it failed. */
export type StoreOperation =
  | "find"
  | "commit"
  | "create"
  | "update"
  | "touch"
  | "delete"
  | "all"
  | "deleteExpired"
  | "findBySubject"
  | "deleteBySubject"
  | "createTable";

/**
 * Why a store failed: `unreachable` (no or a broken connection, a 5xx), `timeout`, `aborted` (by the caller's
 * signal), `busy` (a lock, too many requests), `unauthorized` (credentials or rights), `schema` (no such table
 * or column), `malformed` (a reply that makes no sense), `rejected` (the statement was refused), `unsupported`
 * (the store lacks the ability), `unknown`.
 */
export type StoreFailure =
  | "unreachable"
  | "timeout"
  | "aborted"
  | "busy"
  | "unauthorized"
  | "schema"
  | "malformed"
  | "rejected"
  | "unsupported"
  | "unknown";

/** What is known of a store's failure. */
export interface StoreErrorDetails {
  /** Why it failed. */
  reason: StoreFailure;
  /** Whether the same call may succeed later. */
  retryable: boolean;
  /** Whether a write may have happened all the same. */
  ambiguous?: boolean | undefined;
  /** Already reduced: it holds neither values nor SQL. */
  cause?: unknown;
  /** What to do about it, as the end of the message. */
  advice?: string | undefined;
}

/** The store failed. The session was neither read nor, unless `ambiguous`, written. */
export class SessionStoreError extends SessionError {
  override readonly name = "SessionStoreError";
  override readonly code = "ERR_SESSION_STORE";
  /** What the store was asked to do. */
  readonly operation: StoreOperation;
  /** Why it failed. */
  readonly reason: StoreFailure;
  /** Whether the same request may succeed later. */
  readonly retryable: boolean;
  /** Whether the write may have happened although it was reported as failed. */
  readonly ambiguous: boolean;

  constructor(
    operation: StoreOperation,
    { reason, retryable, ambiguous = false, cause, advice }: StoreErrorDetails,
  ) {
    const hint = advice === undefined ? "" : `: ${advice}`;
    super(`Session store failed in ${operation}() (${reason})${hint}`, 503, { cause });
    this.operation = operation;
    this.reason = reason;
    this.retryable = retryable;
    this.ambiguous = ambiguous;
  }
}

/**
 * Other requests kept changing this session until the time or the attempts were used up. Nothing was saved; the request may
 * be repeated.
 */
export class SessionConflictError extends SessionError {
  override readonly name = "SessionConflictError";
  override readonly code = "ERR_SESSION_CONFLICT";
  /** How often this request tried. */
  readonly attempts: number;

  constructor(attempts: number, options?: ErrorOptions) {
    super(`Cannot commit session: other requests won ${attempts} times`, 503, options);
    this.attempts = attempts;
  }
}

/** The session ended (a logout, a renewal, its expiry) while this request was changing it. Nothing was saved. */
export class SessionGoneError extends SessionError {
  override readonly name = "SessionGoneError";
  override readonly code = "ERR_SESSION_GONE";

  constructor(options?: ErrorOptions) {
    super("Cannot commit session: it ended while this request was changing it", 409, options);
  }
}

/** The encoded session is larger than `maxBytes`, or than the store's column. Nothing was saved. */
export class SessionTooLargeError extends SessionError {
  override readonly name = "SessionTooLargeError";
  override readonly code = "ERR_SESSION_TOO_LARGE";
  /** The key of the largest value, where it is known. */
  readonly key: string | undefined;

  constructor(size: number, limit: number, key?: string, options?: ErrorOptions) {
    const largest = key === undefined ? "" : `, most of them in ${JSON.stringify(key)}`;
    super(`Cannot commit session: it has ${size} bytes${largest}, and the limit is ${limit}`, 500, options);
    this.key = key;
  }
}

/** A value cannot be stored: a function, a cycle, a class instance, a reserved key. Nothing was saved. */
export class SessionEncodeError extends SessionError {
  override readonly name = "SessionEncodeError";
  override readonly code = "ERR_SESSION_ENCODE";
  /** The key of the value. */
  readonly key: string;

  constructor(key: string, problem: string, options?: ErrorOptions) {
    super(`Cannot store session value ${JSON.stringify(key)}: ${problem}`, 500, options);
    this.key = key;
  }
}

/**
 * The session was changed after the head of the response was sent, when nothing can be saved any more. Or it was first asked
 * for then, and a shared cache may keep the response for others.
 */
export class SessionClosedError extends SessionError {
  override readonly name = "SessionClosedError";
  override readonly code = "ERR_SESSION_CLOSED";

  constructor(problem: string = CHANGED_LATE, options?: ErrorOptions) {
    super(problem, 500, options);
  }
}

const CHANGED_LATE =
  "Cannot change session: the response has started; load it again with manager.load(token) and commit() it";

/** Every error of this package, as a union that its `code` narrows. */
export type AnySessionError =
  | SessionConfigError
  | SessionStoreError
  | SessionConflictError
  | SessionGoneError
  | SessionTooLargeError
  | SessionEncodeError
  | SessionClosedError;

/**
 * What is left of a foreign error when it becomes a `cause`: its name, code and status.
 *
 * Its message and its own causes are dropped: drivers quote SQL with values, and addresses with passwords.
 */
export class ReducedError extends Error {
  override readonly name: string;
  /** The foreign error's `code`, where it is a number or a constant such as `ECONNREFUSED`. */
  readonly code: string | number | undefined;
  /** The foreign error's HTTP status, where it had one. */
  readonly status: number | undefined;

  constructor(error: unknown) {
    const { name, code, status, cause } = (error ?? {}) as Record<string, unknown>;
    // Node's `fetch` says in the cause alone whether a connection was refused or a name is unknown.
    const nested = (cause ?? {}) as Record<string, unknown>;
    const parts = {
      name: isName(name) ? name : "Error",
      code: [code, nested.code].find(isCode),
      status: [status, nested.status].find((value) => typeof value === "number"),
    };
    super(Object.values(parts).filter((part) => part !== undefined).join(" "));
    this.name = parts.name;
    this.code = parts.code;
    this.status = parts.status;
  }
}

// A token has 43 characters and would pass for a word: nothing that long is a name or a code.
function isName(value: unknown): value is string {
  return typeof value === "string" && /^[A-Za-z][A-Za-z0-9_.]{0,39}$/.test(value);
}

/** A number, or a constant such as `ECONNREFUSED`. */
function isCode(value: unknown): value is string | number {
  return typeof value === "number" || (typeof value === "string" && /^[A-Z][A-Z0-9_]{2,39}$/.test(value));
}

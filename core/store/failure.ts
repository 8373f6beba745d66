import { ReducedError, SessionError, SessionStoreError, type StoreOperation } from "../errors.ts";
import { GaveUp } from "../wait.ts";

/** Whether others held the lock that was needed. Nothing was done then. */
export function isBusyFailure(error: unknown): boolean {
  return error instanceof SessionStoreError && error.reason === "busy";
}

/**
 * Whether the platform allows this invocation no further request, as Workers do after 50 or 1,000. The one that failed
 * was not sent.
 */
export function isOutOfRequests(error: unknown): boolean {
  const { message, cause } = (error ?? {}) as { message?: unknown; cause?: { message?: unknown } };
  return /too many (?:sub|api )requests/i.test(`${message} ${cause?.message}`);
}

/** A store's own error as it is; anything else without what it might give away. */
export function toSessionError(operation: StoreOperation, error: unknown, writes: boolean): SessionError {
  if (error instanceof SessionError) return error;
  if (error instanceof GaveUp) {
    return new SessionStoreError(operation, { reason: error.reason, retryable: true, ambiguous: writes });
  }
  if (isOutOfRequests(error)) {
    return new SessionStoreError(operation, {
      reason: "busy",
      retryable: true,
      cause: new ReducedError(error),
      advice: "the platform allows this invocation no further request",
    });
  }
  return new SessionStoreError(operation, {
    reason: "unknown",
    retryable: true,
    ambiguous: writes,
    cause: new ReducedError(error),
  });
}

/** The error, of something that may have happened all the same. */
export function inDoubt(error: unknown): unknown {
  if (!(error instanceof SessionStoreError) || error.ambiguous) return error;
  const { operation, reason, retryable } = error;
  return new SessionStoreError(operation, { reason, retryable, ambiguous: true, cause: error });
}

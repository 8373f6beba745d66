import { ReducedError, SessionError, SessionStoreError, type StoreOperation } from "../errors.ts";
import { GaveUp } from "../wait.ts";

/** Whether a lock was in the way. Nothing was written then. */
export function isBusyFailure(error: unknown): boolean {
  return error instanceof SessionStoreError && error.reason === "busy";
}

/**
 * Whether the platform refused the request because this invocation has made too many: Workers allow 50 or 1,000. The
 * request was not sent.
 */
export function isOutOfRequests(error: unknown): boolean {
  const { message, cause } = (error ?? {}) as { message?: unknown; cause?: { message?: unknown } };
  return /too many (?:sub|api )requests/i.test(`${message} ${cause?.message}`);
}

/** The error as a `SessionError`. A foreign one is reduced to what holds no secrets. */
export function toSessionError(operation: StoreOperation, error: unknown, writes: boolean): SessionError {
  if (error instanceof SessionError) return error;
  if (error instanceof GaveUp) {
    return new SessionStoreError(operation, { reason: error.reason, retryable: true, ambiguous: writes });
  }
  const isRefused = isOutOfRequests(error);
  return new SessionStoreError(operation, {
    reason: isRefused ? "busy" : "unknown",
    retryable: true,
    ambiguous: writes && !isRefused,
    cause: new ReducedError(error),
    advice: isRefused ? "the platform allows this invocation no further request" : undefined,
  });
}

/** The error, marked as ambiguous: the write may have happened all the same. */
export function asAmbiguous(error: unknown): unknown {
  if (!(error instanceof SessionStoreError) || error.ambiguous) return error;
  const { operation, reason, retryable } = error;
  return new SessionStoreError(operation, { reason, retryable, ambiguous: true, cause: error });
}

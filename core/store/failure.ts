import { ReducedError, SessionError, SessionStoreError, type StoreOperation } from "../errors.ts";
import { GaveUp } from "../wait.ts";

/** Whether others held the lock that was needed. Nothing was done then. */
export function isBusy(error: unknown): boolean {
  return error instanceof SessionStoreError && error.reason === "busy";
}

/** A store's own error as it is; anything else without what it might give away. */
export function toSessionError(operation: StoreOperation, error: unknown, writes: boolean): SessionError {
  if (error instanceof SessionError) return error;
  if (error instanceof GaveUp) {
    return new SessionStoreError(operation, { reason: error.reason, retryable: true, ambiguous: writes });
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

import {
  ReducedError,
  SessionError,
  SessionStoreError,
  type StoreErrorDetails,
  type StoreOperation,
} from "../errors.ts";
import { GaveUp } from "../wait.ts";

/** Whether a lock or a transaction was in the way. Nothing was written, unless the error is `ambiguous`. */
export function isBusyFailure(error: unknown): boolean {
  return error instanceof SessionStoreError && error.reason === "busy";
}

/**
 * The error as a `SessionError`. A foreign one is reduced to what holds no secrets.
 *
 * @param classify What an error of the store's driver means; `undefined` where it is none.
 */
export function toSessionError(
  operation: StoreOperation,
  error: unknown,
  writes: boolean,
  classify: (error: unknown) => StoreErrorDetails | undefined = () => undefined,
): SessionError {
  if (error instanceof SessionError) return error;
  const details = classifyWaiting(error) ?? classify(error) ??
    { reason: "unknown", retryable: true, ambiguous: true };
  return new SessionStoreError(operation, {
    cause: new ReducedError(error),
    ...details,
    ambiguous: writes && details.ambiguous,
  });
}

/** What an error means that any store may meet. */
function classifyWaiting(error: unknown): StoreErrorDetails | undefined {
  if (error instanceof GaveUp) {
    return { reason: error.reason, retryable: true, ambiguous: true, cause: undefined };
  }
  const { message, cause } = (error ?? {}) as { message?: unknown; cause?: { message?: unknown } };
  // Workers allow an invocation 50 or 1,000 requests. This one was not sent.
  if (/too many (?:sub|api )requests/i.test(`${message} ${cause?.message}`)) {
    const advice = "the platform allows this invocation no further request";
    return { reason: "busy", retryable: true, advice };
  }
}

/** The error, marked as ambiguous: the write may have happened all the same. */
export function asAmbiguous(error: unknown): unknown {
  if (!(error instanceof SessionStoreError) || error.ambiguous) return error;
  const { operation, reason, retryable } = error;
  return new SessionStoreError(operation, { reason, retryable, ambiguous: true, cause: error });
}

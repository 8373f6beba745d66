import type { SessionSettings } from "../options/session_options.ts";
import { type Operation, waitUntilOf } from "../store/operation.ts";
import { tryCall } from "../foreign.ts";
import { mustMoveExpiry, nextExpiry } from "./expiry.ts";
import type { SessionState } from "./session_state.ts";

/** Whether this request has to touch the row, to record that the session was used. */
export function needsTouch(settings: SessionSettings, { record, row, touchTarget }: SessionState): boolean {
  return row !== undefined && touchTarget === undefined && mustMoveExpiry(settings, record, row.expiry);
}

/**
 * Moves the expiry of a session's row because the session was used. With `waitUntil` the response does not wait for it.
 * A failure costs a part of the idle time and never the request.
 */
export async function touch(operation: Operation, state: SessionState): Promise<void> {
  const { settings, context } = operation;
  const row = state.row!;
  const expiry = nextExpiry(settings, state.record);
  // A save that runs beside the touch moves the expiry itself: the touch may fail.
  state.touchTarget = expiry;
  const touched = operation.touch(row, expiry)
    .then((isMoved) => {
      if (isMoved && state.row === row) state.row = { ...row, expiry };
    })
    .catch((error) => settings.hooks.error(error, { phase: "commit" }))
    .finally(() => state.touchTarget = undefined);
  const waitUntil = waitUntilOf(context);
  // A `waitUntil` throws if it was taken off its object, or if the request is over.
  const isHandedOver = waitUntil !== undefined && tryCall(() => waitUntil(touched));
  if (!isHandedOver) await touched;
}

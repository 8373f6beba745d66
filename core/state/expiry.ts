import type { SessionSettings } from "../options/session_options.ts";
import type { SessionRecord } from "./record.ts";

type Limits = Pick<SessionSettings, "idleTimeout" | "touchInterval" | "now">;

/** The expiry of the row of a session that is used now. */
export function expiryOf({ idleTimeout, now }: Limits, { deadline }: SessionRecord): number {
  return idleTimeout === Infinity ? deadline : Math.min(deadline, now() + idleTimeout);
}

/** Whether the session has been idle for long enough that a use is written down. */
export function isTouchDue(limits: Limits, record: SessionRecord, expiry: number): boolean {
  if (limits.idleTimeout === Infinity) return false;
  const behind = expiryOf(limits, record) - expiry;
  return behind > 0 && behind >= limits.touchInterval;
}

/**
 * Whether a save moves the expiry of its row: if a touch is due, or if the row was written under another `idleTimeout`.
 * Moving it costs the database an index entry.
 */
export function isOff(limits: Limits, record: SessionRecord, expiry: number): boolean {
  const off = Math.abs(expiryOf(limits, record) - expiry);
  return off > 0 && off >= limits.touchInterval;
}

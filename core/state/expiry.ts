import type { SessionSettings } from "../options/session_options.ts";
import type { SessionRecord } from "./record.ts";

type Limits = Pick<SessionSettings, "idleTimeout" | "touchInterval" | "now">;

/** When the row of a session that is used now expires. */
export function expiryOf({ idleTimeout, now }: Limits, { deadline }: SessionRecord): number {
  return idleTimeout === Infinity ? deadline : Math.min(deadline, now() + idleTimeout);
}

/** Whether enough idle time has passed that a use is written down. */
export function isTouchDue(limits: Limits, record: SessionRecord, expiry: number): boolean {
  if (limits.idleTimeout === Infinity) return false;
  const behind = expiryOf(limits, record) - expiry;
  return behind > 0 && behind >= limits.touchInterval;
}

/**
 * Whether a save moves the expiry of its row, which costs the database more than the data alone: where a touch is due, or
 * the row was written under another `idleTimeout`.
 */
export function isOff(limits: Limits, record: SessionRecord, expiry: number): boolean {
  const off = Math.abs(expiryOf(limits, record) - expiry);
  return off > 0 && off >= limits.touchInterval;
}

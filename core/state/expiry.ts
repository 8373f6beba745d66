import type { SessionSettings } from "../options/session_options.ts";
import type { SessionRecord } from "./record.ts";

type Limits = Pick<SessionSettings, "idleTimeout" | "touchInterval" | "now">;

/** When the row of a session that is used now expires. */
export function expiryOf({ idleTimeout, now }: Limits, { deadline }: SessionRecord): number {
  return idleTimeout === Infinity ? deadline : Math.min(deadline, now() + idleTimeout);
}

/** Whether enough idle time has passed that a use is written down. */
export function isTouchDue(limits: Limits, record: SessionRecord, expiry: number): boolean {
  return limits.idleTimeout !== Infinity && isBehind(limits, record, expiry);
}

/** Whether a write moves the expiry of its row, which costs the database more than the data alone. */
export function isBehind(limits: Limits, record: SessionRecord, expiry: number): boolean {
  const behind = expiryOf(limits, record) - expiry;
  return behind > 0 && behind >= limits.touchInterval;
}

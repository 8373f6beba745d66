import type { SessionSettings } from "../options/session_options.ts";
import type { SessionRecord } from "./record.ts";

type Limits = Pick<SessionSettings, "idleTimeout" | "touchInterval" | "now">;

/** A database may round the expiry of a row. Without an idle timeout a smaller difference is ignored. */
const ROUNDING_MS = 1_000;

/** The expiry that the row of a session gets where the session is used now. */
export function nextExpiry({ idleTimeout, now }: Limits, { deadline }: SessionRecord): number {
  return idleTimeout === Infinity ? deadline : Math.min(deadline, now() + idleTimeout);
}

/**
 * Whether the expiry of a row has to move because the session is used: its last recorded use is at least `touchInterval` ago,
 * or the row was written under another `idleTimeout`. Each move costs the database an index entry.
 */
export function mustMoveExpiry(limits: Limits, record: SessionRecord, expiry: number): boolean {
  const { idleTimeout, touchInterval } = limits;
  const behind = nextExpiry(limits, record) - expiry;
  if (idleTimeout === Infinity) return Math.abs(behind) >= ROUNDING_MS;
  // An expiry that lies a little further ahead comes from an instance whose clock is ahead.
  return behind > 0 ? behind >= touchInterval : -behind >= idleTimeout;
}

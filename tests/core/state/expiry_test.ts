import { mustMoveExpiry, nextExpiry } from "../../../core/state/expiry.ts";
import { emptyRecord } from "../../../core/state/record.ts";
import { assertEquals } from "../../assert.ts";

const NOW = Date.UTC(2026, 2, 4);
const MINUTE = 60_000;
const DEADLINE = NOW + 60 * MINUTE;

const limits = (idleTimeout: number, touchInterval = 0) => ({ idleTimeout, touchInterval, now: () => NOW });

Deno.test("nextExpiry() is the deadline, or sooner with an idle timeout", () => {
  assertEquals(nextExpiry(limits(Infinity), emptyRecord(DEADLINE)), DEADLINE);
  assertEquals(nextExpiry(limits(20 * MINUTE), emptyRecord(DEADLINE)), NOW + 20 * MINUTE);
  assertEquals(nextExpiry(limits(90 * MINUTE), emptyRecord(DEADLINE)), DEADLINE);
});

const MOVES: [what: string, idleTimeout: number, touchInterval: number, expiry: number, moves: boolean][] = [
  ["the deadline", Infinity, 0, DEADLINE, false],
  ["the deadline, rounded down by a database", Infinity, 0, DEADLINE - 999, false],
  ["the deadline, rounded up by a database", Infinity, 0, DEADLINE + 999, false],
  ["a second before the deadline", Infinity, 0, DEADLINE - 1_000, true],
  ["a second after the deadline", Infinity, 0, DEADLINE + 1_000, true],
  ["that of a use one millisecond before the interval", 20 * MINUTE, MINUTE, NOW + 19 * MINUTE + 1, false],
  ["that of a use one interval ago", 20 * MINUTE, MINUTE, NOW + 19 * MINUTE, true],
  ["that of a use now, without an interval", 20 * MINUTE, 0, NOW + 20 * MINUTE, false],
  ["that of an instance whose clock is ahead", 20 * MINUTE, 0, NOW + 40 * MINUTE - 1, false],
  ["that of a longer idle timeout", 20 * MINUTE, 0, NOW + 40 * MINUTE, true],
];
for (const [what, idleTimeout, touchInterval, expiry, moves] of MOVES) {
  Deno.test(`mustMoveExpiry() ${moves ? "moves" : "leaves"} an expiry that is ${what}`, () => {
    assertEquals(mustMoveExpiry(limits(idleTimeout, touchInterval), emptyRecord(DEADLINE), expiry), moves);
  });
}

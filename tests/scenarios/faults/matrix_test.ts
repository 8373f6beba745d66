/**
 * Runs every operation with every fault of the database's server, on its first request and on all of them. Each ends
 * in time, with a right result or with an error that says what is known.
 * @module
 */

import { SessionStoreError, type StoreFailure } from "../../../mod.ts";
import { assertEquals } from "../../assert.ts";
import type { ProxyFault } from "../../services/fault_proxy.ts";
import { type FaultBed, faultServers, STORE_TIMEOUT } from "./_bed.ts";
import { type Extent, FAULT_NAMES, type Operation, OPERATIONS, type Outcome, runCell } from "./_cells.ts";
import { leaksOf } from "./_leaks.ts";

/** What the error of a request with a fault says about a write. */
interface Verdict {
  reasons: StoreFailure[];
  retryable: boolean;
  ambiguous: boolean;
}

const verdict = (reason: StoreFailure, retryable: boolean, ambiguous: boolean): Verdict => (
  { reasons: [reason], retryable, ambiguous }
);

const VERDICTS: Record<Exclude<ProxyFault, "twice">, Verdict> = {
  refused: verdict("unreachable", true, true),
  resetBefore: verdict("unreachable", true, true),
  resetAfter: verdict("unreachable", true, true),
  resetInBody: verdict("unreachable", true, true),
  truncated: verdict("malformed", true, true),
  html: verdict("malformed", true, true),
  empty: verdict("malformed", true, true),
  error: verdict("unreachable", true, true),
  status401: verdict("unauthorized", false, false),
  status429: verdict("busy", true, false),
  status500: verdict("unreachable", true, true),
  status502: verdict("unreachable", true, true),
  status503: verdict("unreachable", true, true),
  badGatewayAfter: verdict("unreachable", true, true),
  drip: verdict("timeout", true, true),
  hang: verdict("timeout", true, true),
};

/** Faults that do not fail an operation: a purge gives way to others, and a touch is not retried. */
const SILENT: Partial<Record<ProxyFault, string[]>> = { status429: ["purge"], empty: ["a touch"] };

const READS = ["load", "sessionsOf", "iterate"];

/** Problems that count however slow the machine is. */
function wrongs(operation: Operation, fault: ProxyFault, outcome: Outcome): string[] {
  const { error, problems } = outcome;
  const wrong = [...problems, ...leaksOf(outcome).map((leak) => `it shows ${leak}`)];
  if (error === undefined || fault === "twice") return wrong;
  if (!(error instanceof SessionStoreError)) return [...wrong, `an error of another kind: ${error}`];
  const { reasons, retryable, ambiguous } = VERDICTS[fault];
  // A slow machine may run out of time before the first or second fault.
  if (error.reason === "timeout") return wrong;
  if (!reasons.includes(error.reason)) wrong.push(`the reason is ${error.reason}`);
  if (error.retryable !== retryable) wrong.push(`retryable is ${error.retryable}`);
  const reads = READS.includes(operation.name);
  if (error.ambiguous ? reads : ambiguous && !reads) wrong.push(`ambiguous is ${error.ambiguous}`);
  return wrong;
}

/** Problems that the machine may cause. These cells are run again. */
function delays(
  operation: Operation,
  fault: ProxyFault,
  extent: Extent,
  { error, elapsed, delays }: Outcome,
): string[] {
  const wrong = [...delays];
  if (elapsed > STORE_TIMEOUT + 100) wrong.push(`it took ${Math.round(elapsed)} ms`);
  const passes = fault === "twice" || (extent === "first" && operation.retried && VERDICTS[fault].retryable);
  if (passes && error !== undefined) wrong.push(`it did not recover: ${error}`);
  const fails = extent === "all" && fault !== "twice" && !SILENT[fault]?.includes(operation.name);
  if (fails && error === undefined) wrong.push("it went well");
  // A write that was certainly refused may have run out of time in an earlier attempt, and have happened then.
  const isCertain = fault !== "twice" && !VERDICTS[fault].ambiguous;
  const inDoubt = error instanceof SessionStoreError && error.reason !== "timeout" && error.ambiguous;
  if (isCertain && inDoubt) wrong.push("ambiguous is true");
  return wrong;
}

const ATTEMPTS = 10;

async function check(
  bed: FaultBed,
  operation: Operation,
  fault: ProxyFault,
  extent: Extent,
): Promise<string[]> {
  for (let attempt = 1;; attempt++) {
    const outcome = await runCell(bed, operation, fault, extent);
    const wrong = wrongs(operation, fault, outcome);
    const late = delays(operation, fault, extent, outcome);
    if (wrong.length > 0 || late.length === 0 || attempt === ATTEMPTS) {
      return [...wrong, ...late].map((what) =>
        `${fault} on ${extent}: ${what} (${outcome.error ?? "no error"})`
      );
    }
    // All attempts together outlast a pause of some seconds.
    await new Promise((resolve) => setTimeout(resolve, 50 * attempt));
  }
}

for (const server of faultServers) {
  Deno.test(`Every operation ends in time and tells the truth whatever the server does [${server.name}]`, async (t) => {
    await using bed = await server.open();
    const unhandled: unknown[] = [];
    const listener = (event: PromiseRejectionEvent) => {
      event.preventDefault();
      unhandled.push(event.reason);
    };
    globalThis.addEventListener("unhandledrejection", listener);
    try {
      for (const operation of OPERATIONS) {
        await t.step(operation.name, async () => {
          const found: string[] = [];
          for (const fault of FAULT_NAMES) {
            for (const extent of ["first", "all"] as const) {
              found.push(...await check(bed, operation, fault, extent));
            }
          }
          assertEquals(found, []);
        });
      }
    } finally {
      globalThis.removeEventListener("unhandledrejection", listener);
    }
    assertEquals(unhandled, []);
  });
}

/**
 * Sends a marked value, password and token through every operation, while the database's server fails in every way.
 * Most faults repeat to the client what it has sent. The marks must be in no error, event, response or log.
 * @module
 */

import { assert, assertEquals } from "../../assert.ts";
import { printed } from "../_secrets.ts";
import { faultServers } from "./_bed.ts";
import { FAULT_NAMES, OPERATIONS, runCell } from "./_cells.ts";
import { leaksOf } from "./_leaks.ts";

/** Slow faults are left out. `matrix_test.ts` checks them. */
const SLOW = ["hang", "drip"];

/** Collects what is logged while the work is done. */
async function withConsole(work: () => Promise<void>): Promise<string> {
  const lines: string[] = [];
  const methods = ["log", "info", "warn", "error", "debug", "trace"] as const;
  const originals = methods.map((name) => console[name]);
  for (const name of methods) {
    console[name] = (...args: unknown[]) => void lines.push(args.map(printed).join(" "));
  }
  try {
    await work();
  } finally {
    methods.forEach((name, index) => console[name] = originals[index]!);
  }
  return lines.join("\n");
}

for (const server of faultServers) {
  Deno.test(`No fault shows a token, a value or a password [${server.name}]`, async () => {
    await using bed = await server.open();
    const leaks: string[] = [];
    let errors = 0;
    const logged = await withConsole(async () => {
      for (const operation of OPERATIONS) {
        for (const fault of FAULT_NAMES.filter((name) => !SLOW.includes(name))) {
          const outcome = await runCell(bed, operation, fault, "all");
          if (outcome.error !== undefined) errors++;
          for (const leak of leaksOf(outcome)) leaks.push(`${fault} shows ${leak} to ${operation.name}`);
        }
      }
    });
    assertEquals(leaks, []);
    assertEquals(logged, "", "the library must not write to the console");
    assert(errors > 100, `only ${errors} errors were checked`);
  });
}

/**
 * A marked value, password and token go through every operation while the database's server fails in every way, most of
 * which repeat to the client what it has sent: they are in no error, event, answer or log.
 * @module
 */

import { hashToken } from "../../core/token.ts";
import { assert, assertEquals } from "../assert.ts";
import { printed } from "../manager/_secrets.ts";
import { CANARY, faultServers } from "./_bed.ts";
import { FAULT_NAMES, OPERATIONS, runCell } from "./_cells.ts";

/** Slow to meet, and with nothing in them to repeat. */
const SLOW = ["hang", "drip"];

/** A text in the forms in which drivers send it. */
function formsOf(text: string): string[] {
  const bytes = new TextEncoder().encode(text);
  // In base64 the first and last characters depend on what stands beside it.
  const base64 = [0, 1, 2].map((offset) => bytes.subarray(offset).toBase64().slice(0, -4));
  return [text, bytes.toHex(), ...base64];
}

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
    const secrets = [...formsOf(CANARY.value), ...formsOf(CANARY.password)];
    const leaks: string[] = [];
    let errors = 0;
    const logged = await withConsole(async () => {
      for (const operation of OPERATIONS) {
        for (const fault of FAULT_NAMES.filter((name) => !SLOW.includes(name))) {
          const { shown, tokens, error } = await runCell(bed, operation, fault, "all");
          if (error !== undefined) errors++;
          const all = [...secrets, ...tokens, ...tokens.map(hashToken)];
          for (const thing of shown) {
            const text = printed(thing);
            const leak = all.find((secret) => text.includes(secret));
            if (leak !== undefined) leaks.push(`${fault} shows ${leak} to ${operation.name}: ${text}`);
          }
        }
      }
    });
    assertEquals(leaks, []);
    assertEquals(logged, "", "the library does not write to the console");
    assert(errors > 100, `only ${errors} errors were looked at`);
  });
}

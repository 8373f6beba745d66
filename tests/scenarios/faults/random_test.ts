/**
 * Long programs of the model, in which 1, 10 and 30 % of all store calls fail at random: what the model says still holds,
 * reads are retried, and no write of unknown fate is followed by another before the row was read.
 *
 * `FAULT_OPERATIONS` is how many operations each of them has, `FAULT_STORE` a part of a store's name.
 * @module
 */

import fc from "../../fast_check.ts";
import { backends } from "../../backends.ts";
import { faultIn, LIFETIME, programOf } from "../model/_program.ts";
import { runProgram } from "../model/_run.ts";
import { turns } from "../model/_turns.ts";

const ACTORS = 4;
const ACTIONS = 10;
/** More than any of them makes. */
const CALLS = 300;
/** How long a store waits for one call, in milliseconds: what fails is up to the program, not to the machine. */
const PATIENCE = 60_000;

const chosen = Deno.env.get("FAULT_STORE")?.toLowerCase();
const operations = Deno.env.get("FAULT_OPERATIONS");

for (const { name, open } of backends) {
  for (const percent of [1, 10, 30]) {
    Deno.test({
      name: `Nothing is lost, doubled or revived when ${percent} % of all calls fail [${name}]`,
      ignore: chosen !== undefined && !name.toLowerCase().includes(chosen),
      async fn() {
        await using opened = await open({ timeout: PATIENCE });
        const { store } = opened;
        const faults = fc.array(faultIn(percent), { minLength: CALLS, maxLength: CALLS, size: "max" });
        const exactly = (length: number) => ({ minLength: length, maxLength: length });
        const program = programOf(exactly(ACTORS), exactly(ACTIONS), faults);
        let start = Date.UTC(2026, 0, 1);
        const property = fc.asyncProperty(program, turns, async (program, turns) => {
          start += 100 * LIFETIME;
          await store.deleteExpired({ now: start });
          await runProgram(program, turns, store, start);
        });
        const count = Number(operations ?? (name === "MemoryStore" ? 4_000 : 200));
        // A program of this length says enough as it is, with its turns.
        await fc.assert(property, { numRuns: Math.ceil(count / (ACTORS * ACTIONS)), endOnFailure: true });
      },
    });
  }
}

/**
 * Long programs of the model, in which 1, 10 and 30 % of all store calls fail at random. The model's rules still
 * hold, reads are retried, and after a write in doubt the row is read before another write.
 *
 * `FAULT_OPERATIONS` is how many operations each test makes in memory, `FAULT_DATABASE_OPERATIONS` on a database, and
 * `FAULT_STORE` a part of a store's name.
 * @module
 */

import fc from "../../fast_check.ts";
import { backends } from "../../backends.ts";
import { faultIn, LIFETIME, programOf } from "../model/_program.ts";
import { runProgram } from "../model/_run.ts";
import { turns } from "../model/_turns.ts";

const ACTORS = 4;
const ACTIONS = 10;
/** More store calls than any program makes. */
const CALLS = 300;
/** The timeout of one store call, in milliseconds. The program decides what fails, not the machine. */
const PATIENCE = 60_000;

const chosen = Deno.env.get("FAULT_STORE")?.toLowerCase();
const inMemory = Number(Deno.env.get("FAULT_OPERATIONS") ?? 4_000);
const onDatabase = Number(Deno.env.get("FAULT_DATABASE_OPERATIONS") ?? 200);

for (const { name, open } of backends) {
  for (const percent of [1, 10, 30]) {
    Deno.test({
      name: `Nothing is lost, doubled or revived if ${percent} % of all calls fail [${name}]`,
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
        const count = name.includes("MemoryStore") ? inMemory : onDatabase;
        // A program of this length is reported as it is, with its turns.
        await fc.assert(property, { numRuns: Math.ceil(count / (ACTORS * ACTIONS)), endOnFailure: true });
      },
    });
  }
}

/**
 * Compares the manager with a reference model. fast-check makes the programs, which run on every store. It also
 * interleaves the actors' store calls and makes them fail.
 *
 * `MODEL_STORE` (a part of a store's name) and `MODEL_RUNS` choose what runs and how often. `SEED` chooses the
 * programs.
 * @module
 */

import fc from "../../fast_check.ts";
import { assert } from "../../assert.ts";
import { type Backend, backends, type FullStore } from "../../backends.ts";
import { brokenStores } from "./_broken_stores.ts";
import { examples } from "./_examples.ts";
import { LIFETIME, type Program, program } from "./_program.ts";
import { runProgram } from "./_run.ts";
import { type Turns, turns } from "./_turns.ts";

const chosen = Deno.env.get("MODEL_STORE")?.toLowerCase();

for (const backend of backends) {
  Deno.test({
    name: `The manager does what the model does [${backend.name}]`,
    ignore: chosen !== undefined && !backend.name.toLowerCase().includes(chosen),
    fn: () => checkModel(backend),
  });
}

/** The timeout of one store call, in milliseconds. Timeouts are not part of the model. */
const PATIENCE = 60_000;

async function checkModel({ name, open }: Backend): Promise<void> {
  await using opened = await open({ timeout: PATIENCE });
  await fc.assert(modelOf(opened.store), {
    examples: [...examples],
    numRuns: Number(Deno.env.get("MODEL_RUNS") ?? (name === "MemoryStore" ? 1_000 : 50)),
  });
}

for (const { what, open, within = 1_000 } of brokenStores) {
  Deno.test(`The model notices ${what}`, async () => {
    const { failed, counterexample } = await fc.check(modelOf(open()), {
      numRuns: within,
      endOnFailure: true,
    });
    assert(failed, `${within} runs found nothing wrong`);
    assert(counterexample !== null, "it was stopped, not found");
  });
}

function modelOf(store: FullStore): fc.IAsyncPropertyWithHooks<[Program, Turns]> {
  let start = Date.UTC(2026, 0, 1);
  return fc.asyncProperty(program, turns, async (program, turns) => {
    // Rows of the last run have long expired, and are deleted.
    start += 100 * LIFETIME;
    await store.deleteExpired({ now: start });
    await runProgram(program, turns, store, start);
  });
}

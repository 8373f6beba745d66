/**
 * The manager against a reference model: programs that fast-check makes up, on every store, with the actors' store
 * calls interleaved and failing as it likes.
 *
 * `MODEL_STORE` (a part of a store's name) and `MODEL_RUNS` choose what runs and how often, `SEED` what is made up.
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

/** How long a store waits for one call, in milliseconds: what it does when that is over is no part of the model. */
const PATIENCE = 60_000;

async function checkModel({ name, open }: Backend): Promise<void> {
  await using opened = await open({ timeout: PATIENCE });
  await fc.assert(modelOf(opened.store), {
    examples: [...examples],
    numRuns: Number(Deno.env.get("MODEL_RUNS") ?? (name === "MemoryStore" ? 1_000 : 50)),
  });
}

for (const { what, open, within = 1_000 } of brokenStores) {
  Deno.test(`The model finds ${what}`, async () => {
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
    // Whatever the last run left is long over, and deleted.
    start += 100 * LIFETIME;
    await store.deleteExpired({ now: start });
    await runProgram(program, turns, store, start);
  });
}

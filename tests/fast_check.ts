/**
 * fast-check with the seed that the suite uses: the same in every run, so that a change is judged by its own merits and
 * a failure can be seen again. `SEED=random` takes a new one, as the tests at full length do; `SEED=<number>` repeats one.
 * @module
 */

import fc from "fast-check";

const SEED = 20_261_128;

const chosen = Deno.env.get("SEED");
if (chosen !== "random") fc.configureGlobal({ seed: chosen === undefined ? SEED : Number(chosen) });

export default fc;

/**
 * fast-check with the seed of the suite. The seed is the same in every run, so a failure can be reproduced.
 * `SEED=random` takes a new one, as the tests at full length do. `SEED=<number>` repeats one.
 * @module
 */

import fc from "fast-check";

const SEED = 20_261_128;

const chosen = Deno.env.get("SEED");
if (chosen !== "random") fc.configureGlobal({ seed: chosen === undefined ? SEED : Number(chosen) });

export default fc;

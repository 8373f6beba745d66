/**
 * Runs this library's column of the comparison again. `deno task compare` runs the other columns, whose libraries
 * come from npm.
 * @module
 */

import { column, OURS } from "../bench/compare/_column.ts";
import { PAGE, page, README, readmeWith, RESULTS, type Results } from "../bench/compare/_page.ts";
import { assert, assertEquals } from "./assert.ts";

Deno.test("docs/comparison.md has the current results of this library", async () => {
  const results = JSON.parse(await Deno.readTextFile(RESULTS)) as Results;
  const [written, ...others] = results.columns;
  const { column: fresh } = await column(OURS);
  assertEquals(fresh, written);
  assert(others.length >= 8, "the results must have every library");
  assertEquals(
    await Deno.readTextFile(PAGE),
    await page({ ...results, columns: [fresh, ...others] }),
    "the page is not what deno task compare writes",
  );
  const readme = await Deno.readTextFile(README);
  assertEquals(
    readme,
    await readmeWith(results, readme),
    "the README's table is not what deno task compare writes",
  );
});

/**
 * The matrix as tests: one for each runtime, with a step for each cell.
 * @module
 */

import { assert, assertEquals } from "../assert.ts";
import { isMissing, openMatrix, type Runtime } from "./_matrix.ts";
import { ROWS } from "./_rows.ts";
import { startUpstream } from "./_upstream.ts";

/** The abilities of servers that have files. */
export const FILE = decodeURIComponent(new URL("./_fixture.svg", import.meta.url).pathname);

/** How many problems of a cell are reported. They tend to be alike. */
const MOST_REPORTED = 6;

/** Declares the tests of a runtime. */
export function testRuntime(runtime: Runtime): void {
  Deno.test(`A session changes only the headers that it must on ${runtime.name}`, async (t) => {
    await using upstream = startUpstream();
    await using matrix = await openMatrix(runtime, upstream, FILE);
    for (const [section, rows] of Object.entries(ROWS)) {
      for (const row of rows.filter((row) => !isMissing(row, runtime))) {
        await t.step(`${section}: ${row.title}`, async () => {
          const { checks, problems } = await matrix.cell(row);
          assert(checks > 0);
          const more = problems.length > MOST_REPORTED ? [`and ${problems.length - MOST_REPORTED} more`] : [];
          assertEquals([...problems.slice(0, MOST_REPORTED), ...more], []);
        });
      }
    }
  });
}

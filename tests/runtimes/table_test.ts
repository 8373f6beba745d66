/** Compares docs/runtimes.md with the list of behaviours, which the other tests here run. */

import { assert, assertEquals } from "../assert.ts";
import { ROWS } from "./_rows.ts";
import { ACCIDENTS } from "./_accidents.ts";
import { HONO_RESPONSES } from "./_hono_responses.ts";
import { RESPONSES } from "./_responses.ts";
import { PAGE, page } from "./_table.ts";
import { THROWN } from "./_throws.ts";

Deno.test("docs/runtimes.md is what deno task runtimes writes", async () => {
  assertEquals(await Deno.readTextFile(PAGE), page());
});

Deno.test("Every response, helper, thrown value and accident of the matrix is in a row", () => {
  const rows = Object.values(ROWS).flat();
  const named = new Set<string>(rows.flatMap((row) => {
    if ("responses" in row) return row.responses;
    if ("helpers" in row) return row.helpers;
    if ("shared" in row) return row.shared;
    if ("socket" in row) return [row.socket];
    if ("thrownResponses" in row) return row.thrownResponses;
    if ("thrown" in row) return row.thrown;
    if ("thrownToFramework" in row) return row.thrownToFramework;
    return row.accidents;
  }));
  const made = [RESPONSES, HONO_RESPONSES, THROWN, ACCIDENTS].flatMap(Object.keys);
  for (const name of made) assert(named.has(name), name);
});

Deno.test("No two rows of a section have one title", () => {
  for (const [section, rows] of Object.entries(ROWS)) {
    assertEquals(new Set(rows.map(({ title }) => title)).size, rows.length, section);
  }
});

/**
 * Writes docs/runtimes.md.
 *
 *     deno run --allow-all tests/runtimes/write_table.ts
 *
 * @module
 */

import { PAGE, page } from "./_table.ts";

await Deno.writeTextFile(PAGE, page());

/**
 * Puts the same little app on each library, looks at it in every situation, and writes docs/comparison.md.
 *
 *     deno task compare
 *
 * It takes some two minutes. The libraries come from npm when it runs for the first time.
 *
 * @module
 */

import { type Column, column, OURS, PEERS } from "./_column.ts";
import { formatted, PAGE, page, RESPONSES, RESULTS, type Results } from "./_page.ts";
import type { Exchange, Program } from "./_peer.ts";

/** Headers that say nothing of a session. */
const LEFT_OUT = new Set([
  "connection",
  "content-length",
  "content-type",
  "date",
  "etag",
  "keep-alive",
  "x-powered-by",
]);

const LONGEST = 400;

const programs: Program[] = [OURS, ...PEERS];
const columns: Column[] = [];
const exchanges: Exchange[][] = [];
const waiting = [...programs.entries()];
// Two at a time: what a situation needs of order is made by gates, not by time.
await Promise.all([1, 2].map(async () => {
  for (let next = waiting.shift(); next !== undefined; next = waiting.shift()) {
    const [index, program] = next;
    const seen = await column(program);
    columns[index] = seen.column;
    exchanges[index] = seen.exchanges;
    console.log(`${seen.column.about.name}: ${seen.exchanges.length} requests`);
  }
}));

const results: Results = {
  date: new Date().toISOString().slice(0, 10),
  runtime: `Deno ${Deno.version.deno}`,
  columns,
};
const short = (text: string) =>
  text.length > LONGEST ? `${text.slice(0, LONGEST)}... (${text.length} in all)` : text;
const lines = columns.flatMap(({ about }, index) =>
  exchanges[index]!.map(({ headers, cookie, body, ...rest }) =>
    JSON.stringify({
      library: about.name,
      ...rest,
      cookie: short(cookie),
      headers: Object.fromEntries(Object.entries(headers).filter(([name]) => !LEFT_OUT.has(name))),
      body: short(body),
    })
  )
);
await Deno.writeTextFile(RESPONSES, `${lines.join("\n")}\n`);
await Deno.writeTextFile(RESULTS, await formatted(JSON.stringify(results), "json"));
await Deno.writeTextFile(PAGE, await page(results));
console.log("Written: docs/comparison.md, bench/compare/results.json, bench/compare/responses.jsonl");

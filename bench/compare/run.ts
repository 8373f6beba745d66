/**
 * Puts the same little app on each library, looks at it in every situation, and writes docs/comparison.md.
 *
 *     deno task compare
 *
 * It takes about a minute. The libraries come from npm when it runs for the first time.
 *
 * @module
 */

import { formatted } from "../../tools/run.ts";
import { type Column, column, OURS, PEERS } from "./_column.ts";
import { PAGE, page, README, readmeWith, RESPONSES, RESULTS, type Results } from "./_page.ts";
import type { Exchange, Program } from "./_peer.ts";

/** Headers without information about a session. */
const LEFT_OUT = new Set([
  "connection",
  "content-length",
  "content-type",
  "date",
  "etag",
  "keep-alive",
  "x-powered-by",
]);

const programs: Program[] = [OURS, ...PEERS];
const columns: Column[] = [];
const exchanges: Exchange[][] = [];
const waiting = [...programs.entries()];
// Two at a time. Gates, not time, create the order that a situation needs.
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
const short = (text: string, length: number) => text.length > length ? `${text.slice(0, length)}…` : text;
const lines = columns.flatMap(({ about }, index) =>
  exchanges[index]!.map(({ situation, method, path, cookie, status, headers, body }) =>
    [
      about.name,
      situation,
      `${method} ${path}${cookie && ` (Cookie: ${short(cookie, 60)})`}`,
      status,
      ...Object.entries(headers).filter(([name]) => !LEFT_OUT.has(name)).flatMap(([name, values]) =>
        values.map((value) => short(`${name}: ${value}`, 120))
      ),
      short(body.replaceAll(/\s+/g, " "), 100),
    ].join(" | ")
  )
);
// Fifty identical requests are one line.
const runs: { line: string; times: number }[] = [];
for (const line of lines) {
  if (runs.at(-1)?.line === line) runs.at(-1)!.times++;
  else runs.push({ line, times: 1 });
}
await Deno.writeTextFile(
  RESPONSES,
  runs.map(({ line, times }) => `${line}${times > 1 ? ` | ${times} times` : ""}\n`).join(""),
);
await Deno.writeTextFile(RESULTS, await formatted(JSON.stringify(results), "json"));
await Deno.writeTextFile(PAGE, await page(results));
await Deno.writeTextFile(README, await readmeWith(results, await Deno.readTextFile(README)));
console.log(
  "Written: README.md, docs/comparison.md, bench/compare/results.json, bench/compare/responses.txt",
);

/**
 * Runs the matrix and prints each cell that fails, with its problems.
 *
 *     deno run --allow-all tests/runtimes/report.ts [--all] [part of a runtime's name or of a row's title ...]
 *
 * `--all` prints every problem of a cell, not only the first ones.
 * @module
 */

import type { PackedApp } from "../services/packed.ts";
import { isMissing, openMatrix } from "./_matrix.ts";
import { FILE } from "./_matrix_tests.ts";
import { ROWS } from "./_rows.ts";
import { allRuntimes, installForBun, installForNode, once } from "./_runtimes.ts";
import { startUpstream } from "./_upstream.ts";

const all = Deno.args.includes("--all");
const names = Deno.args.filter((argument) => argument !== "--all");

/** A value that is created when it is first needed, and removed at the end. */
function made(make: () => Promise<PackedApp>) {
  let started = false;
  const get = once(() => {
    started = true;
    return make();
  });
  return {
    get,
    async [Symbol.asyncDispose]() {
      if (started) await (await get())[Symbol.asyncDispose]();
    },
  };
}

async function main(): Promise<number> {
  await using forNode = made(installForNode);
  await using forBun = made(installForBun);
  await using upstream = startUpstream();
  const runtimes = allRuntimes(forNode.get, forBun.get);
  const rows = Object.values(ROWS).flat();
  const chosen = (of: { name: string } | { title: string }) => {
    const text = "name" in of ? of.name : of.title;
    const group: string[] = "name" in of ? runtimes.map(({ name }) => name) : rows.map(({ title }) => title);
    const own = names.filter((name) => group.some((other) => other.includes(name)));
    return own.length === 0 || own.some((name) => text.includes(name));
  };
  let failed = 0;
  for (const runtime of runtimes.filter(chosen)) {
    const started = performance.now();
    await using matrix = await openMatrix(runtime, upstream, FILE);
    const ready = performance.now();
    let cells = 0, passed = 0, checks = 0;
    for (const row of rows.filter(chosen)) {
      if (isMissing(row, runtime)) continue;
      cells++;
      const before = performance.now();
      const result = await matrix.cell(row);
      if (performance.now() - before > 1_000) {
        console.log(`SLOW ${runtime.name}: ${row.title}: ${Math.round(performance.now() - before)} ms`);
      }
      checks += result.checks;
      if (result.problems.length === 0) passed++;
      else {
        console.log(
          `FAILED ${runtime.name}: ${row.title}: ${result.problems.length} problems, ${result.checks} checks`,
        );
        for (const problem of result.problems.slice(0, all ? undefined : 4)) console.log(`    ${problem}`);
      }
    }
    failed += cells - passed;
    const seconds = (from: number, to: number) => `${((to - from) / 1_000).toFixed(1)} s`;
    console.log(
      `${runtime.name}: ${passed} of ${cells} cells, ${checks} checks, started in ${
        seconds(started, ready)
      }, ` +
        `ran for ${seconds(ready, performance.now())}`,
    );
  }
  return failed;
}

if (import.meta.main) Deno.exit(await main() === 0 ? 0 : 1);

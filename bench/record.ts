/**
 * Runs benchmarks and puts their output into `bench/README.md`, each between its two marks.
 *
 *     deno run --allow-all --no-lock bench/record.ts
 *
 * Arguments choose benchmarks by name, such as `request_deno size`. Environment variables go to the benchmarks. If a check
 * fails, its message is shown, and the table is recorded nevertheless.
 *
 * @module
 */

const COMMANDS: Record<string, readonly string[]> = {
  request_deno: ["bench/request.ts"],
  request_node: ["bench/run_on.ts", "node", "bench/request.ts", "--expose-gc"],
  request_bun: ["bench/run_on.ts", "bun", "bench/request.ts"],
  floor_deno: ["bench/floor.ts"],
  floor_node: ["bench/run_on.ts", "node", "bench/floor.ts", "--expose-gc"],
  floor_bun: ["bench/run_on.ts", "bun", "bench/floor.ts"],
  store_calls: ["bench/store_calls.ts"],
  rows_written: ["bench/rows_written.ts"],
  size: ["bench/size.ts"],
  cold_start: ["bench/cold_start.ts"],
  growth: ["bench/growth.ts"],
};
/** Runtime options that a benchmark needs. */
const EXPOSE_GC = ["--v8-flags=--expose-gc"];
const OPTIONS: Record<string, readonly string[]> = {
  growth: EXPOSE_GC,
  request_deno: EXPOSE_GC,
  floor_deno: EXPOSE_GC,
};

const page = new URL("./README.md", import.meta.url);
const chosen = Deno.args.length > 0 ? Deno.args : Object.keys(COMMANDS);
let failed = false;
for (const name of chosen) {
  const command = COMMANDS[name];
  if (command === undefined) {
    throw new Error(`There is no ${name}: choose of ${Object.keys(COMMANDS).join(", ")}`);
  }
  console.error(`${name} ...`);
  const { success, stdout } = await new Deno.Command(Deno.execPath(), {
    args: ["run", "--allow-all", "--no-lock", "--quiet", ...OPTIONS[name] ?? [], ...command],
    cwd: decodeURIComponent(new URL("../", import.meta.url).pathname),
    stderr: "inherit",
  }).output();
  const printed = new TextDecoder().decode(stdout).trim();
  if (!printed.includes("| ")) throw new Error(`${name} printed no table:\n${printed}`);
  failed ||= !success;
  // Read again each time, because a run takes minutes and the file may change meanwhile.
  const text = await Deno.readTextFile(page);
  const [start, end] = [`<!-- ${name} -->`, `<!-- /${name} -->`];
  const [from, to] = [text.indexOf(start), text.indexOf(end)];
  if (from < 0 || to < from) throw new Error(`bench/README.md has no place for ${name}`);
  await Deno.writeTextFile(page, `${text.slice(0, from + start.length)}\n\n${printed}\n\n${text.slice(to)}`);
}
if (failed) Deno.exit(1);

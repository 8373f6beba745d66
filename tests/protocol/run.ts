/**
 * Runs the model of the protocol under spin: the protocol as it is must hold, and each broken rule must be found.
 *
 * ```sh
 * deno task protocol                 # everything, about two minutes
 * deno task protocol --long          # larger bounds too
 * deno task protocol NO_MARK         # one variant, with spin's trace
 * ```
 * @module
 */

import { BROKEN, LIMITS, LONGER, RIGHT, type Variant } from "./variants.ts";

const MODEL = new URL("./sessions.pml", import.meta.url);
const AT_ONCE = 2;
/** The memory limit of each concurrent run, in MB. */
const MEMORY = 1_900;
const LONG_MEMORY = 3_800;

/** The result of a run of spin. */
interface Result {
  variant: Variant;
  /** Why the result is wrong. */
  failure?: string;
  states: number;
  depth: number;
  megabytes: number;
  /** The time of the search, without compiling. */
  seconds: number;
  trace: string[];
}

async function run(command: string, args: string[], cwd: string): Promise<string> {
  const { stdout, stderr, success, code } = await new Deno.Command(command, { args, cwd }).output();
  const text = new TextDecoder().decode(stdout) + new TextDecoder().decode(stderr);
  if (!success) throw new Error(`${command} ${args.join(" ")} ended with ${code}:\n${text}`);
  return text;
}

/** Fails if a tool is missing, because the protocol was not checked then. */
async function requireTool(command: string, flag: string): Promise<void> {
  try {
    await run(command, [flag], ".");
  } catch (error) {
    if (!(error instanceof Deno.errors.NotFound)) throw error;
    console.error(
      `${command} is missing. Install it with: apt-get install spin gcc libc6-dev (Debian, Ubuntu),`,
    );
    console.error("brew install spin (macOS), or see https://spinroot.com.");
    Deno.exit(1);
  }
}

async function check(variant: Variant, memory: number): Promise<Result> {
  const directory = await Deno.makeTempDir({ prefix: "protocol-" });
  try {
    await Deno.copyFile(MODEL, `${directory}/sessions.pml`);
    const defines = [
      ...variant.switches.map((name) => `-D${name}`),
      ...Object.entries(variant.bounds).map(([name, value]) => `-D${name}=${value}`),
    ];
    await run("spin", ["-a", ...defines, "sessions.pml"], directory);
    // The shortest trace explains most, so a broken rule is searched breadth first. Depth first takes less memory.
    // Compiling with optimization takes longer than finding a broken rule.
    const search = variant.breaks ? ["-O0", "-DBFS"] : ["-O2", "-DCOLLAPSE"];
    const options = ["-w", "-DSAFETY", "-DNOBOUNDCHECK", "-DNOFAIR", `-DMEMLIM=${memory}`, ...search];
    await run("gcc", [...options, "-o", "pan", "pan.c"], directory);
    const limits = variant.breaks ? ["-w22"] : ["-w24", "-m10000"];
    const output = await run(`${directory}/pan`, [...limits, "-n"], directory);
    const trace = output.includes("errors: 0")
      ? []
      : stepsIn(await run("spin", ["-t", ...defines, "sessions.pml"], directory));
    return { ...read(variant, output), trace };
  } finally {
    await Deno.remove(directory, { recursive: true });
  }
}

/** The printed steps of a trace, up to the state at its end. */
function stepsIn(text: string): string[] {
  const lines = text.split("\n");
  const end = lines.findIndex((line) => line.startsWith("spin: trail ends"));
  return lines.slice(0, end < 0 ? undefined : end).filter((line) => !/^Starting|^spin:/.test(line)).map((
    line,
  ) => line.trim());
}

/** Reads the verifier's numbers, and judges them. */
function read(variant: Variant, output: string): Omit<Result, "trace"> {
  const number = (pattern: RegExp) => Number(pattern.exec(output)?.[1] ?? NaN);
  const numbers = {
    variant,
    states: number(/^\s*([\d.e+]+) states, stored/m),
    depth: number(/depth reached (\d+)/),
    megabytes: number(/([\d.]+)\s+total actual memory usage/),
    seconds: number(/elapsed time ([\d.e+-]+) seconds/),
  };
  const errors = number(/errors: (\d+)/);
  const message = /^pan:\d+: (.*)$/m.exec(output)?.[1] ?? "";
  const complete = !/Search not completed|search depth too small|out of memory|reached -DMEMLIM/i.test(
    output,
  );
  if (variant.breaks === undefined) {
    if (errors === 0 && complete) return numbers;
    return { ...numbers, failure: errors === 0 ? "the search was not completed" : message || output };
  }
  if (message.includes(`||${variant.breaks})`)) return numbers;
  return { ...numbers, failure: message || `spin does not find ${variant.breaks} broken` };
}

function print({ variant, failure, states, depth, megabytes, seconds, trace }: Result, full: boolean): void {
  const outcome = failure ? "FAILED" : variant.breaks ? `${variant.breaks} found` : "holds";
  const numbers = `${states.toLocaleString("en")} states, depth ${depth}, ${
    Math.round(megabytes)
  } MB, ${seconds} s`;
  console.log(`${outcome.padEnd(20)} ${variant.name.padEnd(32)} ${numbers}`);
  if (full || failure) {
    console.log(`  ${variant.says}`, variant.switches, variant.bounds);
    if (failure) console.log(`  ${failure}`);
    for (const line of trace) console.log(`    ${line}`);
  }
}

async function checkAll(variants: Variant[], atOnce: number, memory: number, full: boolean): Promise<number> {
  const left = [...variants];
  let failures = 0;
  const worker = async () => {
    for (let variant = left.shift(); variant; variant = left.shift()) {
      const result = await check(variant, memory);
      if (result.failure) failures++;
      print(result, full);
    }
  };
  await Promise.all(Array.from({ length: atOnce }, worker));
  return failures;
}

async function main(args: string[]): Promise<number> {
  await requireTool("spin", "-V");
  await requireTool("gcc", "--version");
  const long = args.includes("--long");
  const names = args.filter((arg) => arg !== "--long");
  const known = [...RIGHT, ...LONGER, ...BROKEN, ...LIMITS];
  const unknown = names.filter((name) => !known.some((variant) => variant.name === name));
  if (unknown.length > 0) throw new Error(`No such variant: ${unknown.join(", ")}`);
  const chosen = (variants: Variant[]) =>
    names.length > 0 ? variants.filter(({ name }) => names.includes(name)) : variants;
  const longer = names.length > 0 ? chosen(LONGER) : long ? LONGER : [];

  const start = performance.now();
  const full = names.length > 0;
  let failures = await checkAll(chosen([...RIGHT, ...BROKEN, ...LIMITS]), AT_ONCE, MEMORY, full);
  failures += await checkAll(longer, 1, LONG_MEMORY, full);
  console.log(`${failures} failed, ${Math.round((performance.now() - start) / 1_000)} s`);
  return failures;
}

if (import.meta.main) Deno.exit(await main(Deno.args) > 0 ? 1 : 0);

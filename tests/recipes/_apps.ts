/**
 * Applications made of the recipes: the frameworks come from npm, and the package as npm would hand it out.
 * @module
 */

import config from "../../deno.json" with { type: "json" };
import { bunBinary } from "../services/bun.ts";
import { nodeBinary } from "../services/node.ts";
import { copyPackage } from "../services/packed.ts";
import { freePort } from "../services/_port.ts";
import { type GuardedProcess, spawnGuarded } from "../services/_process.ts";
import { oncePerRun } from "../services/_run.ts";
import { MANAGER } from "./_page.ts";
import packages from "./packages.json" with { type: "json" };

const HOUR = 3_600_000;

/** A list of frameworks that are installed together. */
export type PackageSet = keyof typeof packages;

/** Where applications are made. */
export interface Workshop extends AsyncDisposable {
  /** Writes the files of an application, and gives its folder. */
  make(name: string, files: Record<string, string>): Promise<string>;
}

/**
 * Installs the frameworks, once for each list of them, and the package as it is now beside the applications.
 *
 * @throws {Error} It cannot be packed or installed; the message ends with what the tool has written.
 */
export async function openWorkshop(set: PackageSet): Promise<Workshop> {
  const imports = config.imports as Record<string, string>;
  // What the package itself needs.
  const own = Object.fromEntries(
    ["@noble/hashes", "tinyqueue"].map((name) => [name, imports[name]!.slice(`npm:${name}@`.length)]),
  );
  const manifest = JSON.stringify({
    private: true,
    type: "module",
    dependencies: { ...own, ...packages[set] },
  });
  const hash = new Uint8Array(await crypto.subtle.digest("SHA-256", new TextEncoder().encode(manifest)));
  const temporary = Deno.env.get("TMPDIR") ?? "/tmp";
  // Two files with the same list would both install it.
  const installed = await oncePerRun(`recipes-${set}`, async () => {
    const directory = `${temporary}/x-sessions-recipes-${hash.toHex().slice(0, 16)}`;
    await install(directory, manifest);
    await removeLeftovers(directory);
    return directory;
  });
  const dir = await Deno.makeTempDir({ dir: installed, prefix: "run-" });
  await copyPackage(`${dir}/sessions.tgz`);
  const home = `${dir}/node_modules/${config.name}`;
  await Deno.mkdir(home, { recursive: true });
  await run("tar", dir, "tar", ["xzf", "sessions.tgz", "--strip-components=1", "-C", home]);
  return {
    async make(name, files) {
      const app = `${dir}/${name}`;
      const manifest = JSON.stringify({ name, private: true, type: "module" });
      for (
        const [path, text] of Object.entries({ "package.json": manifest, "manager.ts": MANAGER, ...files })
      ) {
        await Deno.mkdir(`${app}/${path}`.replace(/\/[^/]*$/, ""), { recursive: true });
        await Deno.writeTextFile(`${app}/${path}`, text);
      }
      return app;
    },
    [Symbol.asyncDispose]: () => Deno.remove(dir, { recursive: true }),
  };
}

async function install(dir: string, manifest: string): Promise<void> {
  if (await exists(dir)) return;
  const unfinished = await Deno.makeTempDir({ prefix: "x-sessions-recipes-" });
  await Deno.writeTextFile(`${unfinished}/package.json`, manifest);
  // The scripts of packages are left out: they would fetch from elsewhere.
  const args = ["install", "--no-audit", "--no-fund", "--ignore-scripts"];
  await run("npm install", unfinished, "npm", args);
  try {
    await Deno.rename(unfinished, dir);
  } catch (error) {
    // Another test run was faster.
    await Deno.remove(unfinished, { recursive: true });
    if (!await exists(dir)) throw error;
  }
}

/** What runs that were killed have left behind. */
async function removeLeftovers(installed: string): Promise<void> {
  for await (const { name } of Deno.readDir(installed)) {
    if (!name.startsWith("run-")) continue;
    const { mtime } = await Deno.stat(`${installed}/${name}`);
    if (Date.now() - mtime!.getTime() > HOUR) await Deno.remove(`${installed}/${name}`, { recursive: true });
  }
}

async function exists(path: string): Promise<boolean> {
  return await Deno.stat(path).then(() => true, () => false);
}

/** An application that runs. */
export interface RunningApp extends AsyncDisposable {
  readonly port: number;
  readonly process: GuardedProcess;
}

/** How long an application may take until it listens: a busy machine gets a lot. */
const START_TIMEOUT = 90_000;

/** What runs an application. */
export const RUNNERS = { node: () => nodeBinary(26), bun: bunBinary };

/** Runs a file of an application, which listens on the port of the environment. */
export async function startApp(
  runner: keyof typeof RUNNERS,
  cwd: string,
  args: string[],
  env: Record<string, string> = {},
): Promise<RunningApp> {
  const port = freePort();
  const process = spawnGuarded(RUNNERS[runner](), args, {
    cwd,
    env: {
      NO_COLOR: "1",
      NODE_ENV: "production",
      PORT: `${port}`,
      HOST: "127.0.0.1",
      ORIGIN: `http://127.0.0.1:${port}`,
      ...env,
    },
  });
  const deadline = performance.now() + START_TIMEOUT;
  while (!await listens(port)) {
    if (process.exitCode() !== undefined || performance.now() > deadline) {
      await process.kill();
      throw new Error(`${args.join(" ")} does not listen:\n${process.output()}`);
    }
    await new Promise((resolve) => setTimeout(resolve, 20));
  }
  return { port, process, [Symbol.asyncDispose]: () => process.kill() };
}

async function listens(port: number): Promise<boolean> {
  try {
    (await Deno.connect({ hostname: "127.0.0.1", port })).close();
    return true;
  } catch {
    return false;
  }
}

/** Runs a program to its end. */
export async function run(
  name: string,
  cwd: string,
  command: string,
  args: string[],
  env: Record<string, string> = {},
): Promise<void> {
  const { success, stdout, stderr } = await new Deno.Command(command, {
    args,
    cwd,
    env: { NO_COLOR: "1", CI: "1", ...env },
    stdin: "null",
    stdout: "piped",
    stderr: "piped",
  }).output();
  if (success) return;
  const text = [stdout, stderr].map((bytes) => new TextDecoder().decode(bytes)).join("").slice(-6_000);
  throw new Error(`${name} failed: ${args.join(" ")}\n${text}`);
}

/**
 * Writes the package as npm has it, `x-sessions-VERSION.tgz`: what `deno pack` makes of the sources, with a complete
 * manifest, and with pages whose links lead somewhere.
 *
 *     deno task pack [--output FILE]
 *
 * @module
 */

import config from "../deno.json" with { type: "json" };
import { run } from "./run.ts";

const ROOT = decodeURIComponent(new URL("../", import.meta.url).pathname);
const REPOSITORY = "https://github.com/x/sessions";

/** What `deno.json` has no place for. */
const MANIFEST = {
  description:
    "Server-side HTTP sessions for Deno, Cloudflare Workers, Bun and Node: in memory, libSQL, D1, SQLite or MySQL.",
  keywords: [
    "session",
    "sessions",
    "session-store",
    "cookie",
    "login",
    "hono",
    "fetch",
    "middleware",
    "cloudflare-workers",
    "deno",
    "bun",
    "libsql",
    "turso",
    "d1",
    "sqlite",
    "mysql",
    "planetscale",
    "scs",
  ],
  homepage: `${REPOSITORY}#readme`,
  bugs: `${REPOSITORY}/issues`,
  repository: { type: "git", url: `git+${REPOSITORY}.git` },
  // No module does anything when it is imported: a bundler may leave out each that is not used.
  sideEffects: false,
  // The lowest version of @noble/hashes. From this one on `require()` takes ES modules too.
  engines: { node: ">=20.19.0" },
};

/** The packages that an application may bring along: the lowest versions are tested in `tests/package_test.ts`. */
export const OPTIONAL_PEERS = {
  "@libsql/client": ">=0.15.0 <1",
  "@planetscale/database": "^1.20.2",
  "hono": "^4.0.0",
};

if (import.meta.main) {
  const [flag, output] = Deno.args;
  if (Deno.args.length > 0 && (flag !== "--output" || !output)) {
    throw new Error(`Cannot pack: expected --output FILE, got ${Deno.args.join(" ")}`);
  }
  console.log(`Packed ${await pack(output ?? `${ROOT}${tarballName()}`)}`);
}

/** As npm names it. */
function tarballName(): string {
  return `${config.name.replace("@", "").replace("/", "-")}-${config.version}.tgz`;
}

/**
 * Writes the package to a file.
 *
 * @throws {Error} It cannot be packed; the message ends with what the tool has written.
 */
export async function pack(output: string): Promise<string> {
  const scratch = await Deno.makeTempDir({ prefix: "x-sessions-pack-" });
  try {
    const sources = `${scratch}/sources`;
    await copySources(sources);
    const packed = `${scratch}/deno.tgz`;
    // Source maps would name files that the package does not have. The code in it is readable as it is.
    const args = ["pack", "--quiet", "--allow-dirty", "--no-source-maps", "--output", packed];
    await run("deno pack", sources, Deno.execPath(), args);
    await run("tar", ROOT, "tar", ["-xzf", packed, "-C", scratch]);
    const directory = `${scratch}/package`;
    await completeManifest(`${directory}/package.json`);
    await completeLinks(directory);
    await run("tar", ROOT, "tar", ["-czf", output, "-C", scratch, "package"]);
    return output;
  } finally {
    await Deno.remove(scratch, { recursive: true });
  }
}

/**
 * Copies what is published, with a configuration that exports every module: `deno pack` declares what it can reach from
 * the types of the exports, and would leave the other modules without a `.d.ts`.
 */
async function copySources(directory: string): Promise<void> {
  await Deno.mkdir(directory);
  const published = config.publish.include.map((path) => path.replace(/\/$/, ""));
  await run("cp", ROOT, "cp", ["-R", ...published, directory]);
  const modules = published.flatMap((path) => modulesIn(directory, path)).sort();
  const exports = Object.fromEntries(modules.map((path) => [`./${path}`, `./${path}`]));
  const complete = { ...config, exports: { ...config.exports, ...exports } };
  await Deno.writeTextFile(`${directory}/deno.json`, JSON.stringify(complete));
}

/** The modules at a path, or below it. */
function modulesIn(directory: string, path: string): string[] {
  if (path.endsWith(".ts")) return [path];
  if (!Deno.statSync(`${directory}/${path}`).isDirectory) return [];
  return [...Deno.readDirSync(`${directory}/${path}`)].flatMap(({ name }) =>
    modulesIn(directory, `${path}/${name}`)
  );
}

async function completeManifest(path: string): Promise<void> {
  const { name, version, type, license, main, types, exports, dependencies } = JSON.parse(
    await Deno.readTextFile(path),
  );
  const entries = Object.fromEntries(Object.keys(config.exports).map((entry) => [entry, exports[entry]]));
  const manifest = {
    ...{ name, version, ...MANIFEST, license, type, main, types },
    exports: { ...entries, "./package.json": "./package.json" },
    dependencies,
    peerDependencies: OPTIONAL_PEERS,
    peerDependenciesMeta: Object.fromEntries(
      Object.keys(OPTIONAL_PEERS).map((peer) => [peer, { optional: true }]),
    ),
  };
  await Deno.writeTextFile(path, `${JSON.stringify(manifest, undefined, 2)}\n`);
}

/** Links to files that the package does not have lead to the repository. */
async function completeLinks(directory: string): Promise<void> {
  for (const folder of ["", "docs/"]) {
    for await (const { name } of Deno.readDir(`${directory}/${folder}`)) {
      if (!name.endsWith(".md")) continue;
      const page = `${folder}${name}`;
      const text = await Deno.readTextFile(`${directory}/${page}`);
      const complete = text.replaceAll(/\]\(([^)#:]+)(#[^)]*)?\)/g, (link, target, anchor = "") => {
        const path = new URL(target, `file:///${page}`).pathname.slice(1);
        return exists(`${directory}/${path}`) ? link : `](${REPOSITORY}/blob/main/${path}${anchor})`;
      });
      await Deno.writeTextFile(`${directory}/${page}`, complete);
    }
  }
}

function exists(path: string): boolean {
  try {
    return Deno.statSync(path).isFile;
  } catch (error) {
    if (error instanceof Deno.errors.NotFound) return false;
    throw error;
  }
}

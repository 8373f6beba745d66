/**
 * How much the package adds to a bundle, and whether an entry includes code of another one. Fails if a limit is exceeded
 * or an entry includes what it should not.
 *
 *     deno run --allow-all --no-lock bench/size.ts
 *
 * Sizes are minified and gzipped, without Hono and the database drivers. `PEERS=1` measures other libraries in the same way.
 *
 * @module
 */

import config from "../deno.json" with { type: "json" };
import { circumstances, markdownTable, setting } from "./_report.ts";

/** Limits in kilobytes of 1,000 bytes, minified and gzipped. */
const LIMITS = {
  /** `sessions()`, the in-memory store and the Hono middleware. */
  app: 16.5,
  /** What an entry adds to that application. */
  adds: { "./stores/libsql": 3.2, "./stores/planetscale": 3.9 } as Record<string, number>,
  /** An entry on its own. */
  alone: { "./middleware/hono": 3 } as Record<string, number>,
} as const;

/**
 * Names of classes, functions and options, by their entries. They are public, so they stay when modules change. Each must
 * be in the bundle of its own entry, or the check would prove nothing.
 */
const NAMES: Record<string, readonly string[]> = {
  ".": ["SessionManager", "jsonCodec", "touchInterval", "sameSite"],
  "./stores/memory": ["MemoryStore", "maxSessions"],
  "./stores/libsql": ["LibSQLStore"],
  "./stores/planetscale": ["PlanetScaleStore"],
  "./stores/d1": ["D1Store"],
  "./stores/sqlite": ["SQLiteStore"],
  "./stores/sharded": ["ShardedStore"],
  "./middleware/hono": ["honoSessions"],
  "./middleware/fetch": ["withSessions"],
  "./middleware/scheduled": ["scheduledPurge"],
  "./codecs/gob": ["gobCodec"],
};

/** Entries that include others. */
const MADE_OF: Record<string, readonly string[]> = {
  ".": ["./stores/memory"],
  "./stores/planetscale-sharded": ["./stores/planetscale"],
};

/** The tools for tests may include anything. */
const UNCHECKED: readonly string[] = ["./testing"];

const EXTERNAL = ["hono", "@libsql/client", "@planetscale/database"];
const PEERS = [
  "npm:hono-sessions@0.8.1",
  "npm:@hono/session@0.2.1",
  "npm:iron-session@9.0.1",
  "npm:express-session@1.19.0",
  "npm:better-auth@1.7.25",
];
const ROOT = new URL("../", import.meta.url);

const entries = Object.entries(config.exports).filter(([, path]) => exists(new URL(path, ROOT)));
const urlOf = new Map(entries.map(([name, path]) => [name, new URL(path, ROOT).href]));
const all = (specifier: string) => `export * from ${JSON.stringify(specifier)};\n`;
const APP = `export { MemoryStore, sessions } from ${JSON.stringify(urlOf.get("."))};
export { honoSessions } from ${JSON.stringify(urlOf.get("./middleware/hono"))};
`;

const failures: string[] = [];
const rows: string[][] = [];
const kilobytes = (bytes: number) => (bytes / 1_000).toFixed(2);

function row(name: string, minified: number | undefined, gzipped: number, limit: number | undefined): void {
  const over = limit !== undefined && gzipped > limit * 1_000;
  if (over) failures.push(`${name}: ${kilobytes(gzipped)} kB, at most ${limit} are allowed`);
  rows.push([
    name,
    minified === undefined ? "" : kilobytes(minified),
    kilobytes(gzipped),
    limit === undefined ? "" : `${limit}`,
    over ? "over" : "",
  ]);
}

const app = await sizeOf(APP);
row("an application: `sessions()`, `MemoryStore`, `honoSessions()`", app.minified, app.gzipped, LIMITS.app);
for (const [name] of entries) {
  if (!name.startsWith("./stores/") || name === "./stores/memory") continue;
  const { gzipped } = await sizeOf(APP + all(urlOf.get(name)!));
  row(`what \`${name}\` adds to it`, undefined, gzipped - app.gzipped, LIMITS.adds[name]);
}
for (const [name] of entries) {
  const { minified, gzipped } = await sizeOf(all(urlOf.get(name)!));
  row(`\`${name}\` alone`, minified, gzipped, LIMITS.alone[name]);
}
if (setting("PEERS") !== undefined) {
  for (const specifier of PEERS) {
    const { minified, gzipped } = await sizeOf(all(specifier));
    row(specifier.slice("npm:".length), minified, gzipped, undefined);
  }
}

for (const [name] of entries) {
  if (UNCHECKED.includes(name)) continue;
  const code = withoutWords(await bundle(all(urlOf.get(name)!), false));
  for (const [owner, names] of Object.entries(NAMES)) {
    if (!urlOf.has(owner)) continue;
    for (const word of names) {
      // The bundler adds a number to a name that occurs twice.
      const found = new RegExp(`\\b${word}\\d*\\b`).test(code);
      if (owner === name) {
        if (!found) failures.push(`The check of leaks is blind: ${word} is not in the bundle of ${owner}`);
      } else if (found && !MADE_OF[name]?.includes(owner)) {
        failures.push(`${name} holds ${word} of ${owner}`);
      }
    }
  }
}

console.log(`${circumstances()}\n`);
console.log(markdownTable(["bundle", "minified, kB", "gzipped, kB", "limit", ""], rows));
for (const failure of failures) console.error(`- ${failure}`);
if (failures.length > 0) {
  console.error(`\n${failures.length} too large or leaking`);
  Deno.exit(1);
}

async function sizeOf(source: string): Promise<{ minified: number; gzipped: number }> {
  const code = new TextEncoder().encode(await bundle(source, true));
  const gzipped = new Blob([code]).stream().pipeThrough(new CompressionStream("gzip"));
  return { minified: code.length, gzipped: (await new Response(gzipped).bytes()).length };
}

async function bundle(source: string, minify: boolean): Promise<string> {
  const directory = await Deno.makeTempDir({ prefix: "sessions_bench_" });
  const decoder = new TextDecoder();
  try {
    const entry = `${directory}/entry.ts`;
    await Deno.writeTextFile(entry, source);
    const { success, stdout, stderr } = await new Deno.Command(Deno.execPath(), {
      args: [
        "bundle",
        entry,
        "--quiet",
        "--no-lock",
        ...(minify ? ["--minify"] : []),
        "--platform=browser",
        "--config",
        decodeURIComponent(new URL("deno.json", ROOT).pathname),
        ...[...EXTERNAL, ...(source.includes("npm:express-session") ? ["node:*"] : [])]
          .flatMap((name) => ["--external", name, "--external", `${name}/*`]),
      ],
      env: { NO_COLOR: "1" },
      stdout: "piped",
      stderr: "piped",
    }).output();
    if (!success) throw new Error(`Cannot bundle:\n${source}\n${decoder.decode(stderr)}`);
    return decoder.decode(stdout);
  } finally {
    await Deno.remove(directory, { recursive: true });
  }
}

/** The code without comments and messages, which may name other entries. */
function withoutWords(code: string): string {
  return code.replaceAll(/\/\*[^]*?\*\//g, "").replaceAll(/^\s*\/\/.*$/gm, "")
    .replaceAll(/(["'`])[^"'`\n]* [^"'`\n]*\1/g, '""');
}

/** Whether a file exists. `exports` may list one that is not written yet. */
function exists(url: URL): boolean {
  try {
    return Deno.statSync(url).isFile;
  } catch (error) {
    if (error instanceof Deno.errors.NotFound) return false;
    throw error;
  }
}

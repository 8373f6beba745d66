/**
 * How much each export of the package adds to a bundle, minified and gzipped, without Hono and without the databases'
 * drivers: `deno run --allow-all bench/size.ts`. Beside it what others say or weigh on the same scale.
 * @module
 */

import config from "../deno.json" with { type: "json" };

const EXTERNAL = ["hono", "@libsql/client", "@planetscale/database"];
const PEERS = ["hono-sessions", "@hono/session", "iron-session"];

/** Bytes of a bundle of everything that the module exports, minified, and gzipped. */
async function sizeOf(specifier: string): Promise<{ minified: number; gzipped: number }> {
  const directory = await Deno.makeTempDir();
  try {
    const entry = `${directory}/entry.ts`;
    await Deno.writeTextFile(entry, `export * from ${JSON.stringify(specifier)};\n`);
    const { success, stdout, stderr } = await new Deno.Command(Deno.execPath(), {
      args: [
        "bundle",
        entry,
        "--quiet",
        "--minify",
        "--platform=browser",
        "--config",
        decodeURIComponent(new URL("../deno.json", import.meta.url).pathname),
        ...EXTERNAL.flatMap((name) => ["--external", name, "--external", `${name}/*`]),
      ],
      stdout: "piped",
      stderr: "piped",
    }).output();
    if (!success) throw new Error(`Cannot bundle ${specifier}:\n${new TextDecoder().decode(stderr)}`);
    const gzipped = new Blob([stdout]).stream().pipeThrough(new CompressionStream("gzip"));
    return { minified: stdout.length, gzipped: (await new Response(gzipped).bytes()).length };
  } finally {
    await Deno.remove(directory, { recursive: true });
  }
}

async function print(name: string, specifier: string): Promise<void> {
  const { minified, gzipped } = await sizeOf(specifier);
  const kilobytes = (bytes: number) => `${(bytes / 1000).toFixed(1)} kB`.padStart(9);
  console.log(`${name.padEnd(34)}${kilobytes(minified)}${kilobytes(gzipped)}`);
}

console.log(`${"".padEnd(34)} minified  gzipped`);
for (const [name, path] of Object.entries(config.exports)) {
  const url = new URL(`../${path}`, import.meta.url);
  // What is listed may have yet to be written.
  if (await Deno.stat(url).then(() => false, () => true)) continue;
  await print(`@x/sessions${name.slice(1)}`, url.href);
}
for (const name of PEERS) await print(name, name);

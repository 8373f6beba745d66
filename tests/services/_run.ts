/**
 * What the files of one test run have in common, such as a server. `deno test` runs each file in an isolate of its own,
 * and all of them in one process. What one file has made, the others find in a directory that is named after it.
 * @module
 */

import { spawnGuarded } from "./_process.ts";

/**
 * Makes something once for all files of a test run. The others wait for it, and get a copy of its description. It must
 * end with the process, as what {@linkcode spawnGuarded} starts, or be in the directory, which is removed then.
 *
 * @param name A name for it, as for a file.
 * @param make Makes it, and gives a description that JSON can hold. If it fails, the next file tries again.
 */
export async function oncePerRun<T>(name: string, make: (directory: string) => Promise<T>): Promise<T> {
  const directory = directoryOfRun();
  using lock = await Deno.open(`${directory}/${name}.lock`, { create: true, write: true });
  // Its end is that of the file, even if this isolate ends in between.
  await lock.lock(true);
  const description = `${directory}/${name}.json`;
  const found = await Deno.readTextFile(description).catch((error) => {
    if (!(error instanceof Deno.errors.NotFound)) throw error;
  });
  if (found !== undefined) return JSON.parse(found);
  const made = await make(directory);
  await Deno.writeTextFile(description, JSON.stringify(made));
  return made;
}

function directoryOfRun(): string {
  const directory = `${Deno.env.get("TMPDIR") ?? "/tmp"}/x-sessions-run-${Deno.pid}-${startOfProcess()}`;
  try {
    Deno.mkdirSync(directory, { mode: 0o700 });
  } catch (error) {
    if (!(error instanceof Deno.errors.AlreadyExists)) throw error;
    return directory;
  }
  // It does nothing but end with this process, and not before, and then the directory is removed.
  spawnGuarded("sh", ["-c", "trap '' TERM HUP INT; exec sleep infinity"], { scratch: directory });
  return directory;
}

/** When this process began. Its id alone may be that of an earlier process, whose directory is still there. */
function startOfProcess(): string {
  const stat = Deno.readTextFileSync(`/proc/${Deno.pid}/stat`);
  // The 22nd field. The second one is a name in parentheses, which may hold anything.
  return stat.slice(stat.lastIndexOf(")") + 2).split(" ")[19]!;
}

/** Finds a MariaDB or MySQL server program, or unpacks MariaDB from Debian's packages, which needs no root. */

/** A server program and what it needs to run. */
export interface MySQLBinary {
  /** Path of `mariadbd` or `mysqld`. */
  command: string;
  /** MySQL and MariaDB differ in how a data directory is created. */
  flavour: "mariadb" | "mysql";
  /** Its installation directory, which contains `share`. */
  prefix: string;
  /** Environment variables for it. */
  env: Record<string, string>;
}

const PACKAGE = "mariadb-server-core";

/**
 * Looks on the `PATH` and in the directories for system programs, then in Debian's packages.
 *
 * @throws {Error} There is none; the message says what to install.
 */
export async function findMySQL(): Promise<MySQLBinary> {
  const path = (Deno.env.get("PATH") ?? "").split(":");
  // Debian installs it in a directory that is not in an ordinary user's PATH.
  const dirs = new Set([...path, "/usr/sbin", "/usr/local/sbin", "/usr/libexec"].filter((dir) => dir !== ""));
  for (const name of ["mariadbd", "mysqld"]) {
    for (const dir of dirs) {
      if (await isFile(`${dir}/${name}`)) return await describe(`${dir}/${name}`, {});
    }
  }
  try {
    return await unpackDebian();
  } catch (error) {
    const reason = error instanceof Error ? error.message : String(error);
    throw new Error(
      "Cannot find a MySQL or MariaDB server: install one (Debian: apt-get install mariadb-server-core; " +
        `Fedora: dnf install mariadb-server; macOS: brew install mariadb) or set MYSQL_URL (${reason})`,
      { cause: error },
    );
  }
}

/**
 * Downloads MariaDB's server and the libraries it depends on into the user's cache, once, and uses it from there.
 *
 * @throws {Error} This is not Debian, its package lists are missing or its packages cannot be reached.
 */
export async function unpackDebian(): Promise<MySQLBinary> {
  const cache = Deno.env.get("XDG_CACHE_HOME") || `${Deno.env.get("HOME") || "/tmp"}/.cache`;
  const root = `${cache}/x-sessions-tests/mariadb`;
  if (!await isFile(`${root}/usr/sbin/mariadbd`)) {
    await Deno.mkdir(`${cache}/x-sessions-tests`, { recursive: true });
    const scratch = await Deno.makeTempDir({ dir: `${cache}/x-sessions-tests` });
    try {
      const listed = await run(scratch, "apt-cache", "depends", PACKAGE);
      const libraries = [...listed.matchAll(/^ *Depends: (lib\S+)$/gm)].map((match) => match[1] ?? "")
        // The only library that must match the running kernel and loader. Every Debian has it.
        .filter((name) => name !== "libc6");
      await run(scratch, "apt-get", "-q", "download", PACKAGE, ...libraries);
      for await (const { name } of Deno.readDir(scratch)) {
        if (name.endsWith(".deb")) await run(scratch, "dpkg", "-x", name, "root");
      }
      // Renamed only when it is complete, so that a concurrent test run never sees half of it.
      await Deno.rename(`${scratch}/root`, root).catch((error) => {
        if (!(error instanceof Error) || !/exists|not empty/i.test(error.message)) throw error;
      });
    } finally {
      await Deno.remove(scratch, { recursive: true });
    }
  }
  const libraries = [
    `${root}/usr/lib/${Deno.build.arch}-linux-gnu`,
    `${root}/lib/${Deno.build.arch}-linux-gnu`,
  ];
  const inherited = Deno.env.get("LD_LIBRARY_PATH");
  if (inherited) libraries.push(inherited);
  return await describe(`${root}/usr/sbin/mariadbd`, { LD_LIBRARY_PATH: libraries.join(":") });
}

async function describe(command: string, env: Record<string, string>): Promise<MySQLBinary> {
  // A program named mysqld may be MariaDB's.
  const real = await Deno.realPath(command);
  const { stdout } = await new Deno.Command(real, { args: ["--no-defaults", "--version"], env }).output();
  const flavour = /mariadb/i.test(new TextDecoder().decode(stdout)) ? "mariadb" : "mysql";
  return { command: real, flavour, prefix: real.replace(/\/[^/]+\/[^/]+$/, "") || "/", env };
}

async function run(cwd: string, command: string, ...args: string[]): Promise<string> {
  const { success, stdout, stderr } = await new Deno.Command(command, { args, cwd, env: { LC_ALL: "C" } })
    .output();
  const decoder = new TextDecoder();
  if (!success) throw new Error(`${command} ${args[0]} failed: ${decoder.decode(stderr).trim()}`);
  return decoder.decode(stdout);
}

/** Whether `path` is a file that can be seen, or a link to one. */
export async function isFile(path: string): Promise<boolean> {
  try {
    return (await Deno.stat(path)).isFile;
  } catch {
    // A PATH may contain directories of other users.
    return false;
  }
}

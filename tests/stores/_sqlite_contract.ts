/**
 * The contract of `SQLiteStore` on the SQLite of another runtime than Deno.
 * @module
 */

import { assert, assertEquals } from "../assert.ts";

/**
 * Bundles the contract into a directory, and runs it there.
 *
 * @param program Node or Bun.
 * @param driver The driver, where it is not the one of the runtime.
 * @throws {Error} It cannot be bundled or run; the message ends with what the program has written.
 */
export async function assertContractOn(program: string, directory: string, driver = ""): Promise<void> {
  const bundle = `${directory}/contract.mjs`;
  const [entry, config] = ["_fixture_sqlite_contract.ts", "../../deno.json"]
    .map((path) => decodeURIComponent(new URL(path, import.meta.url).pathname)) as [string, string];
  const options = ["--quiet", "--config", config, "--platform=deno", "-o", bundle];
  await run(Deno.execPath(), ["bundle", ...options, entry]);
  const report = JSON.parse(await run(program, [bundle, driver]));
  assertEquals(report.failed, []);
  assert(report.passed > 50, `only ${report.passed} cases`);
}

async function run(program: string, args: string[]): Promise<string> {
  const { success, stdout, stderr } = await new Deno.Command(program, { args }).output();
  const decoder = new TextDecoder();
  if (!success) throw new Error(`Cannot run ${program}:\n${decoder.decode(stderr)}`);
  return decoder.decode(stdout);
}

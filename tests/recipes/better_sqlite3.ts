/**
 * The contract of `SQLiteStore` on better-sqlite3, the SQLite of the Node versions without one of their own. It is an addon
 * that npm downloads or compiles, which may take minutes: `deno task recipes`.
 * @module
 */

import { assertContractOn } from "../stores/_sqlite_contract.ts";
import { run } from "./_apps.ts";

Deno.test("SQLiteStore passes the contract on better-sqlite3", async () => {
  const directory = await Deno.makeTempDir({ prefix: "sessions_test_" });
  try {
    const manifest = { private: true, dependencies: { "better-sqlite3": "12.11.1" } };
    await Deno.writeTextFile(`${directory}/package.json`, JSON.stringify(manifest));
    await run("npm install", directory, "npm", ["install", "--no-audit", "--no-fund"]);
    await assertContractOn("node", directory, "better-sqlite3");
  } finally {
    await Deno.remove(directory, { recursive: true });
  }
});

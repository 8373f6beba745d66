/** Runs the contract on the SQLite of its runtime, Node or Bun, and prints the cases that failed. */
import { SQLiteStore } from "../../stores/sqlite.ts";
import { storeContract } from "../../testing/mod.ts";

const isBun = "Bun" in globalThis;
// The name is computed, so that a bundler does not look for a module of another runtime.
const module = await import(isBun ? "bun:sqlite" : "node:sqlite");
const open = () => isBun ? new module.Database(":memory:") : new module.DatabaseSync(":memory:");

const report: { passed: number; failed: string[] } = { passed: 0, failed: [] };
const cases = storeContract({
  name: "SQLiteStore",
  async open() {
    const store = new SQLiteStore(open(), { cleanup: "off", timeout: "30s" });
    await store.createTable();
    return store;
  },
});
for (const { name, skipped, run } of cases) {
  if (skipped !== undefined) continue;
  await run().then(() => report.passed++, (error) => report.failed.push(`${name}: ${error}`));
}
console.log(JSON.stringify(report));

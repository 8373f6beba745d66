/** Runs the contract on a SQLite of Node or Bun, by default on its own, and prints the cases that failed. */
import process from "node:process";
import { SQLiteStore } from "../../stores/sqlite.ts";
import { storeContract } from "../../testing/mod.ts";

// The name is computed, so that a bundler does not look for a module of another runtime.
const driver = process.argv[2] || ("Bun" in globalThis ? "bun:sqlite" : "node:sqlite");
const module = await import(driver);
const Database = module.DatabaseSync ?? module.default;

const report: { passed: number; failed: string[] } = { passed: 0, failed: [] };
const cases = storeContract({
  name: "SQLiteStore",
  async open() {
    const store = new SQLiteStore(new Database(":memory:"), { cleanup: "off", timeout: "30s" });
    await store.createTable();
    return store;
  },
});
for (const { name, skipped, run } of cases) {
  if (skipped !== undefined) continue;
  await run().then(() => report.passed++, (error) => report.failed.push(`${name}: ${error}`));
}
await whileIterating().then(() => report.passed++, (error) => report.failed.push(`iterate(): ${error}`));
console.log(JSON.stringify(report));

/** Saves a session while the application iterates over rows. better-sqlite3 refuses every other write meanwhile. */
async function whileIterating(): Promise<void> {
  const database = new Database(":memory:");
  const store = new SQLiteStore(database, { cleanup: "off", timeout: "30s" });
  await store.createTable();
  const [expected, next] = [new Uint8Array([1]), new Uint8Array([2])];
  for (const token of ["a", "b"]) await store.create(token, expected, 2_000, { now: 1_000 });

  const rows = database.prepare("SELECT token FROM sessions").iterate();
  rows.next();
  const updated = store.update("a", expected, { data: next }, { now: 1_000 });
  setTimeout(() => rows.return(), 20);
  if (!await updated) throw new Error("nothing was written");
}

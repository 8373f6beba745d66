/**
 * Work on 1,000,000 rows: `iterate()`, `destroyAll()` of a user with five sessions and of one with ten thousand, and a purge
 * of the rest. Runs on each store with its database in the process, and on a local D1.
 *
 *     deno run --allow-all --no-lock bench/million.ts
 *
 * `ROWS` (1000000) and `STORES` (`memory,libsql,node,turso,d1`) choose. About five minutes, and 1 GB in `TMPDIR`.
 *
 * @module
 */

import { createClient } from "@libsql/client";
import { connect } from "@tursodatabase/database";
import { jsonCodec, sessions } from "@x/sessions";
import { D1Store } from "@x/sessions/stores/d1";
import { LibSQLStore } from "@x/sessions/stores/libsql";
import { MemoryStore } from "@x/sessions/stores/memory";
import { type SQLiteDatabase, SQLiteStore } from "@x/sessions/stores/sqlite";
import { DatabaseSync } from "node:sqlite";
import type { FullStore } from "../tests/backends.ts";
import { startD1 } from "../tests/services/d1.ts";
import { quantile } from "./_measure.ts";
import { chosenBy, circumstances, figure, markdownTable, numberSetting } from "./_report.ts";

const ROWS = numberSetting("ROWS", 1_000_000);
const isChosen = chosenBy("STORES");

/** The sessions of most users, and of one user with very many. */
const PER_USER = 5;
const MANY = 10_000;
/** How many users are signed out everywhere, in turn. */
const USERS = 50;
const EXPIRY = Date.now() + 86_400_000;

const token = (index: number) => `t${String(index).padStart(42, "0")}`;
const user = (index: number) => index < MANY ? "many" : `user-${Math.floor(index / PER_USER)}`;
/** The data of each session, without its user. */
const DATA = jsonCodec.encode(EXPIRY, {
  name: "Zoë",
  cart: [1001, 1002, 1003, 1004],
  count: 7,
  __subject: "user-123456",
  __createdAt: EXPIRY,
  __nonces: ["abcdefghijkl"],
});

interface Opened extends AsyncDisposable {
  store: FullStore;
  /** How many statements were sent to the database. */
  calls(): number;
  /** Runs a statement. */
  run?(sql: string): Promise<unknown>;
}

/** An object whose methods with these names are counted. */
function counted<T extends object>(target: T, names: string[], count: () => void): T {
  return new Proxy(target, {
    get(object, name) {
      const value = Reflect.get(object, name, object);
      if (typeof value !== "function") return value;
      return (...args: unknown[]) => {
        if (names.includes(String(name))) count();
        return value.apply(object, args);
      };
    },
  });
}

const OPENERS: Record<string, (directory: string) => Promise<Opened>> = {
  // deno-lint-ignore require-await
  async memory() {
    return {
      store: new MemoryStore({ cleanup: "off", maxSessions: 2 * ROWS }),
      calls: () => 0,
      [Symbol.asyncDispose]: async () => {},
    };
  },
  async libsql(directory) {
    let calls = 0;
    const client = createClient({ url: `file:${directory}/libsql.db` });
    await client.executeMultiple("PRAGMA journal_mode = WAL; PRAGMA synchronous = NORMAL");
    const store = new LibSQLStore(counted(client, ["execute", "batch"], () => calls++), { cleanup: "off" });
    return {
      store,
      calls: () => calls,
      run: (sql) => client.execute(sql),
      // deno-lint-ignore require-await
      async [Symbol.asyncDispose]() {
        client.close();
      },
    };
  },
  // deno-lint-ignore require-await
  async node(directory) {
    let calls = 0;
    const database = new DatabaseSync(`${directory}/node.db`);
    database.exec("PRAGMA journal_mode = WAL; PRAGMA synchronous = NORMAL");
    const given: SQLiteDatabase = {
      prepare: (sql) => counted(database.prepare(sql), ["all", "run"], () => calls++),
      exec: (sql) => database.exec(sql),
    };
    return {
      store: new SQLiteStore(given, { cleanup: "off" }),
      calls: () => calls,
      // deno-lint-ignore require-await
      run: async (sql) => database.exec(sql),
      // deno-lint-ignore require-await
      async [Symbol.asyncDispose]() {
        database.close();
      },
    };
  },
  async turso(directory) {
    let calls = 0;
    const database = await connect(`${directory}/turso.db`);
    return {
      store: new LibSQLStore(counted(database, ["batch"], () => calls++), { cleanup: "off" }),
      calls: () => calls,
      run: (sql) => database.exec(sql),
      [Symbol.asyncDispose]: () => database.close(),
    };
  },
  async d1() {
    const server = await startD1();
    const database = server.database();
    return {
      store: new D1Store(database, { cleanup: "off", timeout: "60s" }),
      calls: () => database.calls,
      run: (sql) => database.prepare(sql).bind().all(),
      [Symbol.asyncDispose]: () => server[Symbol.asyncDispose](),
    };
  },
};

/** Rows per statement, because D1 accepts at most 100,000 bytes. */
const CHUNK = 150;
const HEX = DATA.toHex();

async function fill({ store, run }: Opened): Promise<void> {
  if (run === undefined) {
    for (let i = 0; i < ROWS; i++) {
      await store.create(token(i), DATA, EXPIRY + i % 1_000, { now: Date.now(), subject: user(i) });
    }
    return;
  }
  await (store as FullStore & { createTable(): Promise<void> }).createTable();
  for (let start = 0; start < ROWS; start += CHUNK) {
    const values = Array.from({ length: Math.min(CHUNK, ROWS - start) }, (_, offset) => {
      const index = start + offset;
      const day = `(${EXPIRY + index % 1_000} + 210866760000000) / 86400000.0`;
      return `('${token(index)}', x'${HEX}', ${day}, '${user(index)}')`;
    });
    await run(`INSERT INTO sessions (token, data, expiry, subject) VALUES ${values.join()}`);
  }
}

const rows: string[][] = [];
for (const [name, open] of Object.entries(OPENERS)) {
  if (!isChosen(name)) continue;
  const directory = await Deno.makeTempDir({ prefix: "sessions_bench_" });
  try {
    await using opened = await open(directory);
    await fill(opened);
    const { store, calls } = opened;
    let now = Date.now();
    const manager = sessions({ store, hashTokenInStore: false, now: () => now });
    const timed = async <T>(work: () => Promise<T>) => {
      const before = calls();
      const started = performance.now();
      const result = await work();
      return { result, ms: performance.now() - started, calls: calls() - before };
    };

    const iterated = await timed(async () => {
      let count = 0;
      for await (const _ of manager.iterate()) count++;
      return count;
    });
    if (iterated.result !== ROWS) throw new Error(`${name}: iterate() gave ${iterated.result}`);
    const few: { result: number; ms: number; calls: number }[] = [];
    for (let index = 0; index < USERS; index++) {
      const at = MANY + PER_USER * Math.floor((ROWS - MANY) / PER_USER / USERS * index);
      few.push(await timed(() => manager.destroyAll(user(at))));
    }
    if (few.some(({ result }) => result !== PER_USER)) throw new Error(`${name}: destroyAll() missed some`);
    const many = await timed(() => manager.destroyAll("many"));
    if (many.result !== MANY) throw new Error(`${name}: destroyAll() ended ${many.result}`);
    now = EXPIRY + 86_400_000;
    const purged = await timed(() => manager.purge({ budget: Infinity }));
    if (!purged.result.done || purged.result.deleted !== ROWS - MANY - USERS * PER_USER) {
      throw new Error(`${name}: purge() deleted ${purged.result.deleted}`);
    }
    const inSQL = name === "memory" ? () => "–" : (count: number) => count.toLocaleString("en");
    rows.push([
      name,
      `${figure(iterated.ms / 1_000, 1)} s`,
      inSQL(iterated.calls),
      `${figure(quantile(few.map(({ ms }) => ms), 0.5), 2)} ms`,
      inSQL(few[0]!.calls),
      `${figure(many.ms, 0)} ms`,
      inSQL(many.calls),
      `${figure(purged.ms / 1_000, 1)} s`,
      inSQL(purged.calls),
    ]);
    console.error(rows.at(-1)!.join(" | "));
  } finally {
    await Deno.remove(directory, { recursive: true });
  }
}
console.log(`${circumstances()}; ${ROWS.toLocaleString("en")} rows\n`);
console.log(
  markdownTable(
    [
      "store",
      "iterate",
      "calls",
      `destroyAll, ${PER_USER}`,
      "calls",
      `destroyAll, ${MANY.toLocaleString("en")}`,
      "calls",
      "purge",
      "calls",
    ],
    rows,
  ),
);

import { createClient } from "@libsql/client/web";
import { Client } from "@planetscale/database";
import type { CleanupOptions } from "../../../core/store/cleanup.ts";
import type { SqlStoreOptions } from "../../../stores/_sql.ts";
import { LibSQLStore } from "../../../stores/libsql.ts";
import { sessions } from "../../../mod.ts";
import { MemoryStore } from "../../../stores/memory.ts";
import { PlanetScaleStore } from "../../../stores/planetscale.ts";
import { assertEquals } from "../../assert.ts";
import { documentedDefaults, sourceOf } from "./_documented_defaults.ts";
import { problemsOf } from "./_problems.ts";

// Clients that are never called, because a store's constructor opens nothing.
const libSQL = () => createClient({ url: "http://127.0.0.1:1" });
const planetScale = () => new Client({ url: "mysql://user:password@127.0.0.1/" });

const SQL_STORES: [name: string, make: (options?: SqlStoreOptions) => LibSQLStore | PlanetScaleStore][] = [
  ["LibSQLStore", (options) => new LibSQLStore(libSQL(), options)],
  ["PlanetScaleStore", (options) => new PlanetScaleStore(planetScale(), options)],
];

const STORES: [name: string, make: (options?: CleanupOptions) => unknown][] = [
  ["MemoryStore", (options) => new MemoryStore(options)],
  ...SQL_STORES,
];

const DURATION = `must be milliseconds from 0, or text such as "90s", "20m", "24h", "30d"`;

for (const [name, make] of STORES) {
  Deno.test(`new ${name}() accepts each kind of clean-up and its interval`, () => {
    make();
    for (const cleanup of ["lazy", "timer", "off", undefined] as const) make({ cleanup });
    for (const cleanupInterval of [0, 1_000, "0s", "90s", "5m", undefined]) make({ cleanupInterval });
  });

  Deno.test(`new ${name}() refuses an unknown clean-up`, () => {
    for (const cleanup of ["always", "Lazy", "", true, false, 0, null, ["lazy"], {}]) {
      const [problem, ...others] = problemsOf(() => make({ cleanup } as unknown as CleanupOptions));
      assertEquals(problem!.replace(/: got.*/, ""), `"cleanup" must be one of "lazy", "timer", "off"`);
      assertEquals(others, []);
    }
  });

  Deno.test(`new ${name}() refuses a cleanupInterval that is no duration`, () => {
    for (const cleanupInterval of [-1, NaN, Infinity, "5", "soon", null, true, ["5m"]]) {
      const problems = problemsOf(() => make({ cleanupInterval } as unknown as CleanupOptions));
      assertEquals(problems.map((problem) => problem.replace(/: got.*/, "")), [
        `"cleanupInterval" ${DURATION}`,
      ]);
    }
  });

  Deno.test(`new ${name}() refuses an unknown option and lists the known ones`, () => {
    const [unknown] = problemsOf(() => make({ purge: "off" } as CleanupOptions));
    assertEquals(unknown!.startsWith(`"purge" is no option; the options are `), true);
    assertEquals(/\bcleanup, cleanupInterval\b/.test(unknown!), true);
  });
}

for (const [name, make] of SQL_STORES) {
  Deno.test(`new ${name}() uses the defaults that its options document`, () => {
    const defaults = documentedDefaults(sourceOf("stores/_sql.ts"), "SqlStoreOptions");
    assertEquals(defaults.get("table"), `"sessions"`);
    assertEquals(make().schema(), make({ table: "sessions" }).schema());
    assertEquals(defaults.get("timeout"), `"5s"`);
    assertEquals(make().timeout, 5_000);
  });

  Deno.test(`new ${name}() accepts a plain identifier as the table, and uses it in each statement`, () => {
    for (const table of ["t", "_", "Sessions_2", "a".repeat(63)]) {
      for (const statement of make({ table }).schema()) assertEquals(statement.includes(table), true);
    }
  });

  const injections = [
    "",
    "1sessions",
    "a b",
    "a-b",
    "main.sessions",
    "sessions;",
    "sessions; DROP TABLE users",
    "sessions--",
    "sessions/**/",
    'sessions"',
    'a" (token) --',
    "a` (token) --",
    "a'b",
    "[a]",
    "sessions\n",
    "\nsessions",
    "sessions\0",
    "sessi\u00f6ns",
    "ｓessions",
    "a".repeat(64),
    null,
    5,
    true,
    ["sessions"],
    { toString: () => "sessions" },
  ];

  for (const table of injections) {
    Deno.test(`new ${name}() refuses the table ${Deno.inspect(table, { compact: true })}`, () => {
      const problems = problemsOf(() => make({ table } as SqlStoreOptions));
      assertEquals(problems.map((problem) => problem.replace(/: got[^]*/, "")), [
        `"table" must be a plain identifier of at most 63 characters`,
      ]);
    });
  }

  Deno.test(`new ${name}() accepts a timeout above 0, as a number or as text`, () => {
    assertEquals(make({ timeout: 1 }).timeout, 1);
    assertEquals(make({ timeout: "2s" }).timeout, 2_000);
  });

  Deno.test(`new ${name}() refuses a timeout that is no duration, or 0`, () => {
    for (const timeout of [-1, NaN, Infinity, "5", "", null, true]) {
      const problems = problemsOf(() => make({ timeout } as SqlStoreOptions));
      assertEquals(problems.map((problem) => problem.replace(/: got.*/, "")), [`"timeout" ${DURATION}`]);
    }
    assertEquals(problemsOf(() => make({ timeout: 0 })), [`"timeout" must be above 0: got 0`]);
    assertEquals(problemsOf(() => make({ timeout: "0ms" })), [`"timeout" must be above 0: got "0ms"`]);
  });

  Deno.test(`new ${name}() names every mistake in one error, in the order of the options`, () => {
    const wrong = { cleanupInterval: -1, cleanup: "x", timeout: 0, table: "a b", tables: 1 };
    const subjects = problemsOf(() => make(wrong as unknown as SqlStoreOptions))
      .map((problem) => /^"(\w+)"/.exec(problem)?.[1]);
    assertEquals(subjects, ["table", "timeout", "cleanup", "cleanupInterval", "tables"]);
  });
}

Deno.test("The SQL stores know exactly the options that their interfaces have", () => {
  const own = documentedDefaults(sourceOf("stores/_sql.ts"), "SqlStoreOptions");
  const cleanup = documentedDefaults(sourceOf("core/store/cleanup.ts"), "CleanupOptions");
  for (const [, make] of SQL_STORES) {
    const [problem] = problemsOf(() => make({ unknown: 1 } as SqlStoreOptions));
    const listed = /the options are (.*)/.exec(problem!)![1]!.split(", ").filter((name) =>
      name !== "sharded"
    );
    assertEquals(listed, [...own.keys(), ...cleanup.keys()]);
  }
});

Deno.test("The clean-up options document the defaults that the stores pass", () => {
  const defaults = documentedDefaults(sourceOf("core/store/cleanup.ts"), "CleanupOptions");
  assertEquals(defaults.get("cleanup"), `"lazy"`);
  assertEquals(defaults.get("cleanupInterval"), `"5m"`);
});

const NO_CLIENTS = [undefined, null, {}, "libsql://example.com", { execute: "" }, () => {}];

Deno.test("new LibSQLStore() refuses a value that is no client", () => {
  const half = { execute: () => {} };
  const ofDrizzle = { batch: () => {}, query: {} };
  const ofD1 = { batch: () => {}, prepare: () => {}, withSession: () => {} };
  for (const client of [...NO_CLIENTS, half, ofDrizzle, ofD1]) {
    const problems = problemsOf(() => new LibSQLStore(client as unknown as ReturnType<typeof libSQL>));
    assertEquals(problems, [`"client" must be a client of @libsql/client or of Turso`]);
  }
});

Deno.test("new PlanetScaleStore() refuses a value that is no client", () => {
  const ofMySQL2 = { execute: () => {}, query: () => {} };
  const ofLibSQL = { execute: () => {}, executeMultiple: () => {} };
  for (const client of [...NO_CLIENTS, ofMySQL2, ofLibSQL]) {
    const problems = problemsOf(() => new PlanetScaleStore(client as unknown as Client));
    assertEquals(problems, [`"client" must be a Client or a Connection of @planetscale/database`]);
  }
});

Deno.test("new LibSQLStore() reports a wrong client together with wrong options", () => {
  const make = () => new LibSQLStore({} as ReturnType<typeof libSQL>, { table: "a b", timeout: 0 });
  assertEquals(problemsOf(make).length, 3);
});

Deno.test("new MemoryStore() accepts a maxSessions above 0 and refuses any other", () => {
  new MemoryStore({ maxSessions: 1 });
  new MemoryStore({ maxSessions: undefined });
  for (const maxSessions of [0, -1, 1.5, NaN, Infinity, "100", null, 10n]) {
    const problems = problemsOf(() => new MemoryStore({ maxSessions: maxSessions as number }));
    assertEquals(problems.map((problem) => problem.replace(/: got.*/, "")), [
      `"maxSessions" must be a whole number above 0`,
    ]);
  }
});

Deno.test("new MemoryStore() names every mistake in one error, in the order of the options", () => {
  const wrong = { maxSessions: 0, cleanupInterval: -1, cleanup: "x" as "off", table: "sessions" };
  const subjects = problemsOf(() => new MemoryStore(wrong)).map((problem) => /^"(\w+)"/.exec(problem)?.[1]);
  assertEquals(subjects, ["cleanup", "cleanupInterval", "maxSessions", "table"]);
});

for (const timeout of ["5s", NaN, null, 0, -1]) {
  Deno.test(`sessions() refuses a store with the timeout ${timeout}`, () => {
    const store = Object.assign(new MemoryStore(), { timeout }) as unknown as MemoryStore;
    assertEquals(problemsOf(() => sessions({ store })), [
      `"store.timeout" must be milliseconds above 0: got ${timeout === "5s" ? '"5s"' : timeout}`,
    ]);
  });
}

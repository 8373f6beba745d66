/**
 * Compares the guides with the code: their lists are complete, and what they name exists. `deno test --doc` runs
 * their examples.
 * @module
 */

import { createClient } from "@libsql/client";
import { Client } from "@planetscale/database";
import config from "../deno.json" with { type: "json" };
import { isPurgeDue, LAZY_BATCH } from "../core/store/cleanup.ts";
import * as mod from "../mod.ts";
import { LibSQLStore } from "../stores/libsql.ts";
import { PlanetScaleStore } from "../stores/planetscale.ts";
import { codeIn, fencesIn, readRepoFile, sectionIn, tableIn } from "./_markdown.ts";
import { assert, assertEquals, assertMatch, assertStringIncludes } from "./assert.ts";
import { documentedDefaults } from "./core/options/_documented_defaults.ts";
import { startMySQL } from "./services/mysql.ts";
import { startGateway } from "./services/planetscale_gateway.ts";

const ROOT = new URL("../", import.meta.url);
const GUIDES = [...Deno.readDirSync(new URL("docs/", ROOT))].map(({ name }) => `docs/${name}`);
const PAGES = ["README.md", "CHANGELOG.md", "SECURITY.md", ...GUIDES];
const ERRORS = readRepoFile("docs/errors.md");
const STORES = readRepoFile("docs/stores.md");

/** The members of a union of literals, read from the source. */
function unionOf(path: string, name: string): string[] {
  const source = new RegExp(`export type ${name} =([^;]+);`).exec(readRepoFile(path))![1]!;
  return [...source.matchAll(/"([^"]+)"/g)].map(([, member]) => member!);
}

/** Every public error class, by its name. */
const classes = Object.entries(mod).filter(([name]) =>
  /^Session\w+Error$/.test(name) && name !== "SessionError"
);

Deno.test("docs/architecture.md names functions that are in their files", () => {
  const missing: string[] = [];
  let count = 0;
  const text = readRepoFile("docs/architecture.md");
  // Such as `writeOf` in `core/state/session_write.ts`, also of several functions.
  for (const [, names, path] of text.matchAll(/((?:`#?\w+`(?:, | and )?)+)\s+in `(core[\w/]+\.ts)`/g)) {
    for (const name of codeIn(names!)) {
      count++;
      if (!new RegExp(`${name}\\b`).test(readRepoFile(path!))) missing.push(`${name} in ${path}`);
    }
  }
  assert(count > 10, `only ${count} functions of a write were found`);
  for (const line of text.split("\n")) {
    const path = /(?:core|stores|middleware)\/[\w/]+\.ts/.exec(line)?.[0];
    if (!line.startsWith("|") || path === undefined) continue;
    const source = readRepoFile(path);
    // Of what is said to lie in another file only the part before a semicolon is meant.
    const [names = ""] = line.split("|").slice(3, 4).map((cell) => cell.split(";")[0]);
    for (const [, name] of names.matchAll(/`#?(\w+)(?:\(\))?`/g)) {
      count++;
      if (!new RegExp(`\\b${name}\\b`).test(source)) missing.push(`${name} in ${path}`);
    }
  }
  assertEquals(missing, []);
  assert(count > 50, `only ${count} names were found`);
});

Deno.test("docs/errors.md has a section for each code of SessionErrorCode, and for no other", () => {
  const headings = [...ERRORS.matchAll(/^## `(\w+)`$/gm)].map(([, code]) => code!);
  assertEquals(headings, unionOf("core/errors.ts", "SessionErrorCode"));
});

Deno.test("docs/errors.md has for each code its class, its cause, what the user sees and what to do", () => {
  for (const [name] of classes) {
    const source = readRepoFile("core/errors.ts");
    const code = new RegExp(`class ${name} .+?code = "(\\w+)"`, "s").exec(source)![1]!;
    const section = sectionIn(ERRORS, `\`${code}\``);
    assertStringIncludes(section, `\`${name}\``);
    for (const part of ["**Cause**", "**What the user sees**", "**What to do**"]) {
      assertEquals(section.split(part).length, 2, `${code}: ${part}`);
    }
  }
  assertEquals(classes.length, unionOf("core/errors.ts", "SessionErrorCode").length);
});

Deno.test("docs/errors.md has the status of each error", () => {
  const errors = [
    new mod.SessionStoreError("find", { reason: "busy", retryable: true }),
    new mod.SessionConflictError(1),
    new mod.SessionGoneError(),
    new mod.SessionTooLargeError(2, 1),
    new mod.SessionEncodeError("key", "problem"),
  ];
  for (const { code, status } of errors) {
    const seen = /\*\*What the user sees\*\*: (\d+)/.exec(sectionIn(ERRORS, `\`${code}\``));
    assertEquals(Number(seen?.[1]), status, code);
  }
});

Deno.test("docs/errors.md lists each reason of SessionStoreError, and no other", () => {
  const rows = tableIn(ERRORS, "`reason`").map(([reason]) => codeIn(reason!)[0]!);
  assertEquals(rows, unionOf("core/errors.ts", "StoreFailure"));
});

Deno.test("docs/stores.md lists each option of the stores with its default, and no other", () => {
  const documented = new Map([
    ...documentedDefaults(readRepoFile("core/store/cleanup.ts"), "CleanupOptions"),
    ...documentedDefaults(readRepoFile("stores/_sql.ts"), "SqlStoreOptions"),
    ...documentedDefaults(readRepoFile("stores/memory.ts"), "MemoryStoreOptions"),
  ]);
  const rows = tableIn(STORES, "option").map(([option, , value]) =>
    [codeIn(option!)[0]!, codeIn(value!)] as const
  );
  assertEquals(rows.map(([option]) => option).sort(), [...documented.keys()].sort());
  for (const [option, values] of rows) {
    if (option === "cleanup") assertEquals(values, ['"lazy"']);
    else {for (const value of values) {
        assertStringIncludes(documented.get(option)! + ' "5m" "1m"', value, option);
      }}
  }
});

Deno.test("docs/cleanup.md has the numbers that the clean-up uses", () => {
  const due = (operation: "insert" | "read", random: number) =>
    isPurgeDue({ operation, random, sinceLast: Infinity, interval: 1 });
  for (const [operation, one] of [["insert", 100], ["read", 1_000]] as const) {
    assert(due(operation, 0.999 / one) && !due(operation, 1 / one), operation);
  }
  const batch = (name: string) =>
    Number(new RegExp(`${name} = ([\\d_]+)`).exec(source)![1]!.replace("_", ""));
  const source = readRepoFile("core/store/batch_size.ts");
  const flow = (path: string) => readRepoFile(path).replaceAll(/\s+/g, " ");
  const guide = flow("docs/cleanup.md");
  assertStringIncludes(guide, `at most ${batch("LARGEST_BATCH").toLocaleString("en")} rows`);
  assertStringIncludes(guide, `about ${batch("SHORTEST_WORK_MS")} ms`);
  assertStringIncludes(guide, `up to ${batch("LONGEST_WORK_MS")} ms`);
  const budget = documentedDefaults(readRepoFile("core/store/purge.ts"), "PurgeOptions").get("budget");
  assertStringIncludes(guide, `the \`budget\` (\`${budget}\`)`);
  assertMatch(guide, /one insert in 100,? and one read in 1,000,? starts the deletion/i);
  assertStringIncludes(guide, `up to ${LAZY_BATCH} expired rows`);
});

/**
 * The SQL of a section: the statements that create the table, and those that add the subject column to a table of
 * SCS.
 */
function statementsIn(section: string): { table: string[]; column: string[] } {
  const [table, column] = fencesIn(sectionIn(STORES, section)).filter(({ language }) => language === "sql")
    .map(({ text }) => text.trim().split("\n").map((line) => line.replace(/;$/, "")));
  return { table: table!, column: column! };
}

Deno.test("docs/stores.md shows the tables that the stores create", () => {
  const libSQL = new LibSQLStore(createClient({ url: ":memory:" }));
  assertEquals(statementsIn("LibSQLStore").table, libSQL.schema());
  const planetScale = new PlanetScaleStore(new Client({ url: "mysql://user:password@host/" }));
  assertEquals(statementsIn("PlanetScaleStore").table, planetScale.schema());
});

Deno.test("The statements of docs/stores.md add subjects to a table of SCS on libSQL", async () => {
  const client = createClient({ url: ":memory:" });
  await client.execute(
    "CREATE TABLE sessions (token TEXT PRIMARY KEY, data BLOB NOT NULL, expiry REAL NOT NULL)",
  );
  for (const statement of statementsIn("LibSQLStore").column) await client.execute(statement);
  assertEquals(await countSubjects(new LibSQLStore(client, { cleanup: "off" })), 1);
  client.close();
});

Deno.test("The statements of docs/stores.md add subjects to a table of SCS on MySQL", async () => {
  await using mysql = await startMySQL();
  await using gateway = await startGateway(mysql);
  const client = new Client(gateway.config());
  await client.execute(
    "CREATE TABLE sessions (token CHAR(43) PRIMARY KEY, data BLOB NOT NULL, expiry TIMESTAMP(6) NOT NULL)",
  );
  for (const statement of statementsIn("PlanetScaleStore").column) await client.execute(statement);
  assertEquals(await countSubjects(new PlanetScaleStore(client, { cleanup: "off" })), 1);
});

async function countSubjects(store: LibSQLStore | PlanetScaleStore): Promise<number> {
  const manager = mod.sessions({ store });
  const session = await manager.load();
  session.subject = "zoe";
  await session.commit();
  return (await manager.sessionsOf("zoe")).length;
}

for (const page of PAGES) {
  Deno.test(`${page} links to files and headings that exist`, () => {
    const text = readRepoFile(page).replaceAll(/^ *```.*?^ *```$/gms, "");
    for (const [, target] of text.matchAll(/\]\(([^)]+)\)/g)) {
      if (/^https:/.test(target!)) continue;
      const [path, anchor] = target!.split("#");
      const url = new URL(path || new URL(page, ROOT), new URL(page, ROOT));
      const linked = Deno.readTextFileSync(url);
      if (anchor !== undefined) assert(anchorsOf(linked).includes(anchor), `${page}: ${target}`);
    }
  });
}

/** The anchors of a page's headings, as code hosts make them. */
function anchorsOf(markdown: string): string[] {
  return [...markdown.matchAll(/^#+ (.+)$/gm)].map(([, heading]) =>
    heading!.toLowerCase().replaceAll(/[^\w\s-]/g, "").replaceAll(" ", "-")
  );
}

Deno.test("README.md links to every guide", () => {
  const readme = readRepoFile("README.md");
  for (const page of PAGES.filter((page) => page !== "README.md")) assertStringIncludes(readme, `](${page})`);
});

Deno.test("SECURITY.md names a test for each guarantee", () => {
  const guarantees = sectionIn(readRepoFile("SECURITY.md"), "Guarantees").split(/^- /m).slice(1);
  assert(guarantees.length > 10);
  for (const guarantee of guarantees) {
    const files = codeIn(guarantee).filter((code) => /^tests\/.+_test\.ts$/.test(code));
    assert(files.length > 0, guarantee);
    for (const file of files) assert(/\b(Deno\.test|onEachStore|passes)\(/.test(readRepoFile(file)), file);
  }
});

Deno.test("CHANGELOG.md has a section for the version in deno.json", () => {
  assert(readRepoFile("CHANGELOG.md").includes(`\n## [${config.version}] - `));
});

Deno.test("Every public symbol and every member is documented", async () => {
  const { success, stderr } = await new Deno.Command(Deno.execPath(), {
    args: ["doc", "--lint", ...Object.values(config.exports)],
    cwd: ROOT,
    env: { NO_COLOR: "1" },
    stdin: "null",
    stdout: "null",
  }).output();
  const report = new TextDecoder().decode(stderr);
  assert(success || /Found \d+ documentation lint error/.test(report), report);
  const problems = report.matchAll(/^error\[missing-jsdoc\].*\n\s*--> (.+):(\d+):\d+$/gm);
  const undocumented = [...problems].filter(([, path, line]) => {
    // The base class and the fields document these members of every error.
    const source = Deno.readTextFileSync(path!).split("\n")[Number(line) - 1]!;
    return !/^ *(override readonly (name|code) =|constructor\()/.test(source);
  });
  assertEquals(undocumented.map(([, path, line]) => `${path}:${line}`), []);
});

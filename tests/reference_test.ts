/**
 * Compares `docs/reference.md` and `llms.txt` with the code.
 * @module
 */

import config from "../deno.json" with { type: "json" };
import { reference } from "../tools/reference.ts";
import { codeIn, fencesIn, readRepoFile, sectionIn } from "./_markdown.ts";
import { assert, assertEquals, assertMatch, assertStringIncludes } from "./assert.ts";

const PAGE = readRepoFile("docs/reference.md");
const LLMS = readRepoFile("llms.txt");

Deno.test("docs/reference.md is what `deno task reference` writes", async () => {
  assertEquals(PAGE, await reference(), "run: deno task reference");
});

Deno.test("docs/reference.md gives a unit for every number and every length of time", () => {
  const items = sectionIn(PAGE, "Options").split(/^- /m).slice(1).map((item) => item.split("\n\n")[0]!);
  const numbers = items.filter((item) => /^\*\*`\w+`\*\*: `(Duration|number)\b/.test(item));
  assert(numbers.length > 10);
  for (const item of numbers) assertMatch(item.replaceAll(/\s+/g, " "), /milliseconds|bytes|how many/i);
});

Deno.test("docs/reference.md lists every event and every code of an error", () => {
  const members = (path: string, pattern: RegExp) =>
    [...readRepoFile(path).matchAll(pattern)].map(([, member]) => member!);
  const kinds = members("core/events.ts", /\{ kind: "([\w-]+)"/g).slice(0, 11);
  const listed = [...sectionIn(PAGE, "Events").matchAll(/^- \*\*`([\w-]+)`/gm)].map(([, kind]) => kind!);
  assertEquals(listed, kinds);
  const codes = members("core/errors.ts", /^ {2}\| "(ERR_\w+)"/gm);
  const sections = [...PAGE.matchAll(/^`"(ERR_\w+)"`, status \d{3}$/gm)].map(([, code]) => code!);
  assertEquals(sections.sort(), codes.sort());
});

Deno.test("docs/reference.md has what users call on a store, and on what nodeSessions() returns", () => {
  for (const store of ["LibSQLStore", "D1Store", "SQLiteStore", "PlanetScaleStore"]) {
    assertStringIncludes(sectionIn(PAGE, `\`${store}\``), "createTable()");
  }
  for (const name of ["of", "handleError"]) {
    assertStringIncludes(sectionIn(PAGE, "`NodeSessions`"), `\`${name}: (`);
  }
});

Deno.test("llms.txt links to every page of docs/, and names every entry", () => {
  for (const { name } of Deno.readDirSync(new URL("../docs/", import.meta.url))) {
    assertStringIncludes(LLMS, `](docs/${name})`);
  }
  const links = [...LLMS.matchAll(/\]\(([^)]+)\)/g)].map(([, target]) => target!);
  for (const target of links) readRepoFile(target);
  for (const entry of Object.keys(config.exports)) {
    assertStringIncludes(LLMS, `\`${entry.replace(".", config.name)}\``);
  }
});

Deno.test("Every method and property that llms.txt names is in the reference", () => {
  const names = codeIn(sectionIn(LLMS, "API")).flatMap((code) =>
    /^(?:manager|session)\.(\w+)/.exec(code)?.[1] ?? []
  );
  assert(names.length > 20);
  const methods = ["SessionManager", "Session"].map((name) => sectionIn(PAGE, `\`${name}\``)).join("\n");
  for (const name of names) {
    assertMatch(methods, new RegExp(`^- \\*\\*\`(?:readonly )?${name}\\b`, "m"));
  }
});

Deno.test("The example of llms.txt runs", async () => {
  const [example] = fencesIn(LLMS);
  const code = `data:application/typescript,${encodeURIComponent(example!.text)}`;
  const { default: app } = await import(code) as { default: { fetch(request: Request): Promise<Response> } };
  const response = await app.fetch(new Request("https://example.com/login", { method: "POST" }));
  assertStringIncludes(response.headers.get("Set-Cookie")!, "__Host-session=");
});

/** Checks that the switches, checks and tests named in `docs/guarantees.md` and `tests/README.md` exist. */
import { assert, assertEquals } from "../assert.ts";
import { codeIn, readRepoFile, tableIn } from "../_markdown.ts";
import { BROKEN, RIGHT } from "./variants.ts";

const GUARANTEES = readRepoFile("docs/guarantees.md");

/** Tests by their file: `` `tests/a_test.ts`: "name", "name" ``. */
function testsIn(cell: string): { file: string; names: string[] }[] {
  const parts = cell.split(/(?=`tests\/[^`]+`)/).filter((part) => part.startsWith("`tests/"));
  return parts.map((part) => ({
    file: codeIn(part)[0]!,
    names: [...part.matchAll(/"([^"]+)"/g)].map(([, name]) => name!),
  }));
}

function assertExist(cell: string): void {
  for (const { file, names } of testsIn(cell)) {
    const source = readRepoFile(file);
    for (const name of names) assert(source.includes(name), `${file} has no test "${name}"`);
  }
}

const TABLES: { page: string; header: string[]; proof: number }[] = [
  { page: "docs/guarantees.md", header: ["situation", "what each party sees"], proof: 2 },
  { page: "docs/guarantees.md", header: ["fault", "before", "now"], proof: 3 },
  { page: "tests/README.md", header: ["mistake", "found by"], proof: 1 },
];

for (const { page, header, proof } of TABLES) {
  Deno.test(`${page}, "${header[0]}": each row names a proof, and each test that it names exists`, () => {
    const rows = tableIn(readRepoFile(page), ...header);
    assert(rows.length >= 9);
    for (const row of rows) {
      assert(codeIn(row[proof]!).length > 0, row[0]);
      assertExist(row[proof]!);
    }
  });
}

Deno.test("docs/guarantees.md names only switches and checks that exist", () => {
  const known = new Set([...RIGHT, ...BROKEN].flatMap(({ name, switches }) => [name, ...switches]));
  const rows = tableIn(GUARANTEES, "situation", "what each party sees");
  const named = rows.flatMap((row) => codeIn(row[2]!)).filter((code) => !code.startsWith("tests/"));
  assert(named.length > 20);
  assertEquals(named.filter((name) => !known.has(name)), []);
});

Deno.test("docs/guarantees.md draws four situations as sequence diagrams", () => {
  const pictures = GUARANTEES.match(/^```mermaid\nsequenceDiagram$/gm) ?? [];
  assert(pictures.length >= 4);
});

/** Users of Workers pay for each kilobyte, so a bundle that has grown is a failure. */
import { assert, assertEquals } from "./assert.ts";
import { readRepoFile, tableIn } from "./_markdown.ts";

/** Another version of the bundler gives other sizes, by less than this factor. */
const TOLERANCE = 1.02;

Deno.test("No bundle is larger than bench/README.md records, or holds what is another entry's", async () => {
  const args = ["run", "--allow-all", "--no-lock", "--quiet", "bench/size.ts"];
  const { stdout, stderr } = await new Deno.Command(Deno.execPath(), {
    args,
    cwd: new URL("../", import.meta.url),
    env: { NO_COLOR: "1" },
  }).output();
  const [printed, complaints] = [stdout, stderr].map((bytes) => new TextDecoder().decode(bytes));
  const measured = tableIn(printed!, "bundle");
  assert(measured.length > 10, complaints);
  const recorded = new Map(
    tableIn(readRepoFile("bench/README.md"), "bundle").map(([name, , gzipped]) => [name, Number(gzipped)]),
  );
  const grown = measured.filter(([name, , gzipped]) => Number(gzipped) > TOLERANCE * recorded.get(name)!);
  const leaks = complaints!.split("\n").filter((line) => /^- .* (?:holds|is blind)/.test(line));
  assertEquals([...grown, ...leaks], [], "bench/record.ts size records what has to be larger");
});

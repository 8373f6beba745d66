/**
 * `examples/bun` as its README starts it, copied into an empty directory, on Bun itself.
 */

import { assertEquals } from "../assert.ts";
import { BUN_INSTALLER, bunBinary } from "../services/bun.ts";
import { until } from "../services/demo.ts";
import { installExample } from "../services/packed.ts";
import { freePort } from "../services/_port.ts";
import { spawnGuarded } from "../services/_process.ts";
import { ExampleVisitor, typeReadme, visitExample } from "./_visit.ts";

const EXAMPLE = new URL("../../examples/bun/", import.meta.url);

async function start(cwd: string) {
  const port = freePort();
  // As `bun start` runs it.
  const process = spawnGuarded(bunBinary(), ["main.ts"], { cwd, env: { PORT: String(port), NO_COLOR: "1" } });
  await until(60_000, () => process.output().includes(`:${port}`) || process.exitCode() !== undefined);
  if (process.exitCode() !== undefined) throw new Error(`The example ended early:\n${process.output()}`);
  return { url: `http://127.0.0.1:${port}`, [Symbol.asyncDispose]: () => process.kill() };
}

Deno.test("examples/bun serves sessions that outlive the process", async () => {
  await using app = await installExample(EXAMPLE, { ...BUN_INSTALLER, args: ["add", "--ignore-scripts"] });
  const { scripts } = JSON.parse(await Deno.readTextFile(`${app.dir}/package.json`));
  assertEquals(scripts.start, "bun main.ts");
  const cookies = new Map<string, string>();
  {
    await using example = await start(app.dir);
    await visitExample(example.url);
    await typeReadme(EXAMPLE, example.url);
    const visitor = new ExampleVisitor(example.url);
    await visitor.submit("/login", { user: "zoe" });
    await visitor.submit("/count");
    for (const [name, value] of visitor.cookies) cookies.set(name, value);
  }
  await using example = await start(app.dir);
  const visitor = new ExampleVisitor(example.url);
  for (const [name, value] of cookies) visitor.cookies.set(name, value);
  assertEquals(await visitor.home(), { user: "zoe", count: 1 });
});

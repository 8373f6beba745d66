/**
 * `examples/node` as its README starts it, copied into an empty directory, on Node itself.
 */

import { assertEquals } from "../assert.ts";
import { until } from "../services/demo.ts";
import { startNode } from "../services/node.ts";
import { installExample } from "../services/packed.ts";
import { ExampleVisitor, typeReadme, visitExample } from "./_visit.ts";

const EXAMPLE = new URL("../../examples/node/", import.meta.url);

Deno.test("examples/node serves sessions that outlive the process", async () => {
  await using app = await installExample(EXAMPLE);
  const { scripts, engines } = JSON.parse(await Deno.readTextFile(`${app.dir}/package.json`));
  assertEquals([scripts.start, engines.node], ["node main.js", ">=22.13"]);
  const visitor = await (async () => {
    await using server = await startNode(26, "main.js", { cwd: app.dir, env: { PORT: "0" } });
    const url = `http://127.0.0.1:${server.port}`;
    await visitExample(url);
    await typeReadme(EXAMPLE, url);
    const visitor = new ExampleVisitor(url);
    await visitor.submit("/login", { user: "zoe" });
    Deno.kill(server.process.pid, "SIGTERM");
    await until(30_000, () => server.process.exitCode() !== undefined);
    assertEquals(server.process.exitCode(), 0, server.process.output());
    return visitor;
  })();
  await using again = await startNode(26, "main.js", { cwd: app.dir, env: { PORT: "0" } });
  const later = new ExampleVisitor(`http://127.0.0.1:${again.port}`);
  for (const [name, value] of visitor.cookies) later.cookies.set(name, value);
  assertEquals(await later.home(), { user: "zoe", count: 0 });
});

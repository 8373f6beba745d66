/** On Node `console.dir()` ignores custom inspection, so a request that is printed shows the new token and values. */
import { nodeBinary } from "../services/node.ts";
import { assertEquals } from "../assert.ts";

for (const version of [20, 26] as const) {
  Deno.test(`On Node ${version} a request that is printed gives no token and no value away`, async () => {
    const directory = await Deno.makeTempDir();
    try {
      const entry = decodeURIComponent(new URL("_node_dir.ts", import.meta.url).pathname);
      const args = ["bundle", "--quiet", "--platform=deno", "-o", `${directory}/app.mjs`, entry];
      const bundled = await new Deno.Command(Deno.execPath(), { args }).output();
      assertEquals(bundled.code, 0, new TextDecoder().decode(bundled.stderr));
      const { stdout, stderr } = await new Deno.Command(nodeBinary(version), {
        args: [`${directory}/app.mjs`],
      })
        .output();
      const text = new TextDecoder().decode(stdout);
      assertEquals(text.trim(), "[]", new TextDecoder().decode(stderr));
    } finally {
      await Deno.remove(directory, { recursive: true });
    }
  });
}

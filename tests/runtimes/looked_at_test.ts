/** A middleware around `honoSessions()` that looks at a response of `@hono/node-server` takes no header from it. */
import { assertEquals } from "../assert.ts";
import { startNode } from "../services/node.ts";
import { bundleFor } from "../services/packed.ts";
import { installForNode } from "./_runtimes.ts";

const LOOKS = ["body", "clone", "copy"];
const KINDS = ["text", "html", "plain", "headers", "bare", "stream"];

Deno.test("A response that was looked at has the headers of the session", async (t) => {
  await using installed = await installForNode();
  const entry = await bundleFor(installed, new URL("_serve_looked_at.ts", import.meta.url));
  for (const adapter of ["1", "2"]) {
    await using server = await startNode(20, entry, { cwd: installed.dir, env: { ADAPTER: adapter } });
    for (const look of LOOKS) {
      for (const kind of KINDS) {
        for (const use of ["read", "write"]) {
          await t.step(`@hono/node-server ${adapter}, ${look}, a ${kind}, ${use}`, async () => {
            const url = `http://127.0.0.1:${server.port}/${use}/${kind}?look=${look}`;
            const response = await fetch(url);
            const { headers } = response;
            assertEquals(await response.text(), "hello");
            assertEquals(headers.get("Vary"), "Cookie");
            assertEquals(headers.get("Cache-Control")?.startsWith("private"), true);
            assertEquals(headers.getSetCookie().length, use === "write" ? 1 : 0);
          });
        }
      }
    }
  }
});

/**
 * An application that sends all visitors one `Response` object, on Node behind `@hono/node-server`. No visitor gets
 * what another one got with it.
 * @module
 */

import { assertEquals, assertMatch } from "../assert.ts";
import { startNode } from "../services/node.ts";
import { bundleFor } from "../services/packed.ts";
import { installForNode } from "./_runtimes.ts";

const KINDS = [
  "text",
  "redirect",
  "typed",
  "native",
  "text-with-shared-headers",
  "stream-with-shared-headers",
];

Deno.test("One Response for two visitors at once gives neither the other's session", async (t) => {
  await using installed = await installForNode();
  const entry = await bundleFor(installed, new URL("_serve_shared_response.ts", import.meta.url));
  for (const version of [20, 26] as const) {
    await using server = await startNode(version, entry, { cwd: installed.dir });
    const ask = (path: string, cookie = "consent=yes") =>
      fetch(`http://127.0.0.1:${server.port}${path}`, {
        method: "POST",
        redirect: "manual",
        headers: { Cookie: cookie },
      });
    const steer = async (path: string) =>
      await (await fetch(`http://127.0.0.1:${server.port}${path}`)).text();

    for (const mount of ["fetch", "hono"]) {
      await t.step(`Node ${version}, ${mount}, a buffer and headers that are used again`, async () => {
        const ask = async (visitor: string) => {
          const response = await fetch(`http://127.0.0.1:${server.port}/parts/${mount}/${visitor}`);
          return [response.headers.get("X-Visitor"), await response.text()];
        };
        assertEquals(await Promise.all([ask("a"), ask("b")]), [["a", "aaaaa"], ["b", "bbbbb"]]);
      });
      for (const [method, what] of [["HEAD", "look"], ["GET", "large"]] as const) {
        await t.step(`Node ${version}, ${mount}, a text, and before: ${method}, ${what}`, async () => {
          const url = `http://127.0.0.1:${server.port}/${mount}`;
          const response = await fetch(`${url}/${what}/text`, { method });
          await response.body?.cancel();
          assertEquals(response.status, what === "large" ? 500 : 200);
          for (const _ of [1, 2]) {
            assertEquals(await (await fetch(`${url}/plain/text`)).text(), "welcome");
          }
        });
      }
      for (const kind of KINDS) {
        for (const what of ["leave", "read", "write"]) {
          await t.step(`Node ${version}, ${mount}, a ${kind}, and the other one: ${what}`, async () => {
            await steer("/close");
            const bob = ask(`/${mount}/${what}/${kind}`);
            while (await steer("/held") !== "1") await new Promise((resolve) => setTimeout(resolve, 5));
            const login = await ask(`/${mount}/login/${kind}`);
            await steer("/open");
            const other = await bob;
            await Promise.all([login.body?.cancel(), other.body?.cancel()]);

            const [cookie] = login.headers.getSetCookie();
            assertMatch(cookie!, /^id=[\w-]{43};/);
            const given = other.headers.getSetCookie();
            assertEquals(given.length, what === "write" ? 1 : 0, given.join());
            const isMarked = other.headers.has("Vary");
            if (kind.endsWith("shared-headers")) assertEquals(isMarked, what !== "leave");
            const alice = await ask(`/${mount}/whoami`, cookie!.split(";")[0]);
            assertEquals(await alice.json(), ["alice", null]);
            if (what !== "write") return;
            const visitor = await ask(`/${mount}/whoami`, given[0]!.split(";")[0]);
            assertEquals(await visitor.json(), [null, "bob's"]);
          });
        }
      }
    }
  }
});

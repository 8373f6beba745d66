/** Headers that an application passes to `writeHead()` for every response. */

import { createServer } from "node:http";
import { nodeSessions } from "../../middleware/node.ts";
import { sessions } from "../../mod.ts";
import { assertEquals } from "../assert.ts";

const LISTS: Record<string, (common: string[], own: string) => unknown[]> = {
  "a list of pairs": (common, own) => [["Set-Cookie", common], ["Set-Cookie", own]],
  "a flat list": (common, own) => ["Set-Cookie", common, "Set-Cookie", own],
};

for (const [name, list] of Object.entries(LISTS)) {
  Deno.test(`nodeSessions() adds nothing to an array in ${name} of headers, which the next response has too`, async () => {
    const common = ["theme=dark"];
    const session = nodeSessions(sessions<{ visits: number }>({ cookie: { name: "id" } }));
    const server = createServer((request, response) =>
      session(request, response, async () => {
        await session.of(request);
        response.writeHead(200, list(common, `visitor=${request.url!.slice(1)}`) as string[]);
        response.end();
      })
    );
    await new Promise<void>((resolve) => server.listen(0, "127.0.0.1", resolve));
    const { port } = server.address() as { port: number };
    for (const visitor of ["ann", "ben"]) {
      const response = await fetch(`http://127.0.0.1:${port}/${visitor}`);
      await response.text();
      assertEquals(response.headers.getSetCookie(), ["theme=dark", `visitor=${visitor}`]);
    }
    await new Promise((resolve) => server.close(resolve));
    assertEquals(common, ["theme=dark"]);
  });
}

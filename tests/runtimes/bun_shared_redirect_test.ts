/** On Bun `hasBody()` looks at the end of the printed response. */
import { bunBinary, startBun } from "../services/bun.ts";
import { assertEquals } from "../assert.ts";

Deno.test("On Bun a shared response without a body gives no visitor the cookie of another", async (t) => {
  const directory = await Deno.makeTempDir();
  const entry = decodeURIComponent(new URL("_bun_shared.ts", import.meta.url).pathname);
  const args = ["bundle", "--quiet", "--platform=deno", "-o", `${directory}/app.mjs`, entry];
  const bundled = await new Deno.Command(Deno.execPath(), { args }).output();
  assertEquals(bundled.code, 0, new TextDecoder().decode(bundled.stderr));
  {
    bunBinary();
    await using server = await startBun(`${directory}/app.mjs`);
    const ask = async (path: string, cookie = "") => {
      const headers = { Cookie: cookie };
      const response = await fetch(`http://127.0.0.1:${server.port}/${path}`, {
        headers,
        redirect: "manual",
      });
      assertEquals(response.status < 400, true, `${path}: ${response.status}`);
      return { text: await response.text(), cookie: response.headers.get("Set-Cookie")?.split(";")[0] };
    };
    for (const kind of ["other", "header", "statusText", "last", "empty", "typed"]) {
      await t.step(kind, async () => {
        await ask(`${kind}/login`);
        const second = await ask(`${kind}/page`);
        const { text } = await ask(`${kind}/whoami`, second.cookie);
        assertEquals([second.cookie !== undefined, text], [false, "nobody"]);
        // Sent while another visitor's login is on its way.
        await ask(`${kind}/login`);
        const waiting = ask(`${kind}/wait`);
        await new Promise((resolve) => setTimeout(resolve, 30));
        const login = await ask(`${kind}/slow`);
        const third = await waiting;
        const own = await ask(`${kind}/whoami`, login.cookie);
        assertEquals([third.cookie, own.text], [undefined, "victim"]);
      });
    }
  }
  await Deno.remove(directory, { recursive: true });
});

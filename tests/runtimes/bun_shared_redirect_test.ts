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
      const { status } = response;
      return {
        status,
        text: await response.text(),
        cookie: response.headers.get("Set-Cookie")?.split(";")[0],
      };
    };
    const visit = async (path: string, cookie?: string) => {
      const answer = await ask(path, cookie);
      assertEquals(answer.status < 400, true, `${path}: ${answer.status}`);
      return answer;
    };
    for (const kind of ["other", "header", "statusText", "last", "empty", "typed"]) {
      await t.step(kind, async () => {
        await visit(`${kind}/login`);
        const second = await visit(`${kind}/page`);
        const { text } = await visit(`${kind}/whoami`, second.cookie);
        assertEquals([second.cookie !== undefined, text], [false, "nobody"]);
        // Sent while another visitor's login is on its way.
        await visit(`${kind}/login`);
        const waiting = visit(`${kind}/wait`);
        await new Promise((resolve) => setTimeout(resolve, 30));
        const login = await visit(`${kind}/slow`);
        const third = await waiting;
        const own = await visit(`${kind}/whoami`, login.cookie);
        assertEquals([third.cookie, own.text], [undefined, "victim"]);
      });
    }
    await t.step("one whose body was read fails as it does without a session", async () => {
      assertEquals((await ask("used/ask")).status, (await ask("used/leave")).status);
    });
  }
  await Deno.remove(directory, { recursive: true });
});

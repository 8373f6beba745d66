/** A request neither waits for the result of `waitUntil` nor fails with it. */
import { sessions } from "../../mod.ts";
import { assertEquals } from "../assert.ts";

const ASYNCHRONOUS: Record<string, (work: Promise<unknown>) => Promise<void>> = {
  "that fails": () => Promise.reject(new Error("the queue is full")),
  "that waits for longer than the request": () => new Promise(() => {}),
};

for (const [name, waitUntil] of Object.entries(ASYNCHRONOUS)) {
  Deno.test(`a touch is passed to an asynchronous waitUntil ${name}`, async () => {
    let now = 0;
    const manager = sessions<{ n: number }>({ idleTimeout: "10m", now: () => now });
    const session = await manager.load();
    session.put("n", 1);
    const { token } = await session.commit();
    now = 5 * 60_000;
    const headers = { Cookie: `__Host-session=${token}` };
    const request = manager.begin(new Request("https://example.com/", { headers }), { waitUntil });
    await request.session();
    const response = await request.finish(new Response("text"));
    assertEquals(await response.text(), "text");
    now = 12 * 60_000;
    assertEquals((await manager.load(token)).get("n"), 1);
  });
}

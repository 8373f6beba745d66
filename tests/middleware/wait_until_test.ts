/** A request neither waits for the result of `waitUntil` nor fails with it. */
import { sessions } from "../../mod.ts";
import { withSessions } from "../../middleware/fetch.ts";
import { assertEquals } from "../assert.ts";
import { setCookies } from "../scenarios/_visits.ts";

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

const OF_ERRORS: [name: string, waitUntil: () => unknown, onConsole: number][] = [
  ["does not listen to it", () => {}, 0],
  ["rejects later", () => Promise.reject(new Error("the queue is full")), 1],
  ["throws", () => {
    throw new Error("the request is over");
  }, 1],
];

for (const [name, waitUntil, onConsole] of OF_ERRORS) {
  Deno.test(`An error beside a cookie is passed to a waitUntil that ${name}: no rejection is unhandled`, async () => {
    const failure = new Error("the handler failed");
    const logged: unknown[] = [];
    const { error } = console;
    console.error = (given: unknown) => void logged.push(given);
    try {
      const handler = withSessions(sessions<{ n: number }>(), async (_request, getSession) => {
        const session = await getSession();
        session.put("n", 1);
        await session.commit();
        throw failure;
      });
      const response = await handler(new Request("https://example.com/"), {}, { waitUntil });
      assertEquals([response.status, setCookies(response).length], [500, 1]);
      // Deno's test runner reports an unhandled rejection.
      await new Promise((resolve) => setTimeout(resolve, 5));
    } finally {
      console.error = error;
    }
    assertEquals(logged, Array(onConsole).fill(failure));
  });
}

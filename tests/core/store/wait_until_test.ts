/** An asynchronous `waitUntil` that rejects. An unhandled rejection would fail these tests. */
import { MemoryStore, type SessionContext, sessions } from "../../../mod.ts";
import { withSessions } from "../../../middleware/fetch.ts";
import { assertEquals } from "../../assert.ts";
import { chance } from "../../scenarios/cleanup/_chance.ts";

const waitUntil = (() => Promise.reject(new Error("over"))) as unknown as SessionContext["waitUntil"];

Deno.test("A lazy clean-up survives a waitUntil that rejects", async () => {
  using _chance = chance(0);
  const manager = sessions({ store: new MemoryStore() });
  await (await manager.load(undefined, { waitUntil })).commit();
  await new Promise((resolve) => setTimeout(resolve));
});

Deno.test("withSessions() logs the error of a handler if waitUntil rejects", async () => {
  const error = new Error("handler");
  const handler = withSessions(sessions(), async (_request, getSession) => {
    await (await getSession()).commit();
    throw error;
  });
  const logged: unknown[] = [];
  const { error: log } = console;
  console.error = (...items: unknown[]) => void logged.push(...items);
  try {
    const response = await handler(new Request("https://example.com/"), {}, { waitUntil });
    assertEquals([response.status, response.headers.has("Set-Cookie")], [500, true]);
    await new Promise((resolve) => setTimeout(resolve));
  } finally {
    console.error = log;
  }
  assertEquals(logged, [error]);
});

/** Work on a store in this process that must not hold up other requests. */
import { DatabaseSync } from "node:sqlite";
import { sessions } from "../../mod.ts";
import { SQLiteStore } from "../../stores/sqlite.ts";
import { assert, assertEquals } from "../assert.ts";

for (const what of ["iterate", "sessionsOf"] as const) {
  Deno.test(`${what}() on a store in this process lets other work run in between`, async () => {
    const manager = sessions<{ n: number }>();
    for (let n = 0; n < 10_000; n++) {
      const session = await manager.load();
      session.put("n", n);
      session.subject = "mallory";
      await session.commit();
    }
    let ticks = 0;
    const timer = setInterval(() => ticks++, 0);
    await new Promise((resolve) => setTimeout(resolve, 5));
    ticks = 0;
    if (what === "sessionsOf") await manager.sessionsOf("mallory");
    else for await (const _ of manager.iterate());
    clearInterval(timer);
    assert(ticks > 0, "no timer has fired");
  });
}

Deno.test("Many conflicting writes of one session on SQLite in this process let other work run in between", async () => {
  const store = new SQLiteStore(new DatabaseSync(":memory:"), { cleanup: "off" });
  await store.createTable();
  const manager = sessions<{ n: number }>({ store, onError() {} });
  const { token } = await (await manager.load()).commit();
  let ticks = 0;
  const timer = setInterval(() => ticks++, 0);
  const writes = await Promise.allSettled(Array.from({ length: 100 }, async () => {
    const session = await manager.load(token);
    session.update("n", (n = 0) => n + 1);
    await session.commit();
  }));
  clearInterval(timer);
  assertEquals(writes.filter(({ status }) => status === "rejected"), []);
  assert(ticks > 2, `timers have fired ${ticks} times`);
});

/** Instances whose clocks differ by more than `touchInterval`: a use moves the expiry back now. */
import { MemoryStore, sessions } from "../../mod.ts";
import { aroundCalls } from "../counting_store.ts";
import { assert, assertEquals } from "../assert.ts";

Deno.test("Reads by instances with clocks a little apart do not each write the row", async () => {
  let now = Date.now();
  let writes = 0;
  const store = aroundCalls(new MemoryStore({ cleanup: "off" }), (method, call) => {
    if (method === "touch" || method === "update") writes++;
    return call();
  });
  const one = sessions<{ a: number }>({ store, idleTimeout: "20s", now: () => now, onError() {} });
  const behind = sessions<{ a: number }>({ store, idleTimeout: "20s", now: () => now - 3_000, onError() {} });
  const session = await one.load();
  session.put("a", 1);
  const { token } = await session.commit();
  for (let read = 0; read < 60; read++) {
    now += 500;
    const loaded = await (read % 2 ? one : behind).load(token);
    assertEquals(loaded.get("a"), 1);
    await loaded.commit();
  }
  // 30 seconds with a touch every 2 seconds.
  assert(writes <= 16, `${writes} writes for 60 reads`);
});

Deno.test("A use on an instance whose clock is behind does not end a session that is in use", async () => {
  let now = Date.now();
  const store = new MemoryStore({ cleanup: "off" });
  const one = sessions<{ a: number }>({ store, idleTimeout: "10s", now: () => now, onError() {} });
  const behind = sessions<{ a: number }>({ store, idleTimeout: "10s", now: () => now - 8_000, onError() {} });
  const session = await one.load();
  session.put("a", 1);
  const { token } = await session.commit();
  await (await behind.load(token)).commit();
  now += 3_000;
  assertEquals((await one.load(token)).get("a"), 1);
});

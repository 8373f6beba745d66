/** A polluted `Object.prototype` must not choose the session of a request, nor what a row is written under. */
import { withSessions } from "../../middleware/fetch.ts";
import { MemoryStore, sessions } from "../../mod.ts";
import { ShardedStore } from "../../stores/sharded.ts";
import { assertEquals } from "../assert.ts";

type Data = { who: string; card: string };

async function whilePolluted(name: string, value: unknown, run: () => Promise<void>): Promise<void> {
  Object.defineProperty(Object.prototype, name, {
    value,
    configurable: true,
    enumerable: true,
    writable: true,
  });
  try {
    await run();
  } finally {
    delete (Object.prototype as Record<string, unknown>)[name];
  }
}

Deno.test("Object.prototype.token gives no visitor the session of that token", async () => {
  const manager = sessions<Data>({ onError() {} });
  const attacker = await manager.load();
  attacker.put("who", "attacker");
  const { token } = await attacker.commit();
  const handler = withSessions(manager, async (_request, getSession) => {
    return new Response((await getSession()).get("who") ?? "anonymous");
  });
  const begun = manager.begin.bind(manager);
  await whilePolluted("token", token, async () => {
    const response = await handler(new Request("https://example.com/"));
    assertEquals(await response.text(), "anonymous");
    assertEquals((await begun(new Request("https://example.com/")).session()).get("who"), undefined);
  });
});

Deno.test("Object.prototype.token does not move the row of a session that is saved", async () => {
  const manager = sessions<Data>({ store: new MemoryStore(), onError() {} });
  const session = await manager.load();
  session.put("who", "zoe");
  const { token } = await session.commit();
  await whilePolluted("token", "polluted", async () => {
    const loaded = await manager.load(token);
    loaded.put("card", "4111");
    await loaded.commit();
  });
  assertEquals((await manager.load(token)).get("who"), "zoe");
});

Deno.test("Object.prototype.subject gives a session of nobody to no user", async () => {
  const manager = sessions<Data>({ store: new MemoryStore(), onError() {} });
  const session = await manager.load();
  session.put("who", "zoe");
  const { token } = await session.commit();
  await whilePolluted("subject", "admin", async () => {
    const loaded = await manager.load(token);
    loaded.put("card", "4111");
    await loaded.commit();
  });
  assertEquals((await manager.sessionsOf("admin")).length, 0);
});

Deno.test("Object.prototype.token does not move the row of a renewal across shards", async () => {
  const store = new ShardedStore([new MemoryStore(), new MemoryStore()]);
  const manager = sessions<Data>({ store, onError() {} });
  for (let login = 0; login < 10; login++) {
    const session = await manager.load();
    session.put("who", "zoe");
    await session.commit();
    session.renewToken();
    await whilePolluted("token", "polluted", async () => void await session.commit());
    assertEquals((await manager.load(session.token)).get("who"), "zoe");
  }
});

Deno.test("Object.prototype.token does not move the row of a touch", async () => {
  const store = new MemoryStore();
  const clock = { time: Date.UTC(2026, 2, 4) };
  const now = () => clock.time;
  const session = await sessions<Data>({ store, now, lifetime: "30d", idleTimeout: "7d" }).load();
  session.put("who", "zoe");
  const { token } = await session.commit();
  const shorter = sessions<Data>({ store, now, lifetime: "30d", idleTimeout: "20m" });
  const loaded = await shorter.load(token);
  await whilePolluted("token", "polluted", async () => void await loaded.commit());
  assertEquals((await shorter.load(token)).get("who"), "zoe");
});

/** The session of the request is known as the current one although a lagging replica does not know it. */
import { MemoryStore, sessions, SessionStoreError } from "../../mod.ts";
import { assertEquals, assertRejects } from "../assert.ts";
import { aroundCalls } from "../counting_store.ts";
import { StoppedReplicaStore } from "./_stopped_replica.ts";

type Data = { user: string };

/** Two sessions of one user, and that of a request whose replica does not know it. */
async function twoDevices() {
  const store = new StoppedReplicaStore({ cleanup: "off" });
  const manager = sessions<Data>({ store });
  const tokens: string[] = [];
  for (let device = 0; device < 2; device++) {
    const session = await manager.load();
    session.put("user", "zoe");
    session.subject = "zoe";
    tokens.push((await session.commit()).token);
  }
  store.showNothing();
  return { current: await manager.load(tokens[0]), manager, store, token: tokens[0]! };
}

Deno.test("sessionsOf() marks a session as current that the replica does not know", async () => {
  const { current, manager } = await twoDevices();
  const marks = (await manager.sessionsOf("zoe", { current })).map((one) => one.current);
  assertEquals(marks.sort(), [false, true]);
});

Deno.test("destroyAll() keeps an excepted session after a renewal that did not happen, on a store that gives null", async () => {
  const store = new MemoryStore({ cleanup: "off" });
  const isDown = { update: false };
  const odd = aroundCalls(store, async (method, call) => {
    if (method === "update" && isDown.update) throw new Error("the network is down");
    return await call() ?? null;
  });
  const manager = sessions<Data>({ store: odd });
  const session = await manager.load();
  session.put("user", "zoe");
  session.subject = "zoe";
  const { token } = await session.commit();
  isDown.update = true;
  session.renewToken();
  await assertRejects(() => session.commit(), SessionStoreError);
  assertEquals(await manager.destroyAll("zoe", { except: session }), 0);
  assertEquals((await manager.load(token)).get("user"), "zoe");
});

Deno.test("destroyAll() keeps an excepted session that the replica does not know beside the mark of another", async () => {
  const { manager, store, token } = await twoDevices();
  store.followPrimary();
  const other = await manager.load();
  const { token: old } = await other.commit();
  other.renewToken();
  await other.commit();
  store.showNothing();
  const headers = { Cookie: `__Host-session=${old}; __Host-session=${token}` };
  const current = await manager.begin(new Request("https://example.com/", { headers })).session();
  assertEquals(await manager.destroyAll("zoe", { except: current }), 1);
  store.followPrimary();
  assertEquals((await manager.load(token)).get("user"), "zoe");
});

Deno.test("destroyAll() keeps an excepted session that the replica does not know", async () => {
  const { current, manager, store, token } = await twoDevices();
  assertEquals(await manager.destroyAll("zoe", { except: current }), 1);
  store.followPrimary();
  assertEquals((await manager.load(token)).get("user"), "zoe");
});

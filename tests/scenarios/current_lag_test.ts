/** The session of the request is known as the current one although a lagging replica does not know it. */
import { sessions } from "../../mod.ts";
import { assertEquals } from "../assert.ts";
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

Deno.test("destroyAll() keeps an excepted session that the replica does not know", async () => {
  const { current, manager, store, token } = await twoDevices();
  assertEquals(await manager.destroyAll("zoe", { except: current }), 1);
  store.followPrimary();
  assertEquals((await manager.load(token)).get("user"), "zoe");
});

/** A session is merged into another one while a replica lags. */
import { sessions } from "../../mod.ts";
import { assertEquals } from "../assert.ts";
import { countingStore } from "../counting_store.ts";
import { StoppedReplicaStore } from "./_stopped_replica.ts";

type Data = { cart: string[]; note: string; user: string };

/** Merges the guest's session into a new one, and gives its values. */
async function merge(store: StoppedReplicaStore, guest: string) {
  const session = await sessions<Data>({ store }).load();
  session.put("user", "zoe");
  await session.mergeSession(guest);
  await session.commit();
  return { cart: session.get("cart"), note: session.get("note") };
}

Deno.test("mergeSession() takes over what a lagging replica does not have yet", async () => {
  const store = new StoppedReplicaStore({ cleanup: "off" });
  const guest = await sessions<Data>({ store }).load();
  guest.put("cart", ["book"]);
  const { token } = await guest.commit();
  await store.stopReplica();
  guest.put("cart", ["book", "pen"]);
  guest.put("note", "gift");
  await guest.commit();
  assertEquals(await merge(store, token), { cart: ["book", "pen"], note: "gift" });
});

Deno.test("mergeSession() finds a session that a lagging replica does not know", async () => {
  const store = new StoppedReplicaStore({ cleanup: "off" });
  await store.stopReplica();
  const guest = await sessions<Data>({ store }).load();
  guest.put("cart", ["pen"]);
  const { token } = await guest.commit();
  assertEquals(await merge(store, token), { cart: ["pen"], note: undefined });
});

Deno.test("A session that turns out to be the one it merges is renewed, and nothing is deleted", async () => {
  const replica = new StoppedReplicaStore({ cleanup: "off" });
  await replica.stopReplica();
  const guest = await sessions<Data>({ store: replica }).load();
  guest.put("cart", ["pen"]);
  const { token } = await guest.commit();
  const { store, calls } = countingStore(replica);
  const session = await sessions<Data>({ store }).load(token);
  session.renewToken();
  await session.mergeSession(token);
  await session.commit();
  assertEquals([session.get("cart"), calls()], [["pen"], { find: 3, update: 1 }]);
});

/** What a request removes is removed also where a lagging replica did not show it, if the request saves anything. */
import { withSessions } from "../../middleware/fetch.ts";
import { type Session, sessions } from "../../mod.ts";
import { assertEquals } from "../assert.ts";
import { countingStore } from "../counting_store.ts";
import { StoppedReplicaStore } from "./_stopped_replica.ts";

type Data = { actingAs: string; flash: string; user: string };

/** What a handler does to end the impersonation of another user. */
const REMOVALS: Record<string, (session: Session<Data>) => void> = {
  "remove()": (session) => session.remove("actingAs"),
  "clear()": (session) => session.clear(),
  "update() to undefined": (session) => session.update("actingAs", () => undefined),
  "put() and remove()": (session) => {
    session.put("actingAs", "nobody");
    session.remove("actingAs");
  },
  "remove() after another change": (session) => {
    session.put("flash", "");
    session.remove("actingAs");
  },
};

/** A session whose impersonation the replica does not show. `known`: whether it shows the session. */
async function impersonating(known: boolean) {
  const store = new StoppedReplicaStore({ cleanup: "off" });
  const manager = sessions<Data>({ store });
  const session = await manager.load();
  session.put("user", "ann");
  if (known) await session.commit();
  if (known) await store.stopReplica();
  session.put("actingAs", "zoe");
  session.subject = "zoe";
  const { token } = await session.commit();
  if (!known) store.showNothing();
  return { manager, store, token };
}

for (const known of [true, false]) {
  const replica = known ? "shows an older row" : "does not know the session";
  for (const [how, removal] of Object.entries(REMOVALS)) {
    Deno.test(`${how} removes a value where the replica ${replica}`, async () => {
      const { manager, store, token } = await impersonating(known);
      const handler = withSessions(manager, async (_request, getSession) => {
        const session = await getSession();
        removal(session);
        session.put("flash", "You are yourself again");
        return new Response();
      });
      const headers = { Cookie: `__Host-session=${token}` };
      const response = await handler(new Request("https://example.com/", { headers }));
      assertEquals(response.status, 200);
      store.followPrimary();
      const session = await manager.load(token);
      assertEquals([session.get("flash"), session.get("actingAs")], ["You are yourself again", undefined]);
    });
  }

  Deno.test(`A subject is taken away where the replica ${replica}`, async () => {
    const { manager, store, token } = await impersonating(known);
    const session = await manager.load(token);
    session.subject = undefined;
    session.put("flash", "gone");
    await session.commit();
    store.followPrimary();
    assertEquals((await manager.load(token)).subject, undefined);
    assertEquals(await manager.sessionsOf("zoe"), []);
  });
}

Deno.test("clear() of an empty session before another change removes what another request has saved meanwhile", async () => {
  const manager = sessions<Data>();
  const { token } = await (await manager.load()).commit();
  const [clearing, other] = [await manager.load(token), await manager.load(token)];
  other.put("actingAs", "zoe");
  await other.commit();
  clearing.clear();
  clearing.put("flash", "cleared");
  await clearing.commit();
  assertEquals((await manager.load(token)).keys(), ["flash"]);
});

Deno.test("pop() of a value that it does not give removes nothing", async () => {
  const { manager, store, token } = await impersonating(true);
  const session = await manager.load(token);
  assertEquals(session.pop("actingAs"), undefined);
  session.put("flash", "saved");
  await session.commit();
  store.followPrimary();
  assertEquals((await manager.load(token)).get("actingAs"), "zoe");
});

Deno.test("remove(), clear() and an equal subject without anything to change write nothing", async () => {
  const store = new StoppedReplicaStore({ cleanup: "off" });
  const counting = countingStore(store);
  const manager = sessions<Data>({ store: counting.store });
  const created = await manager.load();
  const { token } = await created.commit();
  counting.reset();
  const session = await manager.load(token);
  session.remove("actingAs");
  session.clear();
  session.subject = undefined;
  await session.commit();
  assertEquals(session.status, "unmodified");
  assertEquals(counting.calls(), { find: 1 });
});

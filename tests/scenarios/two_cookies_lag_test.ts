/** Two cookies of one name while a replica lags. */
import { withSessions } from "../../middleware/fetch.ts";
import { MemoryStore, type SessionEventHook, sessions } from "../../mod.ts";
import { hashToken } from "../../core/bytes/token.ts";
import type { FindOptions } from "../../core/store.ts";
import { assertEquals } from "../assert.ts";

type Data = { who: string; note: string };

/** A store whose replica does not know some tokens yet. */
class LaggingStore extends MemoryStore {
  readonly unknown = new Set<string>();

  override async find(token: string, options: FindOptions) {
    if (this.unknown.has(token) && !options.primary) return undefined;
    return await super.find(token, options);
  }
}

async function twoSessions(onEvent?: SessionEventHook) {
  const store = new LaggingStore({ cleanup: "off" });
  const manager = sessions<Data>({ store, onEvent, onError() {} });
  const create = async (who: string) => {
    const session = await manager.load();
    session.put("who", who);
    return (await session.commit()).token;
  };
  const [first, second] = [await create("first"), await create("second")];
  const cookie = `__Host-session=${first}; __Host-session=${second}`;
  const request = new Request("https://example.com/", { headers: { Cookie: cookie } });
  return { store, manager, first, second, request };
}

Deno.test("A logout after a commit ends both sessions that a lagging replica did not know", async () => {
  const { store, manager, first, second, request } = await twoSessions();
  store.unknown.add(hashToken(first)).add(hashToken(second));
  const logout = withSessions(manager, async (_request, getSession) => {
    const session = await getSession();
    session.put("note", "bye");
    await session.commit();
    await session.destroy();
    return new Response();
  });
  await logout(request);
  store.unknown.clear();
  assertEquals((await manager.load(first)).get("who"), undefined);
  assertEquals((await manager.load(second)).get("who"), undefined);
});

Deno.test("A logout after a renewal that a lagging replica had hidden tells of one end, and leaves the mark", async () => {
  const ended: string[] = [];
  const { store, manager, first } = await twoSessions(({ kind }) => {
    if (kind === "destroyed") ended.push(kind);
  });
  store.unknown.add(hashToken(first));
  const session = await manager.load(first);
  session.renewToken();
  await session.commit();
  await session.destroy();
  // The other session, and the mark.
  assertEquals([ended.length, store.size], [1, 2]);
});

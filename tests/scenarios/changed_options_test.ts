/** What a deployment with other options means for sessions that exist. `docs/guarantees.md` has the rule. */
import { MemoryStore, type SessionManager, type SessionOptions, sessions } from "../../mod.ts";
import { assertEquals } from "../assert.ts";
import { aroundCalls } from "../counting_store.ts";
import { HOUR, MINUTE, onEachStore } from "./_bed.ts";

interface Data {
  user: string;
}

const DAY = 24 * HOUR;

async function signedIn(manager: SessionManager<Data>): Promise<string> {
  const session = await manager.load();
  session.put("user", "ann");
  return (await session.commit()).token;
}

/** One request that reads the session. */
async function visit(manager: SessionManager<Data>, token: string): Promise<string | undefined> {
  const headers = { Cookie: `__Host-session=${token}` };
  const request = manager.begin(new Request("https://example.com/", { headers }));
  const user = (await request.session()).get("user");
  await request.finish(new Response());
  return user;
}

onEachStore("A session in use outlives the deployment that takes idleTimeout away", async (bed) => {
  const token = await signedIn(bed.manager({ lifetime: "7d", idleTimeout: "20m" }));
  const manager = bed.manager<Data>({ lifetime: "7d" });
  for (let minute = 5; minute <= 30; minute += 5) {
    bed.clock.advance(5 * MINUTE);
    assertEquals(await visit(manager, token), "ann", `after ${minute} minutes`);
  }
  const [entry] = [await bed.row()];
  assertEquals(Math.abs(entry.expiry - (bed.clock.time + 7 * DAY - 30 * MINUTE)) < 1_000, true);
});

for (const [before, after] of [["7d", "20m"], [undefined, "20m"]] as const) {
  onEachStore(`A shorter idleTimeout holds from a session's next use: ${before} to ${after}`, async (bed) => {
    const token = await signedIn(bed.manager({ lifetime: "30d", idleTimeout: before }));
    const manager = bed.manager<Data>({ lifetime: "30d", idleTimeout: after });
    bed.clock.advance(HOUR);
    assertEquals(await visit(manager, token), "ann");
    assertEquals(Math.abs((await bed.row()).expiry - (bed.clock.time + 20 * MINUTE)) < 2, true);
    bed.clock.advance(19 * MINUTE);
    assertEquals(await visit(manager, token), "ann");
    bed.clock.advance(20 * MINUTE);
    assertEquals(await visit(manager, token), undefined);
  });
}

onEachStore("A session keeps the deadline that it was given under another lifetime", async (bed) => {
  const token = await signedIn(bed.manager({ lifetime: "30d" }));
  const manager = bed.manager<Data>({ lifetime: "1h" });
  bed.clock.advance(2 * DAY);
  assertEquals(await visit(manager, token), "ann");
});

Deno.test("An expiry is moved back once, by one call", async () => {
  const now = 1e12;
  const store = new MemoryStore();
  const options = { store, lifetime: "30d", now: () => now } satisfies SessionOptions;
  const token = await signedIn(sessions<Data>({ ...options, idleTimeout: "7d" }));
  const calls: string[] = [];
  const counting = aroundCalls(store, (method, call) => (calls.push(method), call()));
  const manager = sessions<Data>({ ...options, store: counting, idleTimeout: "20m" });
  await visit(manager, token);
  await visit(manager, token);
  assertEquals(calls, ["find", "update", "find"]);
});

for (
  const [before, after, unused, seen] of [["20m", "1h", 0, 40], ["30m", "20m", 15, 5], [
    "30m",
    "20m",
    0,
    undefined,
  ]] as const
) {
  onEachStore(
    `lastUsedAt is wrong by the difference until the next use: ${before} to ${after}, unused for ${unused} minutes`,
    async (bed) => {
      const session = await bed.manager<Data>({ idleTimeout: before }).load();
      session.subject = "ann";
      const { token } = await session.commit();
      for (let visits = 0; visits < 12; visits++) {
        bed.clock.advance(10 * MINUTE);
        await visit(bed.manager({ idleTimeout: before }), token);
      }
      bed.clock.advance(unused * MINUTE);

      const manager = bed.manager<Data>({ idleTimeout: after });
      const minutesAgo = async () => {
        const [entry] = await manager.sessionsOf("ann");
        return entry!.lastUsedAt && Math.round((bed.clock.time - entry!.lastUsedAt) / MINUTE);
      };
      assertEquals(await minutesAgo(), seen);
      if (after !== "1h") return;
      await visit(manager, token);
      assertEquals(await minutesAgo(), 0);
    },
  );
}

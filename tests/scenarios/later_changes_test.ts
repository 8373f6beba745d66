/**
 * Changes that a request makes while another write or a touch of its session is open. They count once, and extend the
 * session.
 */
import { SessionStoreError } from "../../mod.ts";
import { assertEquals, assertRejects } from "../assert.ts";
import { memoryAlone, MINUTE, onEachStore } from "./_bed.ts";
import { failUnsent, type Step } from "./_interleaving.ts";

interface Data {
  n: number;
}

const LOST = new Error("the connection broke");
const add = (n = 0) => n + 1;

onEachStore(
  "Changes after a creation in doubt count once, even if a job writes in between",
  async (bed) => {
    const down = Array<Step>(3).fill(failUnsent(LOST));
    // The creation succeeds at last. A job then changes the session before its own request does so again.
    const thenJob: Step = async (call) => {
      const created = await call();
      for await (const session of bed.manager<Data>({ store: bed.another() }).iterate()) {
        session.update("n", add);
        await session.commit();
      }
      return created;
    };
    const session = await bed.interleaved<Data>({ create: [failUnsent(LOST), thenJob], find: down }).load();
    session.update("n", add);
    const error = await assertRejects(() => session.commit(), SessionStoreError);
    assertEquals(error.ambiguous, true);
    session.update("n", add);
    const { token } = await session.commit();
    assertEquals((await bed.manager<Data>().load(token)).get("n"), 3);
  },
);

onEachStore("A save beside a touch that fails moves the expiry itself", async (bed) => {
  const { promise, reject } = Promise.withResolvers<never>();
  const manager = bed.interleaved<Data>({ touch: [() => promise] }, { idleTimeout: "20m" });
  const visitor = await manager.load();
  visitor.put("n", 1);
  const { token } = await visitor.commit();
  bed.clock.advance(19 * MINUTE);
  const work: Promise<unknown>[] = [];
  const session = await manager.load(token, { waitUntil: (promise) => void work.push(promise) });
  await session.commit();
  session.put("n", 2);
  const { expiry } = await session.commit();
  reject(LOST);
  await Promise.all(work);
  assertEquals([(await bed.row()).expiry, expiry], Array(2).fill(bed.clock.time + 20 * MINUTE));
}, memoryAlone);

onEachStore("A touch that ends after a later save leaves what that save has written", async (bed) => {
  const { promise: saved, resolve } = Promise.withResolvers<void>();
  const late: Step = async (call) => {
    await saved;
    return await call();
  };
  const manager = bed.interleaved<Data>({ touch: [late] }, { idleTimeout: "20m" });
  const visitor = await manager.load();
  visitor.put("n", 1);
  const { token } = await visitor.commit();
  bed.clock.advance(10 * MINUTE);
  const work: Promise<unknown>[] = [];
  const session = await manager.load(token, { waitUntil: (promise) => void work.push(promise) });
  await session.commit();
  session.put("n", 2);
  await session.commit();
  resolve();
  await Promise.all(work);
  bed.events.length = 0;
  session.put("n", 3);
  await session.commit();
  assertEquals(bed.eventKinds(), []);
  assertEquals((await manager.load(token)).get("n"), 3);
}, memoryAlone);

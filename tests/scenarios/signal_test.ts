/** An aborted signal stops the waiting, never a logout or a write that was sent. */
import { SessionStoreError } from "../../mod.ts";
import { assertEquals, assertRejects } from "../assert.ts";
import { type Bed, HOUR, onEachStore } from "./_bed.ts";
import type { Step } from "./_interleaving.ts";

async function savedSession(bed: Bed): Promise<string> {
  const session = await bed.manager().load();
  session.put("a", 1);
  session.subject = "zoe";
  const { token } = await session.commit();
  bed.resetCalls();
  return token;
}

const ABORTED = AbortSignal.abort();

onEachStore("A signal aborted before load(): no store call, and a typed error", async (bed) => {
  const token = await savedSession(bed);
  const error = await assertRejects(() => bed.manager().load(token, { signal: ABORTED }), SessionStoreError);
  assertEquals([error.operation, error.reason, error.ambiguous], ["find", "aborted", false]);
  assertEquals(bed.calls(), {});
});

onEachStore("A signal aborted during load() ends the waiting", async (bed) => {
  const token = await savedSession(bed);
  const controller = new AbortController();
  const answered = Promise.withResolvers<void>();
  const hanging: Step = async () => {
    controller.abort();
    await answered.promise;
  };
  const manager = bed.interleaved({ find: [hanging] });
  const error = await assertRejects(
    () => manager.load(token, { signal: controller.signal }),
    SessionStoreError,
  );
  assertEquals([error.reason, error.ambiguous], ["aborted", false]);
  answered.resolve();
});

onEachStore(
  "A signal aborted before commit(): nothing is written, and the changes stay",
  async (bed) => {
    const token = await savedSession(bed);
    const rows = await bed.rows();
    const controller = new AbortController();
    const session = await bed.manager().load(token, { signal: controller.signal });
    session.put("a", 2);
    controller.abort();
    const error = await assertRejects(() => session.commit(), SessionStoreError);
    assertEquals([error.operation, error.reason, error.ambiguous], ["update", "aborted", false]);
    assertEquals(bed.calls(), { find: 1 });
    assertEquals(await bed.rows(), rows);
    assertEquals([session.status, session.get("a")], ["modified", 2]);
  },
);

onEachStore("A signal aborted during commit(): the write that was sent continues", async (bed) => {
  const token = await savedSession(bed);
  const controller = new AbortController();
  const answered = Promise.withResolvers<void>();
  const written = Promise.withResolvers<void>();
  const slow: Step = async (call) => {
    controller.abort();
    await answered.promise;
    const result = await call();
    written.resolve();
    return result;
  };
  const manager = bed.interleaved({ update: [slow] });
  const session = await manager.load(token, { signal: controller.signal });
  session.put("a", 2);
  const error = await assertRejects(() => session.commit(), SessionStoreError);
  assertEquals([error.operation, error.reason, error.ambiguous], ["update", "aborted", true]);
  answered.resolve();
  await written.promise;
  assertEquals((await bed.manager().load(token)).get("a"), 2);
});

onEachStore(
  "A write that the signal kept from being sent is not in doubt, though the session expires",
  async (bed) => {
    const saved = await bed.manager().load();
    const { token } = await saved.commit();
    const controller = new AbortController();
    const session = await bed.manager().load(token, { signal: controller.signal });
    session.put("n", 1);
    controller.abort();
    const saving = session.commit();
    // Before the second attempt.
    bed.clock.advance(25 * HOUR);
    const error = await assertRejects(() => saving, SessionStoreError);
    assertEquals([error.reason, error.ambiguous], ["aborted", false]);
  },
);

onEachStore("A logout ignores the signal", async (bed) => {
  const token = await savedSession(bed);
  const controller = new AbortController();
  const session = await bed.manager().load(token, { signal: controller.signal });
  controller.abort();
  await session.destroy();
  assertEquals(await bed.rows(), []);
});

onEachStore("destroyAll() and destroySession() ignore the signal once they know what to end", async (bed) => {
  await savedSession(bed);
  await savedSession(bed);
  assertEquals(await bed.manager().destroyAll("zoe", { signal: ABORTED }), 2);
  await savedSession(bed);
  const controller = new AbortController();
  const abort: Step = (call) => {
    controller.abort();
    return call();
  };
  const manager = bed.interleaved({ delete: [abort] });
  const [entry] = await manager.sessionsOf("zoe");
  assertEquals(await manager.destroySession("zoe", entry!.id, { signal: controller.signal }), true);
  assertEquals(await bed.rows(), []);
});

onEachStore(
  "A signal aborted during a listing ends it with a typed error, and without another call",
  async (bed) => {
    await savedSession(bed);
    await savedSession(bed);
    const manager = bed.manager();
    const requests = bed.requests();
    const listings = [
      () => manager.iterate({ signal: ABORTED }).next(),
      () => manager.sessionsOf("zoe", { signal: ABORTED }),
    ];
    for (const list of listings) {
      assertEquals((await assertRejects(list, SessionStoreError)).reason, "aborted");
    }
    assertEquals(bed.requests(), requests);

    const controller = new AbortController();
    const seen: unknown[] = [];
    const run = async () => {
      for await (const session of manager.iterate({ signal: controller.signal })) {
        seen.push(session);
        controller.abort();
      }
    };
    assertEquals((await assertRejects(run, SessionStoreError)).reason, "aborted");
    assertEquals(seen.length, 1);
  },
);

onEachStore("A signal that is none is refused, and no call to the store is made", async (bed) => {
  const token = await savedSession(bed);
  const signal = new AbortController() as unknown as AbortSignal;
  await assertRejects(() => bed.manager().load(token, { signal }), TypeError, "must be an AbortSignal");
  await assertRejects(() => bed.manager().sessionsOf("zoe", { signal }), TypeError, "must be an AbortSignal");
  assertEquals(bed.calls(), {});
});

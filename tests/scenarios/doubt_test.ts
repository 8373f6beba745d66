/**
 * A write in doubt belongs to its session. Whatever the request does next first finds out whether the write happened.
 * @module
 */

import { type Session, SessionStoreError } from "../../mod.ts";
import { withSessions } from "../../middleware/fetch.ts";
import { assert, assertEquals, assertRejects } from "../assert.ts";
import type { FullStore } from "../backends.ts";
import { aroundCalls } from "../counting_store.ts";
import { type Bed, onEachStore } from "./_bed.ts";
import { failUnsent } from "./_interleaving.ts";
import { setCookies } from "./_visits.ts";

interface Data {
  n: number;
  late: number;
}

const URL = "https://example.com/";

/**
 * A store that loses the reply to the next call, and is then down until `restore()`.
 *
 * @param isMade Whether the call reaches the store.
 */
function losing(store: FullStore, isMade = true): { store: FullStore; loseReply(): void; restore(): void } {
  let [loses, isDown] = [false, false];
  const unreachable = (ambiguous: boolean) => {
    return new SessionStoreError("update", { reason: "unreachable", retryable: true, ambiguous });
  };
  return {
    loseReply: () => loses = true,
    restore: () => isDown = false,
    store: aroundCalls(store, async (_method, call) => {
      if (isDown) throw unreachable(false);
      if (!loses) return await call();
      [loses, isDown] = [false, true];
      if (isMade) await call();
      throw unreachable(true);
    }) as FullStore,
  };
}

async function signedIn(bed: Bed): Promise<string> {
  const session = await bed.manager<Data>().load();
  session.put("n", 0);
  session.subject = "zoe";
  return (await session.commit()).token;
}

async function failsInDoubt(session: Session<Data>): Promise<void> {
  const error = await assertRejects(() => session.commit(), SessionStoreError);
  assert(error.ambiguous);
}

onEachStore("commit() again after a lost reply finds the first write, and counts once", async (bed) => {
  const token = await signedIn(bed);
  const { store, loseReply, restore } = losing(bed.store);
  const session = await bed.manager<Data>({ store }).load(token);
  session.update("n", (n = 0) => n + 1);
  loseReply();
  await failsInDoubt(session);
  await failsInDoubt(session);
  restore();
  session.update("late", (late = 0) => late + 1);
  await session.commit();
  const found = await bed.manager<Data>().load(token);
  assertEquals([found.get("n"), found.get("late")], [1, 1]);
});

onEachStore("commit() again after a write that happened writes nothing more", async (bed) => {
  const token = await signedIn(bed);
  let updates = 0;
  const counting = aroundCalls(bed.store, (method, call) => {
    if (method === "update") updates++;
    return call();
  }) as FullStore;
  const { store, loseReply, restore } = losing(counting);
  const session = await bed.manager<Data>({ store }).load(token);
  session.put("n", 1);
  loseReply();
  await failsInDoubt(session);
  restore();
  await session.commit();
  assertEquals(updates, 1);
});

onEachStore("finish() after a caught error finds the first write, and counts once", async (bed) => {
  const token = await signedIn(bed);
  const { store, loseReply, restore } = losing(bed.store);
  const handler = withSessions(bed.manager<Data>({ store }), async (_request, getSession) => {
    const session = await getSession();
    session.update("n", (n = 0) => n + 1);
    loseReply();
    await failsInDoubt(session);
    restore();
    return new Response("ok");
  });
  const headers = { Cookie: `__Host-session=${token}` };
  assertEquals((await handler(new Request(URL, { headers }))).status, 200);
  assertEquals((await bed.manager<Data>().load(token)).get("n"), 1);
});

onEachStore("finish() finds a write of an error page whose reply was lost", async (bed) => {
  for (const isMade of [true, false]) {
    const token = await signedIn(bed);
    const { store, loseReply, restore } = losing(bed.store, isMade);
    const headers = { Cookie: `__Host-session=${token}` };
    const request = bed.manager<Data>({ store }).begin(new Request(URL, { headers }));
    const session = await request.session();
    session.put("late", 1);
    request.fail(new Error("on purpose"));
    session.update("n", (n = 0) => n + 1);
    loseReply();
    await failsInDoubt(session);
    restore();
    assertEquals((await request.finish(new Response("sorry"))).status, 200);
    const found = await bed.manager<Data>().load(token);
    assertEquals([found.get("n"), found.get("late")], [1, undefined]);
  }
});

onEachStore(
  "A renewal whose reply was lost ends with a cookie that works, or with the old one",
  async (bed) => {
    for (const isBack of [true, false]) {
      const token = await signedIn(bed);
      const { store, loseReply, restore } = losing(bed.store);
      const handler = withSessions(bed.manager<Data>({ store }), async (_request, getSession) => {
        const session = await getSession();
        session.renewToken();
        session.put("n", 7);
        loseReply();
        await failsInDoubt(session);
        if (isBack) restore();
        return new Response("ok");
      });
      const response = await handler(new Request(URL, { headers: { Cookie: `__Host-session=${token}` } }));
      const [cookie] = setCookies(response);
      assertEquals([response.status, cookie === undefined], isBack ? [200, false] : [503, true]);
      if (cookie) assertEquals((await bed.manager<Data>().load(cookie.value)).get("n"), 7);
      restore();
    }
  },
);

onEachStore("destroy() after a renewal in doubt leaves no session under either token", async (bed) => {
  const token = await signedIn(bed);
  const { store, loseReply, restore } = losing(bed.store);
  const session = await bed.manager<Data>({ store }).load(token);
  session.renewToken();
  loseReply();
  await failsInDoubt(session);
  restore();
  await session.destroy();
  assertEquals(await bed.rows(), []);
  assertEquals((await bed.manager().sessionsOf("zoe")).length, 0);
});

onEachStore(
  "destroy() after a renewal in doubt deletes the cookie, whether it happened or not",
  async (bed) => {
    for (const isMade of [true, false]) {
      const token = await signedIn(bed);
      const { store, loseReply, restore } = losing(bed.store, isMade);
      const handler = withSessions(bed.manager<Data>({ store }), async (_request, getSession) => {
        const session = await getSession();
        session.renewToken();
        loseReply();
        await failsInDoubt(session);
        restore();
        await session.destroy();
        return new Response("bye");
      });
      const response = await handler(new Request(URL, { headers: { Cookie: `__Host-session=${token}` } }));
      assertEquals(setCookies(response).map(({ value }) => value), [""], `${isMade}`);
    }
  },
);

onEachStore(
  "destroy() after a write in doubt leaves the mark of a login that came in between",
  async (bed) => {
    const token = await signedIn(bed);
    const { store, loseReply, restore } = losing(bed.store, false);
    const session = await bed.manager<Data>({ store }).load(token);
    session.put("n", 1);
    loseReply();
    await failsInDoubt(session);
    const other = await bed.manager<Data>().load(token);
    other.renewToken();
    await other.commit();
    restore();
    await session.destroy();
    assertEquals([(await bed.rows()).length, (await bed.marks()).length], [1, 1]);
  },
);

onEachStore("destroy() that cannot look why it deleted no row has not failed for certain", async (bed) => {
  const token = await signedIn(bed);
  const down = failUnsent(new SessionStoreError("find", { reason: "rejected", retryable: false }));
  const steps = {
    delete: [() => Promise.resolve(false)],
    find: [(call: () => Promise<unknown>) => call(), down],
  };
  const session = await bed.interleaved<Data>(steps).load(token);
  const error = await assertRejects(() => session.destroy(), SessionStoreError);
  assertEquals([error.operation, error.ambiguous], ["find", true]);
});

onEachStore(
  "destroy() that fails after it has ended one of two rows has not failed for certain",
  async (bed) => {
    const token = await signedIn(bed);
    let deletions = 0;
    const refusing = aroundCalls(bed.store, (method, call) => {
      if (method !== "delete" || ++deletions === 1) return call();
      throw new SessionStoreError("delete", { reason: "rejected", retryable: false });
    });
    const { store, loseReply, restore } = losing(refusing as FullStore, false);
    const session = await bed.manager<Data>({ store }).load(token);
    session.renewToken();
    loseReply();
    await failsInDoubt(session);
    restore();
    const error = await assertRejects(() => session.destroy(), SessionStoreError);
    assertEquals([deletions, error.reason, error.ambiguous], [2, "rejected", true]);
    assertEquals((await bed.manager<Data>().load(token)).token, undefined);
  },
);

onEachStore(
  "A subject that was set again after a renewal in doubt is the new session's, too",
  async (bed) => {
    const token = await signedIn(bed);
    const { store, loseReply, restore } = losing(bed.store, false);
    const session = await bed.manager<Data>({ store }).load(token);
    session.renewToken();
    loseReply();
    await failsInDoubt(session);
    restore();
    session.subject = "zoe";
    const other = await bed.manager<Data>().load(token);
    other.renewToken();
    await other.commit();
    const { token: own } = await session.commit();
    assert(own !== other.token);
    assertEquals((await bed.manager<Data>().load(own)).subject, "zoe");
  },
);

onEachStore("destroy() after a new session in doubt leaves none", async (bed) => {
  const { store, loseReply, restore } = losing(bed.store);
  const session = await bed.manager<Data>({ store }).load();
  session.put("n", 1);
  loseReply();
  await failsInDoubt(session);
  restore();
  await session.destroy();
  assertEquals(await bed.rows(), []);
  session.put("late", 1);
  const { token } = await session.commit();
  assertEquals((await bed.manager<Data>().load(token)).keys(), ["late"]);
});

onEachStore(
  "destroy() after several attempts to create a session ends each that has arrived",
  async (bed) => {
    const late: (() => Promise<unknown>)[] = [];
    let isDown = false;
    const store = aroundCalls(bed.store, (method, call) => {
      if (isDown) throw new SessionStoreError("find", { reason: "unreachable", retryable: true });
      if (method !== "create") return call();
      late.push(call as () => Promise<unknown>);
      isDown = late.length === 3;
      throw new SessionStoreError("create", { reason: "timeout", retryable: true, ambiguous: true });
    }) as FullStore;
    const session = await bed.manager<Data>({ store }).load();
    session.put("n", 1);
    await failsInDoubt(session);
    for (const arrive of late) await arrive();
    assertEquals((await bed.rows()).length, 3);
    isDown = false;
    await session.destroy();
    assertEquals(await bed.rows(), []);
  },
);

onEachStore("A new session in doubt that was saved is returned by the next commit", async (bed) => {
  const { store, loseReply, restore } = losing(bed.store);
  const session = await bed.manager<Data>({ store }).load();
  session.put("n", 1);
  loseReply();
  await failsInDoubt(session);
  restore();
  const { token } = await session.commit();
  assertEquals((await bed.rows()).length, 1);
  assertEquals((await bed.manager<Data>().load(token)).get("n"), 1);
});

onEachStore("Doubt that cannot be settled stays, and nothing is written twice", async (bed) => {
  const token = await signedIn(bed);
  const { store, loseReply, restore } = losing(bed.store);
  const session = await bed.manager<Data>({ store }).load(token);
  session.update("n", (n = 0) => n + 1);
  loseReply();
  await failsInDoubt(session);
  restore();
  // Enough other writes to push the nonce of the write out of the row.
  for (let i = 0; i < 9; i++) {
    const other = await bed.manager<Data>().load(token);
    other.put("late", i);
    await other.commit();
  }
  for (let i = 0; i < 3; i++) await failsInDoubt(session);
  assertEquals((await bed.manager<Data>().load(token)).get("n"), 1);
});

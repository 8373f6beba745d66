/** Concurrent requests with a forced interleaving: no update is lost, and no ended session comes back. */
import {
  type CommitResult,
  MemoryStore,
  type Session,
  SessionConflictError,
  type SessionEvent,
  SessionGoneError,
  sessions,
  SessionStoreError,
} from "../../../mod.ts";
import { assert, assertEquals, assertNotEquals, assertRejects } from "../../assert.ts";
import { aroundCalls, type StoreMethod } from "../../counting_store.ts";
import { type Bed, HOUR, memoryAlone, MINUTE, onEachStore } from "../../scenarios/_bed.ts";
import { before, failUnsent, type Step } from "../../scenarios/_interleaving.ts";

interface Data {
  n: number;
  a: number;
  b: number;
  list: number[];
}

/** A session in the store. The clock advances a little, so that times differ. */
async function savedSession(bed: Bed, options = {}): Promise<string> {
  const session = await bed.manager<Data>(options).load();
  session.put("n", 0);
  session.subject = "zoe";
  const { token } = await session.commit();
  bed.clock.advance(MINUTE);
  bed.resetCalls();
  bed.events.length = 0;
  return token;
}

/** One whole request of another client. */
async function elsewhere(bed: Bed, token: string, use: (session: Session<Data>) => unknown): Promise<string> {
  const session = await bed.manager<Data>({ store: bed.another() }).load(token);
  assertEquals(session.token, token, "the other request found no session");
  await use(session);
  return session.status === "destroyed" ? "" : (await session.commit()).token;
}

async function valuesOf(bed: Bed, token: string): Promise<Record<string, unknown>> {
  const session = await bed.manager().load(token);
  return Object.fromEntries(session.keys().map((key) => [key, session.get(key)]));
}

onEachStore("Two requests that write different keys both win", async (bed) => {
  const token = await savedSession(bed);
  const manager = bed.interleaved<Data>({
    update: [before(() => elsewhere(bed, token, (other) => other.put("b", 2)))],
  });
  const session = await manager.load(token);
  session.put("a", 1);
  await session.commit();
  assertEquals(await valuesOf(bed, token), { n: 0, a: 1, b: 2 });
  // The session now has the other request's value.
  assertEquals([session.get("a"), session.get("b")], [1, 2]);
  assertEquals(bed.eventKinds(), ["conflict"]);
});

onEachStore("A conflict costs one read of the primary and one more write", async (bed) => {
  const token = await savedSession(bed);
  const primary: unknown[] = [];
  const watched = aroundCalls(bed.store, (method, call, args) => {
    if (method === "find") primary.push((args[1] as { primary?: boolean }).primary ?? false);
    return call();
  });
  const session = await bed.manager<Data>({ store: watched }).load(token);
  await elsewhere(bed, token, (other) => other.put("b", 2));
  session.put("a", 1);
  await session.commit();
  assertEquals(primary, [false, true]);
});

onEachStore("update() loses no count, however many requests read before one writes", async (bed) => {
  const token = await savedSession(bed);
  const manager = bed.manager<Data>();
  const loaded = await Promise.all(Array.from({ length: 5 }, () => manager.load(token)));
  for (const session of loaded) session.update("n", (n = 0) => n + 1);
  for (const session of loaded) await session.commit();
  assertEquals(await valuesOf(bed, token), { n: 5 });

  const again = await Promise.all(Array.from({ length: 4 }, () => manager.load(token)));
  for (const session of again) {
    session.update("n", (n = 0) => n + 1);
    session.update("n", (n = 0) => n + 1);
  }
  await Promise.all(again.map((session) => session.commit()));
  assertEquals(await valuesOf(bed, token), { n: 13 });
});

/** Two requests on one session: the changes of the first one, committed after the second one. */
const MERGES: Record<string, {
  first: (session: Session<Data>) => unknown;
  second: (session: Session<Data>) => unknown;
  values: Partial<Data>;
}> = {
  "put() of one key: the later save wins": {
    first: (session) => session.put("a", 1),
    second: (session) => session.put("a", 2),
    values: { n: 0, a: 1 },
  },
  "remove() of a key that the other changed: it is removed": {
    first: (session) => session.remove("n"),
    second: (session) => session.put("n", 7),
    values: {},
  },
  "put() of a key that the other removed: it is stored": {
    first: (session) => session.put("n", 7),
    second: (session) => session.remove("n"),
    values: { n: 7 },
  },
  "clear(): the other's new values are cleared too": {
    first(session) {
      session.clear();
      session.put("a", 1);
    },
    second: (session) => session.put("b", 2),
    values: { a: 1 },
  },
  "pop() and put(): both apply": {
    first: (session) => session.pop("n"),
    second: (session) => session.put("b", 2),
    values: { b: 2 },
  },
  "update() of a list by both: both apply": {
    first: (session) => session.update("list", (list = []) => [...list, 1]),
    second: (session) => session.update("list", (list = []) => [...list, 2]),
    values: { n: 0, list: [2, 1] },
  },
  "update() that removes: the key is removed": {
    first: (session) => session.update("n", () => undefined),
    second: (session) => session.put("n", 5),
    values: {},
  },
};
onEachStore(
  "Two requests change one key: the later save wins, and keeps the other keys of the earlier one",
  async (bed) => {
    for (const [what, { first, second, values }] of Object.entries(MERGES)) {
      const token = await savedSession(bed);
      const session = await bed.manager<Data>().load(token);
      await elsewhere(bed, token, second);
      await first(session);
      await session.commit();
      assertEquals(await valuesOf(bed, token), values, what);
    }
  },
);

onEachStore("One request moves the deadline and another changes the subject: both apply", async (bed) => {
  const deadline = bed.clock.time + HOUR;
  const move = (session: Session<Data>) => session.setDeadline(deadline);
  const rename = (session: Session<Data>) => session.subject = "bob";
  for (const [first, second] of [[move, rename], [rename, move]] as const) {
    for (const { token } of await bed.rows()) await bed.store.delete(token);
    const token = await savedSession(bed);
    const session = await bed.manager<Data>().load(token);
    await elsewhere(bed, token, second);
    first(session);
    await session.commit();
    assertEquals((await bed.row()).expiry, deadline);
    const again = await bed.manager<Data>().load(token);
    assertEquals([again.deadline, again.subject], [deadline, "bob"]);
    assertEquals((await bed.manager().sessionsOf("bob")).length, 1);
  }
});

onEachStore(
  "One request changes a value in place, another one changes another key: both are saved",
  async (bed) => {
    const token = await savedSession(bed);
    await elsewhere(bed, token, (other) => other.put("list", [1]));
    const session = await bed.manager<Data>().load(token);
    session.get("list")!.push(2);
    await elsewhere(bed, token, (other) => other.put("b", 2));
    await session.commit();
    assertEquals(await valuesOf(bed, token), { n: 0, b: 2, list: [1, 2] });
  },
);

onEachStore("A change during a commit is saved by the next commit", async (bed) => {
  const token = await savedSession(bed);
  const manager = bed.interleaved<Data>({
    update: [before(() => {
      session.put("b", 2);
      return Promise.resolve();
    })],
  });
  const session: Session<Data> = await manager.load(token);
  session.put("a", 1);
  await session.commit();
  assertEquals(await valuesOf(bed, token), { n: 0, a: 1 });
  assertEquals(session.get("b"), 2);
  await session.commit();
  assertEquals(await valuesOf(bed, token), { n: 0, a: 1, b: 2 });
});

onEachStore("A change during a commit that meets a conflict is saved by the next commit", async (bed) => {
  const token = await savedSession(bed);
  const manager = bed.interleaved<Data>({
    update: [before(async () => {
      session.update("n", (n = 0) => n + 1);
      session.remove("a");
      await elsewhere(bed, token, (other) => other.put("n", 10));
    })],
  });
  const session: Session<Data> = await manager.load(token);
  session.put("a", 1);
  session.put("b", 2);
  await session.commit();
  assertEquals(await valuesOf(bed, token), { n: 10, a: 1, b: 2 });
  assertEquals([session.get("n"), session.exists("a")], [11, false]);
  await session.commit();
  assertEquals(await valuesOf(bed, token), { n: 11, b: 2 });
});

onEachStore("A removal during a commit also removes what the commit finds by a conflict", async (bed) => {
  const token = await savedSession(bed);
  const manager = bed.interleaved<Data>({
    update: [before(async () => {
      session.remove("b");
      await elsewhere(bed, token, (other) => other.put("b", 2));
    })],
  });
  const session: Session<Data> = await manager.load(token);
  session.put("a", 1);
  await session.commit();
  assertEquals(session.exists("b"), false);
  await session.commit();
  assertEquals(await valuesOf(bed, token), { n: 0, a: 1 });
});

onEachStore("A change during a commit that fails is saved with the rest by the next commit", async (bed) => {
  const token = await savedSession(bed);
  const manager = bed.interleaved<Data>({
    update: [() => {
      session.put("b", 2);
      session.update("n", (n = 0) => n + 1);
      throw new SessionStoreError("update", { reason: "rejected", retryable: false });
    }],
  });
  const session: Session<Data> = await manager.load(token);
  session.put("a", 1);
  session.update("n", (n = 0) => n + 1);
  await assertRejects(() => session.commit(), SessionStoreError);
  await elsewhere(bed, token, (other) => other.put("n", 10));
  await session.commit();
  assertEquals(await valuesOf(bed, token), { n: 12, a: 1, b: 2 });
});

onEachStore("Two concurrent commits of one session are one write, and create one token", async (bed) => {
  const session = await bed.manager<Data>().load();
  session.put("a", 1);
  const [one, two] = await Promise.all([session.commit(), session.commit()]);
  assertEquals(one, two);
  assertEquals(bed.calls(), { create: 1 });
  await bed.row();
});

onEachStore(
  "If other requests keep changing the session: SessionConflictError, and nothing is saved",
  async (bed) => {
    const token = await savedSession(bed);
    let writes = 0;
    // Only writes advance this clock. So nobody waits five seconds, and a machine that pauses does not cost the
    // second attempt its time.
    const { now: originalNow } = performance;
    let time = originalNow.call(performance);
    const contested = aroundCalls(bed.store, async (method, call) => {
      if (method === "update") {
        await elsewhere(bed, token, (other) => other.put("b", ++writes));
        time += 50;
      }
      return await call();
    });
    const hurried = new Proxy(contested, {
      get: (store, name) => name === "timeout" ? 250 : Reflect.get(store, name),
    });
    const session = await bed.manager<Data>({ store: hurried }).load(token);
    session.put("a", 1);
    performance.now = () => time;
    const error = await assertRejects(() => session.commit(), SessionConflictError)
      .finally(() => performance.now = originalNow);
    assertEquals([error.code, error.status, error.attempts], ["ERR_SESSION_CONFLICT", 503, writes]);
    assert(writes > 1);
    assertEquals(await valuesOf(bed, token), { n: 0, b: writes });
  },
  memoryAlone,
);

/** Every way in which a session ends elsewhere. Returns the token under which it lives on, if any. */
const ENDS: Record<string, (bed: Bed, token: string) => Promise<string | void>> = {
  "destroy()": async (bed, token) => void await elsewhere(bed, token, (other) => other.destroy()),
  "destroyAll()": async (bed) => void await bed.manager().destroyAll("zoe"),
  "destroySession()": async (bed) => {
    const [entry] = await bed.manager().sessionsOf("zoe");
    assert(await bed.manager().destroySession("zoe", entry!.id));
  },
  "a renewal": (bed, token) => elsewhere(bed, token, (other) => other.renewToken()),
  "its expiry": (bed) => Promise.resolve(bed.clock.advance(24 * HOUR)),
  "expiry and a purge": async (bed) => {
    bed.clock.advance(24 * HOUR);
    assertEquals((await bed.manager().purge()).deleted, 1);
  },
  "a deadline in the past": async (bed, token) => {
    await elsewhere(bed, token, (other) => other.setDeadline(bed.clock.time));
  },
};

/** What a request may be doing to the session at that time. */
const renew = (session: Session<Data>) => session.renewToken();
const CHANGES: ((session: Session<Data>) => void)[] = [
  (session) => session.put("a", 1),
  (session) => session.update("n", (n = 0) => n + 1),
  renew,
  (session) => session.setDeadline(session.deadline + HOUR),
];

/** Checks that the session lives only under the token that its end left. */
async function assertEnded(bed: Bed, token: string, successor: string | void): Promise<void> {
  const manager = bed.manager();
  assertEquals((await manager.load(token)).keys(), []);
  assertEquals((await Array.fromAsync(manager.iterate())).length, successor ? 1 : 0);
  if (successor) assertEquals(await valuesOf(bed, successor), { n: 0 });
}

for (const [end, finish] of Object.entries(ENDS)) {
  onEachStore(`A change after ${end}: SessionGoneError, and nothing comes back`, async (bed) => {
    for (const change of CHANGES) {
      // After two renewals each request has a session: see below.
      if (change === renew && end === "a renewal") continue;
      for (const { token } of await bed.rows()) await bed.store.delete(token);
      const token = await savedSession(bed);
      const session = await bed.manager<Data>().load(token);
      change(session);
      const successor = await finish(bed, token);
      const rows = await bed.rows();
      const error = await assertRejects(() => session.commit(), SessionGoneError);
      assertEquals([error.code, error.status], ["ERR_SESSION_GONE", 409]);
      assertEquals(await bed.rows(), rows);
      await assertEnded(bed, token, successor);
    }
  });

  onEachStore(`A touch after ${end} revives nothing`, async (bed) => {
    const options = { idleTimeout: "23h", touchInterval: 0 } as const;
    const token = await savedSession(bed, options);
    let successor: string | void = undefined;
    const tokens = async () => (await bed.rows()).map((row) => row.token);
    const touch: Step = async (call) => {
      successor = await finish(bed, token);
      const before = await tokens();
      await call();
      assertEquals(await tokens(), before);
    };
    await (await bed.interleaved<Data>({ touch: [touch] }, options).load(token)).commit();
    assertEquals([bed.calls().touch, bed.errors], [1, []]);
    await assertEnded(bed, token, successor);
  });

  // A call has the time of its start, so expiry alone cannot happen in between.
  if (end === "its expiry") continue;
  onEachStore(`${end} between a conflict and the second attempt: SessionGoneError`, async (bed) => {
    const token = await savedSession(bed);
    let successor: string | void = undefined;
    const manager = bed.interleaved<Data>({
      update: [
        before(() => elsewhere(bed, token, (other) => other.put("n", 0))),
        before(async () => {
          successor = await finish(bed, token);
        }),
      ],
    });
    const session = await manager.load(token);
    session.put("a", 1);
    await assertRejects(() => session.commit(), SessionGoneError);
    assertEquals(bed.eventKinds().filter((kind) => kind === "conflict"), ["conflict"]);
    await assertEnded(bed, token, successor);
  });
}

onEachStore("destroy() of a session that was renewed meanwhile ends only the old token", async (bed) => {
  const token = await savedSession(bed);
  const manager = bed.manager<Data>();
  const session = await manager.load(token);
  const renewed = await elsewhere(bed, token, (other) => other.renewToken());
  await session.destroy();
  assertEquals((await manager.load(token)).token, undefined);
  assertEquals((await manager.load(renewed)).token, renewed);
});

Deno.test("destroy() makes four deletions at most, with a read between two, though the row is still there", async () => {
  const store = new MemoryStore({ cleanup: "off" });
  const { token } = await (await sessions({ store }).load()).commit();
  const calls: StoreMethod[] = [];
  const refusing = aroundCalls(store, (method, call) => {
    calls.push(method);
    return method === "delete" ? Promise.resolve(calls.length > 20) : call();
  });
  const session = await sessions({ store: refusing }).load(token);
  calls.length = 0;
  await session.destroy();
  assertEquals(calls, ["delete", "find", "delete", "find", "delete", "find", "delete"]);
});

onEachStore(
  "A row that became undecodable ends its session for a request that writes, and stays",
  async (bed) => {
    const token = await savedSession(bed);
    const session = await bed.manager<Data>().load(token);
    session.put("a", 1);
    const row = await bed.row();
    const data = Uint8Array.of(1, 2, 3);
    await bed.store.commit(row.token, data, row.expiry, { now: bed.clock.time });
    await assertRejects(() => session.commit(), SessionGoneError);
    assertEquals((await bed.row()).data, data);
  },
);

onEachStore(
  "A request whose session was ended elsewhere may destroy() it, and begins a new one",
  async (bed) => {
    const token = await savedSession(bed);
    const session = await bed.manager<Data>().load(token);
    await elsewhere(bed, token, (other) => other.destroy());
    session.put("a", 1);
    await assertRejects(() => session.commit(), SessionGoneError);
    await session.destroy();
    session.put("b", 2);
    const { token: own } = await session.commit();
    assertNotEquals(own, token);
    assertEquals(await valuesOf(bed, own), { b: 2 });
  },
);

onEachStore("destroyAll() also ends a session that is renewed at the same time", async (bed) => {
  const token = await savedSession(bed);
  const manager = bed.manager<Data>();
  const session = await manager.load(token);
  session.renewToken();
  const renewed = await session.commit();
  assertEquals(await manager.destroyAll("zoe"), 1);
  assertEquals((await manager.load(renewed.token)).token, undefined);
});

onEachStore("renewToken() is one write: the table has one row before it and one after", async (bed) => {
  const token = await savedSession(bed);
  const [old] = await bed.rows();
  const renewal: Step = async (call) => {
    assertEquals(await bed.rows(), [old]);
    const result = await call();
    assertNotEquals((await bed.row()).token, old!.token);
    return result;
  };
  const session = await bed.interleaved<Data>({ update: [renewal] }).load(token);
  session.renewToken();
  const renewed = await session.commit();
  assertEquals(bed.calls(), { find: 1, update: 1 });
  assertEquals((await bed.manager().load(token)).token, undefined);
  assertEquals(await valuesOf(bed, renewed.token), { n: 0 });
  const [event] = bed.events as Extract<SessionEvent, { kind: "renewed" }>[];
  assertEquals([event?.kind, event?.subject], ["renewed", "zoe"]);
  assertNotEquals(event?.id, event?.previousId);
});

onEachStore(
  "renewToken() whose write fails keeps the old token alive, and may be tried again",
  async (bed) => {
    const token = await savedSession(bed);
    const rows = await bed.rows();
    const failure = new SessionStoreError("update", { reason: "rejected", retryable: false });
    const session = await bed.interleaved<Data>({ update: [failUnsent(failure)] }).load(token);
    session.renewToken();
    session.put("a", 1);
    assertEquals(await assertRejects(() => session.commit(), SessionStoreError), failure);
    assertEquals(await bed.rows(), rows);
    assertEquals((await bed.manager().load(token)).token, token);
    assertEquals(session.token, token);

    const renewed = await session.commit();
    assertNotEquals(renewed.token, token);
    assertEquals((await bed.manager().load(token)).token, undefined);
    assertEquals(await valuesOf(bed, renewed.token), { n: 0, a: 1 });
  },
);

onEachStore(
  "Two concurrent renewals of a user's session: the second one gets only its own changes",
  async (bed) => {
    const token = await savedSession(bed);
    const manager = bed.manager<Data>();
    const sessions = [await manager.load(token), await manager.load(token)];
    const results: CommitResult[] = [];
    for (const session of sessions) {
      session.renewToken();
      session.put("a", 1);
      results.push(await session.commit());
    }
    assertEquals((await bed.rows()).length, 2);
    assertEquals(await valuesOf(bed, results[0]!.token), { n: 0, a: 1 });
    assertEquals(await valuesOf(bed, results[1]!.token), { a: 1 });
    assertEquals((await manager.load(results[1]!.token)).subject, undefined);
    assertEquals((await manager.load(token)).token, undefined);
  },
);

onEachStore(
  "Two concurrent renewals of an anonymous session: each gets what it read and changed",
  async (bed) => {
    const manager = bed.manager<Data>();
    const first = await manager.load();
    first.put("n", 7);
    const { token } = await first.commit();
    const sessions = [await manager.load(token), await manager.load(token)];
    const results: CommitResult[] = [];
    for (const [index, session] of sessions.entries()) {
      session.renewToken();
      session.subject = "zoe";
      session.put("a", index);
      results.push(await session.commit());
    }
    assertEquals(await valuesOf(bed, results[0]!.token), { n: 7, a: 0 });
    assertEquals(await valuesOf(bed, results[1]!.token), { n: 7, a: 1 });
    assertEquals((await manager.sessionsOf("zoe")).length, 2);
    assertEquals((await manager.load(token)).token, undefined);
  },
);

onEachStore("renewToken() keeps what another request saved at the same time", async (bed) => {
  const token = await savedSession(bed);
  const session = await bed.manager<Data>().load(token);
  session.renewToken();
  await elsewhere(bed, token, (other) => other.put("b", 2));
  const renewed = await session.commit();
  await bed.row();
  assertEquals(await valuesOf(bed, renewed.token), { n: 0, b: 2 });
});

onEachStore("A touch never outlives a deadline that was moved at the same time", async (bed) => {
  const options = { idleTimeout: "20m", touchInterval: 0 } as const;
  const token = await savedSession(bed, options);
  const end = bed.clock.time + 5 * MINUTE;
  const manager = bed.interleaved<Data>({
    touch: [before(() => elsewhere(bed, token, (other) => other.setDeadline(end)))],
  }, options);
  await (await manager.load(token)).commit();
  // The touch could not know the new deadline. The row and the data now disagree, and the earlier time counts.
  assertEquals((await bed.row()).expiry, bed.clock.time + 20 * MINUTE);
  const [entry] = await manager.sessionsOf("zoe");
  assertEquals([entry?.expiresAt, (await manager.load(token)).deadline], [end, end]);

  bed.clock.time = end - 1;
  const late = await manager.load(token);
  assertEquals(late.token, token);
  bed.clock.time = end;
  const rows = await bed.rows();
  late.setDeadline(end + HOUR);
  await assertRejects(() => late.commit(), SessionGoneError);
  assertEquals(await bed.rows(), rows);
  assertEquals((await manager.load(token)).token, undefined);
  assertEquals(await Array.fromAsync(manager.iterate()), []);
  assertEquals(await manager.sessionsOf("zoe"), []);
});

/** Writes whose reply was lost. They are read back, never counted twice and never assumed to have happened. */
import { type Session, SessionGoneError, SessionStoreError } from "../../mod.ts";
import { assertEquals, assertNotEquals, assertRejects } from "../assert.ts";
import { aroundCalls } from "../counting_store.ts";
import { type Bed, onEachStore } from "./_bed.ts";
import { before, failUnsent, loseReply, type Step, type Steps } from "./_interleaving.ts";
import { assertShowsNone } from "./_secrets.ts";

interface Data {
  n: number;
  b: number;
}

const LOST = new Error("the connection broke");

async function savedSession(bed: Bed): Promise<string> {
  const session = await bed.manager<Data>().load();
  session.put("n", 0);
  session.subject = "zoe";
  const { token } = await session.commit();
  bed.resetCalls();
  return token;
}

/** Adds 1 through a store whose calls go through these steps. */
async function add(bed: Bed, token: string, steps: Steps): Promise<Session<Data>> {
  const session = await bed.interleaved<Data>(steps).load(token);
  session.update("n", (n = 0) => n + 1);
  await session.commit();
  return session;
}

/** Adds 1 that many times, each time in a write of another request. */
async function addElsewhere(bed: Bed, token: string, times: number): Promise<void> {
  for (let time = 0; time < times; time++) {
    const session = await bed.manager<Data>({ store: bed.another() }).load(token);
    session.update("n", (n = 0) => n + 1);
    await session.commit();
  }
}

const countOf = async (bed: Bed, token: string) => (await bed.manager<Data>().load(token)).get("n");

onEachStore("A write that happened and whose reply was lost counts once", async (bed) => {
  const token = await savedSession(bed);
  const session = await add(bed, token, { update: [loseReply(LOST)] });
  assertEquals(bed.calls(), { find: 2, update: 1 });
  assertEquals(await countOf(bed, token), 1);
  // The session has the stored state, so the next commit is no conflict.
  session.put("b", 2);
  await session.commit();
  assertEquals(bed.calls().update, 2);
});

onEachStore("A write that did not happen is sent again, and counts once", async (bed) => {
  const token = await savedSession(bed);
  await add(bed, token, { update: [failUnsent(LOST)] });
  assertEquals(bed.calls(), { find: 2, update: 1 });
  assertEquals(await countOf(bed, token), 1);
});

onEachStore("A write that arrives late, after the manager looked for it, counts once", async (bed) => {
  const token = await savedSession(bed);
  const late: Step = async (call) => {
    // The first write arrives now, just before the second.
    assertEquals(await call(), true);
    return await call();
  };
  await add(bed, token, { update: [failUnsent(LOST), late] });
  assertEquals(await countOf(bed, token), 1);
});

onEachStore("A write in doubt with another's write in its place: ambiguous, never replayed", async (bed) => {
  const token = await savedSession(bed);
  const step: Step = async () => {
    await addElsewhere(bed, token, 1);
    throw LOST;
  };
  const error = await assertRejects(() => add(bed, token, { update: [step] }), SessionStoreError);
  assertEquals([error.code, error.operation, error.ambiguous], ["ERR_SESSION_STORE", "update", true]);
  assertShowsNone(error, [LOST.message, token, (await bed.row()).token]);
  assertEquals(bed.calls().update, undefined);
  assertEquals(await countOf(bed, token), 1);
});

onEachStore("A write in doubt that is refused later is ambiguous, and not worth a retry", async (bed) => {
  const token = await savedSession(bed);
  const steps = { update: [failUnsent(LOST), before(() => addElsewhere(bed, token, 1))] };
  const error = await assertRejects(() => add(bed, token, steps), SessionStoreError);
  assertEquals([error.operation, error.reason, error.retryable], ["update", "unknown", false]);
  assertEquals(error.ambiguous, true);
  assertEquals(await countOf(bed, token), 1);
});

onEachStore("A write that happened counts once, though the store calls its error final", async (bed) => {
  const token = await savedSession(bed);
  const final = new SessionStoreError("update", { reason: "unknown", retryable: false, ambiguous: true });
  await add(bed, token, { update: [loseReply(final)] });
  assertEquals(await countOf(bed, token), 1);
});

onEachStore(
  "A refused write that cannot be read back is in doubt: it may have arrived twice",
  async (bed) => {
    const token = await savedSession(bed);
    const steps: Steps = {
      find: [(call) => call(), ...Array<Step>(3).fill(failUnsent(LOST))],
      // The first delivery is carried out, and the reply is the refusal of the second one.
      update: [async (call) => [await call(), await call()][1]],
    };
    const session = await bed.interleaved<Data>(steps).load(token);
    session.update("n", (n = 0) => n + 1);
    const error = await assertRejects(() => session.commit(), SessionStoreError);
    assertEquals(error.ambiguous, true);
    await session.commit();
    assertEquals(await countOf(bed, token), 1);
  },
);

onEachStore(
  "A write that happened is found after seven other writes, and is ambiguous after eight",
  async (bed) => {
    const token = await savedSession(bed);
    const buriedBelow = (others: number): Step => async (call) => {
      await call();
      await addElsewhere(bed, token, others);
      throw LOST;
    };
    await add(bed, token, { update: [buriedBelow(7)] });
    assertEquals(await countOf(bed, token), 8);
    const error = await assertRejects(() => add(bed, token, { update: [buriedBelow(8)] }), SessionStoreError);
    assertEquals(error.ambiguous, true);
    assertEquals(await countOf(bed, token), 17);
  },
);

onEachStore(
  "A write that happened, and whose session was ended before it was read back: SessionGoneError",
  async (bed) => {
    const token = await savedSession(bed);
    const step: Step = async (call) => {
      await call();
      await bed.manager().destroyAll("zoe");
      throw LOST;
    };
    await assertRejects(() => add(bed, token, { update: [step] }), SessionGoneError);
    assertEquals(await bed.rows(), []);
  },
);

onEachStore("A write in doubt that cannot be read back is not sent again", async (bed) => {
  const token = await savedSession(bed);
  const down = Array<Step>(3).fill(failUnsent(LOST));
  const steps: Steps = { find: [(call) => call(), ...down], update: [loseReply(LOST)] };
  const error = await assertRejects(() => add(bed, token, steps), SessionStoreError);
  assertEquals([error.operation, error.ambiguous], ["update", true]);
  assertEquals(bed.calls(), { find: 1, update: 1 });
  assertEquals(await countOf(bed, token), 1);
});

onEachStore(
  "A write that never happens is given up after three attempts, and nothing is saved",
  async (bed) => {
    const token = await savedSession(bed);
    const rows = await bed.rows();
    let attempts = 0;
    const failing: Step = () => {
      attempts++;
      return Promise.reject(LOST);
    };
    const session = await bed.interleaved<Data>({ update: Array<Step>(4).fill(failing) }).load(token);
    session.update("n", (n = 0) => n + 1);
    const error = await assertRejects(() => session.commit(), SessionStoreError);
    assertEquals([error.reason, error.retryable, attempts], ["unknown", true, 3]);
    assertEquals(await bed.rows(), rows);
    await session.commit();
    assertEquals(await countOf(bed, token), 1);
  },
);

onEachStore(
  "A commit after the deadline that cannot read the row has sent nothing, and is not in doubt",
  async (bed) => {
    const token = await savedSession(bed);
    const refusal = new SessionStoreError("find", { reason: "rejected", retryable: false });
    const session = await bed.interleaved<Data>({ find: [(call) => call(), failUnsent(refusal)] }).load(
      token,
    );
    session.put("b", 2);
    bed.clock.time = session.deadline;
    const error = await assertRejects(() => session.commit(), SessionStoreError);
    assertEquals([error.operation, error.ambiguous], ["find", false]);
    assertEquals(bed.calls().update, undefined);
  },
);

onEachStore("A write that failed for good is neither read back nor sent again", async (bed) => {
  const token = await savedSession(bed);
  const failure = new SessionStoreError("update", { reason: "unauthorized", retryable: false });
  const error = await assertRejects(
    () => add(bed, token, { update: [failUnsent(failure)] }),
    SessionStoreError,
  );
  assertEquals(error, failure);
  assertEquals(bed.calls(), { find: 1 });
});

for (
  const [what, step] of Object.entries({ "happened": loseReply(LOST), "did not happen": failUnsent(LOST) })
) {
  onEachStore(`A creation that ${what} and whose reply was lost creates one session`, async (bed) => {
    const session = await bed.interleaved<Data>({ create: [step] }).load();
    session.update("n", (n = 0) => n + 1);
    const { token } = await session.commit();
    await bed.row();
    assertEquals(await countOf(bed, token), 1);
    assertEquals(bed.eventKinds(), ["created"]);
  });

  onEachStore(`A renewal that ${what} and whose reply was lost leaves one token alive`, async (bed) => {
    const token = await savedSession(bed);
    const session = await bed.interleaved<Data>({ update: [step] }).load(token);
    session.renewToken();
    session.update("n", (n = 0) => n + 1);
    const renewed = await session.commit();
    assertNotEquals(renewed.token, token);
    await bed.row();
    assertEquals(await countOf(bed, renewed.token), 1);
    assertEquals((await bed.manager().load(token)).token, undefined);
  });

  onEachStore(`A logout that ${what} and whose reply was lost is sent again`, async (bed) => {
    const token = await savedSession(bed);
    const session = await bed.interleaved<Data>({ delete: [step] }).load(token);
    await session.destroy();
    assertEquals([session.status, await bed.rows()], ["destroyed", []]);
  });
}

onEachStore(
  "A renewal that happened, and was ended before it was read back, is not repeated",
  async (bed) => {
    const token = await savedSession(bed);
    const step: Step = async (call) => {
      await call();
      await bed.manager().destroyAll("zoe");
      throw LOST;
    };
    const session = await bed.interleaved<Data>({ update: [step] }).load(token);
    session.renewToken();
    await assertRejects(() => session.commit(), SessionGoneError);
    assertEquals(await bed.rows(), []);
  },
);

onEachStore("A write that happened is noticed although the store reports no row", async (bed) => {
  const token = await savedSession(bed);
  const silent: Step = async (call) => {
    assertEquals(await call(), true);
    return false;
  };
  await add(bed, token, { update: [silent] });
  assertEquals(await countOf(bed, token), 1);

  const session = await bed.interleaved<Data>({ create: [silent] }).load();
  session.put("n", 5);
  const created = await session.commit();
  assertEquals(await countOf(bed, created.token), 5);
  assertEquals((await bed.rows()).length, 2);
});

onEachStore("A renewal that happened is found where its mark is gone", async (bed) => {
  const token = await savedSession(bed);
  const old = (await bed.row()).token;
  const step: Step = async (call) => {
    await call();
    await bed.store.delete(old);
    throw LOST;
  };
  const session = await bed.interleaved<Data>({ update: [step] }).load(token);
  session.renewToken();
  const { token: renewed } = await session.commit();
  assertEquals((await bed.manager<Data>().load(renewed)).get("n"), 0);
});

onEachStore("A token that already exists is not overwritten, and another one is created", async (bed) => {
  await savedSession(bed);
  const { data, expiry } = await bed.row();
  let taken: string | undefined;
  const occupied = aroundCalls(bed.store, async (method, call, [token]) => {
    if (method === "create" && taken === undefined) {
      taken = String(token);
      await bed.store.commit(taken, data, expiry, { now: bed.clock.time });
    }
    return call();
  });
  const session = await bed.manager<Data>({ store: occupied }).load();
  session.put("n", 5);
  const { token } = await session.commit();
  assertEquals(await countOf(bed, token), 5);
  assertEquals((await bed.rows()).find((row) => row.token === taken), { token: taken!, data, expiry });
});

onEachStore("A read that fails temporarily is sent again, at most three times in all", async (bed) => {
  const token = await savedSession(bed);
  const twice = bed.interleaved<Data>({ find: [failUnsent(LOST), failUnsent(LOST)] });
  assertEquals((await twice.load(token)).get("n"), 0);
  const thrice = bed.interleaved<Data>({ find: Array<Step>(3).fill(failUnsent(LOST)) });
  const error = await assertRejects(() => thrice.load(token), SessionStoreError);
  assertEquals([error.operation, error.ambiguous], ["find", false]);
});

onEachStore("Changes whose commit failed are saved by the next one, also after a conflict", async (bed) => {
  const token = await savedSession(bed);
  const session = await bed.interleaved<Data>({
    update: [
      failUnsent(new SessionStoreError("update", { reason: "rejected", retryable: false })),
      before(() => addElsewhere(bed, token, 1)),
    ],
  }).load(token);
  session.update("n", (n = 0) => n + 1);
  await assertRejects(() => session.commit(), SessionStoreError);
  session.update("n", (n = 0) => n + 1);
  session.put("b", 2);
  await session.commit();
  assertEquals(await countOf(bed, token), 3);
});

onEachStore(
  "A write in doubt is ambiguous if another request extends the session right after it was read back",
  async (bed) => {
    const token = await savedSession(bed);
    const { deadline } = await bed.manager().load(token);
    const prolong: Step = async (call) => {
      const found = await call();
      const session = await bed.manager({ store: bed.another() }).load(token);
      session.setDeadline(deadline + 1_000);
      await session.commit();
      bed.clock.time = deadline;
      return found;
    };
    const load: Step = (call) => call();
    const steps = { find: [load, prolong], update: [failUnsent(LOST)] };
    const error = await assertRejects(() => add(bed, token, steps), SessionStoreError);
    assertEquals(error.ambiguous, true);
    assertEquals(await countOf(bed, token), 0);
  },
);

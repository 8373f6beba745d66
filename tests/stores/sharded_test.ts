/**
 * Sessions on several stores: which store has a session, which calls reach a store, renewals that move a session to
 * another store, and adding a store while others are in use.
 */
import {
  MemoryStore,
  type Session,
  SessionConfigError,
  SessionError,
  SessionGoneError,
  type SessionManager,
  sessions,
  SessionStoreError,
  type StoreOptions,
} from "../../mod.ts";
import { createClient } from "@libsql/client";
import { hashToken } from "../../core/bytes/token.ts";
import { LibSQLStore } from "../../stores/libsql.ts";
import { type Shard, ShardedStore } from "../../stores/sharded.ts";
import { ShardedPlanetScaleStore } from "../../stores/planetscale_sharded.ts";
import { assert, assertEquals, assertInstanceOf, assertRejects, assertThrows } from "../assert.ts";
import { aroundCalls, countingStore, type StoreMethod } from "../counting_store.ts";

const HOUR = 3_600_000;
const now = Date.UTC(2026, 2, 4, 5, 6, 7, 890);
const later = now + HOUR;
const DATA = new TextEncoder().encode('{"deadline":4102444800000,"values":{}}');
const OTHER = new TextEncoder().encode('{"deadline":4102444800000,"values":{"a":1}}');

const memory = () => new MemoryStore({ cleanup: "off" });
const memories = (count: number) => Array.from({ length: count }, memory);
const randomToken = () =>
  crypto.getRandomValues(new Uint8Array(32)).toBase64({ alphabet: "base64url", omitPadding: true });

/** A token that belongs to the store with this index. */
function tokenIn(stores: MemoryStore[], index: number): string {
  while (true) {
    const token = randomToken();
    if (placeOf(stores, token) === stores[index]) return token;
  }
}

Deno.test("ShardedStore gives every store its share", async () => {
  for (const count of [2, 3, 16]) {
    const shards = memories(count);
    const store = new ShardedStore(shards);
    const total = 1_000 * count;
    for (let i = 0; i < total; i++) await store.create(randomToken(), DATA, later, { now });
    for (const { size } of shards) {
      assert(size > 850 && size < 1_150, `${size} of ${total} on one of ${count}`);
    }
    // Also with similar tokens, as an application without hashing may have them.
    for (let i = 0; i < total; i++) await store.create(`t${i}`, DATA, later, { now });
    for (const { size } of shards) assert(size > 1_700 && size < 2_300, `${size} of ${2 * total}`);
  }
});

Deno.test("An added store takes its share of the tokens, and no other token moves", async () => {
  const tokens = Array.from({ length: 4_000 }, randomToken);
  const placesOn = async (count: number) => {
    const shards = memories(count);
    const store = new ShardedStore(shards);
    const places: number[] = [];
    for (const token of tokens) {
      const before = shards.map(({ size }) => size);
      await store.create(token, DATA, later, { now });
      places.push(shards.findIndex(({ size }, index) => size > before[index]!));
    }
    return places;
  };
  const [three, four] = [await placesOn(3), await placesOn(4)];
  const moved = tokens.filter((_, index) => three[index] !== four[index]);
  assert(moved.length > 850 && moved.length < 1_150, `${moved.length} of 4,000`);
  tokens.forEach((_, index) => assert(four[index] === 3 || four[index] === three[index]));
});

Deno.test("ShardedStore places a token where earlier versions did", async () => {
  // After a change of the hash no session would be found any more.
  const shards = memories(16);
  const store = new ShardedStore(shards);
  for (let i = 0; i < 12; i++) await store.create(`token-${i}`, DATA, later, { now });
  const places: number[] = [];
  for (let i = 0; i < 12; i++) {
    for (const [index, shard] of shards.entries()) {
      if (await shard.find(`token-${i}`, { now })) places.push(index);
    }
  }
  assertEquals(places, PLACES);
});

const PLACES = [15, 6, 11, 2, 6, 3, 4, 0, 13, 1, 2, 10];

Deno.test("A call for one session is one call to one store, except a logout and a renewal to another store", async () => {
  const shards = memories(3);
  const counting = shards.map((shard) => countingStore(shard));
  const store = new ShardedStore(counting.map(({ store }) => store));
  const calls = async (work: () => Promise<unknown>) => {
    counting.forEach((each) => each.reset());
    await work();
    return counting.map((each) => each.count()).sort();
  };
  const [a, sameStore, otherStore] = [
    tokenIn(shards, 0),
    tokenIn(shards, 0),
    tokenIn(shards, 2),
  ];
  assertEquals(await calls(() => store.create(a, DATA, later, { now, subject: "zoe" })), [0, 0, 1]);
  assertEquals(await calls(() => store.find(a, { now })), [0, 0, 1]);
  assertEquals(await calls(() => store.touch(a, later + 1, { now })), [0, 0, 1]);
  assertEquals(await calls(() => store.update(a, DATA, { token: a, data: OTHER }, { now })), [0, 0, 1]);
  assertEquals(
    await calls(() => store.update(a, OTHER, { token: sameStore, data: DATA }, { now })),
    [0, 0, 1],
  );
  const next = { token: otherStore, data: DATA, expiry: later, subject: "zoe" };
  const mark = { data: OTHER, expiry: now + 60_000 };
  // The new store gets the pending row and the session. The old one gets the switch and the expiry of the mark.
  assertEquals(await calls(() => store.update(sameStore, DATA, { ...next, mark }, { now })), [0, 2, 2]);
  assertEquals(await calls(() => store.delete(otherStore)), [0, 0, 2]);
  assertEquals(await calls(() => Array.fromAsync(store.findBySubject("zoe", { now }))), [1, 1, 1]);
  // A session of the first subject has moved lately, so it lists twice. None of the second one has.
  assertEquals(await calls(() => store.deleteBySubject("zoe")), [2, 2, 2]);
  assertEquals(await calls(() => store.deleteBySubject("max")), [1, 1, 1]);
  await store.create(a, DATA, later, { now, subject: "max" });
  assertEquals(await calls(() => store.deleteBySubject("max")), [2, 2, 3]);
  assertEquals(await calls(() => Array.fromAsync(store.all({ now }))), [1, 1, 1]);
});

Deno.test("ShardedStore lists a subject's sessions on all stores at once", async () => {
  let [running, most] = [0, 0];
  const shards = memories(8).map((shard) =>
    aroundCalls(shard, (method, call) => {
      if (method !== "findBySubject") return call();
      const rows = call() as AsyncIterable<unknown>;
      return (async function* () {
        most = Math.max(most, ++running);
        await new Promise((resolve) => setTimeout(resolve, 5));
        running--;
        yield* rows;
      })();
    })
  );
  const store = new ShardedStore(shards);
  for (let i = 0; i < 40; i++) await store.create(randomToken(), DATA, later, { now, subject: "zoe" });
  assertEquals((await Array.fromAsync(store.findBySubject("zoe", { now }))).length, 40);
  assertEquals(most, 8);
  assertEquals(await store.deleteBySubject("zoe"), 40);
});

/** A session on three stores that is about to be renewed. The test can intercept every call to a store. */
class Scene {
  readonly shards = memories(3);
  intercept: ((method: StoreMethod, call: () => unknown, shard: number) => unknown) | undefined;
  readonly store = new ShardedStore(
    this.shards.map((shard, index) =>
      aroundCalls(shard, (method, call) => this.intercept ? this.intercept(method, call, index) : call())
    ),
  );
  readonly manager: SessionManager = sessions({ store: this.store, now: () => now, cookie: { name: "s" } });
  token = "";
  renewing!: Session;

  static async open(subject: string | undefined): Promise<Scene> {
    const scene = new Scene();
    const session = await scene.manager.load();
    session.put("a", 1);
    session.subject = subject;
    scene.token = (await session.commit()).token;
    scene.renewing = await scene.manager.load(scene.token);
    return scene;
  }

  async works(token: string): Promise<boolean> {
    return (await this.manager.load(token)).get("a") === 1;
  }

  async live(): Promise<number> {
    const found = await Array.fromAsync(this.manager.iterate(), (session) => session.get("a"));
    return found.filter((value) => value === 1).length;
  }

  renew(): Promise<{ token: string }> {
    this.renewing.renewToken();
    return this.renewing.commit();
  }

  /** Whether the new token belongs to another store. */
  crossed(token: string): boolean {
    return placeOf(this.shards, hashToken(token)) !== placeOf(this.shards, hashToken(this.token));
  }
}

/** The store that a token belongs to, found by a call with it. Nothing is stored. */
function placeOf(shards: MemoryStore[], token: string): MemoryStore {
  let place: MemoryStore | undefined;
  const probes = shards.map((shard) =>
    aroundCalls(shard, () => {
      place = shard;
      return Promise.resolve(true);
    })
  );
  void new ShardedStore(probes).create(token, DATA, later, { now });
  return place!;
}

for (const subject of ["zoe", undefined]) {
  for (const fate of ["is lost", "loses its answer", "is lost, and all that follow"] as const) {
    Deno.test(`A renewal to another store leaves one working token if one of its calls ${fate}, subject ${subject}`, async () => {
      let crossings = 0;
      for (let failing = 1; failing <= 9; failing++) {
        for (let round = 0; round < 4; round++) {
          const scene = await Scene.open(subject);
          let calls = 0;
          scene.intercept = async (_method, call) => {
            calls++;
            const fails = fate.endsWith("follow") ? calls >= failing : calls === failing;
            if (!fails) return await call();
            if (fate === "loses its answer") await call();
            throw new SessionStoreError("update", {
              reason: "unreachable",
              retryable: true,
              ambiguous: true,
            });
          };
          const outcome = await scene.renew().catch((error) => error);
          scene.intercept = undefined;
          assertEquals(await scene.live(), 1, `call ${failing}`);
          if (outcome instanceof Error) assertInstanceOf(outcome, SessionError);
          else {
            assert(await scene.works(outcome.token), `call ${failing}: the new token does not work`);
            assert(!(await scene.works(scene.token)), `call ${failing}: the old token works too`);
            if (scene.crossed(outcome.token)) crossings++;
            assertEquals((await scene.manager.load(outcome.token)).subject, subject);
          }
          assertEquals(await scene.live(), 1, `call ${failing}`);
          if (subject === undefined) continue;
          assertEquals((await scene.manager.sessionsOf(subject)).length, 1);
          assertEquals(await scene.manager.destroyAll(subject), 1);
          assertEquals(await scene.live(), 0);
        }
      }
      assert(crossings > 0, "none crossed");
    });
  }
}

Deno.test("A logout or destroyAll() at any moment of a renewal to another store is not undone by it", async () => {
  for (const how of ["destroyAll", "destroy"] as const) {
    for (let moment = 1; moment <= 8; moment++) {
      for (let round = 0; round < 4; round++) {
        const scene = await Scene.open("zoe");
        const other = await scene.manager.load(scene.token);
        let calls = 0;
        scene.intercept = async (_method, call) => {
          if (++calls === moment) {
            scene.intercept = undefined;
            await (how === "destroy" ? other.destroy() : scene.manager.destroyAll("zoe"));
          }
          return await call();
        };
        const outcome = await scene.renew().catch((error) => error);
        scene.intercept = undefined;
        if (calls < moment) continue;
        assert(!(await scene.works(scene.token)), `${how}, call ${moment}`);
        if (how === "destroyAll") assertEquals(await scene.live(), 0, `call ${moment}`);
        // A logout with a token that was renewed meanwhile ends only that token.
        else if (!(outcome instanceof Error)) assert(await scene.works(outcome.token), `call ${moment}`);
        else assertInstanceOf(outcome, SessionGoneError, `call ${moment}`);
      }
    }
  }
});

Deno.test("A logout with the old token of an interrupted renewal spares the session", async () => {
  let interrupted = 0;
  for (let round = 0; round < 16; round++) {
    const scene = await Scene.open(undefined);
    const other = await scene.manager.load(scene.token);
    let isSwitched = false;
    scene.intercept = async (method, call) => {
      if (isSwitched) throw new SessionStoreError("update", { reason: "unreachable", retryable: true });
      const answer = await call();
      isSwitched = method === "update";
      return answer;
    };
    const { token } = await scene.renew();
    scene.intercept = undefined;
    if (scene.crossed(token)) interrupted++;
    // The manager deletes what it has read; a store that is asked without that spares the session, too.
    if (round % 2 === 0) await other.destroy();
    else assertEquals(await scene.store.delete(hashToken(scene.token), { now } as object), true);
    assert(await scene.works(token), `round ${round}`);
  }
  assert(interrupted > 0, "none crossed");
});

Deno.test("destroyAll() ends a session that moves from a store that is listed later to one that was listed", async () => {
  let crossings = 0;
  for (let round = 0; round < 8; round++) {
    const scene = await Scene.open("zoe");
    const home = placeOf(scene.shards, hashToken(scene.token));
    let asked = 0;
    const { promise: haveAnswered, resolve } = Promise.withResolvers<void>();
    scene.intercept = (method, call, shard) => {
      if (method !== "findBySubject" || asked > 2) return call();
      asked++;
      return (async function* () {
        if (scene.shards[shard] !== home) {
          yield* call() as AsyncIterable<unknown>;
          if (asked === 3) resolve();
          return;
        }
        await haveAnswered;
        const { token } = await scene.renew();
        if (scene.crossed(token)) crossings++;
        yield* call() as AsyncIterable<unknown>;
      })();
    };
    assertEquals(await scene.manager.destroyAll("zoe"), 1, `round ${round}`);
    assertEquals(await scene.live(), 0, `round ${round}`);
  }
  assert(crossings > 0, "none crossed");
});

for (const renews of [false, true]) {
  Deno.test(`destroyAll() on shards spares a session that another subject got after the listing, renewed: ${renews}`, async () => {
    for (let round = 0; round < 4; round++) {
      const scene = await Scene.open("zoe");
      const { token } = scene;
      let acknowledged = token;
      const giveToMax = async () => {
        scene.intercept = undefined;
        const other = await scene.manager.load(token);
        other.subject = "max";
        if (renews) other.renewToken();
        acknowledged = (await other.commit()).token;
      };
      scene.intercept = (method, call) => method === "delete" ? giveToMax().then(call) : call();
      assertEquals(await scene.manager.destroyAll("zoe"), 0);
      assertEquals((await scene.manager.load(acknowledged)).subject, "max");
    }
  });
}

/** The stores refuse every update but the next one, which interrupts a renewal to another store. */
function rejectLaterUpdates(scene: Scene): void {
  let updates = 0;
  scene.intercept = (method, call) => {
    if (method !== "update" || ++updates === 1) return call();
    throw new SessionStoreError("update", { reason: "rejected", retryable: false });
  };
}

Deno.test("A session whose renewal was interrupted is read, though its mark cannot be completed", async () => {
  let interrupted = 0;
  for (let round = 0; round < 8; round++) {
    const scene = await Scene.open(undefined);
    rejectLaterUpdates(scene);
    const { token } = await scene.renew();
    if (!scene.crossed(token)) continue;
    interrupted++;
    // The session is completed, and then its mark is not.
    rejectLaterUpdates(scene);
    assert(await scene.works(token), `round ${round}`);
    scene.intercept = undefined;
    assertEquals(await scene.live(), 1);
  }
  assert(interrupted > 0, "none crossed");
});

Deno.test("A renewal on shards that is repeated goes on where it failed, and no other renewal does", async () => {
  const shards = memories(2);
  let isDown = false;
  let last: StoreMethod | undefined;
  const store = new ShardedStore(
    shards.map((shard) =>
      aroundCalls(shard, async (method, call) => {
        if (isDown) throw new SessionStoreError("update", { reason: "unreachable", retryable: true });
        const answer = await call();
        isDown = method === last;
        return answer;
      })
    ),
  );
  const downAfter = (method: StoreMethod | undefined) => [isDown, last] = [false, method];
  const [old, other, token] = [tokenIn(shards, 0), tokenIn(shards, 0), tokenIn(shards, 1)];
  for (const one of [old, other]) await store.create(one, DATA, later, { now });
  const next = { token, data: OTHER, expiry: later };

  downAfter("create");
  await assertRejects(() => store.update(old, DATA, next, { now }), SessionStoreError);
  downAfter(undefined);
  assertEquals(await store.update(other, DATA, next, { now }), false);
  assertEquals(await store.update(old, DATA, { ...next, data: DATA }, { now }), false);
  for (const one of [old, other]) assertEquals((await store.find(one, { now }))?.data, DATA);

  // The switch is done, and the steps after it fail.
  downAfter("update");
  assertEquals(await store.update(old, DATA, next, { now }), true);
  downAfter(undefined);
  assertEquals(await store.update(old, DATA, next, { now }), true);
  assertEquals(shards.map(({ size }) => size), [1, 1]);
  assertEquals(await shards[1]!.find(token, { now }), { data: OTHER, expiry: later });
  assertEquals(await store.find(old, { now }), undefined);
});

/** A session on the first of two stores, and how to renew it to the second one. */
async function openPair(
  around: (method: StoreMethod, call: () => unknown) => unknown = (_method, call) => call(),
  mark?: { data: Uint8Array; expiry: number },
) {
  const shards = memories(2);
  const [old, token] = [tokenIn(shards, 0), tokenIn(shards, 1)];
  const store = new ShardedStore(shards.map((shard) => aroundCalls(shard, around)));
  await shards[0]!.create(old, DATA, later, { now, subject: "zoe" });
  const next = { token, data: OTHER, expiry: later, subject: "zoe", mark };
  const renew = (expected = DATA, given = {}) => store.update(old, expected, { ...next, ...given }, { now });
  return { shards, old, token, store, renew };
}

/** Fails from the second update on, so that a renewal ends with the switch. */
function untilSwitch() {
  let updates = 0;
  return (method: StoreMethod, call: () => unknown) => {
    if (method !== "update" || ++updates !== 2) return call();
    throw new SessionStoreError("update", { reason: "rejected", retryable: false });
  };
}

Deno.test("A refused renewal on shards leaves no row, and deletes none but its own", async () => {
  const { shards, old, token, renew } = await openPair(async (_method, call) => {
    await new Promise((resolve) => setTimeout(resolve));
    return await call();
  });
  assertEquals(await renew(OTHER), false);
  assertEquals(shards.map(({ size }) => size), [1, 0]);
  assertEquals(await shards[0]!.find(old, { now }), { data: DATA, expiry: later });

  // An earlier call that arrives late has completed the renewal.
  let late: () => unknown = () => {};
  const other = await openPair(async (method, call) => {
    if (method === "delete") await late();
    return await call();
  });
  late = () => other.shards[1]!.commit(other.token, OTHER, later, { now });
  assertEquals(await other.renew(OTHER), false);
  assertEquals(await other.shards[1]!.find(other.token, { now }), { data: OTHER, expiry: later });
  assertEquals(await shards[1]!.find(token, { now }), undefined);
});

Deno.test("A refused renewal on shards is in doubt if the store cannot tell why", async () => {
  let isRefused = false;
  const { renew } = await openPair(async (method, call) => {
    if (method === "find" && isRefused) {
      throw new SessionStoreError("find", { reason: "unreachable", retryable: true });
    }
    isRefused = method === "update";
    return await call();
  });
  assertEquals((await assertRejects(() => renew(OTHER), SessionStoreError)).ambiguous, true);
});

Deno.test("A renewal on shards whose switch had no answer is completed by the next attempt, with the first mark", async () => {
  let updates = 0;
  const mark = { data: DATA, expiry: now + 60_000 };
  const { shards, old, renew } = await openPair(async (method, call) => {
    const answer = await call();
    if (method !== "update" || ++updates > 1) return answer;
    throw new SessionStoreError("update", { reason: "unreachable", retryable: true, ambiguous: true });
  }, mark);
  await assertRejects(() => renew(), SessionStoreError);
  assertEquals(await renew(DATA, { mark: { ...mark, expiry: mark.expiry + 1 } }), true);
  assertEquals((await shards[0]!.find(old, { now }))?.expiry, mark.expiry);
});

Deno.test("The readers of an interrupted renewal complete it, and each finds the session", async () => {
  const mark = { data: DATA, expiry: now + 60_000 };
  for (const given of [undefined, mark]) {
    const { shards, old, token, store, renew } = await openPair(untilSwitch(), given);
    assertEquals(await renew(), true);
    assertEquals(await store.find(old, { now }), given);
    assertEquals(await store.find(old, { now: mark.expiry - 1 }), given);
    assertEquals(await store.find(old, { now: mark.expiry }), undefined);
    const found = await Promise.all([1, 2, 3].map(() => store.find(token, { now })));
    assertEquals(found, found.map(() => ({ data: OTHER, expiry: later })));
    assertEquals(await shards[1]!.find(token, { now }), found[0]);
    assertEquals((await shards[0]!.find(old, { now }))?.expiry, given?.expiry);
  }
});

Deno.test("An interrupted renewal whose completion got an empty answer is read", async () => {
  let isEmpty = false;
  const interrupted = untilSwitch();
  const { store, token, renew } = await openPair((method, call) =>
    isEmpty && method === "update" ? Promise.resolve(false) : interrupted(method, call)
  );
  await renew();
  isEmpty = true;
  assertEquals(await store.find(token, { now }), { data: OTHER, expiry: later });
});

Deno.test("A reader of an interrupted renewal that comes too late gives what was written since", async () => {
  let isLate = false;
  const interrupted = untilSwitch();
  const { store, token, renew } = await openPair(async (method, call) => {
    if (isLate && method === "update") {
      isLate = false;
      assertEquals(await store.find(token, { now }), { data: OTHER, expiry: later });
      assertEquals(await store.update(token, OTHER, { data: DATA }, { now }), true);
    }
    return await interrupted(method, call);
  });
  await renew();
  isLate = true;
  assertEquals(await store.find(token, { now }), { data: DATA, expiry: later });
});

Deno.test("A renewal on shards whose last call fails is made, and waits for that call", async () => {
  const { shards, token, renew } = await openPair(async (method, call) => {
    if (method !== "delete") return await call();
    await new Promise((resolve) => setTimeout(resolve, 5));
    isOver = true;
    throw new SessionStoreError("delete", { reason: "rejected", retryable: false });
  });
  let isOver = false;
  assertEquals([await renew(), isOver], [true, true]);
  assertEquals(await shards[1]!.find(token, { now }), { data: OTHER, expiry: later });
});

Deno.test("ShardedStore fails where any store fails, and hands each the signal", async () => {
  const { signal } = new AbortController();
  let isDown = (_method: StoreMethod) => false;
  let signals: unknown[] = [];
  const shards = memories(3).map((shard) =>
    aroundCalls(shard, (method, call, args) => {
      signals.push((args.at(-1) as StoreOptions | undefined)?.signal);
      const failure = () =>
        new Promise<never>((_, reject) => {
          setTimeout(() => reject(new SessionStoreError("find", { reason: "rejected", retryable: false })));
        });
      if (!isDown(method)) return call();
      return method === "all" || method === "findBySubject" ? failing(failure) : failure();
    })
  );
  async function* failing(failure: () => Promise<never>) {
    yield await failure();
  }
  const store = new ShardedStore(shards, { also: shards.slice(0, 2) });
  const options = { now, signal };
  const [token, subject] = [randomToken(), "zoe"];
  const calls: Record<string, () => Promise<unknown>> = {
    create: () => store.create(token, DATA, later, { ...options, subject }),
    find: () => store.find(token, options),
    commit: () => store.commit(token, DATA, later, options),
    update: () => store.update(token, DATA, { data: OTHER }, options),
    touch: () => store.touch(token, later + 1, options),
    all: () => Array.fromAsync(store.all(options)),
    findBySubject: () => Array.fromAsync(store.findBySubject(subject, options)),
    deleteBySubject: () => store.deleteBySubject(subject, options),
    deleteExpired: () => store.deleteExpired(options),
    delete: () => store.delete(token, options),
  };
  for (const [name, call] of Object.entries(calls)) {
    signals = [];
    await call();
    assertEquals([...new Set(signals)], [signal], name);
  }
  isDown = () => true;
  for (const call of Object.values(calls)) await assertRejects(call, SessionStoreError);
  // The row in the session's former place cannot be deleted.
  isDown = (method) => method === "delete";
  await assertRejects(() => store.commit(tokenIn(shards, 2), DATA, later, options), SessionStoreError);
});

Deno.test("A logout with the old token of a renewal that cannot be completed fails, and spares the session", async () => {
  let interrupted = 0;
  for (let round = 0; round < 8; round++) {
    const scene = await Scene.open(undefined);
    rejectLaterUpdates(scene);
    const { token } = await scene.renew();
    if (!scene.crossed(token)) continue;
    interrupted++;
    // The reader that would complete it is always too late, as if a store answered and did not write.
    scene.intercept = (method, call) => method === "update" ? Promise.resolve(false) : call();
    assertEquals(await scene.store.delete(hashToken(scene.token), { now } as object), false);
    scene.intercept = undefined;
    assert(await scene.works(token), `round ${round}`);
  }
  assert(interrupted > 0, "none crossed");
});

Deno.test("destroyAll() on shards counts a session whose renewal was interrupted, and none whose renewal has failed", async () => {
  const counts = new Set<string>();
  for (let round = 0; round < 8; round++) {
    for (const switches of [true, false]) {
      const scene = await Scene.open("zoe");
      let updates = 0;
      scene.intercept = (method, call) => {
        if ((method !== "update" && method !== "delete") || (switches && ++updates === 1)) return call();
        throw new SessionStoreError("update", { reason: "rejected", retryable: false });
      };
      await scene.renew().catch(() => {});
      scene.intercept = undefined;
      const rows = scene.shards.map(async (shard) => (await Array.fromAsync(shard.all({ now }))).length);
      const pending = (await Promise.all(rows)).reduce((sum, count) => sum + count) === 2;
      if (!pending) continue;
      // Without the switch the old session is there beside the pending row.
      assertEquals(await scene.manager.destroyAll("zoe"), 1, `switched: ${switches}`);
      assertEquals(await scene.live(), 0);
      counts.add(`${switches}`);
    }
  }
  assertEquals(counts.size, 2);
});

Deno.test("No call of a renewal or of a logout on shards asks a replica", async () => {
  const stale: string[] = [];
  const shards = memories(3).map((shard) =>
    aroundCalls(shard, (method, call, args) => {
      if (method === "find" && !(args[1] as { primary?: boolean }).primary) stale.push(method);
      return call();
    })
  );
  const store = new ShardedStore(shards);
  let token = randomToken();
  await store.create(token, DATA, later, { now });
  for (let round = 0; round < 8; round++) {
    const next = randomToken();
    const mark = { data: OTHER, expiry: now + 60_000 };
    assertEquals(await store.update(token, DATA, { token: next, data: DATA, mark }, { now }), true);
    await store.delete(token, { now } as object);
    token = next;
  }
  assertEquals(stale, []);
});

Deno.test("The mark of a session that has ended since can be deleted", async () => {
  let [scene, token] = [await Scene.open(undefined), ""];
  while (({ token } = await scene.renew(), !scene.crossed(token))) scene = await Scene.open(undefined);
  await (await scene.manager.load(token)).destroy();
  assertEquals(await scene.store.delete(hashToken(scene.token), { now } as object), true);
});

Deno.test("A listing of a subject that fails on every store fails once", async () => {
  const scene = await Scene.open("zoe");
  // deno-lint-ignore require-yield
  scene.intercept = async function* (_method, _call, shard) {
    await new Promise((resolve) => setTimeout(resolve, shard === 0 ? 10 : 0));
    throw new SessionStoreError("findBySubject", { reason: "rejected", retryable: false });
  };
  await assertRejects(() => Array.fromAsync(scene.store.findBySubject("zoe", { now })), SessionStoreError);
});

Deno.test("A listing of a subject that is left early ends the listings of all stores", async () => {
  let ended = 0;
  const shards = memories(3).map((shard) =>
    aroundCalls(shard, (method, call) => {
      if (method !== "findBySubject") return call();
      return (async function* () {
        try {
          yield* call() as AsyncIterable<unknown>;
        } finally {
          ended++;
          // deno-lint-ignore no-unsafe-finally
          throw new Error("cannot end");
        }
      })();
    })
  );
  const store = new ShardedStore(shards);
  for (let i = 0; i < 40; i++) await store.create(randomToken(), DATA, later, { now, subject: "zoe" });
  for await (const _ of store.findBySubject("zoe", { now })) break;
  await new Promise((resolve) => setTimeout(resolve));
  assertEquals(ended, 3);
});

Deno.test("destroyAll() on shards that fails is in doubt only after it has begun to delete", async () => {
  for (const [failing, ambiguous] of [[1, false], [4, true]] as const) {
    const scene = await Scene.open("zoe");
    let listings = 0;
    scene.intercept = (method, call) => {
      if (method !== "findBySubject" || ++listings < failing) return call();
      throw new SessionStoreError("findBySubject", { reason: "rejected", retryable: false });
    };
    const error = await assertRejects(() => scene.store.deleteBySubject("zoe"), SessionStoreError);
    assertEquals([error.reason, error.ambiguous], ["rejected", ambiguous]);
  }
});

Deno.test("destroyAll() on shards ends a session that is written before each of its deletions", async () => {
  const scene = await Scene.open("zoe");
  const kept = await scene.manager.load();
  kept.subject = "zoe";
  await kept.commit();
  let writes = 0;
  const write = async () => {
    const other = await scene.manager.load(scene.token);
    other.put("writes", ++writes);
    await other.commit();
  };
  scene.intercept = (method, call) => method === "delete" ? write().then(call) : call();
  assertEquals(await scene.manager.destroyAll("zoe", { except: kept }), 1);
  scene.intercept = undefined;
  assert(writes > 1);
  assert(!(await scene.works(scene.token)));
  assertEquals((await scene.manager.sessionsOf("zoe")).length, 1);
});

Deno.test("destroyAll() on shards keeps a session whose renewal was interrupted, beside one that is written all the time", async () => {
  let interrupted = 0;
  for (let round = 0; round < 8; round++) {
    const scene = await Scene.open("zoe");
    rejectLaterUpdates(scene);
    const { token } = await scene.renew();
    if (!scene.crossed(token)) continue;
    interrupted++;
    scene.intercept = undefined;
    const busy = await scene.manager.load();
    busy.subject = "zoe";
    await busy.commit();
    const write = async () => {
      busy.put("writes", crypto.randomUUID());
      await busy.commit();
    };
    scene.intercept = (method, call) => method === "delete" ? write().then(call) : call();
    const given = { except: hashToken(token), now };
    assertEquals(await scene.store.deleteBySubject("zoe", given), 1);
    scene.intercept = undefined;
    assert(await scene.works(token), `round ${round}`);
  }
  assert(interrupted > 0, "none crossed");
});

Deno.test("While a store is added, old and new instances share every session", async () => {
  const shards = memories(3);
  const before = shards.slice(0, 2);
  // As in the guide: first all instances look in both places, then new sessions go to the new store.
  const managerOf = (store: ShardedStore) => sessions<{ n: number }>({ store, now: () => now });
  const first = managerOf(new ShardedStore(before, { also: shards }));
  const second = managerOf(new ShardedStore(shards, { also: before }));
  const managers = [first, second];
  let moved = 0;
  for (let round = 0; round < 60; round++) {
    const [one, two] = [managers[round % 2]!, managers[(round + 1) % 2]!];
    const session = await one.load();
    session.put("n", 1);
    session.subject = "zoe";
    const { token } = await session.commit();
    // Both change it at once.
    const [mine, yours] = [await one.load(token), await two.load(token)];
    for (const each of [mine, yours]) each.update("n", (n = 0) => n + 1);
    await Promise.all([mine.commit(), yours.commit()]);
    assertEquals((await one.load(token)).get("n"), 3, `round ${round}`);
    const login = await two.load(token);
    login.renewToken();
    const renewed = (await login.commit()).token;
    for (const manager of managers) {
      assertEquals((await manager.load(renewed)).get("n"), 3);
      assertEquals((await manager.load(token)).get("n"), undefined);
      assertEquals((await manager.sessionsOf("zoe")).length, 1);
    }
    if (await shards[2]!.find(hashToken(renewed), { now })) moved++;
    if (round % 3 === 0) assertEquals(await one.destroyAll("zoe"), 1);
    else await (await one.load(renewed)).destroy();
    for (const manager of managers) {
      assertEquals((await manager.load(renewed)).get("n"), undefined);
      assertEquals(await Array.fromAsync(manager.iterate()), []);
    }
  }
  assert(moved > 0, "the new store was never used");
});

Deno.test("An old session stays in its store when a store is added, and a new session goes to its new place", async () => {
  const shards = memories(3);
  const before = shards.slice(0, 2);
  const old = new ShardedStore(before);
  const tokens = Array.from({ length: 100 }, randomToken);
  for (const token of tokens) await old.create(token, DATA, later, { now });
  const store = new ShardedStore(shards, { also: before });
  for (const token of tokens) {
    assertEquals((await store.find(token, { now }))?.expiry, later);
    await store.touch(token, later + 1, { now });
    assertEquals(await store.update(token, DATA, { token, data: OTHER }, { now }), true);
  }
  assertEquals(shards[2]!.size, 0);
  for (const token of tokens) {
    assertEquals(await store.delete(token), true);
    assertEquals(await store.find(token, { now: 0 }), undefined);
  }
  for (const token of tokens) await store.create(token, DATA, later, { now });
  assert(shards[2]!.size > 10);
  // commit() leaves no row in the old place.
  for (const token of tokens) await store.delete(token);
  for (const token of tokens) await old.create(token, DATA, later, { now });
  for (const token of tokens) await store.commit(token, OTHER, later, { now });
  assertEquals((await Array.fromAsync(store.all({ now }))).length, 100);
});

Deno.test("manager.purge() purges each store by itself, and only once if it is in both lists", async () => {
  const shards = memories(4);
  const limits: number[][] = shards.map(() => []);
  const counted = shards.map((shard, index) =>
    aroundCalls(shard, (method, call, [options]) => {
      if (method === "deleteExpired") limits[index]!.push((options as { limit: number }).limit);
      return call();
    })
  );
  const store = new ShardedStore(counted, { also: counted.slice(0, 2) });
  for (const shard of shards) {
    for (let i = 0; i < 250; i++) await shard.create(randomToken(), DATA, now - i, { now: 0 });
    await shard.create(randomToken(), DATA, later, { now });
  }
  const events: unknown[] = [];
  const manager = sessions({ store, now: () => now, onEvent: (event) => void events.push(event) });
  const short = await manager.purge({ maxStatements: 3 });
  assertEquals([short.batches, short.deleted, short.done], [3, 300, false]);
  const { deleted, batches, done } = await manager.purge();
  assertEquals([deleted, done], [700, true]);
  assertEquals(batches + 3, limits.flat().length);
  assertEquals(events, [{ kind: "purged", deleted: 300 }, { kind: "purged", deleted: 700 }]);
  assertEquals(shards.map(({ size }) => size), [1, 1, 1, 1]);
});

Deno.test("manager.purge() purges the other stores if one fails or is busy", async () => {
  for (const reason of ["unreachable", "busy"] as const) {
    const shards = memories(3);
    for (const shard of shards) await shard.create(randomToken(), DATA, now, { now: 0 });
    const broken = aroundCalls(shards[1]!, (method, call) => {
      if (method !== "deleteExpired") return call();
      return Promise.reject(new SessionStoreError("deleteExpired", { reason, retryable: true }));
    });
    const store = new ShardedStore([shards[0]!, broken, shards[2]!]);
    const purging = sessions({ store, now: () => now }).purge();
    if (reason === "busy") assertEquals((await purging).done, false);
    else assertEquals((await assertRejects(() => purging, SessionStoreError)).reason, reason);
    assertEquals(shards.map(({ size }) => size), [0, 1, 0]);
  }
});

Deno.test("ShardedStore.deleteExpired() deletes up to its limit, whichever stores have the rows", async () => {
  const shards = memories(3);
  for (const [index, count] of [5, 40, 0].entries()) {
    for (let i = 0; i < count; i++) await shards[index]!.create(randomToken(), DATA, now - i, { now: 0 });
  }
  const store = new ShardedStore(shards);
  // A part of a row is none.
  assertEquals(await store.deleteExpired({ now, limit: 2.9 }), 2);
  assertEquals(await store.deleteExpired({ now, limit: 30 }), 30);
  assertEquals(await store.deleteExpired({ now, limit: 30 }), 13);
  assertEquals(await store.deleteExpired({ now }), 0);
  // Only the last store has any.
  for (let i = 0; i < 3; i++) await shards[2]!.create(randomToken(), DATA, now, { now: 0 });
  assertEquals(await store.deleteExpired({ now, limit: 2 }), 2);
});

Deno.test("A store that is part of a ShardedStore is refused to a manager with another cookie", () => {
  const shards = memories(2);
  sessions({ store: new ShardedStore(shards), cookie: { name: "one" } });
  sessions({ store: new ShardedStore(shards), cookie: { name: "one" } });
  const other = assertThrows(
    () => sessions({ store: shards[1]!, cookie: { name: "two" } }),
    SessionConfigError,
  );
  assert(other.problems[0]!.includes('"one"'), other.message);
  assertThrows(
    () => sessions({ store: new ShardedStore(shards), cookie: { name: "two" } }),
    SessionConfigError,
  );
});

Deno.test("ShardedStore ends the clean-up of every store", () => {
  const stopped: number[] = [];
  const shards = memories(3).map((shard, index) =>
    Object.assign(shard, { stopCleanup: () => void stopped.push(index) })
  );
  {
    using _store = new ShardedStore(shards.slice(0, 2), { also: shards });
  }
  assertEquals(stopped, [0, 1, 2]);
});

Deno.test("ShardedStore takes stores without subjectOf() and stopCleanup()", async () => {
  const shards = memories(2).map((shard) =>
    Object.assign(shard, { subjectOf: undefined, stopCleanup: undefined }) as Shard
  );
  const store = new ShardedStore(shards);
  let token = randomToken();
  await store.create(token, DATA, later, { now });
  for (let round = 0; round < 8; round++) {
    const next = randomToken();
    assertEquals(await store.update(token, DATA, { token: next, data: DATA }, { now }), true);
    token = next;
  }
  assertEquals(await store.find(token, { now }), { data: DATA, expiry: later });
  store.stopCleanup();
});

Deno.test("ShardedStore has the longest timeout of its stores", () => {
  const of = (...timeouts: (number | undefined)[]) =>
    new ShardedStore(timeouts.map((timeout) => Object.assign(memory(), { timeout }))).timeout;
  assertEquals([of(5, 9, 7), of(undefined, 5), of(undefined)], [9, 5_000, 5_000]);
  assertEquals([of(5, Infinity), of(undefined, Infinity), of(Infinity, Infinity)], [5, 5_000, Infinity]);
});

Deno.test("ShardedStore is in the process if all of its stores are", () => {
  const of = (...shards: { timeout?: number; inProcess?: boolean }[]) =>
    new ShardedStore(shards.map((shard) => Object.assign(memory(), shard))).inProcess;
  const file = { timeout: 5_000, inProcess: true };
  const remote = { timeout: 5_000, inProcess: undefined };
  const own = { timeout: Infinity, inProcess: undefined };
  assertEquals([of(file, own), of(own, remote), of(remote, file)], [true, false, false]);
});

Deno.test("new ShardedStore() reports every wrong store and option in one error", () => {
  const problems = (...args: unknown[]) =>
    assertThrows(
      () => new ShardedStore(...args as ConstructorParameters<typeof ShardedStore>),
      SessionConfigError,
    ).problems;
  assertEquals(problems([]), ['"stores" must be a list of stores']);
  assertEquals(problems(memory()), ['"stores" must be a list of stores']);
  assertEquals(problems([memory()], { also: 2 }), ['"also" must be a list of stores']);
  const one = memory();
  assertEquals(problems([one, one]), ['"stores" must not have a store twice']);
  const client = createClient({ url: ":memory:" });
  const sameTable = () => new LibSQLStore(client, { cleanup: "off" });
  assertEquals(problems([sameTable(), sameTable()]), ['"stores" must not have a store twice']);
  const otherTable = new LibSQLStore(client, { cleanup: "off", table: "others" });
  assertEquals(new ShardedStore([sameTable(), otherTable, one]).parts.length, 3);
  client.close();
  for (const wrong of [[undefined, one], [one, null]]) {
    assert(problems(wrong)[0]!.includes("must be a store with the methods"));
  }
  const basic = { find() {}, commit() {}, delete() {} };
  const [lacks, unknown] = problems([one, basic], { previous: [one] });
  assert(lacks!.startsWith('"stores" 1 must be a store with the methods find, commit, create'), lacks);
  assertEquals(unknown, '"previous" is no option; the options are also');
  assertEquals(problems([new ShardedStore([memory()])]), ['"stores" 0 is sharded itself']);
  const planetScale = new ShardedPlanetScaleStore({ execute: () => Promise.reject() });
  assertEquals(problems([one], { also: [one, planetScale] }), ['"also" 1 is sharded itself']);
});

Deno.test('A table that another object of "also" stands for is asked once', async () => {
  const clients = [createClient({ url: ":memory:" }), createClient({ url: ":memory:" })];
  const storeOf = (index: number) => new LibSQLStore(clients[index]!, { cleanup: "off" });
  for (const index of [0, 1]) await storeOf(index).createTable();
  const store = new ShardedStore([storeOf(0), storeOf(1)], { also: [storeOf(0)] });
  assertEquals(store.parts.length, 2);
  const manager = sessions({ store });
  const session = await manager.load();
  session.subject = "zoe";
  await session.commit();
  session.renewToken();
  await session.commit();
  assertEquals((await manager.sessionsOf("zoe")).length, 1);
  assertEquals((await Array.fromAsync(manager.iterate())).length, 1);
  assertEquals(await manager.destroyAll("zoe"), 1);
  for (const client of clients) client.close();
});

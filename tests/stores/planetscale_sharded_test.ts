/**
 * Renewal in a keyspace that is sharded by token, where it takes several statements. Whatever fails or happens between
 * two of them, exactly one of the two tokens works, or none if the session has ended.
 */
import {
  type Session,
  SessionError,
  SessionGoneError,
  type SessionManager,
  sessions,
  SessionStoreError,
} from "../../mod.ts";
import { hashToken } from "../../core/bytes/token.ts";
import { assert, assertEquals, assertInstanceOf, assertRejects, assertStringIncludes } from "../assert.ts";
import type { Interceptor } from "../services/planetscale_gateway.ts";
import { SHARDS } from "../services/_vitess_plan.ts";
import { openPlanetScale, type PlanetScaleBench } from "./_planetscale.ts";

const SUBJECT = "zoe";
/** The data of a mark. The manager reads it as a session without values. */
const MARK = new TextEncoder().encode('{"deadline":4102444800000,"values":{}}');
const MINUTE = 60_000;

/** The statements of a renewal, in their order. The first one is not sent if expiry and subject are given. */
const STEPS = ["look at the old row", "insert", "switch", "complete", "tidy up"] as const;
type Step = typeof STEPS[number];

/** How the data of a moved row begins. */
const MOVED_TAG = "\0x-sessions:M";
const MOVED_HEX = new TextEncoder().encode(MOVED_TAG).toHex();
/** The same as a statement has it, up to the first character that depends on what follows. */
const MOVED = `FROM_BASE64('${btoa(MOVED_TAG).slice(0, 17)}`;
const MINUTES_OF_A_MARK = 1;

/** Which step of a renewal a statement is; `undefined` for any other statement. */
function stepOf(sql: string): Step | undefined {
  if (sql.includes("COALESCE(subject")) return "look at the old row";
  if (sql.startsWith("INSERT")) return "insert";
  if (sql.includes(`AND data = ${MOVED}`)) return "tidy up";
  if (sql.startsWith("UPDATE")) return sql.includes(`SET data = ${MOVED}`) ? "switch" : "complete";
}

/** Whether the session is under its new token before a step. */
const isAfterSwitch = (step: Step) => step === "complete" || step === "tidy up";

/** A session that is about to be renewed, and another request that has loaded it before that. */
class Scene implements AsyncDisposable {
  time = Date.UTC(2026, 2, 4, 5, 6, 7, 890);
  readonly manager: SessionManager;
  readonly bench: PlanetScaleBench;
  token = "";
  renewing!: Session;
  other!: Session;

  constructor(bench: PlanetScaleBench) {
    this.bench = bench;
    this.manager = sessions({ store: bench.store, now: () => this.time, idleTimeout: "20m" });
  }

  /** @param marks Whether renewals leave marks. */
  static async open(subject: string | undefined, marks: boolean, isolation?: string): Promise<Scene> {
    const bench = await openPlanetScale({ sharded: true, gateway: { isolation } });
    const scene = new Scene(bench);
    const { store } = bench;
    const update = store.update.bind(store);
    store.update = (token, expected, next, options) => {
      const mark = { data: MARK, expiry: options.now + MINUTES_OF_A_MARK * MINUTE };
      return update(
        token,
        expected,
        { ...next, mark: marks && next.token !== undefined ? mark : undefined },
        options,
      );
    };
    const session = await scene.manager.load();
    session.put("a", 1);
    session.subject = subject;
    scene.token = (await session.commit()).token;
    scene.renewing = await scene.manager.load(scene.token);
    scene.other = await scene.manager.load(scene.token);
    bench.gateway.reset();
    return scene;
  }

  /** Renews the session. `intercept` gets each statement that is sent meanwhile. */
  async renew(intercept?: Interceptor): Promise<{ token?: string; error?: SessionError }> {
    this.renewing.renewToken();
    this.renewing.put("renewed", true);
    this.bench.gateway.intercept = intercept;
    try {
      return { token: (await this.renewing.commit()).token };
    } catch (error) {
      assertInstanceOf(error, SessionError);
      return { error };
    } finally {
      this.bench.gateway.intercept = undefined;
    }
  }

  async works(token: string): Promise<boolean> {
    return (await this.manager.load(token)).get("a") === 1;
  }

  /** How many sessions a listing shows. */
  async live(): Promise<number> {
    const sessions = await Array.fromAsync(this.manager.iterate(), (session) => session.get("a"));
    return sessions.filter((value) => value === 1).length;
  }

  /** How many rows there are, without moved rows. Those expire with their marks. */
  async rows(): Promise<number> {
    const [row] = await this.bench.query(
      `SELECT COUNT(*) AS n FROM sessions WHERE LEFT(data, ${MOVED_HEX.length / 2}) <> x'${MOVED_HEX}'`,
    );
    return Number(row!.n);
  }

  /** Throws unless exactly one token works. If `token` is given, the browser got it, and it must be that one. */
  async assertOneWorks(token: string | undefined): Promise<void> {
    assertEquals(await this.live(), 1);
    if (token !== undefined) assert(await this.works(token), "the new token does not work");
    if (token !== undefined) assert(!(await this.works(this.token)), "the old token still works");
    assertEquals(await this.live(), 1);
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await this.bench[Symbol.asyncDispose]();
  }
}

/** The subjects of the scenes. */
const SUBJECTS = [SUBJECT, undefined];

Deno.test("ShardedPlanetScaleStore renews in five statements, and in four if expiry and subject are given", async () => {
  for (const subject of SUBJECTS) {
    await using scene = await Scene.open(subject, false);
    const { token } = await scene.renew();
    assertEquals(scene.bench.gateway.statements().map(stepOf), [...STEPS]);
    await scene.assertOneWorks(token);
    assertEquals(await scene.rows(), 1);
    assertEquals((await scene.manager.load(token)).subject, subject);
    if (subject !== undefined) assertEquals((await scene.manager.sessionsOf(subject)).length, 1);

    const { bench: { gateway, store }, time: now } = scene;
    const { data, expiry } = (await store.find(hashToken(token!), { now }))!;
    for (const owner of [SUBJECT, null]) {
      gateway.reset();
      const [from, to] = owner === null ? ["next", "last"] : [hashToken(token!), "next"];
      assertEquals(
        await store.update(from, data, { token: to, data, expiry, subject: owner }, { now }),
        true,
      );
      assertEquals(gateway.statements().map(stepOf), STEPS.slice(1));
      const owned = await Array.fromAsync(store.findBySubject(SUBJECT, { now }), ({ token }) => token);
      assertEquals(owned, owner === null ? [] : ["next"]);
    }
  }
});

Deno.test("ShardedPlanetScaleStore saves and ends a session in one statement each", async () => {
  await using scene = await Scene.open(SUBJECT, true);
  scene.other.put("b", 2);
  await scene.other.commit();
  assertEquals(scene.bench.gateway.requests(), 1);
  await scene.other.destroy();
  assertEquals(scene.bench.gateway.requests(), 2);
});

Deno.test("PlanetScaleStore in a sharded keyspace names the store to use", async () => {
  await using bench = await openPlanetScale({ table: [], gateway: { sharded: true } });
  await bench.store.createTable();
  const manager = sessions({ store: bench.store });
  const session = await manager.load();
  const { token } = await session.commit();
  session.renewToken();
  const error = await assertRejects(() => session.commit(), SessionStoreError);
  assertStringIncludes(error.message, "use @x/sessions/stores/planetscale-sharded");
  assertEquals((await manager.load(token)).token, token);
});

/** Faults that a statement may meet. */
const FAULTS: [name: string, fault: (execute: () => Promise<Response>) => Promise<Response>][] = [
  ["the request is lost", () => Promise.reject(new Error("the connection broke"))],
  ["the reply is lost", async (execute) => {
    await execute();
    throw new Error("the connection broke");
  }],
  ["the request is lost and the reply is empty", () => Promise.resolve(Response.json({}))],
  ["the reply is empty", async (execute) => {
    await execute();
    return Response.json({});
  }],
  ["the server answers 500", () => Promise.resolve(new Response("oops", { status: 500 }))],
];

for (const subject of SUBJECTS) {
  for (const step of STEPS) {
    for (const [name, fault] of FAULTS) {
      const where = `at "${step}"${subject === undefined ? ", without a subject" : ""}`;

      Deno.test(`Sharded renewal succeeds although ${name} ${where}`, async () => {
        await using scene = await Scene.open(subject, false);
        let hit = false;
        const { token, error } = await scene.renew((sql, execute) => {
          if (hit || stepOf(sql) !== step) return execute();
          hit = true;
          return fault(execute);
        });
        assert(hit);
        assertEquals(error, undefined);
        await scene.assertOneWorks(token);
        assertEquals((await scene.manager.load(token)).get("renewed"), true);
      });

      Deno.test(`Sharded renewal leaves one working token if ${name} ${where} and every later statement fails`, async () => {
        await using scene = await Scene.open(subject, false);
        let hit = false;
        const { token, error } = await scene.renew((sql, execute) => {
          if (hit) throw new Error("the connection broke");
          if (stepOf(sql) !== step) return execute();
          hit = true;
          return fault(execute);
        });
        assert(hit);
        if (error !== undefined) {
          assertInstanceOf(error, SessionStoreError);
          assert(error.retryable);
        }
        await scene.assertOneWorks(token);
      });
    }
  }
}

for (const step of STEPS.slice(1)) {
  for (const [name, fault] of FAULTS) {
    Deno.test(`Sharded renewal leaves the session with a mark, or the old session alone, if ${name} at "${step}"`, async () => {
      await using bench = await openPlanetScale({ sharded: true });
      const { gateway, store } = bench;
      const now = { now: Date.UTC(2026, 2, 4, 5, 6, 7, 890) };
      const row = { data: new TextEncoder().encode("session"), expiry: now.now + 20 * MINUTE };
      const mark = { data: MARK, expiry: now.now + MINUTE };
      const owner = { ...now, subject: SUBJECT };
      await store.create("old", row.data, row.expiry, owner);
      let hit = false;
      gateway.intercept = async (sql, execute) => {
        if (hit) throw new Error("the connection broke");
        if (stepOf(sql) !== step) return await execute();
        hit = true;
        return await fault(execute);
      };
      const next = { token: "new", ...row, subject: SUBJECT, mark };
      const told = await store.update("old", row.data, next, now).catch(() => undefined);
      assert(hit);
      gateway.intercept = undefined;
      const found = [await store.find("old", now), await store.find("new", now)];
      const moved = found[1] !== undefined;
      assertEquals(found, moved ? [mark, row] : [row, undefined]);
      if (told !== undefined) assertEquals(told, moved);
      assertEquals((await Array.fromAsync(store.findBySubject(SUBJECT, now))).length, 1);
      // The manager sends it again if it finds the session unchanged.
      if (!moved) assertEquals(await store.update("old", row.data, next, now), true);
      assertEquals([await store.find("old", now), await store.find("new", now)], [mark, row]);
    });
  }
}

Deno.test("Sharded renewal is in doubt if its switch got an empty answer and every later statement fails", async () => {
  await using scene = await Scene.open(undefined, false);
  let switched = false;
  const { error } = await scene.renew(async (sql, execute) => {
    if (switched) throw new Error("the connection broke");
    if (stepOf(sql) !== "switch") return await execute();
    switched = true;
    await execute();
    return Response.json({});
  });
  assertInstanceOf(error, SessionStoreError);
  assert(error.ambiguous, "the old token is dead, and the error does not say that it may be");
  assertEquals(await scene.live(), 1);
});

/** What another request does meanwhile, which has loaded the session before the renewal. */
interface Other {
  name: string;
  act(scene: Scene): Promise<unknown>;
  /** How many sessions are left if it happens before the switch, and if it happens after it. */
  live: [before: number, after: number];
}

const OTHERS: Other[] = [
  { name: "nothing else happens", act: () => Promise.resolve(), live: [1, 1] },
  { name: "the session is destroyed", act: (scene) => scene.other.destroy(), live: [0, 1] },
  {
    name: "the subject's sessions are destroyed",
    act: (scene) => scene.manager.destroyAll(SUBJECT),
    live: [0, 0],
  },
  {
    name: "the session is destroyed by its id",
    async act({ manager }) {
      for (const { id } of await manager.sessionsOf(SUBJECT)) await manager.destroySession(SUBJECT, id);
    },
    live: [0, 0],
  },
  {
    name: "the session is changed",
    act({ other }) {
      other.put("changed", true);
      return other.commit();
    },
    live: [1, 1],
  },
  {
    name: "the session is renewed by another request",
    act({ other }) {
      other.renewToken();
      return other.commit();
    },
    live: [1, 1],
  },
  {
    name: "the session is touched",
    async act(scene) {
      scene.time += 5 * MINUTE;
      await scene.other.commit();
    },
    live: [1, 1],
  },
  { name: "expired sessions are purged", act: (scene) => scene.manager.purge(), live: [1, 1] },
  {
    name: "every session is listed",
    act: (scene) => scene.live(),
    live: [1, 1],
  },
];

for (const step of STEPS.slice(1)) {
  for (const { name, act, live: [before, after] } of OTHERS) {
    const expected = isAfterSwitch(step) ? after : before;

    Deno.test(`Sharded renewal leaves ${expected} token${expected === 1 ? "" : "s"} if ${name} before "${step}"`, async () => {
      await using scene = await Scene.open(SUBJECT, false);
      let hit = false;
      let refused: unknown;
      const { token, error } = await scene.renew(async (sql, execute) => {
        if (hit || stepOf(sql) !== step) return await execute();
        hit = true;
        await act(scene).catch((error) => refused = error);
        return await execute();
      });
      assert(hit);
      // At most one of the two requests fails, with the error that the session is gone.
      for (const told of [error, refused]) if (told !== undefined) assertInstanceOf(told, SessionGoneError);
      assert(error === undefined || refused === undefined);
      assertEquals(await scene.live(), expected);
      if (expected === 1) await scene.assertOneWorks(token);
      // No other row is left.
      assertEquals(await scene.rows(), expected);
    });

    Deno.test(`Sharded renewal brings no session back if ${name} and a delayed "${step}" arrives after that`, async () => {
      await using scene = await Scene.open(SUBJECT, false);
      let delayed: (() => Promise<Response>) | undefined;
      const { token } = await scene.renew((sql, execute) => {
        if (delayed === undefined && stepOf(sql) !== step) return execute();
        delayed ??= execute;
        throw new Error("the connection broke");
      });
      await act(scene).catch((error) => assertInstanceOf(error, SessionGoneError));
      assertEquals(await scene.live(), expected);
      await (await delayed!()).body?.cancel();
      assertEquals(await scene.live(), expected);
      if (expected === 1) await scene.assertOneWorks(isAfterSwitch(step) ? token : undefined);
    });
  }
}

Deno.test("Sharded renewal does not bring back a session that is purged before the switch", async () => {
  await using scene = await Scene.open(SUBJECT, true);
  scene.time += 5 * MINUTE;
  const { error } = await scene.renew(async (sql, execute) => {
    if (stepOf(sql) === "switch") {
      scene.time += 16 * MINUTE;
      assertEquals((await scene.manager.purge()).deleted, 1);
    }
    return await execute();
  });
  assertInstanceOf(error, SessionGoneError);
  assertEquals(await scene.live(), 0);
});

Deno.test("Sharded renewal that was interrupted is completed by the next read, and the session lives as long as any other", async () => {
  await using scene = await Scene.open(SUBJECT, true);
  const { token } = await scene.renew((sql, execute) => {
    if (isAfterSwitch(stepOf(sql) ?? "insert")) throw new Error("the connection broke");
    return execute();
  });
  for (let use = 0; use < 3; use++) {
    scene.time += 15 * MINUTE;
    const session = await scene.manager.load(token);
    session.put("use", use);
    await session.commit();
    await scene.manager.purge();
  }
  await scene.assertOneWorks(token);
  assertEquals(await scene.rows(), 1);
});

Deno.test("Sharded renewal that was interrupted leaves one session in the listing of its subject", async () => {
  await using scene = await Scene.open(SUBJECT, true);
  const { token } = await scene.renew((sql, execute) => {
    if (isAfterSwitch(stepOf(sql) ?? "insert")) throw new Error("the connection broke");
    return execute();
  });
  assertEquals((await scene.manager.sessionsOf(SUBJECT)).map((entry) => entry.get("a")), [1]);
  await scene.assertOneWorks(token);
});

/** Renews the session in another request until its row is on the shard. */
async function moveTo(shard: string, { bench, manager }: Scene, token: string): Promise<string> {
  const there = (token: string) =>
    bench.query(`SELECT 1 FROM sessions PARTITION (${shard}) WHERE token = '${hashToken(token)}'`);
  while ((await there(token)).length === 0) {
    const session = await manager.load(token);
    assertEquals(session.get("a"), 1);
    session.renewToken();
    token = (await session.commit()).token;
  }
  return token;
}

for (const moves of [1, 2, 3]) {
  Deno.test(`destroyAll() in a sharded keyspace ends a session that moves behind its back ${moves} times`, async () => {
    // A stricter isolation locks gaps, and the renewal would wait for the deletion.
    await using scene = await Scene.open(SUBJECT, true, "READ COMMITTED");
    const { bench: { gateway }, manager } = scene;
    let token = await moveTo(SHARDS[1]!, scene, scene.token);
    let left = moves;
    gateway.betweenShards = async (sql) => {
      if (left === 0 || sql === "COMMIT") return;
      // When a deletion visits a shard, the session is on the other one.
      const isDeletion = sql.startsWith("DELETE");
      token = await moveTo(isDeletion ? SHARDS[0]! : SHARDS[1]!, scene, token);
      if (isDeletion) left--;
    };
    assertEquals(await manager.destroyAll(SUBJECT), 1);
    assertEquals([await scene.works(token), await scene.live(), await scene.rows()], [false, 0, 0]);
  });
}

Deno.test("Sharded renewal by ten requests at once succeeds for one of them", async () => {
  await using scene = await Scene.open(SUBJECT, false);
  const loaded = await Promise.all(Array.from({ length: 10 }, () => scene.manager.load(scene.token)));
  const results = await Promise.allSettled(loaded.map((session) => {
    session.renewToken();
    return session.commit();
  }));
  const tokens = results.flatMap((result) => result.status === "fulfilled" ? [result.value.token] : []);
  assertEquals(tokens.length, 1);
  for (const result of results) {
    if (result.status === "rejected") assertInstanceOf(result.reason, SessionGoneError);
  }
  await scene.assertOneWorks(tokens[0]);
  assertEquals(await scene.rows(), 1);
});

Deno.test("A purge of ShardedPlanetScaleStore spares a session that is touched between its two statements", async () => {
  await using scene = await Scene.open(SUBJECT, true);
  const { bench: { gateway, store, query }, time } = scene;
  await query(`INSERT INTO sessions (token, data, expiry) VALUES ('other', 'x', '2026-03-04')`);
  const expiry = time + 20 * MINUTE;
  gateway.intercept = async (sql, execute) => {
    if (!sql.startsWith("DELETE")) return await execute();
    gateway.intercept = undefined;
    await store.touch(hashToken(scene.token), expiry + MINUTE, { now: time });
    return await execute();
  };
  assertEquals(await store.deleteExpired({ now: expiry }), 1);
  assert(await scene.works(scene.token));
  assertEquals(await scene.rows(), 1);
});

Deno.test("A purge of PlanetScaleStore on shards deletes a session that is touched between the two steps of Vitess", async () => {
  // This is why ShardedPlanetScaleStore purges in another way.
  await using bench = await openPlanetScale({ table: [], gateway: { sharded: true } });
  const { gateway, store } = bench;
  const now = Date.UTC(2026, 2, 4);
  await store.createTable();
  await store.create("a", MARK, now + MINUTE, { now });
  let looks = 0;
  gateway.betweenShards = async (sql) => {
    // At the second time Vitess has looked at both shards.
    if (sql.startsWith("SELECT token") && ++looks === 2) await store.touch("a", now + 9 * MINUTE, { now });
  };
  assertEquals(await store.deleteExpired({ now: now + MINUTE }), 1);
});

Deno.test("A purge of ShardedPlanetScaleStore deletes the longest expired of both shards, in two requests", async () => {
  await using bench = await openPlanetScale({ sharded: true });
  for (let i = 0; i < 10; i++) {
    const expiry = `2026-03-04 00:00:0${9 - i}`;
    await bench.query(`INSERT INTO sessions (token, data, expiry) VALUES ('${i}', 'x', '${expiry}')`);
  }
  const options = { now: Date.UTC(2026, 3, 4), limit: 7 };
  assertEquals(await bench.store.deleteExpired(options), 7);
  assertEquals(bench.gateway.requests(), 2);
  const left = await bench.query("SELECT token FROM sessions ORDER BY token");
  assertEquals(left.map(({ token }) => token), ["0", "1", "2"]);
  assertEquals(await bench.store.deleteExpired(options), 3);
  assertEquals(await bench.store.deleteExpired(options), 0);
  assertEquals(bench.gateway.requests(), 5);
});

Deno.test("A mark of ShardedPlanetScaleStore ends with its own expiry, even in a row that lives on", async () => {
  await using scene = await Scene.open(SUBJECT, true);
  const { bench: { store }, manager } = scene;
  // The last step fails, which gives the row the expiry of its mark.
  const { token } = await scene.renew((sql, execute) => {
    if (stepOf(sql) === "tidy up") throw new Error("the connection broke");
    return execute();
  });
  const old = hashToken(scene.token);
  const until = scene.time + MINUTES_OF_A_MARK * MINUTE;
  assertEquals(await store.find(old, { now: until - 1 }), { data: MARK, expiry: until });
  await store.touch(old, until + 15 * MINUTE, { now: scene.time });
  assertEquals(await store.find(old, { now: until }), undefined);
  scene.time = until;
  assertEquals((await manager.sessionsOf(SUBJECT)).length, 1);
  assert(await scene.works(token!));
});

Deno.test("A renewal of ShardedPlanetScaleStore that names no expiry keeps the row's expiry", async () => {
  await using scene = await Scene.open(SUBJECT, false);
  const { bench: { store }, time } = scene;
  const old = hashToken(scene.token);
  const { data, expiry } = (await store.find(old, { now: time }))!;
  assertEquals(await store.update(old, data, { token: "next", data }, { now: time }), true);
  assertEquals(await store.find("next", { now: time }), { data, expiry });
  assertEquals(await store.update(old, data, { token: "other", data }, { now: time }), false);
});

Deno.test("A renewal of ShardedPlanetScaleStore keeps the row's expiry in a table without a column for subjects", async () => {
  await using bench = await openPlanetScale({
    sharded: true,
    table: ["CREATE TABLE sessions (token CHAR(43) PRIMARY KEY, data BLOB, expiry DATETIME(6))"],
  });
  const now = Date.UTC(2026, 2, 4);
  const row = { data: MARK, expiry: now + MINUTE };
  await bench.store.create("a", row.data, row.expiry, { now });
  assertEquals(await bench.store.update("a", row.data, { token: "b", data: row.data }, { now }), true);
  assertEquals(await bench.store.find("b", { now }), row);
});

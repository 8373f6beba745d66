/**
 * Subjects, on every store: listing and ending the sessions of a subject while they are in use. The contract tests that
 * a store compares subjects exactly.
 */
import { type Session, SessionGoneError, type SessionManager, type SubjectSession } from "../../mod.ts";
import { assert, assertEquals, assertInstanceOf, assertMatch, assertRejects } from "../assert.ts";
import { type Bed, HOUR, MINUTE, onEachStore, sha256 } from "../scenarios/_bed.ts";
import { before, interleave } from "../scenarios/_interleaving.ts";
import { assertShowsNone } from "../scenarios/_secrets.ts";

/** Makes a session and gives its token. */
async function signIn(manager: SessionManager, subject: string | undefined, name = "?"): Promise<string> {
  const session = await manager.load();
  session.subject = subject;
  session.put("name", name);
  return (await session.commit()).token;
}

async function namesOf(manager: SessionManager, subject: string): Promise<unknown[]> {
  return (await manager.sessionsOf(subject)).map((entry) => entry.get("name")).sort();
}

/** Loads, changes and saves. */
async function change(
  manager: SessionManager,
  token: string,
  change: (session: Session) => void,
): Promise<string> {
  const session = await manager.load(token);
  change(session);
  return (await session.commit()).token;
}

/** Every value that can be reached from a value by its properties, with those of its prototype and its methods. */
function reachable(value: unknown, seen = new Set<unknown>()): unknown[] {
  if (seen.has(value)) return [];
  seen.add(value);
  if ((typeof value !== "object" || value === null) && typeof value !== "function") return [value];
  const inner = Reflect.ownKeys(value).flatMap((key) => [key, Reflect.get(value, key)]);
  const prototype = Object.getPrototypeOf(value);
  const beyond = [Object.prototype, Function.prototype, null].includes(prototype) ? [] : [prototype];
  return [...inner, ...beyond].flatMap((each) => reachable(each, seen));
}

onEachStore("sessionsOf() gives nothing that contains a token or its hash", async (bed) => {
  const manager = bed.manager({ idleTimeout: "20m" });
  const token = await signIn(manager, "zoe");
  const current = await manager.load(token);
  const secrets = [token, await sha256(token), (await bed.row()).token];
  const entries = await manager.sessionsOf("zoe", { current });
  assertEquals(entries.length, 1);
  assertShowsNone(entries, secrets);
  const texts = reachable(entries).map(String);
  assert(texts.includes("lastUsedAt") && texts.includes(entries[0]!.id), "the search must go deep");
  for (const secret of secrets) {
    assert(!texts.some((text) => text.includes(secret)), "an entry leads to a token");
    // Nor its bytes in hex.
    const hex = Uint8Array.fromBase64(secret, { alphabet: "base64url" }).toHex();
    assert(!texts.some((text) => text.includes(hex)), "an entry leads to the bytes of a token");
  }
  assertMatch(entries[0]!.id, /^[\w-]{22}$/);
});

onEachStore(
  "sessionsOf() gives the values of a session, but not those under reserved keys",
  async (bed) => {
    const manager = bed.manager();
    await signIn(manager, "zoe", "phone");
    const [entry] = await manager.sessionsOf("zoe");
    const get = (key: string) => (entry as SubjectSession<Record<string, unknown>>).get(key);
    assertEquals(get("name"), "phone");
    for (const key of ["__subject", "__createdAt", "__nonces", "missing", "__proto__", "constructor"]) {
      assertEquals(get(key), undefined, key);
    }
  },
);

onEachStore(
  "sessionsOf() gives no session whose expiry or deadline has passed",
  async (bed) => {
    const manager = bed.manager({ lifetime: "1h", idleTimeout: "20m" });
    await signIn(manager, "zoe", "unused");
    const used = await signIn(manager, "zoe", "used");
    bed.clock.advance(20 * MINUTE - 1);
    await change(manager, used, (session) => session.put("use", 1));
    bed.clock.advance(1);
    assertEquals(await namesOf(manager, "zoe"), ["used"]);
    await change(manager, used, (session) => session.setDeadline(bed.clock.time + MINUTE));
    // A touch of a request that does not know the new deadline does not change the deadline.
    await bed.store.touch(await sha256(used), bed.clock.time + HOUR, { now: bed.clock.time });
    bed.clock.advance(MINUTE);
    assertEquals(await namesOf(manager, "zoe"), []);
  },
);

onEachStore(
  "Only session.subject sets, changes and removes the subject of a session",
  async (bed) => {
    const manager = bed.manager({ idleTimeout: "20m", touchInterval: 0 });
    const subjects =
      async () => [(await namesOf(manager, "zoe")).length, (await namesOf(manager, "max")).length];
    let token = await signIn(manager, undefined);
    assertEquals(await subjects(), [0, 0]);
    token = await change(manager, token, (session) => {
      session.renewToken();
      session.subject = "zoe";
    });
    assertEquals(await subjects(), [1, 0]);
    for (
      const keep of [
        (session: Session) => session.put("a", 1),
        (session: Session) => session.clear(),
        (session: Session) => session.renewToken(),
        (session: Session) => session.rememberMe(true),
        () => bed.clock.advance(MINUTE),
      ]
    ) {
      token = await change(manager, token, keep);
      assertEquals(await subjects(), [1, 0], String(keep));
    }
    token = await change(manager, token, (session) => session.subject = "max");
    assertEquals(await subjects(), [0, 1]);
    token = await change(manager, token, (session) => {
      session.renewToken();
      session.subject = undefined;
    });
    assertEquals(await subjects(), [0, 0]);
    assertEquals((await manager.load(token)).subject, undefined);
  },
);

onEachStore("destroySession() ends no session of another subject, whatever the id", async (bed) => {
  const manager = bed.manager();
  const token = await signIn(manager, "zoe");
  await signIn(manager, "max");
  const [{ id } = { id: "" }] = await manager.sessionsOf("zoe");
  const attempts: [string, string][] = [
    ["max", id],
    ["zoe ", id],
    ["Zoe", id],
    ["", id],
    ["zoe", ""],
    ["zoe", `${id} `],
    ["zoe", id.toLowerCase() === id ? id.toUpperCase() : id.toLowerCase()],
    ["zoe", token],
    ["zoe", await sha256(token)],
    ["zoe", "' OR '1'='1"],
    ["' OR '1'='1", id],
    ["%", id],
  ];
  for (const [subject, given] of attempts) {
    assertEquals(await manager.destroySession(subject, given), false, `${subject}, ${given}`);
  }
  assertEquals([await namesOf(manager, "zoe"), await namesOf(manager, "max")], [["?"], ["?"]]);
  assertEquals(await manager.destroySession("zoe", id), true);
  assertEquals((await manager.load(token)).token, undefined);
});

onEachStore(
  "destroyAll() spares the session in except, even one that was just renewed",
  async (bed) => {
    const manager = bed.manager();
    for (let count = 0; count < 3; count++) await signIn(manager, "zoe");
    const session = await manager.load(await signIn(manager, "zoe", "mine"));
    // A password change: a new token for this browser, and an end to all the others.
    session.renewToken();
    await session.commit();
    assertEquals(await manager.destroyAll("zoe", { except: session }), 3);
    assertEquals(await namesOf(manager, "zoe"), ["mine"]);
  },
);

onEachStore(
  "destroyAll() ends sessions of the subject that other instances have made",
  async (bed) => {
    const [here, there] = [bed.manager(), bed.manager({ store: bed.another() })];
    const tokens = [await signIn(here, "zoe"), await signIn(there, "zoe")];
    assertEquals(await there.destroyAll("zoe"), 2);
    for (const token of tokens) {
      for (const manager of [here, there]) assertEquals((await manager.load(token)).token, undefined);
    }
  },
);

/** `destroyAll()` ends a session that was saved before it. A session that is saved later is a new login. */
const LOGINS: [name: string, login: (bed: Bed) => Promise<() => Promise<unknown>>][] = [
  ["a login that makes a session", (bed) => Promise.resolve(() => signIn(bed.manager(), "zoe", "late"))],
  ["a login that renews an anonymous session", async (bed) => {
    const session = await bed.manager().load(await signIn(bed.manager(), undefined));
    session.renewToken();
    session.subject = "zoe";
    session.put("name", "late");
    return () => session.commit();
  }],
];

for (const [name, prepare] of LOGINS) {
  onEachStore(`destroyAll() ends the session of ${name}, saved just before`, async (bed) => {
    await signIn(bed.manager(), "zoe", "early");
    const login = await prepare(bed);
    const store = interleave(bed.store, { deleteBySubject: [before(login)] });
    assertEquals(await bed.manager({ store }).destroyAll("zoe"), 2);
    assertEquals(await namesOf(bed.manager(), "zoe"), []);
  });

  onEachStore(`destroyAll() leaves the session of ${name}, saved just after`, async (bed) => {
    await signIn(bed.manager(), "zoe", "early");
    const login = await prepare(bed);
    const store = interleave(bed.store, {
      deleteBySubject: [async (call) => {
        const deleted = await call();
        await login();
        return deleted;
      }],
    });
    assertEquals(await bed.manager({ store }).destroyAll("zoe"), 1);
    assertEquals(await namesOf(bed.manager(), "zoe"), ["late"]);
  });
}

/** What a request does to a session while another one ends it. */
const USES: [name: string, use: (session: Session) => void][] = [
  ["a change", (session) => session.put("a", 1)],
  ["a counter", (session) => session.update("a", (count) => Number(count ?? 0) + 1)],
  ["a renewal", (session) => session.renewToken()],
  ["another deadline", (session) => session.setDeadline(session.deadline + HOUR)],
  ["a change of the subject", (session) => session.subject = "max"],
];

for (const [name, use] of USES) {
  onEachStore(`destroyAll() is not undone by a later save of ${name}`, async (bed) => {
    const manager = bed.manager();
    const session = await manager.load(await signIn(manager, "zoe"));
    use(session);
    assertEquals(await manager.destroyAll("zoe"), 1);
    await assertRejects(() => session.commit(), SessionGoneError);
    assertEquals(await bed.rows(), []);
  });
}

onEachStore("destroyAll() is not undone by a later touch", async (bed) => {
  const manager = bed.manager({ idleTimeout: "20m", touchInterval: 0 });
  const session = await manager.load(await signIn(manager, "zoe"));
  assertEquals(await manager.destroyAll("zoe"), 1);
  bed.clock.advance(MINUTE);
  await session.commit();
  assertEquals(await bed.rows(), []);
});

const THOUSAND = 1_000;
/** How many of them are in use meanwhile. With many writers at once libsql-server may stand still for minutes. */
const IN_USE = 15;
const WRITERS = 4;

onEachStore(
  "destroyAll() ends a thousand sessions in use, and none comes back",
  async (bed) => {
    const manager = bed.manager({ idleTimeout: "20m", touchInterval: 0 });
    const used: string[] = [];
    for (let count = 0; count < IN_USE; count++) used.push(await signIn(manager, "zoe"));
    const stranger = await signIn(manager, "max");
    await copyRow(bed, "zoe", THOUSAND - IN_USE);
    assertEquals((await manager.sessionsOf("zoe")).length, THOUSAND);

    bed.clock.advance(MINUTE);
    const sessions = await Promise.all(used.map((token) => manager.load(token)));
    const work = async (session: Session, index: number): Promise<string | undefined> => {
      if (index % 3 === 0) session.put("a", index);
      if (index % 3 === 1) session.renewToken();
      try {
        return (await session.commit()).token;
      } catch (error) {
        assertInstanceOf(error, SessionGoneError);
      }
    };
    const half = Math.floor(IN_USE / 2);
    const before = sessions.slice(0, half).map(work);
    const revoked = manager.destroyAll("zoe");
    const after = sessions.slice(half).map((session, index) => work(session, index));
    const tokens = await Promise.all([...before, ...after]);
    assert(await revoked >= THOUSAND - IN_USE);

    assertEquals((await bed.rows()).length, 1);
    for (const token of [...used, ...tokens]) assertEquals((await manager.load(token)).token, undefined);
    assertEquals((await manager.load(stranger)).subject, "max");
  },
);

/** Adds copies of the only row, under tokens that no session has. */
async function copyRow(bed: Bed, subject: string, count: number): Promise<void> {
  const [row] = await bed.rows();
  const { data, expiry } = row!;
  const options = { now: bed.clock.time, subject };
  for (let start = 0; start < count; start += WRITERS) {
    const part = Array.from(
      { length: Math.min(WRITERS, count - start) },
      (_, index) => `row-${start + index}`,
    );
    await Promise.all(part.map((token) => bed.store.create(token.padEnd(43, "-"), data, expiry, options)));
  }
}

/** Leaves a row as SCS does when it saves a session. Its statement does not know the column of subjects. */
async function saveAsSCSDoes(bed: Bed): Promise<void> {
  const { token, data, expiry } = await bed.row();
  const next = { token, data, expiry, subject: null };
  assert(await bed.store.update(token, data, next, { now: bed.clock.time }));
}

onEachStore(
  "A session whose subject a Go service has emptied is not found by subject until our next write restores it",
  async (bed) => {
    const manager = bed.manager();
    let token = await signIn(manager, "zoe");
    for (
      const write of [(session: Session) => session.put("a", 1), (session: Session) => session.renewToken()]
    ) {
      await saveAsSCSDoes(bed);
      assertEquals(await namesOf(manager, "zoe"), []);
      assertEquals(await manager.destroyAll("zoe"), 0);
      assertEquals((await manager.load(token)).subject, "zoe");
      token = await change(manager, token, write);
      assertEquals(await namesOf(manager, "zoe"), ["?"], String(write));
    }
    assertEquals(await manager.destroyAll("zoe"), 1);
    assertEquals((await manager.load(token)).token, undefined);
  },
);

onEachStore(
  "destroySession() of a session that ends between its listing and its deletion tells that there was none",
  async (bed) => {
    await signIn(bed.manager(), "zoe");
    const { token } = await bed.row();
    const [{ id } = { id: "" }] = await bed.manager().sessionsOf("zoe");
    const ended = before(() => bed.store.delete(token));
    bed.events.length = 0;
    const manager = bed.manager({ store: interleave(bed.store, { delete: [ended] }) });
    assertEquals(await manager.destroySession("zoe", id), false);
    assertEquals(bed.eventKinds(), []);
  },
);

onEachStore(
  "lastUsedAt is unknown once the deadline comes before the end of the idle timeout",
  async (bed) => {
    const manager = bed.manager({ lifetime: "60m", idleTimeout: "50m" });
    const token = await signIn(manager, "zoe");
    const lastUsedAt = async () => (await manager.sessionsOf("zoe"))[0]!.lastUsedAt;
    assertEquals(await lastUsedAt(), bed.clock.time);
    bed.clock.advance(30 * MINUTE);
    await change(manager, token, () => {});
    assertEquals(await lastUsedAt(), undefined);
  },
);

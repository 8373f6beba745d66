import { runInNewContext } from "node:vm";
import {
  MemoryStore,
  type Session,
  SessionClosedError,
  SessionEncodeError,
  type SessionManager,
  sessions,
  type SessionStatus,
} from "../../mod.ts";
import { stateOf } from "../../core/session.ts";
import { assert, assertEquals, assertRejects, assertStrictEquals, assertThrows } from "../assert.ts";
import { countingStore } from "../counting_store.ts";

const NOW = Date.UTC(2026, 0, 1);
const HOUR = 3_600_000;

function newManager(store = new MemoryStore({ cleanup: "off" })): SessionManager {
  return sessions({ store, now: () => NOW, lifetime: "1h" });
}

async function newSession(values: Record<string, unknown> = {}): Promise<Session> {
  const session = await newManager().load();
  for (const [key, value] of Object.entries(values)) session.put(key, value);
  return session;
}

/** A saved session with the values, as the next request loads it. */
async function savedSession(values: Record<string, unknown>, manager = newManager()): Promise<Session> {
  const session = await manager.load();
  for (const [key, value] of Object.entries(values)) session.put(key, value);
  session.subject = "zoe";
  return await manager.load((await session.commit()).token);
}

Deno.test("Session.mergeSession() asks no store for its own token, and for what is no token", async () => {
  const { store, count, reset } = countingStore(new MemoryStore({ cleanup: "off" }));
  const manager = newManager(store);
  const { token } = await (await manager.load()).commit();
  const session = await manager.load(token);
  reset();
  for (const other of [token, "", "'; --", "w".repeat(42)]) await session.mergeSession(other);
  assertEquals(count(), 0);
});

const TIME = new Date(5);
const BYTES = Uint8Array.of(1, 2);
const VALUES = {
  text: "a",
  empty: "",
  yes: true,
  no: false,
  int: -3,
  float: 1.5,
  nan: NaN,
  infinity: Infinity,
  bytes: BYTES,
  time: TIME,
  list: [1],
  nothing: null,
  undefined: undefined,
  big: 5n,
};

type Getter = "String" | "Bool" | "Int" | "Float" | "Bytes" | "Time";

/** What each getter returns for the values above; the zero value for missing ones. */
const GETTERS: [getter: Getter, zero: unknown, given: Record<string, unknown>][] = [
  ["String", "", { text: "a" }],
  ["Bool", false, { yes: true }],
  ["Int", 0, { int: -3 }],
  ["Float", 0, { int: -3, float: 1.5, nan: NaN, infinity: Infinity }],
  ["Bytes", undefined, { bytes: BYTES }],
  ["Time", undefined, { time: TIME }],
];

for (const [getter, zero, given] of GETTERS) {
  Deno.test(`Session.get${getter}() gives ${Deno.inspect(zero)} for a missing value and for one of another type`, async () => {
    const session = await savedSession(VALUES);
    for (const key of [...Object.keys(VALUES), "missing", "__proto__", "constructor", "toString"]) {
      assertEquals(session[`get${getter}`](key), Object.hasOwn(given, key) ? given[key] : zero, key);
    }
    assertEquals(session.status, "unmodified");
    assertEquals(session.keys(), Object.keys(VALUES).sort());
  });

  Deno.test(`Session.pop${getter}() gives the same, and removes a value of any type`, async () => {
    const session = await savedSession(VALUES);
    assertEquals(session[`pop${getter}`]("missing"), zero);
    assertEquals(session.status, "unmodified");
    for (const key of Object.keys(VALUES)) {
      assertEquals(session[`pop${getter}`](key), Object.hasOwn(given, key) ? given[key] : zero, key);
      assertEquals(session.exists(key), false);
    }
    assertEquals(session.status, "modified");
    await session.commit();
    assertEquals(session.keys(), []);
  });
}

Deno.test("Session.get() and pop() give the value, and undefined if there is none", async () => {
  const session = await savedSession(VALUES);
  for (const [key, value] of Object.entries(VALUES)) assertEquals(session.get(key), value);
  for (const key of ["missing", "__proto__", "constructor", "hasOwnProperty"]) {
    assertEquals(session.get(key), undefined);
    assertEquals(session.pop(key), undefined);
  }
  assertEquals(session.status, "unmodified");
  assertEquals(session.pop("text"), "a");
  assertEquals(session.pop("text"), undefined);
});

Deno.test("Session.get(), pop() and exists() find nothing under a value that is no key", async () => {
  const session = await sessions().load();
  for (const key of [undefined, null, 5, {}] as unknown as string[]) {
    assertEquals([session.get(key), session.pop(key), session.exists(key)], [undefined, undefined, false]);
  }
});

Deno.test("Session.exists() distinguishes a value of undefined from a missing one", async () => {
  const session = await savedSession({ undefined: undefined });
  assertEquals([session.exists("undefined"), session.exists("missing")], [true, false]);
});

Deno.test("Session.keys() gives a new, sorted list", async () => {
  const session = await newSession({ b: 1, a: 1, B: 1, "10": 1, "9": 1, "": 1, é: 1 });
  assertEquals(session.keys(), ["", "10", "9", "B", "a", "b", "é"]);
  session.keys().push("c");
  assertEquals(session.exists("c"), false);
  assertEquals((await newSession()).keys(), []);
});

Deno.test("Session keeps keys with a meaning in JavaScript like any other", async () => {
  const keys = ["__proto__", "constructor", "hasOwnProperty", "prototype", "toString"];
  const manager = newManager();
  const session = await manager.load();
  for (const key of keys) session.put(key, { polluted: key });
  const { token } = await session.commit();
  const loaded = await manager.load(token);
  assertEquals(loaded.keys(), keys);
  for (const key of keys) assertEquals(loaded.get(key), { polluted: key });
  assertEquals("polluted" in {}, false);
});

const RESERVED = ["__subject", "__createdAt", "__nonces"];

for (const key of RESERVED) {
  Deno.test(`Session hides the reserved key ${key} and refuses to put it`, async () => {
    const session = await savedSession({ a: 1 });
    assertEquals(session.keys(), ["a"]);
    assertEquals([session.get(key), session.exists(key), session.pop(key)], [undefined, false, undefined]);
    session.remove(key);
    assertEquals(session.status, "unmodified");
    for (const write of [() => session.put(key, "x"), () => session.update(key, () => "x")]) {
      const error = assertThrows(write, SessionEncodeError);
      assertEquals(error.key, key);
      assertEquals(
        error.message,
        `Cannot store session value "${key}": the key is reserved; use another one`,
      );
    }
    assertEquals(session.status, "unmodified");
  });
}

Deno.test("Session.clear() keeps the token, the deadline, the subject and the time of creation", async () => {
  const manager = newManager();
  const session = await savedSession({ a: 1, __rememberMe: true }, manager);
  const { token, deadline } = session;
  session.clear();
  assertEquals(session.keys(), []);
  await session.commit();
  assertEquals([session.token, session.deadline, session.subject], [token, deadline, "zoe"]);
  const [entry] = await manager.sessionsOf("zoe");
  assertEquals(entry!.createdAt, NOW);
});

Deno.test("Session.put() and update() refuse a key that is no text", async () => {
  const session = await newSession();
  for (const key of [1, null, undefined, Symbol("k"), ["a"]] as unknown as string[]) {
    assertThrows(() => session.put(key, 1), SessionEncodeError, "a key must be text");
    assertThrows(() => session.update(key, () => 1), SessionEncodeError, "a key must be text");
  }
  assertEquals(session.status, "unmodified");
});

Deno.test("Session.update() says that it needs a function", async () => {
  const session = await sessions<{ n: number }>().load();
  for (const wrong of [undefined, 7]) {
    assertThrows(
      () => session.update("n", wrong as unknown as () => number),
      TypeError,
      "Cannot update: the second argument must be a function",
    );
  }
});

Deno.test("Session.update() refuses an asynchronous function, and changes nothing", async () => {
  const session = await savedSession({ n: 1 });
  const error = assertThrows(
    () => session.update("n", (() => Promise.resolve(2)) as unknown as (n: unknown) => unknown),
    SessionEncodeError,
  );
  assertEquals(error.message, 'Cannot store session value "n": the function of update() is asynchronous');
  assertEquals([session.get("n"), session.status], [1, "unmodified"]);
});

Deno.test("Session.update() gets the value or undefined, and removes the key by giving undefined", async () => {
  const session = await newSession({ n: 1 });
  const seen: unknown[] = [];
  session.update("n", (n) => (seen.push(n), (n as number) + 1));
  session.update("m", (m) => (seen.push(m), 5));
  assertEquals(seen, [1, undefined]);
  session.update("n", () => undefined);
  assertEquals(session.keys(), ["m"]);
});

const STATUS: [what: string, act: (session: Session) => unknown, status: SessionStatus][] = [
  ["get()", (session) => session.get("a"), "unmodified"],
  ["exists() and keys()", (session) => [session.exists("a"), session.keys()], "unmodified"],
  ["pop() of a missing key", (session) => session.pop("x"), "unmodified"],
  ["remove() of a missing key", (session) => session.remove("x"), "unmodified"],
  ["the subject it has", (session) => session.subject = "zoe", "unmodified"],
  ["commit() without a change", (session) => session.commit(), "unmodified"],
  ["mergeSession() of its own token", (session) => session.mergeSession(session.token!), "unmodified"],
  ["mergeSession() of an unknown token", (session) => session.mergeSession("w".repeat(43)), "unmodified"],
  ["mergeSession() of what is no token", (session) => session.mergeSession("'; --"), "unmodified"],
  ["put()", (session) => session.put("a", 2), "modified"],
  ["put() of the same value", (session) => session.put("a", 1), "modified"],
  ["pop()", (session) => session.pop("a"), "modified"],
  ["remove()", (session) => session.remove("a"), "modified"],
  ["clear()", (session) => session.clear(), "modified"],
  ["update()", (session) => session.update("a", (a) => a), "modified"],
  ["setDeadline()", (session) => session.setDeadline(NOW + 1_000), "modified"],
  ["rememberMe()", (session) => session.rememberMe(true), "modified"],
  ["renewToken()", (session) => session.renewToken(), "modified"],
  ["another subject", (session) => session.subject = "ann", "modified"],
  ["no subject", (session) => session.subject = undefined, "modified"],
  ["a change and commit()", (session) => (session.put("a", 2), session.commit()), "modified"],
  ["destroy()", (session) => session.destroy(), "destroyed"],
  ["destroy() and get()", async (session) => (await session.destroy(), session.get("a")), "destroyed"],
  ["destroy() and clear()", async (session) => (await session.destroy(), session.clear()), "destroyed"],
  ["destroy() and put()", async (session) => (await session.destroy(), session.put("a", 1)), "modified"],
];

for (const [what, act, status] of STATUS) {
  Deno.test(`Session.status is "${status}" after ${what}`, async () => {
    const session = await savedSession({ a: 1 });
    assertEquals(session.status, "unmodified");
    await act(session);
    assertEquals(session.status, status);
  });
}

Deno.test("Session.status after the handler has failed tells only of a logout", async () => {
  for (const destroys of [false, true]) {
    const { session: load, fail } = newManager().begin(new Request("https://example.com/"));
    const session = await load();
    await session.commit();
    if (destroys) await session.destroy();
    session.put("a", 1);
    fail(new Error("the handler failed"));
    assertEquals(session.status, destroys ? "destroyed" : "unmodified");
  }
});

Deno.test('Session.status is "unmodified" where the handler of a new session has failed', async () => {
  const { session: load, fail } = newManager().begin(new Request("https://example.com/"));
  const session = await load();
  session.put("a", 1);
  fail(new Error("the handler failed"));
  assertEquals(session.status, "unmodified");
});

Deno.test("Session.commit() names the subject to the store only where there is one, or was one", async () => {
  const named: unknown[] = [];
  class WatchedStore extends MemoryStore {
    override update(...given: Parameters<MemoryStore["update"]>): Promise<boolean> {
      named.push(given[2].subject);
      return super.update(...given);
    }
  }
  const manager = newManager(new WatchedStore({ cleanup: "off" }));
  const { token } = await (await manager.load()).commit();
  for (const subject of [undefined, "zoe", undefined]) {
    const session = await manager.load(token);
    session.put("a", 1);
    session.subject = subject;
    await session.commit();
  }
  assertEquals(named, [undefined, "zoe", null]);
});

Deno.test("Session.commit() keeps the time of creation, also in the request that created the session", async () => {
  let now = NOW;
  const manager = sessions({ store: new MemoryStore({ cleanup: "off" }), now: () => now });
  const session = await manager.load();
  session.subject = "zoe";
  await session.commit();
  now += HOUR;
  session.put("a", 1);
  await session.commit();
  assertEquals((await manager.sessionsOf("zoe")).map(({ createdAt }) => createdAt), [NOW]);
});

Deno.test("Session.clear() of an empty session keeps the status", async () => {
  const session = await newSession();
  session.clear();
  assertEquals(session.status, "unmodified");
});

Deno.test("Session.token is undefined until the session was committed", async () => {
  const session = await newSession({ a: 1 });
  assertEquals(session.token, undefined);
  const { token } = await session.commit();
  assertStrictEquals(session.token, token);
  await session.destroy();
  assertEquals(session.token, undefined);
});

Deno.test("Session.deadline is one lifetime from now, and starts anew with renewToken()", async () => {
  const session = await newSession();
  assertEquals(session.deadline, NOW + HOUR);
  session.setDeadline(NOW + 5);
  assertEquals(session.deadline, NOW + 5);
  session.renewToken();
  assertEquals(session.deadline, NOW + HOUR);
});

Deno.test("Session.setDeadline() takes a Date, and drops fractions of a millisecond", async () => {
  const session = await newSession();
  session.setDeadline(new Date(NOW + 1_000));
  assertEquals(session.deadline, NOW + 1_000);
  const OtherDate: DateConstructor = runInNewContext("Date");
  session.setDeadline(new OtherDate(NOW + 2_000));
  assertEquals(session.deadline, NOW + 2_000);
  session.setDeadline(NOW + 1_000.9);
  assertEquals(session.deadline, NOW + 1_000);
  session.setDeadline(8.64e15);
  assertEquals(session.deadline, 8.64e15);
});

Deno.test("Session.setDeadline() refuses a value that is no time, and changes nothing", async () => {
  const session = await savedSession({});
  const wrong = [NaN, Infinity, -Infinity, 8.64e15 + 1, new Date(NaN), undefined, "tomorrow", {}];
  // Each of these is a number for `Number()`. An empty column of a database must not end the session.
  for (const deadline of [...wrong, null, "", [], true, "1767225600000", 5n]) {
    assertThrows(
      () => session.setDeadline(deadline as number),
      RangeError,
      "it must be a time in milliseconds",
    );
  }
  assertEquals([session.deadline, session.status], [NOW + HOUR, "unmodified"]);
});

Deno.test("Session.setDeadline() refuses a duration, and a time in seconds", async () => {
  const session = await savedSession({});
  for (const deadline of [60_000, 400 * 24 * HOUR, new Date(HOUR), NOW / 1_000]) {
    assertThrows(() => session.setDeadline(deadline), RangeError, "such as Date.now() +");
  }
  assertEquals([session.deadline, session.status], [NOW + HOUR, "unmodified"]);
  // As a program may write "never" and "long ago", or under a clock of its own.
  for (const deadline of [0, -HOUR, NOW - 1, Date.UTC(1999, 0)]) session.setDeadline(deadline);
  const early = await sessions({ now: () => 1_000 }).load();
  early.setDeadline(2_000);
  assertEquals(early.deadline, 2_000);
});

Deno.test("Session.subject takes 1 to 255 bytes of UTF-8", async () => {
  const session = await newSession();
  for (
    const subject of [
      "a",
      "a".repeat(255),
      "é".repeat(127),
      "😀".repeat(63),
      " ",
      "zoe ",
      "0",
      "\0",
      "__proto__",
    ]
  ) {
    session.subject = subject;
    assertEquals(session.subject, subject);
  }
  session.subject = undefined;
  assertEquals(session.subject, undefined);
});

Deno.test("Session.subject refuses text that not every store can hold", async () => {
  const session = await savedSession({});
  const wrong: [unknown, string][] = [
    ["", "it must have 1 to 255 bytes of UTF-8, and has 0"],
    ["a".repeat(256), "it must have 1 to 255 bytes of UTF-8, and has 256"],
    ["é".repeat(128), "it must have 1 to 255 bytes of UTF-8, and has 256"],
    ["😀".repeat(64), "it must have 1 to 255 bytes of UTF-8, and has 256"],
    ["\ud800", "it must be well-formed text"],
    ["a\udc00b", "it must be well-formed text"],
    [null, "it must be text, such as String(user.id), and is null"],
    [42, "it must be text, such as String(user.id), and is number"],
    [["zoe"], "it must be text, such as String(user.id), and is object"],
  ];
  for (const [subject, problem] of wrong) {
    const error = assertThrows(() => session.subject = subject as string, SessionEncodeError);
    assertEquals(error.message, `Cannot store session value "subject": ${problem}`);
    assertEquals(error.key, "subject");
  }
  assertEquals([session.subject, session.status], ["zoe", "unmodified"]);
});

const MUTATIONS: [what: string, change: (session: Session) => unknown][] = [
  ["put()", (session) => session.put("a", 2)],
  ["remove()", (session) => session.remove("a")],
  ["remove() of a missing key", (session) => session.remove("x")],
  ["clear()", (session) => session.clear()],
  ["update()", (session) => session.update("a", () => 2)],
  ["pop()", (session) => session.pop("a")],
  ...GETTERS.map(([getter]): [string, (session: Session) => unknown] => [
    `pop${getter}()`,
    (session) => session[`pop${getter}`]("a"),
  ]),
  ["setDeadline()", (session) => session.setDeadline(0)],
  ["rememberMe()", (session) => session.rememberMe(false)],
  ["renewToken()", (session) => session.renewToken()],
  ["a subject", (session) => session.subject = "ann"],
  ["the subject it has", (session) => session.subject = "zoe"],
  ["no subject", (session) => session.subject = undefined],
  ["destroy()", (session) => session.destroy()],
  ["mergeSession()", (session) => session.mergeSession("w".repeat(43))],
];

/** A session of a request whose response has started, and the store calls since. */
async function closedSession() {
  const { store, calls, reset } = countingStore(new MemoryStore({ cleanup: "off" }));
  const manager = newManager(store);
  const { token } = await savedSession({ a: 1 }, manager);
  const current = manager.begin(new Request("https://example.com/"), { token: token! });
  const session = await current.session();
  await current.finish(new Response());
  reset();
  return { session, calls };
}

for (const [what, change] of MUTATIONS) {
  Deno.test(`Session throws SessionClosedError for ${what} once the response has started`, async () => {
    const { session, calls } = await closedSession();
    // Some methods throw at once, some reject.
    const error = await assertRejects(async () => await change(session), SessionClosedError);
    assertEquals(error.code, "ERR_SESSION_CLOSED");
    assertEquals([session.get("a"), session.keys(), session.subject], [1, ["a"], "zoe"]);
    assertEquals([session.status, session.deadline], ["unmodified", NOW + HOUR]);
    assertEquals(calls(), {});
    assertEquals(stateOf(session).changes, undefined);
  });
}

Deno.test("Session.clear() and commit() throw SessionClosedError for an empty session too", async () => {
  const { store, calls } = countingStore(new MemoryStore({ cleanup: "off" }));
  const current = newManager(store).begin(new Request("https://example.com/"));
  const session = await current.session();
  await current.finish(new Response());
  assertThrows(() => session.clear(), SessionClosedError);
  await assertRejects(async () => await session.commit(), SessionClosedError);
  assertEquals(calls(), {});
});

Deno.test("The tests above cover every method of Session that changes something", async () => {
  const readers = ["get", ...GETTERS.map(([getter]) => `get${getter}`), "exists", "keys", "commit"];
  const known = [...readers, ...MUTATIONS.map(([what]) => what.replace(/\(\).*/, ""))];
  const descriptors = Object.entries(
    Object.getOwnPropertyDescriptors(Object.getPrototypeOf(await newSession())),
  );
  for (const [name, { set, value }] of descriptors) {
    if (name === "constructor") continue;
    if (typeof value === "function") assert(known.includes(name), `${name}() is new`);
    else assertEquals(set !== undefined, name === "subject", name);
  }
});

Deno.test("Session can still be read once the response has started", async () => {
  const { session, calls } = await closedSession();
  assertEquals([session.get("a"), session.getInt("a"), session.exists("a")], [1, 1, true]);
  assertEquals(session.keys(), ["a"]);
  assert(session.token !== undefined);
  assertEquals(calls(), {});
});

Deno.test("Inspecting Session and SessionManager shows neither token nor value", async () => {
  const manager = newManager();
  const session = await savedSession({ secret: "hunter2" }, manager);
  const { inspect } = await import("node:util");
  for (
    const shown of [
      Deno.inspect,
      (value: unknown) => inspect(value, { depth: 10, showHidden: true }),
      JSON.stringify,
      String,
    ]
  ) {
    const texts = [shown(session), shown(manager), shown({ session, manager })];
    for (const text of texts) {
      for (const secret of ["hunter2", session.token!, "zoe"]) {
        assertEquals(text.includes(secret), false, text);
      }
    }
  }
  assertEquals(Deno.inspect(session), 'Session { status: "unmodified" }');
  assertEquals(Deno.inspect(manager), "SessionManager {}");
  assertEquals([Object.keys(session), Object.keys(manager)], [[], []]);
});

Deno.test("SessionManager.sessionsOf() accepts no look-alike as the current session", async () => {
  const manager = newManager();
  const session = await savedSession({}, manager);
  const fake = Object.create(Object.getPrototypeOf(session)) as Session;
  await assertRejects(() => manager.sessionsOf("zoe", { current: fake }), TypeError);
});

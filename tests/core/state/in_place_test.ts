/**
 * A change in place, to an object that a session returned or was given, is saved like any other change.
 * @module
 */

import { withSessions } from "../../../middleware/fetch.ts";
import {
  type Codec,
  jsonCodec,
  MemoryStore,
  type Session,
  SessionEncodeError,
  type SessionManager,
  sessions,
  SessionStoreError,
} from "../../../mod.ts";
import {
  assertEquals,
  assertNotStrictEquals,
  assertRejects,
  assertStrictEquals,
  assertThrows,
} from "../../assert.ts";
import { countingStore } from "../../counting_store.ts";
import { before, failUnsent, interleave, type Step } from "../../scenarios/_interleaving.ts";

interface Kind {
  name: string;
  make(): object;
  /** Changes the value in place, differently each time. */
  change(value: object): void;
}

/** A kind of value that each change extends by the next number. */
function kind<T extends object>(name: string, make: () => T, change: (value: T) => void): Kind {
  return { name, make, change: change as (value: object) => void };
}

const KINDS: Kind[] = [
  kind("a list", () => ["a"], (list) => list.push("b")),
  kind("an object", () => ({ n: 0 }), (object) => object.n++),
  kind("a list within", () => ({ a: [{ b: [0] }] }), ({ a }) => a[0]!.b.push(1)),
  kind("a Map", () => new Map<string, number>(), (map) => map.set("n", (map.get("n") ?? 0) + 1)),
  kind("a Set", () => new Set<number>(), (set) => set.add(set.size)),
  kind("a Map in a Set", () => new Set([new Map<number, number>()]), ([map]) => map!.set(map!.size, 1)),
  kind("a Date", () => new Date(0), (date) => date.setTime(date.getTime() + 1)),
  kind("bytes", () => new Uint8Array(2), (bytes) => bytes[0]!++),
];

/** The value after that many changes. */
function changed({ make, change }: Kind, times: number): object {
  const value = make();
  for (let i = 0; i < times; i++) change(value);
  return value;
}

const rejected = () => new SessionStoreError("update", { reason: "rejected", retryable: false });

interface Bed {
  /** The store runs its steps from the second write on. */
  manager: SessionManager;
  /** A session with the value. */
  session: Session;
  /** The value that another request reads. */
  saved(key?: string): Promise<unknown>;
  /** Another request that changes the session. */
  elsewhere(use: (session: Session) => void): Promise<void>;
}

async function bed(value: unknown, steps: Step[] = []): Promise<Bed> {
  const store = new MemoryStore({ cleanup: "off" });
  const plain = sessions({ store });
  const first = await plain.load();
  first.put("value", value);
  const { token } = await first.commit();
  const manager = sessions({ store: interleave(store, { update: steps }) });
  return {
    manager,
    session: await manager.load(token),
    saved: async (key = "value") => (await plain.load(token)).get(key),
    elsewhere: async (use) => {
      const other = await plain.load(token);
      use(other);
      await other.commit();
    },
  };
}

for (const each of KINDS) {
  const { name, make, change } = each;

  Deno.test(`Session.get() gives ${name} that may be changed in place`, async () => {
    const { session, saved } = await bed(make());
    change(session.get("value") as object);
    await session.commit();
    assertEquals(session.status, "modified");
    assertEquals(await saved(), changed(each, 1));
  });

  Deno.test(`Session.put() takes ${name} that may be changed in place until the commit`, async () => {
    const { session, saved } = await bed(0);
    const value = make();
    session.put("value", value);
    change(value);
    await session.commit();
    assertEquals(await saved(), changed(each, 1));
  });

  Deno.test(`Session.update() makes ${name} that may be changed in place until the commit`, async () => {
    const { session, saved } = await bed(0);
    const value = make();
    session.update("value", () => value);
    change(value);
    await session.commit();
    assertEquals(await saved(), changed(each, 1));
  });

  Deno.test(`Session.update() may change ${name} in place and return it`, async () => {
    const { session, saved } = await bed(make());
    change(session.get("value") as object);
    session.update("value", (value) => (change(value as object), value));
    change(session.get("value") as object);
    await session.commit();
    assertEquals(await saved(), changed(each, 3));
  });

  for (
    const [way, obtain] of [
      ["get()", (session: Session) => session.get("value") as object],
      ["put()", (session: Session) => {
        const value = make();
        session.put("value", value);
        return value;
      }],
      ["update()", (session: Session) => {
        const value = make();
        session.update("value", () => value);
        return value;
      }],
    ] as const
  ) {
    Deno.test(`Session.commit() saves changes in place to ${name} of ${way} after each commit`, async () => {
      const { session, saved } = await bed(make());
      const value = obtain(session);
      for (let times = 1; times <= 3; times++) {
        change(value);
        await session.commit();
        assertEquals(await saved(), changed(each, times));
      }
    });

    Deno.test(`Session.commit() saves changes in place to ${name} of ${way} during another commit`, async () => {
      let value: object = {};
      const { session, saved } = await bed(make(), [before(() => Promise.resolve(change(value)))]);
      value = obtain(session);
      change(value);
      await session.commit();
      assertEquals(await saved(), changed(each, 1));
      await session.commit();
      assertEquals(await saved(), changed(each, 2));
    });

    Deno.test(`Session.commit() saves changes in place to ${name} of ${way} before a failed commit`, async () => {
      const { session, saved } = await bed(make(), [failUnsent(rejected())]);
      const value = obtain(session);
      change(value);
      await assertRejects(() => session.commit(), SessionStoreError);
      change(value);
      await session.commit();
      assertEquals(await saved(), changed(each, 2));
    });

    Deno.test(`Session.commit() saves changes in place to ${name} of ${way} beside another request's change`, async () => {
      const { session, saved, elsewhere } = await bed(make());
      const value = obtain(session);
      change(value);
      await elsewhere((other) => other.put("theirs", 1));
      await session.commit();
      assertEquals([await saved(), await saved("theirs")], [changed(each, 1), 1]);
      change(value);
      await session.commit();
      assertEquals([await saved(), await saved("theirs")], [changed(each, 2), 1]);
    });
  }

  Deno.test(`Session.commit() writes nothing for ${name} that was only read`, async () => {
    const { store, calls, reset } = countingStore(new MemoryStore({ cleanup: "off" }));
    const manager = sessions({ store });
    const first = await manager.load();
    first.put("value", make());
    const { token } = await first.commit();
    reset();
    const session = await manager.load(token);
    session.get("value");
    await session.commit();
    assertEquals(session.status, "unmodified");
    assertEquals(calls(), { find: 1 });
  });
}

/** Like an encrypting codec: different bytes each time. */
const randomCodec: Codec = {
  encode: (...session) =>
    new Uint8Array([...crypto.getRandomValues(new Uint8Array(8)), ...jsonCodec.encode(...session)]),
  decode: (bytes) => jsonCodec.decode(bytes.subarray(8)),
};

for (const { name, make, change } of KINDS) {
  Deno.test(`With a codec whose bytes differ each time ${name} is saved only if it was changed`, async () => {
    const store = new MemoryStore({ cleanup: "off" });
    const manager = sessions({ store, codec: randomCodec });
    const first = await manager.load();
    first.put("value", make());
    const { token } = await first.commit();
    const reader = await manager.load(token);
    const writer = await manager.load(token);
    reader.get("value");
    reader.put("seen", true);
    change(writer.get("value") as object);
    await writer.commit();
    await reader.commit();
    const expected = make();
    change(expected);
    assertEquals((await manager.load(token)).get("value"), expected);
  });
}

const LIST = KINDS[0]!;

Deno.test("Session.commit() writes nothing for a list that was changed and changed back", async () => {
  const { session, elsewhere, saved } = await bed(["a"]);
  const list = session.get("value") as string[];
  list.push("b");
  list.pop();
  await elsewhere((other) => other.put("value", ["theirs"]));
  await session.commit();
  assertEquals(await saved(), ["theirs"]);
});

for (
  const [what, replace, expected] of [
    ["put()", (session: Session) => session.put("value", 1), 1],
    ["update()", (session: Session) => session.update("value", () => 1), 1],
    ["remove()", (session: Session) => session.remove("value"), undefined],
    ["pop()", (session: Session) => void session.pop("value"), undefined],
    ["clear()", (session: Session) => session.clear(), undefined],
  ] as const
) {
  Deno.test(`Session.${what} discards earlier changes in place to the value`, async () => {
    const { session, saved } = await bed(["a"]);
    const list = session.get("value") as string[];
    list.push("b");
    replace(session);
    list.push("c");
    await session.commit();
    assertEquals(await saved(), expected);
  });
}

Deno.test("Session.destroy() discards earlier changes in place to the values", async () => {
  const { session, manager } = await bed(["a"]);
  const list = session.get("value") as string[];
  await session.destroy();
  list.push("b");
  session.put("fresh", 1);
  const { token } = await session.commit();
  assertEquals((await manager.load(token)).keys(), ["fresh"]);
});

Deno.test("Of two requests that change one list in place the last one wins: update() can merge them", async () => {
  const { session, saved, elsewhere } = await bed(["a"]);
  (session.get("value") as string[]).push("mine");
  await elsewhere((other) => (other.get("value") as string[]).push("theirs"));
  await session.commit();
  assertEquals(await saved(), ["a", "mine"]);
});

Deno.test("Session.update() merges the changes of two requests to one list, even in place", async () => {
  const { session, saved, elsewhere } = await bed(["a"]);
  const push = (item: string) => (list: unknown) => ((list as string[]).push(item), list);
  session.update("value", push("mine"));
  await elsewhere((other) => other.update("value", push("theirs")));
  await session.commit();
  assertEquals(await saved(), ["a", "theirs", "mine"]);
});

Deno.test("Session.update() merges the changes of two requests to one list, also if the list is read again", async () => {
  const { session, saved, elsewhere } = await bed(["start"]);
  session.update("value", (list) => [...list as string[], "a"]);
  assertEquals(session.get("value"), ["start", "a"]);
  await elsewhere((other) => other.update("value", (list) => [...list as string[], "b"]));
  await session.commit();
  assertEquals(await saved(), ["start", "b", "a"]);
});

Deno.test("Session.commit() writes a change in place once", async () => {
  const { store, calls, reset } = countingStore(new MemoryStore({ cleanup: "off" }));
  const manager = sessions({ store });
  const first = await manager.load();
  first.put("list", ["a"]);
  const { token } = await first.commit();
  const session = await manager.load(token);
  (session.get("list") as string[]).push("b");
  reset();
  await session.commit();
  await session.commit();
  assertEquals(calls(), { update: 1 });
});

Deno.test("Session.update() keeps an earlier change in place to the value, also after a conflict", async () => {
  const { session, saved, elsewhere } = await bed(["a"]);
  (session.get("value") as string[]).push("b");
  session.update("value", (list) => [...list as string[], "c"]);
  await elsewhere((other) => other.put("another", 1));
  await session.commit();
  assertEquals(await saved(), ["a", "b", "c"]);
});

Deno.test("Session.get() gives a value that cannot be stored as it is, also once the session is closed", async () => {
  const manager = sessions({ onError() {} });
  const request = manager.begin(new Request("https://example.com/"));
  const session = await request.session();
  const value = { method() {} };
  session.put("value", value);
  assertEquals((await request.finish(new Response())).status, 500);
  assertStrictEquals(session.get("value"), value);
});

Deno.test("Session.commit() saves a change in place that is made while it meets a conflict", async () => {
  let list: string[] = [];
  let other: Bed | undefined;
  const steps = [before(async () => {
    await other!.elsewhere((session) => session.put("value", ["theirs"]));
    list.push("b");
  })];
  const { session, saved } = other = await bed(["a"], steps);
  list = session.get("value") as string[];
  session.put("else", 1);
  await session.commit();
  assertEquals(await saved(), ["theirs"]);
  // Reading the session does not make it forget the change.
  assertEquals(session.get("value"), ["a", "b"]);
  await session.commit();
  assertEquals(await saved(), ["a", "b"]);
});

Deno.test("Session.get() gives the other request's value after a conflict, and that may be changed in place", async () => {
  const { session, saved, elsewhere } = await bed(["a"]);
  session.get("value");
  session.put("else", 1);
  await elsewhere((other) => other.put("value", ["theirs"]));
  await session.commit();
  (session.get("value") as string[]).push("mine");
  await session.commit();
  assertEquals(await saved(), ["theirs", "mine"]);
});

Deno.test("Session.get() gives the same object after a conflict over another value, and its changes are saved", async () => {
  const { session, saved, elsewhere } = await bed(["a"]);
  const list = session.get("value") as string[];
  session.put("else", 1);
  await elsewhere((other) => other.put("more", 1));
  await session.commit();
  assertStrictEquals(session.get("value"), list);
  list.push("b");
  await session.commit();
  assertEquals(await saved(), ["a", "b"]);
});

Deno.test("Session.update() that throws changes nothing, and changes in place are still noticed", async () => {
  const { session, saved } = await bed(["a"]);
  const list = session.get("value") as string[];
  assertThrows(() =>
    session.update("value", () => {
      throw new RangeError("no");
    }), RangeError);
  assertEquals(session.status, "unmodified");
  list.push("b");
  await session.commit();
  assertEquals(await saved(), ["a", "b"]);
});

Deno.test("Session.update() that throws undoes what its function changed in place", async () => {
  const { session, saved } = await bed(["a"]);
  const addAndFail = () =>
    assertThrows(() =>
      session.update("value", (list) => {
        (list as string[]).push("b");
        throw new RangeError("full");
      }), RangeError);
  addAndFail();
  assertEquals([session.status, session.get("value")], ["unmodified", ["a"]]);
  await session.commit();
  assertEquals(await saved(), ["a"]);
  addAndFail();
  session.put("other", 1);
  await session.commit();
  assertEquals([await saved(), await saved("other")], [["a"], 1]);
  // The value that this request has put is undone to what it was before the function ran.
  session.put("value", ["put"]);
  addAndFail();
  await session.commit();
  assertEquals(await saved(), ["put"]);
});

Deno.test("What is read after an update() that threw refuses changes once the response has started", async () => {
  const { manager, session: { token } } = await bed(["a"]);
  let list: string[] = [];
  const handler = withSessions(manager, async (_request, getSession) => {
    const session = await getSession();
    assertThrows(() =>
      session.update("value", (list) => {
        (list as string[]).push("b");
        throw new RangeError("full");
      }), RangeError);
    list = session.get("value") as string[];
    return new Response();
  });
  await handler(new Request("https://example.com/", { headers: { Cookie: `__Host-session=${token}` } }));
  assertThrows(() => list.push("lost"), TypeError);
});

Deno.test("Session.update() that throws undoes its change in place also for a conflict", async () => {
  const { session, saved, elsewhere } = await bed(["a"]);
  session.put("value", ["put"]);
  assertThrows(() =>
    session.update("value", (list) => {
      (list as string[]).push("b");
      throw new RangeError("full");
    }), RangeError);
  await elsewhere((other) => other.put("value", ["theirs"]));
  await session.commit();
  assertEquals(await saved(), ["put"]);
});

Deno.test("Session.update() that throws leaves a value that cannot be stored as it is", async () => {
  class Cart {
    items = ["a"];
  }
  const { session, saved } = await bed(["a"]);
  session.put("value", new Cart());
  assertThrows(() =>
    session.update("value", () => {
      throw new RangeError("no");
    }), RangeError);
  await assertRejects(() => session.commit(), SessionEncodeError, "an instance of Cart");
  assertEquals(await saved(), ["a"]);
});

Deno.test("Session.update() runs its function once, although the commit under way fails", async () => {
  let session = undefined as Session | undefined;
  const failWhileUpdated: Step = () => {
    session!.update("cart", (cart) => ((cart as string[]).push("pear"), cart));
    return Promise.reject(rejected());
  };
  const opened = await bed(0, [failWhileUpdated]);
  session = opened.session;
  session.put("cart", ["apple"]);
  await assertRejects(() => session!.commit(), SessionStoreError);
  await session.commit();
  assertEquals(await opened.saved("cart"), ["apple", "pear"]);
});

Deno.test("Session.commit() names the value that cannot be stored since a change in place, and saves nothing", async () => {
  const { session, saved } = await bed(["a"]);
  session.put("other", 1);
  (session.get("value") as unknown[]).push(() => {});
  const error = await assertRejects(() => session.commit(), SessionEncodeError);
  assertEquals(error.key, "value");
  assertEquals([await saved(), await saved("other")], [["a"], undefined]);
});

Deno.test("Session.commit() that refuses a value keeps the other changes", async () => {
  const { session, saved, elsewhere } = await bed(0);
  session.put("a", 1);
  session.put("bad", { f() {} });
  session.update("n", () => 2);
  const refused = () => assertRejects(() => session.commit(), SessionEncodeError);
  assertEquals((await refused()).key, "bad");
  assertEquals((await refused()).key, "bad");
  session.remove("bad");
  // Only changes in the log survive a conflict.
  await elsewhere((other) => other.put("theirs", 3));
  await session.commit();
  assertEquals([await saved("a"), await saved("n"), await saved("theirs")], [1, 2, 3]);
});

const URL = "https://example.com/";

/** A request whose session is read and then closed, as in a stream. */
async function closed(value: object, use: (session: Session) => void = () => {}) {
  const manager = sessions({ store: new MemoryStore({ cleanup: "off" }) });
  const first = await manager.load();
  first.put("value", value);
  first.put("other", { n: 1 });
  const { token } = await first.commit();
  const current = manager.begin(new Request(URL), { token });
  const session = await current.session();
  use(session);
  await current.finish(new Response());
  return { manager, session, token, current };
}

/** The same value for a codec. A `Map` that refuses changes has another prototype. */
function assertSame(value: unknown, expected: object): void {
  assertEquals(jsonCodec.encode(0, { value }), jsonCodec.encode(0, { value: expected }));
}

// Bytes cannot be frozen.
for (const kind of KINDS.filter(({ name }) => name !== "bytes")) {
  Deno.test(`A change in place of ${kind.name} throws once the response has started`, async () => {
    let before: unknown;
    const { manager, session, token } = await closed(kind.make(), (session) => before = session.get("value"));
    assertThrows(() => kind.change(before as object));
    assertStrictEquals(session.get("value"), before);
    assertSame(before, kind.make());
    assertEquals((await manager.load(token)).get("value"), kind.make());
    // An object that cannot be changed can still be stored in another session.
    const other = await manager.load(token);
    other.put("value", before as object);
    await other.commit();
    assertEquals((await manager.load(token)).get("value"), kind.make());
  });

  Deno.test(`A change in place of ${kind.name} throws if it is first read after the response has started`, async () => {
    const { session } = await closed(kind.make());
    const value = session.get("value");
    assertSame(value, kind.make());
    assertThrows(() => kind.change(value as object));
    assertStrictEquals(session.get("value"), value);
  });

  Deno.test(`A second change in place of ${kind.name} throws after the first is saved`, async () => {
    if (/within|Map in/.test(kind.name)) return;
    let value: object | undefined;
    const { manager, token } = await closed(kind.make(), (session) => {
      value = session.get("value") as object;
      kind.change(value);
    });
    assertThrows(() => kind.change(value!));
    assertEquals((await manager.load(token)).get("value"), changed(kind, 1));
  });

  Deno.test(`${kind.name} of the handler is not frozen by put()`, async () => {
    const own = kind.make();
    const { session } = await closed({}, (session) => session.put("value", own));
    const given = session.get("value");
    assertNotStrictEquals(given, own);
    assertThrows(() => kind.change(given as object));
    kind.change(own);
    assertSame(given, kind.make());
  });

  Deno.test(`${kind.name} of the handler is not frozen inside another value`, async () => {
    const own = kind.make();
    await closed([], (session) => (session.get("value") as unknown[]).push(own));
    kind.change(own);
  });

  Deno.test(`${kind.name} of the handler is not frozen by update()`, async () => {
    const own = kind.make();
    const { session } = await closed([], (session) => session.update("value", () => ({ own })));
    session.get("value");
    kind.change(own);
  });
}

for (const make of [() => new Map([["a", 1]]), () => new Set(["a"]), () => new Date(0)]) {
  const expected = make();
  const { constructor } = expected;
  Deno.test(`No method changes a ${constructor.name} once the response has started`, async () => {
    const { session } = await closed(make());
    const value = session.get("value") as Record<string, (...given: unknown[]) => unknown>;
    for (const name of Object.getOwnPropertyNames(constructor.prototype)) {
      try {
        value[name]!("b", () => 2);
      } catch {
        // It refuses the change, or what it was given.
      }
      assertSame(value, expected);
    }
  });
}

Deno.test("No object of the handler is frozen, also where several were put and changed in place", async () => {
  const manager = sessions<{ a: number[]; b: number[] }>();
  const current = manager.begin(new Request(URL));
  const session = await current.session();
  const [a, b] = [[1], [1]];
  session.put("a", a);
  session.put("b", b);
  await session.commit();
  a.push(2);
  await current.finish(new Response());
  assertEquals([a.push(3), b.push(3)], [3, 2]);
  const given = session.get("a");
  assertThrows(() => session.get("b")!.push(4), TypeError);
  assertThrows(() => given!.push(4), TypeError);
  assertStrictEquals(session.get("a"), given);
});

Deno.test("An object of a failed handler is not frozen inside a value that it has changed in place", async () => {
  const manager = sessions<{ list: object[] }>();
  const first = await manager.load();
  first.put("list", []);
  const { token } = await first.commit();
  const current = manager.begin(new Request(URL), { token });
  const own: { n?: number } = {};
  (await current.session()).get("list")!.push(own);
  await current.finish(new Response("sorry", { status: 500 }), new Error("the handler failed"));
  own.n = 1;
});

Deno.test("An outer middleware gets objects that can be changed, after an inner one has finished", async () => {
  const manager = sessions({ store: new MemoryStore({ cleanup: "off" }) });
  const first = await manager.load();
  first.put("list", [1]);
  const { token } = await first.commit();
  const request = new Request(URL, { headers: { Cookie: `__Host-session=${token}` } });
  const [outer, inner] = [manager.begin(request), manager.begin(request)];
  const list = (await inner.session()).get("list") as number[];
  const response = await inner.finish(new Response());
  assertThrows(() => list.push(2), TypeError);
  ((await outer.session()).get("list") as number[]).push(3);
  await outer.finish(response);
  assertEquals((await manager.load(token)).get("list"), [1, 3]);
});

Deno.test("An outer middleware gets a list that can be changed, after an inner one has changed and saved it", async () => {
  const { manager, session, saved } = await bed(["a"]);
  const headers = { Cookie: `__Host-session=${session.token}` };
  const request = new Request(URL, { headers });
  const [outer, inner] = [manager.begin(request), manager.begin(request)];
  ((await inner.session()).get("value") as string[]).push("inner");
  const response = await inner.finish(new Response());
  ((await outer.session()).get("value") as string[]).push("outer");
  await outer.finish(response);
  assertEquals(await saved(), ["a", "inner", "outer"]);
});

Deno.test("A change in place of an outer middleware is kept where an inner one asks for the session", async () => {
  const { manager, session, saved } = await bed(["a"]);
  const headers = { Cookie: `__Host-session=${session.token}` };
  const request = new Request("https://example.com/", { headers });
  const [outer, inner] = [manager.begin(request), manager.begin(request)];
  ((await outer.session()).get("value") as string[]).push("outer");
  const list = (await inner.session()).get("value") as string[];
  assertEquals(list, ["a", "outer"]);
  list.push("inner");
  await outer.finish(await inner.finish(new Response()));
  assertEquals(await saved(), ["a", "outer", "inner"]);
});

Deno.test("A value that its codec can read and not write fails no request that only reads it", async () => {
  class Money {
    amount = 1;
  }
  const codec: Codec = {
    ...jsonCodec,
    decode(bytes) {
      const { deadline } = jsonCodec.decode(bytes);
      return { deadline, values: { value: new Money() } };
    },
  };
  const store = new MemoryStore({ cleanup: "off" });
  const { token } = await (await sessions({ store }).load()).commit();
  const session = await sessions({ store, codec }).load(token);
  assertEquals((session.get("value") as Money).amount, 1);
  await session.commit();
  assertEquals(session.status, "unmodified");
});

Deno.test("A middleware saves what a handler changed in place", async () => {
  const { manager, session, saved } = await bed(LIST.make());
  const current = manager.begin(new Request("https://example.com/"), { token: session.token });
  LIST.change((await current.session()).get("value") as object);
  await current.finish(new Response());
  assertEquals(await saved(), changed(LIST, 1));
});

Deno.test("The row is decoded twice at most, however many objects were read", async () => {
  let decoded = 0;
  const codec: Codec = { ...jsonCodec, decode: (bytes) => (decoded++, jsonCodec.decode(bytes)) };
  const manager = sessions<Record<string, { n: number }>>({ codec });
  const session = await manager.load();
  for (let n = 0; n < 50; n++) session.put(`key${n}`, { n });
  const { token } = await session.commit();
  decoded = 0;
  const again = await manager.load(token);
  for (const key of again.keys()) again.get(key);
  await again.commit();
  assertEquals(decoded, 2);
});

Deno.test("Keys that were put into another order in place are saved in that order", async () => {
  const manager = sessions<{ recent: Record<string, boolean> }>();
  const session = await manager.load();
  session.put("recent", { a: true, b: true });
  const { token } = await session.commit();
  const again = await manager.load(token);
  const recent = again.get("recent")!;
  delete recent.a;
  recent.a = true;
  await again.commit();
  assertEquals(Object.keys((await manager.load(token)).get("recent")!), ["b", "a"]);
});

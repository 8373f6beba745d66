/**
 * What happens to a session while one of its commits is under way or in doubt: changes, a handler that fails, another
 * request's write.
 * @module
 */

import { Hono } from "hono";
import {
  jsonCodec,
  MemoryStore,
  type RequestSession,
  type Session,
  SessionClosedError,
  type SessionEvent,
  type SessionManager,
  sessions,
  SessionStoreError,
} from "../../mod.ts";
import { honoSessions } from "../../middleware/hono.ts";
import { assert, assertEquals, assertRejects, assertThrows } from "../assert.ts";

type Data = { user: string; a: number; b: number; n: number; list: (string | number)[]; notice: string };

type Call = (name: "find" | "create", given: { primary?: boolean }) => void;

/** A store that asks before each read and each creation. What is thrown there fails the call. */
class WatchedStore extends MemoryStore {
  before: Call = () => {};
  /** How many reads a replica answers that lacks the row. */
  stale = 0;
  /** The arguments of the last creation. */
  created: Parameters<MemoryStore["create"]> | undefined;

  // deno-lint-ignore require-await
  override async find(...given: Parameters<MemoryStore["find"]>): ReturnType<MemoryStore["find"]> {
    this.before("find", given[1]);
    if (this.stale > 0 && !given[1].primary) {
      this.stale--;
      return undefined;
    }
    return super.find(...given);
  }

  // deno-lint-ignore require-await
  override async create(...given: Parameters<MemoryStore["create"]>): ReturnType<MemoryStore["create"]> {
    this.created = given;
    this.before("create", {});
    return super.create(...given);
  }
}

function bed(): { store: WatchedStore; manager: SessionManager<Data> } {
  const store = new WatchedStore({ cleanup: "off" });
  return { store, manager: sessions<Data>({ store, onError() {} }) };
}

/** A commit that the store carries out. Its reply is lost, and so is the answer to the question what became of it. */
async function commitInDoubt(store: WatchedStore, session: Session<Data>): Promise<void> {
  const update = store.update.bind(store);
  store.update = async (...given) => {
    await update(...given);
    store.before = () => {
      throw lost();
    };
    throw lost();
  };
  await assertRejects(() => session.commit(), SessionStoreError);
  store.before = () => {};
  store.update = update;
}

async function saved(
  manager: SessionManager<Data>,
  change: (session: Session<Data>) => void,
): Promise<string> {
  const session = await manager.load();
  change(session);
  return (await session.commit()).token;
}

function requestWith(manager: SessionManager<Data>, token: string): RequestSession<Data> {
  const headers = { Cookie: `__Host-session=${token}` };
  return manager.begin(new Request("https://example.com/", { headers }));
}

const busy = () => new SessionStoreError("create", { reason: "busy", retryable: true });
const lost = () => new SessionStoreError("create", { reason: "timeout", retryable: true, ambiguous: true });
const withEntry = (entry: string | number) => (list: (string | number)[] = []) => [...list, entry];

Deno.test("An update of a list during a commit is made again on what another request has written", async () => {
  const { manager } = bed();
  const token = await saved(manager, (session) => session.put("list", ["start"]));
  const session = await manager.load(token);
  session.update("list", withEntry("a"));
  const saving = session.commit();
  session.update("list", withEntry("b"));
  await saving;
  const other = await manager.load(token);
  other.update("list", withEntry("c"));
  await other.commit();
  await session.commit();
  assertEquals((await manager.load(token)).get("list"), ["start", "a", "c", "b"]);
});

Deno.test("A change in place after an update, during a commit that meets a conflict, is saved", async () => {
  const { manager } = bed();
  const token = await saved(manager, (session) => session.put("n", 0));
  const session = await manager.load(token);
  const other = await manager.load(token);
  other.put("a", 1);
  await other.commit();
  session.put("list", [5]);
  const saving = session.commit();
  session.update("list", withEntry(10));
  session.get("list")!.push(13);
  await saving;
  await session.commit();
  assertEquals((await manager.load(token)).get("list"), [5, 10, 13]);
});

Deno.test("An update during a commit that meets a conflict is made again after the value was read", async () => {
  const { manager } = bed();
  const token = await saved(manager, (session) => session.put("list", ["start"]));
  const session = await manager.load(token);
  const write = async (change: (session: Session<Data>) => void) => {
    const other = await manager.load(token);
    change(other);
    await other.commit();
  };
  await write((other) => other.put("a", 1));
  session.put("b", 1);
  const saving = session.commit();
  session.update("list", withEntry("a"));
  await saving;
  assertEquals(session.get("list"), ["start", "a"]);
  await write((other) => other.update("list", withEntry("b")));
  await session.commit();
  assertEquals((await manager.load(token)).get("list"), ["start", "b", "a"]);
});

Deno.test("A list that is read while a commit saves its update is not saved once more", async () => {
  const { store, manager } = bed();
  const token = await saved(manager, (session) => session.put("list", ["start"]));
  store.stale = 1;
  const session = await manager.load(token);
  session.update("list", withEntry("a"));
  const update = store.update.bind(store);
  let writes = 0;
  store.update = (...given) => {
    writes++;
    assertEquals(session.get("list"), ["start", "a"]);
    return update(...given);
  };
  await session.commit();
  await session.commit();
  assertEquals(writes, 1);
});

Deno.test("An update at any moment of a commit that asks the primary counts once", async () => {
  for (let turns = 0; turns < 30; turns++) {
    const { store, manager } = bed();
    const token = await saved(manager, (session) => session.put("a", 1));
    store.stale = 1;
    const session = await manager.load(token);
    session.put("b", 1);
    const saving = session.commit();
    for (let turn = 0; turn < turns; turn++) await undefined;
    session.update("n", (n = 0) => n + 1);
    await saving;
    const other = await manager.load(token);
    other.put("a", 2);
    await other.commit();
    await session.commit();
    assertEquals((await manager.load(token)).get("n"), 1, `after ${turns} turns`);
  }
});

Deno.test("A commit stands with all its values where the handler fails between two attempts", async () => {
  const { store, manager } = bed();
  const current = manager.begin(new Request("https://example.com/"));
  const session = await current.session();
  session.subject = "ann";
  session.put("user", "ann");
  let attempts = 0;
  store.before = (name) => {
    if (name === "create" && attempts++ === 0) throw busy();
  };
  const saving = session.commit();
  await Promise.resolve();
  const error = new Error("the handler failed");
  current.fail(error);
  session.put("notice", "Sorry");
  const { token } = await saving;
  const response = await current.finish(new Response("sorry", { status: 500 }), error);
  assert(response.headers.getSetCookie()[0]!.includes(token));
  const stored = await manager.load(token);
  assertEquals([stored.subject, stored.get("user"), stored.get("notice")], ["ann", "ann", "Sorry"]);
});

Deno.test("What is put after a creation in doubt is saved, also where that creation arrives late", async () => {
  const { store, manager } = bed();
  const session = await manager.load();
  session.put("a", 1);
  store.before = () => {
    throw lost();
  };
  await assertRejects(() => session.commit(), SessionStoreError);
  const late = store.created!;
  session.put("b", 2);
  store.before = (name) => {
    if (name === "create") throw busy();
  };
  await assertRejects(() => session.commit(), SessionStoreError);
  store.before = () => {};
  await store.create(...late);
  const { token } = await session.commit();
  const stored = await manager.load(token);
  assertEquals([stored.get("a"), stored.get("b")], [1, 2]);
});

Deno.test("A value that is changed in place after a creation in doubt is saved by the next write", async () => {
  const { store, manager } = bed();
  const session = await manager.load();
  session.put("list", ["a"]);
  store.before = () => {
    throw lost();
  };
  await assertRejects(() => session.commit(), SessionStoreError);
  session.get("list")!.push("b");
  store.before = () => {};
  const { token } = await session.commit();
  assertEquals(jsonCodec.decode(store.created![1]).values.list, ["a"]);
  assertEquals((await manager.load(token)).get("list"), ["a", "b"]);
});

for (const isNew of [true, false]) {
  const which = isNew ? "a new session" : "a stored session";
  Deno.test(`What a handler changes in place after a commit() of ${which} that it does not await is saved`, async () => {
    const { manager } = bed();
    const token = isNew ? "" : await saved(manager, (session) => session.put("list", ["a"]));
    const current = manager.begin(new Request("https://example.com/"), { token });
    const session = await current.session();
    const list = session.get("list") ?? ["a"];
    list.push("b");
    if (isNew) session.put("list", list);
    const saving = session.commit();
    list.push("c");
    await current.finish(new Response());
    assertEquals((await manager.load((await saving).token)).get("list"), ["a", "b", "c"]);
  });
}

/** As `withEntry()`, in place. */
const pushed = (entry: string | number) => (list: (string | number)[] = []) => (list.push(entry), list);

Deno.test("An update in place during a commit that meets a conflict counts once", async () => {
  const { manager } = bed();
  const token = await saved(manager, (session) => session.put("n", 0));
  const session = await manager.load(token);
  const other = await manager.load(token);
  other.put("a", 1);
  await other.commit();
  session.put("list", ["a"]);
  const saving = session.commit();
  session.update("list", pushed("b"));
  await saving;
  assertEquals(session.get("list"), ["a", "b"]);
  assertEquals((await manager.load(token)).get("list"), ["a"]);
  await session.commit();
  assertEquals((await manager.load(token)).get("list"), ["a", "b"]);
});

Deno.test("Updates and removals are in the session after a second attempt to create it", async () => {
  const { store, manager } = bed();
  const session = await manager.load();
  session.update("n", (n = 0) => n + 1);
  session.put("a", 1);
  session.remove("a");
  let attempts = 0;
  store.before = (name) => {
    if (name === "create" && attempts++ === 0) throw busy();
  };
  await session.commit();
  assertEquals([session.get("n"), session.keys()], [1, ["n"]]);
});

Deno.test("An update in place between two attempts to create its session counts once", async () => {
  const { store, manager } = bed();
  const session = await manager.load();
  const list = ["a"];
  session.put("list", list);
  let attempts = 0;
  store.before = (name) => {
    if (name === "create" && attempts++ === 0) throw busy();
  };
  const saving = session.commit();
  session.update("list", pushed("b"));
  await saving;
  list.push("c");
  const { token } = await session.commit();
  assertEquals((await manager.load(token)).get("list"), ["a", "b", "c"]);
});

Deno.test("What a handler changes in place after a creation in doubt is saved with the response", async () => {
  const { store, manager } = bed();
  const current = manager.begin(new Request("https://example.com/"), { token: "" });
  const session = await current.session();
  const list = ["a"];
  session.put("list", list);
  store.before = () => {
    throw lost();
  };
  await assertRejects(() => session.commit(), SessionStoreError);
  store.before = () => {};
  list.push("b");
  await current.finish(new Response());
  assertEquals((await manager.load(session.token)).get("list"), ["a", "b"]);
});

Deno.test("A value that is changed in place between two attempts to create its session is saved", async () => {
  const { store, manager } = bed();
  const session = await manager.load();
  session.put("list", ["a"]);
  let attempts = 0;
  store.before = (name) => {
    if (name === "create" && attempts++ === 0) throw busy();
  };
  const saving = session.commit();
  session.get("list")!.push("b");
  await saving;
  const { token } = await session.commit();
  assertEquals((await manager.load(token)).get("list"), ["a", "b"]);
});

Deno.test("The error page of a login that came second and failed leaves the first login its cookie", async () => {
  const { store, manager } = bed();
  const token = await saved(manager, (session) => session.put("a", 1));
  const app = new Hono().use(honoSessions(manager))
    .post("/login", async (c) => {
      const session = await c.var.session();
      session.renewToken();
      const first = await manager.load(token);
      first.renewToken();
      await first.commit();
      store.before = (name) => {
        if (name === "create") throw busy();
      };
      await session.commit().finally(() => store.before = () => {});
      return c.text("welcome");
    })
    .onError(async (_error, c) => {
      (await (c.get as (key: string) => () => Promise<Session<Data>>)("session")()).put(
        "notice",
        "Try again",
      );
      return c.text("sorry", 500);
    });
  const headers = { Cookie: `__Host-session=${token}` };
  const response = await app.request("https://example.com/login", { method: "POST", headers });
  assertEquals([response.status, response.headers.getSetCookie()], [409, []]);
});

Deno.test("A login that came second and is in doubt never becomes the session of another cookie", async () => {
  const { store, manager } = bed();
  const one = await saved(manager, (session) => session.put("user", "one"));
  const two = await saved(manager, (session) => (session.put("user", "two"), session.subject = "two"));
  const Cookie = `__Host-session=${one}; __Host-session=${two}`;
  store.stale = 1;
  const current = manager.begin(new Request("https://example.com/", { headers: { Cookie } }));
  const session = await current.session();
  assertEquals(session.get("user"), "two");
  session.renewToken();
  session.put("n", 1);
  const first = await manager.load(two);
  first.renewToken();
  await first.commit();
  let isSent = false;
  store.before = (name) => {
    isSent ||= name === "create";
    if (isSent) throw lost();
  };
  await assertRejects(() => session.commit(), SessionStoreError);
  store.before = () => {};
  await session.commit();
  await current.finish(new Response());
  const all = await Array.fromAsync(manager.iterate());
  const seen = all.map((each) => `${each.get("user")} ${each.subject} ${each.get("n")}`);
  assertEquals(seen.sort(), ["one undefined undefined", "two two undefined", "undefined undefined 1"]);
});

Deno.test("A session whose renewal is in doubt is the current one, and is excepted from destroyAll()", async () => {
  const { store, manager } = bed();
  const token = await saved(manager, (session) => session.subject = "ann");
  const session = await manager.load(token);
  session.renewToken();
  await commitInDoubt(store, session);
  assertEquals((await manager.sessionsOf("ann", { current: session })).map(({ current }) => current), [true]);
  assertEquals(await manager.destroyAll("ann", { except: session }), 0);
  await session.commit();
  assertEquals((await manager.load(session.token)).subject, "ann");
});

Deno.test("A session whose renewal is under way is the current one, and is excepted from destroyAll()", async () => {
  const { manager } = bed();
  const token = await saved(manager, (session) => session.subject = "ann");
  const session = await manager.load(token);
  session.renewToken();
  session.commit();
  assertEquals((await manager.sessionsOf("ann", { current: session })).map(({ current }) => current), [true]);
  session.renewToken();
  session.commit();
  assertEquals(await manager.destroyAll("ann", { except: session }), 0);
  assertEquals((await manager.load(session.token)).subject, "ann");
});

Deno.test("A commit that waits for another one is refused where the handler fails before it begins", async () => {
  const { manager } = bed();
  const token = await saved(manager, (session) => session.put("a", 1));
  const current = requestWith(manager, token);
  const session = await current.session();
  session.put("a", 2);
  const first = session.commit();
  session.put("b", 2);
  const second = session.commit();
  current.fail(new Error("the handler failed"));
  await first;
  await assertRejects(() => second, SessionClosedError, "its changes are forgotten");
  const stored = await manager.load(token);
  assertEquals([stored.get("a"), stored.get("b")], [2, undefined]);
});

Deno.test("A commit stands where the handler fails right after it has begun, also after an earlier one", async () => {
  const { manager } = bed();
  const current = manager.begin(new Request("https://example.com/"));
  const session = await current.session();
  session.put("a", 1);
  await session.commit();
  session.put("b", 2);
  const second = session.commit();
  current.fail(new Error("the handler failed"));
  const { token } = await second;
  assertEquals((await manager.load(token)).get("b"), 2);
});

Deno.test("A commit that fails after its handler has failed leaves nothing to save", async () => {
  const { store, manager } = bed();
  const current = manager.begin(new Request("https://example.com/"));
  const session = await current.session();
  session.put("a", 1);
  store.before = (name) => {
    if (name === "create") throw new SessionStoreError("create", { reason: "rejected", retryable: false });
  };
  const saving = session.commit();
  const error = new Error("the handler failed");
  current.fail(error);
  await assertRejects(() => saving, SessionStoreError);
  store.before = () => {};
  const response = await current.finish(new Response("sorry", { status: 500 }), error);
  assertEquals([response.headers.getSetCookie(), store.size], [[], 0]);
});

Deno.test("A merge that is under way where the handler fails changes nothing", async () => {
  const { store, manager } = bed();
  const guest = await saved(manager, (session) => session.put("list", ["a"]));
  const current = manager.begin(new Request("https://example.com/"), { token: "" });
  const session = await current.session();
  const error = new Error("the handler failed");
  store.before = () => {
    store.before = () => {};
    current.fail(error);
  };
  await session.mergeSession(guest);
  session.put("notice", "Sorry");
  await current.finish(new Response("sorry", { status: 500 }), error);
  assertEquals((await manager.load(session.token)).keys(), ["notice"]);
  assertEquals((await manager.load(guest)).keys(), ["list"]);
});

Deno.test("A merge that waits for a commit changes nothing where the handler fails before it begins", async () => {
  const { manager } = bed();
  const guest = await saved(manager, (session) => session.put("list", ["a"]));
  const current = manager.begin(new Request("https://example.com/"), { token: "" });
  const session = await current.session();
  const saving = session.commit();
  const merging = session.mergeSession(guest);
  const error = new Error("the handler failed");
  current.fail(error);
  await Promise.all([saving, merging]);
  session.put("notice", "Sorry");
  await current.finish(new Response("sorry", { status: 500 }), error);
  assertEquals((await manager.load(session.token)).keys(), ["notice"]);
  assertEquals((await manager.load(guest)).keys(), ["list"]);
});

Deno.test("The event of a renewal has the subject that was saved, not one that was set during the commit", async () => {
  const events: SessionEvent[] = [];
  const store = new WatchedStore({ cleanup: "off" });
  const manager = sessions<Data>({ store, onEvent: (event) => void events.push(event) });
  const token = await saved(manager, (session) => session.put("n", 1));
  const session = await manager.load(token);
  const other = await manager.load(token);
  other.put("a", 1);
  await other.commit();
  session.renewToken();
  session.subject = "ann";
  const saving = session.commit();
  session.subject = "zoe";
  await saving;
  const renewed = events.find(({ kind }) => kind === "renewed");
  assertEquals(renewed && "subject" in renewed && renewed.subject, "ann");
});

Deno.test("The cookie of a commit forgets a rememberMe() that came during the commit and was not saved", async () => {
  const manager = sessions({ store: new MemoryStore({ cleanup: "off" }), cookie: { persist: false } });
  const current = manager.begin(new Request("https://example.com/"));
  const session = await current.session();
  const saving = session.commit();
  session.rememberMe(true);
  await saving;
  const response = await current.finish(
    new Response("sorry", { status: 500 }),
    new Error("the handler failed"),
  );
  const [cookie = ""] = response.headers.getSetCookie();
  assert(cookie.startsWith(`__Host-session=${session.token};`) && !cookie.includes("Max-Age"), cookie);
});

Deno.test("What a failed commit found on the primary is not saved with the changes of a handler that failed", async () => {
  const { store, manager } = bed();
  const token = await saved(manager, (session) => session.put("a", 1));
  store.stale = 1;
  const current = manager.begin(new Request("https://example.com/"), { token });
  const session = await current.session();
  session.put("a", 2);
  const error = new Error("the handler failed");
  store.before = (_name, { primary }) => {
    if (primary) current.fail(error);
  };
  const update = store.update.bind(store);
  store.update = () => {
    throw new SessionStoreError("update", { reason: "rejected", retryable: false });
  };
  await assertRejects(() => session.commit(), SessionStoreError);
  store.update = update;
  session.put("notice", "Sorry");
  await current.finish(new Response("sorry", { status: 500 }), error);
  const stored = await manager.load(token);
  assertEquals([stored.get("a"), stored.get("notice")], [1, "Sorry"]);
});

Deno.test("What a handler that fails has changed after a commit in doubt is not saved by its error page", async () => {
  const { store, manager } = bed();
  const token = await saved(manager, (session) => session.put("a", 1));
  const current = requestWith(manager, token);
  const session = await current.session();
  session.put("a", 2);
  await commitInDoubt(store, session);
  session.put("b", 2);
  const error = new Error("the handler failed");
  current.fail(error);
  session.put("notice", "Sorry");
  await current.finish(new Response("sorry", { status: 500 }), error);
  const stored = await manager.load(token);
  assertEquals([stored.get("a"), stored.get("b"), stored.get("notice")], [2, undefined, "Sorry"]);
});

Deno.test("A function of update() runs once where no other request has written", async () => {
  const { manager } = bed();
  const token = await saved(manager, (session) => session.put("n", 0));
  const session = await manager.load(token);
  let runs = 0;
  session.update("n", (n = 0) => n + ++runs);
  await session.commit();
  assertEquals([runs, (await manager.load(token)).get("n")], [1, 1]);
});

Deno.test("A logout that a handler does not await, behind a commit, ends the session", async () => {
  const { manager } = bed();
  const token = await saved(manager, (session) => session.put("a", 1));
  const current = requestWith(manager, token);
  const session = await current.session();
  session.put("a", 2);
  session.commit();
  session.destroy();
  const response = await current.finish(new Response("bye"));
  const [cookie = ""] = response.headers.getSetCookie();
  assert(cookie.startsWith("__Host-session=;"), cookie);
  assertEquals((await manager.load(token)).token, undefined);
});

Deno.test("A commit of a change in place that waits for another one is refused where the handler fails", async () => {
  const { manager } = bed();
  const token = await saved(manager, (session) => session.put("list", ["a"]));
  const current = manager.begin(new Request("https://example.com/"), { token });
  const session = await current.session();
  session.put("a", 2);
  const first = session.commit();
  session.get("list")!.push("b");
  const second = session.commit();
  current.fail(new Error("the handler failed"));
  await first;
  await assertRejects(() => second, SessionClosedError, "its changes are forgotten");
  assertEquals((await manager.load(token)).get("list"), ["a"]);
});

/** A session whose next commit meets a conflict, with a list that this commit saves. */
async function inConflict(list: string[]) {
  const { manager } = bed();
  const token = await saved(manager, (session) => session.put("n", 0));
  const session = await manager.load(token);
  const other = await manager.load(token);
  other.put("a", 1);
  await other.commit();
  session.put("list", list);
  return { session, stored: async () => (await manager.load(token)).get("list") };
}

Deno.test("A change in place during a conflict is saved by the next commit, and its undoing is saved too", async () => {
  for (const isUndone of [false, true]) {
    const list = ["a"];
    const { session, stored } = await inConflict(list);
    const saving = session.commit();
    list.push("b");
    await saving;
    assertEquals(await stored(), ["a"]);
    if (isUndone) list.pop();
    await session.commit();
    assertEquals(await stored(), list);
  }
});

Deno.test("A change in place during a conflict is not saved where the handler then fails", async () => {
  const { manager } = bed();
  const token = await saved(manager, (session) => session.put("n", 0));
  const current = manager.begin(new Request("https://example.com/"), { token });
  const session = await current.session();
  const other = await manager.load(token);
  other.put("a", 1);
  await other.commit();
  const list = ["a"];
  session.put("list", list);
  const saving = session.commit();
  list.push("b");
  current.fail(new Error("the handler failed"));
  await saving;
  await current.finish(new Response("sorry"));
  assertEquals((await manager.load(token)).get("list"), ["a"]);
});

Deno.test("An update() that throws at any moment of a conflict leaves the session as it is saved", async () => {
  for (let moment = 0; moment < 80; moment++) {
    const { session, stored } = await inConflict(["a"]);
    const saving = session.commit();
    for (let turn = 0; turn < moment; turn++) await undefined;
    const failing = (list: (string | number)[] = []): never => {
      list.push("b");
      throw new Error("the list is full");
    };
    assertThrows(() => session.update("list", failing), Error, "the list is full");
    await saving;
    await session.commit();
    assertEquals([session.get("list"), await stored()], [["a"], ["a"]], `after ${moment} turns`);
  }
});

Deno.test("An update in place at any moment of a conflict counts once", async () => {
  for (let moment = 0; moment < 80; moment++) {
    const { session, stored } = await inConflict(["a"]);
    const saving = session.commit();
    for (let turn = 0; turn < moment; turn++) await undefined;
    session.update("list", pushed("b"));
    await saving;
    await session.commit();
    assertEquals([session.get("list"), await stored()], [["a", "b"], ["a", "b"]], `after ${moment} turns`);
  }
});

Deno.test("A change in place while a doubt is settled is saved, and its undoing too", async () => {
  const { store, manager } = bed();
  const token = await saved(manager, (session) => session.put("list", ["a"]));
  const session = await manager.load(token);
  const list = session.get("list")!;
  session.put("a", 1);
  await commitInDoubt(store, session);
  session.put("b", 1);
  const saving = session.commit();
  list.push("b");
  await saving;
  assertEquals((await manager.load(token)).get("list"), ["a", "b"]);
  list.pop();
  await session.commit();
  assertEquals((await manager.load(token)).get("list"), ["a"]);
});

Deno.test("A saved update counts once, though a later one refuses what another request has written", async () => {
  const { manager } = bed();
  const token = await saved(manager, (session) => session.put("a", 1));
  const session = await manager.load(token);
  const setElsewhere = async (a: number) => {
    const other = await manager.load(token);
    other.put("a", a);
    await other.commit();
  };
  await setElsewhere(0);
  session.update("n", (n = 0) => n + 1);
  const saving = session.commit();
  session.update("a", (left = 0) => {
    if (left === 0) throw new Error("sold out");
    return left - 1;
  });
  await saving;
  await assertRejects(() => session.commit(), Error, "sold out");
  await setElsewhere(5);
  await session.commit();
  const stored = await manager.load(token);
  assertEquals([stored.get("n"), stored.get("a")], [1, 4]);
});

Deno.test("What is removed during a commit is removed from the session that it finds on the primary", async () => {
  const { store, manager } = bed();
  const token = await saved(manager, (session) => session.put("list", ["a"]));
  store.stale = 1;
  const session = await manager.load(token);
  const saving = session.commit();
  session.remove("list");
  await saving;
  await session.commit();
  const stored = await manager.load(token);
  assertEquals([session.exists("list"), stored.exists("list")], [false, false]);
});

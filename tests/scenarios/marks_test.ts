/**
 * A login beside other requests: the mark that a renewal leaves under the old token, and what each request gets.
 * @module
 */

import { type Session, SessionConfigError, SessionGoneError, sessions } from "../../mod.ts";
import { publicId } from "../../core/bytes/token.ts";
import { withSessions } from "../../middleware/fetch.ts";
import { MemoryStore } from "../../stores/memory.ts";
import { assert, assertEquals, assertRejects, assertThrows } from "../assert.ts";
import type { FullStore } from "../backends.ts";
import { aroundCalls } from "../counting_store.ts";
import { type Bed, HOUR, MINUTE, onEachStore, sha256 } from "./_bed.ts";
import { before } from "./_interleaving.ts";
import { StoppedReplicaStore } from "./_stopped_replica.ts";
import { setCookies } from "./_visits.ts";

interface Data {
  user: string;
  visits: number;
}

const URL = "https://example.com/";

async function visitor(bed: Bed): Promise<string> {
  const session = await bed.manager<Data>().load();
  session.put("visits", 1);
  return (await session.commit()).token;
}

async function login(bed: Bed, token: string): Promise<string> {
  const session = await bed.manager<Data>().load(token);
  session.renewToken();
  session.put("user", "ann");
  session.subject = "ann";
  return (await session.commit()).token;
}

function handler(bed: Bed, store: FullStore = bed.store) {
  return withSessions(bed.manager<Data>({ store }), async (request, getSession) => {
    const session = await getSession();
    const { pathname } = new globalThis.URL(request.url);
    if (pathname === "/write") session.update("visits", (visits = 0) => visits + 1);
    if (pathname === "/login") {
      session.renewToken();
      session.put("user", "ann");
    }
    return new Response(session.get("user") ?? "nobody");
  });
}

const withCookie = (path: string, token: string) => {
  return new Request(`${URL}${path}`, { headers: { Cookie: `__Host-session=${token}` } });
};

onEachStore(
  "A request with the old token of a login is anonymous, and its writes are refused",
  async (bed) => {
    const old = await visitor(bed);
    const token = await login(bed, old);
    const answer = handler(bed);
    const read = await answer(withCookie("read", old));
    assertEquals([read.status, await read.text(), setCookies(read)], [200, "nobody", []]);
    const written = await answer(withCookie("write", old));
    assertEquals([written.status, setCookies(written)], [409, []]);
    assertEquals((await bed.manager<Data>().load(token)).get("user"), "ann");
  },
);

onEachStore("A write that began before a login is refused, and sends no cookie", async (bed) => {
  const old = await visitor(bed);
  const session = await bed.manager<Data>().load(old);
  session.put("visits", 2);
  await login(bed, old);
  await assertRejects(() => session.commit(), SessionGoneError);
  // It stays gone for this request.
  session.put("visits", 3);
  await assertRejects(() => session.commit(), SessionGoneError);
  assertEquals((await bed.rows()).length, 1);
});

Deno.test("A write with the old token of a login is refused where a replica knows neither session nor mark", async () => {
  const store = new StoppedReplicaStore({ cleanup: "off" });
  await store.stopReplica();
  const manager = sessions<Data>({ store });
  const first = await manager.load();
  const { token: old } = await first.commit();
  first.renewToken();
  await first.commit();
  const session = await manager.load(old);
  session.put("visits", 2);
  await assertRejects(() => session.commit(), SessionGoneError);
});

onEachStore("A login form that is sent twice: both work, one after the other and at once", async (bed) => {
  const old = await visitor(bed);
  const tokens = [];
  for (const _ of [1, 2]) {
    const response = await handler(bed)(withCookie("login", old));
    assertEquals(response.status, 200);
    tokens.push(setCookies(response)[0]!.value);
  }
  for (const token of tokens) assertEquals((await bed.manager<Data>().load(token)).get("user"), "ann");
  const another = await visitor(bed);
  const responses = await Promise.all([1, 2].map(() => handler(bed)(withCookie("login", another))));
  for (const response of responses) {
    const [cookie] = setCookies(response);
    assertEquals((await bed.manager<Data>().load(cookie!.value)).get("user"), "ann");
  }
});

onEachStore("A token that was planted before a login gets no more than an anonymous session", async (bed) => {
  const planted = await visitor(bed);
  await login(bed, planted);
  for (const path of ["read", "write", "login"]) {
    const response = await handler(bed)(withCookie(path, planted));
    const cookies = setCookies(response);
    // A login with the planted token creates a session of its own.
    assertEquals(cookies.length, path === "login" ? 1 : 0, path);
    for (const { value } of cookies) {
      const session = await bed.manager<Data>().load(value);
      assertEquals([session.get("user"), session.get("visits")], ["ann", undefined]);
    }
  }
});

onEachStore("Marks are in no listing of the manager, expire after a minute, and are purged", async (bed) => {
  await login(bed, await visitor(bed));
  const manager = bed.manager<Data>();
  assertEquals((await bed.marks()).length, 1);
  assertEquals((await Array.fromAsync(manager.iterate())).length, 1);
  assertEquals((await manager.sessionsOf("ann")).length, 1);
  bed.clock.advance(MINUTE - 1);
  assertEquals((await manager.purge()).deleted, 0);
  bed.clock.advance(1);
  assertEquals((await manager.purge()).deleted, 1);
  assertEquals((await bed.marks()).length, 0);
});

onEachStore("A touch of a mark does not make it valid, however long its row lives", async (bed) => {
  const manager = bed.manager<Data>({ idleTimeout: "20m" });
  const old = await visitor(bed);
  await login(bed, old);
  await bed.store.touch(await sha256(old), bed.clock.time + HOUR, { now: bed.clock.time });
  bed.clock.advance(MINUTE);
  const session = await manager.load(old);
  assertEquals(session.keys(), []);
  session.put("visits", 1);
  // The mark has expired. A write creates a new session, as with any dead token.
  assert((await session.commit()).token !== old);
});

onEachStore(
  "A session that a lagging replica does not know is found on the primary before another is created",
  async (bed) => {
    const token = await login(bed, await visitor(bed));
    const lagging = new Proxy(bed.store, {
      get(target, name) {
        if (name === "find") {
          return async (...[stored, options]: Parameters<FullStore["find"]>) => {
            return options.primary ? await target.find(stored, options) : undefined;
          };
        }
        const value = Reflect.get(target, name) as unknown;
        return typeof value === "function" ? value.bind(target) : value;
      },
    });
    const response = await handler(bed, lagging)(withCookie("write", token));
    assertEquals([response.status, setCookies(response)], [200, []]);
    const found = await bed.manager<Data>().load(token);
    assertEquals([found.get("user"), found.get("visits")], ["ann", 2]);
    // A logout reaches it too.
    const session = await bed.manager<Data>({ store: lagging }).load(token);
    await session.destroy();
    assertEquals((await bed.manager<Data>().load(token)).token, undefined);
  },
);

/** The cookie that the browser gets from a handler that logs out, and may then continue. */
async function logout(
  bed: Bed,
  token: string,
  { first, then, store = bed.store }: {
    first?: () => Promise<unknown>;
    then?: (session: Session<Data>) => void;
    store?: FullStore;
  },
): Promise<{ status: number; cookies: string[] }> {
  const answer = withSessions(bed.manager<Data>({ store }), async (_request, getSession) => {
    const session = await getSession();
    await first?.();
    await session.destroy();
    then?.(session);
    return new Response("bye");
  });
  const response = await answer(withCookie("logout", token));
  return { status: response.status, cookies: setCookies(response).map(({ value }) => value) };
}

onEachStore("A logout with the old token of a login keeps the login's cookie", async (bed) => {
  for (const isBegun of [true, false]) {
    for (const goesOn of [true, false]) {
      const old = await visitor(bed);
      let token = "";
      const signIn = async () => void (token = await login(bed, old));
      if (!isBegun) await signIn();
      const { status, cookies } = await logout(bed, old, {
        first: isBegun ? signIn : undefined,
        then: goesOn ? (session) => session.put("visits", 9) : undefined,
      });
      assertEquals([status, cookies], [goesOn ? 409 : 200, []]);
      assertEquals((await bed.manager<Data>().load(token)).get("user"), "ann");
      // The mark is still there for later requests.
      assertEquals((await handler(bed)(withCookie("write", old))).status, 409);
    }
  }
});

onEachStore("A logout with the old token of a login may log in again", async (bed) => {
  const old = await visitor(bed);
  await login(bed, old);
  const { status, cookies: [cookie] } = await logout(bed, old, {
    then(session) {
      session.renewToken();
      session.put("user", "bob");
    },
  });
  assertEquals(status, 200);
  assertEquals((await bed.manager<Data>().load(cookie)).get("user"), "bob");
});

onEachStore("A logout ends a session that others keep writing, even if they never stop", async (bed) => {
  for (const writes of [1, 2, 100]) {
    const token = await visitor(bed);
    let left = writes;
    const busy = aroundCalls(bed.store, async (method, call) => {
      if (method === "delete" && left-- > 0) await handler(bed)(withCookie("write", token));
      return await call();
    }) as FullStore;
    const { status, cookies } = await logout(bed, token, { store: busy });
    assertEquals([status, cookies], [200, [""]]);
    assertEquals(await bed.rows(), []);
    assert(left >= writes - 4, "it ends in 4 deletions");
  }
});

onEachStore(
  "destroySession() of a session that is renewed at that moment returns false",
  async (bed) => {
    const old = await login(bed, await visitor(bed));
    const [entry] = await bed.manager<Data>().sessionsOf("ann");
    let token = "";
    const renewing = bed.interleaved<Data>({
      delete: [before(async () => {
        const session = await bed.manager<Data>().load(old);
        session.renewToken();
        token = (await session.commit()).token;
      })],
    });
    assertEquals(await renewing.destroySession("ann", entry!.id), false);
    assertEquals((await bed.manager<Data>().load(token)).get("user"), "ann");
  },
);

onEachStore("destroySession() of a session that ends at that moment returns false", async (bed) => {
  const token = await login(bed, await visitor(bed));
  const [entry] = await bed.manager<Data>().sessionsOf("ann");
  const ending = bed.interleaved<Data>({
    delete: [before(async () => await (await bed.manager<Data>().load(token)).destroy())],
  });
  assertEquals(await ending.destroySession("ann", entry!.id), false);
});

onEachStore(
  "Of two cookies the one with a session on the primary is found, though the other has a mark",
  async (bed) => {
    const [renewed, live] = [await visitor(bed), await visitor(bed)];
    await login(bed, renewed);
    const lagging = aroundCalls(bed.store, (method, call, [, options]) => {
      const isStale = method === "find" && !(options as { primary?: boolean }).primary;
      return isStale ? Promise.resolve(undefined) : call();
    }) as FullStore;
    for (const tokens of [[renewed, live], [live, renewed]]) {
      const Cookie = tokens.map((token) => `__Host-session=${token}`).join("; ");
      const response = await handler(bed, lagging)(new Request(`${URL}write`, { headers: { Cookie } }));
      assertEquals([response.status, setCookies(response)], [200, []]);
    }
    assertEquals((await bed.manager<Data>().load(live)).get("visits"), 3);
  },
);

onEachStore(
  "A session is not merged into itself, though a lagging replica did not know it",
  async (bed) => {
    const token = await visitor(bed);
    let isStale = true;
    const lagging = aroundCalls(bed.store, (method, call) => {
      if (method !== "find" || !isStale) return call();
      isStale = false;
      return Promise.resolve(undefined);
    }) as FullStore;
    const session = await bed.manager<Data>({ store: lagging }).load(token);
    await session.mergeSession(token);
    session.put("user", "ann");
    await session.commit();
    const found = await bed.manager<Data>().load(token);
    assertEquals([found.get("user"), found.get("visits")], ["ann", 1]);
  },
);

onEachStore("A session of iterate(), whose token is unknown, is not merged into itself", async (bed) => {
  const token = await visitor(bed);
  for await (const session of bed.manager<Data>().iterate()) {
    await session.mergeSession(token);
    session.put("user", "ann");
    await session.commit();
  }
  const found = await bed.manager<Data>().load(token);
  assertEquals([found.get("user"), found.get("visits")], ["ann", 1]);
});

onEachStore("A token that a request created and ended again is not sent to the browser", async (bed) => {
  const old = await visitor(bed);
  const answer = withSessions(bed.manager<Data>(), async (_request, getSession) => {
    const session = await getSession();
    session.renewToken();
    await session.commit();
    await session.destroy();
    return new Response("bye");
  });
  assertEquals(setCookies(await answer(withCookie("", old))).map(({ value }) => value), [""]);
  assertEquals(await bed.rows(), []);
});

onEachStore("A logout ends both sessions of a browser that sends two cookies", async (bed) => {
  const tokens = [await visitor(bed), await visitor(bed)];
  const answer = withSessions(bed.manager<Data>(), async (_request, getSession) => {
    const session = await getSession();
    session.subject = "ann";
    await session.destroy();
    return new Response("bye");
  });
  const Cookie = tokens.map((token) => `__Host-session=${token}`).join("; ");
  const ids = (await bed.rows()).map((row) => publicId(row.token)).sort();
  await answer(new Request(URL, { headers: { Cookie } }));
  assertEquals(await bed.rows(), []);
  const destroyed = bed.events.filter((event) => event.kind === "destroyed");
  assertEquals(destroyed.map(({ id }) => id).sort(), ids);
  // The subject of the other one is not known.
  assertEquals(destroyed.map(({ subject }) => subject), ["ann", undefined]);
});

Deno.test("One store under two cookie names is refused, and served under one", () => {
  const store = new MemoryStore();
  for (const options of [{}, { cookie: { sameSite: "Strict" } }, { lifetime: "1h" }] as const) {
    sessions({ store, ...options });
  }
  const error = assertThrows(() => sessions({ store, cookie: { name: "admin" } }), SessionConfigError);
  assert(error.message.includes(`table: "admin_sessions"`));
  sessions({ store: new MemoryStore(), cookie: { name: "admin" } });
});

onEachStore("lastUsedAt is never ahead of the clock, whatever idleTimeout was before", async (bed) => {
  const DAY = 24 * HOUR;
  for (const [before, after] of [[undefined, "20m"], ["7d", "20m"], ["20m", "7d"]] as const) {
    const subject = `${before} ${after}`;
    const session = await bed.manager<Data>({ lifetime: "30d", idleTimeout: before }).load();
    session.subject = subject;
    const { token } = await session.commit();
    bed.clock.advance(5 * MINUTE);
    const manager = bed.manager<Data>({ lifetime: "30d", idleTimeout: after });
    const [entry] = await manager.sessionsOf(subject);
    assert((entry!.lastUsedAt ?? 0) <= bed.clock.time);
    assert((entry!.lastUsedAt ?? Infinity) >= entry!.createdAt!);
    // The new idle timeout applies from the next save on.
    const saved = await manager.load(token);
    saved.put("visits", 1);
    await saved.commit();
    bed.clock.advance(DAY);
    assertEquals((await manager.load(token)).token === undefined, after === "20m");
  }
});

/** A replica that does not know the row of one token yet. */
class LaggingStore extends MemoryStore {
  hidden = "";
  override async find(...given: Parameters<MemoryStore["find"]>): ReturnType<MemoryStore["find"]> {
    const [token, { primary }] = given;
    return token === this.hidden && !primary ? undefined : await super.find(...given);
  }
}

async function created(store: MemoryStore, user: string): Promise<string> {
  const session = await sessions<Data>({ store, hashTokenInStore: false }).load();
  session.put("user", user);
  session.put("visits", 1);
  return (await session.commit()).token;
}

/** Sends one request with two cookies of one name. */
async function sendBoth(store: MemoryStore, tokens: string[], path: "write" | "logout"): Promise<Response> {
  const manager = sessions<Data>({ store, hashTokenInStore: false, onError() {} });
  const send = withSessions(manager, async (_request, getSession) => {
    const session = await getSession();
    if (path === "logout") await session.destroy();
    else session.update("visits", (visits = 0) => visits + 1);
    return new Response();
  });
  const headers = { Cookie: tokens.map((token) => `__Host-session=${token}`).join("; ") };
  return await send(new Request(URL, { headers }));
}

Deno.test("Of two cookies, a mark and a session that the replica does not know yet, the session is written", async () => {
  const store = new LaggingStore();
  const old = await created(store, "guest");
  const renewed = await sessions<Data>({ store, hashTokenInStore: false }).load(old);
  renewed.renewToken();
  await renewed.commit();
  const live = store.hidden = await created(store, "ann");
  assertEquals((await sendBoth(store, [old, live], "write")).status, 200);
  assertEquals(
    (await sessions<Data>({ store, hashTokenInStore: false }).load(live)).get("visits"),
    undefined,
  );
  store.hidden = "";
  assertEquals((await sessions<Data>({ store, hashTokenInStore: false }).load(live)).get("visits"), 2);
});

for (const other of ["mark", "session"] as const) {
  Deno.test(`A logout with two cookies, a ${other} and a session that the replica does not know yet, ends both`, async () => {
    const store = new LaggingStore();
    const first = await created(store, "bob");
    if (other === "mark") {
      const session = await sessions<Data>({ store, hashTokenInStore: false }).load(first);
      session.renewToken();
      await session.commit();
    }
    const late = store.hidden = await created(store, "ann");
    const response = await sendBoth(store, [late, first], "logout");
    // Beside a mark the browser may hold the cookie of the login that left it.
    assertEquals(setCookies(response).map(({ value }) => value), other === "mark" ? [] : [""]);
    store.hidden = "";
    for (const token of [late, first]) {
      assertEquals((await sessions<Data>({ store, hashTokenInStore: false }).load(token)).token, undefined);
    }
  });
}

onEachStore("A merged session that logs in meanwhile keeps its mark", async (bed) => {
  const merging = await bed.manager<Data>().load(await visitor(bed));
  const guest = await visitor(bed);
  await merging.mergeSession(guest);
  await login(bed, guest);
  await merging.commit();
  assertEquals(bed.events.filter(({ kind }) => kind === "destroyed"), []);
  const poll = await bed.manager<Data>().load(guest);
  assertEquals(poll.token, undefined);
  poll.put("visits", 9);
  await assertRejects(() => poll.commit(), SessionGoneError);
});

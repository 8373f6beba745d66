/** Features that SCS's users ask for and SCS lacks, by issue number. */
import { createClient } from "@libsql/client";
import { jsonCodec, SessionClosedError, sessions } from "../../mod.ts";
import { LibSQLStore } from "../../stores/libsql.ts";
import { assert, assertEquals, assertNotEquals, assertRejects, assertThrows } from "../assert.ts";
import { type Bed, HOUR, MINUTE, onEachStore, sha256 } from "./_bed.ts";
import { Browser, setCookies } from "./_visits.ts";

/** Signs a user in with a new browser. */
async function signIn(bed: Bed, subject: string): Promise<Browser> {
  const browser = new Browser(bed.manager());
  await browser.visit((session) => {
    session.subject = subject;
    session.put("device", subject);
  });
  return browser;
}

onEachStore("List one user's sessions (86, 92, 163, 171): each with its times and values", async (bed) => {
  const manager = bed.manager<{ device: string }>({ idleTimeout: "20m" });
  const [phone, laptop] = [new Browser(manager), new Browser(manager)];
  const created = bed.clock.time;
  await phone.visit((session) => {
    session.subject = "zoe";
    session.put("device", "phone");
  });
  bed.clock.advance(10 * MINUTE);
  await laptop.visit((session) => {
    session.subject = "zoe";
    session.put("device", "laptop");
  });
  await signIn(bed, "bob");
  await phone.visit((session) => session.get("device"));

  await phone.visit(async (current) => {
    const list = await manager.sessionsOf("zoe", { current });
    const shown = list.map((entry) => ({
      device: entry.get("device"),
      createdAt: entry.createdAt,
      lastUsedAt: entry.lastUsedAt,
      expiresAt: entry.expiresAt,
      current: entry.current,
    }));
    const common = { lastUsedAt: bed.clock.time, expiresAt: bed.clock.time + 20 * MINUTE };
    assertEquals(shown.sort((a, b) => a.createdAt! - b.createdAt!), [
      { ...common, device: "phone", createdAt: created, current: true },
      { ...common, device: "laptop", createdAt: created + 10 * MINUTE, current: false },
    ]);
  });
  assertEquals(await manager.sessionsOf("Zoe"), []);
});

onEachStore("Revoke one session (92, 171): by an id that does not work as a token", async (bed) => {
  const manager = bed.manager<{ device: string }>();
  const [one, two] = [await signIn(bed, "zoe"), await signIn(bed, "zoe")];
  const entries = await manager.sessionsOf("zoe", { current: await manager.load(two.token) });
  const { id } = entries.find(({ current }) => !current)!;
  for (const secret of [one.token!, await sha256(one.token!)]) assert(!id.includes(secret));
  assertEquals((await manager.load(id)).token, undefined);

  assertEquals(await manager.destroySession("bob", id), false);
  bed.events.length = 0;
  assertEquals(await manager.destroySession("zoe", id), true);
  assertEquals(bed.events, [{ kind: "revoked", subject: "zoe", count: 1, id }]);
  assertEquals(await manager.destroySession("zoe", id), false);
  assertEquals(await manager.destroySession("zoe", "no such id"), false);
  await one.visit((session) => assertEquals(session.keys(), []));
  await two.visit((session) => assertEquals(session.keys(), ["device"]));
});

onEachStore("Revoke a user's sessions (86, 163): all of them, or all but one", async (bed) => {
  const manager = bed.manager();
  const [one, two, three] = [await signIn(bed, "zoe"), await signIn(bed, "zoe"), await signIn(bed, "zoe")];
  const other = await signIn(bed, "zoe ");
  bed.events.length = 0;
  assertEquals(await manager.destroyAll("zoe", { except: await manager.load(two.token) }), 2);
  await one.visit((session) => assertEquals(session.keys(), []));
  await two.visit((session) => assertEquals(session.keys(), ["device"]));
  assertEquals(await manager.destroyAll("zoe"), 1);
  assertEquals(await manager.destroyAll("zoe"), 0);
  for (const browser of [two, three]) await browser.visit((session) => assertEquals(session.keys(), []));
  await other.visit((session) => assertEquals(session.keys(), ["device"]));
  const revoked = bed.events.filter(({ kind }) => kind === "revoked");
  assertEquals(revoked, [
    { kind: "revoked", subject: "zoe", count: 2 },
    { kind: "revoked", subject: "zoe", count: 1 },
  ]);
});

onEachStore("Streaming and SSE (141, 186, 188): the session is saved before the first byte", async (bed) => {
  const browser = new Browser(bed.manager());
  const released = Promise.withResolvers<void>();
  const encoder = new TextEncoder();
  const body = new ReadableStream<Uint8Array>({
    async pull(controller) {
      controller.enqueue(encoder.encode("data: 1\n\n"));
      await released.promise;
      controller.close();
    },
  });
  const response = await browser.request(async (_request, session) => {
    (await session()).put("a", 1);
    return new Response(body, { headers: { "Content-Type": "text/event-stream" } });
  });
  // The stream has not ended, and the session is saved already.
  await bed.row();
  assertEquals(setCookies(response).length, 1);
  released.resolve();
  assertEquals(await response.text(), "data: 1\n\n");
});

onEachStore("WebSocket upgrade (196): the session is saved, and a 101 passes through", async (bed) => {
  const browser = new Browser(bed.manager());
  await browser.visit((session) => session.put("a", 1));
  // Only the runtime can make a response with this status.
  const upgrade = Object.defineProperty(new Response(null), "status", { value: 101 });
  const response = await browser.request(async (_request, session) => {
    (await session()).put("socket", true);
    return upgrade;
  });
  assert(response === upgrade);
  await browser.visit((session) => assertEquals(session.get("socket"), true));
});

onEachStore(
  "Changes after the first write (215): throw, and are saved by a session loaded again",
  async (bed) => {
    const manager = bed.manager();
    const browser = new Browser(manager);
    let late;
    await browser.visit((session) => {
      session.put("list", [1]);
      late = session;
    });
    const session = late!;
    const closed = [
      () => session.put("a", 1),
      () => session.update("a", () => 1),
      () => session.remove("list"),
      () => session.pop("list"),
      () => session.clear(),
      () => session.renewToken(),
      () => session.setDeadline(bed.clock.time),
      () => session.rememberMe(true),
      () => session.subject = "zoe",
    ];
    for (const change of closed) assertThrows(change, SessionClosedError);
    await assertRejects(() => session.destroy(), SessionClosedError);
    await assertRejects(() => session.mergeSession(browser.token!), SessionClosedError);
    assertEquals(session.get("list"), [1]);

    const again = await manager.load(session.token);
    again.put("a", 1);
    const { token } = await again.commit();
    assertEquals(token, browser.token);
    await browser.visit((session) => assertEquals(session.keys(), ["a", "list"]));
  },
);

onEachStore("Concurrent requests (45): no lock, and no change is lost", async (bed) => {
  const browser = new Browser(bed.manager<Record<string, number>>());
  await browser.visit((session) => session.put("count", 0));
  // The second request runs completely while the first one's handler runs.
  await browser.visit(async (first) => {
    first.update("count", (count = 0) => count + 1);
    first.put("first", 1);
    await browser.visit((second) => {
      second.update("count", (count = 0) => count + 1);
      second.put("second", 1);
    });
  });
  await browser.visit((session) => {
    assertEquals([session.get("count"), session.keys()], [2, ["count", "first", "second"]]);
  });
});

onEachStore(
  "Timeouts of single sessions (20, 149, 235): setDeadline() on one does not affect the others",
  async (bed) => {
    const manager = bed.manager();
    const [short, long, plain] = [new Browser(manager), new Browser(manager), new Browser(manager)];
    await short.visit((session) => session.setDeadline(bed.clock.time + HOUR));
    await long.visit((session) => session.setDeadline(bed.clock.time + 720 * HOUR));
    await plain.visit((session) => session.put("a", 1));
    const alive = async () => {
      const alive: boolean[] = [];
      for (const browser of [short, long, plain]) {
        await browser.visit((session) => alive.push(session.token !== undefined));
      }
      return alive;
    };
    bed.clock.advance(HOUR - 1);
    assertEquals(await alive(), [true, true, true]);
    bed.clock.advance(1);
    assertEquals(await alive(), [false, true, true]);
    bed.clock.advance(23 * HOUR);
    assertEquals(await alive(), [false, true, false]);
  },
);

onEachStore("Token in a header (54, 100): begin() with a token reads and writes no cookie", async (bed) => {
  const manager = bed.manager();
  const browser = new Browser(manager);
  await browser.visit((session) => session.put("who", "cookie"));
  const call = async (token: string, use: (session: Awaited<ReturnType<typeof manager.load>>) => void) => {
    const request = new Request("https://example.com/", { headers: { Cookie: browser.cookie } });
    const lifecycle = manager.begin(request, { token });
    const session = await lifecycle.session();
    use(session);
    const response = await lifecycle.finish(new Response("ok"));
    assertEquals(response.headers.getSetCookie(), []);
    assertEquals([response.headers.get("Vary"), response.headers.get("Cache-Control")], [null, "private"]);
    return session.token;
  };
  const token = await call("", (session) => session.put("who", "header"));
  assertNotEquals(token, browser.token);
  await call(token!, (session) => assertEquals(session.get("who"), "header"));
  const renewed = await call(token!, (session) => session.renewToken());
  await call(token!, (session) => assertEquals(session.keys(), []));
  await call(renewed!, (session) => assertEquals(session.get("who"), "header"));
});

Deno.test("Table name (180, 209): two stores in one database use their own tables", async () => {
  const client = createClient({ url: ":memory:" });
  const [one, two] = ["sessions", "admin_sessions"].map((table) => new LibSQLStore(client, { table }));
  for (const store of [one!, two!]) await store.createTable();
  const { token } = await (await sessions({ store: one }).load()).commit();
  assertEquals((await sessions({ store: one }).load(token)).token, token);
  assertEquals((await sessions({ store: two }).load(token)).token, undefined);
  client.close();
});

onEachStore(
  "Hashing by default (257): the table holds no token, and its contents sign nobody in",
  async (bed) => {
    const browser = new Browser(bed.manager());
    await browser.visit((session) => session.put("a", 1));
    const row = await bed.row();
    const text = row.token + new TextDecoder().decode(row.data);
    assert(!text.includes(browser.token!));
    browser.cookies.set("__Host-session", row.token);
    await browser.visit((session) => assertEquals(session.keys(), []));
  },
);

onEachStore("JSON codec (68, 211): rows are JSON by default", async (bed) => {
  const session = await bed.manager().load();
  session.put("user", { id: 42, roles: ["admin"] });
  session.put("at", new Date(0));
  await session.commit();
  const json = JSON.parse(new TextDecoder().decode((await bed.row()).data));
  assertEquals(json.deadline, session.deadline);
  assertEquals(json.values.user, { id: 42, roles: ["admin"] });
  assertEquals(json.values.at, { $date: 0 });
  assertEquals(jsonCodec.decode((await bed.row()).data).values.at, new Date(0));
});

onEachStore(
  "Clean-up races (228, 231): concurrent purges delete every expired row and no live one",
  async (bed) => {
    const manager = bed.manager();
    const elsewhere = bed.manager({ store: bed.another() });
    const { time } = bed.clock;
    const dead = { data: Uint8Array.of(1), expiry: time };
    // One by one. Only the purges should run concurrently, and libsql-server may spin for minutes with many writers.
    for (let index = 0; index < 20; index++) {
      await bed.store.commit(String(index).padStart(43, "d"), dead.data, dead.expiry, { now: time });
    }
    const live = await signIn(bed, "zoe");
    const results = [];
    for (const purger of [manager, elsewhere]) results.push(purger.purge());
    const [one, two] = await Promise.all(results);
    // A busy database ends one of the two early. The other one deletes the rest.
    const { deleted } = one!.done && two!.done ? { deleted: 0 } : await manager.purge();
    assertEquals(one!.deleted + two!.deleted + deleted, 20);
    await bed.row();
    await live.visit((session) => assertEquals(session.keys(), ["device"]));
  },
);

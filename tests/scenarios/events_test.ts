/** Events for an audit log: each thing once, with the id of `sessionsOf` and without a token. */
import {
  MemoryStore,
  type SessionEvent,
  type SessionEventHook,
  type SessionManager,
  sessions,
  SessionStoreError,
} from "../../mod.ts";
import { assert, assertEquals, assertRejects } from "../assert.ts";
import { type Bed, HOUR, onEachStore, sha256 } from "./_bed.ts";
import { failUnsent, loseReply } from "./_interleaving.ts";

interface Data {
  n: number;
}

const UNKNOWN = "w".repeat(43);

/** Events since the last call. */
function newEvents(bed: Bed): SessionEvent[] {
  return bed.events.splice(0);
}

async function login(manager: SessionManager<Data>, subject = "zoe"): Promise<string> {
  const session = await manager.load();
  session.subject = subject;
  session.put("n", 1);
  return (await session.commit()).token;
}

/** The id of the subject's only session. */
async function onlyId(manager: SessionManager<Data>, subject = "zoe"): Promise<string> {
  const entries = await manager.sessionsOf(subject);
  assertEquals(entries.length, 1);
  return entries[0]!.id;
}

onEachStore(
  "Each thing that happens to a session emits one event, with the id of sessionsOf()",
  async (bed) => {
    const manager = bed.manager<Data>();
    const token = await login(manager);
    const id = await onlyId(manager);
    assertEquals(newEvents(bed), [{ kind: "created", id, subject: "zoe" }]);

    const session = await manager.load(token);
    session.put("n", 2);
    await session.commit();
    await session.commit();
    assertEquals(newEvents(bed), []);

    session.renewToken();
    await session.commit();
    const renewed = await onlyId(manager);
    assert(renewed !== id);
    assertEquals(newEvents(bed), [{ kind: "renewed", id: renewed, previousId: id, subject: "zoe" }]);

    await manager.load(token);
    assertEquals(newEvents(bed), [{ kind: "unknown", id }]);

    const other = await manager.load(session.token);
    session.put("n", 3);
    await session.commit();
    other.put("n", 4);
    await other.commit();
    assertEquals(newEvents(bed), [{ kind: "conflict", id: renewed, attempt: 1 }]);

    await other.destroy();
    assertEquals(newEvents(bed), [{ kind: "destroyed", id: renewed, subject: "zoe" }]);
    await other.destroy();
    assertEquals(newEvents(bed), [], "a session that is gone is ended once");
  },
);

onEachStore("A session that is merged into another emits an event of its end", async (bed) => {
  const manager = bed.manager<Data>();
  const guest = await login(manager, "guest");
  const id = await onlyId(manager, "guest");
  const session = await manager.load(await login(manager));
  newEvents(bed);
  await session.mergeSession(guest);
  assertEquals(newEvents(bed), []);
  await session.commit();
  assertEquals(newEvents(bed), [{ kind: "destroyed", id }]);
});

onEachStore(
  "A merged session emits one event, though another one could not be deleted at first",
  async (bed) => {
    const others = [await login(bed.manager<Data>()), await login(bed.manager<Data>())];
    const down = Array.from({ length: 3 }, () => failUnsent(new Error("the connection broke")));
    const manager = bed.interleaved<Data>({ delete: [(call) => call(), ...down] });
    const session = await manager.load(await login(manager, "ann"));
    for (const other of others) await session.mergeSession(other);
    newEvents(bed);
    await assertRejects(() => session.commit(), SessionStoreError);
    await session.commit();
    assertEquals(newEvents(bed).map(({ kind }) => kind), ["destroyed", "destroyed"]);
  },
);

onEachStore("Sessions that are ended by their subject emit one event", async (bed) => {
  const manager = bed.manager<Data>();
  await login(manager, "ada");
  for (let i = 0; i < 3; i++) await login(manager);
  newEvents(bed);
  const id = (await manager.sessionsOf("zoe"))[1]!.id;
  assertEquals(await manager.destroySession("zoe", id), true);
  assertEquals(newEvents(bed), [{ kind: "revoked", subject: "zoe", count: 1, id }]);
  assertEquals(await manager.destroySession("zoe", id), false);
  assertEquals(newEvents(bed), []);
  assertEquals(await manager.destroyAll("zoe"), 2);
  assertEquals(newEvents(bed), [{ kind: "revoked", subject: "zoe", count: 2 }]);
  assertEquals(await manager.destroyAll("zoe"), 0);
  assertEquals(newEvents(bed), []);
});

onEachStore("A logout whose reply was lost still emits its event", async (bed) => {
  const lost = new SessionStoreError("delete", { reason: "timeout", retryable: true, ambiguous: true });
  const losing = () =>
    bed.interleaved<Data>({ delete: [loseReply(lost)], deleteBySubject: [loseReply(lost)] });
  await login(bed.manager());
  const id = await onlyId(bed.manager());
  newEvents(bed);
  assertEquals(await losing().destroySession("zoe", id), true);
  assertEquals(newEvents(bed), [{ kind: "revoked", subject: "zoe", count: 1, id }]);
  await login(bed.manager());
  newEvents(bed);
  await losing().destroyAll("zoe");
  assertEquals(newEvents(bed).map(({ kind }) => kind), ["revoked"]);
  const token = await login(bed.manager());
  const last = await onlyId(bed.manager());
  newEvents(bed);
  await (await losing().load(token)).destroy();
  assertEquals(newEvents(bed), [{ kind: "destroyed", id: last, subject: "zoe" }]);
});

onEachStore("A row that cannot be decoded emits an event with its id", async (bed) => {
  const manager = bed.manager<Data>();
  const token = await login(manager);
  const id = await onlyId(manager);
  newEvents(bed);
  const { token: stored, expiry } = await bed.row();
  await bed.store.commit(stored, new Uint8Array([1, 2, 3]), expiry, { now: bed.clock.time });
  assertEquals((await manager.load(token)).token, undefined);
  assertEquals(newEvents(bed), [{ kind: "undecodable", id }]);
  assertEquals(await Array.fromAsync(manager.iterate()), []);
  assertEquals(newEvents(bed), [{ kind: "undecodable", id }]);
});

onEachStore(
  "A session that expires while sessions are listed emits no event: nobody offered its token",
  async (bed) => {
    const manager = bed.manager<Data>();
    for (const subject of ["zoe", "ann", "bob"]) await login(manager, subject);
    newEvents(bed);

    let count = 0;
    for await (const _session of manager.iterate()) {
      count++;
      bed.clock.advance(24 * HOUR);
    }
    assertEquals(count, 1);
    assertEquals(newEvents(bed), []);
  },
);

onEachStore("A purge emits one event with the number of rows, and none without rows", async (bed) => {
  const manager = bed.manager<Data>({ lifetime: HOUR });
  for (let i = 0; i < 3; i++) await login(manager);
  newEvents(bed);
  await manager.purge();
  assertEquals(newEvents(bed), []);
  bed.clock.advance(HOUR);
  assertEquals((await manager.purge()).deleted, 3);
  assertEquals(newEvents(bed), [{ kind: "purged", deleted: 3 }]);
});

/** What a proxy may say of the browser's request, and whether that is `https:`. */
const FORWARDED: [name: string, value: string, https: boolean][] = [
  ["X-Forwarded-Proto", "https", true],
  ["Forwarded", "for=192.0.2.60;proto=https;by=203.0.113.43", true],
  ["Forwarded", 'Proto="https"', true],
  ["X-Forwarded-Proto", "http", false],
  ["Forwarded", "for=192.0.2.60;proto=http", false],
];
for (const [name, value, https] of FORWARDED) {
  Deno.test(`A proxy with ${name}: ${value} emits ${https ? "one event for each manager" : "none"}`, async () => {
    const events: SessionEvent[] = [];
    const manager = sessions<Data>({ onEvent: (event) => void events.push(event) });
    const request = new Request("http://example.com/", { headers: { [name]: value } });
    for (let visit = 0; visit < 2; visit++) {
      const current = manager.begin(request);
      await current.session();
      await current.finish(new Response("ok"));
    }
    assertEquals(events, https ? [{ kind: "forwarded-proto" }] : []);
  });
}

Deno.test("A session that a full MemoryStore drops emits one event, with the id of sessionsOf()", async () => {
  const events: SessionEvent[] = [];
  const manager = sessions<Data>({
    store: new MemoryStore({ maxSessions: 1, cleanup: "off" }),
    onEvent: (event) => void events.push(event),
  });
  await login(manager, "ada");
  const id = await onlyId(manager, "ada");
  await login(manager);
  assertEquals(events.map(({ kind }) => kind).sort(), ["created", "created", "evicted"]);
  assertEquals(events.find(({ kind }) => kind === "evicted"), { kind: "evicted", id });
});

/** Causes every event that a store can cause, and returns the result of each call. */
async function live(bed: Bed, onEvent: SessionEventHook): Promise<unknown[]> {
  const manager = bed.manager<Data>({ onEvent, lifetime: HOUR });
  const went: unknown[] = [];
  const token = await login(manager);
  went.push((await manager.load(UNKNOWN)).token);
  const [one, other] = [await manager.load(token), await manager.load(token)];
  one.update("n", (n = 0) => n + 1);
  other.update("n", (n = 0) => n + 1);
  await one.commit();
  await other.commit();
  other.renewToken();
  await other.commit();
  went.push(other.get("n"), (await manager.sessionsOf("zoe")).length);
  await other.destroy();
  await login(manager);
  went.push(await manager.destroySession("zoe", await onlyId(manager)));
  await login(manager);
  went.push(await manager.destroyAll("zoe"));
  const garbled = await login(manager);
  const { token: stored, expiry } = await bed.row();
  await bed.store.commit(stored, new Uint8Array([1]), expiry, { now: bed.clock.time });
  const response = manager.begin(
    new Request("http://example.com/", {
      headers: { "X-Forwarded-Proto": "https", "Cookie": `session=${garbled}` },
    }),
  );
  went.push((await response.session()).token, (await response.finish(new Response("ok"))).status);
  bed.clock.advance(HOUR);
  went.push((await manager.purge()).deleted, (await bed.rows()).length);
  return went;
}

onEachStore("A hook that throws, at once or later, changes no result", async (bed) => {
  const kinds = new Set<string>();
  const silent = await live(bed, ({ kind }) => void kinds.add(kind));
  assertEquals(
    [...kinds].sort(),
    [
      "conflict",
      "created",
      "destroyed",
      "forwarded-proto",
      "purged",
      "renewed",
      "revoked",
      "undecodable",
      "unknown",
    ],
  );
  const throwing: SessionEventHook = () => {
    throw new Error("no");
  };
  const rejecting = (() => Promise.reject(new Error("no"))) as SessionEventHook;
  for (const hook of [throwing, rejecting]) assertEquals(await live(bed, hook), silent);
});

onEachStore("No event shows a token, nor the stored form of one", async (bed) => {
  const secrets: string[] = [];
  const events: SessionEvent[] = [];
  for (const hashTokenInStore of [true, false]) {
    const own = bed.manager<Data>({ hashTokenInStore, onEvent: (event) => void events.push(event) });
    const first = await login(own);
    const session = await own.load(first);
    session.renewToken();
    await session.commit();
    secrets.push(first, await sha256(first), session.token!, await sha256(session.token!));
    await own.load(first);
    await session.destroy();
    await own.load(session.token);
  }
  const told = JSON.stringify(events);
  assert(events.length >= 8);
  for (const secret of secrets) assert(!told.includes(secret), told);
});

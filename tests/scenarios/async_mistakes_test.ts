/**
 * An asynchronous function where a synchronous one belongs is refused. Its promise may reject: that must not end the
 * process, which Deno's test runner would report.
 */
import { withSessions } from "../../middleware/fetch.ts";
import {
  type Codec,
  jsonCodec,
  MemoryStore,
  type Session,
  SessionConfigError,
  SessionEncodeError,
  type SessionEvent,
  sessions,
} from "../../mod.ts";
import { assertEquals, assertRejects, assertThrows } from "../assert.ts";
import { aroundCalls } from "../counting_store.ts";

type Data = { n: number };

/** Rejects after its caller has looked at the promise. */
const failing = async () => {
  await undefined;
  throw new Error("the key service is down");
};

/** Lets unhandled rejections be noticed. */
const aMoment = () => new Promise((resolve) => setTimeout(resolve, 5));

Deno.test("update() refuses an asynchronous function that rejects", async () => {
  const session = await sessions<Data>().load();
  assertThrows(
    () => session.update("n", failing as unknown as () => number),
    SessionEncodeError,
    "the function of update() is asynchronous",
  );
  await aMoment();
});

Deno.test("A middleware refuses an asynchronous function for the manager that rejects", async () => {
  const handler = withSessions(failing as unknown as () => never, () => new Response());
  await assertRejects(
    () => Promise.resolve(handler(new Request("https://example.com/"), undefined)),
    SessionConfigError,
  );
  await aMoment();
});

Deno.test("A codec whose encode() rejects fails the commit", async () => {
  const codec = { ...jsonCodec, encode: failing } as unknown as Codec;
  const session = await sessions<Data>({ codec }).load();
  session.put("n", 1);
  await assertRejects(
    () => session.commit(),
    SessionEncodeError,
    "encode() of the codec must give a Uint8Array",
  );
  await aMoment();
});

Deno.test("A codec whose decode() rejects makes the visitor anonymous, with an event", async () => {
  const events: SessionEvent[] = [];
  const codec = { ...jsonCodec, decode: failing } as unknown as Codec;
  const manager = sessions<Data>({ codec, onEvent: (event) => void events.push(event) });
  const session = await manager.load();
  session.put("n", 1);
  const { token } = await session.commit();
  assertEquals((await manager.load(token)).get("n"), undefined);
  assertEquals(events.map(({ kind }) => kind), ["created", "undecodable"]);
  await aMoment();
});

for (
  const [what, use] of [
    ["commit()", (session) => session.commit()],
    ["destroy()", (session) => session.destroy()],
    ["mergeSession()", (session) => session.mergeSession("A".repeat(43))],
  ] as [string, (session: Session<Data>) => Promise<unknown>][]
) {
  Deno.test(`${what} that a handler does not await, on a store that fails, is reported and ends nothing`, async () => {
    const store = new MemoryStore({ cleanup: "off" });
    const { token } = await (await sessions<Data>({ store }).load()).commit();
    let isDown = false;
    const failing = aroundCalls(
      store,
      (_, call) => isDown ? Promise.reject(new Error("it is down")) : call(),
    );
    const reported: string[] = [];
    const manager = sessions<Data>({ store: failing, onError: ({ code }) => void reported.push(code) });
    const handler = withSessions(manager, async (_request, getSession) => {
      const session = await getSession();
      session.put("n", 1);
      isDown = true;
      use(session);
      return new Response("bye");
    });
    await handler(new Request("https://example.com/", { headers: { Cookie: `__Host-session=${token}` } }));
    await aMoment();
    assertEquals(new Set(reported), new Set(["ERR_SESSION_STORE"]));
  });
}

Deno.test("A clock that rejects is refused", async () => {
  const manager = sessions({ now: failing as unknown as () => number });
  await assertRejects(() => manager.load(), SessionConfigError, '"now" must give milliseconds');
  await aMoment();
});

/** Awaits neither commit. */
function saveTwice(session: Session<Data>): Promise<unknown>[] {
  return [1, 2].map((n) => {
    session.put("n", n);
    return session.commit();
  });
}

Deno.test("Two commits with a change between them, neither awaited, are saved without an error", async () => {
  const errors: string[] = [];
  const store = new MemoryStore();
  const manager = sessions<Data>({ store, onError: (error) => void errors.push(error.code) });
  let commits: Promise<unknown>[] = [];
  const handler = withSessions(manager, async (_request, getSession) => {
    commits = saveTwice(await getSession());
    return new Response("done");
  });
  const response = await handler(new Request("https://example.com/"));
  const token = response.headers.get("Set-Cookie")!.slice("__Host-session=".length).split(";")[0]!;
  assertEquals((await Promise.allSettled(commits)).map(({ status }) => status), ["fulfilled", "fulfilled"]);
  assertEquals(errors, []);
  assertEquals((await manager.load(token)).get("n"), 2);
});

Deno.test("A commit that waits when its handler fails does not save what the handler changed", async () => {
  const errors: string[] = [];
  const manager = sessions<Data>({ onError: (error) => void errors.push(error.message) });
  const session = await manager.load();
  session.put("n", 0);
  const { token } = await session.commit();
  let commits: Promise<unknown>[] = [];
  const handler = withSessions(manager, async (_request, getSession) => {
    commits = saveTwice(await getSession());
    throw new Error("the handler fails");
  });
  const request = new Request("https://example.com/", { headers: { Cookie: `__Host-session=${token}` } });
  await assertRejects(() => Promise.resolve(handler(request)), Error, "the handler fails");
  assertEquals((await Promise.allSettled(commits)).map(({ status }) => status), ["fulfilled", "rejected"]);
  assertEquals(errors, ["Cannot commit session: the handler has failed, and its changes are forgotten"]);
  assertEquals((await manager.load(token)).get("n"), 1);
});

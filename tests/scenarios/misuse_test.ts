/** Mistakes that JavaScript lets through. Each is refused at once, with words that say what to do. */
import { mock } from "node:test";
import { withSessions } from "../../middleware/fetch.ts";
import { MemoryStore, type Session, SessionConfigError, type SessionManager, sessions } from "../../mod.ts";
import { assertEquals, assertRejects, assertThrows } from "../assert.ts";

type Data = { userId: number; note: string };

/** Two saved sessions of one user. */
async function twoSessions(): Promise<{ manager: SessionManager<Data>; session: Session<Data> }> {
  const manager = sessions<Data>({ store: new MemoryStore({ cleanup: "off" }) });
  const [session] = await Promise.all([1, 2].map(async () => {
    const session = await manager.load();
    session.subject = "zoe";
    await session.commit();
    return session;
  }));
  return { manager, session: session! };
}

Deno.test("A session under a misspelt option is not ended", async () => {
  const { manager, session } = await twoSessions();
  for (const options of [{ exept: session }, { current: session }, session] as { except?: never }[]) {
    await assertRejects(
      () => manager.destroyAll("zoe", options),
      TypeError,
      "pass it as { except: session }",
    );
  }
  for (const options of [{ curent: session }, { except: session }, session] as { current?: never }[]) {
    await assertRejects(
      () => manager.sessionsOf("zoe", options),
      TypeError,
      "pass it as { current: session }",
    );
  }
  assertEquals((await manager.sessionsOf("zoe")).length, 2);
});

Deno.test("sessionsOf() and destroyAll() take the context of Workers, which has more properties", async () => {
  const { manager, session } = await twoSessions();
  const context = { waitUntil: () => {}, props: {}, exports: {}, cache: undefined };
  assertEquals((await manager.sessionsOf("zoe", context)).length, 2);
  assertEquals(await manager.destroyAll("zoe", { ...context, except: session }), 1);
  assertEquals(await manager.destroyAll("zoe", context), 1);
});

Deno.test("What is no token is refused where a token belongs", async () => {
  const { manager, session } = await twoSessions();
  const request = new Request("https://example.com/");
  const current = await manager.load();
  for (const token of [42, session, Promise.resolve(session.token), request] as unknown as string[]) {
    const words = "Cannot use the token: it must be text, such as session.token, and is";
    await assertRejects(() => manager.load(token), TypeError, words);
    await assertRejects(() => manager.begin(request.clone(), { token }).session(), TypeError, words);
    await assertRejects(() => current.mergeSession(token), TypeError, words);
  }
  // As a header or a cookie that is missing gives it.
  for (const token of [undefined, null] as unknown as string[]) {
    assertEquals((await manager.load(token)).token, undefined);
    await current.mergeSession(token);
  }
  assertEquals(current.status, "unmodified");
});

Deno.test("begin() refuses a token in place of its options", async () => {
  const { manager, session } = await twoSessions();
  for (const options of [session.token, null] as unknown as object[]) {
    assertThrows(
      () => manager.begin(new Request("https://example.com/"), options),
      TypeError,
      "the second argument must be an object, such as { token }",
    );
  }
});

Deno.test("sessions() refuses a manager in place of options", () => {
  const error = assertThrows(() => sessions(sessions() as object), SessionConfigError);
  assertEquals(error.problems, ["pass options, and not a session manager"]);
});

Deno.test("put() without a value is refused, and undefined is a value", async () => {
  const session = await sessions().load();
  const put = session.put.bind(session) as (...given: unknown[]) => void;
  assertThrows(() => put("note"), TypeError, "Cannot put: the value is missing");
  assertEquals(session.status, "unmodified");
  put("note", undefined);
  assertEquals(session.keys(), ["note"]);
});

Deno.test("rememberMe() refuses what is neither true nor false, such as the value of a checkbox", async () => {
  const session = await sessions().load();
  for (const value of ["on", undefined, null, 1] as unknown as boolean[]) {
    assertThrows(() => session.rememberMe(value), TypeError, "pass true or false");
  }
  assertEquals(session.status, "unmodified");
});

Deno.test("A value set as a property of the session fails the request", async () => {
  const handler = withSessions(sessions<Data>(), async (_request, getSession) => {
    const session = await getSession() as unknown as Data;
    session.userId = 42;
    return new Response("signed in");
  });
  await assertRejects(
    () => handler(new Request("https://example.com/")),
    TypeError,
    "Cannot add property userId, object is not extensible",
  );
});

Deno.test("A test can spy on the methods of a session", async () => {
  const session = await sessions<Data>().load();
  const spy = mock.method(Object.getPrototypeOf(session) as Session<Data>, "put");
  session.put("userId", 42);
  spy.mock.restore();
  assertEquals([spy.mock.callCount(), session.get("userId")], [1, 42]);
});

/**
 * An asynchronous function where a synchronous one belongs is refused. Its promise may reject: that must not end the
 * process, which Deno's test runner would report.
 */
import { withSessions } from "../../middleware/fetch.ts";
import {
  type Codec,
  jsonCodec,
  SessionConfigError,
  SessionEncodeError,
  type SessionEvent,
  sessions,
} from "../../mod.ts";
import { assertEquals, assertRejects, assertThrows } from "../assert.ts";

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

Deno.test("A clock that rejects is refused", async () => {
  const manager = sessions({ now: failing as unknown as () => number });
  await assertRejects(() => manager.load(), SessionConfigError, '"now" must give milliseconds');
  await aMoment();
});

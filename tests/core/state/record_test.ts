/** What a codec is asked for, and what it may give. */
import { decodeRecord, emptyRecord, encodeRecord } from "../../../core/state/record.ts";
import { type Codec, jsonCodec, SessionEncodeError, sessions, SessionTooLargeError } from "../../../mod.ts";
import { assertEquals, assertRejects, assertStringIncludes } from "../../assert.ts";

function counting(): { codec: Codec; count: () => number } {
  let count = 0;
  const codec = {
    ...jsonCodec,
    encode: (...given: Parameters<Codec["encode"]>) => (count++, jsonCodec.encode(...given)),
  };
  return { codec, count: () => count };
}

Deno.test("A session that is far too large is encoded once, and once more to find the largest of several values", async () => {
  for (const keys of [1, 3]) {
    const { codec, count } = counting();
    const session = await sessions<Record<string, string>>({ codec }).load();
    for (let key = 0; key < keys; key++) session.put(`key${key}`, "x".repeat(20_000 * (key + 2)));
    const error = await assertRejects(() => session.commit(), SessionTooLargeError);
    assertEquals(error.key, `key${keys - 1}`);
    assertEquals(count(), keys === 1 ? 1 : 1 + keys);
  }
});

const ANSWERS: Record<string, (bytes: Uint8Array) => unknown> = {
  "text": (bytes) => new TextDecoder().decode(bytes),
  "a promise": (bytes) => Promise.resolve(bytes),
  "an array of numbers": (bytes) => [...bytes],
  "nothing": () => undefined,
};

for (const [name, answer] of Object.entries(ANSWERS)) {
  Deno.test(`A codec that gives ${name} in place of bytes is refused by the commit`, async () => {
    const encode = (...given: Parameters<Codec["encode"]>) =>
      answer(jsonCodec.encode(...given)) as Uint8Array;
    const session = await sessions<{ n: number }>({ codec: { ...jsonCodec, encode } }).load();
    session.put("n", 1);
    const error = await assertRejects(() => session.commit(), SessionEncodeError);
    assertStringIncludes(error.message, "encode() of the codec must give a Uint8Array");
  });
}

Deno.test("encodeRecord() drops a subject that was taken away", () => {
  const record = { ...emptyRecord(5), subject: "zoe" as string | undefined };
  const again = decodeRecord(jsonCodec, encodeRecord(jsonCodec, record, 1_000));
  assertEquals(again.subject, "zoe");
  again.subject = undefined;
  assertEquals(decodeRecord(jsonCodec, encodeRecord(jsonCodec, again, 1_000)).subject, undefined);
});

Deno.test("encodeRecord() keeps the latest nonce of a session that is too large for all of them", () => {
  const record = { ...emptyRecord(5), nonces: "oldest-----1older------2latest-----3" };
  const { length } = encodeRecord(jsonCodec, record, 1_000);
  assertEquals(decodeRecord(jsonCodec, encodeRecord(jsonCodec, record, length)).nonces, record.nonces);
  assertEquals(decodeRecord(jsonCodec, encodeRecord(jsonCodec, record, length - 1)).nonces, "latest-----3");
});

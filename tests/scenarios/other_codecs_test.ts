/** Codecs that write other bytes than `jsonCodec`: with sorted keys, as canonical CBOR has, or as text of bytes. */
import { deserialize, serialize } from "node:v8";
import { type Codec, type DecodedSession, jsonCodec, MemoryStore, sessions } from "../../mod.ts";
import { gobCodec } from "../../codecs/gob.ts";
import { assert, assertEquals } from "../assert.ts";
import { countingStore } from "../counting_store.ts";

function sorted(value: unknown): unknown {
  if (value instanceof Map) return new Map([...value].map(([key, inner]) => [key, sorted(inner)]));
  if (typeof value !== "object" || value === null || Object.getPrototypeOf(value) !== Object.prototype) {
    return value;
  }
  const entries = Object.entries(value).sort(([one], [other]) => one < other ? -1 : 1);
  return Object.fromEntries(entries.map(([key, inner]) => [key, sorted(inner)]));
}

const SORTING: Codec = {
  encode: (deadline, values) => jsonCodec.encode(deadline, sorted(values) as Record<string, unknown>),
  decode: jsonCodec.decode,
};

/** As one that encrypts into base64 or hex. */
const HEX: Codec = {
  encode: (deadline, values) => new TextEncoder().encode(jsonCodec.encode(deadline, values).toHex()),
  decode: (data) => jsonCodec.decode(Uint8Array.fromHex(new TextDecoder().decode(data))),
};

/** As one that saves memory. */
const BUFFER = new Uint8Array(4_096);
const REUSING: Codec = {
  encode(deadline, values) {
    const data = jsonCodec.encode(deadline, values);
    BUFFER.set(data);
    return BUFFER.subarray(0, data.length);
  },
  decode: jsonCodec.decode,
};

type Data = { o: Record<string, unknown>; v: string; x: number };

for (const o of [{ b: 1, a: 2 }, { b: new Date(0), a: 2 }, { b: new Map([[1, { d: 1, c: 2 }]]) }]) {
  const title =
    "A codec that sorts keys: an object that was saved and read is no change, and loses nobody's update";
  Deno.test(`${title}: ${Deno.inspect(o)}`, async () => {
    const manager = sessions<Data>({ store: new MemoryStore(), codec: SORTING, onError() {} });
    const first = await manager.load();
    first.put("x", 1);
    const { token } = await first.commit();

    const headers = { Cookie: `__Host-session=${token}` };
    const request = manager.begin(new Request("https://example.com/", { headers }));
    const session = await request.session();
    session.put("o", o);
    await session.commit();
    session.get("o");

    const other = await manager.load(token);
    other.put("o", { other: true });
    await other.commit();

    await request.finish(new Response());
    assertEquals((await manager.load(token)).get("o"), { other: true });
  });
}

Deno.test("A codec whose bytes are longer than the values: what was saved once can be saved again", async () => {
  const manager = sessions<Data>({ store: new MemoryStore(), codec: HEX, maxBytes: 4_096, onError() {} });
  let saved = 0;
  let token = "";
  for (let length = 1_800; length < 2_048; length++) {
    const session = await manager.load();
    session.put("v", "x".repeat(length));
    const result = await session.commit().catch(() => undefined);
    if (result === undefined) break;
    [saved, token] = [length, result.token];
  }
  assert(saved >= 1_800 && saved < 2_047, `${saved} is no limit`);
  const again = await manager.load(token);
  again.put("v", "y".repeat(saved));
  await again.commit();
});

Deno.test("A codec that gives the same buffer each time: a login keeps its session, and no save is a conflict", async () => {
  const events: string[] = [];
  const onEvent = ({ kind }: { kind: string }) => void events.push(kind);
  const manager = sessions<Data>({ store: new MemoryStore(), codec: REUSING, onEvent });
  const session = await manager.load();
  session.put("x", 1);
  await session.commit();
  session.renewToken();
  const { token } = await session.commit();
  assertEquals((await manager.load(token)).get("x"), 1);
  await (await manager.load()).commit();
  session.put("x", 2);
  await session.commit();
  assertEquals((await manager.load(token)).get("x"), 2);
  assertEquals(events, ["created", "renewed", "created"]);
});

Deno.test("A codec that gives the same buffer each time: a change in place of a value that JSON lacks is saved", async () => {
  const codec: Codec = {
    encode: (deadline, { r }) => REUSING.encode(deadline, { r: { lastIndex: (r as RegExp).lastIndex } }),
    decode(data) {
      const { deadline, values } = REUSING.decode(data);
      return { deadline, values: { r: Object.assign(/a/, values.r) } };
    },
  };
  const manager = sessions<{ r: RegExp }>({ store: new MemoryStore(), codec });
  const first = await manager.load();
  first.put("r", /a/);
  const { token } = await first.commit();
  const session = await manager.load(token);
  session.get("r")!.lastIndex = 1;
  await session.commit();
  assertEquals((await manager.load(token)).get("r")?.lastIndex, 1);
});

Deno.test("A codec that gives bytes as views of the row, as MessagePack's does: a change in place is saved", async () => {
  const codec: Codec = {
    encode: (deadline, { bytes, x }) =>
      Uint8Array.of(...bytes as Uint8Array, ...jsonCodec.encode(deadline, { x })),
    decode(data) {
      const { deadline, values } = jsonCodec.decode(data.subarray(2));
      return { deadline, values: { ...values, bytes: data.subarray(0, 2) } };
    },
  };
  const manager = sessions<{ bytes: Uint8Array; x: number }>({ store: new MemoryStore(), codec });
  const first = await manager.load();
  first.put("bytes", Uint8Array.of(1, 2));
  const { token } = await first.commit();
  const session = await manager.load(token);
  session.get("bytes")![0] = 9;
  await session.commit();
  assertEquals((await manager.load(token)).get("bytes"), Uint8Array.of(9, 2));
});

Deno.test("A bigint that is put is an int64 of gob, also where the commit meets a conflict", async () => {
  const store = new MemoryStore();
  const manager = sessions<{ id: bigint; x: string }>({ store, codec: gobCodec });
  const { token } = await (await manager.load()).commit();
  const session = await manager.load(token);
  const other = await manager.load(token);
  other.put("x", "another request");
  await other.commit();
  session.put("id", 5n);
  await session.commit();
  const [row] = await Array.fromAsync(store.all({ now: 0 }));
  assert(new TextDecoder().decode(row!.data).includes("int64"));
});

/** As `node:v8`, devalue and CBOR do, it keeps references. */
const REFERRING: Codec = {
  encode: (deadline, values) => new Uint8Array(serialize({ deadline, values })),
  decode: (data) => deserialize(data) as DecodedSession,
};

Deno.test("A codec that keeps references: a value that contains itself is read, and saved if it was changed", async () => {
  type Node = { name: string; parent?: Node; children: Node[] };
  const { store, calls } = countingStore(new MemoryStore());
  const manager = sessions<{ tree: Node }>({ store, codec: REFERRING, onError() {} });
  const first = await manager.load();
  const tree: Node = { name: "root", children: [] };
  tree.children.push({ name: "child", parent: tree, children: [] });
  first.put("tree", tree);
  const { token } = await first.commit();
  const headers = { Cookie: `__Host-session=${token}` };

  for (const name of ["child", "changed", "changed"]) {
    const request = manager.begin(new Request("https://example.com/", { headers }));
    (await request.session()).get("tree")!.children[0]!.name = name;
    await request.finish(new Response());
  }
  assertEquals((await manager.load(token)).get("tree")!.children[0]!.name, "changed");
  assertEquals(calls().update, 1);
});

Deno.test("A codec that changes the values it is given, to store a version say, does not change the session's", async () => {
  const codec: Codec = {
    encode(deadline, values) {
      values.version = 1;
      delete values.x;
      return jsonCodec.encode(deadline, values);
    },
    decode: jsonCodec.decode,
  };
  const session = await sessions<Data>({ store: new MemoryStore(), codec }).load();
  session.put("x", 1);
  await session.commit();
  assertEquals(session.keys(), ["x"]);
});

/** SCS's manager, row by row: values. */
import { assert, assertEquals } from "../assert.ts";
import { type Bed, onEachStore } from "./_bed.ts";

const BYTES = Uint8Array.of(0, 1, 0xff);
const TIME = new Date(Date.UTC(2024, 1, 29, 12, 0, 0, 1));
const VALUES: Record<string, unknown> = {
  text: "Zoë",
  yes: true,
  whole: 42,
  half: 0.5,
  bytes: BYTES,
  time: TIME,
  list: ["a", { b: null }],
};

/** A session with {@linkcode VALUES}, read back from the store. */
async function loadedSession(bed: Bed, values = VALUES) {
  const manager = bed.manager();
  const session = await manager.load();
  for (const [key, value] of Object.entries(values)) session.put(key, value);
  const { token } = await session.commit();
  bed.resetCalls();
  return await manager.load(token);
}

onEachStore("Put: a value is there in the next request, and an equal value is a change too", async (bed) => {
  const session = await loadedSession(bed);
  assertEquals(session.status, "unmodified");
  session.put("text", "Zoë");
  assertEquals(session.status, "modified");
  session.put("more", 1);
  const { token } = await session.commit();
  assertEquals(bed.calls(), { find: 1, update: 1 });
  const again = await bed.manager().load(token);
  assertEquals([again.get("text"), again.get("more")], ["Zoë", 1]);
});

onEachStore(
  "Get: every getter gives a value of its type, or the zero value, and keeps the status",
  async (bed) => {
    const session = await loadedSession(bed);
    for (const [key, value] of Object.entries(VALUES)) {
      assertEquals(session.get(key), value);
      assertEquals(session.getString(key), key === "text" ? "Zoë" : "");
      assertEquals(session.getBool(key), key === "yes");
      assertEquals(session.getInt(key), key === "whole" ? 42 : 0);
      assertEquals(session.getFloat(key), key === "whole" ? 42 : key === "half" ? 0.5 : 0);
      assertEquals(session.getBytes(key), key === "bytes" ? BYTES : undefined);
      assertEquals(session.getTime(key), key === "time" ? TIME : undefined);
    }
    assertEquals(session.get("missing"), undefined);
    assertEquals([session.getString("missing"), session.getBool("missing")], ["", false]);
    assertEquals([session.getInt("missing"), session.getFloat("missing")], [0, 0]);
    assertEquals([session.getBytes("missing"), session.getTime("missing")], [undefined, undefined]);
    assertEquals(session.status, "unmodified");
    await session.commit();
    assertEquals(bed.calls(), { find: 1 });
  },
);

onEachStore("Pop: gives a value once", async (bed) => {
  const session = await loadedSession(bed);
  assertEquals(session.pop("list"), VALUES.list);
  assertEquals(session.popString("text"), "Zoë");
  assertEquals(session.popBool("yes"), true);
  assertEquals(session.popInt("whole"), 42);
  assertEquals(session.popFloat("half"), 0.5);
  assertEquals(session.popBytes("bytes"), BYTES);
  assertEquals(session.popTime("time"), TIME);
  assertEquals(session.status, "modified");
  assertEquals(session.keys(), []);
  const { token } = await session.commit();
  assertEquals((await bed.manager().load(token)).keys(), []);
});

onEachStore("Pop: for a missing key gives the zero value and keeps the status", async (bed) => {
  const session = await loadedSession(bed);
  assertEquals(session.pop("missing"), undefined);
  assertEquals([session.popString("missing"), session.popBool("missing")], ["", false]);
  assertEquals([session.popInt("missing"), session.popFloat("missing")], [0, 0]);
  assertEquals([session.popBytes("missing"), session.popTime("missing")], [undefined, undefined]);
  assertEquals(session.status, "unmodified");
});

onEachStore("Pop: for another type gives the zero value and still deletes", async (bed) => {
  const session = await loadedSession(bed);
  assertEquals([session.popString("yes"), session.popBool("text")], ["", false]);
  assertEquals([session.popInt("half"), session.popFloat("bytes")], [0, 0]);
  assertEquals([session.popBytes("time"), session.popTime("list")], [undefined, undefined]);
  assertEquals(session.status, "modified");
  assertEquals(session.keys(), ["whole"]);
});

onEachStore("Remove: deletes a value, and does nothing for a missing key", async (bed) => {
  const session = await loadedSession(bed);
  session.remove("missing");
  assertEquals(session.status, "unmodified");
  session.remove("text");
  assertEquals(session.status, "modified");
  const { token } = await session.commit();
  const again = await bed.manager().load(token);
  assertEquals(again.exists("text"), false);
  assertEquals(again.keys().length, Object.keys(VALUES).length - 1);
});

onEachStore("Clear: deletes every value and keeps token, deadline and subject", async (bed) => {
  const session = await loadedSession(bed);
  session.subject = "user-1";
  session.setDeadline(bed.clock.time + 5_000);
  session.clear();
  assertEquals([session.status, session.keys()], ["modified", []]);
  const { token: before } = session;
  const { token } = await session.commit();
  assertEquals(token, before);
  const again = await bed.manager().load(token);
  assertEquals(again.keys(), []);
  assertEquals([again.deadline, again.subject], [bed.clock.time + 5_000, "user-1"]);
});

onEachStore("Clear: on an empty session does nothing", async (bed) => {
  const session = await loadedSession(bed, {});
  session.clear();
  assertEquals(session.status, "unmodified");
  await session.commit();
  assertEquals(bed.calls(), { find: 1 });
});

onEachStore("Exists: tells whether there is a value, null and undefined included", async (bed) => {
  const session = await loadedSession(bed, { nothing: null, undef: undefined });
  assert(session.exists("nothing"));
  assert(session.exists("undef"));
  // No key of the language, and no reserved key of the manager.
  for (const key of ["missing", "toString", "__proto__", "__nonces"]) {
    assertEquals(session.exists(key), false, key);
  }
});

onEachStore("Keys: are sorted, and an empty list without values", async (bed) => {
  assertEquals((await bed.manager().load()).keys(), []);
  const session = await loadedSession(bed, { b: 1, a: 1, C: 1, "ä": 1 });
  session.subject = "user-1";
  session.put("aa", 1);
  assertEquals(session.keys(), ["C", "a", "aa", "b", "ä"]);
});

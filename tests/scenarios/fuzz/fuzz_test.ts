/**
 * Random cookies and random rows. A request gets a session or a new one, never an error, after at most two store
 * calls. Work and results grow no faster than the input.
 *
 * `FUZZ_RUNS` is how many inputs each test makes.
 * @module
 */

import fc from "../../fast_check.ts";
import { type Codec, jsonCodec, MemoryStore, type SessionEvent, sessions } from "../../../mod.ts";
import { gobCodec } from "../../../codecs/gob.ts";
import { SessionCookie } from "../../../core/http/cookie.ts";
import { readOptions } from "../../../core/options/session_options.ts";
import { hashToken, newToken } from "../../../core/bytes/token.ts";
import { assert, assertEquals } from "../../assert.ts";
import { countingStore } from "../../counting_store.ts";
import { sizeOf, textWork } from "./_work.ts";

const numRuns = Number(Deno.env.get("FUZZ_RUNS") ?? 10_000);

const NOW = Date.UTC(2026, 2, 4);
const HOUR = 3_600_000;
const LIVE = newToken();
const OTHERS = [newToken(), newToken(), newToken()];

const pair = fc.tuple(
  fc.constantFrom("__Host-session", "session", "__Host-session ", " __Host-session", "__host-session", ""),
  fc.constantFrom("=", " = ", "==", ""),
  fc.oneof(
    fc.constantFrom(LIVE, ...OTHERS),
    fc.constantFrom(
      `"${LIVE}"`,
      `${LIVE} `,
      LIVE.slice(1),
      `${LIVE}a`,
      `${LIVE.slice(0, 42)}+`,
      "%41".repeat(43),
    ),
    fc.string({ maxLength: 60 }),
  ),
).map((parts) => parts.join(""));

// Any byte that a header may hold.
const bytes = fc.array(fc.integer({ min: 0x01, max: 0xff }).filter((code) => code !== 10 && code !== 13))
  .map((codes) => String.fromCharCode(...codes));

const header = fc.array(fc.oneof({ weight: 3, arbitrary: pair }, { weight: 1, arbitrary: bytes }), {
  maxLength: 30,
})
  .chain((pairs) => fc.constantFrom(";", "; ", ",", ";;").map((separator) => pairs.join(separator)));

async function liveStore(): Promise<MemoryStore> {
  const store = new MemoryStore({ cleanup: "off" });
  const data = jsonCodec.encode(NOW + HOUR, { name: "live" });
  await store.create(hashToken(LIVE), data, NOW + HOUR, { now: NOW });
  return store;
}

Deno.test("A request gets a session or a new one, whatever its cookies, after at most two store calls", async () => {
  const counting = countingStore(await liveStore());
  const manager = sessions<{ name: string }>({ store: counting.store, now: () => NOW });
  let live = 0;
  await fc.assert(
    fc.asyncProperty(header, async (cookie) => {
      counting.reset();
      const request = new Request("https://example.com/", { headers: { cookie } });
      const current = manager.begin(request);
      const session = await current.session();
      const response = await current.finish(new Response("ok"));
      assertEquals([response.status, response.headers.getSetCookie()], [200, []]);
      const { find = 0, ...others } = counting.calls();
      assert(
        find <= 2 && Object.keys(others).length === 0,
        `${JSON.stringify(counting.calls())} for ${cookie}`,
      );
      assert(session.token === undefined || cookie.includes(session.token), "a token was made up");
      if (session.token === LIVE) live++;
    }),
    { numRuns },
  );
  assert(live > numRuns / 100, `the live session was met only ${live} times`);
});

Deno.test("Reading cookies takes at most twice the work for twice the header", () => {
  const cookie = new SessionCookie(
    new Request("https://example.com"),
    readOptions({}, () => new MemoryStore()),
  );
  fc.assert(
    fc.property(header, (text) => {
      const once = textWork(() => cookie.read(text));
      const twice = textWork(() => cookie.read(`${text};${text}`));
      assert(twice <= 2 * once + 10 + text.length, `${once}, then ${twice} characters`);
      assert(once <= 6 * text.length + 10, `${once} characters of ${text.length} were looked at`);
    }),
    { numRuns },
  );
});

const VALUES = {
  name: "Zoë",
  n: 42,
  at: new Date(NOW),
  raw: new Uint8Array([0, 1, 2, 255]),
  list: ["a", "b"],
  yes: true,
  half: 0.5,
};

/** Sessions from the codec with subtle damage, and arbitrary bytes. */
function rows(codec: Codec): fc.Arbitrary<Uint8Array> {
  const seeds = [
    codec.encode(NOW + HOUR, VALUES),
    codec.encode(NOW + HOUR, {}),
    codec.encode(NOW, { a: "b" }),
  ];
  const edit = fc.record({
    at: fc.nat({ max: 400 }),
    removed: fc.nat({ max: 4 }),
    inserted: fc.oneof(
      fc.uint8Array({ maxLength: 4 }),
      // Lengths beyond all memory, and parts of JSON and its extensions.
      fc.constantFrom(0xff, 0x7f).map((byte) => new Uint8Array([0xf8, ...Array(7).fill(0xff), byte])),
      fc.constantFrom('"$map":[', '{"$date":1e309}', "[[[[[[", '"\\ud800"', "1e999", "null", '{"$bytes":"!"}')
        .map((text) => new TextEncoder().encode(text)),
    ),
  });
  const damaged = fc.tuple(fc.constantFrom(...seeds), fc.array(edit, { maxLength: 4 })).map(([seed, edits]) =>
    edits.reduce((data, { at, removed, inserted }) => {
      const start = at % (data.length + 1);
      return new Uint8Array([...data.subarray(0, start), ...inserted, ...data.subarray(start + removed)]);
    }, seed)
  );
  return fc.oneof({ weight: 4, arbitrary: damaged }, {
    weight: 1,
    arbitrary: fc.uint8Array({ maxLength: 300 }),
  });
}

for (const [name, codec] of Object.entries({ jsonCodec, gobCodec })) {
  Deno.test(`A row of any bytes gives a session or none, and is not changed, with ${name}`, async () => {
    const store = new MemoryStore({ cleanup: "off" });
    const counting = countingStore(store);
    const events: SessionEvent[] = [];
    const manager = sessions({
      store: counting.store,
      codec,
      now: () => NOW,
      onEvent: (event) => void events.push(event),
    });
    let decoded = 0;
    await fc.assert(
      fc.asyncProperty(rows(codec), async (data) => {
        events.length = 0;
        await store.commit(hashToken(LIVE), data, NOW + HOUR, { now: NOW });
        counting.reset();
        const session = await manager.load(LIVE);
        assertEquals(counting.calls(), { find: 1 });
        assertEquals((await store.find(hashToken(LIVE), { now: NOW }))?.data, data);
        if (session.token === undefined) {
          assertEquals(events.length, 1);
          assert(events[0]!.kind === "undecodable" || events[0]!.kind === "unknown");
          return;
        }
        decoded++;
        assertEquals(events, []);
        const size = session.keys().reduce((sum, key) => sum + sizeOf(key) + sizeOf(session.get(key)), 0);
        // One byte of gob may stand for a whole empty value, and in a list each has an index.
        assert(size <= 8 * data.length, `${data.length} bytes became ${size}`);
      }),
      { numRuns },
    );
    assert(decoded > numRuns / 50, `only ${decoded} rows were sessions`);
  });
}

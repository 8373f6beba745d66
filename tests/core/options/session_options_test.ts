import { readOptions, type SessionSettings } from "../../../core/options/session_options.ts";
import { show } from "../../../core/options/reader.ts";
import { parseDuration } from "../../../core/options/duration.ts";
import { jsonCodec, MemoryStore, type SessionOptions, sessions } from "../../../mod.ts";
import { assert, assertEquals, assertGreaterOrEqual, assertStrictEquals } from "../../assert.ts";
import { documentedDefaults, sourceOf } from "./_documented_defaults.ts";
import { problemsOf } from "./_problems.ts";

const DAY = 86_400_000;
const HOUR = 3_600_000;

function settings(options: SessionOptions = {}): SessionSettings {
  return readOptions(options, () => new MemoryStore());
}

/** The mistakes in options that TypeScript may not notice. */
function problemsIn(options: object): readonly string[] {
  return problemsOf(() => sessions(options));
}

const DURATION = `must be milliseconds from 0, or text such as "90s", "20m", "24h", "30d"`;

Deno.test("sessions() uses the defaults that SessionOptions documents", () => {
  const defaults = documentedDefaults(sourceOf("core/options/session_options.ts"), "SessionOptions");
  const { lifetime, idleTimeout, touchInterval, codec, hashTokenInStore, maxBytes, now } = settings();

  assertEquals(lifetime, parseDuration(JSON.parse(defaults.get("lifetime")!)));
  assertEquals(lifetime, DAY);
  assertEquals(defaults.get("idleTimeout"), "undefined");
  assertEquals(idleTimeout, Infinity);
  assertEquals(defaults.get("touchInterval"), "idleTimeout / 10");
  assertEquals(touchInterval, 0);
  assertEquals(settings({ idleTimeout: "20m" }).touchInterval, 120_000);
  assertEquals(defaults.get("codec"), "jsonCodec");
  assertStrictEquals(codec, jsonCodec);
  assertEquals(hashTokenInStore, JSON.parse(defaults.get("hashTokenInStore")!));
  assertEquals(maxBytes, JSON.parse(defaults.get("maxBytes")!));
  assertEquals(maxBytes, 32 * 1024);
  assertEquals(defaults.get("now"), "Date.now");
  const before = Date.now();
  // Read before the clock it is compared with, because a millisecond may pass between the two.
  const asked = now();
  assertGreaterOrEqual(asked, before);
  assertGreaterOrEqual(Date.now(), asked);
  assertEquals(defaults.get("store"), "new MemoryStore()");
});

Deno.test("SessionOptions documents a default for each option except the cookie and onEvent", () => {
  const defaults = documentedDefaults(sourceOf("core/options/session_options.ts"), "SessionOptions");
  const without = [...defaults].filter(([, value]) => value === undefined).map(([name]) => name);
  assertEquals(without, ["cookie", "onEvent"]);
});

Deno.test("sessions() uses its own MemoryStore without a store, and with undefined", async () => {
  for (const options of [{}, { store: undefined }]) {
    const [manager, other] = [sessions(options), sessions(options)];
    const session = await manager.load();
    session.put("message", "Hello");
    const { token } = await session.commit();
    assertEquals((await manager.load(token)).get("message"), "Hello");
    assertEquals((await other.load(token)).get("message"), undefined);
  }
});

Deno.test("sessions() treats undefined like an absent option", () => {
  const names = documentedDefaults(sourceOf("core/options/session_options.ts"), "SessionOptions").keys();
  const absent = Object.fromEntries([...names].map((name) => [name, undefined]));
  sessions(absent);
  const store = new MemoryStore();
  const { now: _, hooks: __, ...given } = readOptions({ ...absent, store }, () => new MemoryStore());
  const { now: ___, hooks: ____, ...expected } = readOptions({ store }, () => new MemoryStore());
  assertEquals(given, expected);
});

Deno.test("sessions() keeps no reference to the options it was given", async () => {
  let clock = 1_000;
  const options: SessionOptions = { lifetime: 500, now: () => clock, cookie: { name: "mine" } };
  const manager = sessions(options);
  options.lifetime = 9_999;
  options.now = () => 0;
  options.cookie!.name = "other";
  const current = manager.begin(new Request("https://example.com/"));
  (await current.session()).put("a", 1);
  const response = await current.finish(new Response());
  assert(response.headers.get("Set-Cookie")!.startsWith("mine="));
  clock = 1_000;
  assertEquals((await manager.load()).deadline, 1_500);
});

Deno.test("readOptions() returns immutable settings", () => {
  assert(Object.isFrozen(settings()));
  assert(Object.isFrozen(settings().cookie));
});

for (
  const [value, ms] of [
    [0, 0],
    [1.5, 1.5],
    ["0s", 0],
    ["250ms", 250],
    ["90s", 90_000],
    ["20m", 1_200_000],
    ["1.5h", 1.5 * HOUR],
    ["30d", 30 * DAY],
  ] as const
) {
  Deno.test(`parseDuration() reads ${JSON.stringify(value)} as ${ms} ms`, () => {
    assertEquals(parseDuration(value), ms);
  });
}

const NO_DURATIONS = [
  -1,
  -Infinity,
  Infinity,
  NaN,
  "",
  "24",
  "h",
  "24 h",
  " 24h",
  "24h ",
  "24h\n",
  "24H",
  "24hours",
  "-1h",
  "+1h",
  "1e3s",
  ".5h",
  "1.h",
  "1,5h",
  "0x10s",
  "１h",
  "1h30m",
  "Infinityd",
  "9999999999999999s",
  null,
  true,
  10n,
  [1],
  { ms: 1 },
  new Date(0),
];

for (const value of NO_DURATIONS) {
  Deno.test(`sessions() refuses the duration ${Deno.inspect(value)} for every option that is one`, () => {
    for (const name of ["lifetime", "idleTimeout", "touchInterval"]) {
      assertEquals(
        problemsIn({ idleTimeout: "1h", [name]: value })[0],
        `"${name}" ${DURATION}: got ${show(value)}`,
      );
    }
  });
}

const MISTAKES: [options: object, problems: string[]][] = [
  [{ store: null }, [`"store" must have the methods find, commit, delete: got null`]],
  [{ store: "memory" }, [`"store" must have the methods find, commit, delete: got "memory"`]],
  [{ store: MemoryStore }, [`"store" must have the methods find, commit, delete: got a function`]],
  [{ store: { find() {}, commit() {} } }, [
    `"store" must have the methods find, commit, delete: got an object`,
  ]],
  [{ lifetime: 0 }, [`"lifetime" must be above 0 and at most 400 days: got 0`]],
  [{ lifetime: "0h" }, [`"lifetime" must be above 0 and at most 400 days: got "0h"`]],
  [{ lifetime: "401d" }, [`"lifetime" must be above 0 and at most 400 days: got "401d"`]],
  [{ lifetime: 400 * DAY + 1 }, [`"lifetime" must be above 0 and at most 400 days: got 34560000001`]],
  [{ lifetime: null }, [`"lifetime" ${DURATION}: got null`]],
  [{ lifetime: "a day", idleTimeout: "1h" }, [`"lifetime" ${DURATION}: got "a day"`]],
  [{ idleTimeout: "25h" }, [`"idleTimeout" must be at most "lifetime": got "25h"`]],
  [{ idleTimeout: "soon" }, [`"idleTimeout" ${DURATION}: got "soon"`]],
  [{ idleTimeout: null }, [`"idleTimeout" ${DURATION}: got null`]],
  [{ touchInterval: 1 }, [`"touchInterval" needs an "idleTimeout" of at least as much: got 1`]],
  [
    { idleTimeout: "1m", touchInterval: "61s" },
    [`"touchInterval" needs an "idleTimeout" of at least as much: got "61s"`],
  ],
  [{ cookie: null }, [`"cookie" must be an object: got null`]],
  [{ cookie: true }, [`"cookie" must be an object: got true`]],
  [{ cookie: "session" }, [`"cookie" must be an object: got "session"`]],
  [{ cookie: () => ({}) }, [`"cookie" must be an object: got a function`]],
  [{ codec: null }, [`"codec" must have the methods encode, decode: got null`]],
  [{ codec: "json" }, [`"codec" must have the methods encode, decode: got "json"`]],
  [{ codec: { encode() {} } }, [`"codec" must have the methods encode, decode: got an object`]],
  [{ hashTokenInStore: null }, [`"hashTokenInStore" must be one of true, false: got null`]],
  [{ hashTokenInStore: "false" }, [`"hashTokenInStore" must be one of true, false: got "false"`]],
  [{ hashTokenInStore: 0 }, [`"hashTokenInStore" must be one of true, false: got 0`]],
  [{ maxBytes: 0 }, [`"maxBytes" must be a whole number above 0: got 0`]],
  [{ maxBytes: -1 }, [`"maxBytes" must be a whole number above 0: got -1`]],
  [{ maxBytes: 1.5 }, [`"maxBytes" must be a whole number above 0: got 1.5`]],
  [{ maxBytes: NaN }, [`"maxBytes" must be a whole number above 0: got NaN`]],
  [{ maxBytes: Infinity }, [`"maxBytes" must be a whole number above 0: got Infinity`]],
  [{ maxBytes: "32k" }, [`"maxBytes" must be a whole number above 0: got "32k"`]],
  [{ maxBytes: 10n }, [`"maxBytes" must be a whole number above 0: got 10`]],
  [{ maxBytes: null }, [`"maxBytes" must be a whole number above 0: got null`]],
  [{ onError: null }, [`"onError" must be a function: got null`]],
  [{ onEvent: "log" }, [`"onEvent" must be a function: got "log"`]],
  [{ now: 0 }, [`"now" must be a function: got 0`]],
  [{ now: null }, [`"now" must be a function: got null`]],
];

for (const [options, problems] of MISTAKES) {
  Deno.test(`sessions() refuses ${Deno.inspect(options, { compact: true, breakLength: Infinity })}`, () => {
    assertEquals(problemsIn(options), problems);
  });
}

const OPTION_LIST =
  "store, lifetime, idleTimeout, touchInterval, cookie, codec, hashTokenInStore, maxBytes, saveOnServerError, trustProxy, onError, onEvent, now";

for (const name of ["ttl", "secret", "lifeTime", "__proto__x", "toString", "constructor"]) {
  Deno.test(`sessions() refuses the unknown option "${name}" and lists the known ones`, () => {
    assertEquals(problemsIn({ [name]: 1 }), [`"${name}" is no option; the options are ${OPTION_LIST}`]);
  });
}

Deno.test("sessions() refuses a store in place of the options", () => {
  const problem = "a store is one of the options: pass { store }";
  assertEquals(problemsOf(() => sessions(new MemoryStore() as SessionOptions)), [problem]);
});

Deno.test("sessions() refuses an own option called __proto__", () => {
  const options = Object.fromEntries([["__proto__", {}]]);
  assertEquals(problemsIn(options), [`"__proto__" is no option; the options are ${OPTION_LIST}`]);
});

Deno.test("sessions() knows exactly the options that its interface has", () => {
  const names = [...documentedDefaults(sourceOf("core/options/session_options.ts"), "SessionOptions").keys()];
  assertEquals(names.join(", "), OPTION_LIST);
});

Deno.test("sessions() names every mistake in one error, in the order of the options", () => {
  const wrong = {
    now: 1,
    onEvent: 2,
    onError: 3,
    maxBytes: 4.5,
    hashTokenInStore: 5,
    codec: 6,
    cookie: {
      persist: 7,
      partitioned: 8,
      sameSite: 9,
      secure: 10,
      httpOnly: 11,
      path: 12,
      domain: 13,
      name: 14,
      max: 15,
    },
    touchInterval: "17",
    idleTimeout: "18",
    lifetime: "19",
    store: {},
    ttl: 1,
    name: "x",
  };
  const subjects = problemsIn(wrong).map((problem) => /^"([\w.]+)"/.exec(problem)?.[1]);
  assertEquals(subjects, [
    "store",
    "lifetime",
    "idleTimeout",
    "touchInterval",
    "cookie.name",
    "cookie.domain",
    "cookie.path",
    "cookie.httpOnly",
    "cookie.secure",
    "cookie.sameSite",
    "cookie.partitioned",
    "cookie.persist",
    "cookie.max",
    "codec",
    "hashTokenInStore",
    "maxBytes",
    "onError",
    "onEvent",
    "now",
    "ttl",
    "name",
  ]);
});

Deno.test("sessions() says nothing of touchInterval if only idleTimeout is wrong", () => {
  assertEquals(problemsIn({ idleTimeout: "x" }).length, 1);
});

Deno.test("sessions() accepts the extremes of each option", () => {
  assertEquals(settings({ lifetime: 400 * DAY }).lifetime, 400 * DAY);
  assertEquals(settings({ lifetime: "400d" }).lifetime, 400 * DAY);
  assertEquals(settings({ lifetime: 1 }).lifetime, 1);
  assertEquals(settings({ lifetime: "1h", idleTimeout: "1h" }).idleTimeout, HOUR);
  assertEquals(settings({ idleTimeout: 0 }).idleTimeout, Infinity);
  assertEquals(settings({ idleTimeout: "1h", touchInterval: "1h" }).touchInterval, HOUR);
  assertEquals(settings({ idleTimeout: "1h", touchInterval: 0 }).touchInterval, 0);
  assertEquals(settings({ maxBytes: 1 }).maxBytes, 1);
});

Deno.test("sessions() shows no object and no function that was given for an option", () => {
  const secret = { password: "hunter2", toString: () => "hunter2" };
  for (const value of [secret, [secret], () => "hunter2", Object.create(null), Symbol("s")]) {
    const problems = problemsIn({ maxBytes: value, cookie: { name: value }, lifetime: value });
    assertEquals(problems.length, 3);
    assert(!problems.join().includes("hunter2"));
  }
});

Deno.test("sessions() shows no URL that was given for an option, since it may hold a password", () => {
  const url = "mysql://user:hunter2@host/database";
  for (const options of [url, { store: url }, { cookie: url }, { cookie: { domain: url } }]) {
    const problems = problemsOf(() => sessions(options as SessionOptions)).join();
    assert(!problems.includes("hunter2") && problems.endsWith("got a URL"), problems);
  }
});

Deno.test("sessions() refuses options that are no object", () => {
  for (const [options, shown] of [[null, "null"], ["24h", '"24h"'], [42, "42"]]) {
    const make = () => sessions(options as SessionOptions);
    assertEquals(problemsOf(make), [`the options must be an object: got ${shown}`]);
  }
});

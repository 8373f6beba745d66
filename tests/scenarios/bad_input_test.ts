/** Bad input from a client, a row or a handler: what the client gets, and what the table holds. */
import { jsonCodec, type Session, SessionEncodeError, SessionTooLargeError } from "../../mod.ts";
import {
  assertEquals,
  assertInstanceOf,
  assertNotEquals,
  assertRejects,
  assertStringIncludes,
  assertThrows,
} from "../assert.ts";
import { type Bed, onEachStore, sha256 } from "./_bed.ts";
import { assertShowsNone } from "./_secrets.ts";
import { Browser } from "./_visits.ts";

const NAME = "__Host-session";
const SECRET = "secret-value-of-the-session";

/** A signed-in browser. */
async function signedIn(bed: Bed, options = {}): Promise<Browser> {
  const browser = new Browser(bed.manager(options));
  await browser.visit((session) => session.put("user", SECRET));
  bed.resetCalls();
  bed.events.length = 0;
  return browser;
}

/** What a request with this `Cookie` header finds. It must get no cookie, and leave the table unchanged. */
async function keysFoundBy(bed: Bed, browser: Browser, Cookie: string): Promise<string[]> {
  const rows = await bed.rows();
  let keys: string[] = [];
  const response = await browser.visit((session) => keys = session.keys(), { headers: { Cookie } });
  assertEquals([response.status, await response.text()], [200, "ok"]);
  assertEquals(response.headers.getSetCookie(), []);
  assertEquals(await bed.rows(), rows);
  return keys;
}

const NO_SESSIONS = {
  "bytes that are not text": Uint8Array.of(0xff, 0xfe),
  "no bytes": new Uint8Array(),
  "truncated JSON": new TextEncoder().encode('{"deadline":1893553445678,"val'),
  "JSON of another shape": new TextEncoder().encode('{"userId":42}'),
  "a deadline that is no number": new TextEncoder().encode('{"deadline":null,"values":{}}'),
  "an unknown kind of value": new TextEncoder().encode('{"deadline":1893553445678,"values":{"a":{"$x":1}}}'),
};
onEachStore(
  "A row that cannot be decoded gives an anonymous session and an event, and is not changed",
  async (bed) => {
    const browser = await signedIn(bed);
    const { token, expiry } = await bed.row();
    const { token: cookie } = browser;
    for (const [what, data] of Object.entries(NO_SESSIONS)) {
      bed.events.length = 0;
      await bed.store.commit(token, data, expiry, { now: bed.clock.time });
      browser.cookies.set(NAME, cookie!);
      assertEquals(await keysFoundBy(bed, browser, browser.cookie), [], what);
      assertEquals(bed.eventKinds(), ["undecodable"], what);
      assertShowsNone(bed.events, [token, cookie!]);

      await browser.visit((session) => session.put("a", 1));
      assertNotEquals(browser.token, cookie);
      await browser.visit((session) => assertEquals(session.keys(), ["a"]));
      assertEquals((await bed.rows()).find((row) => row.token === token), { token, data, expiry }, what);
    }
  },
);

onEachStore("A row that cannot be decoded does not end a listing", async (bed) => {
  const manager = bed.manager();
  for (const user of ["one", "two"]) {
    const session = await manager.load();
    session.subject = "zoe";
    session.put("user", user);
    await session.commit();
  }
  const [row] = await bed.rows();
  await bed.store.commit(row!.token, Uint8Array.of(0xff), row!.expiry, { now: bed.clock.time });
  assertEquals((await Array.fromAsync(manager.iterate())).length, 1);
  assertEquals((await manager.sessionsOf("zoe")).length, 1);
  // It cannot be listed any more, but is still deleted with the others.
  assertEquals(await manager.destroyAll("zoe"), 2);
  assertEquals(await bed.rows(), []);
});

onEachStore(
  "A subject that is no text, and an exception that is no session, are refused and end nothing",
  async (bed) => {
    const manager = bed.manager();
    const session = await manager.load();
    session.subject = "42";
    await session.commit();
    for (const subject of [42, undefined, null, {}] as unknown as string[]) {
      await assertRejects(() => manager.destroyAll(subject), SessionEncodeError, 'value "subject": it must');
      await assertRejects(() => manager.destroySession(subject, "id"), SessionEncodeError, "it must");
      await assertRejects(() => manager.sessionsOf(subject), SessionEncodeError, "it must");
    }
    for (const other of ["token", 1, {}, manager] as unknown as (typeof session)[]) {
      await assertRejects(() => manager.destroyAll("42", { except: other }), TypeError, "pass a session");
      await assertRejects(() => manager.sessionsOf("42", { current: other }), TypeError, "pass a session");
    }
    assertEquals((await manager.sessionsOf("42")).length, 1);
  },
);

onEachStore(
  "An unknown token gives an anonymous session and an event, and a write creates a new token",
  async (bed) => {
    const browser = await signedIn(bed);
    const unknown = "w".repeat(43);
    assertEquals(await keysFoundBy(bed, browser, `${NAME}=${unknown}`), []);
    assertEquals(bed.eventKinds(), ["unknown"]);

    const stranger = new Browser(bed.manager());
    stranger.cookies.set(NAME, unknown);
    await stranger.visit((session) => session.put("a", 1));
    assertNotEquals(stranger.token, unknown);
    assertEquals(await keysFoundBy(bed, browser, `${NAME}=${unknown}`), []);
  },
);

const JUNK = {
  "one value": `${NAME}=${"A".repeat(8_192)}`,
  "many values": `${NAME}=${"A".repeat(42)}; `.repeat(150),
  "semicolons": ";".repeat(8_192),
  "equals signs": "=".repeat(8_192),
  "quotes": `${NAME}="${'"'.repeat(8_192)}`,
  "percent signs": `${NAME}=${"%".repeat(8_192)}`,
  "other cookies": "a=b; ".repeat(1_600),
};
onEachStore("8 kB of junk in the cookie cause no store call and change nothing", async (bed) => {
  const browser = await signedIn(bed);
  for (const [what, cookie] of Object.entries(JUNK)) {
    bed.resetCalls();
    assertEquals(await keysFoundBy(bed, browser, cookie), [], what);
    assertEquals(bed.calls(), {}, what);
    assertEquals(await keysFoundBy(bed, browser, `${cookie}; ${browser.cookie}`), ["user"], what);
  }
});

onEachStore("Several cookies of one name: the live one is found, in either place", async (bed) => {
  const browser = await signedIn(bed);
  const [alive, dead, other] = [browser.cookie, `${NAME}=${"I".repeat(43)}`, `${NAME}=${"o".repeat(43)}`];
  assertEquals(await keysFoundBy(bed, browser, `${alive}; ${dead}`), ["user"]);
  assertEquals(bed.calls(), { find: 1 });
  bed.resetCalls();
  assertEquals(await keysFoundBy(bed, browser, `${dead}; ${alive}`), ["user"]);
  assertEquals(bed.calls(), { find: 2 });
  bed.resetCalls();
  // Of more than two well-formed ones the first and the last are tried.
  assertEquals(await keysFoundBy(bed, browser, `${dead}; ${other}; ${alive}`), ["user"]);
  assertEquals(bed.calls(), { find: 2 });
  bed.resetCalls();
  assertEquals(await keysFoundBy(bed, browser, `${dead}; ${alive}; ${other}`), []);
  assertEquals(bed.calls(), { find: 2 });
  bed.resetCalls();
  assertEquals(await keysFoundBy(bed, browser, `${dead}; ${dead}; ${NAME}=junk; ${alive}`), ["user"]);
  assertEquals(bed.calls(), { find: 2 });
});

onEachStore("Several cookies of one name: a change goes to the session that was found", async (bed) => {
  const browser = await signedIn(bed);
  const Cookie = `${NAME}=${"I".repeat(43)}; ${browser.cookie}`;
  const response = await browser.visit((session) => session.put("a", 1), { headers: { Cookie } });
  assertEquals(response.headers.getSetCookie(), []);
  await browser.visit((session) => assertEquals(session.keys(), ["a", "user"]));
  await bed.row();
});

for (const hashTokenInStore of [true, false]) {
  const tokens = hashTokenInStore ? "hashed" : "plain";
  onEachStore(`A token that differs only in case is another token, tokens ${tokens}`, async (bed) => {
    const browser = await signedIn(bed, { hashTokenInStore });
    const token = browser.token!;
    for (const other of [token.toUpperCase(), token.toLowerCase()]) {
      assertEquals(await keysFoundBy(bed, browser, `${NAME}=${other}`), []);
    }
    assertEquals(await keysFoundBy(bed, browser, `${NAME}=${token}`), ["user"]);
  });
}

onEachStore("The stored hash, sent as a cookie, signs nobody in", async (bed) => {
  const browser = await signedIn(bed);
  const { token: hash } = await bed.row();
  assertEquals(hash, await sha256(browser.token!));
  assertEquals(await keysFoundBy(bed, browser, `${NAME}=${hash}`), []);
});

onEachStore(
  "A session over the limit: 500 and an error that names the key, and nothing is saved",
  async (bed) => {
    const browser = await signedIn(bed, { maxBytes: 1_000 });
    const rows = await bed.rows();
    const response = await browser.visit((session) => {
      session.put("small", "s");
      session.put("large", SECRET.repeat(50));
      session.put("medium", "m".repeat(100));
    });
    assertEquals([response.status, await response.text()], [500, "Internal Server Error\n"]);
    assertEquals(response.headers.getSetCookie(), []);
    assertEquals(bed.calls(), { find: 1 });
    assertEquals(await bed.rows(), rows);
    const [error] = bed.errors;
    assertInstanceOf(error, SessionTooLargeError);
    assertEquals([error.code, error.key], ["ERR_SESSION_TOO_LARGE", "large"]);
    assertStringIncludes(error.message, '"large", and the limit is 1000');
    assertShowsNone(error, [SECRET, browser.token!]);
    await browser.visit((session) => assertEquals(session.keys(), ["user"]));
  },
);

onEachStore("A new session over the limit creates no row and no cookie", async (bed) => {
  const browser = new Browser(bed.manager());
  const response = await browser.visit((session) => session.put("large", "x".repeat(32 * 1024)));
  assertEquals([response.status, response.headers.getSetCookie()], [500, []]);
  assertEquals([bed.calls(), await bed.rows()], [{}, []]);
});

onEachStore("A session of exactly the limit is saved", async (bed) => {
  const probe = await bed.manager().load();
  probe.put("fill", "");
  await probe.commit();
  const { data } = await bed.row();
  const session = await bed.manager().load();
  session.put("fill", "x".repeat(32 * 1024 - data.length));
  const { token } = await session.commit();
  assertEquals((await bed.manager().load(token)).getString("fill").length, 32 * 1024 - data.length);
  // The manager's nonces do not count towards the user's limit.
  for (let i = 0; i < 10; i++) {
    const again = await bed.manager().load(token);
    again.put("fill", `${i}`.repeat(32 * 1024 - data.length));
    await again.commit();
  }
});

class Account {
  secret = SECRET;
}
function cycle(): unknown {
  const loop: { secret: string; self?: unknown } = { secret: SECRET };
  loop.self = [loop];
  return loop;
}
const UNENCODABLE: Record<string, { value: () => unknown; problem: string }> = {
  "a function": { value: () => () => SECRET, problem: "it holds a function" },
  "a symbol": { value: () => Symbol(SECRET), problem: "it holds a symbol" },
  "a cycle": { value: cycle, problem: "it contains itself" },
  "an instance of a class": { value: () => new Account(), problem: "it holds an instance of Account" },
  "a function deep inside": {
    value: () => ({ list: [{ f: () => SECRET }] }),
    problem: "it holds a function",
  },
};
onEachStore(
  "A value that cannot be stored: 500 and an error that names the key, and nothing is saved",
  async (bed) => {
    const browser = await signedIn(bed);
    const rows = await bed.rows();
    for (const [what, { value, problem }] of Object.entries(UNENCODABLE)) {
      for (
        const put of [
          (session: Session) => session.put("bad", value()),
          (session: Session) => session.update("bad", value),
        ]
      ) {
        bed.errors.length = 0;
        const response = await browser.visit((session) => {
          session.put("good", 1);
          put(session);
        });
        assertEquals([response.status, response.headers.getSetCookie()], [500, []], what);
        const [error] = bed.errors;
        assertInstanceOf(error, SessionEncodeError);
        assertEquals([error.code, error.key], ["ERR_SESSION_ENCODE", "bad"]);
        assertStringIncludes(error.message, `Cannot store session value "bad": ${problem}`);
        assertShowsNone(error, [SECRET, browser.token!]);
      }
    }
    assertEquals(await bed.rows(), rows);
    await browser.visit((session) => assertEquals(session.keys(), ["user"]));
  },
);

onEachStore("An asynchronous function of update() is refused at once", async (bed) => {
  const session = await bed.manager().load();
  const error = assertThrows(() => session.update("bad", () => Promise.resolve(1)), SessionEncodeError);
  assertEquals([error.key, session.keys()], ["bad", []]);
});

onEachStore(
  "A value that cannot be stored, and is then repaired in place, is saved with the rest",
  async (bed) => {
    const manager = bed.manager<{ good: number; bad: { self?: unknown } }>();
    const { token } = await (await manager.load()).commit();
    const session = await manager.load(token);
    const bad: { self?: unknown } = {};
    bad.self = bad;
    session.put("good", 1);
    session.put("bad", bad);
    await assertRejects(() => session.commit(), SessionEncodeError);
    delete bad.self;
    await session.commit();
    const { values } = jsonCodec.decode((await bed.row()).data);
    assertEquals([values.good, values.bad], [1, {}]);
  },
);

onEachStore("A reserved key, or one that is no text, is refused at once", async (bed) => {
  const session = await bed.manager().load();
  for (const key of ["__subject", "__createdAt", "__nonces", 7 as unknown as string]) {
    for (const change of [() => session.put(key, 1), () => session.update(key, () => 1)]) {
      assertEquals(assertThrows(change, SessionEncodeError).key, String(key));
    }
  }
  assertEquals([session.status, session.keys()], ["unmodified", []]);
});

onEachStore("A subject that not every store can hold is refused at once", async (bed) => {
  const session = await bed.manager().load();
  for (const subject of ["", "x".repeat(256), "é".repeat(128), "\ud800"]) {
    const error = assertThrows(() => session.subject = subject, SessionEncodeError);
    assertEquals([error.key, session.subject], ["subject", undefined]);
  }
  session.subject = "é".repeat(127);
  await session.commit();
  assertEquals((await bed.manager().sessionsOf("é".repeat(127))).length, 1);
});

import { Hooks } from "../../core/events.ts";
import {
  MemoryStore,
  type SessionErrorHook,
  type SessionEvent,
  type SessionEventHook,
  SessionGoneError,
  sessions,
} from "../../mod.ts";
import { assertEquals, assertInstanceOf, assertStrictEquals } from "../assert.ts";

const EVENT: SessionEvent = { kind: "forwarded-proto" };
const INFO = { phase: "load" } as const;

const BAD_HOOKS: [what: string, hook: () => unknown][] = [
  ["throws", () => {
    throw new Error("no");
  }],
  ["throws nothing", () => {
    throw undefined;
  }],
  ["rejects", () => Promise.reject(new Error("no"))],
  ["returns something other than a Response", () => "response"],
  ["returns a promise of something other than a Response", () => Promise.resolve({ status: 200 })],
];

for (const [what, hook] of BAD_HOOKS) {
  Deno.test(`Hooks.event() continues if the hook ${what}`, async () => {
    const hooks = new Hooks(undefined, hook as SessionEventHook);
    hooks.event!(EVENT);
    // An unhandled rejection would fail the test here.
    await new Promise((resolve) => setTimeout(resolve));
  });

  Deno.test(`Hooks.error() gives undefined if the hook ${what}`, async () => {
    const hooks = new Hooks(hook as SessionErrorHook);
    assertEquals(await hooks.error(new SessionGoneError(), INFO), undefined);
  });

  Deno.test(`A session works from creation to logout with an onEvent that ${what}`, async () => {
    const store = new MemoryStore({ cleanup: "off", maxSessions: 1 });
    const manager = sessions({ store, onEvent: hook as SessionEventHook });
    const session = await manager.load("w".repeat(43));
    session.put("a", 1);
    session.subject = "zoe";
    await session.commit();
    const { token } = await session.commit();
    const other = await manager.load(token);
    other.put("a", 2);
    await session.commit();
    await other.commit();
    assertEquals((await manager.load(token)).get("a"), 2);
    const evicting = await manager.load();
    await evicting.commit();
    assertEquals(store.size, 1);
    evicting.renewToken();
    await evicting.commit();
    await evicting.destroy();
    assertEquals(await manager.destroyAll("zoe"), 0);
    const request = new Request("http://example.com/", { headers: { "X-Forwarded-Proto": "https" } });
    const current = manager.begin(request);
    await current.session();
    assertEquals((await current.finish(new Response("ok"))).status, 200);
  });
}

Deno.test("Hooks.error() gives a Response that is no instance of the global one", async () => {
  const Native = Response;
  // As @hono/node-server 1 does. Response.json() and fetch() still give native ones.
  globalThis.Response = class extends Native {};
  try {
    const response = Native.json({ error: "gone" }, { status: 410 });
    const hooks = new Hooks(() => response);
    assertStrictEquals(await hooks.error(new SessionGoneError(), INFO), response);
  } finally {
    globalThis.Response = Native;
  }
});

Deno.test("Hooks.event?.() creates no event if nobody listens", () => {
  let made = 0;
  new Hooks().event?.((made++, EVENT));
  assertEquals(made, 0);
  const received: SessionEvent[] = [];
  new Hooks(undefined, (event) => void received.push(event)).event?.((made++, EVENT));
  assertEquals([made, received], [1, [EVENT]]);
});

Deno.test("Hooks.error() gives the Response of the hook, returned at once or as a promise", async () => {
  const response = new Response("sorry");
  const error = new SessionGoneError();
  const received: unknown[] = [];
  for (const answer of [response, Promise.resolve(response)]) {
    const hooks = new Hooks((...args) => (received.push(...args), answer as Promise<Response>));
    const given = await hooks.error(error, INFO);
    assertInstanceOf(given, Response);
    assertStrictEquals(given, response);
  }
  assertEquals(received, [error, INFO, error, INFO]);
});

Deno.test("Without a hook Hooks.error() logs the error and its phase, and gives undefined", async () => {
  const error = new SessionGoneError();
  const { error: log } = console;
  const logged: unknown[] = [];
  console.error = (...items: unknown[]) => void logged.push(...items);
  try {
    assertEquals(await new Hooks().error(error, INFO), undefined);
    assertEquals(logged.splice(0), [`Session error (${INFO.phase}):`, error]);
    await new Hooks(() => {}).error(error, INFO);
    assertEquals(logged, []);
  } finally {
    console.error = log;
  }
});

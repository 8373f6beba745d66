/**
 * Pins of the public types. What is pinned here is checked when this file is compiled; a `@ts-expect-error` that
 * expects none, and a type that decayed to `any`, fail it.
 * @module
 */

import type { Client as LibSQLPackageClient } from "@libsql/client";
import type { Client as PlanetScalePackageClient, Connection } from "@planetscale/database";
import { type Context, Hono, type MiddlewareHandler } from "hono";
import { withSessions } from "../middleware/fetch.ts";
import { honoSessions, type SessionVariables } from "../middleware/hono.ts";
import { scheduledPurge } from "../middleware/scheduled.ts";
import {
  type AnySessionError,
  type AtomicStore,
  type Codec,
  type CommitResult,
  type Duration,
  type IterableStore,
  type jsonCodec,
  MemoryStore,
  type PurgeResult,
  type PurgingStore,
  type RequestSession,
  type Session,
  type SessionClosedError,
  type SessionConfigError,
  type SessionConflictError,
  type SessionEncodeError,
  type SessionErrorCode,
  type SessionErrorInfo,
  type SessionEvent,
  type SessionGoneError,
  type SessionKey,
  type SessionManager,
  type SessionOptions,
  sessions,
  type SessionStatus,
  type SessionStore,
  type SessionStoreError,
  type SessionTooLargeError,
  type StoredRow,
  type SubjectSession,
  type SubjectStore,
} from "../mod.ts";
import { gobCodec } from "../codecs/gob.ts";
import type { LibSQLClient, LibSQLStore } from "../stores/libsql.ts";
import type { PlanetScaleClient, PlanetScaleStore } from "../stores/planetscale.ts";
import { assertEquals } from "./assert.ts";

/** Whether two types are the very same; `any` is the same as `any` alone. */
type Same<A, B> = (<T>() => T extends A ? 1 : 2) extends (<T>() => T extends B ? 1 : 2) ? true : false;

/** Compiles when what it is given is `true`. */
function pin<_Claim extends true>(): void {}

/** Code that is compiled and never run. */
function compiled(_code: () => unknown): void {}

// An interface, as applications have it: it has no index signature.
interface Data {
  userId: number;
  cart: string[];
  nickname?: string;
}

const manager = sessions<Data>();

Deno.test("The pins of this file tell types apart, any and unknown above all", () => {
  pin<Same<string, string>>();
  // @ts-expect-error: unknown is not any
  pin<Same<unknown, ReturnType<typeof JSON.parse>>>();
  // @ts-expect-error: an optional key is not a required one
  pin<Same<{ a?: string }, { a: string }>>();
  // @ts-expect-error: a session of other data
  pin<Same<Session<Data>, Session<{ userId: string }>>>();
  // @ts-expect-error: a session of unknown data
  pin<Same<Session<Data>, Session>>();
  // @ts-expect-error: a union is not its part
  pin<Same<string, string | undefined>>();
});

Deno.test("sessions<Data>() gives a SessionManager of the data, of unknown values without", () => {
  pin<Same<typeof manager, SessionManager<Data>>>();
  compiled(() => {
    const untyped = sessions();
    pin<Same<typeof untyped, SessionManager<Record<string, unknown>>>>();
    // @ts-expect-error: data is an object
    sessions<string>();
  });
});

Deno.test("Session.get() and pop() give Data[Key] | undefined, and take no other key", async () => {
  const session = await manager.load();
  pin<Same<typeof session, Session<Data>>>();
  const [userId, cart, nickname] = [session.get("userId"), session.get("cart"), session.get("nickname")];
  pin<Same<typeof userId, number | undefined>>();
  pin<Same<typeof cart, string[] | undefined>>();
  pin<Same<typeof nickname, string | undefined>>();
  const popped = session.pop("cart");
  pin<Same<typeof popped, string[] | undefined>>();
  assertEquals([userId, cart, nickname, popped], [undefined, undefined, undefined, undefined]);
  compiled(() => {
    // @ts-expect-error: a misspelt key
    session.get("userID");
    // @ts-expect-error: a misspelt key
    session.pop("carts");
    // @ts-expect-error: no key at all
    session.get();
  });
});

Deno.test("Session of unknown data gives unknown for every key", async () => {
  const session = await sessions().load();
  const value = session.get("anything");
  pin<Same<typeof value, unknown>>();
  compiled(() => session.put("anything", { at: new Date() }));
});

Deno.test("Session.put() and update() take the value of their key alone", () => {
  compiled(async () => {
    const session = await manager.load();
    session.put("userId", 1);
    session.put("cart", ["a"]);
    session.update("userId", (n) => {
      pin<Same<typeof n, number | undefined>>();
      return (n ?? 0) + 1;
    });
    session.update("cart", () => undefined);
    // @ts-expect-error: a value of another type
    session.put("userId", "1");
    // @ts-expect-error: a misspelt key
    session.put("userID", 1);
    // @ts-expect-error: no value
    session.put("userId");
    // @ts-expect-error: a result of another type
    session.update("cart", () => "a");
    // @ts-expect-error: an asynchronous function
    session.update("userId", () => Promise.resolve(1));
  });
});

Deno.test("The other methods of Session take the keys of the data and give one type each", () => {
  compiled(async () => {
    const session = await manager.load();
    pin<Same<SessionKey<Data>, "userId" | "cart" | "nickname">>();
    const keys = session.keys();
    pin<Same<typeof keys, SessionKey<Data>[]>>();
    pin<Same<ReturnType<typeof session.exists>, boolean>>();
    pin<Same<ReturnType<typeof session.getString | typeof session.popString>, string>>();
    pin<Same<ReturnType<typeof session.getBool | typeof session.popBool>, boolean>>();
    pin<Same<ReturnType<typeof session.getInt | typeof session.popInt>, number>>();
    pin<Same<ReturnType<typeof session.getFloat | typeof session.popFloat>, number>>();
    pin<Same<ReturnType<typeof session.getBytes | typeof session.popBytes>, Uint8Array | undefined>>();
    pin<Same<ReturnType<typeof session.getTime | typeof session.popTime>, Date | undefined>>();
    // @ts-expect-error: a misspelt key
    session.getInt("userID");
    // @ts-expect-error: a misspelt key
    session.popString("nick");
    // @ts-expect-error: a misspelt key
    session.remove("carts");
    // @ts-expect-error: a misspelt key
    session.exists("carts");
  });
});

Deno.test("A session with more values serves a function that needs some of them, or none", async () => {
  const signIn = (session: Session<{ userId: number }>) => {
    session.renewToken();
    session.update("userId", (id = 41) => id + 1);
    const keys = session.keys();
    pin<Same<typeof keys, "userId"[]>>();
    // @ts-expect-error: none of the values that it names
    compiled(() => session.get("cart"));
  };
  const subjectOf = (session: Session<object>) => {
    // @ts-expect-error: it names no value
    compiled(() => session.get("userId"));
    return session.subject;
  };
  const session = await manager.load();
  signIn(session);
  assertEquals([session.get("userId"), subjectOf(session)], [42, undefined]);
  compiled(async () => {
    subjectOf(await sessions().load());
    const count = (manager: SessionManager<object>) => manager.destroyAll("zoe");
    await count(manager);
    const admins = (session: () => Promise<Session<{ userId: number }>>) => session;
    admins(manager.begin(new Request("https://example.com/")).session);
    const same: Session<{ userId: number; cart: string[]; nickname?: string }> = session;
    // @ts-expect-error: it may lack the value
    signIn(await sessions().load());
    // @ts-expect-error: another type under the key
    const other: Session<{ userId: string }> = session;
    // @ts-expect-error: it would take a string for a number
    const wider: Session<{ userId: number | string }> = session;
    // @ts-expect-error: it would take anything under every key
    const plain: Session = session;
    // @ts-expect-error: it would remove a value that is required
    const optional: Session<{ userId?: number }> = session;
    return [same, other, wider, plain, optional];
  });
});

Deno.test("Session shows its state, and only the subject may be set", () => {
  compiled(async () => {
    const session = await manager.load();
    pin<Same<typeof session.status, SessionStatus>>();
    pin<Same<SessionStatus, "unmodified" | "modified" | "destroyed">>();
    pin<Same<typeof session.token, string | undefined>>();
    pin<Same<typeof session.deadline, number>>();
    pin<Same<typeof session.subject, string | undefined>>();
    session.subject = "zoe";
    session.subject = undefined;
    // @ts-expect-error: no null
    session.subject = null;
    // @ts-expect-error: read-only
    session.token = "";
    // @ts-expect-error: read-only
    session.deadline = 0;
    // @ts-expect-error: read-only
    session.status = "modified";
  });
});

Deno.test("What changes a session is synchronous, but for destroy(), mergeSession() and commit()", () => {
  type Face = Session<Data>;
  pin<Same<ReturnType<Face["put" | "remove" | "clear" | "update" | "rememberMe" | "renewToken"]>, void>>();
  pin<Same<Parameters<Face["setDeadline"]>, [deadline: number | Date]>>();
  pin<Same<ReturnType<Face["destroy" | "mergeSession"]>, Promise<void>>>();
  pin<Same<ReturnType<Face["commit"]>, Promise<CommitResult>>>();
  pin<Same<CommitResult, { token: string; expiry: number }>>();
});

Deno.test("SessionManager gives sessions of its data by every way", () => {
  compiled(async () => {
    pin<Same<Awaited<ReturnType<typeof manager.load>>, Session<Data>>>();
    pin<Same<ReturnType<typeof manager.begin>, RequestSession<Data>>>();
    pin<Same<ReturnType<typeof manager.iterate>, AsyncGenerator<Session<Data>, void, undefined>>>();
    for await (const session of manager.iterate()) pin<Same<typeof session, Session<Data>>>();
    const entries = await manager.sessionsOf("zoe", { current: await manager.load() });
    pin<Same<typeof entries, SubjectSession<Data>[]>>();
    const cart = entries[0]!.get("cart");
    pin<Same<typeof cart, string[] | undefined>>();
    // @ts-expect-error: a misspelt key
    entries[0]!.get("carts");
    pin<Same<ReturnType<typeof manager.destroySession>, Promise<boolean>>>();
    pin<Same<ReturnType<typeof manager.destroyAll>, Promise<number>>>();
    pin<Same<ReturnType<typeof manager.purge>, Promise<PurgeResult>>>();
    pin<Same<PurgeResult, { deleted: number; batches: number; done: boolean; elapsedMs: number }>>();
  });
});

Deno.test("RequestSession is what a middleware of anyone's needs", () => {
  pin<Same<RequestSession<Data>["session"], (response?: Response) => Promise<Session<Data>>>>();
  compiled(async () => {
    const request = new Request("https://example.com/");
    const current = manager.begin(request, { token: "t", signal: request.signal, waitUntil: () => {} });
    const response = await current.finish(new Response());
    pin<Same<typeof response, Response>>();
    await current.finish(undefined, new Error("thrown"));
    // @ts-expect-error: what the handler gave is for the caller to say
    await current.finish();
  });
});

Deno.test("SessionOptions takes what DESIGN.md lists, and refuses what is misspelt", () => {
  compiled(() => {
    sessions({
      store: new MemoryStore(),
      lifetime: "24h",
      idleTimeout: 1_200_000,
      touchInterval: "2m",
      cookie: {
        name: "sid",
        domain: "example.com",
        path: "/",
        httpOnly: true,
        secure: "auto",
        sameSite: "Lax",
        partitioned: false,
        persist: true,
      },
      codec: gobCodec,
      hashTokenInStore: true,
      maxBytes: 32_768,
      onError: (error, { request, phase }) => {
        pin<Same<typeof error.code, SessionErrorCode>>();
        if (error.code === "ERR_SESSION_STORE") pin<Same<typeof error, SessionStoreError>>();
        pin<Same<typeof request, Request | undefined>>();
        pin<Same<typeof phase, "load" | "commit" | "cleanup">>();
        return new Response();
      },
      onEvent: ({ kind }) => pin<Same<typeof kind, SessionEvent["kind"]>>(),
      now: () => 0,
    });
    pin<Same<SessionErrorInfo["phase"], "load" | "commit" | "cleanup">>();
    // @ts-expect-error: a misspelt option
    sessions({ lifeTime: "24h" });
    // @ts-expect-error: no unit
    sessions({ lifetime: "24" });
    // @ts-expect-error: an unknown unit
    sessions({ lifetime: "24 hours" });
    // @ts-expect-error: lower case
    sessions({ cookie: { sameSite: "lax" } });
    // @ts-expect-error: a misspelt cookie option
    sessions({ cookie: { maxAge: 1 } });
    // @ts-expect-error: half a store
    sessions({ store: { find: () => Promise.resolve(undefined) } });
    const durations: Duration[] = [1, "1ms", "90s", "20m", "24h", "30d", "1.5h"];
    return durations;
  });
  pin<Same<Parameters<typeof sessions>, [options?: SessionOptions]>>();
});

Deno.test("An object with the three methods of SCS is a SessionStore, and no AtomicStore", () => {
  const store = {
    find: () => Promise.resolve(undefined),
    commit: () => Promise.resolve(),
    delete: () => Promise.resolve(false),
  };
  compiled(() => {
    const enough: SessionStore = store;
    // @ts-expect-error: create, update and touch are missing
    const more: AtomicStore = store;
    return [enough, more];
  });
});

Deno.test("Every store has every ability", () => {
  type Full = AtomicStore & IterableStore & PurgingStore & SubjectStore & Disposable & {
    stopCleanup(): void;
  };
  pin<MemoryStore extends Full ? true : false>();
  pin<LibSQLStore extends Full ? true : false>();
  pin<PlanetScaleStore extends Full ? true : false>();
  pin<Same<ReturnType<IterableStore["all"]>, AsyncIterable<StoredRow>>>();
});

Deno.test("The clients of the drivers' own packages fit the stores", () => {
  pin<LibSQLPackageClient extends LibSQLClient ? true : false>();
  pin<PlanetScalePackageClient extends PlanetScaleClient ? true : false>();
  pin<Connection extends PlanetScaleClient ? true : false>();
});

Deno.test("Both codecs are a Codec", () => {
  pin<Same<typeof jsonCodec, Codec>>();
  pin<Same<typeof gobCodec, Codec>>();
});

Deno.test("Each error has its own code, and the codes are these", () => {
  pin<Same<SessionConfigError["code"], "ERR_SESSION_CONFIG">>();
  pin<Same<SessionStoreError["code"], "ERR_SESSION_STORE">>();
  pin<Same<SessionConflictError["code"], "ERR_SESSION_CONFLICT">>();
  pin<Same<SessionGoneError["code"], "ERR_SESSION_GONE">>();
  pin<Same<SessionTooLargeError["code"], "ERR_SESSION_TOO_LARGE">>();
  pin<Same<SessionEncodeError["code"], "ERR_SESSION_ENCODE">>();
  pin<Same<SessionClosedError["code"], "ERR_SESSION_CLOSED">>();
  pin<Same<AnySessionError["code"], SessionErrorCode>>();
  pin<Same<SessionConfigError["problems"], readonly string[]>>();
});

Deno.test("The kinds of SessionEvent are these", () => {
  type Kinds =
    | "created"
    | "renewed"
    | "destroyed"
    | "revoked"
    | "unknown"
    | "undecodable"
    | "conflict"
    | "purged"
    | "evicted"
    | "forwarded-proto"
    | "missing-index";
  pin<Same<SessionEvent["kind"], Kinds>>();
});

Deno.test("honoSessions() types c.var.session by inference through chained .use()", async () => {
  const app = new Hono()
    .use(honoSessions(manager))
    .use(async (_c, next) => await next())
    .get("/", async (c) => {
      pin<Same<typeof c.var.session, () => Promise<Session<Data>>>>();
      const session = await c.var.session();
      const cart = session.get("cart");
      pin<Same<typeof cart, string[] | undefined>>();
      compiled(() => {
        // @ts-expect-error: a misspelt key
        session.get("carts");
        // @ts-expect-error: a misspelt variable
        c.var.sessions();
      });
      return c.json({ cart: cart ?? [] });
    });
  const response = await app.request("https://example.com/");
  assertEquals(await response.json(), { cart: [] });
});

Deno.test("honoSessions() types two managers under two keys side by side", async () => {
  const admins = sessions<{ rights: Set<string> }>({ cookie: { name: "admin" } });
  const app = new Hono()
    .use(honoSessions(manager))
    .use(honoSessions(admins, { key: "admin" }))
    .get("/", async (c) => {
      const rights = (await c.var.admin()).get("rights");
      pin<Same<typeof rights, Set<string> | undefined>>();
      const userId = (await c.var.session()).get("userId");
      pin<Same<typeof userId, number | undefined>>();
      return c.text(`${rights} ${userId}`);
    });
  assertEquals(await (await app.request("https://example.com/")).text(), "undefined undefined");
});

Deno.test("SessionVariables types a handler that is written outside the chain", async () => {
  pin<Same<SessionVariables<Data>, { session: () => Promise<Session<Data>> }>>();
  pin<Same<SessionVariables<Data, "admin">, { admin: () => Promise<Session<Data>> }>>();
  pin<Same<SessionVariables, { session: () => Promise<Session> }>>();
  const handler = async (c: Context<{ Variables: SessionVariables<Data> }>) => {
    const cart = (await c.var.session()).get("cart");
    pin<Same<typeof cart, string[] | undefined>>();
    return c.text(`${cart}`);
  };
  const app = new Hono<{ Variables: SessionVariables<Data> }>().use(honoSessions(manager)).get("/", handler);
  assertEquals(await (await app.request("https://example.com/")).text(), "undefined");
});

Deno.test("honoSessions() takes a function of the context, with Data inferred and c.env as annotated", async () => {
  interface Bindings {
    LIFETIME: Duration;
  }
  const middleware = honoSessions((c: Context<{ Bindings: Bindings }>) => {
    pin<Same<typeof c.env, Bindings>>();
    return sessions<Data>({ lifetime: c.env.LIFETIME });
  });
  pin<Same<typeof middleware, MiddlewareHandler<{ Variables: SessionVariables<Data> }>>>();
  const app = new Hono<{ Bindings: Bindings }>().use(middleware).get("/", async (c) => {
    pin<Same<typeof c.env, Bindings>>();
    const userId = (await c.var.session()).get("userId");
    pin<Same<typeof userId, number | undefined>>();
    return c.text(`${userId}`);
  });
  const response = await app.request("https://example.com/", {}, { LIFETIME: "1h" });
  assertEquals(await response.text(), "undefined");
  compiled(() => {
    const managerOf = ({ LIFETIME: lifetime }: Bindings) => sessions<Data>({ lifetime });
    const short = honoSessions((c) => managerOf(c.env)); // as llms.txt has it
    pin<Same<typeof short, typeof middleware>>();
    // @ts-expect-error: neither a manager nor a function
    honoSessions({ store: new MemoryStore() });
    // @ts-expect-error: a misspelt option
    honoSessions(manager, { name: "session" });
  });
});

Deno.test("withSessions() types the session, and passes on what the platform passes", async () => {
  const handler = withSessions(manager, async (request, session) => {
    pin<Same<typeof request, Request>>();
    pin<Same<typeof session, () => Promise<Session<Data>>>>();
    return new Response(`${(await session()).get("userId")}`);
  });
  assertEquals(await (await handler(new Request("https://example.com/"))).text(), "undefined");
  const forDeno: Deno.ServeHandler = handler;
  compiled(() => {
    const typed = withSessions(manager, (_request, _session, info: Deno.ServeHandlerInfo) => {
      return new Response(`${info.remoteAddr}`);
    });
    const alsoForDeno: Deno.ServeHandler = typed;
    // @ts-expect-error: the handler needs what the platform passes
    typed(new Request("https://example.com/"));
    // @ts-expect-error: a handler gives a Response
    withSessions(manager, () => "ok");
    return [forDeno, alsoForDeno];
  });
});

Deno.test("withSessions() takes a handler of the platform's own Request", () => {
  // As those of Bun, Next and Workers, which have params, nextUrl and cf.
  type BunRequest = Request & { params: { id: string } };
  compiled(() => {
    const handler = withSessions(manager, async (request: BunRequest, session) => {
      pin<Same<typeof session, () => Promise<Session<Data>>>>();
      return new Response(`${request.params.id} ${(await session()).get("userId")}`);
    });
    const route: (request: BunRequest, server: object) => Promise<Response> = handler;
    // @ts-expect-error: the request of another platform
    handler(new Request("https://example.com/"));
    // @ts-expect-error: no Request
    withSessions(manager, (_request: { url: string; method: number }) => new Response());
    return [
      route,
      withSessions(
        (_env: object) => manager,
        (request: BunRequest, _session, _env) => new Response(request.params.id),
      ),
    ];
  });
});

Deno.test("withSessions() infers env from the function that makes the manager", async () => {
  interface Env {
    LIFETIME: Duration;
  }
  interface ExecutionContext {
    waitUntil(work: Promise<unknown>): void;
  }
  const fetch = withSessions(
    (env: Env) => sessions<Data>({ lifetime: env.LIFETIME }),
    async (_request, session, env) => {
      pin<Same<typeof env, Env>>();
      const userId = (await session()).get("userId");
      pin<Same<typeof userId, number | undefined>>();
      return new Response(`${userId} ${env.LIFETIME}`);
    },
  );
  const response = await fetch(new Request("https://example.com/"), { LIFETIME: "1h" });
  assertEquals(await response.text(), "undefined 1h");
  compiled(() => {
    // As Workers declare it.
    const handler: { fetch(request: Request, env: Env, ctx: ExecutionContext): Promise<Response> } = {
      fetch,
    };
    // @ts-expect-error: env is missing
    fetch(new Request("https://example.com/"));
    // @ts-expect-error: another env
    fetch(new Request("https://example.com/"), { lifetime: "1h" });
    return handler;
  });
});

Deno.test("scheduledPurge() fits Workers and Deno.cron, and tells what it did", async () => {
  const purge = scheduledPurge(manager, { budget: "20s", grace: 0 });
  pin<Same<Awaited<ReturnType<typeof manager.purge>>, PurgeResult>>();
  const result: PurgeResult = await purge();
  assertEquals(result.done, true);
  compiled(() => {
    const job: () => void | Promise<void> = purge;
    const fromEnv = scheduledPurge((env: { URL: string }) => sessions({ cookie: { domain: env.URL } }));
    const worker: { scheduled(controller: object, env: { URL: string }, ctx: object): Promise<void> } = {
      scheduled: fromEnv,
    };
    // @ts-expect-error: a misspelt option
    scheduledPurge(manager, { limit: 5 });
    // @ts-expect-error: another env
    fromEnv({}, { url: "" });
    return [job, worker];
  });
});

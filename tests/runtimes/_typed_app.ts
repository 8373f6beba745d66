/**
 * An application under strict types. It is compiled against the packed package and never run. `types_test.ts` lists
 * the compilers.
 * @module
 */

import { createClient } from "@libsql/client/web";
import { Client } from "@planetscale/database";
import { type Context, Hono } from "hono";
import {
  type AtomicStore,
  MemoryStore,
  type Session,
  SessionConflictError,
  SessionError,
  type SessionEvent,
  type SessionManager,
  type SessionOptions,
  sessions,
  type SessionStore,
  type SessionStoreError,
} from "@x/sessions";
import { gobCodec } from "@x/sessions/codecs/gob";
import { withSessions } from "@x/sessions/middleware/fetch";
import { honoSessions, type SessionVariables } from "@x/sessions/middleware/hono";
import { scheduledPurge } from "@x/sessions/middleware/scheduled";
import { fetchWithTimeout, LibSQLStore } from "@x/sessions/stores/libsql";
import { MemoryStore as SameMemoryStore } from "@x/sessions/stores/memory";
import { fetchWithTimeout as sameFetchWithTimeout, PlanetScaleStore } from "@x/sessions/stores/planetscale";
import { cookieFor, storeContract } from "@x/sessions/testing";

interface Data {
  userId: number;
  name?: string;
  tags: string[];
}

/** Whether two types are identical. Only `any` is identical to `any`. */
type Same<A, B> = (<T>() => T extends A ? 1 : 2) extends (<T>() => T extends B ? 1 : 2) ? true : false;
const pin = <_Claim extends true>(): void => {};

// Options from the environment may be undefined.
declare const env: { url?: string; domain?: string; idle?: `${number}m`; signal?: AbortSignal };
export const store = env.url === undefined
  ? undefined
  : new LibSQLStore(createClient({ url: env.url, fetch: fetchWithTimeout(2_000) }));
export const manager = sessions<Data>({ store, lifetime: "7d", idleTimeout: env.idle, codec: gobCodec });
export const withCookie = sessions<Data>({ cookie: { domain: env.domain } });
export const planetscale = new PlanetScaleStore(
  new Client({ url: "mysql://u:p@h/d", fetch: sameFetchWithTimeout(1) }),
);
export const kinds: SessionStore[] = [planetscale, new MemoryStore(), new SameMemoryStore()];
export const atomic: AtomicStore[] = [planetscale, new MemoryStore()];

// What the manager emits: `subject` is always there, and `undefined` for a session of nobody.
export const event: SessionEvent = { kind: "created", id: "a", subject: undefined };

// Every option may be undefined.
type Undefined<Options> = { [Key in keyof Options]?: Options[Key] | undefined };
type Last<Call> = Call extends (...args: infer Arguments) => unknown
  ? Required<Arguments> extends [...unknown[], infer Options] ? NonNullable<Options> : never
  : never;
function takes<Options>(_value: Options): void {}
declare function undefinedIn<Options>(): Undefined<Options>;
takes<SessionOptions>(undefinedIn<SessionOptions>());
takes<NonNullable<SessionOptions["cookie"]>>(undefinedIn<NonNullable<SessionOptions["cookie"]>>());
takes<NonNullable<ConstructorParameters<typeof MemoryStore>[0]>>(
  undefinedIn<NonNullable<ConstructorParameters<typeof MemoryStore>[0]>>(),
);
takes<NonNullable<ConstructorParameters<typeof LibSQLStore>[1]>>(
  undefinedIn<NonNullable<ConstructorParameters<typeof LibSQLStore>[1]>>(),
);
takes<NonNullable<ConstructorParameters<typeof PlanetScaleStore>[1]>>(
  undefinedIn<NonNullable<ConstructorParameters<typeof PlanetScaleStore>[1]>>(),
);
takes<Last<SessionManager<Data>["load"]>>(undefinedIn<Last<SessionManager<Data>["load"]>>());
takes<Last<SessionManager<Data>["begin"]>>(undefinedIn<Last<SessionManager<Data>["begin"]>>());
takes<Last<SessionManager<Data>["iterate"]>>(undefinedIn<Last<SessionManager<Data>["iterate"]>>());
takes<Last<SessionManager<Data>["sessionsOf"]>>(undefinedIn<Last<SessionManager<Data>["sessionsOf"]>>());
takes<Last<SessionManager<Data>["destroyAll"]>>(undefinedIn<Last<SessionManager<Data>["destroyAll"]>>());
takes<Last<SessionManager<Data>["purge"]>>(undefinedIn<Last<SessionManager<Data>["purge"]>>());
takes<Last<typeof honoSessions>>(undefinedIn<Last<typeof honoSessions>>());
takes<Last<typeof scheduledPurge>>(undefinedIn<Last<typeof scheduledPurge>>());
takes<Last<typeof cookieFor>>(undefinedIn<Last<typeof cookieFor>>());
takes<Last<MemoryStore["deleteBySubject"]>>(undefinedIn<Last<MemoryStore["deleteBySubject"]>>());
type ContractOptions = Omit<Last<typeof storeContract>, "name" | "open">;
takes<ContractOptions>(undefinedIn<ContractOptions>());
type FailureDetails = Omit<ConstructorParameters<typeof SessionStoreError>[1], "reason" | "retryable">;
takes<FailureDetails>(undefinedIn<FailureDetails>());

// Data is inferred through the chain.
export const app = new Hono()
  .use(honoSessions(manager))
  .get("/", async (c) => {
    const session = await c.var.session();
    pin<Same<typeof session, Session<Data>>>();
    const userId = session.get("userId");
    pin<Same<typeof userId, number | undefined>>();
    // @ts-expect-error: no key of Data
    session.get("user");
    // @ts-expect-error: a value of another type
    session.put("userId", "42");
    session.put("name", undefined);
    session.update("tags", (tags = []) => [...tags, "new"]);
    return c.text(session.get("name") ?? "");
  });
export async function outside(c: Context<{ Variables: SessionVariables<Data> }>): Promise<Response> {
  return c.text(String((await c.var.session()).get("userId")));
}
app.get("/outside", outside);
export const another = new Hono().use(honoSessions(manager, { key: "admin" })).get("/", async (c) => {
  pin<Same<Awaited<ReturnType<typeof c.var.admin>>, Session<Data>>>();
  return c.json((await c.var.admin()).keys());
});

export function generic<Mine extends { userId: number }>(session: Session<Mine>): Mine["userId"] | undefined {
  return session.get("userId");
}
export const handler = withSessions(manager, async (_request, getSession) => {
  const session = await getSession();
  return new Response(String(generic(session)));
});
interface Env {
  DOMAIN: string;
}
interface ExecutionContext {
  waitUntil(work: Promise<unknown>): void;
  passThroughOnException(): void;
}
export const worker: {
  fetch(request: Request, env: Env, context: ExecutionContext): Promise<Response>;
  scheduled(
    controller: { cron: string; scheduledTime: number },
    env: Env,
    context: ExecutionContext,
  ): Promise<void>;
} = {
  fetch: withSessions(
    ({ DOMAIN }: Env) => sessions<Data>({ cookie: { domain: DOMAIN } }),
    async (_request, getSession, { DOMAIN }) => new Response(`${DOMAIN} ${(await getSession()).status}`),
  ),
  scheduled: scheduledPurge(({ DOMAIN }: Env) => sessions<Data>({ cookie: { domain: DOMAIN } })),
};

export async function everyCall(request: Request): Promise<unknown> {
  const loaded = await manager.load(undefined, { signal: env.signal });
  const current: Session<Data> | undefined = env.url === undefined ? undefined : loaded;
  const { session, finish } = manager.begin(request, { signal: env.signal });
  for await (const each of manager.iterate()) await each.destroy();
  const entries = await manager.sessionsOf("user", { current });
  pin<Same<(typeof entries)[number]["id"], string>>();
  const gone: boolean = await manager.destroySession("user", entries[0]?.id ?? "");
  const count: number = await manager.destroyAll("user", { except: current });
  const { deleted, done } = await manager.purge({ budget: "20s", signal: env.signal });
  const { token, expiry } = await (await session()).commit();
  try {
    return await finish(new Response(`${gone} ${count} ${deleted} ${done} ${token} ${expiry}`));
  } catch (error) {
    if (error instanceof SessionConflictError) pin<Same<typeof error.attempts, number>>();
    if (error instanceof SessionError) return error.code;
    throw error;
  }
}

export const cookie: Promise<string> = cookieFor(manager, { userId: 42 });
export const cases: { name: string; run(): Promise<void> }[] = storeContract({
  name: "MemoryStore",
  open: () => Promise.resolve(new MemoryStore()),
});

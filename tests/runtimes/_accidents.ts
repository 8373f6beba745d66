/**
 * Handlers with mistakes that must not end the process, and managers from another copy of the package.
 * @module
 */

import { Hono } from "hono";
import { MemoryStore, type Session, type SessionManager, sessions, SessionStoreError } from "@x/sessions";
import { withSessions } from "@x/sessions/middleware/fetch";
import { honoSessions } from "@x/sessions/middleware/hono";
import type { Platform, SecondCopy } from "./_platform.ts";

interface Data {
  n: number;
}

/** A store whose calls all fail after it was told to fail. */
class FailingStore extends MemoryStore {
  fails = false;

  #check(operation: "find" | "delete" | "commit" | "update"): void {
    if (this.fails) throw new SessionStoreError(operation, { reason: "unauthorized", retryable: false });
  }
  override async find(...args: Parameters<MemoryStore["find"]>): ReturnType<MemoryStore["find"]> {
    this.#check("find");
    return await super.find(...args);
  }
  override async delete(...args: Parameters<MemoryStore["delete"]>): ReturnType<MemoryStore["delete"]> {
    this.#check("delete");
    return await super.delete(...args);
  }
  override async create(...args: Parameters<MemoryStore["create"]>): ReturnType<MemoryStore["create"]> {
    this.#check("commit");
    return await super.create(...args);
  }
  override async update(...args: Parameters<MemoryStore["update"]>): ReturnType<MemoryStore["update"]> {
    this.#check("update");
    return await super.update(...args);
  }
}

/** A session whose store fails after the load, and a handler that forgets to await its calls. */
async function forgotten(start: (session: Session<Data>, other: string) => unknown): Promise<Response> {
  const store = new FailingStore();
  const manager = sessions<Data>({ store, onError: () => {} });
  const tokens = [await signIn(manager), await signIn(manager)] as const;
  const handler = withSessions(manager, async (_request, getSession) => {
    const session = await getSession();
    store.fails = true;
    start(session, tokens[1]);
    return new Response("bye");
  });
  return await handler(requestWith(tokens[0]));
}

async function signIn(manager: SessionManager<Data>): Promise<string> {
  const session = await manager.load();
  session.put("n", 1);
  return (await session.commit()).token;
}

function requestWith(token?: string): Request {
  return new Request("http://127.0.0.1/", { headers: token ? { Cookie: `session=${token}` } : {} });
}

/** A platform whose `waitUntil` keeps promises and handles them later. */
async function waitUntilLater(run: (kept: (work: Promise<unknown>) => void) => Promise<Response>) {
  const kept: Promise<unknown>[] = [];
  const response = await run((work) => void kept.push(work));
  setTimeout(() => void Promise.allSettled(kept), 30);
  return response;
}

/** A handler that fails after it has saved. The library decides where the error goes. */
async function failsAfterCommit(session: () => Promise<Session<Data>>): Promise<never> {
  const current = await session();
  current.put("n", 7);
  await current.commit();
  throw new Error("on purpose, after a commit");
}

/** The result of using a manager from another copy of the package. */
async function ofAnotherCopy(
  { secondCopy }: Platform,
  use: (copy: SecondCopy) => unknown,
): Promise<Response> {
  const copy = await secondCopy!();
  try {
    await use(copy);
    return new Response("taken");
  } catch (error) {
    if (!(error instanceof Error)) return new Response("not an error", { status: 500 });
    // The user has passed a manager, so the message must explain why it was refused.
    const says = /cop(y|ies)/i.test(error.message);
    return new Response(says ? "refused by name" : `refused without mentioning copies: ${error.message}`);
  }
}

/** Each accident, by its name in the URL. */
export const ACCIDENTS = {
  "forgotten-destroy": () => forgotten((session) => session.destroy()),
  "forgotten-commit": () =>
    forgotten((session) => {
      session.put("n", 2);
      session.commit();
    }),
  "forgotten-merge": () => forgotten((session, other) => session.mergeSession(other)),
  "forgotten-session": async () => {
    const store = new FailingStore();
    const manager = sessions<Data>({ store, onError: () => {} });
    const token = await signIn(manager);
    store.fails = true;
    return await withSessions(manager, (_request, getSession) => {
      getSession();
      return new Response("bye");
    })(requestWith(token));
  },
  "forgotten-finish": async () => {
    const store = new FailingStore();
    const manager = sessions<Data>({ store, onError: () => {} });
    const current = manager.begin(requestWith(await signIn(manager)));
    store.fails = true;
    current.session();
    return new Response("bye");
  },
  "wait-until-fetch": () =>
    waitUntilLater((waitUntil) =>
      withSessions(
        sessions<Data>(),
        (_request, getSession, _env: unknown, _context: unknown) => failsAfterCommit(getSession),
      )(requestWith(), {}, { waitUntil })
    ),
  "wait-until-hono": () =>
    waitUntilLater(async (waitUntil) => {
      const app = new Hono().use(honoSessions(sessions<Data>())).get("/", (c) =>
        failsAfterCommit(c.var.session));
      return await app.fetch(requestWith(), {}, { waitUntil, passThroughOnException() {}, props: {} });
    }),
  "wait-until-throws": async () => {
    const handler = withSessions(
      sessions<Data>(),
      (_request, getSession, _env: unknown, _context: unknown) => failsAfterCommit(getSession),
    );
    const waitUntil = () => {
      throw new TypeError("Illegal invocation");
    };
    return await handler(requestWith(), {}, { waitUntil });
  },
  "on-error-throws": () =>
    hookFails({
      onError: () => {
        throw new Error("the hook's");
      },
    }),
  "on-error-rejects": () => hookFails({ onError: () => Promise.reject(new Error("the hook's")) as never }),
  "on-event-throws": () =>
    hookFails({
      onEvent: () => {
        throw new Error("the hook's");
      },
    }),
  "on-event-rejects": () => hookFails({ onEvent: () => Promise.reject(new Error("the hook's")) as never }),
  "copy-fetch": (platform) =>
    ofAnotherCopy(platform, async (copy) => {
      const handler = copy.withSessions(sessions<Data>() as never, async (_request, getSession) => {
        await getSession();
        return new Response("x");
      });
      await handler(requestWith());
    }),
  "copy-hono": (platform) => ofAnotherCopy(platform, (copy) => copy.honoSessions(sessions<Data>() as never)),
  "copy-scheduled": (platform) =>
    ofAnotherCopy(platform, (copy) => copy.scheduledPurge(sessions<Data>() as never)()),
} satisfies Record<string, (platform: Platform) => Promise<Response>>;

/** The name of an accident. */
export type AccidentName = keyof typeof ACCIDENTS;

/** A request that calls both hooks, for an error and for the event of a new session. */
async function hookFails(hooks: Pick<NonNullable<Parameters<typeof sessions>[0]>, "onError" | "onEvent">) {
  const manager = sessions<{ n: number | string }>({ ...hooks, maxBytes: 1_000 });
  const handler = withSessions(manager, async (request, getSession) => {
    const session = await getSession();
    if (request.url.endsWith("/large")) session.put("n", "x".repeat(2_000));
    else session.put("n", 1);
    return new Response("saved");
  });
  const large = await handler(new Request("http://127.0.0.1/large"));
  const small = await handler(requestWith());
  return new Response(`${large.status} ${small.status}`);
}

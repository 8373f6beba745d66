/** Hooks that never settle: a response waits one second for `onError`, and not at all for `onEvent`. */
import { Hono } from "hono";
import { withSessions } from "../../middleware/fetch.ts";
import { honoSessions } from "../../middleware/hono.ts";
import {
  MemoryStore,
  type SessionManager,
  type SessionOptions,
  sessions,
  SessionStoreError,
} from "../../mod.ts";
import type { Session } from "../../mod.ts";
import { assert, assertEquals } from "../assert.ts";

interface Data {
  n: number;
}
type Use = (session: Session<Data>) => unknown;

const never = () => new Promise<never>(() => {});

/** Fails in one method. */
class FailingStore extends MemoryStore {
  at: "find" | "update" | "touch" | undefined;

  #check(method: "find" | "update" | "touch"): void {
    if (this.at === method) throw new SessionStoreError(method, { reason: "unauthorized", retryable: false });
  }
  override async find(...given: Parameters<MemoryStore["find"]>): ReturnType<MemoryStore["find"]> {
    this.#check("find");
    return await super.find(...given);
  }
  override async update(...given: Parameters<MemoryStore["update"]>): ReturnType<MemoryStore["update"]> {
    this.#check("update");
    return await super.update(...given);
  }
  override async touch(...given: Parameters<MemoryStore["touch"]>): ReturnType<MemoryStore["touch"]> {
    this.#check("touch");
    return await super.touch(...given);
  }
}

const MOUNTS: Record<string, (manager: SessionManager<Data>, use: Use) => (request: Request) => unknown> = {
  "withSessions()": (manager, use) =>
    withSessions(manager, async (_request, getSession) => {
      await use(await getSession());
      return new Response("done");
    }),
  "honoSessions()": (manager, use) => {
    const app = new Hono().use(honoSessions(manager)).get("/", async (c) => {
      await use(await c.var.session());
      return c.text("done");
    });
    return (request) => app.fetch(request);
  },
  "begin()": (manager, use) => async (request) => {
    const current = manager.begin(request);
    try {
      await use(await current.session());
      return await current.finish(new Response("done"));
    } catch (error) {
      return await current.finish(undefined, error);
    }
  },
};

const put: Use = (session) => session.put("n", 2);
const read: Use = (session) => session.get("n");

/** One request of a visitor with a session, and its duration by the timers that it waited for. */
async function visit(mount: string, at: FailingStore["at"], use: Use, options: SessionOptions) {
  const store = new FailingStore({ cleanup: "off" });
  let time = Date.now();
  const manager = sessions<Data>({ store, idleTimeout: "1h", now: () => time, ...options });
  const session = await manager.load();
  session.put("n", 1);
  const { token } = await session.commit();
  time += 20 * 60_000;
  store.at = at;
  const headers = { Cookie: `__Host-session=${token}` };
  const started = performance.now();
  const response = await MOUNTS[mount]!(manager, use)(
    new Request("https://example.com/", { headers }),
  ) as Response;
  await response.body?.cancel();
  store.at = undefined;
  return {
    status: response.status,
    took: performance.now() - started,
    n: (await manager.load(token)).get("n"),
  };
}

for (const mount of Object.keys(MOUNTS)) {
  Deno.test(`${mount}: an onError that never settles delays a request by one second`, async () => {
    const options = { onError: never };
    const seen = await Promise.all([
      visit(mount, "find", read, options),
      visit(mount, "update", put, options),
      visit(mount, "touch", read, options),
    ]);
    assertEquals(seen.map(({ status, n }) => [status, n]), [[503, 1], [503, 1], [200, 1]]);
    for (const { took } of seen) assert(took > 900 && took < 10_000, `it took ${took} ms`);
  });

  Deno.test(`${mount}: an onEvent that never settles delays nothing`, async () => {
    const kinds: string[] = [];
    const onEvent = ({ kind }: { kind: string }) => (kinds.push(kind), never());
    const renew: Use = (session) => {
      put(session);
      session.renewToken();
    };
    const { status } = await visit(mount, undefined, renew, { onEvent });
    assertEquals([status, kinds.slice(0, 2)], [200, ["created", "renewed"]]);
  });
}

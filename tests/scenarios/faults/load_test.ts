/**
 * Many concurrent requests: each 2xx response is true, whatever else happens.
 *
 * `LOAD_REQUESTS` is how many are in flight in memory, `LOAD_DATABASE_REQUESTS` on a database.
 * @module
 */

import v8 from "node:v8";
import vm from "node:vm";
import { type SessionError, type SessionManager, sessions } from "../../../mod.ts";
import { withSessions } from "../../../middleware/fetch.ts";
import { hashToken } from "../../../core/bytes/token.ts";
import { assert, assertEquals } from "../../assert.ts";
import { assertShowsNone } from "../_secrets.ts";
import { setCookies } from "../_visits.ts";
import { type Backend, backends, type FullStore } from "../../backends.ts";

type Data = Record<string, unknown>;

/** The timeout of one store call, in milliseconds. The machine's speed is not tested. */
const PATIENCE = 300_000;
/** How many requests a server gets at once. With many writers libsql-server comes to a standstill. */
const CONCURRENCY = 4;

/** A store with unlimited time, even if its calls can hang. */
function patient(store: FullStore): FullStore {
  return new Proxy(store, {
    get(target, name) {
      if (name === "timeout") return PATIENCE;
      const value: unknown = Reflect.get(target, name, target);
      return typeof value === "function" ? value.bind(target) : value;
    },
  });
}

function onEach(name: string, test: (store: FullStore, backend: Backend) => Promise<void>): void {
  for (const backend of backends) {
    Deno.test(`${name} [${backend.name}]`, async () => {
      await using opened = await backend.open({ timeout: PATIENCE, concurrency: CONCURRENCY });
      await test(opened.store, backend);
    });
  }
}

const WRITERS = 50;

onEach("50 concurrent writes of 50 keys of one session are all saved", async (store) => {
  const manager = sessions<Data>({ store: patient(store) });
  const token = await newSession(manager);
  await Promise.all(times(WRITERS, async (number) => {
    const session = await manager.load(token);
    session.put(`key ${number}`, number);
    await session.commit();
  }));
  const session = await manager.load(token);
  assertEquals(session.keys().filter((key) => key.startsWith("key ")).length, WRITERS);
  for (let number = 0; number < WRITERS; number++) assertEquals(session.get(`key ${number}`), number);
});

onEach("50 increments of one number by update() make 50", async (store) => {
  const manager = sessions<Data>({ store: patient(store) });
  const token = await newSession(manager);
  await Promise.all(times(WRITERS, async () => {
    const session = await manager.load(token);
    session.update("n", (n) => (n as number) + 1);
    await session.commit();
  }));
  assertEquals((await manager.load(token)).get("n"), WRITERS);
});

/** An application, the errors behind its responses, and the sessions that it created. */
class Application {
  readonly manager: SessionManager<Data>;
  /** Errors of requests whose session had ended before they loaded it. */
  readonly begun: string[] = [];
  readonly #errors = new WeakMap<Request, SessionError>();

  constructor(store: FullStore) {
    this.manager = sessions<Data>({
      store,
      onError: (error, { request }) => void (request && this.#errors.set(request, error)),
    });
  }

  /** Serves one request, which writes its own key, and returns `true` or the error's code. */
  async write(token: string, key: string): Promise<true | string> {
    return await this.#serve(token, (session) => session.put(key, 1));
  }

  async read(token: string): Promise<true | string> {
    return await this.#serve(token, (session) => session.get("n"));
  }

  async #serve(token: string, use: (session: Awaited<ReturnType<typeof this.manager.load>>) => unknown) {
    const request = new Request("https://example.com/", { headers: { Cookie: `__Host-session=${token}` } });
    const handler = withSessions(this.manager, async (_request, session) => {
      use(await session());
      return new Response(null, { status: 204 });
    });
    const response = await handler(request);
    const error = this.#errors.get(request);
    if (error !== undefined) assertShowsNone(error, [token, hashToken(token)]);
    for (const { value } of setCookies(response)) if (value !== "") this.begun.push(value);
    return response.ok || (error?.code ?? `status ${response.status}`);
  }
}

const inMemory = Number(Deno.env.get("LOAD_REQUESTS") ?? 10_000);
const onDatabase = Number(Deno.env.get("LOAD_DATABASE_REQUESTS") ?? 100);
const requestsOn = ({ name }: Backend) => name === "MemoryStore" ? inMemory : onDatabase;

onEach(
  "Every 2xx is in its row if all requests write, ten to a session, and logouts stay logouts",
  async (store, backend) => {
    const requests = requestsOn(backend);
    // The first time the heap also grows by code that is compiled, and by tables for that many requests at once.
    await allWrite(store, requests);
    const heap = await heapUsed();
    await allWrite(store, requests);
    // The gateway of the tests keeps its connections and their buffers in this process.
    if (backend.name === "PlanetScaleStore") return;
    // Over HTTP the test runner keeps some hundred bytes of each call.
    const limit = (backend.name === "MemoryStore" ? 4 : 8) * 2 ** 20;
    const grown = await heapUsed() - heap;
    assert(grown < limit, `${Math.round(grown / 2 ** 20)} MB were not freed`);
  },
);

async function allWrite(store: FullStore, requests: number): Promise<void> {
  const app = new Application(store);
  const tokens = await Promise.all(times(requests / 10, () => newSession(app.manager)));
  const ended = new Set(tokens.filter((_, number) => number % 50 === 7));
  const answers = await Promise.all([
    ...times(requests, (number) => app.write(tokens[number % tokens.length]!, `key ${number}`)),
    ...[...ended].map(async (token) => {
      await (await app.manager.load(token)).destroy();
    }),
  ]);
  for (const [number, answer] of answers.slice(0, requests).entries()) {
    const token = tokens[number % tokens.length]!;
    const allowed: unknown[] = [true, "ERR_SESSION_CONFLICT"];
    if (ended.has(token)) allowed.push("ERR_SESSION_GONE");
    assert(allowed.includes(answer), `request ${number} was answered by ${answer}`);
  }
  for (const [place, token] of tokens.entries()) {
    const session = await app.manager.load(token);
    if (ended.has(token)) {
      assertEquals(session.token, undefined, "a session is back after its logout");
      continue;
    }
    for (let number = place; number < requests; number += tokens.length) {
      assertEquals(
        session.exists(`key ${number}`),
        answers[number] === true,
        `whether request ${number} told the truth`,
      );
    }
  }
  for (const token of ended) assertEquals(await app.write(token, "late"), true);
  for (const token of app.begun) {
    const session = await app.manager.load(token);
    assertEquals(
      session.keys().length,
      1,
      "a session that began after a logout has what its request wrote",
    );
    assert(!session.exists("n"), "and nothing of the session that ended");
  }
  const sentByEnded = ended.size * (requests / tokens.length + 1);
  assert(app.begun.length >= ended.size && app.begun.length <= sentByEnded, `${app.begun.length} sessions`);
  for (const token of [...tokens, ...app.begun]) await (await app.manager.load(token)).destroy();
  assertEquals(await Array.fromAsync(store.all({ now: Date.now() })), []);
}

onEach(
  "Every 2xx is in the row if one request in a hundred writes to the same session",
  async (store, backend) => {
    const app = new Application(store);
    const token = await newSession(app.manager);
    const requests = requestsOn(backend);
    const writes = (number: number) => number % 100 === 0;
    const answers = await Promise.all(
      times(requests, (number) => writes(number) ? app.write(token, `key ${number}`) : app.read(token)),
    );
    const session = await app.manager.load(token);
    for (const [number, answer] of answers.entries()) {
      if (!writes(number)) assertEquals(answer, true);
      else assert(answer === true || answer === "ERR_SESSION_CONFLICT", `${answer}`);
      assertEquals(session.exists(`key ${number}`), writes(number) && answer === true);
    }
  },
);

async function newSession(manager: SessionManager<Data>): Promise<string> {
  const session = await manager.load();
  session.put("n", 0);
  return (await session.commit()).token;
}

function times<T>(count: number, make: (number: number) => Promise<T>): Promise<T>[] {
  return Array.from({ length: count }, (_, number) => make(number));
}

/** Bytes in use after garbage collection. Some objects are freed only after the callbacks of others have run. */
async function heapUsed(): Promise<number> {
  v8.setFlagsFromString("--expose-gc");
  const collect = vm.runInNewContext("gc") as () => void;
  collect();
  await new Promise((resolve) => setTimeout(resolve, 100));
  collect();
  return Deno.memoryUsage().heapUsed;
}

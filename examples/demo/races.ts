/**
 * Sends two real requests at once, to this package on a full store and on a store that overwrites. The handlers are the
 * same. The first request is held back before its first write until the second one has its response.
 * @module
 */

import { createClient } from "@libsql/client";
import { Hono } from "hono";
import { type SessionEvent, type SessionManager, sessions, type SessionStore } from "@x/sessions";
import { honoSessions } from "@x/sessions/middleware/hono";
import { LibSQLStore } from "@x/sessions/stores/libsql";
import { type StoreCall, type Trace, traced, tracedStore } from "./trace.ts";

type Data = { basket: string[] };

/** A request and its response. */
export interface Answer {
  by: string;
  request: string;
  status: number;
  text: string;
  cookie: string | undefined;
}

/** How a race ended on one side. */
export interface Outcome {
  calls: StoreCall[];
  answers: Answer[];
  /** What later requests saw. */
  after: string[];
  isGood: boolean;
  verdict: string;
}

/** A race on both sides. */
export interface Result {
  safe: Outcome;
  overwriting: Outcome;
}

type App = Pick<ReturnType<typeof shop>, "request">;

const RACES = { basket, logout, login };

/** The name of a race. */
export type RaceName = keyof typeof RACES;

/** Whether there is a race of that name. */
export function isRace(name: string): name is RaceName {
  return Object.hasOwn(RACES, name);
}

/** Runs one race on both sides, each in its own empty database. */
export async function run(name: RaceName, onEvent: (event: SessionEvent) => void): Promise<Result> {
  const safe = await inDatabase((store) => RACES[name](shop(managerOn(store, onEvent))));
  const overwriting = await inDatabase((store) => RACES[name](shop(managerOn(threeMethodsOf(store)))));
  return { safe, overwriting };
}

async function inDatabase<T>(work: (store: LibSQLStore) => Promise<T>): Promise<T> {
  const client = createClient({ url: ":memory:" });
  try {
    const store = new LibSQLStore(client, { cleanup: "off" });
    await store.createTable();
    return await work(store);
  } finally {
    client.close();
  }
}

/** A store with SCS's three methods only. None of them compares before it writes, so the last write wins. */
function threeMethodsOf(store: LibSQLStore): SessionStore {
  return {
    find: (token, options) => store.find(token, options),
    commit: (token, data, expiry, options) => store.commit(token, data, expiry, options),
    delete: (token, options) => store.delete(token, options),
  };
}

function managerOn(store: SessionStore, onEvent?: (event: SessionEvent) => void): SessionManager<Data> {
  return sessions<Data>({
    store: tracedStore(store),
    onEvent,
    // The message is for developers, who use this demo. It holds no token and no value.
    onError: (error) => new Response(error.message, { status: error.status }),
  });
}

/** The application of both sides. */
function shop(manager: SessionManager<Data>) {
  return new Hono()
    .use(honoSessions(manager))
    .get("/", async (c) => {
      const session = await c.var.session();
      return c.json({ user: session.subject ?? "nobody", basket: session.get("basket") ?? [] });
    })
    .post("/basket/:item", async (c) => {
      const item = c.req.param("item");
      const session = await c.var.session();
      session.update("basket", (basket = []) => [...basket, item]);
      return c.text(`${item} is in the basket`);
    })
    .post("/login", async (c) => {
      const session = await c.var.session();
      session.renewToken();
      session.subject = "ann";
      return c.text("signed in");
    })
    .post("/logout", async (c) => {
      const session = await c.var.session();
      await session.destroy();
      return c.text("signed out");
    })
    .post("/logout-everywhere", async (c) => {
      const { subject } = await c.var.session();
      return c.text(`${subject === undefined ? 0 : await manager.destroyAll(subject)} sessions ended`);
    });
}

async function basket(app: App): Promise<Outcome> {
  const { cookie } = await post(app, "/basket/bread");
  const { calls, answers } = await atOnce(app, cookie, "/basket/tea", "/basket/milk");
  const state = await look(app, cookie);
  const statuses = answers.map(({ status }) => status).join(" and ");
  const lost = ["bread", "tea", "milk"].filter((item) => !state.basket.includes(item));
  return {
    calls,
    answers,
    after: [`The basket holds ${state.basket.join(", ")}.`],
    isGood: lost.length === 0,
    verdict: lost.length === 0
      ? "Both changes are kept"
      : `Lost: ${lost.join(", ")}, after answers of ${statuses}`,
  };
}

async function logout(app: App): Promise<Outcome> {
  const { cookie } = await post(app, "/login");
  const { calls, answers } = await atOnce(app, cookie, "/basket/tea", "/logout");
  const { user } = await look(app, cookie);
  return {
    calls,
    answers,
    after: [`The old cookie is sent once more: it lets in ${user}.`],
    isGood: user === "nobody",
    verdict: user === "nobody" ? "Signed out stays signed out" : "The session is back after the logout",
  };
}

async function login(app: App): Promise<Outcome> {
  const { cookie } = await post(app, "/basket/bread");
  const { calls, answers } = await atOnce(app, cookie, "/login", "/login");
  const old = await look(app, cookie);
  const cookies = answers.map((answer) => answer.cookie ?? cookie);
  const before = await Promise.all(cookies.map((cookie) => look(app, cookie)));
  // The browser holds the cookie that arrived last.
  const everywhere = await post(app, "/logout-everywhere", cookies[1]);
  const after = await Promise.all(cookies.map((cookie) => look(app, cookie)));
  const left = after.filter(({ user }) => user !== "nobody").length;
  return {
    calls,
    answers: [...answers, { ...everywhere, by: "C" }],
    after: [
      `Before C each new cookie let in ${usersIn(before)}, and the old one ${old.user}.`,
      `After C each new cookie lets in ${usersIn(after)}.`,
    ],
    isGood: left === 0,
    verdict: left === 0
      ? "Both logins work, and both can be ended"
      : `${left} sessions live on, and nothing can end them`,
  };
}

function usersIn(states: { user: string }[]): string {
  return [...new Set(states.map(({ user }) => user))].join(" or ");
}

/** Sends two requests at once. The writes of the first one wait until the second one is done. */
async function atOnce(app: App, cookie: string, first: string, second: string) {
  const calls: StoreCall[] = [];
  const reached = Promise.withResolvers<void>();
  const released = Promise.withResolvers<void>();
  const slow = post(app, first, cookie, {
    by: "A",
    calls,
    beforeWrite() {
      reached.resolve();
      return released.promise;
    },
  });
  try {
    await Promise.race([reached.promise, slow]);
    calls.push({
      by: "A",
      method: "",
      result: "is about to write, and is held back",
      rowsRead: 0,
      rowsChanged: 0,
    });
    const quick = await post(app, second, cookie, { by: "B", calls });
    released.resolve();
    // In the order in which the browser gets them.
    return { calls, answers: [quick, await slow] };
  } finally {
    released.resolve();
  }
}

async function post(
  app: App,
  path: string,
  cookie = "",
  trace: Trace = { by: "", calls: [] },
): Promise<Answer & { cookie: string }> {
  const request = () => app.request(path, { method: "POST", headers: { Cookie: cookie } });
  const response = await traced(trace, request);
  return {
    by: trace.by,
    request: `POST ${path}`,
    status: response.status,
    text: await response.text(),
    cookie: response.headers.getSetCookie()[0]?.split(";")[0] as string,
  };
}

async function look(app: App, cookie: string): Promise<{ user: string; basket: string[] }> {
  const response = await traced(
    { by: "", calls: [] },
    () => app.request("/", { headers: { Cookie: cookie } }),
  );
  return await response.json() as { user: string; basket: string[] };
}

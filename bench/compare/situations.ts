/**
 * The situations of the comparison: what is done to an app, and what is said of what was seen.
 *
 * @module
 */

import { type Answer, Browser, type Peer } from "./_peer.ts";
import { SharedCache } from "./_shared_cache.ts";

/** What somebody who runs the app would call it. `none` where a library has no such thing. */
export type Mark = "good" | "part" | "bad" | "none";

/** A cell. */
export interface Cell {
  mark: Mark;
  text: string;
}

/** A row of the comparison. */
export interface Situation {
  id: string;
  section:
    | "Requests at the same time"
    | "Signing in and out"
    | "When the store fails"
    | "Visitors, thieves and caches";
  title: string;
  /** What is done. */
  steps: string;
  /** Why this library's cell is what it is. Shown where the cell is not better than all others. */
  why: string;
  run(peer: Peer): Promise<Cell>;
}

const good = (text: string): Cell => ({ mark: "good", text });
const part = (text: string): Cell => ({ mark: "part", text });
const bad = (text: string): Cell => ({ mark: "bad", text });
const none = (text: string): Cell => ({ mark: "none", text });

const PROCESS_ENDS = "the process ends";
const NO_STORE = "no store";

/** What an app answers where its library has no such call. */
const NO_SUCH_CALL = 501;

/** How often two writes meet: a library that reads again late may be lucky. */
const ROUNDS = 10;

let gates = 0;

/** Sends requests that all have their session before one of them changes it, and does something meanwhile. */
async function together(
  peer: Peer,
  send: ((gate: string) => Promise<Answer>)[],
  meanwhile: () => unknown = () => {},
): Promise<Answer[]> {
  const gate = `gate${++gates}`;
  const requests = send.map((each) => each(`gate=${gate}`));
  await peer.waitAtGate(gate, requests);
  await meanwhile();
  await peer.open(gate);
  return await Promise.all(requests);
}

async function signedIn(peer: Peer, user = "zoe"): Promise<Browser> {
  const browser = new Browser(peer);
  const { status } = await browser.send("POST", `/login?user=${user}`);
  if (status !== 200 || (await browser.look()).user !== user) {
    throw new Error(`${peer.about.name}: ${user} could not sign in (${status})`);
  }
  return browser;
}

/** A session without a user yet, where the library has such sessions. */
async function visitor(peer: Peer): Promise<Browser> {
  const browser = new Browser(peer);
  await browser.send("POST", "/write?key=cart&value=tea");
  return browser;
}

/** The names of the library's cookies. */
async function cookieNames(peer: Peer): Promise<string[]> {
  return [...(await signedIn(peer)).cookies.keys()];
}

/** A browser that was given cookies of the library's names, all with one value. */
async function withCookieValue(peer: Peer, value: string): Promise<Browser> {
  return new Browser(peer, (await cookieNames(peer)).map((name) => [name, value]));
}

const reads = (calls: { kind: string }[]) => calls.filter(({ kind }) => kind === "read").length;
const writes = (calls: { kind: string }[]) => calls.filter(({ kind }) => kind === "write").length;

/** How many of what, in words. */
export function callsText(calls: { kind: string }[]): string {
  const [r, w] = [reads(calls), writes(calls)];
  if (r + w === 0) return "no call";
  return [r > 0 && `${r} ${r === 1 ? "read" : "reads"}`, w > 0 && `${w} ${w === 1 ? "write" : "writes"}`]
    .filter(Boolean).join(", ");
}

async function afterOutage(browser: Browser, answer: Answer): Promise<Cell> {
  if (answer.status === 0) return bad(PROCESS_ENDS);
  const seenAs = answer.status === 200 ? JSON.parse(answer.body).user ?? undefined : undefined;
  const { user } = await browser.look();
  if (seenAs === "zoe" && user === "zoe") return good("200, still signed in");
  const asStranger = answer.status === 200 && seenAs === undefined;
  const seen = asStranger ? "200 as a stranger" : `${answer.status}`;
  if (user !== "zoe") return bad(`${seen}, signed out for good`);
  const cell = `${seen}, then signed in again`;
  return answer.status >= 500 ? good(cell) : part(cell);
}

/** Whether a login has held, and whether a cookie that it has replaced is worth nothing. */
async function afterLogin(browser: Browser, before: Browser, also: string): Promise<Cell> {
  if ((await browser.look()).user !== "zoe") return bad("signed out");
  const text = `signed in${also}`;
  if (browser.cookie === before.cookie || (await before.look()).user !== "zoe") return good(text);
  return part(`${text}; old cookie too`);
}

/** Every situation, in the order of the page. */
export const SITUATIONS: readonly Situation[] = [
  {
    id: "two-keys",
    section: "Requests at the same time",
    title: "two requests write different keys",
    steps: "Both have read the session before either saves it. Ten times.",
    why:
      "A save that finds the row changed reads again and puts this request's keys on top. better-auth has a column for each declared value, to the same effect.",
    async run(peer) {
      const browser = await signedIn(peer);
      let bothSaved = 0;
      for (let round = 1; round <= ROUNDS; round++) {
        const write = (key: string) => (gate: string) =>
          browser.send("POST", `/write?key=${key}&value=round${round}&${gate}`);
        await together(peer, [write("a"), write("b")]);
        const { values } = await browser.look();
        if (values.a === `round${round}` && values.b === `round${round}`) bothSaved++;
      }
      if (bothSaved === ROUNDS) return good("both saved");
      return bad(bothSaved === 0 ? "one is lost" : `one is lost in ${ROUNDS - bothSaved} of ${ROUNDS}`);
    },
  },
  {
    id: "counter",
    section: "Requests at the same time",
    title: "50 requests count at once",
    steps: "Each adds 1 to a number in the session. All have read it before the first saves.",
    why: "`update()` runs its function again on the fresh value after a conflict.",
    async run(peer) {
      const browser = await signedIn(peer);
      await together(
        peer,
        Array.from({ length: 50 }, () => (gate) => browser.send("POST", `/count?${gate}`)),
      );
      const count = (await browser.look()).values.count ?? 0;
      return count === 50 ? good("50 counted") : bad(`${count} counted`);
    },
  },
  {
    id: "nested",
    section: "Requests at the same time",
    title: "a list is changed in place",
    steps:
      "The handler pushes to a list that it got from the session, and does what every handler that writes does.",
    why:
      "Whether a value was changed in place is found by comparing, at the end of the request. Libraries that save by a call need that call here too, and are as safe once it is there.",
    async run(peer) {
      const browser = await signedIn(peer);
      await browser.send("POST", "/list");
      await browser.send("POST", "/push");
      const { values } = await browser.look();
      return (values.list as unknown[] | undefined)?.length === 2 ? good("saved") : bad("lost");
    },
  },
  {
    id: "planted",
    section: "Signing in and out",
    title: "a cookie is planted before the login",
    steps:
      "An attacker's browser has a cookie, one that it made up and then one of its own session. The victim's browser is given the same one, and signs in.",
    why:
      "The login calls `renewToken()`, as the documentation of every library with such a call asks for. A token that this library did not make is never adopted. Where a cookie holds everything, two browsers share nothing.",
    async run(peer) {
      const own = (await visitor(peer)).cookies.size > 0
        ? await visitor(peer)
        : await signedIn(peer, "mallory");
      const madeUp = await withCookieValue(peer, "planted-by-mallory-planted-by-mallory-plant");
      for (const [attacker, what] of [[madeUp, "a made-up cookie"], [own, "its own cookie"]] as const) {
        const victim = attacker.copy();
        const { status } = await victim.send("POST", "/login?user=zoe");
        if (status !== 200) return bad(`victim cannot sign in (${status})`);
        if ((await attacker.look()).user === "zoe") return bad(`attacker is in, by ${what}`);
      }
      return good("attacker stays out");
    },
  },
  {
    id: "login-poll-reads",
    section: "Signing in and out",
    title: "login beside a poll that reads",
    steps: "The poll has the visitor's old cookie and is answered after the login.",
    why: "A request that only reads sends no cookie, so nothing can displace that of the login.",
    async run(peer) {
      const browser = await visitor(peer);
      const before = browser.copy();
      await together(
        peer,
        [(gate) => browser.send("GET", `/read?${gate}`)],
        () => browser.send("POST", "/login?user=zoe"),
      );
      return await afterLogin(browser, before, "");
    },
  },
  {
    id: "login-poll-writes",
    section: "Signing in and out",
    title: "login beside a poll that writes",
    steps: "The same, and the poll changes the visitor's session.",
    why:
      "The poll knows a token that the login has ended. It is refused aloud and sends no cookie. Where a login keeps the token, the poll's write can be saved; the row on planted cookies is what that costs.",
    async run(peer) {
      const browser = await visitor(peer);
      const before = browser.copy();
      const [poll] = await together(
        peer,
        [(gate) => browser.send("POST", `/write?key=seen&value=yes&${gate}`)],
        () => browser.send("POST", "/login?user=zoe"),
      );
      const { values } = await browser.look();
      const refused = poll!.status >= 400;
      const write = refused
        ? `refused (${poll!.status})`
        : values.seen === "yes"
        ? "saved"
        : "lost unnoticed";
      const cell = await afterLogin(browser, before, `, write ${write}`);
      return cell.mark === "good" && write === "lost unnoticed" ? part(cell.text) : cell;
    },
  },
  {
    id: "login-twice",
    section: "Signing in and out",
    title: "a login form is sent twice",
    steps:
      "Both requests have the visitor's cookie, and have read the session before either saves it. Their answers are taken in either order.",
    why: "A second login from a session that the first one renewed gets a session of its own.",
    async run(peer) {
      const browser = await visitor(peer);
      const sent = browser.copy();
      const answers = await together(
        peer,
        [1, 2].map(() => (gate) => sent.send("POST", `/login?user=zoe&${gate}`)),
      );
      const outcomes = [];
      for (const order of [answers, answers.toReversed()]) {
        const one = browser.copy();
        for (const answer of order) one.take(answer);
        outcomes.push((await one.look()).user === "zoe");
      }
      const text = outcomes.every(Boolean)
        ? "signed in"
        : outcomes.some(Boolean)
        ? "signed out in one order"
        : "signed out";
      const failed = answers.find(({ status }) => status !== 200);
      if (failed) return bad(`${text}, and one answer is ${failed.status}`);
      return outcomes.every(Boolean) ? good(text) : bad(text);
    },
  },
  {
    id: "old-cookie",
    section: "Signing in and out",
    title: "logout, then the old cookie",
    steps: "Somebody kept the cookie, and sends it after the logout.",
    why: "A logout deletes the row, as in every library that has one.",
    async run(peer) {
      const browser = await signedIn(peer);
      const kept = browser.copy();
      await browser.send("POST", "/logout");
      if ((await browser.look()).user !== undefined) return bad("the browser is still signed in");
      return (await kept.look()).user === undefined ? good("refused") : bad("still signed in");
    },
  },
  {
    id: "logout-slow-save",
    section: "Signing in and out",
    title: "logout while a slow request saves",
    steps: "A request has read the session, the user signs out, and the request saves.",
    why:
      "A save finds only the row that was read: one that is gone stays gone, and the slow request is told. better-auth does that too.",
    async run(peer) {
      const browser = await signedIn(peer);
      const kept = browser.copy();
      const [slow] = await together(
        peer,
        [(gate) => browser.send("POST", `/write?key=a&value=yes&${gate}`)],
        () => browser.send("POST", "/logout"),
      );
      if ((await browser.look()).user !== undefined) return bad("signed in again");
      if ((await kept.look()).user !== undefined) return bad("the old cookie is back to life");
      return slow!.status < 400
        ? part("signed out, save lost unnoticed")
        : good(`signed out, save refused (${slow!.status})`);
    },
  },
  {
    id: "everywhere",
    section: "Signing in and out",
    title: "sign out everywhere while in use",
    steps:
      "A user has two browsers. One has a slow request that saves, while the other signs out everywhere.",
    why:
      "A session that has a `subject` is found by it. better-auth knows its users, so it has the call too.",
    async run(peer) {
      const [here, there] = [await signedIn(peer), await signedIn(peer)];
      let everywhere!: Answer;
      const [slow] = await together(
        peer,
        [(gate) => there.send("POST", `/write?key=a&value=yes&${gate}`)],
        async () => void (everywhere = await here.send("POST", "/sign-out-everywhere")),
      );
      if (everywhere.status === NO_SUCH_CALL) return none("no such call");
      const alive =
        (await Promise.all([here.look(), there.look()])).filter(({ user }) => user !== undefined).length;
      if (alive > 0) return bad(`${alive} of 2 alive`);
      return slow!.status < 400
        ? part("all signed out, save lost unnoticed")
        : good(`all signed out, save refused (${slow!.status})`);
    },
  },
  {
    id: "store-down",
    section: "When the store fails",
    title: "the store is down, then back",
    steps: "Every call fails while the user reads a page.",
    why:
      "A session that cannot be read is not an empty one: the request fails, and the cookie is left alone.",
    async run(peer) {
      if (!peer.about.hasStore) return none(NO_STORE);
      const browser = await signedIn(peer);
      await peer.outage("all");
      const answer = await browser.send("GET", "/read");
      await peer.outage("none");
      return await afterOutage(browser, answer);
    },
  },
  {
    id: "one-read-fails",
    section: "When the store fails",
    title: "one read of the store fails",
    steps: "The next one works again.",
    why:
      "The read is tried again at once. Where that fails too it is the row above, and nobody is signed out either.",
    async run(peer) {
      if (!peer.about.hasStore) return none(NO_STORE);
      const browser = await signedIn(peer);
      await peer.outage("one read");
      const answer = await browser.send("GET", "/read");
      await peer.outage("none");
      return await afterOutage(browser, answer);
    },
  },
  {
    id: "save-fails",
    section: "When the store fails",
    title: "the store is down at the save",
    steps: "The session could be read, and then every write fails.",
    why: "The handler's response is replaced by an error. 503 says that a later try may work.",
    async run(peer) {
      if (!peer.about.hasStore) return none(NO_STORE);
      const browser = await signedIn(peer);
      await peer.outage("writes");
      const { status } = await browser.send("POST", "/write?key=a&value=yes");
      await peer.outage("none");
      const { user, values } = await browser.look();
      if (peer.ended || status === 0) {
        return bad(`${status === 0 ? "no answer" : status}, and ${PROCESS_ENDS}`);
      }
      const saved = values.a === "yes" ? "saved" : "not saved";
      const text = `${status}, ${saved}${user === "zoe" ? "" : ", and signed out"}`;
      return user === "zoe" && (status >= 500) === (saved === "not saved") ? good(text) : bad(text);
    },
  },
  {
    id: "garbage",
    section: "When the store fails",
    title: "a row is garbage",
    steps: "What the row says is overwritten. The user reads a page, then signs in.",
    why:
      "A row that cannot be decoded is an anonymous session and an event. It is not overwritten, so it can be looked at.",
    async run(peer) {
      if (!peer.about.hasStore) return none(NO_STORE);
      if (!peer.about.canSpoil) return none("its rows are objects");
      const browser = await signedIn(peer);
      await peer.spoil();
      const first = await browser.look();
      if (first.user === "zoe") return part(`${first.status}, still signed in`);
      const { status } = await browser.send("POST", "/login?user=zoe");
      const { user } = await browser.look();
      const seen = first.status === 200 ? "200 as a stranger" : `${first.status}`;
      if (user !== "zoe") return bad(`${seen}, cannot sign in (${status})`);
      return first.status === 200 ? good(`${seen}, can sign in`) : part(`${seen}, can sign in`);
    },
  },
  {
    id: "thief",
    section: "Visitors, thieves and caches",
    title: "somebody reads the table",
    steps: "Each text in the store is sent as a cookie.",
    why:
      "The table has hashes of tokens. Others sign or encrypt the cookie by a key that the server holds, and the table without that key is no cookie either. Here there is no key to keep.",
    async run(peer) {
      if (!peer.about.hasStore) return none(NO_STORE);
      const browser = await signedIn(peer);
      const texts = new Set((await peer.rows()).flat().filter((text) => text.length > 8));
      for (const text of texts) {
        for (const value of new Set([text, encodeURIComponent(text)])) {
          if (/[^\x21-\x7e]|[;,"\\]/.test(value)) continue;
          for (const name of browser.cookies.keys()) {
            const thief = new Browser(peer, [[name, value]]);
            if ((await thief.look()).user !== undefined) return bad("it is a cookie");
          }
        }
      }
      return good("no cookie");
    },
  },
  {
    id: "nobody-wrote",
    section: "Visitors, thieves and caches",
    title: "a session that nobody wrote",
    steps: "A visitor without a cookie reads a page that looks at the session, and nothing is put into it.",
    why:
      "Nothing is stored before something is written. express-session and @fastify/session have `saveUninitialized` for it.",
    async run(peer) {
      const browser = new Browser(peer);
      const before = (await peer.rows()).length;
      await browser.send("GET", "/read");
      const rows = (await peer.rows()).length - before;
      const cookies = browser.cookies.size;
      const row = !peer.about.hasStore ? NO_STORE : rows > 0 ? "a row" : "no row";
      const text = `${row}, ${cookies > 0 ? "a cookie" : "no cookie"}`;
      return rows === 0 && cookies === 0 ? good(text) : bad(text);
    },
  },
  {
    id: "read-only",
    section: "Visitors, thieves and caches",
    title: "a session that is only read",
    steps: "A user reads a page that looks at the session.",
    why:
      "Without an idle timeout nothing has to be written. With one, a touch is due after a tenth of it and moves the row's expiry alone: the cookie is not sent again.",
    async run(peer) {
      const browser = await signedIn(peer);
      await peer.calls();
      const { headers } = await browser.send("GET", "/read");
      const calls = await peer.calls();
      const cookie = headers.getSetCookie().length > 0;
      const text = `${peer.about.hasStore ? callsText(calls) : NO_STORE}, ${
        cookie ? "a cookie" : "no cookie"
      }`;
      return writes(calls) === 0 && !cookie ? good(text) : part(text);
    },
  },
  {
    id: "public",
    section: "Visitors, thieves and caches",
    title: "a page that never asks for the session",
    steps: "A user reads a page whose handler has nothing to do with sessions.",
    why:
      "The store is called where a handler asks for its session, and not before. Libraries that a handler opens by a call are the same.",
    async run(peer) {
      const browser = await signedIn(peer);
      await peer.calls();
      const answer = await browser.send("GET", "/public");
      const calls = await peer.calls();
      const cookie = answer.headers.getSetCookie().length > 0;
      const text = `${peer.about.hasStore ? callsText(calls) : NO_STORE}, ${
        cookie ? "a cookie" : "no cookie"
      }`;
      return calls.length === 0 && !cookie ? good(text) : part(text);
    },
  },
  {
    id: "junk",
    section: "Visitors, thieves and caches",
    title: "8 kB of junk as a cookie",
    steps: "A visitor's cookie has the right name and 8,192 letters.",
    why:
      "A token has 43 characters of one alphabet. Anything else is turned away before the store is asked, as a signature does elsewhere.",
    async run(peer) {
      const browser = await withCookieValue(peer, "x".repeat(8_192));
      await peer.calls();
      const { status } = await browser.send("GET", "/read");
      const calls = await peer.calls();
      const text = `${status}, ${peer.about.hasStore ? callsText(calls) : NO_STORE}`;
      return status !== 200 ? bad(text) : calls.length > 0 ? part(text) : good(text);
    },
  },
  {
    id: "cached-page",
    section: "Visitors, thieves and caches",
    title: "a shared cache, and a page that says nothing of caching",
    steps:
      "The page greets the user by name and has `Last-Modified`. What else caches are told is left to the library. Another user and a visitor ask for it through a cache that keeps to RFC 9111.",
    why: "What asks for a session is `private` and varies by `Cookie`, unless its handler says otherwise.",
    async run(peer) {
      const cache = new SharedCache();
      const seen: (string | undefined)[] = [];
      for (const browser of [await signedIn(peer), await signedIn(peer, "mallory"), new Browser(peer)]) {
        const { body } = await cache.get(
          "/named",
          { cookie: browser.cookie },
          () => browser.send("GET", "/named"),
        );
        seen.push(JSON.parse(body).user ?? undefined);
      }
      if (seen[0] !== "zoe") throw new Error(`${peer.about.name}: zoe was taken for ${seen[0]}`);
      return seen[1] === "mallory" && seen[2] === undefined
        ? good("each gets their own")
        : bad("others get her page");
    },
  },
  {
    id: "cached-cookie",
    section: "Visitors, thieves and caches",
    title: "a shared cache, and a page that starts a session",
    steps:
      "The handler says `max-age=60` and writes to a new session. Two visitors ask for the page through the same cache.",
    why: "A response with a session's cookie is never left to shared caches, whatever its handler says.",
    async run(peer) {
      const cache = new SharedCache();
      const cookies: string[] = [];
      for (const browser of [new Browser(peer), new Browser(peer)]) {
        const answer = await cache.get("/landing", { cookie: "" }, () => browser.send("GET", "/landing"));
        if (answer.status === NO_SUCH_CALL) return none("only a sign-in starts one");
        const kept = new Browser(peer);
        kept.take(answer);
        if (kept.cookie === "") throw new Error(`${peer.about.name}: no session was started`);
        cookies.push(kept.cookie);
      }
      return cookies[0] === cookies[1] ? bad("the next one gets the cookie") : good("each gets their own");
    },
  },
];

/**
 * The situations of the comparison: the steps, and the judgement of the result.
 * @module
 */

import { type Answer, Browser, type Peer } from "./_peer.ts";
import { SharedCache } from "./_shared_cache.ts";

/** The judgement of someone who runs the app. `none` if a library has no such feature. */
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
    | "Concurrent requests"
    | "Signing in and out"
    | "When the store fails"
    | "Visitors, attackers and caches";
  title: string;
  /** The steps. */
  steps: string;
  /** Why this library's result is what it is. Shown unless the result is better than all others. */
  why: string;
  run(peer: Peer): Promise<Cell>;
}

const good = (text: string): Cell => ({ mark: "good", text });
const part = (text: string): Cell => ({ mark: "part", text });
const bad = (text: string): Cell => ({ mark: "bad", text });
const none = (text: string): Cell => ({ mark: "none", text });

const PROCESS_ENDS = "the process ends";
const NO_STORE = "no store";

/** The status of an app whose library has no such call. */
const NO_SUCH_CALL = 501;

/** How often two writes overlap. A library that reads again late may be lucky once. */
const ROUNDS = 10;

let gates = 0;

/** Sends requests that all load their session before one of them changes it, and does something in between. */
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

/** A session without a user, if the library has such sessions. */
async function visitor(peer: Peer): Promise<Browser> {
  const browser = new Browser(peer);
  await browser.send("POST", "/write?key=cart&value=tea");
  return browser;
}

/** The names of the library's cookies. */
async function cookieNames(peer: Peer): Promise<string[]> {
  return [...(await signedIn(peer)).cookies.keys()];
}

/** A browser with cookies of the library's names, all with this value. */
async function withCookieValue(peer: Peer, value: string): Promise<Browser> {
  return new Browser(peer, (await cookieNames(peer)).map((name) => [name, value]));
}

const reads = (calls: { kind: string }[]) => calls.filter(({ kind }) => kind === "read").length;
const writes = (calls: { kind: string }[]) => calls.filter(({ kind }) => kind === "write").length;

/** A number and a noun. */
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

/** Whether a login lasted, and whether the cookie that it replaced is worthless. */
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
    section: "Concurrent requests",
    title: "two requests write different keys",
    steps: "Both load the session before either saves it. Ten times.",
    why:
      "If the row has changed, the save reads it again and applies this request's keys. better-auth has a column for each declared value, which has the same effect.",
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
    section: "Concurrent requests",
    title: "50 requests count at once",
    steps: "Each adds 1 to a number in the session. All load it before the first saves.",
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
    section: "Concurrent requests",
    title: "a list is changed in place",
    steps: "The handler appends to a list from the session, and then saves like every handler that writes.",
    why:
      "This library compares values at the end of the request. Libraries that save by an explicit call are as safe with that call.",
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
      "An attacker has a cookie: first an invented one, then one of its own session. The victim's browser gets the same cookie, and signs in.",
    why:
      "The login calls `renewToken()`, as every library with such a call recommends. A token that this library did not create is never adopted. If a cookie holds the whole session, two browsers share nothing.",
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
    title: "a login during a poll that reads",
    steps: "The poll has the visitor's old cookie, and its response arrives after the login's.",
    why: "A request that only reads sends no cookie, so it cannot replace the login's.",
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
    title: "a login during a poll that writes",
    steps: "The same, and the poll changes the visitor's session.",
    why:
      "The login has ended the poll's token. The poll gets an error and sends no cookie. A library whose login keeps the token can save the poll's write, but see the row on planted cookies.",
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
      "Both requests have the visitor's cookie, and load the session before either saves it. Their responses arrive in either order.",
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
    steps: "The old cookie is sent again after the logout.",
    why: "A logout deletes the row, as in every library with rows.",
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
    steps: "A request loads the session, the user signs out, and then the request saves.",
    why:
      "A save changes only the row that was read. If it is gone, it stays gone, and the slow request gets an error. better-auth does that too.",
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
    title: "sign out everywhere during a slow request",
    steps: "A user has two browsers. One signs out everywhere while a slow request of the other one saves.",
    why: "Sessions can be found by their `subject`. better-auth knows its users, so it has such a call too.",
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
    why: "If a session cannot be read, the request fails and the cookie is left alone.",
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
    steps: "The next read works again.",
    why:
      "The read is tried again at once. If that fails too, the row above applies, and nobody is signed out either.",
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
    title: "the store is down during the save",
    steps: "The session is read, and then every write fails.",
    why: "An error replaces the handler's response. 503 says that a later attempt may work.",
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
    title: "a row is unreadable",
    steps: "The row's data is overwritten with garbage. The user reads a page, then signs in.",
    why:
      "A row that cannot be decoded gives an anonymous session and an event. It is not overwritten, so it can be examined.",
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
    section: "Visitors, attackers and caches",
    title: "an attacker reads the table",
    steps: "Each text in the store is sent as a cookie.",
    why:
      "The table has only hashes of tokens. Other libraries sign or encrypt the cookie, so the table is useless without the server's key. This library needs no key.",
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
    section: "Visitors, attackers and caches",
    title: "a session without a write",
    steps: "A visitor without a cookie reads a page that uses the session, but writes nothing.",
    why:
      "Nothing is stored before a value is written. express-session and @fastify/session have `saveUninitialized` for it.",
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
    section: "Visitors, attackers and caches",
    title: "a session that is only read",
    steps: "A user reads a page that uses the session.",
    why:
      "Without an idle timeout nothing is written. With one, a touch is due after a tenth of it. It moves only the row's expiry, and the cookie is not sent again.",
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
    section: "Visitors, attackers and caches",
    title: "a page that does not use the session",
    steps: "A user reads a page whose handler does not use the session.",
    why:
      "The store is first called when a handler asks for its session. Libraries whose handlers open the session with a call do the same.",
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
    section: "Visitors, attackers and caches",
    title: "8 kB of junk as a cookie",
    steps: "A visitor's cookie has the right name and a value of 8,192 letters.",
    why:
      "A token has 43 characters of one alphabet. Anything else is refused without a store call. In other libraries a signature has that effect.",
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
    section: "Visitors, attackers and caches",
    title: "a shared cache, and a page without caching headers",
    steps:
      "The page greets the user by name and has `Last-Modified`. Other caching headers are left to the library. Another user and a visitor request it through a cache that follows RFC 9111.",
    why:
      "A response that asked for a session is `private` and varies by `Cookie`, unless its handler says otherwise.",
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
    section: "Visitors, attackers and caches",
    title: "a shared cache, and a page that starts a session",
    steps:
      "The handler sets `max-age=60` and writes to a new session. Two visitors request the page through the same cache.",
    why: "No shared cache may store a response with a session's cookie, whatever its handler says.",
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

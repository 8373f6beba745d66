/**
 * What each kind of request costs: calls of the store, and bytes of headers that a session adds to the answer.
 *
 * @module
 */

import { type Answer, Browser, type Peer } from "./_peer.ts";
import { callsText } from "./situations.ts";

/** A cell of the table of costs. */
export interface Cost {
  text: string;
  /** Calls of the store. Absent, as the bytes, where there is no such request. */
  calls?: number;
  /** Bytes of headers. */
  bytes?: number;
}

/** A kind of request. */
export interface Kind {
  id: string;
  title: string;
  /** Why this library costs what it does. Shown where another costs less. */
  why: string;
  run(peer: Peer): Promise<Cost>;
}

/** Headers that answers have without a session. */
const NOT_OF_SESSIONS = new Set([
  "connection",
  "content-length",
  "content-type",
  "date",
  "etag",
  "keep-alive",
  "last-modified",
  "transfer-encoding",
  "x-powered-by",
]);

async function measured(peer: Peer, send: () => Promise<Answer>): Promise<Cost> {
  await peer.calls();
  const answer = await send();
  const calls = await peer.calls();
  if (answer.status === 401) return { text: "no session before login" };
  if (answer.status !== 200) throw new Error(`${peer.about.name} answered ${answer.status}`);
  // An iterator of headers gives each line of `Set-Cookie`.
  const lines = [...answer.headers].filter(([name]) => !NOT_OF_SESSIONS.has(name));
  const bytes = lines.reduce((sum, [name, value]) => sum + `${name}: ${value}\r\n`.length, 0);
  const store = peer.about.hasStore ? callsText(calls) : "no store";
  return { text: `${store}; ${bytes} B`, calls: calls.length, bytes };
}

async function signedIn(peer: Peer): Promise<Browser> {
  const browser = new Browser(peer);
  await browser.send("POST", "/login?user=zoe");
  return browser;
}

/** Every kind of request, in the order of the page. */
export const KINDS: readonly Kind[] = [
  {
    id: "cost-public",
    title: "session never asked for",
    why: "Nothing is done.",
    run: async (peer) => {
      const browser = await signedIn(peer);
      return await measured(peer, () => browser.send("GET", "/public"));
    },
  },
  {
    id: "cost-no-cookie",
    title: "read, no cookie",
    why:
      "`Vary: Cookie` and `Cache-Control: private` go out with whatever asked for a session. The two rows on caches are what they are for, and we mean to send them.",
    run: (peer) => measured(peer, () => new Browser(peer).send("GET", "/read")),
  },
  {
    id: "cost-read",
    title: "read",
    why:
      "The headers are those for caches again. A session that is in the cookie costs no call and cannot be ended at once; we mean to be able to.",
    run: async (peer) => {
      const browser = await signedIn(peer);
      return await measured(peer, () => browser.send("GET", "/read"));
    },
  },
  {
    id: "cost-new",
    title: "new session written",
    why:
      "The cookie has `Max-Age` beside `Expires`, and caches are told that the answer is private. Both are meant.",
    run: (peer) => measured(peer, () => new Browser(peer).send("POST", "/write?key=a&value=yes")),
  },
  {
    id: "cost-write",
    title: "existing session written",
    why:
      "One read, and one write that checks what was read; we mean to make no fewer. The bytes are those for caches.",
    run: async (peer) => {
      const browser = await signedIn(peer);
      return await measured(peer, () => browser.send("POST", "/write?key=a&value=yes"));
    },
  },
  {
    id: "cost-login",
    title: "login with a visitor's session",
    why:
      "One read, and one write that also renews the token and leaves a mark under the old one. The bytes are a new cookie and those for caches, and are meant.",
    run: async (peer) => {
      const browser = new Browser(peer);
      await browser.send("POST", "/write?key=a&value=yes");
      return await measured(peer, () => browser.send("POST", "/login?user=zoe"));
    },
  },
  {
    id: "cost-logout",
    title: "logout",
    why:
      "The row is read before it is deleted. The cookie is deleted with all of its attributes, and caches are told that the answer is private. Both are meant.",
    run: async (peer) => {
      const browser = await signedIn(peer);
      return await measured(peer, () => browser.send("POST", "/logout"));
    },
  },
  {
    id: "cost-cookie",
    title: "cookie in every request of a user",
    why: "The cookie is 43 characters and a name.",
    run: async (peer) => {
      const browser = await signedIn(peer);
      const bytes = `cookie: ${browser.cookie}\r\n`.length;
      return { text: `${bytes} B`, calls: 0, bytes };
    },
  },
];

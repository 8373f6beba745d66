/**
 * The cost of each kind of request: store calls, and bytes of headers that a session adds to the response.
 * @module
 */

import { type Answer, Browser, type Peer } from "./_peer.ts";
import { callsText } from "./situations.ts";

/** A cell of the table of costs. */
export interface Cost {
  text: string;
  /** Store calls. Absent, like the bytes, if there is no such request. */
  calls?: number;
  /** Bytes of headers. */
  bytes?: number;
}

/** A kind of request. */
export interface Kind {
  id: string;
  title: string;
  /** Why this library costs this much. Shown if another library costs less. */
  why: string;
  run(peer: Peer): Promise<Cost>;
}

/** Headers of responses without a session. */
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
  // Iterating over headers gives each line of `Set-Cookie`.
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
    title: "session not used",
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
      "Every response that asked for a session has `Vary: Cookie` and `Cache-Control: private`. The two rows on caches show why.",
    run: (peer) => measured(peer, () => new Browser(peer).send("GET", "/read")),
  },
  {
    id: "cost-read",
    title: "read",
    why:
      "The bytes are the caching headers again. A session in the cookie costs no call, but cannot be ended at once.",
    run: async (peer) => {
      const browser = await signedIn(peer);
      return await measured(peer, () => browser.send("GET", "/read"));
    },
  },
  {
    id: "cost-new",
    title: "new session written",
    why: "The cookie has `Max-Age` as well as `Expires`, and the response has caching headers.",
    run: (peer) => measured(peer, () => new Browser(peer).send("POST", "/write?key=a&value=yes")),
  },
  {
    id: "cost-write",
    title: "existing session written",
    why: "One read, and one write that checks what was read. The bytes are the caching headers.",
    run: async (peer) => {
      const browser = await signedIn(peer);
      return await measured(peer, () => browser.send("POST", "/write?key=a&value=yes"));
    },
  },
  {
    id: "cost-login",
    title: "login with a visitor's session",
    why:
      "One read, and one write that also renews the token and leaves a mark under the old one. The bytes are a new cookie and the caching headers.",
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
      "The row is read before it is deleted. The deletion cookie has all attributes, and the response has caching headers.",
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

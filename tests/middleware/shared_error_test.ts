/** A store that throws one error object for every call while it is down, as a circuit breaker does. */
import { withSessions } from "../../middleware/fetch.ts";
import { MemoryStore, type Session, sessions, SessionStoreError } from "../../mod.ts";
import { assertEquals } from "../assert.ts";

interface Data {
  n: number;
}
type Use = (getSession: () => Promise<Session<Data>>) => Promise<void>;

const DOWN = new SessionStoreError("find", { reason: "unreachable", retryable: false });

class DownStore extends MemoryStore {
  override find(): ReturnType<MemoryStore["find"]> {
    return Promise.reject(DOWN);
  }
  override create(): ReturnType<MemoryStore["create"]> {
    return Promise.reject(DOWN);
  }
}

const read: Use = async (getSession) => void (await getSession()).get("n");
const write: Use = async (getSession) => (await getSession()).put("n", 1);

function managerOfDownStore() {
  const heard: string[] = [];
  const manager = sessions<Data>({
    store: new DownStore({ cleanup: "off" }),
    onError(_error, { request }) {
      heard.push(new URL(request!.url).pathname);
      return new Response("own page", { status: 503 });
    },
  });
  return { heard, manager };
}

const requestOf = (path: string, init?: RequestInit) => new Request(`https://example.com${path}`, init);
const withCookie = { headers: { Cookie: `__Host-session=${"A".repeat(43)}` } };

Deno.test("An error object that a store throws again is reported for each visitor, who gets the own page", async (t) => {
  for (const [name, use, init] of [["of a load", read, withCookie], ["of a commit", write, {}]] as const) {
    await t.step(name, async () => {
      const { heard, manager } = managerOfDownStore();
      const handler = withSessions(manager, async (_request, getSession) => {
        await use(getSession);
        return new Response("done");
      });
      // The first two are under way at the same time.
      const first = ["/1", "/2"].map((path) => handler(requestOf(path, init)));
      const responses = [...await Promise.all(first), await handler(requestOf("/3", init))];
      assertEquals(
        await Promise.all(responses.map((response) => response.text())),
        Array(3).fill("own page"),
      );
      assertEquals(heard.sort(), ["/1", "/2", "/3"]);
    });
  }
});

Deno.test("Such an error is reported once, however often the manager is mounted", async (t) => {
  for (const isCopied of [false, true]) {
    await t.step(isCopied ? "on a copy of the request" : "on the same request", async () => {
      const { heard, manager } = managerOfDownStore();
      const handler = withSessions(manager, async (request) => {
        const inner = manager.begin(isCopied ? new Request(request) : request);
        // Throws.
        await inner.session();
        return new Response("done");
      });
      for (const path of ["/1", "/2"]) {
        assertEquals((await handler(requestOf(path, withCookie))).status, 503);
      }
      assertEquals(heard, ["/1", "/2"]);
    });
  }
});

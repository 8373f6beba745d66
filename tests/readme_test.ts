/**
 * Does what the README says.
 * @module
 */

import config from "../deno.json" with { type: "json" };
import { MemoryStore, sessions } from "../mod.ts";
import { Session } from "../core/session.ts";
import { SessionManager } from "../core/manager.ts";
import { type SessionHandler, withSessions } from "../middleware/fetch.ts";
import { codeIn, fencesIn, readRepoFile, sectionIn, tableIn } from "./_markdown.ts";
import { assert, assertArrayIncludes, assertEquals, assertMatch, assertStringIncludes } from "./assert.ts";
import { countingStore } from "./counting_store.ts";
import { setCookies } from "./scenarios/_visits.ts";
import { startDemo } from "./services/demo.ts";

const README = readRepoFile("README.md");

Deno.test("The README's curl lines, run in a shell against the demo, print what the README prints", async () => {
  const [curl, printed] = ["sh", "text"].map((language) =>
    fencesIn(sectionIn(README, "Try it")).filter((fence) =>
      fence.language === language && !fence.text.startsWith("npx")
    ).map((fence) => fence.text)
  ) as [string[], string[]];
  assertEquals([curl.length, printed.length], [1, 1]);

  const directory = await Deno.makeTempDir({ prefix: "sessions_readme_" });
  await using demo = await startDemo({ file: `${directory}/demo.db` });
  assertStringIncludes(curl[0]!, "http://localhost:8000/");
  const { success, stdout, stderr } = await new Deno.Command("bash", {
    args: ["-euc", curl[0]!.replaceAll("http://localhost:8000", demo.url)],
    cwd: directory,
    stdin: "null",
  }).output();
  const [out, err] = [stdout, stderr].map((bytes) => new TextDecoder().decode(bytes));
  await demo.kill();
  await Deno.remove(directory, { recursive: true });
  assert(success, err);
  assertEquals(out, printed[0]!.trimEnd());
  for (const line of curl[0]!.trim().split("\n")) {
    assertStringIncludes(demo.output(), line.replace("http://localhost:8000", demo.url));
  }
});

Deno.test("The README's commands are tasks of this package", () => {
  const commands = [...README.matchAll(/npx -y deno@2 task (\w+)/g)].map(([, task]) => task!);
  assertEquals(commands, ["demo", "test", "pack"]);
  assertArrayIncludes(Object.keys(config.tasks), commands);
});

Deno.test("The README's example logs a user in and recognises the user afterwards", async () => {
  const [example] = fencesIn(sectionIn(README, "Example"));
  const code = `data:application/typescript,${encodeURIComponent(example!.text)}`;
  const { default: app } = await import(code) as { default: { fetch(request: Request): Promise<Response> } };
  const url = "https://example.com/";
  assertEquals(await (await app.fetch(new Request(url))).json(), { userId: null });

  const login = await app.fetch(new Request(`${url}login`, { method: "POST" }));
  assertEquals(login.headers.get("Location"), "/");
  const [cookie] = setCookies(login);
  assertEquals(cookie!.name, "__Host-session");
  const headers = { Cookie: `${cookie!.name}=${cookie!.value}` };
  assertEquals(await (await app.fetch(new Request(url, { headers }))).json(), { userId: 42 });
});

Deno.test("The README's example is at most twenty lines long", () => {
  const [example] = fencesIn(sectionIn(README, "Example"));
  assert(example!.text.trimEnd().split("\n").length <= 20);
});

Deno.test("Every name that docs/scs.md gives for a name of SCS exists, and every method in the README exists", () => {
  const names = new Set([
    ...Object.getOwnPropertyNames(Session.prototype),
    ...Object.getOwnPropertyNames(SessionManager.prototype),
    // Options, functions and classes, which other tests compare with their documentation.
    ...[
      "sessions",
      "lifetime",
      "idleTimeout",
      "cookie",
      "name",
      "persist",
      "store",
      "codec",
      "hashTokenInStore",
    ],
    ...["onError", "honoSessions", "withSessions", "handler", "manager", "session", "key", "value", "token"],
    ...[
      "for",
      "await",
      "const",
      "of",
      "cleanup",
      "timer",
      "cleanupInterval",
      "d",
      "stopCleanup",
      "true",
      "next",
    ],
    ...["MemoryStore", "LibSQLStore", "PlanetScaleStore", "gobCodec"],
  ]);
  const cells = tableIn(readRepoFile("docs/scs.md"), "SCS", "here").flatMap(([, here]) => codeIn(here!));
  const used = cells.filter((code) => !code.startsWith("@x/sessions")).flatMap((code) =>
    code.match(/[A-Za-z]\w*/g)!
  );
  assertEquals(used.filter((name) => !names.has(name)), []);
  const listed = codeIn(/^A session has (.+?) and a few more/ms.exec(README)![1]!);
  assertEquals(listed.filter((name) => !Object.hasOwn(Session.prototype, name)), []);
});

Deno.test("The README or a guide mentions each entry of exports", () => {
  const text = README +
    ["stores", "cleanup", "scs", "custom-store", "middleware", "frameworks", "testing"].map((name) =>
      readRepoFile(`docs/${name}.md`)
    ).join();
  for (const entry of Object.keys(config.exports)) {
    assertMatch(text, new RegExp(`${entry.replace(".", "@x/sessions")}["\`]`));
  }
});

Deno.test("The README gives for each store the size that bench/README.md records", () => {
  const sizes = tableIn(readRepoFile("bench/README.md"), "bundle");
  for (const [store, entry, , , , kilobytes] of tableIn(README, "store")) {
    const [path] = codeIn(entry!);
    if (!path?.startsWith(`${config.name}/`)) continue;
    const bundle = `what \`${path.replace(config.name, ".")}\` adds to it`;
    const [, , gzipped] = sizes.find(([name]) => name === bundle)!;
    assertEquals(kilobytes, Number(gzipped).toFixed(1), store);
  }
});

Deno.test("The README gives for each store the requests of a login that docs/guarantees.md gives", () => {
  const stores = tableIn(README, "store");
  for (const [name, , requests] of tableIn(readRepoFile("docs/guarantees.md"), "store", "store calls")) {
    const [, , , inReadme] = stores.find(([store]) => store === name)!;
    // The README counts the write alone. The read before it is the other request.
    assertEquals(Number(inReadme!.split(", ").at(-1)), Math.max(0, Number(requests) - 1), name);
  }
});

type Data = { visits: number };

/** The request that a row of the table of costs describes. */
interface Scenario {
  /** The cookie to send; the session's own by default. */
  cookie?: "none" | "malformed" | "unknown";
  /** How long after the session's creation the request is sent, in milliseconds. */
  after?: number;
  handler: SessionHandler<Data, unknown[]>;
}

// The handler sets Cache-Control, so that what is added can be seen.
const answer = () => new Response("ok", { headers: { "Cache-Control": "no-store" } });

const asking =
  (use: (session: Session<Data>) => unknown): Scenario["handler"] => async (_request, session) => {
    await use(await session());
    return answer();
  };
const write = (session: Session<Data>) => session.put("visits", 2);

const SCENARIOS: Record<string, Scenario[]> = {
  "session never asked for, whatever the cookie": [{ handler: answer }, { cookie: "none", handler: answer }],
  "asked for, with no cookie or one that is not well formed": [
    { cookie: "none", handler: asking((session) => session.get("visits")) },
    { cookie: "malformed", handler: asking((session) => session.get("visits")) },
  ],
  "session read": [{ handler: asking((session) => session.get("visits")) }],
  "session read, idle timeout due for a touch": [
    { after: 120_000, handler: asking((session) => session.get("visits")) },
  ],
  "new session written": [{ cookie: "none", handler: asking(write) }],
  "the same, where an unknown token was offered": [{ cookie: "unknown", handler: asking(write) }],
  "existing session written": [{ handler: asking(write) }],
  "login: `renewToken` and a write": [{
    handler: asking((session) => {
      session.renewToken();
      write(session);
    }),
  }],
  "`setDeadline`, `rememberMe` on an existing session": [
    { handler: asking((session) => session.setDeadline(session.deadline - 1_000)) },
    { handler: asking((session) => session.rememberMe(true)) },
  ],
  "logout": [{ handler: asking((session) => session.destroy()) }],
};

const costs = tableIn(README, "request", "store calls before the response");

Deno.test("The README's table of costs has a row for each scenario, and no other", () => {
  assertEquals(costs.map(([request]) => request).sort(), Object.keys(SCENARIOS).sort());
});

// On one store. tests/scenarios/cost_table_test.ts checks that every store costs the same.
for (const [request, calls, headers] of costs) {
  Deno.test(`"${request}" costs what the README says`, async () => {
    const expected = {
      calls: parseInt(calls!),
      touches: calls!.includes("1 touch") ? 1 : 0,
      headers: codeIn(headers!).sort(),
    };
    for (const scenario of SCENARIOS[request!]!) assertEquals(await costOf(scenario), expected);
  });
}

async function costOf({ cookie, after = 0, handler }: Scenario) {
  const { store, calls, count, reset } = countingStore(new MemoryStore({ cleanup: "off" }));
  const clock = { now: Date.now() };
  const manager = sessions<Data>({ store, idleTimeout: "20m", now: () => clock.now });
  const session = await manager.load();
  session.put("visits", 1);
  const { token } = await session.commit();
  clock.now += after;
  reset();

  const offered = cookie === "malformed" ? "x" : cookie === "unknown" ? "A".repeat(43) : token;
  const headers = { Cookie: `__Host-session=${offered}` };
  const request = new Request("https://example.com/", cookie === "none" ? {} : { headers });
  const waiting: Promise<unknown>[] = [];
  const waitUntil = (work: Promise<unknown>) => void waiting.push(work);
  const response = await withSessions(manager, handler)(request, {}, { waitUntil });
  await Promise.all(waiting);

  const touches = calls().touch ?? 0;
  assertEquals(waiting.length, touches, "a touch does not hold up the response");
  return {
    calls: count() - touches,
    touches,
    headers: ["Cache-Control", "Set-Cookie", "Vary"].filter((name) =>
      (response.headers.get(name) ?? "no-store") !== "no-store"
    ),
  };
}

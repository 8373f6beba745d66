/**
 * The demo as users see it: started by its task, and visited by clients that carry cookies by hand.
 * @module
 */

import { assert, assertEquals, assertMatch, assertNotEquals, assertStringIncludes } from "./assert.ts";
import { setCookies } from "./scenarios/_visits.ts";
import { type Demo, spawnDemo, startDemo, until } from "./services/demo.ts";

/** One browser: its cookies, and the headers that it sends with forms. */
class Visitor {
  readonly cookies: Map<string, string>;
  readonly #demo: { url: string };
  readonly #name: string;

  constructor(demo: { url: string }, name = "test browser", cookies = new Map<string, string>()) {
    this.#demo = demo;
    this.#name = name;
    this.cookies = cookies;
  }

  async get(path: string): Promise<{ status: number; text: string; headers: Headers }> {
    return await this.#send(path, {});
  }

  /** Sends a form and follows the redirect. */
  async submit(path: string, fields: Record<string, string> = {}): Promise<string> {
    const { status, headers } = await this.send(path, fields, { Origin: this.#demo.url });
    assertEquals(status, 303, path);
    return (await this.get(headers.get("Location")!)).text;
  }

  /** Runs a race, and returns the text of both sides. */
  async race(race: string): Promise<string[]> {
    const { status, text } = await this.send("/races", { race }, { Origin: this.#demo.url });
    assertEquals(status, 200);
    return text.split(/(?=<section class="(?:good|bad)")/).slice(1).map((side) =>
      `${/class="(good|bad)"/.exec(side)![1]}: ${textOf(side.split("</section>")[0]!)}`
    );
  }

  async send(path: string, fields: Record<string, string>, headers: Record<string, string>) {
    return await this.#send(path, { method: "POST", body: new URLSearchParams(fields), headers });
  }

  async #send(path: string, init: RequestInit) {
    const headers = new Headers(init.headers);
    headers.set("User-Agent", this.#name);
    const cookie = [...this.cookies].map(([name, value]) => `${name}=${value}`).join("; ");
    if (cookie !== "") headers.set("Cookie", cookie);
    const response = await fetch(this.#demo.url + path, { ...init, headers, redirect: "manual" });
    for (const { name, value, attributes } of setCookies(response)) {
      if (attributes["Max-Age"] === "0") this.cookies.delete(name);
      else this.cookies.set(name, value);
    }
    return { status: response.status, text: await response.text(), headers: response.headers };
  }
}

/** The text of a page, without tags. */
function textOf(page: string): string {
  return page.replaceAll(/<[^>]+>/g, " ").replaceAll(/\s+/g, " ");
}

/** The cost of each request that the foot of a page shows. */
function costsIn(page: string): string[] {
  const [, list] = /<ol class="costs">([\s\S]*?)<\/ol>/.exec(page)!;
  return textOf(list!).trim().split(/ (?=(?:GET|POST) \/)/);
}

function lastLine(output: string): string | undefined {
  return output.trimEnd().split("\n").at(-1);
}

const FORMS = [
  "/count",
  "/flash",
  "/login",
  "/logout",
  "/revoke",
  "/logout-others",
  "/logout-everywhere",
  "/races",
];

let directory: string;
let demo: Demo;

Deno.test.beforeAll(async () => {
  directory = await Deno.makeTempDir({ prefix: "sessions_demo_" });
  demo = await startDemo({ file: `${directory}/shared.db` });
});

Deno.test.afterAll(async () => {
  await demo.kill();
  await Deno.remove(directory, { recursive: true });
});

Deno.test("The demo stores nothing and sets no cookie for a visitor who only reads", async () => {
  const visitor = new Visitor(demo);
  const { status, text, headers } = await visitor.get("/");
  assertEquals(status, 200);
  assertEquals(headers.get("Set-Cookie"), null);
  assertStringIncludes(text, "You have none");
});

Deno.test("The demo's /get returns nothing before /put, and Hello from a session! after it", async () => {
  const visitor = new Visitor(demo);
  assertEquals((await visitor.get("/get")).text, "");
  assertEquals((await visitor.get("/put")).status, 200);
  assertEquals([...visitor.cookies.keys()], ["session"]);
  assertEquals((await visitor.get("/get")).text, "Hello from a session!");
  assertStringIncludes((await visitor.get("/")).text, "Hello from a session!");
});

Deno.test("The demo counts", async () => {
  const visitor = new Visitor(demo);
  assertStringIncludes(await visitor.submit("/count"), "<output>1</output>");
  assertStringIncludes(await visitor.submit("/count"), "<output>2</output>");
});

Deno.test("The demo shows a flash message on one page and not on the next", async () => {
  const visitor = new Visitor(demo);
  assertStringIncludes(await visitor.submit("/flash", { text: "Saved." }), ">Saved.</p>");
  assertEquals((await visitor.get("/")).text.includes("Saved."), false);
});

Deno.test("Logging in to the demo renews the token, keeps the values and ends the old token", async () => {
  const visitor = new Visitor(demo);
  await visitor.submit("/count");
  const before = new Map(visitor.cookies);
  const page = await visitor.submit("/login", { name: "zoe" });
  assertStringIncludes(page, "Sessions of zoe");
  assertStringIncludes(page, "<output>1</output>");
  assertNotEquals(visitor.cookies.get("session"), before.get("session"));

  const thief = new Visitor(demo);
  thief.cookies.set("session", before.get("session")!);
  assertStringIncludes((await thief.get("/")).text, "It has ended");
});

Deno.test("Logging in to the demo as another user drops the values of the first user", async () => {
  const visitor = new Visitor(demo);
  await visitor.submit("/login", { name: "first" });
  await visitor.submit("/count");
  const page = await visitor.submit("/login", { name: "second" });
  assertStringIncludes(page, "Sessions of second");
  assertStringIncludes(page, "<output>0</output>");
});

Deno.test("The demo asks for a name if none was given", async () => {
  const page = await new Visitor(demo).submit("/login", { name: "  " });
  assertStringIncludes(page, "Enter a name to sign in.");
  assertEquals(page.includes("Sessions of"), false);
});

Deno.test("Logging out of the demo also ends the session for a copy of its cookie", async () => {
  const visitor = new Visitor(demo);
  await visitor.submit("/login", { name: "ann" });
  const kept = new Visitor(demo);
  kept.cookies.set("session", visitor.cookies.get("session")!);
  assertStringIncludes((await kept.get("/")).text, "Sessions of ann");

  assertStringIncludes(await visitor.submit("/logout"), "You have none");
  assertEquals(visitor.cookies.size, 0);
  const { text, headers } = await kept.get("/");
  assertStringIncludes(text, "It has ended");
  assertEquals(text.includes("no cookie was set"), false, "it sent one");
  assertEquals(headers.get("Set-Cookie"), null);
});

Deno.test("The demo lists a user's sessions, and revoking one ends only that one", async () => {
  const [laptop, phone] = [new Visitor(demo, "Laptop"), new Visitor(demo, "Phone")];
  await phone.submit("/login", { name: "bea" });
  const page = await laptop.submit("/login", { name: "bea" });
  assertStringIncludes(textOf(page), "1. Phone Signed in");
  assertStringIncludes(textOf(page), "2. Laptop this device");
  const ids = [...page.matchAll(/name="id" value="([\w-]+)"/g)].map(([, id]) => id!);
  assertEquals(ids.length, 1, "the current session has no button");

  assertStringIncludes(await laptop.submit("/revoke", { id: ids[0]! }), "That device is signed out.");
  assertStringIncludes((await phone.get("/")).text, "It has ended");
  assertStringIncludes(
    await laptop.submit("/revoke", { id: ids[0]! }),
    "That device had signed out already.",
  );
});

Deno.test("A user of the demo cannot revoke the session of another", async () => {
  const [victim, own, attacker] = [new Visitor(demo), new Visitor(demo), new Visitor(demo)];
  await victim.submit("/login", { name: "victim" });
  const page = await own.submit("/login", { name: "victim" });
  const id = /name="id" value="([\w-]+)"/.exec(page)![1]!;
  await attacker.submit("/login", { name: "attacker" });
  assertStringIncludes(await attacker.submit("/revoke", { id }), "That device had signed out already.");
  assertStringIncludes((await victim.get("/")).text, "Sessions of victim");
});

Deno.test("Signing out everywhere ends every session of the user and of nobody else", async () => {
  const visitors = [new Visitor(demo), new Visitor(demo), new Visitor(demo)];
  for (const visitor of visitors) await visitor.submit("/login", { name: "cleo" });
  const other = new Visitor(demo);
  await other.submit("/login", { name: "dan" });

  const [first, ...rest] = visitors;
  assertStringIncludes(await first!.submit("/logout-everywhere"), "You have none");
  for (const visitor of rest) assertStringIncludes((await visitor.get("/")).text, "It has ended");
  assertEquals(first!.cookies.size, 0);
  assertStringIncludes((await other.get("/")).text, "Sessions of dan");
});

for (
  const [sender, headers] of [
    ["another site", { Origin: "https://evil.example", "Sec-Fetch-Site": "cross-site" }],
    ["another site in an old browser", { Origin: "https://evil.example" }],
    ["another port of this host", { Origin: "http://localhost:1", "Sec-Fetch-Site": "same-site" }],
    ["nobody knows where", {}],
  ] as const
) {
  Deno.test(`The demo refuses a form from ${sender}`, async () => {
    const visitor = new Visitor(demo);
    await visitor.submit("/login", { name: "eve" });
    for (const path of FORMS) {
      assertEquals((await visitor.send(path, { name: "x", text: "x" }, { ...headers })).status, 403, path);
    }
    const { text } = await visitor.get("/");
    assertStringIncludes(text, "Sessions of eve");
    assertStringIncludes(text, "<output>0</output>");
  });
}

Deno.test("The demo shows user input as text, never as HTML", async () => {
  const visitor = new Visitor(demo, `"><script>1</script>`);
  const name = "<script>2</script>";
  assertStringIncludes(await visitor.submit("/login", { name }), "&lt;script&gt;2&lt;/script&gt;");
  const second = new Visitor(demo, `"><script>3</script>`);
  const page = await second.submit("/login", { name }) + await second.submit("/flash", { text: "<u>" });
  assertStringIncludes(page, "&lt;u&gt;");
  assertEquals(/<script>|<u>/.exec(page), null);
});

Deno.test("The demo prints its address, nothing about its users, and no token", async () => {
  const visitor = new Visitor(demo);
  let pages = await visitor.submit("/count");
  const before = visitor.cookies.get("session")!;
  pages += await visitor.submit("/login", { name: "finn" });
  const after = visitor.cookies.get("session")!;
  pages += (await visitor.get("/races")).text;
  await visitor.race("logout");
  assertStringIncludes(
    demo.output(),
    `The demo is on ${demo.url}, its sessions are in ${directory}/shared.db.`,
  );
  assertMatch(demo.output(), /Ctrl\+C stops it; the sessions are still there at the next start\.\s*$/);
  for (const token of [before, after]) assertEquals((demo.output() + pages).includes(token), false);
});

Deno.test("Each page of the demo shows what it and the form before it cost", async () => {
  const visitor = new Visitor(demo);
  assertEquals(costsIn((await visitor.get("/")).text), [
    "GET / 200 0 store calls, 0 rows read, 0 changed Cache-Control: private Vary: Cookie",
  ]);
  const counted = costsIn(await visitor.submit("/count"));
  assertMatch(
    counted[0]!,
    /^POST \/count 303 1 store call, 0 rows read, 1 changed create written .*Set-Cookie: session=/,
  );
  assertEquals(
    counted[1],
    "GET / 200 1 store call, 1 row read, 0 changed find found Cache-Control: private Vary: Cookie",
  );

  const [login, page] = costsIn(await visitor.submit("/login", { name: "hal" }));
  // The session's row gets a new token, and a mark is left under the old one.
  assertMatch(login!, /^POST \/login 303 2 store calls, 1 row read, 2 changed find found update written /);
  assertMatch(login!, /Set-Cookie: session=.{4}…; Expires=/);
  assertStringIncludes(
    page!,
    "3 store calls, 2 rows read, 1 changed find found findBySubject listed update written",
  );
  // A reload shows only its own cost.
  assertEquals(costsIn((await visitor.get("/")).text).length, 1);
  assertEquals(costsIn((await visitor.get("/races")).text), [
    "GET /races 200 0 store calls, 0 rows read, 0 changed no header from a session",
  ]);
});

for (
  const [race, safe, overwriting] of [
    [
      "basket",
      /^good: .* B update written A update refused A find found A update written .* tea is in the basket .* bread, milk, tea\. .* Both changes are kept/,
      /^bad: .* B commit written A commit written .* 200 milk is in the basket .* holds bread, tea\. .* Lost: milk, after answers of 200 and 200/,
    ],
    [
      "logout",
      /^good: .* A POST \/basket\/tea 409 .* Set-Cookie: no .* lets in nobody\. .* Signed out stays signed out/,
      /^bad: .* Set-Cookie: yes, deletes it A POST \/basket\/tea 200 .* lets in ann\. .* The session is back/,
    ],
    [
      "login",
      /^good: .* Set-Cookie: yes A POST \/login 200 signed in Set-Cookie: yes .* 200 2 sessions ended .* let in ann, and the old one nobody\. After C each new cookie lets in nobody\./,
      /^bad: .* 503 .* let in ann, and the old one nobody\. After C each new cookie lets in ann\./,
    ],
  ] as const
) {
  Deno.test(`The race ${race} of the demo ends well here, and badly on a store that overwrites`, async () => {
    const visitor = new Visitor(demo);
    const sides = await visitor.race(race);
    assertEquals(sides.length, 2);
    assertMatch(sides[0]!, safe);
    assertMatch(sides[1]!, overwriting);
    assertEquals(visitor.cookies.size, 0, "it must not be about the visitor's own session");
  });
}

Deno.test("Two visitors run races of the demo at once without affecting each other", async () => {
  const results = await Promise.all(
    ["login", "login", "basket", "logout"].map((race) => new Visitor(demo).race(race)),
  );
  for (const [safe, overwriting] of results) {
    assertMatch(safe!, /^good: /);
    assertMatch(overwriting!, /^bad: /);
  }
  assertStringIncludes(results[0]![0]!, "2 sessions ended");
});

Deno.test("The demo redirects an unknown race to its races", async () => {
  const headers = { Origin: demo.url };
  for (const race of ["toString", ""]) {
    assertEquals((await new Visitor(demo).send("/races", { race }, headers)).status, 303);
  }
});

Deno.test("The demo signs out a user's other devices and keeps this one", async () => {
  const [here, there] = [new Visitor(demo), new Visitor(demo)];
  await there.submit("/login", { name: "ida" });
  assertStringIncludes(await here.submit("/login", { name: "ida" }), "You are signed in on 2 devices.");
  const page = await here.submit("/logout-others");
  assertStringIncludes(page, "Signed out elsewhere: 1 device.");
  assertStringIncludes(page, "This is your only device.");
  assertStringIncludes((await there.get("/")).text, "It has ended");
});

Deno.test("The demo names devices by browser and system, and by their number", async () => {
  const names = {
    "1. Chrome on Windows":
      "Mozilla/5.0 (Windows NT 10.0; Win64; x64) AppleWebKit/537.36 (KHTML, like Gecko) Chrome/142.0.0.0 Safari/537.36",
    "2. Edge on Windows":
      "Mozilla/5.0 (Windows NT 10.0; Win64; x64) AppleWebKit/537.36 (KHTML, like Gecko) Chrome/142.0.0.0 Safari/537.36 Edg/142.0.0.0",
    "3. Safari on iPhone":
      "Mozilla/5.0 (iPhone; CPU iPhone OS 18_5 like Mac OS X) AppleWebKit/605.1.15 (KHTML, like Gecko) Version/18.5 Mobile/15E148 Safari/604.1",
    "4. Chrome on Android":
      "Mozilla/5.0 (Linux; Android 16) AppleWebKit/537.36 (KHTML, like Gecko) Chrome/142.0.0.0 Mobile Safari/537.36",
    "5. Firefox on Linux": "Mozilla/5.0 (X11; Linux x86_64; rv:145.0) Gecko/20100101 Firefox/145.0",
    "6. Firefox on Linux this device":
      "Mozilla/5.0 (X11; Linux x86_64; rv:145.0) Gecko/20100101 Firefox/145.0",
  };
  let page = "";
  for (const userAgent of Object.values(names)) {
    page = await new Visitor(demo, userAgent).submit("/login", { name: "jo" });
  }
  for (const name of Object.keys(names)) assertStringIncludes(textOf(page), ` ${name} `);
  assertStringIncludes(page, 'aria-label="End session 5, Firefox on Linux"');
});

Deno.test("The demo streams session events as they happen, and lists them for a browser without scripts", async () => {
  const { text } = await new Visitor(demo).get("/");
  const last = /data-last="(\d+)"/.exec(text)![1]!;
  const stream = await fetch(`${demo.url}/log?after=${last}`);
  assertEquals(stream.headers.get("Content-Type"), "text/event-stream");
  const page = await new Visitor(demo).submit("/login", { name: "<i>kim</i>" });
  let received = "";
  for await (const part of stream.body!.pipeThrough(new TextDecoderStream())) {
    received += part;
    if (received.includes("kim")) break;
  }
  assertMatch(received, /id: \d+\ndata: <li>.*created.*subject &lt;i&gt;kim&lt;\/i&gt;.*<\/li>\n\n/);
  assertMatch(textOf(page), /created id .{6}…, subject &lt;i&gt;kim/);
});

Deno.test("The demo serves its style, its script and an icon without a session", async () => {
  const visitor = new Visitor(demo);
  const { text } = await visitor.submit("/count").then(() => visitor.get("/"));
  const paths = [...text.matchAll(/(?:href|src)="(\/[^"]*)"/g)].map(([, path]) => path!);
  assertEquals([...new Set(paths)], ["/icon.svg", "/style.css", "/script.js", "/", "/races"]);
  for (const path of ["/icon.svg", "/style.css", "/script.js", "/favicon.ico"]) {
    const { status, text, headers } = await visitor.get(path);
    assertEquals([status, headers.get("Vary"), headers.get("Set-Cookie")], [200, null, null], path);
    assert(text.length > 100, path);
  }
});

Deno.test("The demo's database holds a hash of the token, not the token", async () => {
  const visitor = new Visitor(demo);
  await visitor.submit("/count");
  const token = visitor.cookies.get("session")!;
  const hash = await crypto.subtle.digest("SHA-256", new TextEncoder().encode(token));
  const hashed = new Uint8Array(hash).toBase64({ alphabet: "base64url", omitPadding: true });
  const bytes = new TextDecoder("latin1").decode(await Deno.readFile(`${directory}/shared.db`));
  assertStringIncludes(bytes, hashed);
  assertEquals(bytes.includes(token), false);
});

Deno.test("The demo keeps its sessions across a restart, after Ctrl+C and after a crash", async () => {
  const options = { file: `${directory}/restarted.db` };
  // Each start uses another port, because another process may take the last one. Cookies ignore ports.
  const cookies = new Map<string, string>();
  const visitorOf = (running: Demo) => new Visitor(running, "Gus's browser", cookies);
  {
    await using first = await startDemo(options);
    await visitorOf(first).submit("/login", { name: "gus" });
    // An open page does not keep the server from ending.
    const log = await fetch(`${first.url}/log`);
    assertEquals(await first.stop("SIGINT"), 0);
    await log.text();
  }
  {
    await using second = await startDemo(options);
    const visitor = visitorOf(second);
    assertStringIncludes((await visitor.get("/")).text, "Sessions of gus");
    assertStringIncludes(await visitor.submit("/count"), "<output>1</output>");
    await second.kill();
  }
  await using third = await startDemo(options);
  const { text } = await visitorOf(third).get("/");
  assertStringIncludes(text, "Sessions of gus");
  assertStringIncludes(text, "<output>1</output>");
});

Deno.test("The demo ends with one sentence if its port is taken", async () => {
  const port = Number(new URL(demo.url).port);
  const process = spawnDemo({ port, file: `${directory}/taken.db` });
  await until(30_000, () => process.exitCode() !== undefined);
  assertEquals(process.exitCode(), 1);
  assertEquals(
    lastLine(process.output()),
    `Port ${port} is taken. Choose another one: PORT=${port + 1} npx -y deno@2 task demo`,
  );
});

Deno.test("The demo ends with one sentence if PORT is no port", async () => {
  const process = spawnDemo({ port: "80a", file: `${directory}/none.db` });
  await until(30_000, () => process.exitCode() !== undefined);
  assertEquals(process.exitCode(), 1);
  assertEquals(lastLine(process.output()), "PORT must be a number from 1 to 65535, and is 80a");
});

Deno.test("Git ignores the demo's database file", async () => {
  const source = await Deno.readTextFile(new URL("../examples/demo/main.ts", import.meta.url));
  assertMatch(source, /"DEMO_DB"\) \|\| "\w+\.db"/);
  const ignored = (await Deno.readTextFile(new URL("../.gitignore", import.meta.url))).split("\n");
  assert(ignored.includes("*.db") && ignored.includes("*.db-*"));
});

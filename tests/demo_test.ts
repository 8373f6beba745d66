/**
 * The demo as its users meet it: started by its task, visited by browsers whose cookies are carried by hand.
 * @module
 */

import { assert, assertEquals, assertMatch, assertNotEquals, assertStringIncludes } from "./assert.ts";
import { setCookies } from "./scenarios/_visits.ts";
import { type Demo, spawnDemo, startDemo, until } from "./services/demo.ts";

/** One browser: its cookies, and what it sends along with forms. */
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

  /** Sends a form and follows to the page after it. */
  async submit(path: string, fields: Record<string, string> = {}): Promise<string> {
    const { status } = await this.send(path, fields, { Origin: this.#demo.url });
    assertEquals(status, 303, path);
    return (await this.get("/")).text;
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

function lastLine(output: string): string | undefined {
  return output.trimEnd().split("\n").at(-1);
}

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

Deno.test("The demo stores nothing and sets no cookie for a visitor who only looks", async () => {
  const visitor = new Visitor(demo);
  const { status, text, headers } = await visitor.get("/");
  assertEquals(status, 200);
  assertEquals(headers.get("Set-Cookie"), null);
  assertStringIncludes(text, "You have none");
});

Deno.test("The demo's /get answers nothing before /put and Hello from a session! after it", async () => {
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
  assertStringIncludes((await thief.get("/")).text, "You have none");
});

Deno.test("Logging in to the demo as someone else takes no value along", async () => {
  const visitor = new Visitor(demo);
  await visitor.submit("/login", { name: "first" });
  await visitor.submit("/count");
  const page = await visitor.submit("/login", { name: "second" });
  assertStringIncludes(page, "Sessions of second");
  assertStringIncludes(page, "<output>0</output>");
});

Deno.test("The demo asks for a name where none was given", async () => {
  const page = await new Visitor(demo).submit("/login", { name: "  " });
  assertStringIncludes(page, "Enter a name to log in.");
  assertEquals(page.includes("Sessions of"), false);
});

Deno.test("Logging out of the demo ends the session for whoever kept its cookie too", async () => {
  const visitor = new Visitor(demo);
  await visitor.submit("/login", { name: "ann" });
  const kept = new Visitor(demo);
  kept.cookies.set("session", visitor.cookies.get("session")!);
  assertStringIncludes((await kept.get("/")).text, "Sessions of ann");

  assertStringIncludes(await visitor.submit("/logout"), "You have none");
  assertEquals(visitor.cookies.size, 0);
  assertStringIncludes((await kept.get("/")).text, "You have none");
});

Deno.test("The demo lists a user's sessions, and revoking one ends that one alone", async () => {
  const [laptop, phone] = [new Visitor(demo, "Laptop"), new Visitor(demo, "Phone")];
  await phone.submit("/login", { name: "bea" });
  const page = await laptop.submit("/login", { name: "bea" });
  assertStringIncludes(page, "<td>Laptop</td>");
  assertStringIncludes(page, "<td>Phone</td>");
  const ids = [...page.matchAll(/name="id" value="([\w-]+)"/g)].map(([, id]) => id!);
  assertEquals(ids.length, 1, "its own session has no button");

  assertStringIncludes(await laptop.submit("/revoke", { id: ids[0]! }), "That session has ended.");
  assertStringIncludes((await phone.get("/")).text, "You have none");
  assertStringIncludes(await laptop.submit("/revoke", { id: ids[0]! }), "That session had already ended.");
});

Deno.test("A user of the demo cannot revoke the session of another", async () => {
  const [victim, own, attacker] = [new Visitor(demo), new Visitor(demo), new Visitor(demo)];
  await victim.submit("/login", { name: "victim" });
  const page = await own.submit("/login", { name: "victim" });
  const id = /name="id" value="([\w-]+)"/.exec(page)![1]!;
  await attacker.submit("/login", { name: "attacker" });
  assertStringIncludes(await attacker.submit("/revoke", { id }), "That session had already ended.");
  assertStringIncludes((await victim.get("/")).text, "Sessions of victim");
});

Deno.test("Signing out everywhere ends every session of the user and of nobody else", async () => {
  const visitors = [new Visitor(demo), new Visitor(demo), new Visitor(demo)];
  for (const visitor of visitors) await visitor.submit("/login", { name: "cleo" });
  const other = new Visitor(demo);
  await other.submit("/login", { name: "dan" });

  await visitors[0]!.submit("/logout-everywhere");
  for (const visitor of visitors) assertStringIncludes((await visitor.get("/")).text, "You have none");
  assertEquals(visitors[0]!.cookies.size, 0);
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
  Deno.test(`The demo refuses a form sent by ${sender}`, async () => {
    const visitor = new Visitor(demo);
    await visitor.submit("/login", { name: "eve" });
    for (const path of ["/count", "/flash", "/login", "/logout", "/revoke", "/logout-everywhere"]) {
      assertEquals((await visitor.send(path, { name: "x", text: "x" }, { ...headers })).status, 403, path);
    }
    const { text } = await visitor.get("/");
    assertStringIncludes(text, "Sessions of eve");
    assertStringIncludes(text, "<output>0</output>");
  });
}

Deno.test("The demo shows what its users type as text, never as HTML", async () => {
  const visitor = new Visitor(demo, `"><script>1</script>`);
  const name = "<script>2</script>";
  assertStringIncludes(await visitor.submit("/login", { name }), "&lt;script&gt;2&lt;/script&gt;");
  const second = new Visitor(demo, `"><script>3</script>`);
  const page = await second.submit("/login", { name }) + await second.submit("/flash", { text: "<b>" });
  assertEquals(/<script|<b>/.exec(page), null);
});

Deno.test("The demo prints where to look, and no token", async () => {
  const visitor = new Visitor(demo);
  await visitor.submit("/count");
  const before = visitor.cookies.get("session")!;
  await visitor.submit("/login", { name: "finn" });
  const after = visitor.cookies.get("session")!;
  await until(30_000, () => demo.output().includes("finn"));
  assertStringIncludes(
    demo.output(),
    `The demo is on ${demo.url}, its sessions are in ${directory}/shared.db.`,
  );
  for (const token of [before, after]) assertEquals(demo.output().includes(token), false);
});

Deno.test("The demo's database holds a hash of the token and not the token", async () => {
  const visitor = new Visitor(demo);
  await visitor.submit("/count");
  const token = visitor.cookies.get("session")!;
  const hash = await crypto.subtle.digest("SHA-256", new TextEncoder().encode(token));
  const hashed = new Uint8Array(hash).toBase64({ alphabet: "base64url", omitPadding: true });
  const bytes = new TextDecoder("latin1").decode(await Deno.readFile(`${directory}/shared.db`));
  assertStringIncludes(bytes, hashed);
  assertEquals(bytes.includes(token), false);
});

Deno.test("The demo keeps its sessions over a restart, after Ctrl+C and after a crash", async () => {
  const options = { file: `${directory}/restarted.db` };
  // Each time on another port, since meanwhile somebody else may take the last one. A cookie is for all.
  const cookies = new Map<string, string>();
  const visitorOf = (running: Demo) => new Visitor(running, "Gus's browser", cookies);
  {
    await using first = await startDemo(options);
    await visitorOf(first).submit("/login", { name: "gus" });
    assertEquals(await first.stop("SIGINT"), 0);
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

Deno.test("The demo ends with one sentence where its port is taken", async () => {
  const port = Number(new URL(demo.url).port);
  const process = spawnDemo({ port, file: `${directory}/taken.db` });
  await until(30_000, () => process.exitCode() !== undefined);
  assertEquals(process.exitCode(), 1);
  assertEquals(
    lastLine(process.output()),
    `Port ${port} is taken. Choose another one: PORT=${port + 1} npx -y deno@2 task demo`,
  );
});

Deno.test("The demo ends with one sentence where PORT is no port", async () => {
  const process = spawnDemo({ port: "80a", file: `${directory}/none.db` });
  await until(30_000, () => process.exitCode() !== undefined);
  assertEquals(process.exitCode(), 1);
  assertEquals(lastLine(process.output()), "PORT must be a number from 1 to 65535, and is 80a");
});

Deno.test("The demo's database file is one that git ignores", async () => {
  const source = await Deno.readTextFile(new URL("../examples/demo/main.ts", import.meta.url));
  assertMatch(source, /"DEMO_DB"\) \|\| "\w+\.db"/);
  const ignored = (await Deno.readTextFile(new URL("../.gitignore", import.meta.url))).split("\n");
  assert(ignored.includes("*.db") && ignored.includes("*.db-*"));
});

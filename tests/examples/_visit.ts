/**
 * What every example with a login does, whatever it runs on.
 * @module
 */

import { fencesIn } from "../_markdown.ts";
import { assert, assertEquals, assertNotEquals, assertStringIncludes } from "../assert.ts";
import { Visitor } from "../middleware/_visitor.ts";
import { setCookies } from "../scenarios/_visits.ts";

/** A visitor of the example at `url`, and what it does. */
export class ExampleVisitor extends Visitor {
  readonly #url: string;

  constructor(url: string) {
    super((path, init) => fetch(url + path, init));
    this.#url = url;
  }

  /** Sends a form, as a page of the example's own would. */
  async submit(path: string, fields: Record<string, string> = {}, origin = this.#url): Promise<Response> {
    const body = new URLSearchParams(fields);
    const response = await this.visit(path, { method: "POST", headers: { Origin: origin }, body });
    await response.body?.cancel();
    return response;
  }

  /** What the page says of the visitor. */
  async home(): Promise<{ user: string | null; count: number }> {
    return JSON.parse(await this.text("/"));
  }

  /** Another browser that has got hold of a token. */
  thief(token: string): ExampleVisitor {
    const thief = new ExampleVisitor(this.#url);
    thief.cookies.set([...this.cookies.keys()][0]!, token);
    return thief;
  }
}

/** Types the curl lines of an example's README against it, and looks for the answer that the README promises. */
export async function typeReadme(example: URL, url: string): Promise<void> {
  const readme = await Deno.readTextFile(new URL("README.md", example));
  const lines = fencesIn(readme).find(({ text }) => text.startsWith("curl "))!.text.split("\n");
  const [, answer] = /line answers `([^`]+)`/.exec(readme)!;
  // Wrangler itself takes the purge.
  const own = lines.filter((line) => !line.includes("/__scheduled")).join("\n");
  const cwd = await Deno.makeTempDir({ prefix: "x-sessions-readme-" });
  const { success, stdout, stderr } = await new Deno.Command("bash", {
    args: ["-euc", own.replaceAll(/(?:http:\/\/)?localhost:\d+/g, url)],
    cwd,
    stdin: "null",
  }).output();
  await Deno.remove(cwd, { recursive: true });
  const [out, err] = [stdout, stderr].map((bytes) => new TextDecoder().decode(bytes)) as [string, string];
  assert(success, err);
  assertStringIncludes(out, answer!);
}

/** Logs in, counts and logs out, on one device and on two. */
export async function visitExample(url: string): Promise<void> {
  const nobody = { user: null, count: 0 };
  const visitor = new ExampleVisitor(url);
  assertEquals(await visitor.home(), nobody);
  assertEquals(visitor.cookies.size, 0);

  await visitor.submit("/count");
  const anonymous = visitor.token!;
  const login = await visitor.submit("/login", { user: "zoe" });
  assertEquals([login.status, login.headers.get("Location")], [303, "/"]);
  const token = visitor.token!;
  assertNotEquals(token, anonymous);
  assertEquals(setCookies(await visitor.submit("/count")), []);
  assertEquals(await visitor.home(), { user: "zoe", count: 2 });
  assertEquals(await visitor.thief(anonymous).home(), nobody);

  const refused = await visitor.submit("/login");
  assertEquals([refused.status, setCookies(refused)], [400, []]);
  const forged = await visitor.submit("/login", { user: "eve" }, "https://evil.example");
  assertEquals([forged.status, setCookies(forged)], [403, []]);

  const thief = visitor.thief(token);
  await visitor.submit("/logout");
  assertEquals(visitor.cookies.size, 0);
  assertEquals(await thief.home(), nobody);

  const devices = [new ExampleVisitor(url), new ExampleVisitor(url)];
  for (const device of devices) await device.submit("/login", { user: "zoe" });
  await devices[0]!.submit("/logout-everywhere");
  assertEquals(devices[0]!.cookies.size, 0);
  for (const device of devices) assertEquals(await device.home(), nobody);
}

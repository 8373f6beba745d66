/**
 * The npm package as `deno task pack` writes it: what is in it, what a bundler makes of it, and who can load it.
 * @module
 */

import config from "../deno.json" with { type: "json" };
import { OPTIONAL_PEERS } from "../tools/pack.ts";
import { fencesIn, readRepoFile, sectionIn } from "./_markdown.ts";
import { assert, assertEquals, assertStringIncludes } from "./assert.ts";
import { nodeBinary, type NodeVersion, nodeVersion } from "./services/node.ts";
import { installPacked, type PackedApp } from "./services/packed.ts";

const ENTRIES = Object.keys(config.exports);
const ESBUILD = "0.28.2";
/** In bytes, minified: one class, its base class and what they say. */
const ERROR_CLASS_LIMIT = 1_000;

let app: PackedApp;
let directory: string;

Deno.test.beforeAll(async () => {
  app = await installPacked({ dependencies: ["@libsql/client", ["esbuild", ESBUILD]] });
  directory = `${app.dir}/node_modules/${config.name}`;
});
Deno.test.afterAll(async () => await app?.[Symbol.asyncDispose]());

const read = (path: string) => Deno.readTextFileSync(`${directory}/${path}`);

function filesOf(folder = ""): string[] {
  return [...Deno.readDirSync(`${directory}/${folder}`)].flatMap(({ name, isDirectory }) =>
    isDirectory ? filesOf(`${folder}${name}/`) : [`${folder}${name}`]
  );
}

async function run(command: string, args: string[], cwd = app.dir): Promise<{ out: string; err: string }> {
  const { success, stdout, stderr } = await new Deno.Command(command, {
    args,
    cwd,
    env: { NO_COLOR: "1" },
    stdin: "null",
  }).output();
  const [out, err] = [stdout, stderr].map((bytes) => new TextDecoder().decode(bytes)) as [string, string];
  assert(success, out + err);
  return { out, err };
}

Deno.test("The package holds the modules, their documents and nothing else", () => {
  const folders = new Set(filesOf().map((path) => path.includes("/") ? path.split("/")[0]! : path));
  assertEquals([...folders].sort(), [
    "CHANGELOG.md",
    "LICENSE",
    "README.md",
    "SECURITY.md",
    "codecs",
    "core",
    "docs",
    "llms.txt",
    "middleware",
    "mod.d.ts",
    "mod.js",
    "package.json",
    "stores",
    "testing",
  ]);
});

Deno.test("The manifest says what a registry, a bundler and an installer want to know", () => {
  const manifest = JSON.parse(read("package.json"));
  assertEquals([manifest.type, manifest.sideEffects, manifest.license], ["module", false, "MIT"]);
  assertEquals(manifest.engines, { node: `>=${nodeVersion(20)}` });
  for (const field of ["description", "keywords", "repository", "homepage", "bugs"]) {
    assert(manifest[field], field);
  }
  const dependencies = Object.keys(manifest.dependencies);
  assertEquals(dependencies.sort(), ["@noble/hashes", "tinyqueue"]);
  const peers = Object.keys(manifest.peerDependencies);
  assertEquals(Object.keys(manifest.peerDependenciesMeta), peers);
  assertEquals(Object.keys(manifest.exports), [...ENTRIES, "./package.json"]);
});

Deno.test("Every module has its declarations, and none is declared that is not there", () => {
  const files = filesOf();
  const named = (ending: string) =>
    files.filter((path) => path.endsWith(ending)).map((path) => path.slice(0, -ending.length)).sort();
  assertEquals(named(".d.ts"), named(".js"));
  assert(named(".js").length > 2 * ENTRIES.length);
});

Deno.test("What a declaration imports is declared too", () => {
  for (const path of filesOf().filter((path) => path.endsWith(".d.ts"))) {
    for (const [, target] of read(path).matchAll(/(?:from|import\()\s*["'](\.[^"']+)["']/g)) {
      read(new URL(target!.replace(/\.js$/, ".d.ts"), `file:///${path}`).pathname.slice(1));
    }
  }
});

Deno.test("No file of the package names a path of the machine that packed it", () => {
  const root = decodeURIComponent(new URL("../", import.meta.url).pathname);
  for (const path of filesOf()) {
    const text = read(path);
    assert(!text.includes(root), path);
    assert(!/\bsourceMappingURL=/.test(text), path);
  }
});

Deno.test("The links of the package's pages lead to files in it or to the repository", () => {
  const { repository } = JSON.parse(read("package.json"));
  const home = repository.url.replace(/^git\+|\.git$/g, "");
  let ours = 0;
  for (const page of filesOf().filter((path) => path.endsWith(".md"))) {
    for (const [, target] of read(page).replaceAll(/^ *```.*?^ *```$/gms, "").matchAll(/\]\(([^)]+)\)/g)) {
      if (target!.startsWith(`${home}/blob/main/`)) {
        ours++;
        Deno.statSync(new URL(`../${target!.slice(`${home}/blob/main/`.length)}`, import.meta.url));
      } else if (!/^(https:|#)/.test(target!)) {
        read(new URL(target!, `file:///${page}`).pathname.slice(1));
      }
    }
  }
  assert(ours > 0);
});

/** What esbuild makes of a module of the application, minified. */
async function bundled(source: string): Promise<string> {
  const entry = `${app.dir}/${crypto.randomUUID()}.mjs`;
  await Deno.writeTextFile(entry, source);
  const esbuild = `${app.dir}/node_modules/esbuild/bin/esbuild`;
  const { out } = await run(nodeBinary(26), [esbuild, entry, "--bundle", "--minify", "--format=esm"]);
  return out;
}

Deno.test("A bundle takes in what it uses and leaves out the rest", async (t) => {
  const error = await bundled(
    `import { SessionGoneError } from "${config.name}"; console.log(SessionGoneError);`,
  );
  await t.step(`one error class makes less than ${ERROR_CLASS_LIMIT} bytes`, () => {
    assertStringIncludes(error, "ERR_SESSION_GONE");
    assert(error.length < ERROR_CLASS_LIMIT, `${error.length} bytes`);
  });
  await t.step("which says something: the whole package makes many times as much", async () => {
    const whole = await bundled(`import { sessions } from "${config.name}"; console.log(sessions);`);
    assert(whole.length > 10 * ERROR_CLASS_LIMIT, `${whole.length} bytes`);
  });
});

for (const version of [20, 26] as NodeVersion[]) {
  Deno.test(`Node ${nodeVersion(version)} loads every entry by import and by require, without a word`, async () => {
    const specifiers = ENTRIES.map((entry) => entry.replace(".", config.name));
    const ways = { module: "await import(name)", commonjs: "require(name)" };
    for (const [type, load] of Object.entries(ways)) {
      const script = `for (const name of ${
        JSON.stringify(specifiers)
      }) console.log(Object.keys(${load})[0]);`;
      const { out, err } = await run(nodeBinary(version), [`--input-type=${type}`, "--eval", script]);
      assertEquals(out.trim().split("\n").length, ENTRIES.length);
      assertEquals([out.includes("undefined"), err], [false, ""], type);
    }
    const { out } = await run(nodeBinary(version), [
      "--input-type=commonjs",
      "--eval",
      `console.log(require("${config.name}").sessions())`,
    ]);
    assertEquals(out, "SessionManager {}\n");
  });
}

Deno.test("The README's snippet of a store runs on Node as it is pasted", async () => {
  const [snippet] = fencesIn(sectionIn(readRepoFile("README.md"), "Stores"));
  await Deno.writeTextFile(`${app.dir}/main.mjs`, snippet!.text);
  await Deno.writeTextFile(
    `${app.dir}/user.mjs`,
    snippet!.text + `
const session = await manager.load();
session.put("name", "Zoë");
const { token } = await session.commit();
console.log((await manager.load(token)).get("name"));
`,
  );
  for (const version of [20, 26] as NodeVersion[]) {
    assertEquals(await run(nodeBinary(version), ["main.mjs"]), { out: "", err: "" });
    assertEquals((await run(nodeBinary(version), ["user.mjs"])).out, "Zoë\n");
  }
});

/** An application with the lowest versions of its peers: a login in Hono on libSQL, the user's sessions, a logout. */
const LOWEST = `
import { createClient } from "@libsql/client";
import { Client } from "@planetscale/database";
import { Hono } from "hono";
import { sessions } from "@x/sessions";
import { honoSessions } from "@x/sessions/middleware/hono";
import { LibSQLStore } from "@x/sessions/stores/libsql";
import { PlanetScaleStore } from "@x/sessions/stores/planetscale";

new PlanetScaleStore(new Client({ url: "mysql://user:password@host/database" }));
const store = new LibSQLStore(createClient({ url: "file:sessions.db" }));
await store.createTable();
const manager = sessions({ store });
const app = new Hono().use(honoSessions(manager))
  .post("/", async (c) => {
    const session = await c.var.session();
    session.renewToken();
    session.subject = "zoe";
    session.put("userId", 42);
    return c.text("in");
  })
  .get("/", async (c) => c.text(String((await c.var.session()).get("userId"))));
const login = await app.request("https://example.com/", { method: "POST" });
const [cookie] = login.headers.get("Set-Cookie").split(";");
const home = async () => await (await app.request("https://example.com/", { headers: { Cookie: cookie } })).text();
console.log(await home(), await manager.destroyAll("zoe"), await home(), (await manager.purge()).done);
`;

Deno.test("The lowest versions of the optional peers are enough", async () => {
  const lowest = Object.entries(OPTIONAL_PEERS).map(([name, range]) =>
    [name, /\d+\.\d+\.\d+/.exec(range)![0]] as [string, string]
  );
  await using app = await installPacked({ dependencies: lowest });
  await Deno.writeTextFile(`${app.dir}/app.mjs`, LOWEST);
  const { out } = await run(nodeBinary(20), ["app.mjs"], app.dir);
  assertEquals(out, "42 1 undefined true\n");
});

/**
 * The public names, the imports of each module, and that importing a module has no effects.
 * @module
 */

import { assert, assertEquals } from "./assert.ts";
import config from "../deno.json" with { type: "json" };

const ROOT = new URL("../", import.meta.url);

/** The exports of each entry in deno.json. A change here belongs in the changelog. */
const PUBLIC: Record<keyof typeof config.exports, { values: string[]; types: string[] }> = {
  ".": {
    values: [
      "MemoryStore",
      "SessionClosedError",
      "SessionConfigError",
      "SessionConflictError",
      "SessionEncodeError",
      "SessionError",
      "SessionGoneError",
      "SessionStoreError",
      "SessionTooLargeError",
      "jsonCodec",
      "sessions",
    ],
    types: [
      "AnySessionError",
      "AtomicStore",
      "CleanupMode",
      "CleanupOptions",
      "Codec",
      "CommitResult",
      "CookieOptions",
      "DecodedSession",
      "DeleteExpiredOptions",
      "DeleteOptions",
      "Duration",
      "FindOptions",
      "IterableStore",
      "MemoryStoreOptions",
      "NextRow",
      "PurgeOptions",
      "PurgeResult",
      "PurgingStore",
      "RequestSession",
      "Session",
      "SessionContext",
      "SessionErrorCode",
      "SessionErrorHook",
      "SessionErrorInfo",
      "SessionEvent",
      "SessionEventHook",
      "SessionKey",
      "SessionManager",
      "SessionOptions",
      "SessionPhase",
      "SessionStatus",
      "SessionStore",
      "StoreErrorDetails",
      "StoreFailure",
      "StoreOperation",
      "StoreOptions",
      "StoredRow",
      "StoredSession",
      "SubjectSession",
      "SubjectStore",
      "TimedOptions",
      "WriteOptions",
    ],
  },
  "./stores/memory": { values: ["MemoryStore"], types: ["MemoryStoreOptions"] },
  "./stores/libsql": {
    values: ["LibSQLStore", "fetchWithTimeout"],
    types: [
      "LibSQLClient",
      "LibSQLResult",
      "LibSQLStatement",
      "LibSQLStoreOptions",
      "LibSQLValue",
      "SqlStoreOptions",
      "TursoClient",
    ],
  },
  "./stores/planetscale": {
    values: ["PlanetScaleStore", "fetchWithTimeout"],
    types: [
      "PlanetScaleClient",
      "PlanetScaleExecuteOptions",
      "PlanetScaleResult",
      "PlanetScaleStoreOptions",
      "PlanetScaleValue",
      "SqlStoreOptions",
    ],
  },
  "./stores/sharded": { values: ["ShardedStore"], types: ["Shard", "ShardedStoreOptions"] },
  "./stores/planetscale-sharded": {
    values: ["ShardedPlanetScaleStore", "fetchWithTimeout"],
    types: [
      "PlanetScaleClient",
      "PlanetScaleExecuteOptions",
      "PlanetScaleResult",
      "PlanetScaleStoreOptions",
      "PlanetScaleValue",
      "SqlStoreOptions",
    ],
  },
  "./stores/d1": {
    values: ["D1Store"],
    types: [
      "D1Database",
      "D1Queryable",
      "D1Result",
      "D1Statement",
      "D1StoreOptions",
      "D1Value",
      "SqlStoreOptions",
    ],
  },
  "./stores/sqlite": {
    values: ["SQLiteStore"],
    types: ["SQLiteDatabase", "SQLitePrepared", "SQLiteStoreOptions", "SqlStoreOptions"],
  },
  "./middleware/hono": { values: ["honoSessions"], types: ["HonoSessionsOptions", "SessionVariables"] },
  "./middleware/fetch": { values: ["withSessions"], types: ["FetchHandler", "SessionHandler"] },
  "./middleware/node": { values: ["nodeSessions"], types: ["NodeRequest", "NodeResponse", "NodeSessions"] },
  "./middleware/scheduled": { values: ["scheduledPurge"], types: ["PurgeHandler"] },
  "./codecs/gob": { values: ["gobCodec"], types: [] },
  "./testing": {
    values: ["cookieFor", "storeContract"],
    types: ["CookieForOptions", "StoreAbility", "StoreContractCase", "StoreContractOptions"],
  },
};

/**
 * The packages in a bundle of an entry, and this package's modules in it, by folder. Type imports leave no trace in a
 * bundle.
 */
const BUNDLES: Record<keyof typeof config.exports, { packages: string[]; stores: string[] }> = {
  ".": { packages: ["@noble/hashes/sha2.js", "tinyqueue"], stores: ["memory.ts"] },
  "./stores/memory": { packages: ["@noble/hashes/sha2.js", "tinyqueue"], stores: ["memory.ts"] },
  "./stores/libsql": { packages: [], stores: ["libsql.ts"] },
  "./stores/planetscale": { packages: [], stores: ["planetscale.ts"] },
  "./stores/sharded": { packages: [], stores: ["sharded.ts"] },
  "./stores/planetscale-sharded": { packages: [], stores: ["planetscale_sharded.ts", "planetscale.ts"] },
  "./stores/d1": { packages: [], stores: ["d1.ts"] },
  "./stores/sqlite": { packages: [], stores: ["sqlite.ts"] },
  "./middleware/hono": { packages: [], stores: [] },
  "./middleware/fetch": { packages: [], stores: [] },
  "./middleware/node": { packages: [], stores: [] },
  "./middleware/scheduled": { packages: [], stores: [] },
  "./codecs/gob": { packages: [], stores: [] },
  "./testing": { packages: [], stores: [] },
};

/** The package that each module may import. All others import none. */
const PACKAGES: Record<string, string[]> = {
  "core/bytes/token.ts": ["@noble/hashes/sha2.js"],
  "stores/memory.ts": ["tinyqueue"],
  "middleware/hono.ts": ["hono"],
};

/** The folders that modules of a folder may import, besides their own. */
const LAYERS: Record<string, string[]> = {
  core: [],
  codecs: ["core"],
  stores: ["core"],
  middleware: ["core"],
  testing: ["core"],
};

interface Import {
  specifier: string;
  isType: boolean;
}

// The formatter puts statements at the beginning of a line.
const IMPORT = new RegExp(
  [
    /^import\s+(type\s)?(?:[^;"]*?\sfrom\s+)?"([^"]+)"/,
    /^export\s+(type\s)?(?:\{[^}]*\}|\*(?: as \w+)?)\s+from\s+"([^"]+)"/,
    /\bimport\(\s*"([^"]+)"/,
  ].map(({ source }) => source).join("|"),
  "gm",
);

/** The imports and re-exports of a module. Comments are removed first, because they hold examples. */
async function importsOf(path: string): Promise<Import[]> {
  const source = await Deno.readTextFile(new URL(path, ROOT));
  const code = source.replace(/\/\*[^]*?\*\//g, "");
  return Array.from(code.matchAll(IMPORT), ([, type, specifier, typeAgain, again, dynamic]) => {
    return { specifier: specifier ?? again ?? dynamic!, isType: (type ?? typeAgain) !== undefined };
  });
}

/** A relative import as a path from the root. */
function resolve(specifier: string, from: string): string | undefined {
  if (!specifier.startsWith(".")) return undefined;
  return new URL(specifier, new URL(from, ROOT)).pathname.slice(ROOT.pathname.length);
}

async function modulesOf(folder: string): Promise<string[]> {
  const modules: string[] = [];
  for await (const { name, isFile, isDirectory } of Deno.readDir(new URL(`${folder}/`, ROOT))) {
    if (isDirectory) modules.push(...await modulesOf(`${folder}/${name}`));
    if (isFile && name.endsWith(".ts")) modules.push(`${folder}/${name}`);
  }
  return modules.sort();
}

/** Every module and every package in a bundle of the entry. */
async function bundleOf(entry: string): Promise<{ modules: Set<string>; packages: Set<string> }> {
  const [modules, packages] = [new Set<string>([entry]), new Set<string>()];
  for (const path of modules) {
    for (const { specifier, isType } of await importsOf(path)) {
      if (isType) continue;
      const module = resolve(specifier, path);
      if (module === undefined) packages.add(specifier);
      else modules.add(module);
    }
  }
  return { modules, packages };
}

async function run(args: string[]): Promise<{ code: number; stdout: string; stderr: string }> {
  const { code, stdout, stderr } = await new Deno.Command(Deno.execPath(), {
    args,
    cwd: ROOT,
    env: { NO_COLOR: "1" },
    signal: AbortSignal.timeout(120_000),
  }).output();
  return { code, stdout: new TextDecoder().decode(stdout), stderr: new TextDecoder().decode(stderr) };
}

type Documents = Record<string, { symbols: { name: string }[] }>;

let documents: Promise<Documents> | undefined;

/** What `deno doc` finds in each entry. */
function documented(): Promise<Documents> {
  return documents ??= run(["doc", "--json", "--no-check", ...Object.values(config.exports)])
    .then(({ stdout }) => JSON.parse(stdout).nodes);
}

for (const [entry, path] of Object.entries(config.exports) as [keyof typeof config.exports, string][]) {
  Deno.test(`The entry "${entry}" exports exactly its public names`, async () => {
    const module = await import(new URL(path, ROOT).href) as object;
    assertEquals(Object.keys(module).sort(), PUBLIC[entry].values);

    const names = (await documented())[new URL(path, ROOT).href]!.symbols.map(({ name }) => name);
    assertEquals(names.filter((name) => !(name in module)).sort(), PUBLIC[entry].types);
  });

  Deno.test(`The entry "${entry}" bundles only what it needs`, async () => {
    const { modules, packages } = await bundleOf(path.slice("./".length));
    const stores = [...modules].filter((module) => /^stores\/[^_]/.test(module));
    assertEquals(
      { packages: [...packages].sort(), stores: stores.map((module) => module.slice("stores/".length)) },
      BUNDLES[entry],
    );
  });
}

for (const [folder, below] of Object.entries(LAYERS)) {
  Deno.test(`The modules of ${folder}/ import only from ${["it", ...below.map((name) => `${name}/`)].join(" and ")}`, async () => {
    for (const path of await modulesOf(folder)) {
      for (const { specifier } of await importsOf(path)) {
        const target = resolve(specifier, path)?.split("/")[0];
        if (target === undefined) {
          assertEquals(PACKAGES[path]?.includes(specifier), true, `${path}: ${specifier}`);
        } else assertEquals([folder, ...below].includes(target), true, `${path}: ${specifier}`);
      }
    }
  });
}

/** What programs outside the project import beside the package: the drivers of its stores, and assertions. */
const COMPANIONS = ["@libsql/client", "@planetscale/database", "@std/assert"];

Deno.test("The import map for applications has the packages that the modules import, the drivers and assertions", () => {
  const names = Object.values(PACKAGES).flat().map((specifier) => /^(@[^/]+\/)?[^/]+/.exec(specifier)![0]);
  assertEquals(Object.keys(config.imports).sort(), [...new Set([...names, ...COMPANIONS])].sort());
  // `deno task` downloads everything in a lock file, and this lock file has the servers of the tests.
  assertEquals(config.lock, false);
});

Deno.test("The module hono.ts imports only types from Hono", async () => {
  const hono = (await importsOf("middleware/hono.ts")).filter(({ specifier }) => specifier === "hono");
  assertEquals(hono, [{ specifier: "hono", isType: true }]);
});

Deno.test("The imports of a module are found in every form, and not in comments", async () => {
  assertEquals((await importsOf("mod.ts")).filter(({ specifier }) => specifier.includes("memory")), [
    { specifier: "./stores/memory.ts", isType: false },
    { specifier: "./stores/memory.ts", isType: false },
  ]);
  assertEquals((await importsOf("tests/public_api_test.ts")).map(({ specifier }) => specifier).slice(0, 2), [
    "./assert.ts",
    "../deno.json",
  ]);
});

// Everything that Workers forbid before the first request, or that would make an import slow.
const GUARD = `
const forbid = (object, name) => {
  object[name] = () => { throw new Error("something called " + name + " before it was used"); };
};
for (const name of ["setTimeout", "setInterval", "fetch"]) forbid(globalThis, name);
for (const name of ["getRandomValues", "randomUUID"]) forbid(crypto, name);
for (const name of ["now", "mark"]) forbid(performance, name);
for (const name of Object.getOwnPropertyNames(SubtleCrypto.prototype)) {
  if (name !== "constructor") forbid(SubtleCrypto.prototype, name);
}
forbid(Math, "random");
forbid(Date, "now");
`;

/** Runs a script behind the guard, without permissions, and returns the guard's complaints. */
async function complaintsOf(imports: string[], script: string): Promise<string> {
  const directory = await Deno.makeTempDir({ prefix: "sessions_test_" });
  try {
    await Deno.writeTextFile(`${directory}/guard.js`, GUARD);
    const main = [`import "./guard.js";`, ...imports, script].join("\n");
    await Deno.writeTextFile(`${directory}/main.ts`, main);
    const permissions = ["--no-prompt", "--no-check", "--cached-only", "--no-lock"];
    const { code, stdout, stderr } = await run([
      "run",
      ...permissions,
      "--config",
      "deno.json",
      `${directory}/main.ts`,
    ]);
    return code === 0 ? stdout : stderr;
  } finally {
    await Deno.remove(directory, { recursive: true });
  }
}

const hrefOf = (path: string) => new URL(path, ROOT).href;

for (const [entry, path] of Object.entries(config.exports)) {
  Deno.test(`Importing the entry "${entry}" has no effects: no timer, no random number, no I/O, no clock`, async () => {
    assertEquals(await complaintsOf([`import "${hrefOf(path)}";`], `console.log("imported");`), "imported\n");
  });
}

Deno.test("Creating a manager, a store or a middleware has no effects, in every mode", async () => {
  const { "./stores/libsql": libSQL, "./stores/planetscale": planetScale, "./middleware/hono": hono } =
    config.exports;
  const imports = [
    `import { MemoryStore, sessions } from "${hrefOf("mod.ts")}";`,
    `import { fetchWithTimeout, LibSQLStore } from "${hrefOf(libSQL)}";`,
    `import { PlanetScaleStore } from "${hrefOf(planetScale)}";`,
    `import { honoSessions } from "${hrefOf(hono)}";`,
    `import { withSessions } from "${hrefOf("middleware/fetch.ts")}";`,
    `import { scheduledPurge } from "${hrefOf("middleware/scheduled.ts")}";`,
  ];
  const script = `
    const client = { execute() { throw new Error("asked"); }, batch() { throw new Error("asked"); } };
    for (const cleanup of ["lazy", "timer", "off"]) {
      const options = { cleanup, cleanupInterval: 1 };
      const stores = [new MemoryStore(options), new LibSQLStore(client, options), new PlanetScaleStore(client, options)];
      for (const store of [undefined, ...stores]) {
        const manager = sessions({ store, lifetime: "1h", idleTimeout: "20m" });
        honoSessions(manager);
        withSessions(manager, () => new Response());
        scheduledPurge(manager);
        manager.begin(new Request("https://example.com/"));
      }
    }
    fetchWithTimeout(1_000);
    honoSessions(() => { throw new Error("made"); });
    withSessions(() => { throw new Error("made"); }, () => new Response());
    scheduledPurge(() => { throw new Error("made"); });
    console.log("made");`;
  assertEquals(await complaintsOf(imports, script), "made\n");
});

Deno.test("The guard of the tests above notices a timer, a random number, the clock and I/O", async () => {
  for (
    const act of [
      "setTimeout(() => {}, 0)",
      "crypto.getRandomValues(new Uint8Array(1))",
      "Math.random()",
      "Date.now()",
      `crypto.subtle.digest("SHA-256", new Uint8Array())`,
      `Deno.readTextFileSync("deno.json")`,
    ]
  ) {
    const complaint = await complaintsOf([], `${act}; console.log("unseen");`);
    assertEquals(/before it was used|NotCapable/.test(complaint), true, act);
  }
});

Deno.test("A program outside the project reaches the package and its drivers by this import map", async () => {
  const dir = await Deno.makeTempDir();
  try {
    const lines = [
      ...COMPANIONS,
      "hono",
      ...Object.keys(config.exports).map((name) => config.name + name.slice(1)),
    ]
      .map((name) => `import ${JSON.stringify(name)};\n`);
    await Deno.writeTextFile(`${dir}/main.ts`, lines.join(""));
    const { success, stderr } = await new Deno.Command(Deno.execPath(), {
      args: [
        "check",
        "--quiet",
        `--config=${decodeURIComponent(new URL("../deno.json", import.meta.url).pathname)}`,
        `${dir}/main.ts`,
      ],
    }).output();
    assert(success, new TextDecoder().decode(stderr));
  } finally {
    await Deno.remove(dir, { recursive: true });
  }
});

Deno.test("An application that links a clone compiles with stricter options than the clone has", async () => {
  const dir = await Deno.makeTempDir();
  try {
    const options = {
      lock: false,
      links: [decodeURIComponent(new URL("../", import.meta.url).pathname)],
      imports: { hono: config.imports.hono },
      compilerOptions: {
        exactOptionalPropertyTypes: true,
        noUncheckedIndexedAccess: true,
        noUnusedLocals: true,
        noUnusedParameters: true,
      },
    };
    await Deno.writeTextFile(`${dir}/deno.json`, JSON.stringify(options));
    const names = Object.keys(config.exports).map((name) => config.name + name.slice(1));
    await Deno.writeTextFile(
      `${dir}/main.ts`,
      names.map((name) => `import ${JSON.stringify(name)};\n`).join(""),
    );
    const args = ["check", "--quiet", "main.ts"];
    const { success, stderr } = await new Deno.Command(Deno.execPath(), { args, cwd: dir }).output();
    assert(success, new TextDecoder().decode(stderr));
  } finally {
    await Deno.remove(dir, { recursive: true });
  }
});

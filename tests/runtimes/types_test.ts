/**
 * The packed package under TypeScript. A strict application and every declaration of the package compile with the oldest
 * supported compiler and the newest, in both modes of module resolution, with Node's types and with only the web's. A
 * wrong application does not.
 */

import config from "../../deno.json" with { type: "json" };
import { assertEquals, assertStringIncludes } from "../assert.ts";
import { nodeBinary } from "../services/node.ts";
import { installPacked, type PackedApp } from "../services/packed.ts";

/** Alias in the application, and version. */
const COMPILERS = { "typescript-5.4": "npm:typescript@5.4.5", "typescript-newest": "npm:typescript@7.0.2" };

const MODULES = {
  nodenext: { module: "nodenext", moduleResolution: "nodenext" },
  bundler: { module: "esnext", moduleResolution: "bundler" },
};

/** Node's types define `Request` and the like. Without them the DOM's types do. */
const GLOBALS = {
  "@types/node": { types: ["node"], lib: ["es2022"] },
  "no @types/node": { types: [], lib: ["es2022", "dom", "dom.iterable"] },
};

/** better-sqlite3's types are a package of their own. Compilers before 6.0 compare its generic methods more strictly. */
const BETTER_SQLITE3 = `import { SQLiteStore } from "@x/sessions/stores/sqlite";
import type Database from "better-sqlite3";

export const storeOf = (database: Database.Database): SQLiteStore => new SQLiteStore(database);
`;

/** Its error shows that a compiler looks at all. */
const WRONG = `import { sessions } from "@x/sessions";

export const wrong: string = sessions();
`;

async function install(): Promise<PackedApp> {
  const others = Object.entries(COMPILERS);
  const app = await installPacked({
    // Node's types of the oldest Node. Newer ones need a newer compiler.
    dependencies: [
      "hono",
      "@libsql/client",
      "@planetscale/database",
      ["@types/node", "^20.0.0"],
      ["@types/better-sqlite3", "^7.6.0"],
      ...others,
    ],
  });
  await Deno.copyFile(new URL("./_typed_app.ts", import.meta.url), `${app.dir}/app.ts`);
  await Deno.writeTextFile(`${app.dir}/better_sqlite3.ts`, BETTER_SQLITE3);
  await Deno.writeTextFile(`${app.dir}/wrong.ts`, WRONG);
  return app;
}

/** Every declaration of the package, those of its inner modules too. */
function declarationsIn(directory: string): string[] {
  return [...Deno.readDirSync(directory)].flatMap(({ name, isDirectory }) => {
    const path = `${directory}/${name}`;
    if (isDirectory) return declarationsIn(path);
    return name.endsWith(".d.ts") ? [path] : [];
  });
}

/** The compiler's errors in the application and in the package. Other packages have errors of their own. */
async function complaints(
  app: PackedApp,
  compiler: string,
  options: (typeof GLOBALS)[keyof typeof GLOBALS],
): Promise<string[]> {
  const project = `${app.dir}/tsconfig.${crypto.randomUUID()}.json`;
  const compilerOptions = {
    ...options,
    target: "es2022",
    noEmit: true,
    strict: true,
    exactOptionalPropertyTypes: true,
    noUncheckedIndexedAccess: true,
    noImplicitOverride: true,
    noPropertyAccessFromIndexSignature: true,
    verbatimModuleSyntax: true,
    skipLibCheck: false,
  };
  const own = ["app.ts", "wrong.ts", ...(options.types.length > 0 ? ["better_sqlite3.ts"] : [])];
  const files = [...own, ...declarationsIn(`${app.dir}/node_modules/${config.name}`)];
  await Deno.writeTextFile(project, JSON.stringify({ compilerOptions, files }));
  const { stdout, stderr } = await new Deno.Command(nodeBinary(26), {
    args: [`${app.dir}/node_modules/${compiler}/bin/tsc`, "--pretty", "false", "--project", project],
    cwd: app.dir,
    stdin: "null",
    stdout: "piped",
    stderr: "piped",
  }).output();
  const decoder = new TextDecoder();
  const lines = (decoder.decode(stdout) + decoder.decode(stderr)).split("\n");
  // An error without a file, such as one about the options, or a crash, counts too.
  return lines.filter((line) =>
    /\S/.test(line) && !/^\s/.test(line) && !/^node_modules\/(?!@x\/)/.test(line)
  );
}

/** The oldest compiler takes four times as long as the newest. Two of the four ways have each part of a way. */
const WAYS_OF_OLDEST = ["nodenext, @types/node", "bundler, no @types/node"];

Deno.test("The packed package compiles under strict options", async (t) => {
  await using app = await install();
  for (const compiler of Object.keys(COMPILERS)) {
    for (const [resolution, modules] of Object.entries(MODULES)) {
      for (const [globals, types] of Object.entries(GLOBALS)) {
        const way = `${resolution}, ${globals}`;
        if (compiler === "typescript-5.4" && !WAYS_OF_OLDEST.includes(way)) continue;
        await t.step(`${compiler}, ${way}`, async () => {
          const found = await complaints(app, compiler, { ...modules, ...types });
          const [wrong, right] = [true, false].map((is) =>
            found.filter((one) => one.startsWith("wrong.ts") === is)
          );
          assertEquals(right, []);
          assertStringIncludes(wrong!.join("\n"), "is not assignable to type 'string'");
        });
      }
    }
  }
});

/**
 * The layers of `docs/architecture.md`: a module imports only lower layers and its own folder, and there are no import
 * cycles.
 * @module
 */

import { assert, assertEquals } from "./assert.ts";

const ROOT = new URL("../", import.meta.url);

/** From the lowest layer up. The folders of one layer do not import each other. */
const LAYERS: readonly (readonly string[])[] = [
  ["core/errors.ts", "core/foreign.ts", "core/wait.ts"],
  ["core/bytes/", "core/events.ts"],
  ["core/store.ts"],
  ["core/options/"],
  ["core/store/"],
  ["core/state/"],
  ["core/engine.ts"],
  ["core/session.ts"],
  ["core/http/"],
  ["core/manager.ts"],
  ["stores/", "middleware/", "codecs/"],
  ["mod.ts", "testing/"],
];

function layerOf(path: string): number {
  const layer = LAYERS.findIndex((folders) => folders.some((folder) => path.startsWith(folder)));
  assert(layer >= 0, `${path} is in no layer`);
  return layer;
}

function folderOf(path: string): string {
  return LAYERS[layerOf(path)]!.find((folder) => path.startsWith(folder))!;
}

const imports = new Map<string, string[]>();
for (const place of ["mod.ts", "core/", "stores/", "middleware/", "codecs/", "testing/"]) {
  await addImports(place);
}

async function addImports(place: string): Promise<void> {
  if (!place.endsWith("/")) {
    const source = await Deno.readTextFile(new URL(place, ROOT));
    const code = source.replaceAll(/\/\*\*[^]*?\*\//g, "");
    const found = code.matchAll(/^(?:import|export)\b[^;]*?\bfrom "(\.[^"]+)";/gm);
    const own = new URL(place, ROOT);
    imports.set(place, Array.from(found, ([, to]) => new URL(to!, own).pathname.slice(ROOT.pathname.length)));
    return;
  }
  for await (const { name, isDirectory } of Deno.readDir(new URL(place, ROOT))) {
    if (isDirectory) await addImports(`${place}${name}/`);
    else if (name.endsWith(".ts")) await addImports(place + name);
  }
}

Deno.test("A module imports only lower layers and its own folder", () => {
  assert(imports.size > 50, `only ${imports.size} modules were found`);
  const wrong: string[] = [];
  for (const [from, targets] of imports) {
    for (const to of targets) {
      if (folderOf(from) !== folderOf(to) && layerOf(to) >= layerOf(from)) wrong.push(`${from} -> ${to}`);
    }
  }
  assertEquals(wrong, []);
});

Deno.test("There are no import cycles", () => {
  const done = new Set<string>();
  const cycles: string[] = [];
  const visit = (path: string, above: readonly string[]): void => {
    if (above.includes(path)) cycles.push([...above.slice(above.indexOf(path)), path].join(" -> "));
    else if (!done.has(path)) {
      for (const to of imports.get(path) ?? []) visit(to, [...above, path]);
      done.add(path);
    }
  };
  for (const path of imports.keys()) visit(path, []);
  assertEquals(cycles, []);
});

Deno.test("A store knows nothing of sessions, requests or the manager", () => {
  const wrong: string[] = [];
  for (const [from, targets] of imports) {
    if (!from.startsWith("stores/")) continue;
    for (const to of targets) {
      if (/^core\/(?:state|http)\/|^core\/(?:engine|session|manager)\.ts$/.test(to)) {
        wrong.push(`${from} -> ${to}`);
      }
    }
  }
  assertEquals(wrong, []);
});

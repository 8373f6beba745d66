/**
 * The floors of `docs/architecture.md`: a module imports what lies below it or beside it in its folder, and nothing goes
 * round in a circle.
 * @module
 */

import { assert, assertEquals } from "./assert.ts";

const ROOT = new URL("../", import.meta.url);

/** From the ground upwards. Those on one floor do not know each other. */
const FLOORS: readonly (readonly string[])[] = [
  ["core/errors.ts", "core/wait.ts"],
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

function floorOf(path: string): number {
  const floor = FLOORS.findIndex((rooms) => rooms.some((room) => path.startsWith(room)));
  assert(floor >= 0, `${path} is on no floor`);
  return floor;
}

function roomOf(path: string): string {
  return FLOORS[floorOf(path)]!.find((room) => path.startsWith(room))!;
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

Deno.test("A module imports only what lies below it, or beside it in its folder", () => {
  assert(imports.size > 50, `only ${imports.size} modules were found`);
  const wrong: string[] = [];
  for (const [from, targets] of imports) {
    for (const to of targets) {
      if (roomOf(from) !== roomOf(to) && floorOf(to) >= floorOf(from)) wrong.push(`${from} -> ${to}`);
    }
  }
  assertEquals(wrong, []);
});

Deno.test("No imports go round in a circle", () => {
  const done = new Set<string>();
  const circles: string[] = [];
  const visit = (path: string, above: readonly string[]): void => {
    if (above.includes(path)) circles.push([...above.slice(above.indexOf(path)), path].join(" -> "));
    else if (!done.has(path)) {
      for (const to of imports.get(path) ?? []) visit(to, [...above, path]);
      done.add(path);
    }
  };
  for (const path of imports.keys()) visit(path, []);
  assertEquals(circles, []);
});

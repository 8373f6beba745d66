/** The page tells a reader to install what the tests install. */
import config from "../../deno.json" with { type: "json" };
import { assertEquals } from "../assert.ts";
import { commandsOf, SECTIONS } from "./_page.ts";
import packages from "./packages.json" with { type: "json" };

/** What a compiler or an editor wants. Without it every recipe runs. */
const FOR_TYPES = /^(typescript$|@types\/)/;

Deno.test("docs/frameworks.md says to install what its tests install, and nothing else", () => {
  const installed = Object.assign({}, ...Object.values(packages)) as Record<string, string>;
  const said = [...SECTIONS, "WebSockets"].flatMap((section) => commandsOf(section).packages).filter((
    { name },
  ) => name !== config.name);
  const names = [...new Set(said.map(({ name }) => name))];
  assertEquals(names.sort(), Object.keys(installed).filter((name) => !FOR_TYPES.test(name)).sort());
  for (const { name, version } of said) assertEquals(version ?? installed[name], installed[name]);
});

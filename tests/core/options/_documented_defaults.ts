/**
 * Reads the options of an interface and their documented defaults from the source.
 * @module
 */

/** The options of an interface by name, each with the text of its `@default {...}`, if any. */
export function documentedDefaults(source: string, name: string): Map<string, string | undefined> {
  const body = new RegExp(`export interface ${name}(?: extends \\w+)? {\\n([^]*?)\\n}\\n`).exec(source)?.[1];
  if (body === undefined) throw new Error(`There is no interface ${name}`);
  const members = body.matchAll(/\/\*\*((?:(?!\*\/)[\s\S])*)\*\/\s*(?:readonly )?(\w+)\?:/g);
  return new Map(Array.from(members, ([, comment, option]) => {
    return [option!, /@default \{([^}]*)\}/.exec(comment!)?.[1]];
  }));
}

/** The text of a source file of the package. */
export function sourceOf(path: string): string {
  return Deno.readTextFileSync(new URL(`../../../${path}`, import.meta.url));
}

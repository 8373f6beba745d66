import config from "../deno.json" with { type: "json" };

/** The secret with which libraries sign or encrypt cookies. */
export const SECRET = "a secret of at least thirty-two characters";

/** Names of packages with their pinned versions. */
export function versions(...names: (keyof typeof config.imports)[]): string[] {
  return names.map((name) => `${name} ${config.imports[name].split("@").at(-1)}`);
}

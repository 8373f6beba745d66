import config from "../deno.json" with { type: "json" };

/** For handlers that a secret signs or encrypts cookies for. */
export const SECRET = "a secret of at least thirty-two characters";

/** Names of packages with the versions that they are pinned to. */
export function versions(...names: (keyof typeof config.imports)[]): string[] {
  return names.map((name) => `${name} ${config.imports[name].split("@").at(-1)}`);
}

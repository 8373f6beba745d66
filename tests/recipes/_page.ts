/**
 * The recipes as they stand in docs/frameworks.md.
 * @module
 */

import { fencesIn, readRepoFile, sectionIn } from "../_markdown.ts";

const PAGE = readRepoFile("docs/frameworks.md");

/** Every section of the page that has files. */
export const SECTIONS = [...PAGE.matchAll(/^## (.+)$/gm)].map(([, heading]) => heading!);

/** The file that all recipes share. */
export const MANAGER = filesIn(PAGE.slice(0, PAGE.indexOf("\n## ")))["manager.ts"]!;

/** The files of a recipe: each stands in a fence below its name. */
export function recipe(section: string): Record<string, string> {
  const files = filesIn(ownPartOf(section));
  if (Object.keys(files).length === 0) throw new Error(`docs/frameworks.md has no file under ${section}`);
  return files;
}

/** What a reader types for a recipe. */
export interface Commands {
  /** The packages to install, each with its version where the page names one. */
  packages: { name: string; version: string | undefined }[];
  build: string[];
  start: string;
}

/** The commands of a recipe: they stand in its first fence. */
export function commandsOf(section: string): Commands {
  const [fence] = fencesIn(ownPartOf(section));
  if (fence?.language !== "sh") throw new Error(`docs/frameworks.md has no commands under ${section}`);
  const lines = fence.text.trim().split("\n");
  const isInstall = (line: string) => /^(npm install|bun add) /.test(line);
  return {
    packages: lines.filter(isInstall).flatMap((line) => line.split(" ").slice(2)).map((text) => {
      const [, name, version] = /^(.[^@]*)(?:@(.+))?$/.exec(text)!;
      return { name: name!, version };
    }),
    build: lines.filter((line) => !isInstall(line)).slice(0, -1),
    start: lines.at(-1)!,
  };
}

/** A section without those below it. */
function ownPartOf(section: string): string {
  return sectionIn(PAGE, section).split(/^#+ /m)[0]!;
}

function filesIn(markdown: string): Record<string, string> {
  const fences = markdown.matchAll(/^`([^`\n]+)`\n\n```\w+[^\n]*\n(.*?)^```$/gms);
  return Object.fromEntries([...fences].map(([, name, text]) => [name!, text!]));
}

/** A file with more where it says so. */
export function withRoutes(file: string, routes: string): string {
  const parts = file.split("// Your routes.");
  if (parts.length !== 2) throw new Error(`A recipe must say once where further routes go:\n${file}`);
  return parts.join(routes);
}

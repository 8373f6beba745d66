/**
 * The recipes as they stand in docs/frameworks.md.
 * @module
 */

import { readRepoFile, sectionIn } from "../_markdown.ts";

const PAGE = readRepoFile("docs/frameworks.md");

/** Every section of the page that has files. */
export const SECTIONS = [...PAGE.matchAll(/^## (.+)$/gm)].map(([, heading]) => heading!);

/** The file that all recipes share. */
export const MANAGER = filesIn(PAGE.slice(0, PAGE.indexOf("\n## ")))["manager.ts"]!;

/** The files of a recipe: each stands in a fence below its name. */
export function recipe(section: string): Record<string, string> {
  const files = filesIn(sectionIn(PAGE, section));
  if (Object.keys(files).length === 0) throw new Error(`docs/frameworks.md has no file under ${section}`);
  return files;
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

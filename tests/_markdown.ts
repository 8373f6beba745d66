/**
 * Reads Markdown files for the tests of the documentation.
 * @module
 */

const ROOT = new URL("../", import.meta.url);

/** The text of a file of the repository. */
export function readRepoFile(path: string): string {
  return Deno.readTextFileSync(new URL(path, ROOT));
}

/** A fenced block of code. */
export interface Fence {
  language: string;
  text: string;
}

/** Every fenced block, in order, without its indentation. */
export function fencesIn(markdown: string): Fence[] {
  return [...markdown.matchAll(/^( *)```(\w*)(?: ignore)?\n(.*?)^\1```$/gms)].map((
    [, indent, language, text],
  ) => ({
    language: language!,
    text: text!.replaceAll(new RegExp(`^${indent}`, "gm"), ""),
  }));
}

/** The rows of the table whose header starts with these cells, each as its cells. */
export function tableIn(markdown: string, ...header: string[]): string[][] {
  const rows = markdown.split("\n").map((line) =>
    /^ *\|.*\|$/.test(line) ? line.trim().slice(1, -1).split("|").map((cell) => cell.trim()) : undefined
  );
  const start = rows.findIndex((row) => row && header.every((cell, index) => row[index] === cell));
  if (start < 0) throw new Error(`There is no table with the header ${header.join(" | ")}`);
  const end = rows.findIndex((row, index) => index > start && row === undefined);
  return rows.slice(start + 2, end).map((row) => row!);
}

/** The `code` spans of a text. */
export function codeIn(text: string): string[] {
  return [...text.matchAll(/`` (.+?) ``|`([^`\n]+)`/g)].map(([, double, single]) => (double ?? single)!);
}

/** The part under a heading, up to the next one of its level or above. */
export function sectionIn(markdown: string, heading: string): string {
  const lines = markdown.split("\n");
  const start = lines.findIndex((line) => /^#+ /.test(line) && line.replace(/^#+ /, "") === heading);
  if (start < 0) throw new Error(`There is no heading ${heading}`);
  const level = lines[start]!.indexOf(" ");
  const length = lines.slice(start + 1).findIndex((line) => /^#+ /.test(line) && line.indexOf(" ") <= level);
  return lines.slice(start + 1, length < 0 ? undefined : start + 1 + length).join("\n");
}

/**
 * The comparison as a page of the documentation.
 *
 * @module
 */

import type { Column } from "./_column.ts";
import { KINDS } from "./costs.ts";
import { type Cell, type Mark, type Situation, SITUATIONS } from "./situations.ts";

/** All that was seen, of all libraries. */
export interface Results {
  /** As `2026-11-28`. */
  date: string;
  runtime: string;
  /** This library is the first. */
  columns: Column[];
}

const ROOT = new URL("../../", import.meta.url);

/** Where the page is. */
export const PAGE = new URL("docs/comparison.md", ROOT);

/** Where the results are, which the page is made of. */
export const RESULTS = new URL("bench/compare/results.json", ROOT);

/** Where the responses are. */
export const RESPONSES = new URL("bench/compare/responses.jsonl", ROOT);

const MARKS: Record<Mark, string> = { good: "✓", part: "~", bad: "✗", none: "–" };

const RANKS: Record<Mark, number> = { good: 3, part: 2, bad: 1, none: 0 };

/** The page, as the formatter leaves it. */
export async function page(results: Results): Promise<string> {
  return await formatted(markdown(results), "md");
}

/** A text as the project's formatter leaves it. */
export async function formatted(text: string, extension: string): Promise<string> {
  const child = new Deno.Command(Deno.execPath(), {
    args: ["fmt", "--quiet", "--config", new URL("deno.json", ROOT).pathname, "--ext", extension, "-"],
    stdin: "piped",
    stdout: "piped",
  }).spawn();
  const writer = child.stdin.getWriter();
  await writer.write(new TextEncoder().encode(text));
  await writer.close();
  const { success, stdout } = await child.output();
  if (!success) throw new Error("deno fmt failed");
  return new TextDecoder().decode(stdout);
}

function markdown(results: Results): string {
  const { columns } = results;
  const sections = Map.groupBy(SITUATIONS, ({ section }) => section);
  return [
    introduction(results),
    "## In short",
    "",
    shortTable(columns),
    "",
    "✓ yes, ~ in part, ✗ no, – there is no such thing. The rest of the page says what was seen.",
    "",
    ...[...sections].flatMap(([section, situations]) => [
      `## ${section}`,
      "",
      wholeTable(columns, situations),
      "",
      ...situations.map(({ title, steps }) => `- ${capital(title)}: ${steps}`),
      "",
    ]),
    "## What a request costs",
    "",
    "Calls of the store before the answer is complete, and the bytes of headers that the session adds to the answer. What is signed or encrypted varies by a few bytes.",
    "",
    table([
      ["", ...names(columns)],
      ...KINDS.map(({ id, title }) => [title, ...columns.map(({ costs }) => costs[id]!.text)]),
    ]),
    "",
    "## Where we are not the best, or not alone",
    "",
    "A row that is missing here is one in which no other library does as well. Where others are as good, equal is what we mean to be.",
    "",
    ...SITUATIONS.flatMap((situation) => standing(columns, situation)),
    "",
    "Of the costs:",
    "",
    ...KINDS.flatMap((kind) => costStanding(columns, kind)),
    "",
    "## How each was set up",
    "",
    table([
      ["", "versions", "sessions are in", "as its documentation says"],
      ...columns.map(({ about }) => [
        about.name,
        about.packages.join(", "),
        about.store,
        about.pages.map(({ url, says }) => `[${says}](${url})`).join("; "),
      ]),
    ]),
    "",
    ...columns.filter(({ about }) => about.notes.length > 0).map(({ about }) =>
      `- **${about.name}**: ${about.notes.join(" ")}`
    ),
    "",
  ].join("\n");
}

function introduction({ date, runtime, columns }: Results): string {
  return `# Beside other libraries

<!-- Written by \`deno task compare\`, from bench/compare. -->

The same little app on ${columns.length} libraries, each set up as its own documentation says, and driven by HTTP requests.
\`deno task compare\` does it again and writes this page: no cell is written by hand. What you see was seen on
${date}, on ${runtime}. Every request with its answer is in [bench/compare/responses.jsonl](../bench/compare/responses.jsonl),
the apps are in [bench/compare](../bench/compare) and [bench/peers/compare](../bench/peers/compare), and a test runs this
library's column again.

A mark answers what the row asks, and nothing else. These libraries want different things: better-auth signs users
in and is no place for other values, iron-session needs no store and says what that costs, the sessions of Remix
and of Fastify are a part of their framework. Where requests meet, each has read its session before the first one
saves: that is what a user with two tabs and a slow database has, and a gate in each handler makes it certain.
`;
}

const names = (columns: readonly Column[]) => columns.map(({ about }) => about.name);

/** The table for the README: marks alone. */
function shortTable(columns: readonly Column[]): string {
  return table([
    ["", ...names(columns)],
    ...SITUATIONS.filter(({ short }) => short).map(({ id, short }) => [
      short!,
      ...columns.map(({ cells }) => MARKS[cells[id]!.mark]),
    ]),
  ]);
}

function wholeTable(columns: readonly Column[], situations: readonly Situation[]): string {
  const text = ({ mark, text }: Cell) => `${MARKS[mark]} ${text}`;
  return table([
    ["", ...names(columns)],
    ...situations.map(({ id, title }) => [title, ...columns.map(({ cells }) => text(cells[id]!))]),
  ]);
}

/** The line of a row in which somebody else does as well or better. */
function standing(columns: readonly Column[], { id, title, why }: Situation): string[] {
  const [ours, ...others] = columns;
  const rank = ({ cells }: Column) => RANKS[cells[id]!.mark];
  const better = others.filter((other) => rank(other) > rank(ours!));
  const equal = others.filter((other) => rank(other) === rank(ours!));
  if (better.length + equal.length === 0) return [];
  const who = [
    better.length > 0 && `better: ${names(better).join(", ")}`,
    equal.length > 0 && `as good: ${names(equal).join(", ")}`,
  ].filter(Boolean).join("; ");
  return [`- **${capital(title)}** (${who}). ${why}`];
}

/** The line of a kind of request that costs elsewhere as little or less. */
function costStanding(columns: readonly Column[], { id, title, why }: (typeof KINDS)[number]): string[] {
  const [ours, ...others] = columns;
  const own = ours!.costs[id]!;
  const fewer = others.filter(({ costs }) => costs[id]!.calls < own.calls);
  const shorter = others.filter(({ costs }) => costs[id]!.bytes < own.bytes);
  const equal = others.filter(({ costs }) =>
    costs[id]!.calls === own.calls && costs[id]!.bytes === own.bytes
  );
  const who = [
    fewer.length > 0 && `fewer calls: ${names(fewer).join(", ")}`,
    shorter.length > 0 && `fewer bytes: ${names(shorter).join(", ")}`,
    equal.length > 0 && `the same: ${names(equal).join(", ")}`,
  ].filter(Boolean).join("; ");
  return who === "" ? [] : [`- **${capital(title)}** (${who}). ${why}`];
}

const capital = (text: string) => text[0]!.toUpperCase() + text.slice(1);

function table(rows: readonly (readonly string[])[]): string {
  const line = (cells: readonly string[]) => `| ${cells.join(" | ")} |`;
  const [header, ...rest] = rows;
  return [line(header!), line(header!.map(() => "---")), ...rest.map(line)].join("\n");
}

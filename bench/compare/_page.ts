/**
 * The comparison as a page of the documentation.
 *
 * @module
 */

import { formatted } from "../../tools/run.ts";
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

/** Where the short table is. */
export const README = new URL("README.md", ROOT);

/** Where the page is. */
export const PAGE = new URL("docs/comparison.md", ROOT);

/** Where the results are, which the page is made of. */
export const RESULTS = new URL("bench/compare/results.json", ROOT);

/** Where the responses are. */
export const RESPONSES = new URL("bench/compare/responses.txt", ROOT);

const MARKS: Record<Mark, string> = { good: "✓", part: "~", bad: "✗", none: "–" };

const RANKS: Record<Mark, number> = { good: 3, part: 2, bad: 1, none: 0 };

/** The page, as the formatter leaves it. */
export async function page(results: Results): Promise<string> {
  return await formatted(markdown(results), "md");
}

/** The README with the short table in it. */
export async function readmeWith({ columns, date }: Results, readme: string): Promise<string> {
  const [start, end] = ["<!-- comparison -->", "<!-- /comparison -->"];
  const [before, rest = ""] = readme.split(start);
  const [, after] = rest.split(end);
  if (after === undefined) throw new Error(`README.md has no ${start} and ${end}`);
  const legend = `✓ yes, ~ in part, ✗ no, – no such thing; seen on ${date}.`;
  return await formatted(`${before}${start}\n\n${shortTable(columns)}\n\n${legend}\n\n${end}${after}`, "md");
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
    "The calls of the store that a request makes, and the bytes of headers that the session adds to its answer. Cookies that are signed or encrypted vary by a few bytes.",
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
      ["", "versions", "sessions are in"],
      ...columns.map(({ about }) => [about.name, about.packages.join(", "), about.store]),
    ]),
    "",
    ...columns.map(({ about, app }) => {
      const pages = about.pages.map(({ url, says }) => `[${says}](${url})`).join("; ");
      return `- **${about.name}**: ${
        [`[its app](../${app}). From its documentation: ${pages}.`, ...about.notes].join(" ")
      }`;
    }),
    "",
  ].join("\n");
}

function introduction({ date, runtime, columns }: Results): string {
  const libraries = new Set(columns.map(({ about }) => about.packages[0])).size;
  return `# Beside other libraries

<!-- Written by \`deno task compare\`, from bench/compare. -->

The same little app on ${libraries} session libraries, each set up as its own documentation says, and driven by HTTP requests.
\`deno task compare\` does it again and writes this page: no cell is written by hand. What you see was seen on
${date}, on ${runtime}. Every request with its answer is in [responses.txt](../bench/compare/responses.txt), what is
done and how it is judged is in [situations.ts](../bench/compare/situations.ts), and a test runs this library's column
again.

A mark answers what the row asks, and nothing else. These libraries want different things. better-auth signs users in,
and its session is a part of that. iron-session needs no store, and its README says what that costs. The sessions of
Remix and Fastify belong to their frameworks.

Where requests meet, each has read its session before the first one saves, as with two tabs and a slow database. A gate
in each handler makes that certain.
`;
}

const names = (columns: readonly Column[]) => columns.map(({ about }) => about.name);

/** Some of the others, by whichever names are fewer. */
function listed(some: readonly Column[], others: readonly Column[]): string {
  const rest = others.filter((other) => !some.includes(other));
  if (rest.length === 0) return "all";
  return some.length <= rest.length + 1 ? names(some).join(", ") : `all but ${names(rest).join(", ")}`;
}

/** The rows of the short table, each with the situations that it stands for. */
const SHORT: readonly (readonly [title: string, ...ids: string[]])[] = [
  ["two requests write different keys: both are saved", "two-keys"],
  ["50 requests count at once: all are counted", "counter"],
  ["a cookie planted before the login gives nothing away", "planted"],
  ["a login beside other requests stays a login", "login-poll-reads", "login-poll-writes", "login-twice"],
  ["after a logout the old cookie is refused", "old-cookie"],
  ["a logout beside a slow request stays a logout", "logout-slow-save"],
  ["all sessions of a user end at once", "everywhere"],
  ["a store that fails signs nobody out", "store-down", "one-read-fails"],
  ["a save that fails is reported, and leaves nothing", "save-fails"],
  ["a garbage row locks nobody out", "garbage"],
  ["what is in the table is no cookie", "thief"],
  ["a visit without a write leaves no row and no cookie", "nobody-wrote"],
  ["a page that never asks costs no store call", "public"],
  ["a shared cache hands out nobody's page and no cookie", "cached-page", "cached-cookie"],
];

/** The table for the README: marks alone, of several situations the worst. */
function shortTable(columns: readonly Column[]): string {
  const worst = ({ cells }: Column, ids: readonly string[]) => {
    const marks = ids.map((id) => cells[id]!.mark).filter((mark) => mark !== "none");
    return marks.toSorted((one, other) => RANKS[one] - RANKS[other])[0] ?? "none";
  };
  return table([
    ["", ...names(columns)],
    ...SHORT.map(([title, ...ids]) => [title, ...columns.map((column) => MARKS[worst(column, ids)])]),
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
    better.length > 0 && `better: ${listed(better, others)}`,
    equal.length > 0 && `as good: ${listed(equal, others)}`,
  ].filter(Boolean).join("; ");
  return [`- **${capital(title)}** (${who}). ${why}`];
}

/** The line of a kind of request that costs elsewhere as little or less. */
function costStanding(columns: readonly Column[], { id, title, why }: (typeof KINDS)[number]): string[] {
  const [ours, ...others] = columns;
  const { calls = 0, bytes = 0 } = ours!.costs[id]!;
  const having = (isSo: (calls: number, bytes: number) => boolean) =>
    others.filter(({ costs }) => {
      const cost = costs[id]!;
      return cost.calls !== undefined && cost.bytes !== undefined && isSo(cost.calls, cost.bytes);
    });
  const fewer = having((theirs) => theirs < calls);
  const shorter = having((_, theirs) => theirs < bytes);
  const equal = having((theirCalls, theirBytes) => theirCalls === calls && theirBytes === bytes);
  const who = [
    fewer.length > 0 && `fewer calls: ${listed(fewer, others)}`,
    shorter.length > 0 && `fewer bytes: ${listed(shorter, others)}`,
    equal.length > 0 && `the same: ${listed(equal, others)}`,
  ].filter(Boolean).join("; ");
  return who === "" ? [] : [`- **${capital(title)}** (${who}). ${why}`];
}

const capital = (text: string) => text[0]!.toUpperCase() + text.slice(1);

function table(rows: readonly (readonly string[])[]): string {
  const line = (cells: readonly string[]) => `| ${cells.join(" | ")} |`;
  const [header, ...rest] = rows;
  return [line(header!), line(header!.map(() => "---")), ...rest.map(line)].join("\n");
}

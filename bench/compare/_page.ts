/**
 * The comparison as a page of the documentation.
 *
 * @module
 */

import { formatted } from "../../tools/run.ts";
import type { Column } from "./_column.ts";
import { KINDS } from "./costs.ts";
import { type Cell, type Mark, type Situation, SITUATIONS } from "./situations.ts";

/** The results of all libraries. */
export interface Results {
  /** As `2026-11-28`. */
  date: string;
  runtime: string;
  /** This library is the first. */
  columns: Column[];
}

const ROOT = new URL("../../", import.meta.url);

/** The page with the short table. */
export const README = new URL("README.md", ROOT);

/** Where the page is. */
export const PAGE = new URL("docs/comparison.md", ROOT);

/** The results, from which the page is made. */
export const RESULTS = new URL("bench/compare/results.json", ROOT);

/** Where the responses are. */
export const RESPONSES = new URL("bench/compare/responses.txt", ROOT);

const MARKS: Record<Mark, string> = { good: "✓", part: "~", bad: "✗", none: "–" };

const RANKS: Record<Mark, number> = { good: 3, part: 2, bad: 1, none: 0 };

/** The page, formatted. */
export async function page(results: Results): Promise<string> {
  return await formatted(markdown(results), "md");
}

/** The README with the short table in it. */
export async function readmeWith({ columns, date }: Results, readme: string): Promise<string> {
  const [start, end] = ["<!-- comparison -->", "<!-- /comparison -->"];
  const [before, rest = ""] = readme.split(start);
  const [, after] = rest.split(end);
  if (after === undefined) throw new Error(`README.md has no ${start} and ${end}`);
  const legend = `✓ yes, ~ in part, ✗ no, – not applicable; run on ${date}.`;
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
    "✓ yes, ~ in part, ✗ no, – not applicable. The rest of the page has the details.",
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
    "Store calls of a request, and bytes of headers that the session adds to its response. Signed and encrypted cookies vary by a few bytes.",
    "",
    table([
      ["", ...names(columns)],
      ...KINDS.map(({ id, title }) => [title, ...columns.map(({ costs }) => costs[id]!.text)]),
    ]),
    "",
    "## Where others are as good or better",
    "",
    "In a row that is not listed here, no other library does as well.",
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
      ["", "versions", "sessions are stored in"],
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
  return `# Compared with other libraries

<!-- Written by \`deno task compare\`, from bench/compare. -->

The same small app runs on ${libraries} session libraries, each set up as its own documentation says. A program sends it HTTP
requests. \`deno task compare\` runs everything again and writes this page, so no cell is written by hand. These are the
results of ${date}, on ${runtime}.

- [responses.txt](../bench/compare/responses.txt) has every request with its response.
- [situations.ts](../bench/compare/situations.ts) has the steps and how the result is judged.
- A test runs this library's column again.

A mark answers only what its row asks. The libraries have different goals. better-auth signs users in, and its session is
a part of that. iron-session needs no store, and its README says what that costs. The sessions of Remix and Fastify belong
to their frameworks.

In rows with concurrent requests, each request has loaded its session before the first one saves, as with two tabs and a
slow database. A gate in each handler makes sure of that.
`;
}

const names = (columns: readonly Column[]) => columns.map(({ about }) => about.name);

/** Names some of the other libraries, or all except the rest, whichever is shorter. */
function listed(some: readonly Column[], others: readonly Column[]): string {
  const rest = others.filter((other) => !some.includes(other));
  if (rest.length === 0) return "all";
  return some.length <= rest.length + 1 ? names(some).join(", ") : `all but ${names(rest).join(", ")}`;
}

/** The rows of the short table, each with its situations. */
const SHORT: readonly (readonly [title: string, ...ids: string[]])[] = [
  ["two concurrent requests write different keys: both are saved", "two-keys"],
  ["50 concurrent requests add 1: the sum is 50", "counter"],
  ["a cookie planted before the login gives no access after it", "planted"],
  [
    "a login stays signed in when other requests overlap it",
    "login-poll-reads",
    "login-poll-writes",
    "login-twice",
  ],
  ["after a logout the old cookie is refused", "old-cookie"],
  ["a logout during a slow request stays a logout", "logout-slow-save"],
  ["all sessions of a user can be ended at once", "everywhere"],
  ["a store failure signs nobody out", "store-down", "one-read-fails"],
  ["a failed save is reported and changes nothing", "save-fails"],
  ["an unreadable row locks nobody out", "garbage"],
  ["nothing in the table works as a cookie", "thief"],
  ["a visit without a write leaves no row and no cookie", "nobody-wrote"],
  ["a page that does not use the session makes no store call", "public"],
  ["a shared cache serves no visitor's page or cookie to another", "cached-page", "cached-cookie"],
];

/** The table for the README: only marks. Of several situations the worst counts. */
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

/** The line of a row in which another library does as well or better. */
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

/** The line of a kind of request that costs as little or less in another library. */
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

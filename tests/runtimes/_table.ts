/**
 * The table of behaviours as a page of the documentation.
 * @module
 */

import { isAmong, isMissing, type Runtime } from "./_matrix.ts";
import { ROWS } from "./_rows.ts";
import { allRuntimes } from "./_runtimes.ts";

/** Where the page is. */
export const PAGE = new URL("../../docs/runtimes.md", import.meta.url);

/** Only the names of the columns are needed, and no server. */
const never = () => Promise.reject(new Error("The table starts no server"));

/** The page, made from the list of behaviours. */
export function page(): string {
  const runtimes = allRuntimes(never, never);
  const cell = (row: (typeof ROWS)[string][number], runtime: Runtime) => {
    if (isMissing(row, runtime)) return "–";
    const notes = [
      ...(isAmong(row.ownHead, runtime) ? ["¹"] : []),
      ...(isAmong(row.keepsMarks, runtime) ? ["²"] : []),
      ...(isAmong(row.handlersHeadInHono, runtime) ? ["³"] : []),
    ];
    return ["yes", ...notes].join(" ");
  };
  const sections = Object.entries(ROWS).map(([title, rows]) =>
    [
      `## ${title}`,
      "",
      table([
        ["", ...runtimes.map(({ name }) => name.replace(/ (?=\d$)/, "&nbsp;"))],
        ...rows.map((row) => [row.title, ...runtimes.map((runtime) => cell(row, runtime))]),
      ]),
      "",
    ].join("\n")
  );
  return [INTRODUCTION, ...sections, NOTES].join("\n");
}

const INTRODUCTION = `# What a session changes of a response, on every runtime

<!-- Written by \`deno task runtimes\`, from tests/runtimes. -->

A response leaves with a session as it would have left without one: the same status line, headers, framing,
bytes and trailers. A session adds this, and nothing else:

| the session was      | headers added                                                  |
| -------------------- | -------------------------------------------------------------- |
| never asked for      | none                                                           |
| read, or written     | \`Vary: Cookie\`, and \`Cache-Control: private\` if there was none |
| created, or renewed  | \`Set-Cookie\`, \`Vary: Cookie\`, a private \`Cache-Control\`        |
| ended by \`destroy()\` | a \`Set-Cookie\` that deletes, and the same                      |

Each "yes" below is a test. It compares the handler with a session and without one, over a TCP connection that
decodes nothing, for \`honoSessions()\`, \`withSessions()\` and \`manager.begin()\` and for each use above. Node and
Bun run the package as npm would hand it out, installed by npm and by \`bun install\`. "–" means that the
runtime or the adapter has no such thing.

Two things are \`@hono/node-server\`'s own. It sends one \`Response\` object to many visitors: once that was read
for one, it stays \`private\` for all. And its version 1 answers a HEAD in Hono without the headers that were
added to the response after it was made, a session's among them.
`;

const NOTES =
  `¹ The runtime makes the head itself, and takes no header of the session's. What was changed is saved all the
same.

² A response that is sent to many keeps \`Vary: Cookie\` and \`private\` once somebody has asked for the session
with it. No cookie stays in it.

³ But for a HEAD in Hono: \`@hono/node-server\` 1 answers it with the headers that the handler gave, and leaves
out what any middleware has set since. What was changed is saved all the same.

A handler that passes on a compressed \`fetch()\` sends the same bytes with a session as without one. On Node
and Bun these are garbled either way, since \`fetch()\` has decoded the body and left \`Content-Encoding\` and
\`Content-Length\` in place: delete both there.
`;

/** A table as \`deno fmt\` writes it. */
function table(rows: string[][]): string {
  const widths = rows[0]!.map((_, column) => Math.max(3, ...rows.map((row) => row[column]!.length)));
  const line = (cells: string[]) =>
    `| ${cells.map((text, column) => text.padEnd(widths[column]!)).join(" | ")} |`;
  return [line(rows[0]!), line(widths.map((width) => "-".repeat(width))), ...rows.slice(1).map(line)].join(
    "\n",
  );
}

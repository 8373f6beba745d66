/**
 * The table of behaviours as a page of the documentation.
 * @module
 */

import { isAmong, isMissing, type Runtime } from "./_matrix.ts";
import { ROWS } from "./_rows.ts";
import { allRuntimes } from "./_runtimes.ts";

/** The URL of the page. */
export const PAGE = new URL("../../docs/runtimes.md", import.meta.url);

/** The table needs only the names of the runtimes. */
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
      ...(isAmong(row.losesRange, runtime) ? ["⁴"] : []),
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

A response has the same status line, headers, framing, bytes and trailers with a session as without one. A
session adds these headers and nothing else:

| the session was      | headers added                                                  |
| -------------------- | -------------------------------------------------------------- |
| never asked for      | none                                                           |
| read, or written     | \`Vary: Cookie\`, and \`Cache-Control: private\` if there was none |
| created, or renewed  | \`Set-Cookie\`, \`Vary: Cookie\`, a private \`Cache-Control\`        |
| ended by \`destroy()\` | a deletion \`Set-Cookie\`, and the same two                      |

Each "yes" below is a test. It runs a handler with a session and without one, and compares the bytes on a TCP
connection. It does so for \`honoSessions()\`, \`withSessions()\` and \`manager.begin()\`, and for each use above.
Node and Bun run the npm package, installed by npm and by \`bun install\`. "–" means that the runtime or the
adapter does not have the feature.

One difference comes from \`@hono/node-server\` 1: it answers a HEAD in Hono without the headers that were added
after the response was made. That includes a session's headers.

One difference comes from Bun: it sends \`new Response(Bun.file(path).slice(a, b))\` as a 206, but as a 200
where the session was asked for. Set the status and \`Content-Range\` yourself (⁴).
`;

const NOTES =
  `¹ The runtime makes the response's head itself, so the session can add no header. Changes are saved all the
same.

² The object keeps \`Vary: Cookie\` and \`private\` after one of the requests asked for its session. It never
keeps a cookie.

³ Except for a HEAD in Hono: \`@hono/node-server\` 1 sends the handler's headers and drops what any middleware
added. Changes are saved all the same.

⁴ Bun sends \`new Response(Bun.file(path).slice(a, b))\` as a 206 with \`Content-Range\` only while nothing has
looked at the response's headers. A session that is asked for does, so the response is a 200 with the same
bytes. For a part of a file set status 206 and \`Content-Range\` yourself.

A forgotten \`await\` is harmless on the request's session: on \`commit()\`, \`destroy()\`, \`mergeSession()\` and the
function that loads the session. The error still reaches \`onError\`. The manager's own methods reject as any
promise does: \`load()\`, \`sessionsOf()\`, \`destroySession()\`, \`destroyAll()\` and \`purge()\`. Await them, or add a
\`catch\`. A rejection that nothing handles ends the process on Deno and Node.

A handler that passes on a compressed \`fetch()\` response sends the same bytes with a session as without one.
On Node and Bun these bytes are garbled either way: \`fetch()\` decodes the body but leaves \`Content-Encoding\`
and \`Content-Length\` in place. Delete both headers there.
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

/**
 * What a session costs a request: its time over a bare Hono handler, beside other libraries in the same process.
 *
 *     deno run --allow-env bench/request.ts
 *
 * Each figure is the lower quartile of `ROUNDS` (40) rounds that take turns, so that whatever else the machine does meets
 * all alike and counts little. Read ratios rather than microseconds. `ONLY` names the libraries that are to be run, separated by commas.
 *
 * @module
 */

import { bare, type Subject, subjects } from "./_peers.ts";

const ROUNDS = Number(read("ROUNDS") ?? 40);
const ONLY = read("ONLY")?.split(",");
/** Requests of one round. */
const REQUESTS = 500;

const CASES = [
  { name: "no cookie", path: "/", withCookie: false },
  { name: "untouched", path: "/", withCookie: true },
  { name: "read", path: "/read", withCookie: true },
  { name: "write", path: "/write", withCookie: true },
] as const;

/** Environment variables need a permission that nobody has to give. */
function read(name: string): string | undefined {
  try {
    return Deno.env.get(name);
  } catch {
    return undefined;
  }
}

/** The cookie of a session that the subject made. */
async function signIn(subject: Subject): Promise<string> {
  const response = await subject.fetch(new Request("https://example.com/write"));
  const cookies = response.headers.getSetCookie().map((text) => text.split(";")[0]!);
  if (cookies.length === 0) throw new Error(`${subject.name} set no cookie`);
  return cookies.join("; ");
}

/** Microseconds a request, on average of one round. */
async function round(subject: Subject, path: string, headers: Record<string, string>): Promise<number> {
  const started = performance.now();
  for (let request = 0; request < REQUESTS; request++) {
    await subject.fetch(new Request(`https://example.com${path}`, { headers }));
  }
  return (performance.now() - started) * 1_000 / REQUESTS;
}

function lowerQuartile(values: number[]): number {
  return values.sort((a, b) => a - b)[Math.floor(values.length / 4)]!;
}

const chosen = subjects.filter(({ name }) => ONLY === undefined || ONLY.includes(name));
const cookies = new Map<Subject, string>();
for (const subject of chosen) cookies.set(subject, await signIn(subject));
const anyCookie = cookies.values().next().value!;

console.log(
  `Time over a bare Hono handler in microseconds, and how many times that of ${chosen[0]!.name}\n`,
);
console.log(["", ...CASES.map(({ name }) => name)].map((text) => text.padEnd(30)).join("").trimEnd());
const table = new Map(chosen.map((subject) => [subject, [] as number[]]));
const bareTimes: number[] = [];
for (const { path, withCookie } of CASES) {
  const times = new Map<Subject, number[]>([bare, ...chosen].map((subject) => [subject, []]));
  for (let turn = -5; turn < ROUNDS; turn++) {
    for (const [subject, taken] of times) {
      const cookie = cookies.get(subject) ?? anyCookie;
      const time = await round(subject, path, withCookie ? { cookie } : {});
      // The first rounds are for the compiler.
      if (turn >= 0) taken.push(time);
    }
  }
  const own = lowerQuartile(times.get(bare)!);
  bareTimes.push(own);
  for (const [subject, row] of table) row.push(lowerQuartile(times.get(subject)!) - own);
}
const first = table.get(chosen[0]!)!;
for (const [{ name }, row] of table) {
  const cells = row.map((time, index) => {
    const times = name === chosen[0]!.name ? "" : ` (x ${(time / first[index]!).toFixed(1)})`;
    return `${time.toFixed(1)}${times}`.padEnd(30);
  });
  console.log(name.padEnd(30) + cells.join("").trimEnd());
}
console.log(`\n${bare.name}: ${bareTimes.map((time) => time.toFixed(1)).join(", ")}`);

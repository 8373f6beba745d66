/**
 * The cost of a session in a request, compared with other libraries in the same process. On Deno it runs the sources, on Node
 * and Bun the packed package.
 *
 *     deno run --allow-all --no-lock --v8-flags=--expose-gc bench/request.ts
 *     deno run --allow-all --no-lock bench/run_on.ts node bench/request.ts --expose-gc
 *     deno run --allow-all --no-lock bench/run_on.ts bun bench/request.ts
 *
 * Each figure is the lower quartile of `ROUNDS` (40) rounds of `REQUESTS` (500) requests. The rounds of all libraries alternate,
 * and are long enough that each pays for its own garbage.
 *
 * - `CLOCK=cpu` counts processor time instead of elapsed time, for a busy machine.
 * - `ONLY` lists the libraries to run, and `CASES` the columns, separated by commas. Bare Hono always runs.
 *
 * @module
 */

import { CPU_TIME, measure, steps } from "./_measure.ts";
import { chosenBy, circumstances, figure, markdownTable, numberSetting } from "./_report.ts";
import { bareHono } from "./subjects/bare_hono.ts";
import { oursAsInstalled, oursWithIdleTimeout } from "./subjects/ours.ts";
import { type Route, ROUTES, seen, type Subject, VALUES } from "./subjects/subject.ts";

/**
 * Modules in `peers/`. They are loaded by name, so that their packages are not in the project's module graph.
 * Otherwise every test or check would download them.
 */
const PEERS = ["hono_sessions", "hono_session", "iron_session", "express_session", "better_auth"] as const;

interface Case {
  name: string;
  route: Route;
  withCookie: boolean;
}

const CASES: readonly Case[] = [
  { name: "no cookie", route: "untouched", withCookie: false },
  { name: "untouched", route: "untouched", withCookie: true },
  { name: "read", route: "read", withCookie: true },
  { name: "read an object", route: "object", withCookie: true },
  { name: "write", route: "write", withCookie: true },
  { name: "new session", route: "write", withCookie: false },
];

const ROUNDS = numberSetting("ROUNDS", 40);
const REQUESTS = numberSetting("REQUESTS", 500);
const isChosen = chosenBy("ONLY");
const isChosenCase = chosenBy("CASES");

const everyone: Subject[] = [bareHono(), oursAsInstalled(), oursWithIdleTimeout()];
/** On Node the types have been stripped. */
const extension = import.meta.url.endsWith(".ts") ? "ts" : "js";
for (const name of PEERS) {
  const { href } = new URL(`peers/${name}.${extension}`, import.meta.url);
  const { subjects } = await import(href) as { subjects: readonly Subject[] };
  everyone.push(...subjects);
}
const baseOf = (wanted: Subject["base"]) =>
  everyone.find(({ kind, base }) => kind === "base" && base === wanted)!;
const bases = { hono: baseOf("hono"), express: baseOf("express") };
const subjects = everyone.filter(({ kind, name }) => kind !== "base" && isChosen(name));
const cases = CASES.filter(({ name }) => isChosenCase(name));
const neededBases = Object.values(bases).filter(({ base }) =>
  base === "hono" || subjects.some((subject) => subject.base === base)
);

const cookies = new Map<Subject, string>();
for (const subject of subjects) {
  const cookie = await subject.signIn();
  if (cookie === "") throw new Error(`${subject.name} set no cookie`);
  cookies.set(subject, cookie);
  await assertWorks(subject, cookie);
}
const anyCookie = cookies.values().next().value!;

/** Microseconds of a request, by case and subject. */
const results = new Map<Case, Map<Subject, number>>();
for (const one of cases) {
  const able = subjects.filter(({ lacks }) => !lacks?.includes(one.route));
  const rounds = new Map([...neededBases, ...able].map((subject) => {
    const cookie = one.withCookie ? cookies.get(subject) ?? anyCookie : undefined;
    return [subject, steps(REQUESTS, () => subject.send(ROUTES[one.route], cookie))];
  }));
  results.set(one, await measure(rounds, { rounds: ROUNDS }));
}

/** Checks that sessions are really found and kept, because refusing them would be cheap. */
async function assertWorks(subject: Subject, cookie: string): Promise<void> {
  seen.value = undefined;
  await subject.send(ROUTES.read, cookie);
  if (seen.value !== VALUES.name) throw new Error(`${subject.name} found ${seen.value} in its session`);
  if (subject.lacks?.includes("write")) return;
  const counts: unknown[] = [];
  for (let write = 0; write < 2; write++) {
    await subject.send(ROUTES.write, cookie);
    counts.push(seen.value);
  }
  // A session in a cookie continues from that cookie.
  const expected = subject.kind === "cookie" ? [2, 2] : [2, 3];
  if (counts.join() !== expected.join()) throw new Error(`${subject.name} counted ${counts}`);
}

/**
 * The time of a request with the library on Hono. For a library on another base, that base's time is replaced by
 * Hono's.
 */
function onHono(subject: Subject, one: Case): number {
  const times = results.get(one)!;
  const time = times.get(subject) ?? NaN;
  return subject.base === "hono" ? time : time - times.get(bases[subject.base])! + times.get(bases.hono)!;
}

/** The fastest other library that keeps sessions in a store. */
function fastestPeer(one: Case): number {
  return Math.min(
    ...subjects.filter(({ kind }) => kind === "store").map((peer) => onHono(peer, one)).filter((time) =>
      time > 0
    ),
  );
}

const table = (of: readonly Subject[], cell: (subject: Subject, one: Case) => number, decimals: number) =>
  markdownTable(
    ["", ...cases.map(({ name }) => name)],
    of.map((subject) => [subject.name, ...cases.map((one) => figure(cell(subject, one), decimals))]),
  );

console.log(
  `${circumstances()}; ${ROUNDS} rounds of ${REQUESTS} requests${CPU_TIME ? ", processor time" : ""}\n`,
);
console.log("Microseconds of a request:\n");
console.log(table([...neededBases, ...subjects], (subject, one) => results.get(one)!.get(subject) ?? NaN, 1));
console.log(
  "\nTimes bare Hono (express-session: with the time of bare Express exchanged for that of bare Hono):\n",
);
console.log(table(subjects, (subject, one) => onHono(subject, one) / results.get(one)!.get(bases.hono)!, 2));
const own = subjects.filter(({ kind }) => kind === "ours");
if (own.length > 0 && own.length < subjects.length) {
  console.log("\nTimes the fastest other library that keeps sessions in a store:\n");
  console.log(table(own, (subject, one) => onHono(subject, one) / fastestPeer(one), 2));
}

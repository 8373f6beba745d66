/**
 * How often lazy clean-up purges, and how long an expired row stays, on a simulated day: `deno run bench/lazy.ts`.
 * Nothing is measured. The shipped rule is simulated with `SEEDS` (20) different seeds.
 * @module
 */

import {
  HOUR,
  MINUTE,
  type Outcome,
  SCENARIOS,
  SECOND,
  simulate,
} from "../tests/scenarios/cleanup/_simulation.ts";

const SEEDS = 20;

console.log(`median of ${SEEDS} seeds (least to most)`);
for (const [name, scenario] of Object.entries(SCENARIOS)) {
  const outcomes = Array.from({ length: SEEDS }, (_, index) => simulate({ ...scenario, seed: index + 1 }));
  const range = (figure: (outcome: Outcome) => number) => {
    const sorted = outcomes.map(figure).sort((a, b) => a - b);
    const [least, median, most] = [sorted[0]!, sorted[SEEDS / 2]!, sorted[SEEDS - 1]!].map(format);
    return least === most ? median : `${median} (${least} to ${most})`;
  };
  console.log(`\n${name}`);
  console.log(`  requests, inserts          ${range((o) => o.requests)}, ${range((o) => o.inserts)}`);
  console.log(`  purges                     ${range((o) => o.purges)}`);
  console.log(`  purges, busiest second     ${range((o) => o.busiestSecond)}`);
  console.log(`  rows deleted               ${range((o) => o.deleted)}`);
  console.log(`  most expired rows at once  ${range((o) => o.mostExpired)}`);
  console.log(`  oldest expired row, min    ${range((o) => o.oldest / MINUTE)}`);
  if ("backlog" in scenario) {
    console.log(`  backlog gone after, h      ${range((o) => (o.backlogGone ?? Infinity) / HOUR)}`);
  }
}

function format(value: number): string {
  return value.toLocaleString("en", { maximumFractionDigits: value < 100 * SECOND ? 1 : 0 });
}

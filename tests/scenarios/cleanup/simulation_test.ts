// Simulates a day with the rule of lazy clean-up. `bench/lazy.ts` prints the same figures for more seeds.
import { assert, assertEquals } from "../../assert.ts";
import { DAY, HOUR, MINUTE, type Outcome, SCENARIOS, simulate } from "./_simulation.ts";

// With 60 seeds no bound was exceeded. The comment has the closest result.
Deno.test("isPurgeDue() keeps the table of 10,000 instances with 1 to 50 requests clean", () => {
  const outcome = simulate(SCENARIOS["10,000 instances of 1 to 50 requests"]);
  assertBetween(outcome.purges, 500, 900, "purges"); // 635 to 746
  assert(outcome.oldest < 40 * MINUTE, `the oldest expired row stood ${outcome.oldest} ms`); // 24 min
  assert(outcome.mostExpired < 2_000, `${outcome.mostExpired} expired rows at once`); // 901
});

Deno.test("isPurgeDue() starts no stampede if 10,000 instances start within a minute", () => {
  const outcome = simulate(SCENARIOS["the same, all begun within a minute"]);
  assertBetween(outcome.purges, 500, 900, "purges"); // 633 to 751
  // At about 1,500 requests a second.
  assert(outcome.busiestSecond <= 25, `${outcome.busiestSecond} purges within one second`); // 14
});

Deno.test("isPurgeDue() removes a backlog of 50,000 expired rows within a day", () => {
  const outcome = simulate(SCENARIOS["the same, with 50,000 expired rows at the start"]);
  assert((outcome.backlogGone ?? DAY) < 14 * HOUR, `the backlog was gone after ${outcome.backlogGone} ms`); // 10 h
  assert(outcome.left < 2_000, `${outcome.left} expired rows were left`); // 365
});

Deno.test("isPurgeDue() lets instances that serve five requests do their share", () => {
  const outcome = simulate(SCENARIOS["10,000 instances of 5 requests"]);
  assertBetween(outcome.purges, 80, 220, "purges"); // 114 to 162
  assert(outcome.oldest < 3 * HOUR, `the oldest expired row stood ${outcome.oldest} ms`); // 103 min
});

Deno.test("isPurgeDue() lets one instance purge no more often than many with as many requests", () => {
  const one = simulate(SCENARIOS["1 instance of 255,000 requests"]);
  assertBetween(one.purges, 250, 400, "purges"); // 305 to 322: it knows when it last purged
  assert(one.oldest < 40 * MINUTE, `the oldest expired row stood ${one.oldest} ms`); // 23 min
});

Deno.test("simulate() gives the same result for the same seed, and different ones for different seeds", () => {
  const scenario = { ...SCENARIOS["10,000 instances of 5 requests"], instances: 1_000 };
  const outcome: Outcome = simulate(scenario);
  assertEquals(simulate(scenario), outcome);
  assert(simulate({ ...scenario, seed: 2 }).requests === outcome.requests);
  assert(simulate({ ...scenario, seed: 2 }).inserts !== outcome.inserts);
});

function assertBetween(value: number, least: number, most: number, what: string): void {
  assert(least <= value && value <= most, `${value} ${what}, in place of ${least} to ${most}`);
}

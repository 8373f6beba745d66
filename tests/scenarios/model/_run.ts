/**
 * Runs a program. If it fails, the error says how to repeat it.
 * @module
 */

import type { FullStore } from "../../backends.ts";
import { ActorRun } from "./_actor.ts";
import { type Action, type Program, SLOTS } from "./_program.ts";
import { Violation } from "./_reference.ts";
import { type Turns, withPausesAsTurns } from "./_turns.ts";
import { World } from "./_world.ts";

/**
 * Runs a program on a store without rows from after `start`.
 *
 * @throws {Violation} The store or a reply is wrong.
 */
export async function runProgram(
  program: Program,
  turns: Turns,
  store: FullStore,
  start: number,
): Promise<void> {
  const world = new World(program, turns, store, start);
  const browser = new ActorRun(world, { actions: firstVisits(), faults: [] }, program.actors.length);
  const actors = program.actors.map((actor, number) => new ActorRun(world, actor, number));
  await withPausesAsTurns(turns, async () => {
    await turns.until(browser.run());
    await turns.until(Promise.all(actors.map((actor) => actor.run())));
    while (world.late.length > 0) await turns.until(Promise.all(world.late.splice(0)));
  });
  if (world.violation === undefined) await world.compareAll();
  if (world.violation === undefined) return;
  const { message } = world.violation;
  const again = `[${JSON.stringify(program)}, turnsOf(${JSON.stringify(turns.taken())})]`;
  throw new Violation(`${message}\nTo see it again: ${again}\n${world.trace.join("\n")}`);
}

/** Two sessions of one user and one of another, so that the actors share something. */
function firstVisits(): Action[] {
  return Array.from({ length: SLOTS }, (_, slot): Action => ({
    do: "request",
    slot,
    cookie: "none",
    steps: [{ do: "update", key: "n" }, { do: "subject", subject: slot % 2 }],
  }));
}

/**
 * The cost of many concurrent writes to one session, on a store that takes 10 ms per call:
 *
 *     deno run bench/conflicts.ts
 *
 * Each request adds 1. A request that other requests kept from saving counts as a conflict. A request that hit the time limit
 * counts as in doubt.
 *
 * @module
 */

import { MemoryStore, SessionConflictError, sessions } from "../mod.ts";

const WRITERS = [1, 2, 10, 50, 100, 500];
/** Half of the time of a call, in milliseconds. */
const ONE_WAY_MS = 5;

let calls = 0;

async function away<T>(call: () => Promise<T>): Promise<T> {
  calls++;
  await new Promise((resolve) => setTimeout(resolve, ONE_WAY_MS));
  const result = await call();
  await new Promise((resolve) => setTimeout(resolve, ONE_WAY_MS));
  return result;
}

/** A store with a latency of 5 ms in each direction. */
class FarStore extends MemoryStore {
  override readonly timeout: number = 5_000;

  override find(...given: Parameters<MemoryStore["find"]>): ReturnType<MemoryStore["find"]> {
    return away(() => super.find(...given));
  }

  override update(...given: Parameters<MemoryStore["update"]>): ReturnType<MemoryStore["update"]> {
    return away(() => super.update(...given));
  }
}

console.log("| writers | store calls each | saved | conflict | in doubt | until the last, ms |");
console.log("| ------: | ---------------: | ----: | -------: | -------: | -----------------: |");
for (const writers of WRITERS) {
  const manager = sessions<{ n: number }>({ store: new FarStore({ cleanup: "off" }), onError() {} });
  const first = await manager.load();
  first.put("n", 0);
  const { token } = await first.commit();
  calls = 0;
  let [refused, inDoubt] = [0, 0];
  const started = performance.now();
  await Promise.all(Array.from({ length: writers }, async () => {
    const session = await manager.load(token);
    session.update("n", (n = 0) => n + 1);
    await session.commit().catch((error) => error instanceof SessionConflictError ? refused++ : inDoubt++);
  }));
  const took = Math.round(performance.now() - started);
  const each = (calls / writers).toFixed(1);
  const saved = (await manager.load(token)).get("n")!;
  if (saved + refused > writers || saved + refused + inDoubt < writers) {
    throw new Error(`${saved} were saved and ${refused} refused, of ${writers}`);
  }
  console.log(`| ${writers} | ${each} | ${saved} | ${refused} | ${inDoubt} | ${took} |`);
}

/**
 * Workers allow 50 subrequests per request on the free plan. No commit makes more.
 * @module
 */

import { SessionConflictError } from "../../mod.ts";
import { assert, assertRejects } from "../assert.ts";
import type { FullStore } from "../backends.ts";
import { aroundCalls } from "../counting_store.ts";
import { type Bed, onEachStore } from "./_bed.ts";

interface Data {
  n: number;
  other: number;
}

/** Longer than any pause between attempts. Longer timers are timeouts. */
const SHORTEST_TIMEOUT = 4_900;

/** Without pauses and timeouts, so that only the number of attempts ends a commit. */
async function withoutTime(work: () => Promise<void>): Promise<void> {
  const { setTimeout: timer } = globalThis;
  const { now } = performance;
  const started = performance.now();
  globalThis.setTimeout = ((callback: () => void, ms = 0) => {
    return ms > SHORTEST_TIMEOUT ? timer(callback, ms) : timer(callback, 0);
  }) as typeof setTimeout;
  performance.now = () => started;
  try {
    await work();
  } finally {
    globalThis.setTimeout = timer;
    performance.now = now;
  }
}

/** A store in which another request wins before each write of a row. */
function contended(bed: Bed, isOthers: (requests: number) => void): FullStore {
  let count = 0;
  return aroundCalls(bed.store, async (method, call, [token]) => {
    if (method === "update") {
      const before = bed.requests() ?? 0;
      const now = bed.clock.time;
      const { data } = (await bed.store.find(token as string, { now }))!;
      const text = new TextDecoder().decode(data).replace(/"other":\d+/, `"other":${++count}`);
      await bed.store.update(token as string, data, { data: new TextEncoder().encode(text) }, { now });
      isOthers((bed.requests() ?? 0) - before);
    }
    return await call();
  }) as FullStore;
}

onEachStore(
  "A commit that always loses against others makes at most 50 requests with its load",
  async (bed) => {
    const first = await bed.manager<Data>().load();
    first.put("other", 0);
    first.subject = "zoe";
    const { token } = await first.commit();
    let own = 0;
    const store = contended(bed, (requests) => own -= requests);
    // A request that never stops would also show in the calls of a store without HTTP.
    let calls = 0;
    const counted = aroundCalls(store, (_method, call) => {
      calls++;
      return call();
    });
    await withoutTime(async () => {
      own -= bed.requests() ?? 0;
      const session = await bed.manager<Data>({ store: counted }).load(token);
      session.update("n", (n = 0) => n + 1);
      await assertRejects(() => session.commit(), SessionConflictError);
      own += bed.requests() ?? 0;
    });
    assert(calls > 20, `it gave up after ${calls} calls`);
    assert(calls <= 50, `${calls} calls`);
    assert(own <= 50, `${own} requests`);
  },
);

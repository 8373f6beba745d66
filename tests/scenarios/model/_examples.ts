/**
 * Programs that once failed, with the order of turns in which they did.
 * @module
 */

import {
  type Action,
  type Actor,
  type Fault,
  IDLE_TIMEOUT,
  LIFETIME,
  type Program,
  type Step,
} from "./_program.ts";
import { LATE, PAUSE, type Turns, turnsOf } from "./_turns.ts";

const MINUTE = 60_000;
const COUNT: Step = { do: "update", key: "n" };
const COMMIT: Step = { do: "commit" };
const DESTROY: Step = { do: "destroy" };
const RENEW: Step = { do: "renew" };

const request = (slot: number, ...steps: Step[]): Action => ({
  do: "request",
  slot,
  cookie: "latest",
  steps,
});
const login = (...steps: Step[]): Action => ({ do: "request", slot: 0, cookie: "none", steps });
const advance = (ms: number): Action => ({ do: "advance", ms });
const actor = (actions: Action[], ...faults: Fault[]): Actor => ({ actions, faults });

/** The order of turns begins after the browsers' first visits, which take three. */
function example(actors: Actor[], order: number[] = [], idleTimeout = true): [Program, Turns] {
  const visits = Array.from({ length: 3 }, () => actors.length);
  return [{ idleTimeout, actors }, turnsOf([...visits, ...order])];
}

export const examples: readonly [Program, Turns][] = [
  // A commit was saved, but could not delete the session that was merged into it. It reported that nothing was saved.
  example([actor([request(0, { do: "merge", slot: 1 }, COUNT)], "none", "none", "none", "refused")]),
  // A new session had expired when it was read back. It was created again and again until the time was over.
  example([actor([login(COUNT)], "lost"), actor([advance(LIFETIME)])], [0, 1, 0]),
  // The first attempt to create a session arrived after its logout and revived it.
  example([actor([login(COUNT, { do: "commit" }, { do: "destroy" })], "late")], [0, 0, PAUSE, 0, 0, LATE]),
  // A write was delivered twice and refused the second time. It counted as certainly failed when it could not be read
  // back.
  example([actor([request(0, COUNT)], "none", "twice", "refused")]),
  // The last attempt had certainly failed, so the commit counted as failed. But the first attempt arrived in the end.
  example([actor([request(0, COUNT)], "none", "late", "none", "refused")], [0, 0, PAUSE, 0, 0, LATE]),
  // The same for logouts.
  example([actor([request(0, { do: "destroy" })], "none", "lost", "refused")]),
  example([actor([{ do: "destroyAll", subject: 0, except: null }], "lost", "refused")]),
  // A late write was followed by so many others that its nonce was gone, and it was made again.
  example(
    [
      actor([request(0, COUNT)], "none", "late"),
      actor([request(0, ...Array.from({ length: 9 }, (): Step[] => [COUNT, { do: "commit" }]).flat())]),
    ],
    [0, 0, PAUSE, 0, LATE, ...Array.from({ length: 10 }, () => 1), 0],
  ),
  // A touch crosses an earlier deadline. The session must still end at the deadline.
  example([
    actor([advance(3 * MINUTE), request(0)]),
    actor([request(0, { do: "deadline", ms: 5 * MINUTE })]),
    actor([advance(IDLE_TIMEOUT - 1), request(0)]),
  ], [0, 0, 1, 1, 0, 2, 2]),
  // A touch crossed an earlier deadline, and a later renewal revived the session.
  example([
    actor([advance(3 * MINUTE), request(0)]),
    actor([request(0, { do: "deadline", ms: 5 * MINUTE })]),
    actor([request(0, { do: "merge", slot: 1 }, { do: "renew" })]),
    actor([advance(IDLE_TIMEOUT - 1)]),
  ], [0, 0, 1, 1, 2, 0, 3, 2, 2]),
  // A renewal in doubt found the session idle for too long, and a concurrent touch extended it.
  example([
    actor([request(0, { do: "renew" })], "none", "late"),
    actor([request(0)]),
    actor([advance(10 * MINUTE), advance(15 * MINUTE)]),
  ], [2, 0, 1, 0, 2, PAUSE, 0, 1, 0, LATE]),
  // A session that a lagging replica did not know was merged into itself. It was found on the primary, saved and
  // deleted.
  example([
    actor(
      [request(0, { do: "merge", slot: 0 }, COMMIT), request(0)],
      "stale",
      "none",
      "none",
      "twice",
      "refused",
    ),
  ]),
  // The same with a renewal, whose mark was deleted.
  example([actor([request(0, RENEW, { do: "merge", slot: 0 })], "stale")]),
  // A session was idle for too long when the primary's answer came, and its request continued.
  example(
    [actor([request(0, COMMIT, { do: "pop", key: "n" })], "stale"), actor([advance(IDLE_TIMEOUT)])],
    [0, 1, 0, 0, 0],
  ),
  // A login beside a poll that began before it, and that reads the mark.
  example([actor([request(0, RENEW, COUNT)]), actor([request(0, COUNT)])], [1, 0, 0, 1]),
  example([actor([request(0, RENEW, COUNT)]), actor([request(0, COUNT)])], [0, 0, 1]),
  // The same, and the poll continues: it commits again, logs out, or both.
  example([actor([request(0, RENEW)]), actor([request(0, COUNT, COMMIT, COUNT, COMMIT)])], [1, 0, 0, 1]),
  example([actor([request(0, RENEW)]), actor([request(0, COUNT, COMMIT, DESTROY, COUNT)])], [1, 0, 0, 1]),
  // A login beside a logout that began before it, and that reads the mark. The logout continues, or logs in itself.
  example([actor([request(0, RENEW)]), actor([request(0, DESTROY, COUNT)])], [1, 0, 0, 1]),
  example([actor([request(0, RENEW)]), actor([request(0, DESTROY, COUNT)])], [0, 0, 1]),
  example([actor([request(0, RENEW)]), actor([request(0, DESTROY, RENEW, COUNT)])], [1, 0, 0, 1]),
  // The same after another write: the logout finds other bytes, and reads before it deletes again.
  example(
    [actor([request(0, RENEW)]), actor([request(0, DESTROY)]), actor([request(0, COUNT)])],
    [1, 2, 2, 1, 0, 0, 1, 1],
  ),
  // A request that ends the session which it has renewed.
  example([actor([request(0, RENEW, COMMIT, DESTROY), request(0, COUNT)])]),
  // Two tabs of one login form, both at once and one after the other.
  example([actor([request(0, RENEW, COUNT)]), actor([request(0, RENEW, COUNT)])], [0, 1, 0, 1]),
  example([actor([request(0, RENEW, COUNT)]), actor([request(0, RENEW, COUNT)])], [0, 0, 1]),
  // The later tab continues after the creation of its own session was in doubt.
  example([
    actor([request(0, RENEW)]),
    actor([request(0, RENEW, COMMIT, COUNT)], "none", "lost", "refused"),
  ], [0, 0, 1, 1]),
  // A lagging replica lacks the session, the login that renewed it, or the logout that ended it.
  example([actor([request(0, COUNT)], "stale")]),
  example([actor([request(0, DESTROY)], "stale")]),
  example([actor([request(0, RENEW, COUNT)]), actor([request(0, COUNT)], "stale")], [0, 0, 1, 1]),
  example([actor([request(0, RENEW, COUNT)]), actor([request(0, RENEW, COUNT)], "stale")], [0, 0, 1, 1]),
  example([actor([request(0, DESTROY)]), actor([request(0, COUNT)], "stale")], [0, 0, 1, 1]),
  // A request continues after a commit in doubt: it commits again, logs in, or logs out.
  example([actor([request(0, COUNT, COMMIT, COUNT, COMMIT, COUNT)], "none", "lost", "refused")]),
  example([actor([request(0, COUNT, COMMIT, COUNT, COMMIT, COUNT)], "none", "late", "refused")], [
    0,
    0,
    PAUSE,
    0,
    0,
    0,
    LATE,
  ]),
  example([actor([request(0, COUNT, COMMIT, RENEW, COUNT)], "none", "lost", "refused")]),
  example([actor([request(0, RENEW, COMMIT, DESTROY, COUNT)], "none", "lost", "refused")]),
  example([actor([request(0, RENEW, COMMIT, DESTROY)], "none", "late", "refused")], [
    0,
    0,
    PAUSE,
    0,
    0,
    LATE,
  ]),
  example([actor([login(COUNT, COMMIT, COUNT, COMMIT)], "lost", "refused")]),
  // A new session arrives after the logout that could not find it. Nobody has its token.
  example([actor([login(COUNT, COMMIT, DESTROY)], "late", "refused")], [0, 0, 0, LATE]),
  // A write from before its session expired arrives late and prolongs it, and a login renews it. A request that had found
  // it expired answers with a logout's cookie.
  example(
    [
      actor([request(0, { do: "deadline", ms: 2 * LIFETIME })]),
      actor([advance(MINUTE), request(0, RENEW)]),
      actor([advance(LIFETIME - MINUTE), request(0, COMMIT, DESTROY)]),
    ],
    [0, 1, 1, 2, 2, 2, 0, 1, PAUSE, 1, 1, 2, 2],
    false,
  ),
  // A login form that came second has a session of its own. Only the merged session could not be deleted.
  example(
    [
      actor([request(0, RENEW)]),
      actor([request(0, RENEW, { do: "merge", slot: 0 }, COMMIT)], "none", "none", "none", "refused"),
    ],
    [0, 0, 1, 1, 1, 1],
  ),
];

/**
 * A program of the model: a few actors and the faults of their store calls. Each actor is an instance of the
 * application that serves one request after the other. All actors share the sessions.
 * @module
 */

import fc from "../../fast_check.ts";

/** The browsers' cookie jars. Actors that serve the same browser share its session. */
export const SLOTS = 3;

/** A step of a handler with its session. */
export type Step =
  | { do: "put" | "remove" | "pop" | "update"; key: string }
  | { do: "edit" | "clear" | "renew" | "destroy" | "commit" }
  | { do: "merge"; slot: number }
  | { do: "subject"; subject: number | null }
  | { do: "deadline"; ms: number };

/** Which of the tokens that the browser ever got comes with a request. */
export type Cookie = "latest" | "first" | "none";

/** The next step of an actor. */
export type Action =
  | { do: "request"; slot: number; cookie: Cookie; steps: Step[] }
  | { do: "destroyAll"; subject: number; except: number | null }
  | { do: "destroySession"; subject: number; nth: number }
  | { do: "sessionsOf"; subject: number }
  | { do: "iterate" }
  | { do: "purge" }
  | { do: "advance"; ms: number };

/**
 * The fault of a store call.
 *
 * - `unsent`, `refused`, `broken`: not applied. The error says that it may pass, that it is final, or nothing.
 * - `lost`: applied, but the reply is lost. `late`: given up, and applied later. `twice`: delivered twice.
 * - `aborted`: the caller's signal aborts during the call.
 * - `stale`: a replica answers a read, without the last write of the row. Only for reads that need no primary.
 */
export type Fault =
  | "none"
  | "unsent"
  | "refused"
  | "broken"
  | "lost"
  | "late"
  | "twice"
  | "aborted"
  | "stale";

export interface Actor {
  actions: Action[];
  /** The faults by store call of this actor; none after the last. */
  faults: Fault[];
}

export interface Program {
  idleTimeout: boolean;
  actors: Actor[];
}

const MINUTE = 60_000;
export const LIFETIME = 60 * MINUTE;
export const IDLE_TIMEOUT = 20 * MINUTE;

const key = fc.constantFrom("a", "b", "n");
const slot = fc.nat({ max: SLOTS - 1 });
const subject = fc.nat({ max: 1 });

const step: fc.Arbitrary<Step> = fc.oneof(
  { weight: 4, arbitrary: fc.record({ do: fc.constant("put" as const), key }) },
  { weight: 5, arbitrary: fc.record({ do: fc.constant("update" as const), key }) },
  { weight: 2, arbitrary: fc.record({ do: fc.constantFrom("remove" as const, "pop" as const), key }) },
  { weight: 2, arbitrary: fc.record({ do: fc.constant("edit" as const) }) },
  { weight: 3, arbitrary: fc.record({ do: fc.constant("renew" as const) }) },
  {
    weight: 3,
    arbitrary: fc.record({ do: fc.constantFrom("clear" as const, "destroy" as const, "commit" as const) }),
  },
  { weight: 1, arbitrary: fc.record({ do: fc.constant("merge" as const), slot }) },
  {
    weight: 2,
    arbitrary: fc.record({ do: fc.constant("subject" as const), subject: fc.option(subject) }),
  },
  {
    weight: 1,
    arbitrary: fc.record({
      do: fc.constant("deadline" as const),
      ms: fc.constantFrom(5 * MINUTE, 2 * LIFETIME),
    }),
  },
);

const action: fc.Arbitrary<Action> = fc.oneof(
  {
    weight: 12,
    arbitrary: fc.record({
      do: fc.constant("request" as const),
      slot,
      cookie: fc.oneof(
        { weight: 8, arbitrary: fc.constant("latest" as const) },
        { weight: 1, arbitrary: fc.constantFrom("first" as const, "none" as const) },
      ),
      steps: fc.array(step, { maxLength: 6 }),
    }),
  },
  {
    weight: 1,
    arbitrary: fc.record({ do: fc.constant("destroyAll" as const), subject, except: fc.option(slot) }),
  },
  {
    weight: 1,
    arbitrary: fc.record({
      do: fc.constant("destroySession" as const),
      subject,
      nth: fc.nat({ max: 1 }),
    }),
  },
  { weight: 1, arbitrary: fc.record({ do: fc.constant("sessionsOf" as const), subject }) },
  { weight: 1, arbitrary: fc.record({ do: fc.constantFrom("iterate" as const, "purge" as const) }) },
  {
    weight: 2,
    arbitrary: fc.record({
      do: fc.constant("advance" as const),
      ms: fc.constantFrom(3 * MINUTE, IDLE_TIMEOUT - 1, IDLE_TIMEOUT, LIFETIME),
    }),
  },
);

/** Fails this percentage of calls. */
export const faultIn = (percent: number): fc.Arbitrary<Fault> =>
  fc.oneof(
    { weight: 100 - percent, arbitrary: fc.constant("none" as const) },
    {
      weight: percent,
      arbitrary: fc.constantFrom(
        "unsent" as const,
        "refused" as const,
        "broken" as const,
        "lost" as const,
        "late" as const,
        "twice" as const,
        "aborted" as const,
        "stale" as const,
      ),
    },
  );

/** Programs of actors with this many steps each. */
export function programOf(
  actors: { minLength: number; maxLength: number },
  actions: { minLength: number; maxLength: number },
  faults: fc.Arbitrary<Fault[]>,
): fc.Arbitrary<Program> {
  const actor = fc.record({ actions: fc.array(action, { ...actions, size: "max" }), faults });
  return fc.record({ idleTimeout: fc.boolean(), actors: fc.array(actor, actors) });
}

const few = { minLength: 2, maxLength: 8 };
const short = { minLength: 1, maxLength: 4 };

/** Programs of 2 to 8 actors. Every other program has no faults. */
export const program: fc.Arbitrary<Program> = fc.oneof(
  programOf(few, short, fc.constant([])),
  programOf(few, short, fc.array(faultIn(33), { maxLength: 12 })),
);

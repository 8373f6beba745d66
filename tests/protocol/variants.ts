/**
 * The runs of spin: the protocol as it is, with its bounds, and the protocol with one rule broken.
 * @module
 */

/** A promise, named as in an assertion of `sessions.pml`. */
export type Promised =
  | "LOST"
  | "DOUBLED"
  | "REVIVED"
  | "TWO_TOKENS"
  | "DISPLACED"
  | "SIGNED_OUT"
  | "UNTRUE_GONE"
  | "LOGOUT_UNDONE"
  | "ENDLESS_MARK";

/** How much may happen in one run. Bounds that are left out have the model's default. */
export interface Bounds {
  /** Requests on the session. */
  REQUESTS?: 2 | 3;
  /** Store calls that go wrong, in all requests together. */
  FAULTS: number;
  /** Requests that continue after their first commit. */
  LONG: number;
  /** Expiries of rows and marks, and destroyAll() calls. */
  EVENTS: number;
}

/** One run of spin. */
export interface Variant {
  /** The switch that breaks a rule, or what is checked. */
  name: string;
  /** The rule that is broken, or what the run covers. */
  says: string;
  switches: string[];
  bounds: Bounds;
  /** The promise that spin must find broken; absent if all must hold. */
  breaks?: Promised;
}

const CALM: Bounds = { FAULTS: 0, LONG: 0, EVENTS: 0 };
const FAULT: Bounds = { FAULTS: 1, LONG: 0, EVENTS: 0 };
const FAULT_AND_MORE: Bounds = { FAULTS: 1, LONG: 1, EVENTS: 0 };
const EVENT: Bounds = { FAULTS: 0, LONG: 0, EVENTS: 1 };

/** Every promise holds, whatever happens within the bounds. */
export const RIGHT: Variant[] = [
  holds("two faults", "Three requests, two faults", [], { FAULTS: 2, LONG: 0, EVENTS: 0 }),
  holds("going on", "Three requests, one of them goes on after its commit, one fault", [], FAULT_AND_MORE),
  holds("ends", "Three requests, one fault, and one expiry or destroyAll()", [], {
    FAULTS: 1,
    LONG: 0,
    EVENTS: 1,
  }),
  holds("two requests", "Two requests, both go on after their commit, two faults, and one end", [], {
    REQUESTS: 2,
    FAULTS: 2,
    LONG: 2,
    EVENTS: 1,
  }),
  holds("clock", "A late touch and a purge beside two requests, one fault, and one end", ["CLOCK"], {
    REQUESTS: 2,
    FAULTS: 1,
    LONG: 0,
    EVENTS: 1,
  }),
  holds("later marks", "Marks that come late or never: the promises that need no mark", [
    "MARK_LATER",
    "WITHOUT_MARK",
  ], {
    FAULTS: 1,
    LONG: 0,
    EVENTS: 0,
  }),
  holds(
    "few nonces",
    "More writes than the list of nonces holds: none doubled, if no call is repeated",
    ["SHORT_NONCES", "NO_REPEATS", "WITHOUT_MARK"],
    FAULT,
  ),
  holds(
    "complete nonces",
    "A complete list of nonces: a replay in doubt doubles nothing",
    ["REPLAY_IN_DOUBT"],
    FAULT,
  ),
];

/** Larger bounds, for `--long`. */
export const LONGER: Variant[] = [
  holds("three, going on, ends", "Three requests, one goes on, one fault, and one end", [], {
    FAULTS: 1,
    LONG: 1,
    EVENTS: 1,
  }),
  holds("three, two faults, ends", "Three requests, two faults, and one end", [], {
    FAULTS: 2,
    LONG: 0,
    EVENTS: 1,
  }),
  holds("two, three faults", "Two requests, both go on, three faults, and one end", [], {
    REQUESTS: 2,
    FAULTS: 3,
    LONG: 2,
    EVENTS: 1,
  }),
];

/** One rule broken: spin must find the promise broken that needs the rule. */
export const BROKEN: Variant[] = [
  breaks("NO_COMPARE", "An update overwrites the row whatever it holds", "LOST", FAULT),
  breaks(
    "PURGE_IN_TWO_STEPS",
    "A purge reads expired rows and then deletes them by token",
    "LOST",
    EVENT,
    [
      "CLOCK",
    ],
  ),
  breaks("NO_NONCE", "A write leaves no nonce", "DOUBLED", FAULT),
  breaks("FORGET_DOUBT", "A second commit ignores the doubt of the first", "DOUBLED", FAULT_AND_MORE),
  breaks(
    "REPLAY_IN_DOUBT",
    "Other bytes without the write's nonce: replayed, though the list of nonces may be incomplete",
    "DOUBLED",
    FAULT,
    ["SHORT_NONCES", "NO_REPEATS", "WITHOUT_MARK"],
  ),
  breaks("CREATE_WHEN_GONE", "A row that is gone is written again under its token", "REVIVED", FAULT),
  breaks("TOUCH_INSERTS", "A touch inserts a row that is gone", "REVIVED", CALM, ["CLOCK"]),
  breaks("ONE_TOKEN_TO_CREATE", "A second attempt to create uses the token of the first", "REVIVED", {
    REQUESTS: 2,
    FAULTS: 1,
    LONG: 0,
    EVENTS: 1,
  }),
  breaks(
    "COPY_WHAT_WAS_READ",
    "A login whose row is gone keeps what it had read",
    "REVIVED",
    CALM,
  ),
  breaks(
    "DESTROY_ALL_IN_TWO_STEPS",
    "destroyAll() reads tokens and then deletes them",
    "REVIVED",
    EVENT,
  ),
  breaks("RENEW_BY_COPY", "A renewal leaves the row under its old token", "TWO_TOKENS", CALM),
  breaks("MARK_LETS_IN", "A mark is accepted as a session", "TWO_TOKENS", CALM),
  breaks("NO_MARK", "A renewal leaves no mark", "DISPLACED", CALM),
  breaks("DELETE_TAKES_MARK", "delete() takes a mark too", "DISPLACED", CALM),
  breaks(
    "LOGOUT_ALWAYS_DELETES_COOKIE",
    "A logout deletes the cookie although it found no live row",
    "DISPLACED",
    CALM,
  ),
  breaks("GONE_DELETES_COOKIE", "SessionGoneError deletes the cookie", "DISPLACED", CALM),
  breaks(
    "COOKIE_ON_EVERY_WRITE",
    "A write sends the cookie again, as setDeadline() and rememberMe() do",
    "DISPLACED",
    CALM,
  ),
  breaks("FORGET_GONE", "A commit after SessionGoneError ignores that error", "DISPLACED", {
    FAULTS: 0,
    LONG: 1,
    EVENTS: 0,
  }),
  breaks(
    "ASK_NO_PRIMARY",
    "A session is created in place of a token that a replica does not know",
    "SIGNED_OUT",
    CALM,
  ),
  breaks("MARK_WITH_ONE_NONCE", "A mark names no write but the renewal", "UNTRUE_GONE", FAULT),
  breaks(
    "DELETE_NEW_TOKEN_FIRST",
    "A logout with a renewal in doubt deletes the new token before the old one",
    "LOGOUT_UNDONE",
    FAULT_AND_MORE,
  ),
  breaks(
    "DESTROY_NOTHING_WHEN_ANONYMOUS",
    "A logout does nothing if a replica did not know the token",
    "LOGOUT_UNDONE",
    CALM,
  ),
  breaks("TOUCH_TAKES_MARK", "A touch moves the expiry of a mark", "ENDLESS_MARK", CALM, ["CLOCK"]),
];

/** Nothing is broken, but a promise ends here: docs/guarantees.md names each of these limits. */
export const LIMITS: Variant[] = [
  breaks("MARK_LATER", "The mark is inserted in a step of its own, late or never", "DISPLACED", CALM),
  breaks(
    "EVERY_LOGIN",
    "The promise is checked for logins that renewed nothing, because the offered token was dead",
    "DISPLACED",
    CALM,
  ),
  breaks("LATE_TOUCH", "A touch sent before an expiry arrives after it", "SIGNED_OUT", EVENT, ["CLOCK"]),
  breaks(
    "LATE_DUPLICATE_OF_CREATE",
    "The network delivers an acknowledged create again, after the session has ended",
    "REVIVED",
    { REQUESTS: 2, FAULTS: 1, LONG: 0, EVENTS: 1 },
  ),
  breaks(
    "SHORT_NONCES",
    "A call is sent twice, the second one answers, and the list of nonces overflows before the read",
    "DOUBLED",
    FAULT,
    ["WITHOUT_MARK"],
  ),
];

function holds(name: string, says: string, switches: string[], bounds: Bounds): Variant {
  return { name, says, switches, bounds };
}

function breaks(
  name: string,
  says: string,
  promise: Promised,
  bounds: Bounds,
  more: string[] = [],
): Variant {
  return { name, says, switches: [name, ...more], bounds, breaks: promise };
}

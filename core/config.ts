import { type Codec, jsonCodec } from "./codec.ts";
import { type CookieOptions, type CookieSettings, readCookieOptions } from "./cookie_options.ts";
import { type Duration, parseDuration } from "./duration.ts";
import { SessionConfigError } from "./errors.ts";
import { Hooks, type SessionErrorHook, type SessionEventHook } from "./events.ts";
import { hasMethods, type SessionStore } from "./store.ts";

/** Options of `sessions()`. */
export interface SessionOptions {
  /**
   * Where sessions are kept.
   *
   * @default {new MemoryStore()}
   */
  store?: SessionStore;
  /**
   * How long a session lives at the most, whatever its use: above 0, at most 400 days (longer cookies are cut
   * by browsers: RFC 6265bis, 5.5). Milliseconds, or text such as `"24h"`. `renewToken` starts it anew.
   *
   * @default {"24h"}
   */
  lifetime?: Duration;
  /**
   * How long a session may stay unused; asking for the session counts as use. Milliseconds, or text such as
   * `"20m"`. At most `lifetime`; 0 means none.
   *
   * @default {undefined} no idle limit
   */
  idleTimeout?: Duration;
  /**
   * How much idle time must have passed before a use is written down, so that most reads cost one store call.
   * A session may end this much sooner than `idleTimeout` after its last use. Milliseconds, or text.
   * At most `idleTimeout`; 0 writes with every use.
   *
   * @default {idleTimeout / 10}
   */
  touchInterval?: Duration;
  /** How the session cookie is called and guarded. */
  cookie?: CookieOptions;
  /**
   * Turns sessions into bytes. `gobCodec` reads and writes what SCS does.
   *
   * @default {jsonCodec}
   */
  codec?: Codec;
  /**
   * Whether the store sees only base64url(SHA-256(token)), so that who reads the table cannot sign in. Turn it
   * off only to share a table with an SCS service that does not set `HashTokenInStore`.
   *
   * @default {true}
   */
  hashTokenInStore?: boolean;
  /**
   * How large an encoded session may be, in bytes, above 0. A larger one fails with `SessionTooLargeError`
   * before the store is called.
   *
   * @default {32768} 32 KiB
   */
  maxBytes?: number;
  /**
   * Hears of every error of a request, and of work that nobody waits for; a `Response` that it returns replaces the
   * default one.
   *
   * @default {console.error} no error carries a token or a value
   */
  onError?: SessionErrorHook;
  /** Hears of what happens to sessions, for an audit log. */
  onEvent?: SessionEventHook;
  /**
   * The clock, in milliseconds since the epoch. The only one that decides what has expired.
   *
   * @default {Date.now}
   */
  now?: () => number;
}

/** Every option, checked and in milliseconds. */
export interface SessionSettings {
  readonly store: SessionStore;
  readonly lifetime: number;
  readonly idleTimeout: number;
  readonly touchInterval: number;
  readonly cookie: CookieSettings;
  readonly codec: Codec;
  readonly hashTokenInStore: boolean;
  readonly maxBytes: number;
  readonly hooks: Hooks;
  readonly now: () => number;
}

const DEFAULTS = {
  lifetime: "24h",
  idleTimeout: 0,
  codec: jsonCodec,
  hashTokenInStore: true,
  maxBytes: 32 * 1024,
  now: () => Date.now(),
} as const satisfies SessionOptions;

const NAMES: Record<keyof SessionOptions, true> = {
  store: true,
  lifetime: true,
  idleTimeout: true,
  touchInterval: true,
  cookie: true,
  codec: true,
  hashTokenInStore: true,
  maxBytes: true,
  onError: true,
  onEvent: true,
  now: true,
};

const MAX_LIFETIME = 400 * 86_400_000;

/** Throws where there are no options to check. */
export function assertOptions(options: unknown): asserts options is SessionOptions {
  if (typeof options !== "object" || options === null) {
    throw new SessionConfigError([`the options must be an object: got ${show(options)}`]);
  }
  if (typeof (options as Partial<SessionStore>).find === "function") {
    throw new SessionConfigError(["a store is one of the options: pass { store }"]);
  }
}

/** Checks every option. Throws one `SessionConfigError` that names every mistake. */
export function readOptions(options: SessionOptions & { store: SessionStore }): SessionSettings {
  const problems: string[] = [];
  reportUnknown(problems, options, NAMES, "");

  const {
    store,
    lifetime: givenLifetime = DEFAULTS.lifetime,
    idleTimeout: givenIdleTimeout = DEFAULTS.idleTimeout,
    cookie: givenCookie = {},
    codec = DEFAULTS.codec,
    hashTokenInStore = DEFAULTS.hashTokenInStore,
    maxBytes = DEFAULTS.maxBytes,
  } = options;
  if (!hasMethods<SessionStore>(store ?? {}, "find", "commit", "delete")) {
    problems.push(`"store" must have the methods find, commit and delete`);
  }
  const lifetime = readDuration(problems, "lifetime", givenLifetime);
  if (lifetime === 0 || lifetime > MAX_LIFETIME) {
    problems.push(`"lifetime" must be above 0 and at most 400 days: got ${show(givenLifetime)}`);
  }
  const idle = readDuration(problems, "idleTimeout", givenIdleTimeout);
  if (idle > lifetime) {
    problems.push(
      `"idleTimeout" must be at most "lifetime": got ${show(givenIdleTimeout)} and ${show(givenLifetime)}`,
    );
  }
  const touchInterval = options.touchInterval === undefined
    ? idle / 10
    : readDuration(problems, "touchInterval", options.touchInterval);
  if (idle === 0 && touchInterval > 0) {
    problems.push(`"touchInterval" is of no use without "idleTimeout"`);
  } else if (touchInterval > idle) {
    const given = `${show(options.touchInterval)} and ${show(givenIdleTimeout)}`;
    problems.push(`"touchInterval" must be at most "idleTimeout": got ${given}`);
  }
  const cookie = readCookieOptions(problems, givenCookie);
  if (typeof codec?.encode !== "function" || typeof codec.decode !== "function") {
    problems.push(`"codec" must have the methods encode and decode`);
  }
  if (typeof hashTokenInStore !== "boolean") {
    problems.push(`"hashTokenInStore" must be true or false: got ${show(hashTokenInStore)}`);
  }
  if (!Number.isSafeInteger(maxBytes) || maxBytes <= 0) {
    problems.push(`"maxBytes" must be a whole number above 0: got ${show(maxBytes)}`);
  }
  for (const name of ["onError", "onEvent", "now"] as const) {
    if (options[name] !== undefined && typeof options[name] !== "function") {
      problems.push(`"${name}" must be a function: got ${show(options[name])}`);
    }
  }
  if (problems.length > 0) throw new SessionConfigError(problems);
  return Object.freeze({
    store,
    lifetime,
    idleTimeout: idle === 0 ? Infinity : idle,
    touchInterval,
    cookie,
    codec,
    hashTokenInStore,
    maxBytes,
    hooks: new Hooks(options.onEvent, options.onError),
    now: options.now ?? DEFAULTS.now,
  });
}

/** Adds a problem for each name that is no option: a misspelt option would otherwise be ignored in silence. */
export function reportUnknown(
  problems: string[],
  options: object,
  known: Record<string, true>,
  prefix: string,
): void {
  const names = Object.keys(known);
  for (const name of Object.keys(options)) {
    if (Object.hasOwn(known, name)) continue;
    const meant = names.find((candidate) => looksLike(name, candidate));
    const advice = meant === undefined
      ? `the options are ${names.join(", ")}`
      : `did you mean "${prefix}${meant}"?`;
    problems.push(`"${prefix}${name}" is no option; ${advice}`);
  }
}

/** Whether two names differ by case or `_` alone, or by what follows. */
function looksLike(name: string, candidate: string): boolean {
  const [one, other] = [name, candidate].map((text) => text.toLowerCase().replaceAll(/[-_]/g, "")) as [
    string,
    string,
  ];
  return one.length > 2 && (one.startsWith(other) || other.startsWith(one));
}

function readDuration(problems: string[], name: string, value: unknown): number {
  const duration = parseDuration(value);
  if (duration !== undefined) return duration;
  problems.push(
    `"${name}" must be milliseconds from 0, or text such as "90s", "20m", "24h", "30d": got ${show(value)}`,
  );
  return NaN;
}

/** A value as an error message shows it. Of objects it shows nothing: they may hold secrets, or be large. */
export function show(value: unknown): string {
  if (Array.isArray(value)) return "an array";
  if (typeof value === "function") return "a function";
  if (typeof value === "object" && value !== null) return "an object";
  return typeof value === "string" ? JSON.stringify(value) : String(value);
}

import { type Codec, jsonCodec } from "../bytes/json_codec.ts";
import { hashToken } from "../bytes/token.ts";
import { SessionConfigError } from "../errors.ts";
import { Hooks, type SessionErrorHook, type SessionEventHook } from "../events.ts";
import type { SessionStore } from "../store.ts";
import { type CookieOptions, type CookieSettings, readCookieOptions } from "./cookie_options.ts";
import type { Duration } from "./duration.ts";
import { OptionsReader, show } from "./reader.ts";
import { hasMethods, ignoreRejection } from "../foreign.ts";

/** Options of `sessions()`. */
export interface SessionOptions {
  /**
   * Where sessions are kept.
   *
   * @default {new MemoryStore()}
   */
  store?: SessionStore | undefined;
  /**
   * How long a session lives at the most, whatever its use: above 0, at most 400 days (longer cookies are cut
   * by browsers: RFC 6265bis, 5.5). Milliseconds, or text such as `"24h"`. `renewToken` starts it anew.
   *
   * @default {"24h"}
   */
  lifetime?: Duration | undefined;
  /**
   * How long a session may stay unused. A request that asks for its session counts as use, and so does `commit()`;
   * `manager.load()` alone does not. Milliseconds, or text such as `"20m"`. At most `lifetime`; 0 means none.
   *
   * @default {undefined} no idle limit
   */
  idleTimeout?: Duration | undefined;
  /**
   * How much idle time must have passed before a use is written down, so that most reads cost one store call.
   * A session may end this much sooner than `idleTimeout` after its last use. Milliseconds, or text.
   * At most `idleTimeout`; 0 writes with every use.
   *
   * @default {idleTimeout / 10}
   */
  touchInterval?: Duration | undefined;
  /** How the session cookie is called and guarded. */
  cookie?: CookieOptions | undefined;
  /**
   * Turns sessions into bytes. `gobCodec` reads and writes what SCS does.
   *
   * @default {jsonCodec}
   */
  codec?: Codec | undefined;
  /**
   * Whether the store sees only base64url(SHA-256(token)), so that a reader of the table cannot sign in. Turn it
   * off only to share a table with an SCS service that does not set `HashTokenInStore`.
   *
   * @default {true}
   */
  hashTokenInStore?: boolean | undefined;
  /**
   * How large an encoded session may be, in bytes, above 0. A larger one fails with `SessionTooLargeError`
   * before the store is called.
   *
   * @default {32768} 32 KiB
   */
  maxBytes?: number | undefined;
  /**
   * Whether a 5xx response saves what its handler changed. A counter of failed logins, say, must be saved even if the
   * response is a 5xx. Turn it off where a framework makes a 5xx of every error before a middleware hears of it.
   *
   * @default {true}
   */
  saveOnServerError?: boolean | undefined;
  /**
   * The header, and its value, by which a proxy that ends TLS says that it was asked by https. Set it only if every
   * request comes through this proxy and the proxy overwrites the header. Otherwise a client can send it. The whole value
   * is compared, without regard to case.
   *
   * @default {undefined} no header is believed
   */
  trustProxy?: { header: string; value: string } | undefined;
  /**
   * Hears of every error of a request, and of work that nobody waits for; a `Response` that it returns replaces the
   * default one.
   *
   * @default {console.error} no error carries a token or a value
   */
  onError?: SessionErrorHook | undefined;
  /** Hears of what happens to sessions, for an audit log. */
  onEvent?: SessionEventHook | undefined;
  /**
   * The clock, in milliseconds since the epoch. The only one that decides what has expired.
   *
   * @default {Date.now}
   */
  now?: (() => number) | undefined;
}

/** Every option, checked and in milliseconds. */
export interface SessionSettings {
  readonly store: SessionStore;
  readonly lifetime: number;
  /** `Infinity` where there is no idle limit. */
  readonly idleTimeout: number;
  readonly touchInterval: number;
  readonly cookie: CookieSettings;
  readonly codec: Codec;
  readonly hashTokenInStore: boolean;
  /** What the store knows a token by: its hash, or the token itself. */
  readonly storedTokenOf: (token: string) => string;
  readonly maxBytes: number;
  readonly saveOnServerError: boolean;
  readonly trustProxy: { readonly header: string; readonly value: string } | undefined;
  readonly hooks: Hooks;
  readonly now: () => number;
}

const DAY = 86_400_000;
/** Browsers cut longer cookies: RFC 6265bis, 5.5. */
export const LONGEST_LIFETIME = 400 * DAY;
/** 32 KiB. */
const MAX_BYTES = 32_768;

/** Checks every option. Throws one `SessionConfigError` that names every mistake. */
export function readOptions(options: SessionOptions, defaultStore: () => SessionStore): SessionSettings {
  if (hasMethods<SessionStore>(options, "find")) {
    throw new SessionConfigError(["a store is one of the options: pass { store }"]);
  }
  if (hasMethods<{ begin: unknown }>(options, "begin")) {
    throw new SessionConfigError(["pass options, and not a session manager"]);
  }
  const reader = new OptionsReader(options);
  const store = readStore(reader, defaultStore);
  const lifetime = reader.duration("lifetime", DAY);
  if (lifetime === 0 || lifetime > LONGEST_LIFETIME) {
    reader.refuse("lifetime", "must be above 0 and at most 400 days");
  }
  const idle = reader.duration("idleTimeout", 0);
  if (idle > lifetime) reader.refuse("idleTimeout", 'must be at most "lifetime"');
  const touchInterval = reader.duration("touchInterval", idle / 10);
  if (touchInterval > idle) reader.refuse("touchInterval", 'needs an "idleTimeout" of at least as much');
  const cookie = readCookieOptions(reader.nested("cookie"));
  const codec = reader.withMethods<Codec>("codec", jsonCodec, "encode", "decode");
  const hashTokenInStore = reader.flag("hashTokenInStore", true);
  const settings: SessionSettings = {
    store,
    lifetime,
    idleTimeout: idle === 0 ? Infinity : idle,
    touchInterval,
    cookie,
    codec,
    hashTokenInStore,
    storedTokenOf: hashTokenInStore ? hashToken : (token) => token,
    maxBytes: reader.count("maxBytes", MAX_BYTES),
    saveOnServerError: reader.flag("saveOnServerError", true),
    trustProxy: readTrustProxy(reader),
    hooks: new Hooks(
      reader.function<SessionErrorHook>("onError"),
      reader.function<SessionEventHook>("onEvent"),
    ),
    now: readClock(reader),
  };
  reader.finish();
  return Object.freeze(settings);
}

function readStore(reader: OptionsReader, defaultStore: () => SessionStore): SessionStore {
  if (reader.read("store") === undefined) return defaultStore();
  const store = reader.withMethods<SessionStore | undefined>("store", undefined, "find", "commit", "delete");
  const timeout = store?.timeout;
  if (timeout !== undefined && !(typeof timeout === "number" && timeout > 0)) {
    reader.problems.push(`"store.timeout" must be milliseconds above 0: got ${show(timeout)}`);
  }
  return store!;
}

function readTrustProxy(reader: OptionsReader): SessionSettings["trustProxy"] {
  const proxy = reader.nested("trustProxy");
  if (reader.read("trustProxy") === undefined) return undefined;
  const header = proxy.text("header", /^[\w-]+$/, "must be the name of a header", true);
  const value = proxy.text("value", /^[^\s]+$/, "must be the value that means https", true);
  proxy.reportUnknown();
  return { header: `${header}`, value: `${value}`.toLowerCase() };
}

function readClock(reader: OptionsReader): () => number {
  const clock = reader.function<() => number>("now");
  if (clock === undefined) return () => Date.now();
  return () => {
    const time: unknown = clock();
    // With NaN nothing would ever expire.
    if (Number.isFinite(time)) return time as number;
    ignoreRejection(time);
    throw new SessionConfigError([`"now" must give milliseconds since the epoch: got ${show(time)}`]);
  };
}

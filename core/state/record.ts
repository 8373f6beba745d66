import { type Codec, jsonCodec } from "../bytes/json_codec.ts";
import { Refusal } from "../bytes/refusal.ts";
import { readValue, removeValue, type Values, writeValue } from "../bytes/values.ts";
import { SessionEncodeError, SessionTooLargeError } from "../errors.ts";
import type { SessionSettings } from "../options/session_options.ts";
import type { StoredRow } from "../store.ts";
import { ignoreRejection } from "../foreign.ts";

/** A decoded session: the user's values, and those that the manager keeps. */
export interface SessionRecord {
  /** When the session ends for good, in milliseconds since the epoch. */
  deadline: number;
  /** The user's values by key. The manager's own values may be among them, under reserved keys. */
  values: Values;
  /** The user that the session belongs to. */
  subject: string | undefined;
  /** Milliseconds since the epoch; `undefined` for a session that another service made. */
  createdAt: number | undefined;
  /** The nonces of the last writes, 12 characters each, the latest last. */
  nonces: string;
}

/** A record without values. */
export function emptyRecord(deadline: number): SessionRecord {
  return { deadline, values: {}, subject: undefined, createdAt: undefined, nonces: "" };
}

/** The reserved keys. */
const SUBJECT = "__subject";
const CREATED_AT = "__createdAt";
const NONCES = "__nonces";
/** The key that makes a record a mark: the session has got another token. */
const RENEWED = "__renewed";
const RESERVED: readonly string[] = [SUBJECT, CREATED_AT, NONCES, RENEWED];

/** The key of `rememberMe()`, as in SCS. */
export const REMEMBER_ME = "__rememberMe";

const NONCE_LENGTH = 12;
/** Enough for a writer to find its own nonce after a few other writes. */
const KEPT_NONCES = 8;

/** Whether the key is the manager's own. */
export function isReserved(key: string): boolean {
  return RESERVED.includes(key);
}

/** The keys of the user's values. */
export function keysOf({ values }: SessionRecord): string[] {
  return Object.keys(values).filter((key) => !isReserved(key));
}

/** Decodes a session. Throws what the codec throws for bytes that it cannot read. */
export function decodeRecord(codec: Codec, data: Uint8Array): SessionRecord {
  // Another codec than ours may give parts of these bytes as values, which the handler may change.
  const decoded = codec.decode(codec === jsonCodec ? data : new Uint8Array(data));
  const { deadline, values } = decoded;
  if (!Number.isFinite(deadline)) {
    ignoreRejection(decoded);
    throw new TypeError("Cannot decode session: its deadline is not a number");
  }
  const subject = readValue(values, SUBJECT);
  const createdAt = readValue(values, CREATED_AT);
  const nonces = readValue(values, NONCES);
  return {
    deadline,
    values,
    subject: typeof subject === "string" ? subject : undefined,
    createdAt: typeof createdAt === "number" ? createdAt : undefined,
    nonces: typeof nonces === "string" ? nonces : "",
  };
}

/** The record; `undefined` for bytes that the codec cannot read. */
export function tryDecodeRecord(codec: Codec, data: Uint8Array): SessionRecord | undefined {
  try {
    return decodeRecord(codec, data);
  } catch {
    return undefined;
  }
}

/** A row's session, if it is live, or why there is none: a mark, bytes that the codec cannot read, or the end of its time. */
export type Holding = SessionRecord | "renewed" | "undecodable" | "unknown";

/** What a row holds at this moment, by its data alone. */
export function holdingOf({ codec, now }: SessionSettings, { data }: StoredRow): Holding {
  const record = tryDecodeRecord(codec, data);
  if (record === undefined) return "undecodable";
  if (now() >= record.deadline) return "unknown";
  return isMark(record) ? "renewed" : record;
}

/** Whether it is a mark, which a renewal left under the old token. A mark is no session and lets nobody in. */
export function isMark({ values }: SessionRecord): boolean {
  return readValue(values, RENEWED) !== undefined;
}

/** Adds a nonce, and drops the oldest beyond the number that is kept. */
export function withNonce(nonces: string, nonce: string): string {
  return nonces.slice(NONCE_LENGTH * (1 - KEPT_NONCES)) + nonce;
}

/** The bytes of a mark. By its nonces a writer without a reply learns that its change is in the renewed session. */
export function encodeMark(codec: Codec, deadline: number, nonces: string): Uint8Array {
  return encodeValues(codec, { ...emptyRecord(deadline), values: { [RENEWED]: true } }, nonces);
}

/**
 * The bytes of a session. A session that is too large with all its nonces keeps the latest only, so that one which was saved
 * once can be saved again.
 *
 * @throws {SessionEncodeError} A value cannot be stored.
 * @throws {SessionTooLargeError} The session has more than `maxBytes`.
 */
export function encodeRecord(codec: Codec, record: SessionRecord, maxBytes: number): Uint8Array {
  let data = encodeValues(codec, record, record.nonces);
  // A codec may write a byte as several, as hex does. A session that is far too large is not encoded again.
  const mostSaved = 4 * (record.nonces.length - NONCE_LENGTH);
  if (data.length > maxBytes && data.length - mostSaved <= maxBytes) {
    data = encodeValues(codec, record, record.nonces.slice(-NONCE_LENGTH));
  }
  if (data.length <= maxBytes) return data;
  throw new SessionTooLargeError(data.length, maxBytes, largestKey(codec, record));
}

function encodeValues(codec: Codec, record: SessionRecord, nonces: string): Uint8Array {
  const { deadline, values, subject, createdAt } = record;
  values[NONCES] = nonces;
  writeOrRemove(values, SUBJECT, subject);
  writeOrRemove(values, CREATED_AT, createdAt);
  let data: unknown;
  try {
    data = encodeAlone(codec, deadline, values);
  } catch (error) {
    // Throws for the value that is to blame.
    for (const key of keysOf(record)) encodeValue(codec, key, readValue(record.values, key));
    throw new SessionEncodeError("", reasonOf(error));
  }
  if (data instanceof Uint8Array) return data;
  ignoreRejection(data);
  throw new SessionEncodeError("", "encode() of the codec must give a Uint8Array");
}

/** Encodes into bytes of their own. Another codec than ours may change the values, or give the same buffer each time. */
function encodeAlone(codec: Codec, deadline: number, values: Values): Uint8Array {
  if (codec === jsonCodec) return codec.encode(deadline, values);
  const data = codec.encode(deadline, { ...values });
  return data instanceof Uint8Array ? new Uint8Array(data) : data;
}

function writeOrRemove(values: Values, key: string, value: unknown): void {
  if (value === undefined) removeValue(values, key);
  else values[key] = value;
}

/** The bytes of a session with this one value. */
export function encodeValue(codec: Codec, key: string, value: unknown): Uint8Array {
  const values: Values = {};
  writeValue(values, key, value);
  try {
    return encodeAlone(codec, 0, values);
  } catch (error) {
    throw new SessionEncodeError(key, reasonOf(error));
  }
}

function largestKey(codec: Codec, record: SessionRecord): string | undefined {
  const keys = keysOf(record);
  if (keys.length === 1) return keys[0];
  const sizeOf = (key: string) => encodeValue(codec, key, readValue(record.values, key)).length;
  const sizes = keys.map((key) => ({ key, size: sizeOf(key) }));
  return sizes.sort((a, b) => b.size - a.size)[0]?.key;
}

// The message of any other error may show a value: a getter or a custom codec may have thrown it.
function reasonOf(error: unknown): string {
  return error instanceof Refusal ? error.problem : "the codec cannot encode it";
}

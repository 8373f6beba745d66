import type { Codec } from "../bytes/json_codec.ts";
import { SessionEncodeError, SessionTooLargeError } from "../errors.ts";
import { Refusal } from "../bytes/refusal.ts";

/** A decoded session: the user's values, and what the manager keeps beside them under reserved keys. */
export interface SessionRecord {
  /** When the session ends for good, in milliseconds since the epoch. */
  deadline: number;
  values: Map<string, unknown>;
  /** Whose session it is. */
  subject?: string;
  /** Milliseconds since the epoch. Unknown for a session that another service made. */
  createdAt?: number;
  /** Marks of the last writes, the latest last. */
  nonces: string[];
}

const RESERVED = { subject: "__subject", createdAt: "__createdAt", nonces: "__nonces" } as const;
const RESERVED_KEYS: ReadonlySet<string> = new Set(Object.values(RESERVED));

/** Under this key SCS keeps whether the browser is to keep the cookie when it is closed. */
export const REMEMBER_ME = "__rememberMe";

/** Whether the manager keeps something of its own under the key. */
export function isReserved(key: string): boolean {
  return RESERVED_KEYS.has(key);
}

/** Throws whatever the codec throws for bytes that it cannot read. */
export function decodeRecord(codec: Codec, data: Uint8Array): SessionRecord {
  const { deadline, values } = codec.decode(data);
  if (!Number.isFinite(deadline)) throw new TypeError("Cannot decode session: its deadline is not a number");
  const record: SessionRecord = { deadline, values: new Map(Object.entries(values)), nonces: [] };
  const { subject, createdAt, nonces } = RESERVED;
  const own = { subject: values[subject], createdAt: values[createdAt], nonces: values[nonces] };
  if (typeof own.subject === "string") record.subject = own.subject;
  if (typeof own.createdAt === "number") record.createdAt = own.createdAt;
  if (Array.isArray(own.nonces)) record.nonces = own.nonces.filter((nonce) => typeof nonce === "string");
  for (const key of RESERVED_KEYS) record.values.delete(key);
  return record;
}

/** Throws `SessionEncodeError` or `SessionTooLargeError`, both naming the key. */
export function encodeRecord(codec: Codec, record: SessionRecord, maxBytes: number): Uint8Array {
  const values: Record<string, unknown> = Object.fromEntries(record.values);
  if (record.subject !== undefined) values[RESERVED.subject] = record.subject;
  if (record.createdAt !== undefined) values[RESERVED.createdAt] = record.createdAt;
  values[RESERVED.nonces] = record.nonces;
  let data: Uint8Array;
  try {
    data = codec.encode(record.deadline, values);
  } catch (error) {
    throw findCulprit(codec, record.values) ?? new SessionEncodeError("", reasonOf(error));
  }
  if (data.length > maxBytes) {
    throw new SessionTooLargeError(data.length, maxBytes, largestKey(codec, record.values));
  }
  return data;
}

/** What one value looks like in bytes, to see later whether it was changed in place. */
export function encodeValue(codec: Codec, key: string, value: unknown): Uint8Array {
  try {
    return codec.encode(0, Object.fromEntries([[key, value]]));
  } catch (error) {
    throw new SessionEncodeError(key, reasonOf(error));
  }
}

/** Whether two byte arrays hold the same. */
export function equalBytes(a: Uint8Array, b: Uint8Array): boolean {
  if (a.length !== b.length) return false;
  for (let i = 0; i < a.length; i++) if (a[i] !== b[i]) return false;
  return true;
}

function findCulprit(codec: Codec, values: Map<string, unknown>): SessionEncodeError | undefined {
  for (const [key, value] of values) {
    try {
      encodeValue(codec, key, value);
    } catch (error) {
      return error as SessionEncodeError;
    }
  }
}

function largestKey(codec: Codec, values: Map<string, unknown>): string | undefined {
  let largest: string | undefined;
  let most = -1;
  for (const [key, value] of values) {
    const { length } = encodeValue(codec, key, value);
    if (length > most) [largest, most] = [key, length];
  }
  return largest;
}

// Only a refusal's words show no value: a getter that throws, or somebody else's codec, might.
function reasonOf(error: unknown): string {
  return error instanceof Refusal ? error.message : "the codec cannot encode it";
}

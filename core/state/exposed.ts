import { equalBytes, equalPlain } from "../bytes/equal.ts";
import { type Codec, jsonCodec } from "../bytes/json_codec.ts";
import { freezeAlone, freezeDeeply } from "../bytes/read_only.ts";
import { isObject, readValue, type Values, writeValue } from "../bytes/values.ts";
import type { StoredRow } from "../store.ts";
import { encodeValue } from "./record.ts";

/** An object that a handler got, and what it is compared with: its value in the row, or else these bytes. */
interface Exposed {
  value: object;
  row: StoredRow | undefined;
  bytes: Uint8Array | undefined;
}

/**
 * The objects that a session gave out, so that a commit sees which of them were changed in place. An object of a row is
 * compared with the row. The row is decoded a second time only then, so giving an object out costs next to nothing.
 */
export class ExposedValues {
  readonly #codec: Codec;
  #objects: Map<string, Exposed> | undefined;
  /**
   * The keys whose values hold objects of the handler's own, which are never frozen. An object of the store that was changed
   * in place may hold some, so it is here under its key, and is frozen alone.
   */
  #own: Map<string, object | undefined> | undefined;
  /** Copies that a closed session gives out. */
  #copies: Map<string, unknown> | undefined;

  constructor(codec: Codec) {
    this.#codec = codec;
  }

  /**
   * Watches an object. It is compared with its value in the row; without a row, with what it is now. Nothing changes for an
   * object that is watched already.
   */
  watch(key: string, value: object, row: StoredRow | undefined): void {
    this.#objects ??= new Map();
    if (this.#objects.get(key)?.value === value) return;
    const bytes = row === undefined ? this.#bytesOf(key, value) : undefined;
    this.#objects.set(key, { value, row, bytes });
  }

  /** Notes that the handler has set a value of its own, or has removed the value. */
  noteOwn(key: string, value?: unknown): void {
    this.#objects?.delete(key);
    if (isObject(value)) (this.#own ??= new Map()).set(key, undefined);
  }

  /** Whether another object than the current value was given out under the key. */
  isStale(key: string, current: unknown): boolean {
    const exposed = this.#objects?.get(key);
    return exposed !== undefined && exposed.value !== current;
  }

  /** The objects that were changed in place, by key. From now on they are values that the handler has set. */
  takeChanged(keys: Iterable<string> = this.#objects?.keys() ?? []): [key: string, value: object][] {
    const valuesOf = this.#decoder();
    const taken: [string, object][] = [];
    for (const key of keys) {
      const exposed = this.#objects?.get(key);
      if (exposed === undefined || !this.#isChanged(key, exposed, valuesOf)) continue;
      const { value } = exposed;
      this.#objects!.delete(key);
      if (!this.#own?.has(key)) (this.#own ??= new Map()).set(key, value);
      taken.push([key, value]);
    }
    return taken;
  }

  /** Puts the objects that were given out into fresh values, where another request has not changed them. */
  keepIn(values: Values): void {
    const valuesOf = this.#decoder();
    for (const [key, exposed] of this.#objects ?? []) {
      const value = readValue(values, key);
      const isSame = isObject(value) && !this.#isChanged(key, { ...exposed, value }, valuesOf);
      if (isSame) writeValue(values, key, exposed.value);
    }
  }

  /**
   * Keeps what an object is now, and gives a function. If the object has changed since, the function returns a copy of what
   * it was, else `undefined`. What no codec can write is not copied, since a commit refuses it.
   */
  snapshot(key: string, value: unknown): () => unknown {
    const before = isObject(value) ? this.#encode(key, value) : undefined;
    return () => {
      if (before === undefined) return undefined;
      const now = this.#encode(key, value);
      if (now !== undefined && equalBytes(now.bytes, before.bytes)) return undefined;
      return readValue(before.codec.decode(before.bytes).values, key);
    };
  }

  /** Freezes the objects that came out of the store, so that a later change throws. */
  freeze(): void {
    if (this.#objects === undefined) return;
    for (const [key, { value }] of this.#objects) if (!this.#own?.has(key)) freezeDeeply(value);
    for (const value of this.#own?.values() ?? []) if (value !== undefined) freezeAlone(value);
  }

  /** The value as a closed session gives it: an object that refuses every change. */
  readOnly(key: string, value: unknown): unknown {
    if (!isObject(value)) return value;
    const isFrozen = this.#objects?.get(key)?.value === value && !this.#own?.has(key);
    if (isFrozen) return value;
    if (this.#copies?.has(key)) return this.#copies.get(key);
    try {
      const copy = this.#copyOf(key, value);
      freezeDeeply(copy);
      (this.#copies ??= new Map()).set(key, copy);
      return copy;
    } catch {
      // A value that cannot be copied cannot be saved either.
      return value;
    }
  }

  /** Decodes each row once: most objects come from the same one. */
  #decoder(): (row: StoredRow) => Values {
    let last: { row: StoredRow; values: Values } | undefined;
    return (row) => {
      if (last?.row !== row) last = { row, values: this.#codec.decode(row.data).values };
      return last.values;
    };
  }

  #isChanged(key: string, { value, row, bytes }: Exposed, valuesOf: (row: StoredRow) => Values): boolean {
    let before = bytes;
    // JSON keeps the order of keys. Another codec may not.
    const isOrdered = this.#codec === jsonCodec;
    if (row !== undefined) {
      const stored = readValue(valuesOf(row), key);
      try {
        if (equalPlain(value, stored, isOrdered)) return false;
      } catch {
        // The stack is exhausted: another codec may read a value that contains itself.
      }
      before = this.#bytesOf(key, stored);
    }
    // No codec can write the value, so any commit of it fails: a change of it is not lost in silence.
    if (before === undefined || this.#hasBytes(key, value, before)) return false;
    try {
      return isOrdered || !this.#hasBytes(key, this.#copyOf(key, value), before);
    } catch {
      return true;
    }
  }

  #hasBytes(key: string, value: unknown, bytes: Uint8Array): boolean {
    const now = this.#bytesOf(key, value);
    return now !== undefined && equalBytes(now, bytes);
  }

  /** The value as it is read once the codec has written it. */
  #copyOf(key: string, value: object): unknown {
    return readValue(this.#codec.decode(encodeValue(this.#codec, key, value)).values, key);
  }

  /** The bytes to compare a value by; `undefined` if no codec can write it. */
  #bytesOf(key: string, value: unknown): Uint8Array | undefined {
    return this.#encode(key, value)?.bytes;
  }

  /**
   * JSON comes first: a codec that encrypts makes other bytes of the same value each time. A codec may read what it cannot
   * write, as gob does with a Go struct. Then the commit throws, not `get()`.
   */
  #encode(key: string, value: unknown): { codec: Codec; bytes: Uint8Array } | undefined {
    for (const codec of [jsonCodec, this.#codec]) {
      try {
        return { codec, bytes: encodeValue(codec, key, value) };
      } catch {
        // The next codec may know how.
      }
    }
  }
}

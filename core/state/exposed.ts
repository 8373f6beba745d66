import { equalBytes } from "../bytes/equal.ts";
import { type Codec, jsonCodec } from "../bytes/json_codec.ts";
import { readValue, type Values } from "../bytes/values.ts";
import type { StoredRow } from "../store.ts";
import { encodeValue } from "./record.ts";

/** An object that the user got hold of, and what tells how it looked then. */
interface Exposed {
  value: object;
  /** The row that it was read from. */
  row: StoredRow | undefined;
  /** Its bytes, where no row holds it as it was. */
  bytes: Uint8Array | undefined;
}

/**
 * The objects that a session gave out, to see at the commit which of them were changed in place. An object of a row is
 * compared with the row, which is decoded once more only then: to give one out costs next to nothing.
 */
export class ExposedValues {
  readonly #codec: Codec;
  #objects: Map<string, Exposed> | undefined;

  constructor(codec: Codec) {
    this.#codec = codec;
  }

  /** Adds an object as it lies in a row. One that is known already is compared with how it looked at first. */
  add(key: string, value: object, row: StoredRow | undefined): void {
    this.#objects ??= new Map();
    if (this.#objects.get(key)?.value === value) return;
    this.#objects.set(key, { value, row, bytes: row === undefined ? this.#bytesOf(key, value) : undefined });
  }

  /** Adds an object as it looks now. */
  addCopy(key: string, value: object): void {
    this.add(key, value, undefined);
  }

  delete(key: string): void {
    this.#objects?.delete(key);
  }

  clear(): void {
    this.#objects = undefined;
  }

  keys(): string[] {
    return this.#objects === undefined ? [] : [...this.#objects.keys()];
  }

  /** Whether another object than the current value was given out under the key. */
  isStale(key: string, current: unknown): boolean {
    const exposed = this.#objects?.get(key);
    return exposed !== undefined && exposed.value !== current;
  }

  /** After a commit the objects that are still in the session lie in its row as they were encoded. */
  rebase(values: Values, row: StoredRow): void {
    for (const [key, exposed] of this.#objects ?? []) {
      if (readValue(values, key) === exposed.value) {
        this.#objects!.set(key, { value: exposed.value, row, bytes: undefined });
      }
    }
  }

  /** The object under the key, where it was changed in place. */
  changed(key: string): object | undefined {
    const exposed = this.#objects?.get(key);
    if (exposed === undefined) return undefined;
    const { value, row, bytes } = exposed;
    const before = row === undefined ? bytes : this.#bytesOf(key, this.#valueIn(row, key));
    // What no codec can write no commit can save, so no change of it can get lost in silence.
    if (before === undefined) return undefined;
    const now = this.#bytesOf(key, value);
    return now !== undefined && equalBytes(now, before) ? undefined : value;
  }

  /** Whether two values would be saved as different ones. */
  differ(key: string, one: unknown, other: unknown): boolean {
    const [a, b] = [this.#bytesOf(key, one), this.#bytesOf(key, other)];
    return a === undefined || b === undefined || !equalBytes(a, b);
  }

  #valueIn(row: StoredRow, key: string): unknown {
    return readValue(this.#codec.decode(row.data).values, key);
  }

  /**
   * As JSON first: a codec that encrypts makes other bytes of the same value each time. A codec may read what it cannot
   * write, as gob does a Go struct: the commit refuses that, not `get()`.
   */
  #bytesOf(key: string, value: unknown): Uint8Array | undefined {
    for (const codec of [jsonCodec, this.#codec]) {
      try {
        return encodeValue(codec, key, value);
      } catch {
        // The next one may know how.
      }
    }
  }
}

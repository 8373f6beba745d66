import { equalBytes, equalPlain } from "../bytes/equal.ts";
import { type Codec, jsonCodec } from "../bytes/json_codec.ts";
import { freezeAlone, freezeDeeply } from "../bytes/read_only.ts";
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
  /** Whether all of it came out of the store. What the user put there is never frozen. */
  isDecoded: boolean;
}

/**
 * The objects that a session gave out, to see at the commit which of them were changed in place. An object of a row is
 * compared with the row, which is decoded once more only then: to give one out costs next to nothing.
 */
export class ExposedValues {
  readonly #codec: Codec;
  #objects: Map<string, Exposed> | undefined;
  /** Objects that came out of the store and were changed in place. They may hold some of the user's by now. */
  #changed: object[] | undefined;

  constructor(codec: Codec) {
    this.#codec = codec;
  }

  /** Adds an object as it lies in a row. One that is known already is compared with how it looked at first. */
  add(key: string, value: object, row: StoredRow | undefined, isDecoded = false): void {
    this.#objects ??= new Map();
    if (this.#objects.get(key)?.value === value) return;
    const bytes = row === undefined ? this.#bytesOf(key, value) : undefined;
    this.#objects.set(key, { value, row, bytes, isDecoded });
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

  /** The object under the key was changed in place, and is saved as one that was put there. */
  deleteChanged(key: string): void {
    const exposed = this.#objects?.get(key);
    if (exposed?.isDecoded) (this.#changed ??= []).push(exposed.value);
    this.delete(key);
  }

  /** Whether the value was given out, and all of it came out of the store. */
  isDecoded(key: string, value: unknown): boolean {
    const exposed = this.#objects?.get(key);
    return exposed !== undefined && exposed.isDecoded && exposed.value === value;
  }

  /**
   * Freezes what came out of the store, so that no change of it gets lost in silence. Gives what must still be guarded once
   * it is encoded; `undefined` where nothing was given out.
   */
  freeze(): object[] | undefined {
    if (this.#objects === undefined) return undefined;
    const found: object[] = [];
    for (const { value, isDecoded } of this.#objects.values()) if (isDecoded) freezeDeeply(value, found);
    for (const value of this.#changed ?? []) found.push(...freezeAlone(value));
    return found;
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
        this.#objects!.set(key, { ...exposed, row, bytes: undefined });
      }
    }
  }

  /** The object under the key, where it was changed in place. */
  changed(key: string): object | undefined {
    const exposed = this.#objects?.get(key);
    if (exposed === undefined) return undefined;
    const { value, row } = exposed;
    let before = exposed.bytes;
    if (row !== undefined) {
      const stored = this.#valueIn(row, key);
      if (equalPlain(value, stored)) return undefined;
      before = this.#bytesOf(key, stored);
    }
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

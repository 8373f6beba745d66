import { readValue, removeValue, type Values, writeValue } from "../bytes/values.ts";
import type { StoredRow } from "../store.ts";
import type { SessionRecord } from "./record.ts";

/** Makes the new value from the old one; see `Session.update`. */
export type UpdateFunction = (value: unknown) => unknown;

type Change =
  | { kind: "put"; value: unknown }
  | { kind: "remove" }
  | { kind: "update"; functions: UpdateFunction[] };

/**
 * The changes of one request, as instructions rather than results, so that they can be replayed on what another request has
 * written. There is one entry for each key.
 */
export class ChangeLog {
  /** How often the handler had failed before these changes. */
  readonly failures: number;
  readonly #changes = new Map<string, Change>();
  #cleared = false;
  /** Whether any of the changes is a reason to write. */
  mustWrite = false;
  /** The new deadline, where it was set. */
  deadline: number | undefined;
  /** The new subject, where it was set; `null` where it was taken away. */
  subject: string | null | undefined;
  /** Whether the session gets a new token. */
  renew = false;
  /** Whether the response sets the cookie anew, since the deadline or `rememberMe` has changed. */
  setsCookie = false;
  /** Rows of sessions that were merged into this one, to be deleted once it is saved. */
  merged: readonly StoredRow[] = [];

  constructor(failures = 0) {
    this.failures = failures;
  }

  /** Whether this request has changed the value under the key, other than by `clear()`. */
  has(key: string): boolean {
    return this.#changes.has(key);
  }

  put(key: string, value: unknown): void {
    this.#changes.set(key, { kind: "put", value });
  }

  remove(key: string): void {
    this.#changes.set(key, { kind: "remove" });
  }

  /** @param result What the function made of the value in this request's memory. */
  update(key: string, update: UpdateFunction, result: unknown): void {
    const earlier = this.#changes.get(key);
    if (earlier?.kind === "update") {
      earlier.functions.push(update);
    } else if (earlier !== undefined || this.#cleared) {
      // This request has set or removed the value before, so a conflict cannot change the result.
      if (result === undefined) this.remove(key);
      else this.put(key, result);
    } else {
      this.#changes.set(key, { kind: "update", functions: [update] });
    }
  }

  clear(): void {
    this.#changes.clear();
    this.#cleared = true;
  }

  /**
   * Adds the changes that were made after this log was taken for a commit.
   *
   * @param values The values after all these changes.
   */
  append(later: ChangeLog, values: Values): void {
    if (later.#cleared) this.clear();
    for (const [key, change] of later.#changes) {
      if (change.kind === "put") this.put(key, change.value);
      else if (change.kind === "remove") this.remove(key);
      // The functions are not run again: their results are there, and one may change its argument in place.
      else for (const update of change.functions) this.update(key, update, readValue(values, key));
    }
    this.deadline = later.deadline ?? this.deadline;
    if (later.subject !== undefined) this.subject = later.subject;
    this.renew ||= later.renew;
    this.setsCookie ||= later.setsCookie;
    this.addMerged(later.merged);
  }

  addMerged(rows: readonly StoredRow[]): void {
    const added = rows.filter((row) => !this.merged.some(({ token }) => token === row.token));
    if (added.length > 0) this.merged = [...this.merged, ...added];
  }

  /** The value that this request put under the key; `undefined` where it put none. */
  valuePut(key: string): unknown {
    const change = this.#changes.get(key);
    return change?.kind === "put" ? change.value : undefined;
  }

  /** The keys of the values that this request put. */
  keysPut(): string[] {
    return [...this.#changes].filter(([, change]) => change.kind === "put").map(([key]) => key);
  }

  /** Makes the changes to a record that another request has written. */
  replay(record: SessionRecord): void {
    record.deadline = this.deadline ?? record.deadline;
    if (this.subject !== undefined) record.subject = this.subject ?? undefined;
    if (this.#cleared) record.values = {};
    const { values } = record;
    for (const [key, change] of this.#changes) {
      if (change.kind === "put") writeValue(values, key, change.value);
      else if (change.kind === "remove") removeValue(values, key);
      else for (const update of change.functions) applyUpdate(values, key, update);
    }
  }
}

/** Replaces a value by what an update function makes of it, and gives the result; `undefined` removes the key. */
export function applyUpdate(values: Values, key: string, update: UpdateFunction): unknown {
  const result = update(readValue(values, key));
  if (result === undefined) removeValue(values, key);
  else writeValue(values, key, result);
  return result;
}

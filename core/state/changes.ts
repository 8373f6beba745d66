import { readValue, removeValue, type Values, writeValue } from "../bytes/values.ts";
import type { SessionRecord } from "./record.ts";

/** Makes a value from what it was; see `Session.update`. */
export type UpdateFunction = (value: unknown) => unknown;

type Change =
  | { kind: "put"; value: unknown }
  | { kind: "remove" }
  | { kind: "update"; functions: UpdateFunction[] };

/**
 * What one request did to a session, as instructions rather than results, so that it can be done again on what
 * another request left behind. Keeps one entry for each key, however often it was written.
 */
export class ChangeLog {
  readonly #changes = new Map<string, Change>();
  #cleared = false;
  /** The new deadline, where it was set. */
  deadline: number | undefined;
  /** The new subject, where it was set; `null` where it was taken away. */
  subject: string | null | undefined;
  /** Whether the session is to get a new token. */
  renew = false;
  /** Whether the browser must hear of it: a moved deadline, another `rememberMe`. */
  tellsBrowser = false;
  /** Stored tokens of sessions that were merged into this one, to be deleted once it is saved. */
  merged: readonly string[] = [];

  put(key: string, value: unknown): void {
    this.#changes.set(key, { kind: "put", value });
  }

  remove(key: string): void {
    this.#changes.set(key, { kind: "remove" });
  }

  /** @param result What the function made of the value as this request knows it. */
  update(key: string, update: UpdateFunction, result: unknown): void {
    const earlier = this.#changes.get(key);
    if (earlier?.kind === "update") {
      earlier.functions.push(update);
    } else if (earlier !== undefined || this.#cleared) {
      // The value before was this request's own, so no other request can change what comes out.
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
   * Adds what was done after this log was taken away to be committed, when the commit has failed.
   *
   * @param values What came out of both.
   */
  append(later: ChangeLog, values: Values): void {
    if (later.#cleared) this.clear();
    for (const [key, change] of later.#changes) {
      if (change.kind === "put") this.put(key, change.value);
      else if (change.kind === "remove") this.remove(key);
      // Not run once more: what they made is there, and one may have changed its argument in place.
      else for (const update of change.functions) this.update(key, update, readValue(values, key));
    }
    this.deadline = later.deadline ?? this.deadline;
    if (later.subject !== undefined) this.subject = later.subject;
    this.renew ||= later.renew;
    this.tellsBrowser ||= later.tellsBrowser;
    this.merged = [...new Set([...this.merged, ...later.merged])];
  }

  /** The value that this request put under the key; `undefined` where it put none. */
  valuePut(key: string): unknown {
    const change = this.#changes.get(key);
    return change?.kind === "put" ? change.value : undefined;
  }

  /** The keys whose values this request put there. */
  keysPut(): string[] {
    return [...this.#changes].filter(([, change]) => change.kind === "put").map(([key]) => key);
  }

  /** Does everything again, on what another request left behind. */
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

/** Runs an update function on one value and gives what it made of it; `undefined` removes the key. */
export function applyUpdate(values: Values, key: string, update: UpdateFunction): unknown {
  const result = update(readValue(values, key));
  if (result === undefined) removeValue(values, key);
  else writeValue(values, key, result);
  return result;
}

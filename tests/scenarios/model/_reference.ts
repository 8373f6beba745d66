/**
 * The reference: sessions as a map and a clock. It is told what each actor intends and which store writes took
 * effect, in order. It says what must be in the store and what a request may see.
 * @module
 */

import { LIFETIME } from "./_program.ts";

export type Values = Map<string, unknown>;

/** An operation, so that it can be replayed on what another actor left. */
export type Change = (session: Contents) => void;

/** The values of a session. */
export interface Contents {
  values: Values;
  deadline: number;
  subject: string | undefined;
}

/** A session in the store, under one token at a time. */
export interface Row extends Contents {
  readonly number: number;
  token: string;
  expiry: number;
}

/** The mark that a renewal leaves under the old token. */
export interface Mark {
  readonly deadline: number;
  expiry: number;
}

/** One write of a request, however often it is sent. */
export interface Sent {
  /** The token under which the session was found; `undefined` for a new one. */
  readonly from: string | undefined;
  changes: readonly Change[];
  /** The values of a new session. */
  readonly contents: Contents;
  readonly renew: boolean;
  readonly started: number;
  /** How often it took effect. */
  saved: number;
  /** Whether a reply said that nothing was written and nothing will be. */
  failed: boolean;
  /** The session that the write left, by token. A new session may have several, and returns one of them. */
  readonly results: Map<string, Row>;
}

/** What one request sees of a session, and what it has done since its last commit. */
export class View implements Contents {
  values: Values = new Map();
  deadline: number;
  subject: string | undefined;
  /** The token under which the session was found; `undefined` until it is created. */
  token: string | undefined;
  changes: Change[] = [];
  renew = false;
  readonly merged = new Set<string>();
  /** Removals that found nothing to remove, while there are no changes. They are no reason to write. */
  unseen: Change[] = [];
  /** The cookie of the request, if it had no session. */
  offered: string | undefined;
  /** Whether the primary had neither a session nor a mark under it when this request asked. */
  offeredIsOver = false;
  /** A write in doubt, with changes that came before those above. */
  pending: Sent | undefined;
  /** How the session ended, once the request was told. */
  gone: "ended" | "renewed" | undefined;
  /** Whether it was gone when it was looked up. A concurrent write that was sent before may extend it. */
  missed?: boolean;
  /** Whether a commit of a session without changes was requested and failed. */
  asked = false;
  /** Why the last save failed. */
  error: unknown;
  /** The subject when the session was last read or saved. */
  owner: string | undefined;

  constructor(now: number) {
    this.deadline = now + LIFETIME;
  }

  /** The session as it was read, or as a commit left it. */
  show(row: Row): void {
    Object.assign(this, copyOf(row));
    this.token = row.token;
    this.owner = row.subject;
    this.merged.delete(row.token);
  }

  /** The primary has the session that the replica did not know. */
  adopt(row: Row): void {
    this.addUnseen();
    this.rebase(row);
  }

  /** An earlier write is known to have happened. Later changes are applied on top of it. */
  rebase(row: Row): void {
    this.show(row);
    for (const change of this.changes) change(this);
    this.pending = undefined;
  }

  /**
   * The values of a new session that replaces this one. Values that were read are kept only if the session had no
   * subject.
   */
  contents(changes: readonly Change[], settled: Row | undefined): Contents {
    const owner = settled === undefined ? this.owner : settled.subject;
    if (this.token === undefined || (owner === undefined && settled === undefined)) return copyOf(this);
    const contents: Contents = owner === undefined
      ? copyOf(settled!)
      : { values: new Map(), deadline: this.deadline, subject: undefined };
    for (const change of changes) change(contents);
    return contents;
  }

  get changed(): boolean {
    return this.changes.length > 0 || this.renew || this.merged.size > 0;
  }

  put(key: string, value: unknown): void {
    this.#change(({ values }) => values.set(key, structuredClone(value)));
  }

  remove(key: string): void {
    this.#take(this.values.has(key), ({ values }) => values.delete(key));
  }

  pop(key: string): void {
    if (this.values.has(key)) this.remove(key);
  }

  update(key: string): void {
    this.#change(({ values }) => values.set(key, increment(values.get(key))));
  }

  clear(): void {
    this.#take(this.values.size > 0, ({ values }) => values.clear());
  }

  setDeadline(deadline: number): void {
    this.#change((contents) => contents.deadline = deadline);
  }

  setSubject(subject: string | undefined): void {
    this.#take(subject !== this.subject, (contents) => contents.subject = subject);
  }

  renewToken(now: number): void {
    this.setDeadline(now + LIFETIME);
    this.renew = true;
  }

  merge(other: Row): void {
    if (other.token === this.token) return;
    for (const [key, value] of other.values) this.put(key, value);
    if (other.deadline > this.deadline) this.setDeadline(other.deadline);
    this.merged.add(other.token);
    this.addUnseen();
  }

  /** From now on the removals that found nothing are changes like any other. */
  addUnseen(): void {
    this.changes.push(...this.unseen.splice(0));
  }

  #take(isSeen: boolean, removal: Change): void {
    // A write in doubt that took over a session's values has that session in its own log.
    const hasLog = this.changes.length > 0 || this.renew ||
      (this.merged.size > 0 && this.pending === undefined);
    if (isSeen || hasLog) this.#change(removal);
    else this.unseen.push(removal);
  }

  #change(change: Change): void {
    change(this);
    this.addUnseen();
    this.changes.push(change);
  }
}

/** The function of every `update()`. */
export function increment(value: unknown): number {
  return (typeof value === "number" ? value : 0) + 1;
}

/** A contradiction. */
export class Violation extends Error {
  override readonly name = "Violation";
}

/** All sessions. */
export class Reference {
  readonly rows = new Map<string, Row>();
  readonly marks = new Map<string, Mark>();
  /** Tokens that ended in any way. */
  readonly dead = new Set<string>();
  #count = 0;

  /** The row of a token if it is live. */
  live(token: string, now: number): Row | undefined {
    const row = this.rows.get(token);
    return row !== undefined && now < Math.min(row.deadline, row.expiry) ? row : undefined;
  }

  liveOf(subject: string, now: number): Row[] {
    return [...this.rows.values()].filter((row) => row.subject === subject && this.live(row.token, now));
  }

  create(token: string, contents: Contents, expiry: number): Row {
    if (this.rows.has(token) || this.dead.has(token)) throw new Violation(`${name(token)} was created twice`);
    const row = { ...copyOf(contents), number: ++this.#count, token, expiry };
    this.rows.set(token, row);
    return row;
  }

  /** Applies the changes to the current values. */
  change(token: string, next: string, changes: readonly Change[], now: number): Row {
    const row = this.rows.get(token);
    if (row === undefined) throw new Violation(`${name(token)} was written although it had ended`);
    if (now >= Math.min(row.deadline, row.expiry)) {
      throw new Violation(`${name(token)} was written although it had expired`);
    }
    for (const change of changes) change(row);
    if (next !== token) {
      if (this.rows.has(next) || this.dead.has(next)) {
        throw new Violation(`${name(next)} was given out twice`);
      }
      this.end(token);
      this.marks.set(token, { deadline: 0, expiry: 0 });
      row.token = next;
      this.rows.set(next, row);
    }
    return row;
  }

  /** A deletion that finds nothing ends nothing: a new session in doubt may arrive after it, and nobody has its token. */
  end(token: string): boolean {
    const isEnded = this.rows.delete(token) || this.marks.delete(token);
    if (isEnded) this.dead.add(token);
    return isEnded;
  }

  /** The mark under a token, if it is still valid. */
  liveMark(token: string, now: number): Mark | undefined {
    const mark = this.marks.get(token);
    return mark !== undefined && now < Math.min(mark.deadline, mark.expiry) ? mark : undefined;
  }

  endAllOf(subject: string, except: string | undefined): number {
    const ended = [...this.rows.values()].filter((row) => row.subject === subject && row.token !== except);
    for (const { token } of ended) this.end(token);
    return ended.length;
  }

  purge(now: number): number {
    const expired = [...this.rows, ...this.marks].filter(([, { expiry }]) => expiry <= now);
    for (const [token] of expired) this.end(token);
    return expired.length;
  }
}

/** A stored token in messages. */
export function name(token: string): string {
  return `session ${token.slice(0, 6)}`;
}

export function copyOf({ values, deadline, subject }: Contents): Contents {
  return { values: structuredClone(values), deadline, subject };
}

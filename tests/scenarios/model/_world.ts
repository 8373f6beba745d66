/**
 * Where a program runs: a clock, browsers' cookies, a store, and the reference that says what should be in it.
 * @module
 */

import { jsonCodec, sessions } from "../../../mod.ts";
import { hashToken } from "../../../core/bytes/token.ts";
import { equal } from "../../assert.ts";
import type { FullStore } from "../../backends.ts";
import type { Effect } from "./_actor_store.ts";
import { type Fault, IDLE_TIMEOUT, LIFETIME, type Program, SLOTS } from "./_program.ts";
import { type Contents, name, Reference, type Row, type View, Violation } from "./_reference.ts";
import type { Turns } from "./_turns.ts";

/** What an actor waits for now, and what became of it so far. */
export interface Attempt {
  readonly what: string;
  readonly started: number;
  /** What it means to save. */
  readonly view?: Readonly<Pick<View, "token" | "changes" | "renew" | "merged"> & Contents>;
  /** How often it saved a session. */
  saved: number;
  /** How many deletions of it arrived. */
  deletions: number;
  /** How many sessions it ended. */
  ended: number;
  /** Whether a reply said that nothing was written, and nothing will be. */
  failed: boolean;
  readonly faults: Fault[];
  /** Whether a row must be read before it is written again. */
  inDoubt: boolean;
  /** The live session that the last read met, as it was then. */
  found?: Row;
  /** Whether a read met none where its session should be: a touch that was under way may make it live on. */
  missed: boolean;
  /** The live sessions that the last listing met. */
  listed: Row[];
  /** By token, the session as this attempt left it: of a new one there may be several, of which one is given out. */
  readonly results: Map<string, Row>;
}

/** A world in which a program runs: a clock, cookies, a store and what should be in it. */
export class World {
  readonly reference = new Reference();
  readonly idleTimeout: number;
  readonly turns: Turns;
  readonly store: FullStore;
  /** Tokens that browsers were given. */
  readonly jars: string[][] = Array.from({ length: SLOTS }, () => []);
  readonly late: Promise<unknown>[] = [];
  readonly trace: string[] = [];
  violation: Violation | undefined;
  now: number;
  readonly #subjects: string;

  constructor(program: Program, turns: Turns, store: FullStore, start: number) {
    this.idleTimeout = program.idleTimeout ? IDLE_TIMEOUT : Infinity;
    this.turns = turns;
    this.store = store;
    this.now = start;
    this.#subjects = `user ${start}`;
  }

  subject(number: number): string {
    return `${this.#subjects}.${number}`;
  }

  /** Tokens, and what the store has in their place. */
  secrets(): string[] {
    return [...this.jars.flat(), ...this.reference.rows.keys()];
  }

  fail(message: string): void {
    this.violation ??= new Violation(message);
  }

  /** Compares what an effect should have done with what it did. */
  async witness(attempt: Attempt, effect: Effect): Promise<void> {
    this.trace.push(`  ${attempt.what}: ${JSON.stringify(effect)}`);
    try {
      await this.#compare(attempt, effect);
    } catch (error) {
      if (!(error instanceof Violation)) throw error;
      this.fail(error.message);
    }
  }

  async #compare(attempt: Attempt, effect: Effect): Promise<void> {
    const { reference } = this;
    switch (effect.method) {
      case "find": {
        const row = reference.live(effect.token, this.now);
        attempt.found = row && structuredClone(row);
        if (row === undefined && effect.token === attempt.view?.token) attempt.missed = true;
        return;
      }
      case "list": {
        const rows = effect.subject === undefined
          ? [...reference.rows.values()].filter(({ token }) => reference.live(token, this.now))
          : reference.liveOf(effect.subject, this.now);
        attempt.listed = structuredClone(rows);
        return;
      }
      case "create": {
        if (!effect.done) return;
        const row = reference.create(effect.token, this.#saved(attempt), 0);
        return await this.#compareRow(attempt, row);
      }
      case "update": {
        if (!effect.done) return;
        const { changes, token, renew } = this.#saved(attempt);
        if (token !== effect.token) throw new Violation(`wrote ${name(effect.token)}, not its own session`);
        if (renew !== (effect.next !== token)) throw new Violation(`${name(token)}: renewed is not ${renew}`);
        const row = reference.change(effect.token, effect.next, changes, effect.now);
        if (renew) await this.#compareAbsent(effect.token);
        return await this.#compareRow(attempt, row);
      }
      case "touch": {
        const row = reference.rows.get(effect.token);
        if (row === undefined) return await this.#compareAbsent(effect.token);
        return await this.#compareRow(attempt, row, row.expiry);
      }
      case "delete":
        attempt.deletions++;
        if (effect.done) attempt.ended++;
        if (reference.end(effect.token) !== effect.done) {
          throw new Violation(`the deletion of ${name(effect.token)} says ${effect.done}`);
        }
        return await this.#compareAbsent(effect.token);
      case "deleteBySubject":
        attempt.deletions++;
        attempt.ended += effect.count;
        return compareCounts(reference.endAllOf(effect.subject, effect.except), effect.count);
      case "deleteExpired":
        return compareCounts(reference.purge(effect.now), effect.count);
    }
  }

  /** What the attempt that a write belongs to was to save. */
  #saved(attempt: Attempt): NonNullable<Attempt["view"]> {
    attempt.saved++;
    if (attempt.view === undefined) throw new Violation(`${attempt.what} wrote a session`);
    if (attempt.failed) {
      throw new Violation(`${attempt.what} was saved although that was said to have failed`);
    }
    // A new session whose fate was open may have ended before it is written again, or come late under a token that
    // nobody was given. An old one is written once.
    const renewed = attempt.view.token === undefined && attempt.faults.length > 0;
    if (attempt.saved > 1 && !renewed) throw new Violation(`${attempt.what} was saved twice`);
    return attempt.view;
  }

  async #compareRow(attempt: Attempt, row: Row, atLeast?: number): Promise<void> {
    const stored = await this.store.find(row.token, { now: 0 });
    if (stored === undefined) throw new Violation(`${name(row.token)} is not in the store`);
    const { deadline, values: { __subject, __createdAt, __nonces, ...values } } = jsonCodec.decode(
      stored.data,
    );
    const contents = { deadline, subject: __subject, values };
    const expected = {
      deadline: row.deadline,
      subject: row.subject,
      values: Object.fromEntries(row.values),
    };
    if (!equal(contents, expected)) {
      throw new Violation(
        `the store has ${JSON.stringify(contents)} in place of ${JSON.stringify(expected)}`,
      );
    }
    const atMost = Math.min(row.deadline, this.now + this.idleTimeout);
    const least = Math.min(row.deadline, attempt.started + this.idleTimeout);
    if (atLeast === undefined ? stored.expiry < least || stored.expiry > atMost : stored.expiry < atLeast) {
      throw new Violation(`${name(row.token)} expires at ${stored.expiry}, not from ${least} to ${atMost}`);
    }
    row.expiry = stored.expiry;
    attempt.results.set(row.token, structuredClone(row));
  }

  async #compareAbsent(token: string): Promise<void> {
    if (await this.store.find(token, { now: 0 })) throw new Violation(`${name(token)} is still in the store`);
  }

  /** When all is over, exactly what should be there is there, and the browsers get at it. */
  async compareAll(): Promise<void> {
    const rows = await Array.fromAsync(this.store.all({ now: this.now }));
    const live = [...this.reference.rows.values()].filter(({ expiry }) => this.now < expiry);
    const tokens = (list: { token: string }[]) => list.map(({ token }) => token).sort();
    if (!equal(tokens(rows), tokens(live))) this.fail("other sessions are in the store than should be");
    const manager = sessions({ store: this.store, ...this.options() });
    for (const jar of this.jars) {
      const worked = [];
      for (const token of new Set(jar)) {
        const session = await manager.load(token);
        if (session.token !== undefined) worked.push(this.reference.rows.get(hashToken(token))?.number);
      }
      if (new Set(worked).size < worked.length) this.fail("two tokens of one session work");
    }
  }

  options() {
    return {
      now: () => this.now,
      lifetime: LIFETIME,
      idleTimeout: this.idleTimeout === Infinity ? 0 : this.idleTimeout,
      // Of touches, which nobody waits for; all others are thrown, and looked at.
      onError() {},
    };
  }
}

function compareCounts(expected: number, count: number): void {
  if (count !== expected) throw new Violation(`${count} sessions were deleted in place of ${expected}`);
}

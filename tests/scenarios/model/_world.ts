/**
 * The environment of a program: a clock, the browsers' cookies, a store, and the reference for its content.
 * @module
 */

import { jsonCodec, sessions, type StoredSession } from "../../../mod.ts";
import { hashToken } from "../../../core/bytes/token.ts";
import { equal } from "../../assert.ts";
import type { FullStore } from "../../backends.ts";
import type { Effect } from "./_actor_store.ts";
import { type Fault, IDLE_TIMEOUT, LIFETIME, type Program, SLOTS } from "./_program.ts";
import { name, Reference, type Row, type Sent, type View, Violation } from "./_reference.ts";
import type { Turns } from "./_turns.ts";

/** How long a mark lives, in milliseconds. */
const MARK_LIFETIME = 60_000;

/** The current operation of an actor, and its effects so far. */
export interface Attempt {
  readonly what: string;
  readonly started: number;
  /** The session that it will save, with its values. */
  readonly view?: View;
  /** The write of the latest changes. */
  sent?: Sent;
  /** How many of its deletions arrived. */
  deletions: number;
  /** How many sessions it ended. */
  ended: number;
  readonly faults: Fault[];
  /** Whether a row must be read before it is written again. */
  inDoubt: boolean;
  /** The live session that the last read found, as it was then. */
  found?: Row;
  /** The session that the primary had under a cookie for which a replica had none. */
  adopted?: Row;
  /** Whether the last read found a mark. */
  foundMark: boolean;
  /** Whether a read found no session where there should be one. A concurrent touch may extend it. */
  missed: boolean;
  /** The live sessions that the last listing found. */
  listed: Row[];
}

/** The state of a browser. */
export interface Jar {
  /** Every token that it got. */
  readonly tokens: string[];
  /** The token in its cookie. */
  current?: string;
  /** If the cookie came with a login: the token that the login was sent with. */
  loginFrom?: string;
}

/** The row under a token after a write. */
interface Version {
  stored: StoredSession | undefined;
  row: Row | undefined;
}

/** The environment of a program: a clock, cookies, a store and its expected content. */
export class World {
  readonly reference = new Reference();
  readonly idleTimeout: number;
  readonly turns: Turns;
  readonly store: FullStore;
  /** The tokens that browsers got. */
  readonly jars: Jar[] = Array.from({ length: SLOTS }, () => ({ tokens: [] }));
  readonly #history = new Map<string, Version[]>();
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

  /** Tokens, and their stored forms. */
  secrets(): string[] {
    return [...this.jars.flatMap(({ tokens }) => tokens), ...this.reference.rows.keys()];
  }

  fail(message: string): void {
    this.violation ??= new Violation(message);
  }

  /** The answer of a replica that lacks the last write of a row. */
  stale(token: string, now: number): StoredSession | undefined {
    const stored = this.#history.get(token)?.at(-2)?.stored;
    return stored !== undefined && now < stored.expiry
      ? { data: new Uint8Array(stored.data), expiry: stored.expiry }
      : undefined;
  }

  /** Compares the expected effect with the actual one. */
  async witness(attempt: Attempt, effect: Effect, sent?: Sent): Promise<void> {
    const shown = JSON.stringify(effect, (key, value) => key === "expected" ? value && true : value);
    this.trace.push(`  ${attempt.what}: ${shown}`);
    const before = new Set([...this.reference.rows.keys(), ...this.reference.marks.keys()]);
    try {
      await this.#compare(attempt, effect, sent);
    } catch (error) {
      if (!(error instanceof Violation)) throw error;
      this.fail(error.message);
    }
    await this.#remember(effect, before);
  }

  async #remember(effect: Effect, before: Set<string>): Promise<void> {
    const { rows, marks } = this.reference;
    const touched = new Set([...before].filter((token) => !rows.has(token) && !marks.has(token)));
    if (effect.method === "update") touched.add(effect.next);
    if (effect.method === "create" || effect.method === "update" || effect.method === "touch") {
      touched.add(effect.token);
    }
    for (const token of touched) {
      const stored = await this.store.find(token, { now: 0 });
      const versions = this.#history.get(token) ?? [];
      versions.push({ stored, row: structuredClone(rows.get(token)) });
      this.#history.set(token, versions);
    }
  }

  async #compare(attempt: Attempt, effect: Effect, sent: Sent | undefined): Promise<void> {
    const { reference } = this;
    switch (effect.method) {
      case "find": {
        if (effect.stale) {
          const row = this.#history.get(effect.token)?.at(-2)?.row;
          const isLive = row !== undefined && this.now < Math.min(row.deadline, row.expiry);
          attempt.found = isLive ? structuredClone(row) : undefined;
          attempt.foundMark = false;
          return;
        }
        const row = reference.live(effect.token, this.now);
        attempt.found = row && structuredClone(row);
        // A lookup on the primary uses the time at which it was sent.
        const asked = reference.live(effect.token, effect.now);
        if (effect.token === attempt.view?.offered && asked !== undefined && this.now < asked.deadline) {
          attempt.adopted ??= structuredClone(asked);
        }
        attempt.foundMark = reference.liveMark(effect.token, this.now) !== undefined;
        if (row === undefined) attempt.missed = true;
        const { view } = attempt;
        if (effect.token === view?.offered) view.offeredIsOver = row === undefined && !attempt.foundMark;
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
        const { contents } = this.#saved(attempt, sent);
        const row = reference.create(effect.token, contents, 0);
        return await this.#compareRow(row, sent);
      }
      case "update": {
        if (!effect.done) return;
        // A renewal that crosses to another store takes several calls. If it is sent again meanwhile, both may find that it
        // has happened.
        if (sent?.saved === 1 && effect.next !== effect.token && attempt.faults.length > 0) return;
        const { changes, renew } = this.#saved(attempt, sent);
        if (renew !== (effect.next !== effect.token)) {
          throw new Violation(`${name(effect.token)}: renewed is not ${renew}`);
        }
        const row = reference.change(effect.token, effect.next, changes, effect.now);
        if (renew) await this.#compareMark(effect.token, effect.now);
        return await this.#compareRow(row, sent);
      }
      case "touch": {
        const row = reference.rows.get(effect.token);
        if (row === undefined) return await this.#compareAbsent(effect.token);
        return await this.#compareRow(row);
      }
      case "delete": {
        const { expected, token, done } = effect;
        // The store itself may keep a mark.
        if (!done && reference.marks.has(token)) return await this.#compareAbsent(token);
        if (expected !== undefined && !done) return await this.#compareSpared(token, expected);
        attempt.deletions++;
        if (token === attempt.view?.token || attempt.sent?.results.has(token)) {
          throw new Violation(`a save deletes ${name(token)}, which is its own`);
        }
        if (expected !== undefined && reference.liveMark(token, this.now)) {
          throw new Violation(`a logout ends the mark under ${name(token)}`);
        }
        if (reference.rows.has(token)) attempt.ended++;
        if (reference.end(token) !== done) {
          throw new Violation(`the deletion of ${name(token)} returns ${done}`);
        }
        return await this.#compareAbsent(token);
      }
      case "deleteBySubject":
        attempt.deletions++;
        attempt.ended += effect.count;
        return compareCounts(reference.endAllOf(effect.subject, effect.except), effect.count);
      case "deleteExpired": {
        const marks = new Map(reference.marks);
        let expected = reference.purge(effect.now);
        // A mark in a row that a touch has extended is deleted later.
        for (const [token, mark] of marks) {
          if (reference.marks.has(token) || await this.store.find(token, { now: 0 }) === undefined) continue;
          reference.marks.set(token, mark);
          expected--;
        }
        return compareCounts(expected, effect.count);
      }
    }
  }

  /** The write that took effect. */
  #saved(attempt: Attempt, sent: Sent | undefined): Sent {
    if (sent === undefined) throw new Violation(`${attempt.what} wrote a session`);
    sent.saved++;
    if (sent.failed) throw new Violation(`${attempt.what} was saved although it was reported as failed`);
    // A new session in doubt may have ended before it is written again, or may arrive late under a token that nobody
    // has. An existing one is written once.
    const repeated = sent.from === undefined && attempt.faults.length > 0;
    if (sent.saved > 1 && !repeated) throw new Violation(`${attempt.what} was saved twice`);
    return sent;
  }

  /** ¦@param sent The write that made the row. Without one its expiry can only have moved forward. */
  async #compareRow(row: Row, sent?: Sent): Promise<void> {
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
        `the store has ${JSON.stringify(contents)} instead of ${JSON.stringify(expected)}`,
      );
    }
    // A save keeps an expiry that differs by less than a touch moves it.
    const slack = this.idleTimeout === Infinity ? 0 : this.idleTimeout / 10;
    // It does not know of an expiry that moved after it read the row.
    const atMost = Math.max(row.expiry, Math.min(row.deadline, this.now + this.idleTimeout) + slack);
    const least = sent === undefined
      ? row.expiry
      : Math.min(row.deadline, sent.started + this.idleTimeout) - slack;
    if (stored.expiry < least || (sent !== undefined && stored.expiry > atMost)) {
      throw new Violation(`${name(row.token)} expires at ${stored.expiry}, not from ${least} to ${atMost}`);
    }
    row.expiry = stored.expiry;
    sent?.results.set(row.token, structuredClone(row));
  }

  /** A mark is no session, shows nothing of one, and ends within its minute. */
  async #compareMark(token: string, now: number): Promise<void> {
    const stored = await this.store.find(token, { now: 0 });
    if (stored === undefined) throw new Violation(`a renewal leaves no mark under ${name(token)}`);
    const { deadline, values } = jsonCodec.decode(stored.data);
    if (!equal(Object.keys(values).sort(), ["__nonces", "__renewed"])) {
      throw new Violation(`a mark holds ${Object.keys(values)}`);
    }
    if (Math.max(deadline, stored.expiry) > now + MARK_LIFETIME || stored.expiry < now) {
      throw new Violation(`a mark ends at ${deadline} and ${stored.expiry}, and it is ${now}`);
    }
    this.reference.marks.set(token, { deadline, expiry: stored.expiry });
  }

  /** The row was not what the deletion expected. */
  async #compareSpared(token: string, expected: Uint8Array): Promise<void> {
    const stored = await this.store.find(token, { now: 0 });
    if (stored !== undefined && equal([...stored.data], [...expected])) {
      throw new Violation(`the deletion of ${name(token)} misses its row`);
    }
  }

  async #compareAbsent(token: string): Promise<void> {
    const stored = await this.store.find(token, { now: 0 });
    const mark = this.reference.marks.get(token);
    if (stored === undefined && mark === undefined) return;
    if (
      stored === undefined || mark === undefined || jsonCodec.decode(stored.data).values.__renewed !== true
    ) {
      throw new Violation(`${name(token)} is ${stored === undefined ? "not" : "still"} in the store`);
    }
    // A touch that was sent before the session was renewed.
    mark.expiry = stored.expiry;
  }

  /** At the end exactly the expected rows are there, and the browsers can use them. */
  async compareAll(): Promise<void> {
    const rows = await Array.fromAsync(this.store.all({ now: this.now }));
    const { rows: sessionRows, marks } = this.reference;
    const live = [...sessionRows, ...marks].filter(([, { expiry }]) => this.now < expiry).map(([token]) =>
      token
    );
    if (!equal(rows.map(({ token }) => token).sort(), live.sort())) {
      this.fail("the store has other sessions than it should");
    }
    const manager = sessions({ store: this.store, ...this.options() });
    for (const jar of this.jars) {
      const worked = [];
      for (const token of new Set(jar.tokens)) {
        const session = await manager.load(token);
        if (session.keys().length > 0 && marks.has(hashToken(token))) {
          this.fail("a mark is accepted as a session");
        }
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
      // Errors of touches, which are not awaited. All others are thrown and checked.
      onError() {},
    };
  }
}

function compareCounts(expected: number, count: number): void {
  if (count !== expected) throw new Violation(`${count} sessions were deleted instead of ${expected}`);
}

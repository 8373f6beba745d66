/**
 * Runs a program on a real store, compares each step with the reference, and throws a {@linkcode Violation} with all
 * that is needed to see it again.
 * @module
 */

import {
  jsonCodec,
  type Session,
  SessionConflictError,
  SessionGoneError,
  type SessionManager,
  sessions,
  SessionStoreError,
} from "../../mod.ts";
import { stateOf } from "../../core/session.ts";
import { hashToken, publicId } from "../../core/token.ts";
import { equal } from "../assert.ts";
import type { FullStore } from "../backends.ts";
import { ActorStore, type Effect } from "./_actor_store.ts";
import {
  type Action,
  type Actor,
  type Fault,
  IDLE_TIMEOUT,
  LIFETIME,
  type Program,
  SLOTS,
  type Step,
} from "./_program.ts";
import { type Contents, increment, name, Reference, type Row, View, Violation } from "./_reference.ts";
import { type Turns, withPausesAsTurns } from "./_turns.ts";

type Data = Record<string, unknown>;

/** What an actor waits for now, and what became of it so far. */
interface Attempt {
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
  /** The live session that the last read met, as it was then. */
  found?: Row;
  /** The live sessions that the last listing met. */
  listed: Row[];
  /** The session as this attempt left it. */
  result?: Row;
}

/** A world in which a program runs: a clock, cookies, a store and what should be in it. */
class World {
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
    attempt.result = structuredClone(row);
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
    const manager = sessions<Data>({ store: this.store, ...this.options() });
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
    };
  }
}

/** Serves requests one after the other, as its program says. */
class ActorRun {
  readonly #world: World;
  readonly #number: number;
  readonly #program: Actor;
  readonly #manager: SessionManager<Data>;
  readonly #faults: Fault[];
  #controller = new AbortController();
  #attempt: Attempt;
  #serial = 0;

  constructor(world: World, program: Actor, number: number) {
    this.#world = world;
    this.#number = number;
    this.#program = program;
    this.#faults = [...program.faults];
    this.#attempt = this.#begin("nothing");
    const store = new ActorStore(world.store, {
      turn: (label, work) => world.turns.take(number, `${number}: ${label}`, work),
      later: (label, work) => void world.late.push(world.turns.take(number, `${number}: ${label}`, work)),
      nextFault: () => {
        const fault = this.#faults.shift() ?? "none";
        if (fault !== "none") this.#attempt.faults.push(fault);
        return fault;
      },
      abort: () => this.#controller.abort(),
      witness: () => {
        const attempt = this.#attempt;
        return (effect) => world.witness(attempt, effect);
      },
    });
    this.#manager = sessions<Data>({ store, ...world.options() });
  }

  async run(): Promise<void> {
    for (const action of this.#program.actions) {
      if (this.#world.violation !== undefined) return;
      this.#controller = new AbortController();
      await this.#act(action);
    }
  }

  get #signal(): AbortSignal {
    return this.#controller.signal;
  }

  async #act(action: Action): Promise<void> {
    const world = this.#world;
    switch (action.do) {
      case "advance":
        return await world.turns.take(this.#number, `${this.#number}: advance`, () => {
          world.now += action.ms;
          return Promise.resolve();
        });
      case "request": {
        const jar = world.jars[action.slot]!;
        const cookie = action.cookie === "none" ? undefined : action.cookie === "first" ? jar[0] : jar.at(-1);
        return await this.#request(cookie, jar, action.steps);
      }
      case "destroyAll":
        return await this.#destroyAll(world.subject(action.subject), action.except);
      case "destroySession":
        return await this.#destroySession(world.subject(action.subject), action.nth);
      case "sessionsOf":
        return void await this.#sessionsOf(world.subject(action.subject));
      case "iterate":
        return await this.#iterate();
      case "purge":
        return void await this.#attempting("purge", () => this.#manager.purge());
    }
  }

  async #request(cookie: string | undefined, jar: string[], steps: Step[]): Promise<void> {
    const loaded = await this.#load(cookie);
    if (loaded === undefined) return;
    const { session, view } = loaded;
    for (const step of steps) {
      const going = await this.#step(session, view, step, jar);
      if (!going) return;
    }
    await this.#commit(session, view, jar);
  }

  async #load(cookie: string | undefined): Promise<{ session: Session<Data>; view: View } | undefined> {
    const world = this.#world;
    const signal = this.#signal;
    const { attempt, reply: session } = await this.#attempting(
      "load",
      () => this.#manager.load(cookie, { signal }),
    );
    if (session === undefined) {
      const final = attempt.faults.some((fault) => fault === "refused" || fault === "aborted");
      if (!final && attempt.faults.length < 3) world.fail(`load gave up after ${attempt.faults}`);
      return undefined;
    }
    const view = new View(world.now);
    // Read after the session is given out: nothing can have happened in between.
    if (attempt.found !== undefined) view.show(attempt.found);
    if ((session.token === undefined) !== (attempt.found === undefined)) {
      world.fail(
        `load gives ${session.token === undefined ? "no session for a live" : "a session for a dead"} token`,
      );
    }
    if (session.token !== undefined && session.token !== cookie) world.fail("load adopts another token");
    this.#compareView(session, view);
    return { session, view };
  }

  /** Does one step; `false` where the request cannot go on. */
  async #step(session: Session<Data>, view: View, step: Step, jar: string[]): Promise<boolean> {
    const world = this.#world;
    const value = `${this.#number}.${++this.#serial}`;
    switch (step.do) {
      case "put":
        session.put(step.key, value);
        view.put(step.key, value);
        return true;
      case "remove":
        session.remove(step.key);
        view.remove(step.key);
        return true;
      case "pop":
        if (session.pop(step.key) !== view.values.get(step.key)) world.fail("pop gives another value");
        view.remove(step.key);
        return true;
      case "update":
        session.update(step.key, increment);
        view.update(step.key);
        return true;
      case "edit": {
        const list = session.get("list");
        if (Array.isArray(list)) list.push(value);
        else session.put("list", [value]);
        view.put("list", [...(view.values.get("list") as string[] | undefined ?? []), value]);
        return true;
      }
      case "clear":
        session.clear();
        view.clear();
        return true;
      case "renew":
        session.renewToken();
        view.renewToken(world.now);
        return true;
      case "subject": {
        const subject = step.subject === null ? undefined : world.subject(step.subject);
        session.subject = subject;
        view.setSubject(subject);
        return true;
      }
      case "deadline":
        session.setDeadline(world.now + step.ms);
        view.setDeadline(world.now + step.ms);
        return true;
      case "merge":
        return await this.#merge(session, view, world.jars[step.slot]!.at(-1));
      case "commit":
        return await this.#commit(session, view, jar);
      case "destroy":
        return await this.#destroy(session, view);
    }
  }

  async #merge(session: Session<Data>, view: View, other: string | undefined): Promise<boolean> {
    if (other === undefined) return true;
    const { attempt, done } = await this.#attempting("merge", () => session.mergeSession(other));
    if (done && attempt.found !== undefined) view.merge(attempt.found);
    return done;
  }

  async #commit(session: Session<Data>, view: View, jar: string[]): Promise<boolean> {
    const world = this.#world;
    const writes = view.token === undefined || view.changed;
    const frozen = {
      ...structuredClone({ values: view.values, deadline: view.deadline, subject: view.subject }),
      token: view.token,
      changes: [...view.changes],
      renew: view.renew,
      merged: new Set(view.merged),
    };
    const { attempt, reply, error } = await this.#attempting("commit", () => session.commit(), frozen);
    if (reply === undefined) {
      if (!writes) world.fail("a commit without a change failed");
      // What was certainly not saved is still there, to be saved with what follows.
      return error instanceof SessionStoreError && !error.ambiguous;
    }
    if (writes !== attempt.saved > 0) {
      world.fail(`commit was acknowledged, and saved ${attempt.saved} times`);
    }
    for (const token of frozen.merged) {
      if (world.reference.rows.has(token)) world.fail("a merged session is still there");
    }
    if (!writes) return true;
    if (attempt.result === undefined) {
      world.fail("commit was acknowledged, and saved nothing");
      return false;
    }
    view.show(attempt.result);
    Object.assign(view, { changes: [], renew: false });
    view.merged.clear();
    if (session.token !== undefined) {
      if (reply.token !== session.token) world.fail("commit gives another token than the session");
      jar.push(reply.token);
    }
    this.#compareView(session, view);
    return true;
  }

  async #destroy(session: Session<Data>, view: View): Promise<boolean> {
    const world = this.#world;
    const { token } = view;
    const { done, attempt } = await this.#attempting("destroy", () => session.destroy());
    if (!done) {
      const others = attempt.faults.filter((fault) => fault !== "aborted");
      if (others.length === 0) world.fail("a signal kept a logout from being sent");
      return false;
    }
    if (token !== undefined && world.reference.rows.has(token)) {
      world.fail("destroy leaves the session there");
    }
    Object.assign(view, new View(world.now));
    view.merged.clear();
    return true;
  }

  async #destroyAll(subject: string, exceptSlot: number | null): Promise<void> {
    const world = this.#world;
    let except: Session<Data> | undefined;
    if (exceptSlot !== null) {
      const loaded = await this.#load(world.jars[exceptSlot]!.at(-1));
      if (loaded === undefined) return;
      except = loaded.session;
    }
    const { done, attempt } = await this.#attempting(
      "destroyAll",
      () => this.#manager.destroyAll(subject, { except, signal: this.#signal }),
    );
    if (done && attempt.deletions === 0) world.fail("destroyAll was acknowledged, and did nothing");
  }

  async #sessionsOf(subject: string): Promise<string[] | undefined> {
    const { reply, attempt } = await this.#attempting(
      "sessionsOf",
      () => this.#manager.sessionsOf(subject, { signal: this.#signal }),
    );
    const ids = reply?.map(({ id }) => id).sort();
    const expected = attempt.listed.map(({ token }) => publicId(token)).sort();
    if (ids !== undefined && !equal(ids, expected)) this.#world.fail("sessionsOf lists other sessions");
    return ids;
  }

  async #destroySession(subject: string, nth: number): Promise<void> {
    const { reference } = this.#world;
    const id = (await this.#sessionsOf(subject))?.[nth];
    if (id === undefined) return;
    const { done } = await this.#attempting(
      "destroySession",
      () => this.#manager.destroySession(subject, id, { signal: this.#signal }),
    );
    const left = [...reference.rows.values()].find(({ token }) => publicId(token) === id);
    if (done && left?.subject === subject && reference.live(left.token, this.#world.now)) {
      this.#world.fail("destroySession leaves the session there");
    }
  }

  async #iterate(): Promise<void> {
    let listing: Attempt | undefined;
    await this.#attempting("iterate", async () => {
      for await (const session of this.#manager.iterate({ signal: this.#signal })) {
        listing ??= this.#attempt;
        const token = stateOf(session).row?.token;
        const row = listing.listed.find((listed) => listed.token === token);
        if (row === undefined) return this.#world.fail("iterate gives a session that was not there");
        const view = new View(this.#world.now);
        view.show(row);
        this.#compareView(session, view);
        session.update("n", increment);
        view.update("n");
        await this.#commit(session, view, []);
        this.#attempt = listing;
      }
    });
  }

  #compareView(session: Session<Data>, view: View): void {
    const seen = Object.fromEntries(
      session.keys().map((key) => [key, stateOf(session).record.values.get(key)]),
    );
    const shown = { values: seen, deadline: session.deadline, subject: session.subject };
    const { deadline, subject } = view;
    const expected = { values: Object.fromEntries(view.values), deadline, subject };
    if (equal(shown, expected)) return;
    this.#world.fail(`a request sees ${JSON.stringify(shown)} in place of ${JSON.stringify(expected)}`);
  }

  #begin(what: string, view?: Attempt["view"]): Attempt {
    const started = this.#world.now;
    what = `${this.#number} ${what}`;
    return { what, started, view, saved: 0, deletions: 0, ended: 0, failed: false, faults: [], listed: [] };
  }

  /** Waits for one call of the library, and looks at the error that it may throw. */
  async #attempting<T>(
    what: string,
    call: () => Promise<T>,
    view?: Attempt["view"],
  ): Promise<{ attempt: Attempt; done: boolean; reply?: T; error?: unknown }> {
    const attempt = this.#attempt = this.#begin(what, view);
    this.#world.trace.push(attempt.what);
    try {
      const reply = await call();
      this.#world.trace.push(`${attempt.what}: done`);
      return { attempt, done: true, reply };
    } catch (error) {
      this.#world.trace.push(`${attempt.what}: ${error}`);
      this.#compareError(attempt, error);
      return { attempt, done: false, error };
    }
  }

  #compareError(attempt: Attempt, error: unknown): void {
    const world = this.#world;
    if (error instanceof SessionGoneError && attempt.view?.token !== undefined) {
      if (world.reference.live(attempt.view.token, world.now)) {
        world.fail("a live session is said to be gone");
      }
      return;
    }
    const certain = error instanceof SessionConflictError ||
      (error instanceof SessionStoreError && !error.ambiguous);
    if (!certain && !(error instanceof SessionStoreError)) throw error;
    if (error instanceof SessionStoreError && attempt.faults.length === 0 && !this.#signal.aborted) {
      throw error;
    }
    if (!certain) return;
    attempt.failed = true;
    // A new session may have been saved, and have expired before anybody was given its token.
    const { result, view } = attempt;
    const harmless = view?.token === undefined && result && !world.reference.live(result.token, world.now);
    if (attempt.saved + attempt.ended > 0 && !harmless) {
      world.fail(`${attempt.what} failed for certain, and took effect: ${error}`);
    }
  }
}

function compareCounts(expected: number, count: number): void {
  if (count !== expected) throw new Violation(`${count} sessions were deleted in place of ${expected}`);
}

/**
 * Runs a program on a store that holds nothing of later than `start`.
 *
 * @throws {Violation} The store or a reply is not what it should be.
 */
export async function runProgram(
  program: Program,
  turns: Turns,
  store: FullStore,
  start: number,
): Promise<void> {
  const world = new World(program, turns, store, start);
  const browser = new ActorRun(world, { actions: firstVisits(), faults: [] }, program.actors.length);
  const actors = program.actors.map((actor, number) => new ActorRun(world, actor, number));
  await withPausesAsTurns(turns, async () => {
    await turns.until(browser.run());
    await turns.until(Promise.all(actors.map((actor) => actor.run())));
    while (world.late.length > 0) await turns.until(Promise.all(world.late.splice(0)));
  });
  if (world.violation === undefined) await world.compareAll();
  if (world.violation === undefined) return;
  const { message } = world.violation;
  const again = `[${JSON.stringify(program)}, turnsOf(${JSON.stringify(turns.taken())})]`;
  throw new Violation(`${message}\nTo see it again: ${again}\n${world.trace.join("\n")}`);
}

/** Two sessions of one user, one of another, so that the actors have something to meet at. */
function firstVisits(): Action[] {
  return Array.from({ length: SLOTS }, (_, slot): Action => ({
    do: "request",
    slot,
    cookie: "none",
    steps: [{ do: "update", key: "n" }, { do: "subject", subject: slot % 2 }],
  }));
}

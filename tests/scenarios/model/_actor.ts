/**
 * An instance of the application, which serves requests one after the other and compares what it is told with what the
 * reference says.
 * @module
 */

import {
  type Session,
  SessionConflictError,
  SessionGoneError,
  type SessionManager,
  sessions,
  SessionStoreError,
} from "../../../mod.ts";
import { stateOf } from "../../../core/session.ts";
import { publicId } from "../../../core/bytes/token.ts";
import { equal } from "../../assert.ts";
import { errorText } from "../_secrets.ts";
import { ActorStore } from "./_actor_store.ts";
import type { Action, Actor, Fault, Step } from "./_program.ts";
import { increment, View } from "./_reference.ts";
import { LATE } from "./_turns.ts";
import type { Attempt, World } from "./_world.ts";

type Data = Record<string, unknown>;

/** Serves requests one after the other, as its program says. */
export class ActorRun {
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
      later: (label, work) => void world.late.push(world.turns.take(LATE, `${number}: ${label}`, work)),
      nextFault: () => {
        const fault = this.#faults.shift() ?? "none";
        if (fault !== "none") this.#attempt.faults.push(fault);
        return fault;
      },
      abort: () => this.#controller.abort(),
      reads: (primary) => {
        this.#attempt.inDoubt = false;
        if (this.#attempt.view && !primary) world.fail("a commit reads what may lag behind its own write");
      },
      writes: () => {
        if (this.#attempt.inDoubt) world.fail("a write of unknown fate is followed by another");
      },
      doubts: () => {
        this.#attempt.inDoubt = true;
      },
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
    const result = attempt.results.get(stateOf(session).row?.token ?? "");
    if (result === undefined) {
      world.fail("commit was acknowledged, and saved nothing");
      return false;
    }
    view.show(result);
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
      session.keys().map((key) => [key, stateOf(session).record.values[key]]),
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
    return {
      what,
      started,
      view,
      saved: 0,
      deletions: 0,
      ended: 0,
      failed: false,
      faults: [],
      inDoubt: false,
      missed: false,
      results: new Map(),
      listed: [],
    };
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
    const text = errorText(error);
    for (const secret of world.secrets()) {
      if (text.includes(secret)) world.fail(`an error shows a token: ${text}`);
    }
    if (error instanceof SessionGoneError) {
      const token = attempt.view?.token;
      if (token === undefined || (world.reference.live(token, world.now) && !attempt.missed)) {
        world.fail("a live session is said to be gone");
      }
    } else if (error instanceof SessionConflictError) {
      if (attempt.view?.token === undefined) world.fail("a new session met a conflict");
      this.#compareFailure(attempt, error);
    } else if (error instanceof SessionStoreError) {
      if (attempt.faults.length === 0 && !this.#signal.aborted) world.fail(`nothing failed but ${error}`);
      if (!error.ambiguous) this.#compareFailure(attempt, error);
    } else {
      world.fail(`an error of another kind: ${error instanceof Error ? error.stack : error}`);
    }
  }

  /** Nothing may come of what has failed for certain. */
  #compareFailure(attempt: Attempt, error: Error): void {
    const world = this.#world;
    attempt.failed = true;
    // A new session may have been saved, and have expired before anybody was given its token.
    const isNew = attempt.view !== undefined && attempt.view.token === undefined;
    const isLive = [...attempt.results.keys()].some((token) => world.reference.live(token, world.now));
    if (attempt.saved + attempt.ended > 0 && !(isNew && !isLive)) {
      world.fail(`${attempt.what} failed for certain, and took effect: ${error}`);
    }
  }
}

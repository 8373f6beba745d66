/**
 * An instance of the application. It serves requests one after the other, and compares each result with the
 * reference.
 * @module
 */

import {
  type RequestSession,
  type Session,
  SessionConflictError,
  SessionGoneError,
  type SessionManager,
  sessions,
  SessionStoreError,
} from "../../../mod.ts";
import { stateOf } from "../../../core/session.ts";
import { hashToken, publicId } from "../../../core/bytes/token.ts";
import { equal } from "../../assert.ts";
import { errorText } from "../_secrets.ts";
import { ActorStore } from "./_actor_store.ts";
import type { Action, Actor, Fault, Step } from "./_program.ts";
import { copyOf, increment, type Sent, View } from "./_reference.ts";
import { LATE } from "./_turns.ts";
import type { Attempt, Jar, World } from "./_world.ts";

type Data = Record<string, unknown>;

/** The cookie's name over https. */
const COOKIE = "__Host-session";

/** Serves the requests of its program, one after the other. */
export class ActorRun {
  readonly #world: World;
  readonly #number: number;
  readonly #program: Actor;
  readonly #manager: SessionManager<Data>;
  readonly #faults: Fault[];
  #controller = new AbortController();
  #attempt: Attempt;
  #serial = 0;
  /** Writes by nonce. */
  readonly #sent = new Map<string, Sent>();
  /** The error that `onError` got last. */
  #told: unknown;

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
        if (this.#attempt.view && !primary) {
          world.fail("a commit reads from a replica that may lag behind its own write");
        }
      },
      stale: (token, now) => world.stale(token, now),
      writes: (nonce, from) => {
        if (this.#attempt.inDoubt) world.fail("a write in doubt is followed by another write");
        return this.#sentFor(nonce, from);
      },
      doubts: () => {
        this.#attempt.inDoubt = true;
      },
      witness: () => {
        const attempt = this.#attempt;
        return (effect, sent) => world.witness(attempt, effect, sent);
      },
    });
    this.#manager = sessions<Data>({
      store,
      ...world.options(),
      onError: (error) => void (this.#told = error),
    });
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
        const { tokens, current } = jar;
        const cookie = action.cookie === "none" ? undefined : action.cookie === "first" ? tokens[0] : current;
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

  async #request(cookie: string | undefined, jar: Jar, steps: Step[]): Promise<void> {
    const headers: Record<string, string> = cookie === undefined ? {} : { Cookie: `${COOKIE}=${cookie}` };
    const request = new Request("https://example.com/", { headers });
    const lifecycle = this.#manager.begin(request, { signal: this.#signal });
    const loaded = await this.#load(cookie, () => lifecycle.session());
    if (loaded === undefined) return;
    const { session, view } = loaded;
    for (const step of steps) await this.#step(session, view, step);
    const isLogin = steps.some((step) => step.do === "renew");
    await this.#finish(lifecycle, session, view, jar, cookie, isLogin);
  }

  /** The response's cookie goes into the browser's jar. */
  async #finish(
    lifecycle: RequestSession<Data>,
    session: Session<Data>,
    view: View,
    jar: Jar,
    cookie: string | undefined,
    isLogin: boolean,
  ): Promise<void> {
    const world = this.#world;
    let setCookies: string[] = [];
    await this.#saving(
      "finish",
      session,
      view,
      view.changed || view.asked || view.pending !== undefined,
      async () => {
        this.#told = undefined;
        const response = await lifecycle.finish(new Response("ok"));
        setCookies = response.headers.getSetCookie();
        // An error is reported once. Doubt that stays has the same error.
        if (response.status !== 200) throw this.#told ?? view.error;
      },
    );
    if (setCookies.length > 1) world.fail("a response sets two cookies");
    const value = new RegExp(`^${COOKIE}=([\\w-]*);`).exec(setCookies[0] ?? "")?.[1];
    if (value === undefined) return;
    if (value !== (session.token ?? "")) {
      world.fail("the cookie has another token than the session");
    }
    this.#compareCookie(jar, cookie, value, isLogin || view.offeredIsOver);
    jar.current = value === "" ? undefined : value;
    jar.loginFrom = isLogin && value !== "" ? cookie : undefined;
    if (value !== "") jar.tokens.push(value);
  }

  /**
   * No response to a request that was sent before the login replaces its cookie, not even a logout's. One exception:
   * a request that found its session expired. A write sent before may still arrive and extend that session.
   */
  #compareCookie(jar: Jar, cookie: string | undefined, value: string, mayDisplace: boolean): void {
    const { reference, now } = this.#world;
    if (mayDisplace || cookie === undefined || cookie !== jar.loginFrom || jar.current === undefined) return;
    // Allowed too: a commit from before the login sends a new deadline with the old token. And once the mark is gone,
    // a request does not know of the login.
    if (value === cookie || !reference.liveMark(hashToken(cookie), now)) return;
    if (reference.live(hashToken(jar.current), now)) this.#world.fail("the cookie of a login is displaced");
  }

  async #load(
    cookie: string | undefined,
    load: () => Promise<Session<Data>>,
  ): Promise<{ session: Session<Data>; view: View } | undefined> {
    const world = this.#world;
    const { attempt, reply: session } = await this.#attempting("load", load);
    if (session === undefined) {
      const final = attempt.faults.some((fault) => fault === "refused" || fault === "aborted");
      if (!final && attempt.faults.length < 3) world.fail(`load gave up after ${attempt.faults}`);
      return undefined;
    }
    const view = new View(world.now);
    // Read right after the session is returned, so nothing can have happened in between.
    if (attempt.found !== undefined) view.show(attempt.found);
    else if (attempt.foundMark) view.gone = "renewed";
    else if (cookie !== undefined) view.offered = hashToken(cookie);
    if ((session.token === undefined) !== (attempt.found === undefined)) {
      world.fail(
        `load returns ${
          session.token === undefined ? "no session for a live" : "a session for a dead"
        } token`,
      );
    }
    if (session.token !== undefined && session.token !== cookie) world.fail("load adopts another token");
    this.#compareView(session, view);
    return { session, view };
  }

  async #step(session: Session<Data>, view: View, step: Step): Promise<void> {
    const world = this.#world;
    const value = `${this.#number}.${++this.#serial}`;
    switch (step.do) {
      case "put":
        session.put(step.key, value);
        view.put(step.key, value);
        return;
      case "remove":
        session.remove(step.key);
        view.remove(step.key);
        return;
      case "pop":
        if (session.pop(step.key) !== view.values.get(step.key)) world.fail("pop returns another value");
        view.pop(step.key);
        return;
      case "update":
        session.update(step.key, increment);
        view.update(step.key);
        return;
      case "edit": {
        const list = session.get("list");
        if (Array.isArray(list)) list.push(value);
        else session.put("list", [value]);
        view.put("list", [...(view.values.get("list") as string[] | undefined ?? []), value]);
        return;
      }
      case "clear":
        session.clear();
        view.clear();
        return;
      case "renew":
        session.renewToken();
        view.renewToken(world.now);
        return;
      case "subject": {
        const subject = step.subject === null ? undefined : world.subject(step.subject);
        session.subject = subject;
        view.setSubject(subject);
        return;
      }
      case "deadline":
        session.setDeadline(world.now + step.ms);
        view.setDeadline(world.now + step.ms);
        return;
      case "merge":
        return await this.#merge(session, view, world.jars[step.slot]!.current);
      case "commit":
        return await this.#commit(session, view);
      case "destroy":
        return await this.#destroy(session, view);
    }
  }

  async #merge(session: Session<Data>, view: View, other: string | undefined): Promise<void> {
    if (other === undefined) return;
    const { attempt, done } = await this.#attempting("merge", () => session.mergeSession(other));
    if (done && attempt.found !== undefined) view.merge(attempt.found);
  }

  async #commit(session: Session<Data>, view: View): Promise<void> {
    const isNew = view.token === undefined && !stateOf(session).endedHere;
    const writes = isNew || view.changed || view.asked || view.pending !== undefined;
    const result = await this.#saving("commit", session, view, writes, () => session.commit());
    if (result === undefined || session.token === undefined) return;
    if (result.token !== session.token) this.#world.fail("commit returns another token than the session");
  }

  /** Waits for a save, and compares what the request sees afterwards. */
  async #saving<T>(
    what: string,
    session: Session<Data>,
    view: View,
    writes: boolean,
    save: () => Promise<T>,
  ): Promise<T | undefined> {
    const world = this.#world;
    const { pending } = view;
    const { attempt, done, reply, error } = await this.#attempting(what, save, view);
    if (!done) {
      if (!writes) world.fail(`a ${what} without a change failed`);
      this.#keepChanges(attempt, session, view, error);
      return undefined;
    }
    if (!writes) return reply;
    const { sent = pending } = attempt;
    const result = sent?.results.get(stateOf(session).row?.token ?? "");
    const isSettled = pending === undefined || pending.saved > 0 || sent !== pending;
    // If a write in doubt took over a session's values, that session is deleted with the write.
    const needsWrite = view.changes.length > 0 || view.renew || (pending === undefined && view.changed);
    const isPartial = pending !== undefined && (pending.from === undefined || pending.saved === 0) &&
      sent?.from === undefined && view.changes.length > 0;
    if (result === undefined || !isSettled || isPartial || (needsWrite && attempt.sent === undefined)) {
      world.fail(`${what} was acknowledged, but not everything was saved`);
      return reply;
    }
    for (const token of view.merged) {
      // A purge deletes one that expired after another request had written it.
      if (world.reference.live(token, world.now)) world.fail("a merged session is still alive");
    }
    Object.assign(view, {
      changes: [],
      renew: false,
      asked: false,
      pending: undefined,
      offered: undefined,
      gone: undefined,
      missed: false,
    });
    view.merged.clear();
    view.show(result);
    this.#compareView(session, view);
    return reply;
  }

  /** What a failed save leaves for the next one, and in the store. */
  #keepChanges(attempt: Attempt, session: Session<Data>, view: View, error: unknown): void {
    const world = this.#world;
    const state = stateOf(session);
    const { adopted, sent } = attempt;
    // If the reply came too late for the request, the session is as new as before.
    if (adopted !== undefined && view.token === undefined && state.row !== undefined) view.adopt(adopted);
    const { pending } = view;
    const isNew = sent !== undefined && sent.from === undefined;
    // What was in doubt is created without later changes.
    const isAgain = isNew && pending !== undefined && (pending.from === undefined || pending.saved === 0);
    // A session of its own has been tried in place of one that was renewed elsewhere. From now on it is that one.
    if (isNew && !isAgain && view.token !== undefined && state.row === undefined) {
      Object.assign(view, view.contents(sent.changes, undefined));
    }
    view.asked = true;
    view.error = error;
    if (error instanceof SessionGoneError) {
      view.gone = state.gone;
      if (state.gone === undefined) world.fail("a session that is gone may come back");
    }
    // It has a session of its own by now, in place of one that was renewed elsewhere.
    if (sent?.from === undefined && sent?.results.has(state.row?.token ?? "")) view.gone = undefined;
    if (state.writeInDoubt === undefined) {
      if (sent?.saved === 0 && !sent.failed && !view.gone && isAmbiguous(error)) {
        world.fail("a write in doubt is forgotten");
      }
      if (pending !== undefined && pending.saved > 0) {
        const last = pending.results.values().toArray().at(-1)!;
        view.rebase(last);
      } else if (isAgain && sent.saved > 0) {
        view.rebase(sent.results.values().toArray().at(-1)!);
      } else if (pending !== undefined) {
        if (!isNew && !view.gone) world.fail("a write in doubt is forgotten");
        view.changes = [...pending.changes, ...view.changes];
        view.renew ||= pending.renew;
        view.pending = undefined;
      }
      if (sent !== undefined && sent.saved > 0 && !isAgain && !view.gone) {
        // A later step failed: a session that was merged into it could not be deleted.
        view.changes = [];
        view.renew = false;
        const result = sent.results.get(state.row?.token ?? "");
        if (result !== undefined) view.show(result);
      }
      return;
    }
    const open = this.#sent.get(state.writeInDoubt.nonce);
    if (open === undefined) return world.fail("a write is in doubt that was never sent");
    if (sent === undefined) return;
    if (pending !== undefined && open !== pending && !isNew) {
      if (pending.saved === 0) world.fail("a write in doubt is skipped");
    }
    view.pending = open;
    // It is a session of this request's own, in place of the one that was renewed elsewhere.
    if (open.from === undefined) view.gone = undefined;
    // Later changes are not in it.
    if (isAgain) return;
    view.changes = [];
    view.renew = false;
  }

  /** Finds which of the request's writes the store call makes. */
  #sentFor(nonce: string, from: string | undefined): Sent | undefined {
    const world = this.#world;
    const attempt = this.#attempt;
    const { adopted, view } = attempt;
    if (adopted !== undefined && view?.token === undefined) view?.adopt(adopted);
    const known = this.#sent.get(nonce);
    if (known !== undefined || view === undefined) return known;
    const earlier = attempt.sent;
    if (earlier === undefined || (earlier.from === undefined) !== (from === undefined)) {
      if (earlier !== undefined && earlier.saved > 0) {
        if (from === undefined) world.fail("a saved session is created again");
        // A session whose creation was in doubt exists by now. What was changed since is written next.
        const created = earlier.results.get(from ?? "");
        if (created !== undefined) view.rebase(created);
      }
      attempt.sent = this.#newSent(view, from);
    }
    this.#sent.set(nonce, attempt.sent!);
    return attempt.sent;
  }

  #newSent(view: View, from: string | undefined): Sent {
    const world = this.#world;
    const { pending, gone } = view;
    const isSettled = pending !== undefined && pending.from !== undefined && pending.saved > 0;
    const settled = isSettled ? pending.results.values().toArray().at(-1) : undefined;
    if (from !== undefined) {
      const own = [view.token, view.offered, ...pending?.results.keys() ?? []];
      if (!own.includes(from)) world.fail("another session is written");
      if (pending?.saved === 0) world.fail("a write in doubt is skipped");
      if (gone !== undefined) world.fail("a session that is gone is written");
    }
    const isOpen = from === undefined && !isSettled && pending !== undefined;
    // What was in doubt is created without later changes.
    if (!isOpen) view.addUnseen();
    const changes = isOpen ? pending.changes : [...view.changes];
    const renew = isOpen ? pending.renew : view.renew;
    if (from === undefined) {
      const isOthers = view.token !== undefined || gone !== undefined || (view.offered !== undefined &&
        world.reference.liveMark(view.offered, world.now) !== undefined);
      if (gone === "ended" || (isOthers && !renew)) {
        world.fail("a session is created in place of one that is gone");
      }
      // If the session had expired when the primary was asked, a write that was sent before may extend it.
      const isOver = view.offered === undefined || view.offeredIsOver;
      if (!isOver && world.reference.live(view.offered!, world.now)) {
        world.fail("a session is created in place of a live one");
      }
    }
    const contents = isOpen ? copyOf(pending.contents) : view.contents(changes, settled);
    return {
      from,
      changes,
      contents,
      renew,
      // A new session is written as it was before the primary was asked for the cookie's.
      started: view.offered === undefined ? world.now : this.#attempt.started,
      saved: 0,
      failed: false,
      results: new Map(),
    };
  }

  async #destroy(session: Session<Data>, view: View): Promise<void> {
    const world = this.#world;
    const { writeInDoubt } = stateOf(session);
    const tokens = [view.token, view.offered, writeInDoubt?.storedToken, ...writeInDoubt?.earlier ?? []];
    const { done, attempt } = await this.#attempting("destroy", () => session.destroy());
    if (!done) {
      const others = attempt.faults.filter((fault) => fault !== "aborted");
      if (others.length === 0) world.fail("a signal kept a logout from being sent");
      return;
    }
    for (const token of tokens) {
      if (token !== undefined && world.reference.live(token, world.now)) {
        world.fail("destroy does not delete the session");
      }
    }
    Object.assign(view, new View(world.now), {
      token: undefined,
      offered: undefined,
      // The session that it ended was made in place of an expired one.
      offeredIsOver: view.offeredIsOver,
      pending: undefined,
      // A request whose session was renewed elsewhere stays without a cookie.
      gone: stateOf(session).gone,
      owner: undefined,
      subject: undefined,
    });
    view.merged.clear();
  }

  async #destroyAll(subject: string, exceptSlot: number | null): Promise<void> {
    const world = this.#world;
    let except: Session<Data> | undefined;
    if (exceptSlot !== null) {
      const cookie = world.jars[exceptSlot]!.current;
      const loaded = await this.#load(cookie, () => this.#manager.load(cookie, { signal: this.#signal }));
      if (loaded === undefined) return;
      except = loaded.session;
    }
    const { done, attempt } = await this.#attempting(
      "destroyAll",
      () => this.#manager.destroyAll(subject, { except, signal: this.#signal }),
    );
    if (done && attempt.deletions === 0) world.fail("destroyAll was acknowledged, but did nothing");
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
      this.#world.fail("destroySession does not delete the session");
    }
  }

  async #iterate(): Promise<void> {
    let listing: Attempt | undefined;
    await this.#attempting("iterate", async () => {
      for await (const session of this.#manager.iterate({ signal: this.#signal })) {
        listing ??= this.#attempt;
        const token = stateOf(session).row?.token;
        const row = listing.listed.find((listed) => listed.token === token);
        if (row === undefined) return this.#world.fail("iterate yields a session that was not there");
        const view = new View(this.#world.now);
        view.show(row);
        this.#compareView(session, view);
        session.update("n", increment);
        view.update("n");
        await this.#commit(session, view);
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
    this.#world.fail(`a request sees ${JSON.stringify(shown)} instead of ${JSON.stringify(expected)}`);
  }

  #begin(what: string, view?: View): Attempt {
    const started = this.#world.now;
    what = `${this.#number} ${what}`;
    return {
      what,
      started,
      view,
      deletions: 0,
      ended: 0,
      faults: [],
      inDoubt: view?.pending !== undefined,
      foundMark: false,
      missed: false,
      listed: [],
    };
  }

  /** Waits for one call of the library, and checks the error that it throws, if any. */
  async #attempting<T>(
    what: string,
    call: () => Promise<T>,
    view?: View,
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
    const { view, sent } = attempt;
    if (error instanceof SessionGoneError) {
      const tokens = [
        view?.token,
        view?.offered,
        ...view?.pending?.results.keys() ?? [],
        ...sent?.results.keys() ?? [],
      ];
      if (view !== undefined && attempt.missed) view.missed = true;
      const isExcused = attempt.missed || view?.missed === true;
      for (const token of tokens) {
        if (token !== undefined && world.reference.live(token, world.now) && !isExcused) {
          world.fail("a live session is reported as gone");
        }
      }
    } else if (error instanceof SessionConflictError) {
      if (sent?.from === undefined) world.fail("a new session met a conflict");
      this.#compareFailure(attempt, error);
    } else if (error instanceof SessionStoreError) {
      if (attempt.faults.length === 0 && !this.#signal.aborted && view?.pending === undefined) {
        world.fail(`there was no fault, but ${error}`);
      }
      if (!error.ambiguous) this.#compareFailure(attempt, error);
    } else {
      world.fail(`an error of another kind: ${error instanceof Error ? error.stack : error}`);
    }
  }

  /** A write that certainly failed must have no effect. */
  #compareFailure(attempt: Attempt, error: Error): void {
    const world = this.#world;
    const { sent } = attempt;
    if (sent !== undefined) sent.failed = true;
    // A new session may have been saved, and have expired before anyone got its token.
    const isLive = sent !== undefined &&
      [...sent.results.keys()].some((token) => world.reference.live(token, world.now));
    const isNew = sent !== undefined && sent.from === undefined;
    if ((sent?.saved ?? 0) + attempt.ended > 0 && !(isNew && !isLive)) {
      world.fail(`${attempt.what} failed for certain, but took effect: ${error}`);
    }
  }
}

function isAmbiguous(error: unknown): boolean {
  return error instanceof SessionStoreError && error.ambiguous;
}

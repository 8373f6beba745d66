/**
 * Runs the manager's operations one at a time, while the database's server fails in one way.
 * @module
 */

import {
  type Session,
  SessionConflictError,
  SessionError,
  SessionGoneError,
  SessionStoreError,
} from "../../../mod.ts";
import { withSessions } from "../../../middleware/fetch.ts";
import { MINUTE } from "../_bed.ts";
import { FAULTS, type ProxyFault } from "../../services/fault_proxy.ts";
import { CANARY, type Data, type FaultBed } from "./_bed.ts";
import { Stopwatch } from "./_stopwatch.ts";

/** Whether the fault affects the first request of an operation, or all of them. */
export type Extent = "first" | "all";

/** The result of one operation. */
export interface Outcome {
  /** Milliseconds from the first faulty request on, without the time in which the process was paused. */
  elapsed: number;
  /** The error that the caller got; `undefined` if it succeeded. */
  error: SessionError | undefined;
  /** How the result contradicts the database. */
  problems: string[];
  /** Problems that a very slow machine may also cause. */
  delays: string[];
  /** Everything that the caller and the hooks got. */
  shown: unknown[];
  /** The tokens that were sent to the database. */
  tokens: string[];
}

/** One operation on an existing session, or on a user who has two. */
export interface Operation {
  name: string;
  /** Whether a temporary fault of the first request is recovered from. */
  retried: boolean;
  run(cell: Cell): Promise<Outcome>;
}

/** A user with two sessions in the database, and the tools of the operations. */
export class Cell {
  readonly bed: FaultBed;
  readonly subject = crypto.randomUUID();
  readonly problems: string[] = [];
  readonly delays: string[] = [];
  readonly #fault: ProxyFault;
  readonly #extent: Extent;
  readonly #shown: unknown[] = [];
  #watch: Stopwatch | undefined;
  #tokens: string[] = [];

  constructor(bed: FaultBed, fault: ProxyFault, extent: Extent) {
    this.bed = bed;
    this.#fault = fault;
    this.#extent = extent;
  }

  async prepare(): Promise<void> {
    this.bed.proxy.reset();
    for (let i = 0; i < 2; i++) {
      const session = await this.bed.direct.load();
      session.subject = this.subject;
      session.put("n", 1);
      session.put("secret", CANARY.value);
      this.#tokens.push((await session.commit()).token);
    }
  }

  get token(): string {
    return this.#tokens[0]!;
  }

  /** From here on the database fails. */
  arm(): void {
    this.bed.proxy.reset();
    this.bed.proxy.faults = (request) => this.#extent === "all" || request === 0 ? this.#fault : "none";
    this.#watch = new Stopwatch();
  }

  /** The database works again, in the state that the requests have left. */
  async disarm(): Promise<number> {
    const elapsed = this.#watch?.stop() ?? 0;
    this.expectInTime(this.isArmed, "it ended before it met the fault");
    // The fault must also not appear during another cell, which would be blamed for it.
    await this.bed.settle();
    return elapsed;
  }

  /** Whether the fault was ever active. */
  get isArmed(): boolean {
    return this.#watch !== undefined;
  }

  expect(holds: boolean, problem: string): void {
    if (!holds) this.problems.push(problem);
  }

  /** Must hold unless a request ran out of time because the machine was slow. */
  expectInTime(holds: boolean, problem: string): void {
    if (!holds) this.delays.push(problem);
  }

  /** The number in a session; `undefined` if the session is gone. */
  async read(token: string): Promise<number | undefined> {
    const session = await this.bed.direct.load(token);
    return session.token === undefined ? undefined : session.get("n");
  }

  /** How many sessions the user has. */
  async count(): Promise<number> {
    return (await this.bed.direct.sessionsOf(this.subject)).length;
  }

  /** Runs a call that is not part of a request. */
  async call<T>(call: () => Promise<T>): Promise<{ elapsed: number; error?: SessionError; result?: T }> {
    this.arm();
    try {
      const result = await call();
      return { elapsed: await this.disarm(), result };
    } catch (error) {
      return { elapsed: await this.disarm(), error: this.#typed(error) };
    }
  }

  /** A request with the session's cookie, or without one, as a middleware serves it. */
  async visit(
    handler: (session: () => Promise<Session<Data>>) => Promise<unknown>,
    token?: string,
  ): Promise<{ elapsed: number; error?: SessionError; response: Response }> {
    const { errors, manager } = this.bed;
    errors.length = 0;
    const request = new Request("https://example.com/");
    if (token !== undefined) request.headers.set("Cookie", `__Host-session=${token}`);
    const response = await withSessions(manager, async (_request, session: () => Promise<Session<Data>>) => {
      return new Response(String(await handler(session)));
    })(request);
    const elapsed = await this.disarm();
    const error = response.ok ? undefined : errors.at(-1);
    if (!response.ok) {
      this.expect(response.status === 503, `the status is ${response.status}`);
      this.expect(response.headers.getSetCookie().length === 0, "a failed request sets a cookie");
      this.expect(error !== undefined, "onError was not called");
      this.#shown.push(await response.text(), [...response.headers]);
    }
    return { elapsed, error, response };
  }

  outcome({ elapsed, error }: { elapsed: number; error?: SessionError }): Outcome {
    const shown = [...this.#shown, error, ...this.bed.reported.splice(0)];
    const { problems, delays } = this;
    return { elapsed, error, problems, delays, shown, tokens: this.#tokens };
  }

  #typed(error: unknown): SessionError {
    if (error instanceof SessionError) return error;
    throw error;
  }
}

/** Whether an error says for certain that nothing was written. */
function isCertain(error: SessionError | undefined): boolean {
  return error instanceof SessionConflictError || error instanceof SessionGoneError ||
    (error instanceof SessionStoreError && !error.ambiguous);
}

/** The allowed states after a write, by its outcome: done, not done, or unknown. */
function isRight<T>(error: SessionError | undefined, found: T, before: T, after: T): boolean {
  if (error === undefined) return found === after;
  return found === before || (!isCertain(error) && found === after);
}

function tokenIn(response: Response): string | undefined {
  return /^__Host-session=([\w-]{43});/.exec(response.headers.getSetCookie()[0] ?? "")?.[1];
}

export const OPERATIONS: readonly Operation[] = [
  {
    name: "load",
    retried: true,
    async run(cell) {
      const seen = await cell.visit(async (session) => {
        cell.arm();
        return (await session()).get("n");
      }, cell.token);
      if (seen.error === undefined) {
        cell.expect(await seen.response.text() === "1", "another session was read");
      }
      cell.expect(await cell.read(cell.token) === 1, "the cookie does not work any more");
      return cell.outcome(seen);
    },
  },
  {
    name: "a new session",
    retried: true,
    async run(cell) {
      const seen = await cell.visit(async (session) => {
        const created = await session();
        created.subject = cell.subject;
        created.put("n", 7);
        created.put("secret", CANARY.value);
        cell.arm();
      });
      const token = tokenIn(seen.response);
      if (seen.error === undefined) {
        cell.expect(
          token !== undefined && await cell.read(token) === 7,
          "an acknowledged session is missing",
        );
      }
      const count = await cell.count();
      // An attempt that was given up may leave a session whose token nobody has. Several do if each reaches the
      // database only after it was looked up there.
      const isOneTooMany = count > 3 && !isCertain(seen.error);
      cell.expectInTime(!isOneTooMany, `${count} sessions`);
      cell.expect(isOneTooMany || isRight(seen.error, count, 2, 3), `${count} sessions`);
      return cell.outcome(seen);
    },
  },
  {
    name: "an update",
    retried: true,
    async run(cell) {
      const seen = await cell.visit(async (session) => {
        (await session()).update("n", (n = 0) => n + 1);
        cell.arm();
      }, cell.token);
      const n = await cell.read(cell.token);
      cell.expect(isRight(seen.error, n, 1, 2), `${n} after ${seen.error ?? "an acknowledged update"}`);
      return cell.outcome(seen);
    },
  },
  {
    name: "a renewal",
    retried: true,
    async run(cell) {
      const seen = await cell.visit(async (session) => {
        (await session()).renewToken();
        cell.arm();
      }, cell.token);
      const old = await cell.read(cell.token);
      const token = tokenIn(seen.response);
      if (seen.error === undefined) {
        cell.expect(token !== undefined && await cell.read(token) === 1, "the new token does not work");
      }
      cell.expect(isRight(seen.error, old, 1, undefined), "the old token still works, or does not work yet");
      cell.expect(await cell.count() === 2, "two tokens work, or none");
      return cell.outcome(seen);
    },
  },
  {
    name: "a touch",
    retried: false,
    async run(cell) {
      cell.bed.clock.advance(10 * MINUTE);
      const seen = await cell.visit(async (session) => {
        await session();
        cell.arm();
      }, cell.token);
      cell.expect(!cell.isArmed || seen.response.ok, "a failed touch must not fail the request");
      cell.expect(await cell.read(cell.token) === 1, "the session is gone");
      return cell.outcome({ elapsed: seen.elapsed, error: cell.bed.errors.at(-1) });
    },
  },
  {
    name: "a logout",
    retried: true,
    async run(cell) {
      const seen = await cell.visit(async (session) => {
        const ended = await session();
        cell.arm();
        await ended.destroy();
      }, cell.token);
      cell.expect(isRight(seen.error, await cell.read(cell.token), 1, undefined), "a logout is undone");
      return cell.outcome(seen);
    },
  },
  {
    name: "destroyAll",
    retried: true,
    async run(cell) {
      const seen = await cell.call(() => cell.bed.manager.destroyAll(cell.subject));
      cell.expect(isRight(seen.error, await cell.count(), 2, 0), "an acknowledged logout is undone");
      return cell.outcome(seen);
    },
  },
  {
    name: "sessionsOf",
    retried: false,
    async run(cell) {
      const seen = await cell.call(() => cell.bed.manager.sessionsOf(cell.subject));
      cell.expect(seen.error !== undefined || seen.result?.length === 2, `it lists ${seen.result?.length}`);
      return cell.outcome(seen);
    },
  },
  {
    name: "iterate",
    retried: false,
    async run(cell) {
      const seen = await cell.call(() => Array.fromAsync(cell.bed.manager.iterate()));
      cell.expect(seen.error !== undefined || seen.result?.length === 2, `it gives ${seen.result?.length}`);
      return cell.outcome(seen);
    },
  },
  {
    name: "purge",
    retried: false,
    async run(cell) {
      const { clock, manager, directStore } = cell.bed;
      // The marks of renewals.
      await directStore.deleteExpired({ now: clock.time });
      await directStore.create("expired", new Uint8Array(1), clock.time, { now: clock.time });
      const seen = await cell.call(() => manager.purge());
      const left = await directStore.deleteExpired({ now: clock.time });
      // A busy database ends a purge without an error, and the purge says that it is not done.
      const isDone = seen.error !== undefined || seen.result?.done;
      cell.expect(!isDone || isRight(seen.error, left, 1, 0), `${left} expired rows are left`);
      cell.expect(await cell.count() === 2, "a live session was purged");
      return cell.outcome(seen);
    },
  },
];

/** Runs one operation, and empties the table. */
export async function runCell(
  bed: FaultBed,
  operation: Operation,
  fault: ProxyFault,
  extent: Extent,
): Promise<Outcome> {
  const cell = new Cell(bed, fault, extent);
  await cell.prepare();
  try {
    return await operation.run(cell);
  } finally {
    bed.proxy.reset();
    await bed.direct.destroyAll(cell.subject);
  }
}

/** The names of all faults. */
export const FAULT_NAMES = Object.keys(FAULTS) as ProxyFault[];

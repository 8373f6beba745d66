/**
 * The store of one actor. Each call waits for its turn, may meet a fault, and is recorded when it takes effect.
 * @module
 */

import { SessionStoreError, type StoreErrorDetails, type StoreOperation } from "../../../mod.ts";
import type {
  DeleteExpiredOptions,
  DeleteOptions,
  FindOptions,
  NextRow,
  StoredRow,
  StoredSession,
  StoreOptions,
  TimedOptions,
  WriteOptions,
} from "../../../mod.ts";
import { jsonCodec } from "../../../mod.ts";
import type { FullStore } from "../../backends.ts";
import type { Fault } from "./_program.ts";
import type { Sent } from "./_reference.ts";

/** A store call at the moment of its effect, with its reply. */
export type Effect =
  | { method: "find"; token: string; now: number; stale: boolean }
  | { method: "create"; token: string; done: boolean }
  | { method: "update"; token: string; next: string; now: number; done: boolean }
  | { method: "touch"; token: string; now: number }
  | { method: "delete"; token: string; expected: Uint8Array | undefined; done: boolean }
  | { method: "deleteBySubject"; subject: string; except?: string; count: number }
  | { method: "deleteExpired"; now: number; count: number }
  | { method: "list"; subject?: string };

/** Gets each effect before the next turn. */
export type Witness = (effect: Effect, sent?: Sent) => Promise<void>;

/** What the store needs of its actor. */
export interface Surroundings {
  /** Waits for the actor's turn, then does the work before the next turn. */
  turn<T>(label: string, work: () => Promise<T>): Promise<T>;
  /** The same for work that is not awaited. */
  later(label: string, work: () => Promise<unknown>): void;
  /** The fault of the next call. */
  nextFault(): Fault;
  /** Aborts the signal of the actor's request. */
  abort(): void;
  /** A row is about to be read, perhaps on the primary. */
  reads(primary: boolean): void;
  /** A row is about to be written. The nonce says which of the request's writes that is. */
  writes(nonce: string, from: string | undefined): Sent | undefined;
  /** The answer of a replica that lacks the last write of a row. */
  stale(token: string, now: number): StoredSession | undefined;
  /** The write of a row is in doubt. */
  doubts(): void;
  /** Records what the actor is doing. */
  witness(): Witness;
}

const FAILURES: Partial<Record<Fault, StoreErrorDetails>> = {
  unsent: { reason: "unreachable", retryable: true },
  refused: { reason: "rejected", retryable: false },
  lost: { reason: "timeout", retryable: true, ambiguous: true },
  late: { reason: "timeout", retryable: true, ambiguous: true },
};

export class ActorStore implements FullStore {
  /** A turn may come late. Not `Infinity`, because the pauses of a store in the process are no turns of the model. */
  readonly timeout: number = 60_000;
  readonly #store: FullStore;
  readonly #actor: Surroundings;

  constructor(store: FullStore, actor: Surroundings) {
    this.#store = store;
    this.#actor = actor;
  }

  find(token: string, options: FindOptions): Promise<StoredSession | undefined> {
    const { primary = false, now } = options;
    this.#actor.reads(primary);
    const stale = primary ? undefined : () => this.#actor.stale(token, now);
    const send = () => this.#store.find(token, options);
    return this.#read("find", send, { method: "find", token, now, stale: false }, stale);
  }

  create(token: string, data: Uint8Array, expiry: number, options: WriteOptions): Promise<boolean> {
    const send = () => this.#store.create(token, data, expiry, options);
    const sent = this.#actor.writes(nonceOf(data), undefined);
    return this.#writeRow("create", sent, send, (done) => ({ method: "create", token, done }));
  }

  update(token: string, expected: Uint8Array, next: NextRow, options: TimedOptions): Promise<boolean> {
    const { now } = options;
    const send = () => this.#store.update(token, expected, next, options);
    const sent = this.#actor.writes(nonceOf(next.data), token);
    return this.#writeRow(
      "update",
      sent,
      send,
      (done) => ({ method: "update", token, next: next.token ?? token, now, done }),
    );
  }

  touch(token: string, expiry: number, options: TimedOptions): Promise<void> {
    const { now } = options;
    const send = () => this.#store.touch(token, expiry, options);
    return this.#write("touch", send, () => ({ method: "touch", token, now }));
  }

  delete(
    token: string,
    options: DeleteOptions = {},
  ): Promise<boolean> {
    const { expected } = options;
    const send = () => this.#store.delete(token, options);
    return this.#write("delete", send, (done) => ({ method: "delete", token, expected, done }));
  }

  deleteBySubject(subject: string, options: StoreOptions & { except?: string } = {}): Promise<number> {
    const { except } = options;
    const send = () => this.#store.deleteBySubject(subject, options);
    return this.#write("deleteBySubject", send, (count) => (
      { method: "deleteBySubject", subject, except, count }
    ));
  }

  deleteExpired(options: DeleteExpiredOptions): Promise<number> {
    const { now } = options;
    const send = () => this.#store.deleteExpired(options);
    return this.#write("deleteExpired", send, (count) => ({ method: "deleteExpired", now, count }));
  }

  all(options: TimedOptions): AsyncGenerator<StoredRow> {
    return this.#list("all", () => this.#store.all(options), { method: "list" });
  }

  findBySubject(subject: string, options: TimedOptions): AsyncGenerator<StoredRow> {
    const send = () => this.#store.findBySubject(subject, options);
    return this.#list("findBySubject", send, { method: "list", subject });
  }

  commit(): Promise<never> {
    throw new Error("The manager never overwrites a row that it has not read");
  }

  stopCleanup(): void {}

  async *#list(operation: StoreOperation, send: () => AsyncIterable<StoredRow>, effect: Effect) {
    yield* await this.#read(operation, () => Array.fromAsync(send()), effect);
  }

  #read<T>(
    operation: StoreOperation,
    send: () => Promise<T>,
    effect: Effect,
    stale?: () => T,
  ): Promise<T> {
    const witness = this.#actor.witness();
    const fault = this.#actor.nextFault();
    return this.#actor.turn(label(operation, fault), async () => {
      if (fault === "broken") throw new Error("what a driver throws");
      const failure = FAILURES[fault];
      if (failure !== undefined) throw new SessionStoreError(operation, { ...failure, ambiguous: false });
      if (fault === "aborted") this.#actor.abort();
      if (fault === "stale" && stale !== undefined && effect.method === "find") {
        await witness({ ...effect, stale: true });
        return stale();
      }
      const reply = await send();
      await witness(effect);
      return reply;
    });
  }

  async #writeRow(
    operation: StoreOperation,
    sent: Sent | undefined,
    send: () => Promise<boolean>,
    effect: (done: boolean) => Effect,
  ): Promise<boolean> {
    try {
      return await this.#write(operation, send, effect, sent);
    } catch (error) {
      if (!(error instanceof SessionStoreError) || error.ambiguous) this.#actor.doubts();
      throw error;
    }
  }

  #write<T>(
    operation: StoreOperation,
    send: () => Promise<T>,
    effect: (reply: T) => Effect,
    sent?: Sent,
  ): Promise<T> {
    const witness = this.#actor.witness();
    const deliver = async () => {
      const reply = await send();
      await witness(effect(reply), sent);
      return reply;
    };
    let fault = this.#actor.nextFault();
    // A late `deleteBySubject()` ends sessions that began after it was given up, because nothing tells them apart.
    if (fault === "late" && operation === "deleteBySubject") fault = "lost";
    return this.#actor.turn(label(operation, fault), async () => {
      if (fault === "broken") throw new Error("what a driver throws");
      if (fault === "aborted") this.#actor.abort();
      if (fault === "lost" || fault === "twice") await deliver();
      if (fault === "late") this.#actor.later(`late ${operation}`, deliver);
      const failure = FAILURES[fault];
      if (failure !== undefined) throw new SessionStoreError(operation, failure);
      return await deliver();
    });
  }
}

/** The nonce of the write that made these bytes. */
function nonceOf(data: Uint8Array): string {
  return (jsonCodec.decode(data).values.__nonces as string).slice(-12);
}

function label(operation: StoreOperation, fault: Fault): string {
  return fault === "none" ? operation : `${operation} (${fault})`;
}

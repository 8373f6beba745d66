/** Every call of a store, with marked arguments that no error may show, for tests in which the database fails. */
import { SessionStoreError, type StoreOperation } from "../../mod.ts";
import { assert } from "../assert.ts";
import type { FullStore } from "../backends.ts";
import { assertShowsNone, printed } from "../scenarios/_secrets.ts";

export const NOW = Date.UTC(2026, 2, 4, 5, 6, 7, 890);
const LATER = NOW + 3_600_000;

/** Texts that no error may show. */
export const CANARY = {
  token: "canary-token".padEnd(43, "T"),
  next: "canary-next".padEnd(43, "N"),
  data: "canary-data",
  subject: "canary-subject",
};
const DATA = new TextEncoder().encode(CANARY.data);
const ROW = { token: CANARY.token, data: DATA, expiry: LATER };

/** One call of a store. */
export interface Call {
  name: string;
  operation: StoreOperation;
  writes: boolean;
  run(store: FullStore): Promise<unknown>;
}

const now = { now: NOW };
const { token, next, subject } = CANARY;

const READS: [StoreOperation, Call["run"]][] = [
  ["find", (store) => store.find(token, now)],
  ["all", (store) => Array.fromAsync(store.all(now))],
  ["findBySubject", (store) => Array.fromAsync(store.findBySubject(subject, now))],
];
const WRITES: [StoreOperation, Call["run"]][] = [
  ["create", (store) => store.create(token, DATA, LATER, { ...now, subject })],
  ["commit", (store) => store.commit(token, DATA, LATER, { ...now, subject })],
  ["update", (store) => store.update(token, DATA, { ...ROW, subject }, now)],
  ["update", (store) => store.update(token, DATA, { ...ROW, token: next, subject }, now)],
  ["touch", (store) => store.touch(token, LATER, now)],
  ["delete", (store) => store.delete(token)],
  ["deleteExpired", (store) => store.deleteExpired(now)],
  ["deleteBySubject", (store) => store.deleteBySubject(subject, { except: next })],
];

const call = (writes: boolean) => ([operation, run]: [StoreOperation, Call["run"]], index: number): Call => ({
  name: `${operation}()${operation === "update" && index === 3 ? " with a new token" : ""}`,
  operation,
  writes,
  run,
});

export const reads: Call[] = READS.map(call(false));
export const writes: Call[] = WRITES.map(call(true));
export const calls: Call[] = [...reads, ...writes];
/** The calls whose statements name the column for subjects. */
export const callsWithSubject: Call[] = calls.filter(({ operation }) =>
  ["create", "commit", "update", "findBySubject", "deleteBySubject"].includes(operation)
);

/** What is expected of an error. */
export interface Failure {
  reason: SessionStoreError["reason"];
  retryable: boolean;
  /** Expected of a write. A read is never ambiguous. */
  ambiguous?: boolean;
  /** What the message has to match. */
  advice?: RegExp;
}

/** Runs a call that must fail. Throws unless the error is the expected one, and shows neither a secret nor SQL. */
export async function assertFails(
  store: FullStore,
  { name, operation, writes, run }: Call,
  { reason, retryable, ambiguous = false, advice }: Failure,
  secrets: string[] = [],
): Promise<SessionStoreError> {
  const error = await run(store).then(
    (result) => new Error(`${name} gave ${Deno.inspect(result)}`),
    (error: unknown) => error,
  );
  if (!(error instanceof SessionStoreError)) throw error;
  const seen = [error.operation, error.reason, error.retryable, error.ambiguous, error.code].join();
  const expected = [operation, reason, retryable, writes && ambiguous, "ERR_SESSION_STORE"].join();
  assert(seen === expected, `${name}: expected ${expected}, got ${seen}: ${error.message}`);
  if (advice !== undefined) assert(advice.test(error.message), `${name}: ${error.message}`);
  assertShowsNone(error, [
    ...Object.values(CANARY),
    DATA.toHex(),
    DATA.toBase64(),
    new TextEncoder().encode(subject).toHex(),
    ...secrets,
  ]);
  // The words of SQL are in capitals, as the stores write them.
  assert(
    !/\b(SELECT|INSERT|VALUES|WHERE|SET|FROM|RETURNING|VARBINARY\()\b/.test(withoutAdvice(error)),
    printed(error),
  );
  return error;
}

/** Throws unless calls that need the column for subjects name the statement that adds it, and succeed after that. */
export async function assertAsksForSubjects(
  store: FullStore,
  execute: (statement: string) => Promise<unknown>,
): Promise<void> {
  const advice = /no column subject; run ALTER TABLE/;
  let statements: string[] = [];
  for (const call of callsWithSubject) {
    const { message } = await assertFails(store, call, { reason: "schema", retryable: false, advice });
    statements = /run (ALTER TABLE .+)$/.exec(message)![1]!.split("; ");
  }
  for (const call of calls.filter((call) => !callsWithSubject.includes(call))) await call.run(store);
  for (const statement of statements) await execute(statement);
  for (const call of callsWithSubject) await call.run(store);
}

/** A printed error without the statements that it advises to run. */
function withoutAdvice(error: SessionStoreError): string {
  return printed(error).replaceAll(/run ALTER TABLE (?:[^\n]*? IS NOT NULL|[^\n"]*)/g, "");
}

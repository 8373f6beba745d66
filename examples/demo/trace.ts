/**
 * Counts what a request costs: its store calls, and the rows that the database read and changed.
 * @module
 */

import { AsyncLocalStorage } from "node:async_hooks";
import type { SessionStore } from "@x/sessions";
import type { LibSQLClient, LibSQLResult } from "@x/sessions/stores/libsql";

/** One call to the store. */
export interface StoreCall {
  /** The request that made it. */
  by: string;
  method: string;
  /** Its result, in a word or two. */
  result: string;
  rowsRead: number;
  rowsChanged: number;
}

/** The store calls of one request. */
export interface Trace {
  by: string;
  /** In the order in which they were sent. Concurrent requests may share the list. */
  calls: StoreCall[];
  /** Holds back each write until the promise resolves. */
  beforeWrite?: (() => Promise<void>) | undefined;
}

const current = new AsyncLocalStorage<Trace>();

/** Runs `work`, and records its store calls in the trace. */
export function traced<T>(trace: Trace, work: () => T): T {
  return current.run(trace, work);
}

const RESULTS: Record<string, (result: unknown) => string> = {
  find: (row) => row ? "found" : "nothing there",
  create: (isMade) => isMade ? "written" : "refused",
  update: (isDone) => isDone ? "written" : "refused",
  commit: () => "written",
  touch: () => "extended",
  delete: (isDeleted) => isDeleted ? "deleted" : "nothing there",
  findBySubject: () => "listed",
  deleteBySubject: (count) => `${count} deleted`,
};
const READS = ["find", "findBySubject"];

/** The same store, with its calls recorded. */
export function tracedStore<Store extends SessionStore>(store: Store): Store {
  return new Proxy(store, {
    get(target, name) {
      const member: unknown = Reflect.get(target, name, target);
      if (typeof member !== "function") return member;
      const send = (...args: unknown[]): unknown => member.apply(target, args);
      const describe = RESULTS[String(name)];
      if (describe === undefined) return send;

      const record = (trace: Trace, args: unknown[]) => {
        const call = { by: trace.by, method: String(name), result: "failed", rowsRead: 0, rowsChanged: 0 };
        trace.calls.push(call);
        const result = send(...args);
        if (!(result instanceof Promise)) {
          call.result = describe(result);
          return result;
        }
        return result.then((value) => {
          call.result = describe(value);
          return value;
        });
      };
      return (...args: unknown[]) => {
        const trace = current.getStore();
        if (trace === undefined) return send(...args);
        if (trace.beforeWrite === undefined || READS.includes(String(name))) return record(trace, args);
        return trace.beforeWrite().then(() => record(trace, args));
      };
    },
  });
}

/** The client of a file. The store calls `transaction` to replace a connection after a lock. */
type FileClient = Required<LibSQLClient> & { transaction(mode: "deferred"): Promise<{ close(): void }> };

/** The same client, which adds the rows of each statement to the store call that sent it. */
export function countedClient(client: FileClient): FileClient {
  const count = ({ rows, rowsAffected = 0 }: LibSQLResult) => {
    const call = current.getStore()?.calls.at(-1);
    if (call === undefined) return;
    call.rowsRead += rows.length;
    call.rowsChanged += rowsAffected;
  };
  return {
    protocol: client.protocol,
    async execute(statement) {
      const result = await client.execute(statement);
      count(result);
      return result;
    },
    async batch(statements, mode) {
      const results = await client.batch(statements, mode);
      results.forEach(count);
      return results;
    },
    executeMultiple: (sql) => client.executeMultiple(sql),
    reconnect: () => client.reconnect(),
    transaction: (mode) => client.transaction(mode),
  };
}

/**
 * What a request costs: each call to the store, and the rows that the database read and changed for it.
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
  /** What it gave, in a word or two. */
  result: string;
  rowsRead: number;
  rowsChanged: number;
}

/** Everything that one request asks of the store. */
export interface Trace {
  by: string;
  /** In the order in which they were sent. Requests that run at once may share the list. */
  calls: StoreCall[];
  /** Holds a write back until it resolves. */
  beforeWrite?: (() => Promise<void>) | undefined;
}

const current = new AsyncLocalStorage<Trace>();

/** What the store is asked for within `work` is noted in the trace. */
export function traced<T>(trace: Trace, work: () => T): T {
  return current.run(trace, work);
}

const RESULTS: Record<string, (result: unknown) => string> = {
  find: (row) => row ? "found" : "nothing there",
  create: (isMade) => isMade ? "written" : "refused",
  update: (isDone) => isDone ? "written" : "refused",
  commit: () => "written",
  touch: () => "prolonged",
  delete: (isDeleted) => isDeleted ? "deleted" : "nothing there",
  findBySubject: () => "listed",
  deleteBySubject: (count) => `${count} deleted`,
};
const READS = ["find", "findBySubject"];

/** The same store, with each of its calls noted. */
export function tracedStore<Store extends SessionStore>(store: Store): Store {
  return new Proxy(store, {
    get(target, name) {
      const member: unknown = Reflect.get(target, name, target);
      if (typeof member !== "function") return member;
      const send = (...args: unknown[]): unknown => member.apply(target, args);
      const describe = RESULTS[String(name)];
      if (describe === undefined) return send;

      const note = (trace: Trace, args: unknown[]) => {
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
        if (trace.beforeWrite === undefined || READS.includes(String(name))) return note(trace, args);
        return trace.beforeWrite().then(() => note(trace, args));
      };
    },
  });
}

/** What the store needs of a client for a file: `transaction` is how it sets a connection aside after a lock. */
type FileClient = Required<LibSQLClient> & { transaction(mode: "deferred"): Promise<{ close(): void }> };

/** The same client, with the rows of each statement added to the call that sent it. */
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

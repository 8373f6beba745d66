import { isLocked, isMoved } from "./_sqlite_errors.ts";

/** The calls of `@libsql/client` that a database in this process needs. */
export interface FileClient {
  execute?(statement: { sql: string; args: [] }): Promise<{ readonly rows: readonly object[] }>;
  executeMultiple?(sql: string): Promise<void>;
  reconnect?(): void | Promise<void>;
  transaction?(mode: "deferred"): Promise<{ close(): void }>;
}

/** What is known of a client. Several stores may share one. */
interface ClientState {
  /** The end of the last statement. The next one waits for it. */
  last?: Promise<unknown>;
  /** Whether a lock was ever met. From then on each write asks for the lock first. */
  asksFirst?: boolean;
  /** Whether a connection that met a lock is held out of use. */
  hasAside?: boolean;
}

const states = new WeakMap<FileClient, ClientState>();

/**
 * Makes a sender of statements to a database in a file, which other processes may lock. It sends one statement at a time,
 * so that none reaches a connection that is being given up.
 *
 * When a lock refuses a statement the driver leaves that statement unfinished until it is garbage collected (issue 352 of
 * tursodatabase/libsql-client-ts). Meanwhile the driver reports later writes on that connection as done but never commits
 * them, and reads there see old rows. So a connection that met a lock is never used again. Nor does a write use a
 * connection on which the application has an unfinished statement. Once a lock was met, each write first asks for the
 * lock by a statement that is never left unfinished.
 */
export function fileSender(
  client: FileClient,
): <T>(writes: boolean, statement: () => Promise<T>) => Promise<T> {
  const state = states.get(client) ?? {};
  states.set(client, state);

  return (writes, statement) => {
    const work = inTurn(state.last, writes, statement);
    state.last = work.catch(() => {});
    return work;
  };

  async function inTurn<T>(before: unknown, writes: boolean, statement: () => Promise<T>): Promise<T> {
    await before;
    if (writes) await lookAtConnection();
    try {
      return await statement();
    } catch (error) {
      if (isMoved(error)) {
        await reconnect();
        // Nothing was done, and the store sends it again.
        throw { code: "SQLITE_BUSY" };
      }
      if (isLocked(error)) await giveUpConnection();
      throw error;
    }
  }

  /** Throws if the application has an unfinished statement on the connection, or if another one holds the lock. */
  async function lookAtConnection(): Promise<void> {
    try {
      // Without IMMEDIATE it takes no lock and costs a fraction.
      await client.executeMultiple?.(`BEGIN${state.asksFirst ? " IMMEDIATE" : ""}; COMMIT`);
    } catch (error) {
      if (/statements in progress/.test(String(error))) await giveUpConnection();
      throw error;
    }
  }

  /**
   * Takes a connection out of use. The pool hands out the connection that came back last, and a transaction that never
   * ends keeps it. A reconnect would do too, but it ends the application's transactions, and one of them may be what
   * holds the lock.
   */
  async function giveUpConnection(): Promise<void> {
    state.asksFirst = true;
    if (state.hasAside) return await reconnect();
    const aside = await client.transaction?.("deferred");
    try {
      await execute("SELECT 1");
      state.hasAside = true;
    } catch {
      // The pool has only this connection, so no transaction of the application's is open.
      aside?.close();
      const [row] = await execute("SELECT file FROM pragma_database_list WHERE name = 'main'");
      // A database in memory ends with its connection. Nobody else can lock it, so it stays.
      if (Object.values(row ?? {})[0]) await reconnect();
    }
  }

  async function reconnect(): Promise<void> {
    state.hasAside = false;
    await client.reconnect?.();
  }

  async function execute(sql: string): Promise<readonly object[]> {
    return (await client.execute!({ sql, args: [] })).rows;
  }
}

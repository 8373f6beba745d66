import { isLocked, isMoved } from "./_sqlite_errors.ts";

/** What a client of `@libsql/client` has for a database in this process. */
export interface FileClient {
  execute?(statement: { sql: string; args: [] }): Promise<{ readonly rows: readonly object[] }>;
  executeMultiple?(sql: string): Promise<void>;
  reconnect?(): void | Promise<void>;
  transaction?(mode: "deferred"): Promise<{ close(): void }>;
}

/** What is known of a client, which several stores may share. */
interface Knowledge {
  /** The end of the last statement: whose turn is next waits for it. */
  last?: Promise<unknown>;
  /** Whether a lock was ever met, so that the next write asks for it first. */
  asksFirst?: boolean;
  /** Whether a connection that met a lock is kept out of use. */
  hasAside?: boolean;
}

const known = new WeakMap<FileClient, Knowledge>();

/**
 * Makes a sender of statements to a database in a file, which other processes may lock. They are sent one by one, so that
 * nothing gets to a connection that is about to be given up.
 *
 * The driver leaves a statement unfinished that a lock refused, until it is collected as garbage. What is written on
 * that connection meanwhile is reported as done and never committed, and what is read there grows old (issue 352 of
 * tursodatabase/libsql-client-ts). So nothing more is sent on a connection that met a lock, and no write on one that
 * has an unfinished statement of the application's. Where locks are met at all, each write first asks for the lock in a
 * way that leaves nothing behind.
 */
export function fileSender(
  client: FileClient,
): <T>(writes: boolean, statement: () => Promise<T>) => Promise<T> {
  const state = known.get(client) ?? {};
  known.set(client, state);

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
      if (isMoved(error)) await reconnect();
      if (isLocked(error)) await giveUpConnection();
      throw error;
    }
  }

  /** Throws where someone else's statement is unfinished on the connection, or where the lock cannot be had. */
  async function lookAtConnection(): Promise<void> {
    try {
      // Without IMMEDIATE it stays in memory, at a fraction of the price.
      await client.executeMultiple?.(`BEGIN${state.asksFirst ? " IMMEDIATE" : ""}; COMMIT`);
    } catch (error) {
      if (/statements in progress/.test(String(error))) await giveUpConnection();
      throw error;
    }
  }

  /**
   * The pool gives out first what came back last: a transaction that is never ended keeps the connection out of use.
   * The application's transactions stay open, which a reconnect would end. One of them may hold the lock.
   */
  async function giveUpConnection(): Promise<void> {
    state.asksFirst = true;
    if (state.hasAside) return await reconnect();
    const aside = await client.transaction?.("deferred");
    try {
      await execute("SELECT 1");
      state.hasAside = true;
    } catch {
      // It was the only one, so that no transaction of the application's can be open.
      aside?.close();
      const [row] = await execute("SELECT file FROM pragma_database_list WHERE name = 'main'");
      // A database in memory lives as long as its connection, and nobody else can lock it.
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

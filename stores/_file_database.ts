import { isLocked } from "./_locks.ts";

/** What a client of `@libsql/client` has for a database in this process. */
export interface FileClient {
  execute(
    statement: { sql: string; args: [] },
  ): Promise<{ rows: readonly { readonly [column: number]: unknown }[] }>;
  executeMultiple?(sql: string): Promise<void>;
  reconnect?(): void | Promise<void>;
}

/** Whose turn it is on a client, which several stores may share. */
const turns = new WeakMap<FileClient, Promise<unknown>>();

/**
 * A database in a file, which other processes may lock.
 *
 * The driver leaves a statement unfinished that a lock refused, until it is collected as garbage. What is written on
 * that connection meanwhile is reported as done and never committed, and what is read there grows old (issue 352 of
 * tursodatabase/libsql-client-ts). So the lock is asked for first, in a way that leaves nothing behind; and where
 * another process takes it in between, the connection is given up before anything else is sent there.
 */
export class FileDatabase {
  readonly #client: FileClient;
  /** Whether there is a file at all: a database in memory lives as long as its connection. */
  #isInFile: boolean | undefined;

  constructor(client: FileClient) {
    this.#client = client;
  }

  /** Sends a statement: one by one, so that nothing gets to a connection that is about to be given up. */
  async send<T>(writes: boolean, statement: () => Promise<T>): Promise<T> {
    const before = turns.get(this.#client);
    const work = (async () => {
      await before;
      this.#isInFile ??= await this.#orReconnect(() => this.#lookForFile());
      if (writes) await this.#askForLock();
      return await this.#orReconnect(statement);
    })();
    turns.set(this.#client, work.catch(() => {}));
    return await work;
  }

  async #askForLock(): Promise<void> {
    try {
      await this.#client.executeMultiple?.("BEGIN IMMEDIATE; COMMIT");
    } catch (error) {
      // Not a lock of others, but an unfinished statement: of someone else who uses the client.
      if (/statements in progress/i.test(String(error))) await this.#client.reconnect?.();
      throw error;
    }
  }

  async #orReconnect<T>(statement: () => Promise<T>): Promise<T> {
    try {
      return await statement();
    } catch (error) {
      // Nobody else can lock what is in memory: as long as it is not known, a lock tells as well.
      if (isLocked(error) && this.#isInFile !== false) await this.#client.reconnect?.();
      throw error;
    }
  }

  async #lookForFile(): Promise<boolean> {
    const sql = "SELECT file FROM pragma_database_list WHERE name = 'main'";
    const { rows } = await this.#client.execute({ sql, args: [] });
    return Boolean(rows[0]?.[0]);
  }
}

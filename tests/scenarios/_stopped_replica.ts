import type { FindOptions, StoredSession } from "../../core/store.ts";
import { MemoryStore } from "../../mod.ts";

/** A store whose replica stopped at some time. */
export class StoppedReplicaStore extends MemoryStore {
  #replica: Map<string, StoredSession> | undefined;

  /** From now on reads see the rows of this moment, unless they ask the primary. */
  async stopReplica(): Promise<void> {
    const rows = new Map<string, StoredSession>();
    for await (const row of this.all({ now: Date.now() })) rows.set(row.token, row);
    this.#replica = rows;
  }

  /** From now on reads find nothing, unless they ask the primary. */
  showNothing(): void {
    this.#replica = new Map();
  }

  /** The replica has caught up. */
  followPrimary(): void {
    this.#replica = undefined;
  }

  override async find(token: string, options: FindOptions): Promise<StoredSession | undefined> {
    if (this.#replica === undefined || options.primary) return await super.find(token, options);
    return this.#replica.get(token);
  }
}

import { equalBytes } from "../bytes/equal.ts";
import type {
  AtomicStore,
  DeleteOptions,
  FindOptions,
  NextRow,
  SessionStore,
  StoredSession,
  TimedOptions,
  WriteOptions,
} from "../store.ts";

/**
 * Makes an atomic store of one with SCS's three methods. Each write reads first. That narrows the gap in which a change of
 * another writer is lost or an ended session returns; only an {@linkcode AtomicStore} closes it.
 */
export class BasicStoreAdapter implements AtomicStore {
  readonly timeout?: number | undefined;
  readonly inProcess?: boolean | undefined;
  readonly #store: SessionStore;

  constructor(store: SessionStore) {
    this.#store = store;
    this.timeout = store.timeout;
    this.inProcess = store.inProcess;
  }

  async find(token: string, options: FindOptions): Promise<StoredSession | undefined> {
    return await this.#store.find(token, options);
  }

  async commit(token: string, data: Uint8Array, expiry: number, options: WriteOptions): Promise<void> {
    await this.#store.commit(token, data, expiry, options);
  }

  async delete(
    token: string,
    options: DeleteOptions = {},
  ): Promise<boolean> {
    const { expected } = options;
    if (expected !== undefined) {
      // Not a copy, which would lack the getter `waitUntil`.
      const { now = 0 } = options as Partial<TimedOptions>;
      const found = await this.#store.find(token, Object.assign(options, { now }));
      if (!found || !equalBytes(found.data, expected)) return false;
    }
    return await this.#store.delete(token, options);
  }

  // No row has a new random token: there is nothing to read first.
  async create(token: string, data: Uint8Array, expiry: number, options: WriteOptions): Promise<boolean> {
    await this.#store.commit(token, data, expiry, options);
    return true;
  }

  async update(token: string, expected: Uint8Array, next: NextRow, options: TimedOptions): Promise<boolean> {
    const found = await this.#store.find(token, options);
    // A store in JavaScript may give null.
    if (!found || !equalBytes(found.data, expected)) return false;
    const { token: newToken = token, expiry = found.expiry, subject, mark } = next;
    await this.#store.commit(
      newToken,
      next.data,
      expiry,
      Object.assign(options, { subject: subject ?? undefined }),
    );
    if (newToken === token) return true;
    // A mark has no subject: it is no session of anyone.
    Object.assign(options, { subject: undefined });
    if (mark === undefined) await this.#store.delete(token, options);
    else await this.#store.commit(token, mark.data, mark.expiry, options);
    return true;
  }

  async touch(token: string, expiry: number, options: TimedOptions): Promise<void> {
    const found = await this.#store.find(token, options);
    if (found && found.expiry < expiry) await this.#store.commit(token, found.data, expiry, options);
  }
}

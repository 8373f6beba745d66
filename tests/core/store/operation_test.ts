import { MemoryStore, sessions, SessionStoreError } from "../../../mod.ts";
import { assertEquals, assertRejects } from "../../assert.ts";

/** A store whose writes wait for a lock, and do not get it. */
class LockedStore extends MemoryStore {
  override readonly timeout: number = 1_000;
  updates = 0;
  readonly #waits: number;

  constructor(waits: number) {
    super({ cleanup: "off" });
    this.#waits = waits;
  }

  override async update(): Promise<boolean> {
    this.updates++;
    await new Promise((resolve) => setTimeout(resolve, this.#waits));
    throw new SessionStoreError("update", { reason: "busy", retryable: true });
  }
}

for (const [waits, updates] of [[0, 3], [600, 1]] as const) {
  Deno.test(`A write that waits ${waits} ms of a second for a lock is sent ${updates} times, and is not in doubt`, async () => {
    const store = new LockedStore(waits);
    const session = await sessions<{ n: number }>({ store }).load();
    await session.commit();
    session.put("n", 1);
    const error = await assertRejects(() => session.commit(), SessionStoreError);
    assertEquals([error.reason, error.ambiguous, store.updates], ["busy", false, updates]);
  });
}

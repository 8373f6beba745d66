import { SessionStoreError } from "../core/errors.ts";

/** The most passes. A user would have to renew a session during each of them. */
const MOST_PASSES = 20;

/**
 * Deletes a subject's sessions again and again, until a pass finds that no renewal has carried one past it.
 *
 * @returns How many rows all passes have deleted.
 * @throws {SessionStoreError} With the reason `busy`, after 20 passes.
 */
export async function deleteInPasses(
  deleteOnce: () => Promise<{ deleted: number; isDone: boolean }>,
): Promise<number> {
  let total = 0;
  for (let pass = 1; pass <= MOST_PASSES; pass++) {
    const { deleted, isDone } = await deleteOnce();
    total += deleted;
    if (isDone) return total;
  }
  throw new SessionStoreError("deleteBySubject", { reason: "busy", retryable: true, ambiguous: true });
}

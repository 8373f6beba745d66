import { SessionStoreError } from "../core/errors.ts";

/** The most passes. A user would have to renew a session during each of them. */
const MOST_PASSES = 20;

/**
 * Deletes a subject's sessions again and again, until a pass finds that no renewal has carried one past it.
 *
 * @param deleteOnce One pass. It gets the number of the pass, from 1.
 * @returns How many rows all passes have deleted.
 * @throws {SessionStoreError} With the reason `busy`, after 20 passes.
 */
export async function deleteInPasses(
  deleteOnce: (pass: number) => Promise<{ deleted: number; isDone: boolean }>,
): Promise<number> {
  let total = 0;
  for (let pass = 1; pass <= MOST_PASSES; pass++) {
    const { deleted, isDone } = await deleteOnce(pass);
    total += deleted;
    if (isDone) return total;
  }
  throw new SessionStoreError("deleteBySubject", { reason: "busy", retryable: true, ambiguous: true });
}

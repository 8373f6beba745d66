import { publicId } from "../bytes/token.ts";
import type { StoredRow } from "../store.ts";
import { asAmbiguous } from "../store/failure.ts";
import type { Operation } from "../store/operation.ts";
import { holdingOf } from "./record.ts";
import type { SessionState } from "./session_state.ts";

/** How many deletions a logout sends while other requests write the row. The last one deletes whatever is there. */
const MOST_DELETIONS = 4;

/**
 * The logout. Deletes every row that this session may have: the row that was read, and those that a write in doubt may have
 * left. Also deletes the rows of the browser's other tokens, since the browser would go on sending these.
 */
export async function destroy(operation: Operation, state: SessionState): Promise<void> {
  const { hooks, storedTokenOf } = operation.settings;
  const { gone, writeInDoubt, row, offered, untried, record: { subject } } = state;
  let isEnded = false;
  let isRenewed = gone === "renewed";
  // The row before a renewal in doubt comes first: a renewal that arrives later then finds no row to move.
  const read = [writeInDoubt?.base, row].filter((row) => row !== undefined);
  const written = writeInDoubt === undefined ? [] : [...writeInDoubt.earlier, writeInDoubt.storedToken];
  const own = [...read.map(({ token }) => token), ...written];
  const others = [...offered, ...untried].map(storedTokenOf);

  try {
    for (const token of new Set([...own, ...others])) {
      const seen = read.find((row) => row.token === token);
      const how = await (seen === undefined ? operation.delete(token) : endRow(operation, seen));
      if (how === "renewed") isRenewed = true;
      if (how === "renewed" || how === false) continue;
      isEnded = true;
      const isOwn = own.includes(token);
      // This request itself had renewed the session.
      if (isOwn) isRenewed = false;
      hooks.event?.({ kind: "destroyed", id: publicId(token), subject: isOwn ? subject : undefined });
    }
  } catch (error) {
    // One row is gone by then, so the logout has not failed for certain.
    throw isEnded ? asAmbiguous(error) : error;
  }

  // After a renewal elsewhere the browser keeps the cookie that it got there.
  if (isRenewed) state.gone = "renewed";
  else if (isEnded) state.endedHere = true;
}

/** Deletes a row, even if other requests have written it since, but leaves the mark of a renewal. */
export async function endRow(
  operation: Operation,
  { token, data }: StoredRow,
): Promise<"ended" | "gone" | "renewed"> {
  for (let attempt = 1, expected = data;; attempt++) {
    const isLast = attempt === MOST_DELETIONS;
    if (await operation.delete(token, isLast ? undefined : expected)) return "ended";
    if (isLast) return "gone";
    const row = await operation.findOnPrimary(token, "repeatable").catch((error) => {
      // The network may deliver the deletion twice: the first delivery deletes, and the reply is that to the second one.
      throw asAmbiguous(error);
    });
    if (row === undefined) return "gone";
    if (holdingOf(operation.settings, row) === "renewed") return "renewed";
    expected = row.data;
  }
}

import { publicId } from "../bytes/token.ts";
import type { SessionSettings } from "../options/session_options.ts";
import type { StoredRow } from "../store.ts";
import { asAmbiguous } from "../store/failure.ts";
import type { Operation } from "../store/operation.ts";
import { isMark, tryDecodeRecord } from "./record.ts";
import type { SessionState } from "./session_state.ts";

/** How many deletions a logout sends while other requests write the row. The last one deletes whatever is there. */
const MOST_DELETIONS = 4;

/** Ends sessions in the store: the logout, and the end of one session from a list of devices. */
export class Ending {
  readonly #settings: SessionSettings;
  readonly #operation: Operation;

  constructor(settings: SessionSettings, operation: Operation) {
    this.#settings = settings;
    this.#operation = operation;
  }

  /** Whether a deletion failed that may have happened all the same. */
  get inDoubt(): boolean {
    return this.#operation.inDoubt;
  }

  /**
   * Deletes every row that this session may have: the row that was read, and those that a write in doubt may have left. Also
   * deletes the rows of the browser's other tokens, since the browser would go on sending these.
   */
  async destroy(state: SessionState): Promise<void> {
    const { writeInDoubt, row, offered, untried, record: { subject } } = state;
    let isEnded = false;
    let isRenewed = state.gone === "renewed";
    const seen = new Set<string>();

    // The row before a renewal in doubt comes first: a renewal that arrives later then finds no row to move.
    for (const read of isRenewed ? [] : [writeInDoubt?.base, row]) {
      if (read === undefined || seen.has(read.token)) continue;
      seen.add(read.token);
      if (await this.end(read) === "renewed") isRenewed = true;
      else {
        isEnded = true;
        this.#emitDestroyed(read.token, subject);
      }
    }
    const written = writeInDoubt === undefined ? [] : [...writeInDoubt.earlier, writeInDoubt.storedToken];
    for (const token of written) {
      if (seen.has(token) || !(await this.#operation.delete(token))) continue;
      isEnded = true;
      this.#emitDestroyed(token, subject);
      // This request itself had renewed the session.
      isRenewed = false;
    }
    const others = [
      ...offered.map(({ storedToken }) => storedToken),
      ...untried.map(this.#settings.storedToken),
    ];
    for (const token of new Set(others)) {
      if (seen.has(token) || !(await this.#operation.delete(token))) continue;
      isEnded = true;
      this.#emitDestroyed(token);
    }

    // After a renewal elsewhere the browser keeps the cookie that it got there.
    if (isRenewed) state.gone = "renewed";
    else if (isEnded) state.endedHere = true;
  }

  /** Deletes a row, even if other requests have written it since, but leaves the mark of a renewal. */
  async end({ token, data }: StoredRow): Promise<"ended" | "gone" | "renewed"> {
    for (let attempt = 1, expected = data;; attempt++) {
      const isLast = attempt === MOST_DELETIONS;
      if (await this.#operation.delete(token, isLast ? undefined : expected)) return "ended";
      if (isLast) return "gone";
      const found = await this.#operation.findOnPrimary(token, "repeatable").catch((error) => {
        // The network may deliver the deletion twice: the first delivery deletes, and the reply is that to the second one.
        throw asAmbiguous(error);
      });
      // A store in JavaScript may give null.
      if (!found) return "gone";
      if (this.#isLiveMark(found.data)) return "renewed";
      expected = found.data;
    }
  }

  #isLiveMark(data: Uint8Array): boolean {
    const record = tryDecodeRecord(this.#settings.codec, data);
    return record !== undefined && isMark(record) && this.#settings.now() < record.deadline;
  }

  #emitDestroyed(storedToken: string, subject?: string): void {
    this.#settings.hooks.emit(() => ({ kind: "destroyed", id: publicId(storedToken), subject }));
  }
}

/**
 * How long a statement should keep the database at work: as long as the round trip takes, within these bounds. Writers behind
 * it hardly notice, and the database rests while the answer is under way.
 */
const SHORTEST_WORK_MS = 25;
const LONGEST_WORK_MS = 100;
const SMALLEST_BATCH = 10;
const FIRST_BATCH = 100;
/** More rows than this are never deleted by one statement. */
const LARGEST_BATCH = 1_000;

/** A statement that was sent and answered. */
interface Sample {
  /** How many rows it might delete. */
  rows: number;
  /** How long it took, the way included. */
  ms: number;
}

/**
 * Sizes the batches of a purge. Two statements of different size tell what a row costs the database. The rest of their time
 * is the round trip, which a smaller batch would not shorten.
 */
export class BatchSize {
  /** How many rows the next statement may delete. */
  limit: number;
  /** How long the database should rest after the last statement. */
  restMs = 0;
  /** The smallest statement. The others are compared with it. */
  #smallest: Sample | undefined;
  #last: Sample | undefined;
  /** Milliseconds of work for one row, by the last statement. */
  #cost = Infinity;

  constructor(firstBatch: number = FIRST_BATCH) {
    this.limit = firstBatch;
  }

  /** Takes in how long the statement took. */
  note(ms: number): void {
    const rows = this.limit;
    const isSmallest = this.#smallest === undefined || rows <= this.#smallest.rows;
    const other = isSmallest ? this.#last : this.#smallest;
    const before = this.#cost;
    // Where nothing new is known the old cost is lowered, so that a batch does not stay small for good.
    if (other !== undefined && other.rows !== rows) this.#cost = (ms - other.ms) / (rows - other.rows);
    else if (rows <= SMALLEST_BATCH) this.#cost /= 2;
    // One row cannot cost more than its share of the statement.
    this.#cost = Math.max(0, Math.min(this.#cost, ms / rows));
    if (isSmallest) this.#smallest = { rows, ms };
    // The first statement of a connection takes longer.
    else if (ms < this.#smallest!.ms) this.#smallest!.ms = ms;
    this.#last = { rows, ms };

    // The lesser of the two: one statement may have waited for something else.
    const cost = Math.min(before, this.#cost);
    const roundTripMs = Math.max(0, this.#smallest!.ms - cost * this.#smallest!.rows);
    const workMs = Math.min(LONGEST_WORK_MS, Math.max(SHORTEST_WORK_MS, roundTripMs));
    this.restMs = Math.max(0, cost * rows - roundTripMs);
    // A long first statement does not tell why. A small one does.
    const next = other === undefined && ms > SHORTEST_WORK_MS ? SMALLEST_BATCH : workMs / cost;
    this.limit = Math.round(Math.min(LARGEST_BATCH, 2 * rows, Math.max(SMALLEST_BATCH, next)));
  }
}

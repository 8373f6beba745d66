/**
 * Measures time without the pauses of the whole process.
 * @module
 */

/** How often to check that the process runs, in milliseconds. */
const TICK = 5;
/** A smaller delay is normal for a timer, and no pause. */
const SHORTEST_PAUSE_MS = 20;

/**
 * Runs until it is stopped. If a timer with an interval of a few milliseconds is late, all timers were late: the
 * machine was doing something else. A long wait in the code under test does not delay the timer.
 */
export class Stopwatch {
  readonly #started = performance.now();
  #last = this.#started;
  #pausedMs = 0;
  #timer = setInterval(() => this.#tick(), TICK);

  /** Milliseconds since the start in which the process ran. */
  stop(): number {
    clearInterval(this.#timer);
    this.#tick();
    return this.#last - this.#started - this.#pausedMs;
  }

  #tick(): void {
    const now = performance.now();
    const late = now - this.#last - TICK;
    if (late > SHORTEST_PAUSE_MS) this.#pausedMs += late;
    this.#last = now;
  }
}

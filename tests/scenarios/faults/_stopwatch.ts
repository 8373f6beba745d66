/**
 * The time that something takes, without what the machine takes from the whole process.
 * @module
 */

/** How often to look whether the process runs, in milliseconds. */
const TICK = 5;
/** What is less than this is no standstill, but how timers are. */
const STANDSTILL = 20;

/**
 * Runs until it is stopped. Where a timer that should go off every few milliseconds is late, no other timer was on time
 * either: the machine had something else to do. A wait that is too long lets it go off all the same.
 */
export class Stopwatch {
  readonly #started = performance.now();
  #last = this.#started;
  #stoodStill = 0;
  #timer = setInterval(() => this.#tick(), TICK);

  /** Milliseconds since the start in which the process ran. */
  stop(): number {
    clearInterval(this.#timer);
    this.#tick();
    return this.#last - this.#started - this.#stoodStill;
  }

  #tick(): void {
    const now = performance.now();
    const late = now - this.#last - TICK;
    if (late > STANDSTILL) this.#stoodStill += late;
    this.#last = now;
  }
}

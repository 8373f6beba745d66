/** Why {@linkcode waitFor} gave up. */
export class GaveUp extends Error {
  override readonly name = "GaveUp";
  readonly reason: "timeout" | "aborted";

  constructor(reason: "timeout" | "aborted") {
    super(reason);
    this.reason = reason;
  }
}

/** Timers hold a 32-bit number of milliseconds, some 24 days: a longer one would fire at once. */
export const LONGEST_TIMER = 2 ** 31 - 1;

/**
 * Waits for work, for `ms` milliseconds at the most and until `signal` aborts; then rejects with
 * {@linkcode GaveUp}. The work itself goes on, and what becomes of it is nobody's concern.
 */
export async function waitFor<T>(
  work: T | PromiseLike<T>,
  ms: number,
  signal?: AbortSignal,
  onTimer?: (timer: unknown) => void,
): Promise<T> {
  // Hooks and stores written in JavaScript may give a value in place of a promise.
  if ((ms === Infinity && signal === undefined) || !isThenable(work)) return await work;
  // Query builders give what is no Promise and is awaited like one.
  const promise = Promise.resolve(work);
  let timer: ReturnType<typeof setTimeout> | undefined;
  let onAbort = () => {};
  const givenUp = new Promise<never>((_, reject) => {
    onAbort = () => reject(new GaveUp("aborted"));
    if (ms !== Infinity) {
      timer = setTimeout(() => reject(new GaveUp("timeout")), Math.min(LONGEST_TIMER, Math.max(0, ms)));
      onTimer?.(timer);
    }
  });
  signal?.addEventListener("abort", onAbort, { once: true });
  if (signal?.aborted) onAbort();
  // Whichever of the two loses the race may reject later, when nobody listens.
  promise.catch(() => {});
  try {
    return await Promise.race([promise, givenUp]);
  } finally {
    clearTimeout(timer);
    signal?.removeEventListener("abort", onAbort);
  }
}

function isThenable<T>(work: T | PromiseLike<T>): work is PromiseLike<T> {
  return typeof (work as Partial<PromiseLike<T>> | null | undefined)?.then === "function";
}

/** A pause that a signal ends early, without an error: the caller looks at the signal next. */
export async function pause(ms: number, signal?: AbortSignal): Promise<void> {
  await waitFor(new Promise<never>(() => {}), ms, signal).catch(() => {});
}

/** A pause without a timer: lets others in this process go first, as often as `count` says. */
export async function turns(count: number): Promise<void> {
  for (let turn = 0; turn < count; turn++) await undefined;
}

/** A pause that does not keep a process alive which has nothing else to do. */
export async function pauseInBackground(ms: number, signal?: AbortSignal): Promise<void> {
  await waitFor(new Promise<never>(() => {}), ms, signal, unref).catch(() => {});
}

/** Workers have no such thing, and need none: there a timer ends with its request. */
function unref(timer: unknown): void {
  if (typeof timer === "object" && timer !== null) (timer as { unref?(): void }).unref?.();
  else if (typeof timer === "number") (globalThis as GlobalWithDeno).Deno?.unrefTimer?.(timer);
}

type GlobalWithDeno = { Deno?: { unrefTimer?(id: number): void } };

/**
 * How long to wait before attempt `attempt` (from 1): a random share of a span that grows from `base` up to `cap`, so that
 * those who collided do not collide again.
 */
export function backoff(attempt: number, base: number, cap: number, growth = 2): number {
  return Math.random() * Math.min(cap, base * growth ** (attempt - 1));
}

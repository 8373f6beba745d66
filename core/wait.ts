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
 * Waits for work for at most `ms` milliseconds, or until `signal` aborts; then rejects with {@linkcode GaveUp}. The work
 * itself goes on, and its result is ignored.
 */
export async function waitFor<T>(
  work: T | PromiseLike<T>,
  ms: number,
  signal?: AbortSignal,
  onTimer?: (timer: unknown) => void,
): Promise<T> {
  if (ms === Infinity && signal === undefined) return await work;
  // A query builder is thenable without being a Promise. A hook or a store in JavaScript may return another value.
  const promise = Promise.resolve(work);
  let timer: ReturnType<typeof setTimeout> | undefined;
  let onAbort!: () => void;
  const givenUp = new Promise<never>((_, reject) => {
    onAbort = () => reject(new GaveUp("aborted"));
    if (ms !== Infinity) {
      timer = setTimeout(() => reject(new GaveUp("timeout")), Math.min(LONGEST_TIMER, Math.max(0, ms)));
      onTimer?.(timer);
    }
  });
  try {
    signal?.addEventListener("abort", onAbort, { once: true });
    if (signal?.aborted) onAbort();
    return await Promise.race([promise, givenUp]);
  } finally {
    clearTimeout(timer);
    signal?.removeEventListener("abort", onAbort);
  }
}

/** A pause. A signal ends it early without an error; the caller checks the signal next. */
export async function pause(
  ms: number,
  signal?: AbortSignal,
  onTimer?: (timer: unknown) => void,
): Promise<void> {
  await waitFor(new Promise<never>(() => {}), ms, signal, onTimer).catch(() => {});
}

/** A pause that does not keep the process alive. */
export function pauseInBackground(ms: number, signal?: AbortSignal): Promise<void> {
  return pause(ms, signal, unref);
}

/** Workers have no `unref` and need none: a timer there ends with its request. */
function unref(timer: unknown): void {
  if (typeof timer === "number") (globalThis as GlobalWithDeno).Deno?.unrefTimer?.(timer);
  else (timer as { unref?(): void } | undefined)?.unref?.();
}

type GlobalWithDeno = { Deno?: { unrefTimer?(id: number): void } };

/** Whether a value is an `AbortSignal`, of this realm or another. */
export function isSignal(value: unknown): value is AbortSignal {
  return typeof (value as Partial<AbortSignal> | null)?.aborted === "boolean";
}

/** Throws for a signal such as an `AbortController`, which would only fail once it is waited for. */
export function assertSignal(signal: unknown): void {
  if (signal && !isSignal(signal)) {
    throw new TypeError("Cannot use this signal: it must be an AbortSignal, as controller.signal is");
  }
}

/** A pause without a timer, of `count` turns of the microtask queue. */
export async function turns(count: number): Promise<void> {
  for (let turn = 0; turn < count; turn++) await undefined;
}

/**
 * Lets the event loop turn once, so that I/O and timers of other requests run. Uses no timer, since test frameworks replace
 * timers. Does nothing on a platform without `MessageChannel`.
 */
export async function eventLoopTurn(): Promise<void> {
  if (typeof MessageChannel === "undefined") return;
  const { port1, port2 } = new MessageChannel();
  await new Promise<void>((resolve) => {
    port1.onmessage = () => resolve();
    port2.postMessage(undefined);
  });
  port1.close();
  port2.close();
}

/** How pauses grow: from `base` by the factor `growth` up to `cap`. */
export interface Growth {
  readonly base: number;
  readonly growth: number;
  readonly cap: number;
}

/**
 * How long to wait after attempt `attempt`, which counts from 1: a random part of a span that grows. So requests that collided
 * do not collide again.
 */
export function backoff(attempt: number, { base, growth, cap }: Growth): number {
  return Math.random() * Math.min(cap, base * growth ** (attempt - 1));
}

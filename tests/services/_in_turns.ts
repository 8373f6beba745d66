/**
 * Limits how many calls of an asynchronous function are under way. The others wait, in the order in which they came.
 * `@libsql/client` has an option for this, and the other clients do not.
 */
export function inTurns<Args extends unknown[], Result>(
  concurrency: number,
  call: (...args: Args) => Promise<Result>,
): (...args: Args) => Promise<Result> {
  let free = concurrency;
  const waiting: (() => void)[] = [];
  return async (...args) => {
    if (free > 0) free--;
    else await new Promise<void>((resolve) => waiting.push(resolve));
    try {
      return await call(...args);
    } finally {
      const next = waiting.shift();
      if (next) next();
      else free++;
    }
  };
}

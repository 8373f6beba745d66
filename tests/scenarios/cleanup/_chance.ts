/** `Math.random` gives this number until it is disposed of: 0 makes every purge due that may be, 0.5 none. */
export function chance(value: number): Disposable & { set(value: number): void } {
  const { random } = Math;
  Math.random = () => value;
  return {
    set: (next) => void (value = next),
    [Symbol.dispose]: () => void (Math.random = random),
  };
}

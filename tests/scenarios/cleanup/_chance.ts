/** Sets `Math.random` to this number until it is disposed of. With 0 every purge that may run is due, with 0.5 none. */
export function chance(value: number): Disposable & { set(value: number): void } {
  const { random } = Math;
  Math.random = () => value;
  return {
    set: (next) => void (value = next),
    [Symbol.dispose]: () => void (Math.random = random),
  };
}

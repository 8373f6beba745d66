const METHODS = ["indexOf", "slice", "trim", "split"] as const;

/** How many characters pass through string methods while the work is done. */
export function textWork(work: () => unknown): number {
  let characters = 0;
  const originals = METHODS.map((name) => [name, String.prototype[name] as unknown] as const);
  for (const [name, original] of originals) {
    const counting = function (this: string, ...args: unknown[]) {
      characters += this.length;
      return Reflect.apply(original as (...args: unknown[]) => unknown, this, args);
    };
    Object.defineProperty(String.prototype, name, { configurable: true, writable: true, value: counting });
  }
  try {
    work();
  } finally {
    for (const [name, original] of originals) {
      Object.defineProperty(String.prototype, name, { configurable: true, writable: true, value: original });
    }
  }
  return characters;
}

/** The size of a value: its entries at any depth, and the length of all texts and bytes. */
export function sizeOf(value: unknown): number {
  if (typeof value === "string") return 1 + value.length;
  if (value instanceof Uint8Array) return 1 + value.length;
  if (typeof value !== "object" || value === null) return 1;
  const isList = Array.isArray(value) || value instanceof Map || value instanceof Set;
  const parts: unknown[] = isList ? [...value] : Object.entries(value).flat();
  let size = 1;
  for (const part of parts) size += sizeOf(part);
  return size;
}

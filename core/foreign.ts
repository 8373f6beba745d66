/**
 * Calls a function of the application or of the platform, which cannot make the library fail: whatever it throws, or rejects
 * with later, is ignored.
 *
 * @returns Whether it returned.
 */
export function tryCall(call: () => unknown): boolean {
  try {
    ignoreRejection(call());
    return true;
  } catch {
    return false;
  }
}

/** Keeps a promise that nobody awaits from ending the process if it rejects. Leaves any other value alone. */
export function ignoreRejection(value: unknown): void {
  if (value instanceof Promise) value.catch(() => {});
}

/** Whether a value is a response. By its properties, since an adapter may have replaced the global `Response`. */
export function isResponse(value: unknown): value is Response {
  if (value instanceof Response) return true;
  const { headers, status } = (value ?? {}) as Partial<Response>;
  return typeof status === "number" && hasMethods<Headers>(headers, "append") &&
    hasMethods<Response>(value, "arrayBuffer");
}

/** Whether a value has every one of these methods. */
export function hasMethods<T>(value: unknown, ...names: (keyof T & string)[]): value is T {
  return names.every((name) => typeof (value as Partial<T> | null | undefined)?.[name] === "function");
}

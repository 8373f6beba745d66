/**
 * Under this symbol a response carries the lifecycle that has set a session's cookie on it. A WeakMap would cost the garbage
 * collector more than all else that a new session costs.
 */
const SETTER = Symbol("@x/sessions");

/** The lifecycle that has set a session's cookie on a response. */
export function cookieSetterOf(response: Response): unknown {
  return (response as { [SETTER]?: unknown })[SETTER];
}

export function markCookieSetter(response: Response, lifecycle: unknown): void {
  // Not an assignment, which throws for a frozen response.
  Reflect.set(response, SETTER, lifecycle);
}

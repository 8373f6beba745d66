/**
 * Under this symbol a response carries the visit in which it got its cookie: one pass of a request through a middleware. A
 * WeakMap would cost the garbage collector more than all else that a new session costs.
 */
const VISIT = Symbol("@x/sessions");

/** The visit in which a response got its cookie. */
export function visitOf(response: Response): unknown {
  return (response as { [VISIT]?: unknown })[VISIT];
}

export function markVisit(response: Response, visit: unknown): void {
  // Not an assignment, which throws for a frozen response.
  Reflect.set(response, VISIT, visit);
}

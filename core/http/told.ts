/** One pass of a request through a middleware. */
export interface Visit {
  readonly request: Request;
  /** Counts visits in the order in which they began. */
  readonly began: number;
}

/** The visit in which a response got its cookie. */
const told = new WeakMap<Response, Visit>();

/** Notes that a response got its cookie in this visit. */
export function remember(response: Response, visit: Visit): void {
  told.set(response, visit);
}

/**
 * Whether a response got its cookie in a visit within this one: from the same manager mounted further in, on a copy of the
 * request. Such a visit began later and has the same `Cookie` header. A response of another request cannot be meant: one that
 * is returned to many gets its cookie in a copy.
 */
export function isToldWithin(response: Response, { request, began }: Visit): boolean {
  const visit = told.get(response);
  if (visit === undefined) return false;
  return visit.request === request ||
    (visit.began > began && visit.request.headers.get("Cookie") === request.headers.get("Cookie"));
}

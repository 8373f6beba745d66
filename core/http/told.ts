/** One request on its way, as responses remember it. */
export interface Visit {
  readonly request: Request;
  /** Numbers visits in the order in which they began. */
  readonly began: number;
}

/** On what visit a response got its cookie. */
const told = new WeakMap<Response, Visit>();

/** Notes that a response got a cookie. */
export function remember(response: Response, visit: Visit): void {
  told.set(response, visit);
}

/**
 * Whether a response got its cookie within this visit: from the same manager, mounted within on a copy of the request. It
 * began later then, is finished, and came with the same cookies. What can be sent to many gets its cookie in a copy, so to
 * have that copy is to stand around it.
 */
export function isToldWithin(response: Response, { request, began }: Visit): boolean {
  const visit = told.get(response);
  if (visit === undefined) return false;
  return visit.request === request ||
    (visit.began > began && visit.request.headers.get("Cookie") === request.headers.get("Cookie"));
}

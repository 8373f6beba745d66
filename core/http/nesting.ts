/** What tells the lifecycles of requests apart. A request has several where middlewares are nested. */
export interface Lifecycle {
  readonly request: Request;
  /** A lifecycle that begins later has a higher number. */
  readonly number: number;
}

let begun = 0;

/** The number of a lifecycle that begins now. */
export function nextNumber(): number {
  return ++begun;
}

/**
 * Whether a lifecycle runs within another one: both are of one request, or the inner one is of a copy. A copy's lifecycle
 * begins later, and has the same `Cookie` header.
 */
export function isWithin(inner: Lifecycle, outer: Lifecycle): boolean {
  return inner.request === outer.request ||
    (inner.number > outer.number &&
      inner.request.headers.get("Cookie") === outer.request.headers.get("Cookie"));
}

/** Whether a lifecycle is of an earlier request than the other. */
export function isOfEarlierRequest(earlier: Lifecycle, later: Lifecycle): boolean {
  return earlier.number < later.number && earlier.request !== later.request;
}

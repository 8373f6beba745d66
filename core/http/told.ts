/** One request on its way, as responses remember it. */
export interface Visit {
  readonly request: Request;
  /** Numbers visits in the order in which they began. */
  readonly began: number;
}

/** What a response was given, and on what visit. */
interface Told {
  visit: Visit;
  /** The headers before, where the cookie was set in place. */
  before: Headers | undefined;
}

const told = new WeakMap<Response, Told>();

/** Visits that began and have no answer yet. */
let open = 0;

/** A visit begins. */
export function enter(): void {
  open++;
}

/** A visit has its answer. */
export function leave(): void {
  open--;
}

/** Whether every other visit has its answer, so that none can be about to answer with the same object. */
export function isAlone(): boolean {
  return open === 0;
}

/** Notes that a response got a cookie. */
export function remember(response: Response, visit: Visit, before: Headers | undefined): void {
  told.set(response, { visit, before });
}

/**
 * Whether a response got its cookie within this visit: from the same manager, mounted within on a copy of the request. It
 * began later then, is finished, and came with the same cookies. A response that others may answer with as well gets its
 * cookie in a copy while they are under way, so to have that copy is to stand around it.
 */
export function isToldWithin(response: Response, { request, began }: Visit): boolean {
  const visit = told.get(response)?.visit;
  if (visit === undefined) return false;
  return visit.request === request ||
    (visit.began > began && visit.request.headers.get("Cookie") === request.headers.get("Cookie"));
}

/**
 * Takes from a response what an earlier visitor was given with it. `@hono/node-server` sends one object to many, with a
 * body too, where every other runtime throws.
 */
export function forgetOthers(response: Response, visit: Visit): void {
  const before = told.get(response)?.before;
  if (before === undefined || isToldWithin(response, visit)) return;
  for (const name of [...response.headers.keys()]) response.headers.delete(name);
  for (const [name, value] of before) response.headers.append(name, value);
  told.delete(response);
}

/**
 * Under this symbol a response carries the visit in which it got its cookie. A WeakMap would cost the garbage collector more
 * than all else that a new session costs.
 */
const VISIT = Symbol("@x/sessions");

interface MarkedResponse extends Response {
  [VISIT]?: Visit | undefined;
}

/** One pass of a request through a middleware. */
export class Visit {
  readonly #request: Request;
  readonly #began: number;
  /** The cookies of sessions on the response: its own and those of visits within it. */
  #setCookies: readonly string[] = [];

  /** @param began Counts visits in the order in which they began. */
  constructor(request: Request, began: number) {
    this.#request = request;
    this.#began = began;
  }

  /** Notes that a response got cookies in this visit or within it. */
  noteCookies(response: Response, setCookies: readonly string[]): void {
    this.#setCookies = setCookies;
    mark(response, this);
  }

  /** The cookies of sessions that a response got within this visit. */
  cookiesWithin(response: Response): readonly string[] {
    return this.isAround(response) ? (response as MarkedResponse)[VISIT]!.#setCookies : [];
  }

  /**
   * Whether a response got its cookie in a visit within this one: from the same manager mounted further in, on a copy of the
   * request. The response cannot belong to another request: one that is returned to many requests gets its cookie in a copy.
   */
  isAround(response: Response): boolean {
    const inner = (response as MarkedResponse)[VISIT];
    return inner !== undefined && this.contains(inner);
  }

  /** Whether the other visit is of the same request, or of a copy: that one began later and has the same `Cookie` header. */
  contains(inner: Visit): boolean {
    const [own, other] = [this.#request, inner.#request];
    return own === other ||
      (inner.#began > this.#began && own.headers.get("Cookie") === other.headers.get("Cookie"));
  }
}

/** A copy of a response has the same cookies. */
export function keepVisit(response: Response, copy: Response): Response {
  const visit = (response as MarkedResponse)[VISIT];
  if (visit !== undefined) mark(copy, visit);
  return copy;
}

function mark(response: Response, visit: Visit): void {
  // Not an assignment, which throws for a frozen response.
  Reflect.set(response, VISIT, visit);
}

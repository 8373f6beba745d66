import { errorResponse } from "../errors.ts";
import { isUnsendable } from "./body.ts";
import type { SessionCookie } from "./cookie.ts";
import { cookieSetterOf, markCookieSetter } from "./cookie_setter.ts";
import { isOfEarlierRequest, isWithin, type Lifecycle, nextNumber } from "./nesting.ts";
import { replaceResponse, withCookie, withoutCookies } from "./response.ts";

const NO_COOKIES: readonly string[] = [];

/**
 * The session cookies that one lifecycle of a request puts on its response. A response knows the last lifecycle that set one.
 * An application may return one object for many requests, and no visitor may get the cookie of another one.
 */
export class ResponseCookies implements Lifecycle {
  readonly number: number = nextNumber();
  /** Private, since a response that is shown may show what it carries. */
  readonly #request: Request;
  /** Who had set a cookie on the response when the handler gave it. */
  #setter: ResponseCookies | undefined;
  /** The cookies on the response that were set here, and in lifecycles within this one. */
  #cookies: readonly string[] = NO_COOKIES;

  constructor(request: Request) {
    this.#request = request;
  }

  get request(): Request {
    return this.#request;
  }

  /** Notes the response that the handler gave. */
  receive(response: Response): void {
    this.#setter = setterOf(response);
  }

  /**
   * The response. If another request has set its cookie on the same object, a copy without that cookie. Asked after each
   * wait, since it may have happened meanwhile.
   */
  own(response: Response): Response {
    const setter = setterOf(response);
    const isOwn = setter === undefined || setter === this ||
      (setter === this.#setter && !isOfEarlierRequest(setter, this));
    if (isOwn) return response;
    try {
      return withoutCookies(response, setter.#cookies);
    } catch (error) {
      console.error("Session error (commit): the response was sent to another visitor:", error);
      return errorResponse(500);
    }
  }

  /** The value of the cookie that a lifecycle within this one has set; `undefined` where none has. */
  innerValue(response: Response, cookie: SessionCookie | undefined): string | undefined {
    return this.#innerOf(response) && cookie?.valueIn(response.headers);
  }

  /** The response with the cookie. */
  set(response: Response, setCookie: string): Response {
    return this.#note(withCookieOrError(response, setCookie), [...this.#cookiesWithin(response), setCookie]);
  }

  /**
   * The error in place of the handler's response, with the cookies that were set within.
   *
   * @param setCookies The cookies that the request itself has set before.
   */
  replace(replaced: Response | undefined, error: Response, setCookies: readonly string[]): Response {
    const all = replaced === undefined ? setCookies : [...this.#cookiesWithin(replaced), ...setCookies];
    const answer = all.reduce(withCookieOrError, replaceResponse(replaced, error));
    if (all.length > 0) this.#note(answer, all);
    this.receive(answer);
    return answer;
  }

  /**
   * The lifecycle within this one in which a response got its cookie: from the same manager mounted further in, on a copy of
   * the request. A response that was sent has answered another request.
   */
  #innerOf(response: Response): ResponseCookies | undefined {
    const inner = setterOf(response);
    return inner !== undefined && isWithin(inner, this) && !isUnsendable(response) ? inner : undefined;
  }

  /** The cookies that a response got in lifecycles within this one. */
  #cookiesWithin(response: Response): readonly string[] {
    const inner = this.#innerOf(response);
    return inner === undefined ? NO_COOKIES : inner.#cookies;
  }

  #note(response: Response, setCookies: readonly string[]): Response {
    this.#cookies = setCookies;
    markCookieSetter(response, this);
    return response;
  }
}

function setterOf(response: Response): ResponseCookies | undefined {
  return cookieSetterOf(response) as ResponseCookies | undefined;
}

/** The response with the cookie, or an error with it: without the cookie a login would be lost. */
function withCookieOrError(response: Response, setCookie: string): Response {
  try {
    return withCookie(response, setCookie);
  } catch (error) {
    console.error("Session error (commit): the response cannot carry the cookie:", error);
    return withCookie(replaceResponse(response, errorResponse(500)), setCookie);
  }
}

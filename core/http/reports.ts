import type { SessionError } from "../errors.ts";
import { isWithin, type Lifecycle } from "./nesting.ts";

/** The lifecycle that reported an error, and what `onError` returned. */
interface Report {
  by: Lifecycle;
  answer: Promise<Response | undefined>;
}

/** The errors of each request, since a store such as a circuit breaker may throw one error object for every call. */
const reports = new WeakMap<Request, Map<SessionError, Report>>();

/** The lifecycle that was the last one to report an error. */
const lastReporters = new WeakMap<SessionError, Lifecycle>();

/**
 * Reports an error of a request once: where middlewares are nested, only the first to see it does.
 *
 * @param ask Tells `onError`.
 * @returns What `onError` answered to this lifecycle; `undefined` for any other one.
 */
export async function reportOnce(
  by: Lifecycle,
  error: SessionError,
  ask: () => Promise<Response | undefined>,
): Promise<Response | undefined> {
  let known = reports.get(by.request);
  if (known === undefined) reports.set(by.request, known = new Map());
  let report = known.get(error);
  if (report === undefined) {
    known.set(error, report = { by, answer: ask() });
    lastReporters.set(error, by);
  }
  return report.by === by ? await report.answer : undefined;
}

/** Whether a middleware further in, on a copy of the request, has reported the error. */
export function isReportedWithin(outer: Lifecycle, error: SessionError): boolean {
  const reporter = lastReporters.get(error);
  return reporter !== undefined && isWithin(reporter, outer) && !reports.get(outer.request)?.has(error);
}

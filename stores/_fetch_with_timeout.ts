import { LONGEST_TIMER } from "../core/wait.ts";

/**
 * A `fetch` that gives up for good: it aborts the request after `ms` milliseconds, the reading of the answer
 * included. Neither `@libsql/client` nor `@planetscale/database` has a time limit of its own; hand this to the
 * client's `fetch` option.
 *
 * @param ms Milliseconds, above 0.
 * @returns A function that rejects with a `TimeoutError` when the time is up.
 * @throws {RangeError} `ms` is not above 0.
 *
 * @example
 * ```ts
 * import { createClient } from "@libsql/client/web";
 * import { fetchWithTimeout } from "@x/sessions/stores/libsql";
 *
 * const client = createClient({ url: "http://localhost:8080", fetch: fetchWithTimeout(2_000) });
 * client.close();
 * ```
 */
export function fetchWithTimeout(
  ms: number,
): (input: Request | URL | string, init?: RequestInit) => Promise<Response> {
  if (!(ms > 0)) throw new RangeError(`Cannot make fetchWithTimeout: the time must be above 0, got ${ms}`);
  return async (input, init) => {
    // Workers with a compatibility date before 2024-11-11 throw where `cache` is mentioned at all.
    const { cache: _, ...rest } = init ?? {};
    const controller = new AbortController();
    const expired = () => controller.abort(new DOMException("The database took too long", "TimeoutError"));
    const timer = setTimeout(expired, Math.min(LONGEST_TIMER, ms));
    const given = rest.signal ?? (input instanceof Request ? input.signal : undefined);
    const signal = given ? AbortSignal.any([given, controller.signal]) : controller.signal;
    try {
      const response = await fetch(input, { ...rest, signal });
      const body = await response.arrayBuffer();
      return new Response(body.byteLength === 0 ? null : body, response);
    } finally {
      clearTimeout(timer);
    }
  };
}

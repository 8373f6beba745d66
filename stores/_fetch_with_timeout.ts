import { LONGEST_TIMER } from "../core/wait.ts";

/**
 * Makes a `fetch` that aborts the request after `ms` milliseconds, even while the answer is being read. Pass it as the
 * client's `fetch` option: neither `@libsql/client` nor `@planetscale/database` has a time limit of its own.
 *
 * @param ms Milliseconds, above 0.
 * @returns A function that rejects with a `TimeoutError` when the time is up.
 * @throws {RangeError} `ms` is not a number above 0.
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
  if (!(ms > 0)) {
    throw new RangeError(`The time must be a number of milliseconds above 0: got ${ms}`);
  }
  return async (input, init) => {
    // Workers with a compatibility date before 2024-11-11 throw if `cache` is named at all.
    const { cache: _, ...rest } = init ?? {};
    const controller = new AbortController();
    const expire = () => controller.abort(new DOMException("Timed out", "TimeoutError"));
    const timer = setTimeout(expire, Math.min(LONGEST_TIMER, ms));
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

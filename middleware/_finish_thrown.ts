import { errorResponse } from "../core/errors.ts";
import type { RequestSession } from "../core/http/request.ts";
import { responseOf } from "../core/http/thrown.ts";

/**
 * Finishes a request whose handler has thrown, and gives the response to send. Throws the error again, unless it stands for a
 * response, or the handler has saved or ended a session itself and the browser needs the cookie.
 *
 * @param report Called if a plain 500 with the cookie takes the place of the error. It may throw the error itself.
 */
export async function finishThrown(
  { finish }: Pick<RequestSession<object>, "finish">,
  thrown: unknown,
  report: (error: unknown, answer: Response) => void,
): Promise<Response> {
  const error = thrown ?? new Error("The handler threw nothing");
  if (responseOf(error)) return await finish(undefined, error);
  const answer = await finish(errorResponse(500), error);
  if (!answer.headers.has("Set-Cookie")) throw error;
  report(error, answer);
  return answer;
}

/** What a response is made of. `BodyInit` is no global type on Node. */
export type ResponseBody = ConstructorParameters<typeof Response>[0];

/** Statuses of a response that never has a body. */
const NULL_BODY: readonly number[] = [204, 205, 304];

export function isNullBody(status: number): boolean {
  return NULL_BODY.includes(status);
}

/** Whether an application may return this one object for every request: it has no body, or one that can be sent again. */
export function isReusable(response: Response): boolean {
  return response.status === 101 || isNullBody(response.status) || !hasBody(response) ||
    lightBodyOf(response) !== undefined;
}

/** Whether there is a body. `response.body` is not read: that would make it a stream of unknown length and type. */
export function hasBody(response: Response): boolean {
  // A body of text, a form or a Blob comes with a type.
  if (response.headers.has("Content-Type")) return true;
  const { Bun } = globalThis as GlobalWithBun;
  // On Bun a clone loses the type of a text that is not ASCII.
  if (Bun !== undefined) return !isEmptyAsShown(Bun.inspect(response));
  const light = lightBodyOf(response);
  if (light !== undefined) return light !== null;
  if (response.bodyUsed) return true;
  const { body } = response.clone();
  body?.cancel().catch(() => {});
  return body !== null;
}

/** How Bun shows a response without a body. In a header or a status text "ReadableStream" does not begin the line. */
function isEmptyAsShown(text: string): boolean {
  return text.startsWith("Response (0 KB)") && !/^\s*ReadableStream \{/m.test(text);
}

/**
 * The body of a light `Response` of `@hono/node-server`; `undefined` for any other response, and for a stream. Such a
 * response keeps what it was made of under a symbol until it is looked at, and can be sent again until then.
 */
export function lightBodyOf(response: Response): ResponseBody | undefined {
  const cache = cacheSymbolOf(response);
  if (cache === undefined) return undefined;
  const made: unknown = (response as unknown as Record<symbol, unknown>)[cache];
  const body = Array.isArray(made) ? made[1] as ResponseBody | undefined : undefined;
  return body instanceof ReadableStream ? undefined : body;
}

/** Whether a response can no longer be sent, or never could. A light one is not asked, since a look changes how it is sent. */
export function isUnsendable(response: Response): boolean {
  return cacheSymbolOf(response) === undefined && (response.bodyUsed || response.type === "error");
}

function cacheSymbolOf(response: Response): symbol | undefined {
  // A native response has symbols too, on Deno and Node. Looking through them would take as long as adding a header.
  const isNative = Object.getPrototypeOf(Object.getPrototypeOf(response)) === Object.prototype;
  if (isNative) return undefined;
  return Object.getOwnPropertySymbols(response).find(({ description }) => description === "cache");
}

interface GlobalWithBun {
  Bun?: { inspect(value: unknown): string };
}

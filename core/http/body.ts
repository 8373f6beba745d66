/** What a response is made of. `BodyInit` is no global type on Node. */
export type ResponseBody = ConstructorParameters<typeof Response>[0];

/** Statuses of a response that never has a body. */
const NULL_BODY: readonly number[] = [204, 205, 304];

export function isNullBody(status: number): boolean {
  return NULL_BODY.includes(status);
}

/** Whether an application may return this one object for every request, since it has no body. */
export function isReusable(response: Response): boolean {
  return response.status === 101 || isNullBody(response.status) || !hasBody(response);
}

/**
 * Whether there is a body. The type does not tell: a response without a body may have one too. On Bun and Deno `response.body`
 * is not read, since that would make it a stream of unknown length and type.
 */
export function hasBody(response: Response): boolean {
  const light = lightBodyOf(response);
  if (light !== undefined) return light !== null;
  if (response.bodyUsed) return true;
  const { Bun } = globalThis as GlobalWithBun;
  // Bun shows a body last. Its length does not tell, since that of a stream is 0, and a clone loses the type of some texts.
  if (Bun !== undefined) return !Bun.inspect(response).endsWith("bodyUsed: false\n}");
  if (!isDeno()) return response.body !== null;
  // Once the headers were looked at, Deno has the body here. A clone would make it a stream, too.
  const kept = response.headers && valueUnder(response, "response") as { body?: unknown } | undefined;
  if (kept?.body) return true;
  const { body } = response.clone();
  body?.cancel().catch(() => {});
  return body !== null;
}

export function isBun(): boolean {
  return (globalThis as GlobalWithBun).Bun !== undefined;
}

export function isDeno(): boolean {
  return (globalThis as { Deno?: unknown }).Deno !== undefined;
}

/**
 * The body of a light `Response`; `null` where it has none, and `undefined` for any other response. A light one is of
 * `@hono/node-server`. Until it is looked at, it keeps what it was made of under a symbol, and can be sent again.
 */
export function lightBodyOf(response: Response): ResponseBody | undefined {
  // A native response has symbols too, on Deno and Node. Looking through them would take as long as adding a header.
  const isNative = Object.getPrototypeOf(Object.getPrototypeOf(response)) === Object.prototype;
  const made = isNative ? undefined : valueUnder(response, "cache");
  return Array.isArray(made) ? made[1] as ResponseBody ?? null : undefined;
}

/** Whether a response can no longer be sent, or never could. A light one is not asked, since a look changes how it is sent. */
export function isUnsendable(response: Response): boolean {
  return lightBodyOf(response) === undefined && (response.bodyUsed || response.type === "error");
}

/** The value that an object has under the symbol of this description. */
function valueUnder(object: object, description: string): unknown {
  const symbol = Object.getOwnPropertySymbols(object).find((symbol) => symbol.description === description);
  return symbol && (object as Record<symbol, unknown>)[symbol];
}

interface GlobalWithBun {
  Bun?: { inspect(value: unknown): string };
}
